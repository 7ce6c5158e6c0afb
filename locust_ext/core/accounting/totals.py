"""The master's side: deltas of all processes added up, each exactly once, in whatever order they come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from locust_ext.core.accounting.names import Key, Names
from locust_ext.core.accounting.sums import Sums
from locust_ext.model import Delta

MAX_OPEN_DRAINS: Final = 10_000
"""Drains of one worker that may be incomplete at a time; nearly three hours of them, a second each."""
MAX_WORKERS: Final = 10_000


@dataclass(slots=True)
class Source:
    """What has come from one process in this run, and its gauges as they last were."""

    next_seq: int = 0
    """Every drain before this one is complete."""
    arrived: dict[int, set[int]] = field(default_factory=dict)
    """Sequence number -> parts that have come, of the drains from `next_seq` on."""
    parts: dict[int, int] = field(default_factory=dict)
    ends_s: dict[int, float] = field(default_factory=dict)
    to_s: float = 0.0
    """Up to which second of the run all its figures are in."""
    final_seq: int | None = None
    has_reported: bool = False
    is_lost: bool = False
    in_flight: dict[Key, tuple[int, int]] = field(default_factory=dict)
    """Key -> (sequence number, operations in flight then)."""
    epoch: tuple[int, int] = (0, 0)
    """The newest that it has told of, and the sequence number of the first drain in it that came."""
    states: tuple[int, dict[str, int]] = (-1, {})
    peak_open: int = 0
    warmup_peak_open: int = 0

    @property
    def is_final(self) -> bool:
        return self.final_seq is not None and self.next_seq > self.final_seq

    def admit(self, delta: Delta) -> bool:
        """Note that this part has come; False if it had, or cannot belong to what came."""
        seq = delta.seq
        if not 0 <= seq - self.next_seq < MAX_OPEN_DRAINS or not 0 <= delta.part < delta.parts:
            return False
        if self.parts.setdefault(seq, delta.parts) != delta.parts:
            return False
        arrived = self.arrived.setdefault(seq, set())
        if delta.part in arrived:
            return False
        arrived.add(delta.part)
        self.has_reported = True
        if delta.to_s is not None:
            self.ends_s[seq] = delta.to_s
        if delta.final:
            self.final_seq = seq
        while len(self.arrived.get(self.next_seq, ())) == self.parts.get(self.next_seq, -1):
            self.to_s = max(self.to_s, self.ends_s.pop(self.next_seq, 0.0))
            del self.arrived[self.next_seq], self.parts[self.next_seq]
            self.next_seq += 1
        return True

    def note_gauges(self, delta: Delta, names: Names, counts: bool) -> None:
        """Keep the gauges of the latest drain, whichever comes last; its peak only if it `counts`."""
        if delta.epoch > self.epoch[0]:
            # A worker that resets tells all that is in flight, and nothing of what ended since its drain before.
            self.epoch = (delta.epoch, delta.seq)
            self.in_flight = {key: gauge for key, gauge in self.in_flight.items() if gauge[0] >= delta.seq}
        for stats in delta.operations if delta.seq >= self.epoch[1] else ():
            key = names.resolve((stats.type, stats.name, stats.tags))
            if delta.seq >= self.in_flight.get(key, (-1, 0))[0]:
                self.in_flight[key] = (delta.seq, stats.in_flight)
        if delta.connections is not None:
            if counts and delta.warmup:
                self.warmup_peak_open = max(self.warmup_peak_open, delta.connections.peak_open)
            elif counts:
                self.peak_open = max(self.peak_open, delta.connections.peak_open)
            if delta.seq > self.states[0]:
                self.states = (delta.seq, dict(delta.connections.states))


class Totals:
    """Sums of the merged deltas. Associative and commutative: counts add, gauges are kept by worker."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self.clear("")

    def clear(self, run_id: str) -> None:
        """A new run: nothing has come yet, from nobody."""
        self.run_id = run_id
        self.sources: dict[str, Source] = {}
        self.sums = Sums()
        self.warmup = Sums()
        """What came before the warm-up was over; not in `sums`."""
        self.epoch = 0

    def reset(self, epoch: int) -> None:
        """The counts start again from zero, without what was counted before this epoch and is still to come.

        Gauges and sequence numbers go on.
        """
        self.epoch = epoch
        self.sums = Sums()
        self.warmup = Sums()
        for source in self.sources.values():
            source.peak_open = source.states[1].get("open", 0)
            source.warmup_peak_open = 0

    def source(self, worker: str) -> Source:
        """What is known of this worker; from now on it is one of the run's."""
        return self.sources.setdefault(worker, Source())

    def merge(self, delta: Delta) -> bool:
        """Add one delta, or one part of one; False: refused (another run's, seen before, too many workers)."""
        if delta.run_id != self.run_id:
            return False
        if delta.worker not in self.sources and len(self.sources) >= MAX_WORKERS:
            return False
        source = self.source(delta.worker)
        if not source.admit(delta):
            return False
        counts = delta.epoch >= self.epoch
        source.note_gauges(delta, self._names, counts)
        if counts:
            (self.warmup if delta.warmup else self.sums).add(delta, self._names)
        return True

    def in_flight(self, without: str) -> dict[Key, int]:
        """Key -> operations in flight in all processes but the one named."""
        found: dict[Key, int] = {}
        for worker, source in self.sources.items():
            if worker != without:
                for key, (_, count) in source.in_flight.items():
                    found[key] = found.get(key, 0) + count
        return found
