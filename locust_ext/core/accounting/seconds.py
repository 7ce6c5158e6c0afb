"""The run second by second: a bounded timeline, and sliding windows for the rules.

A second is open until every worker has reported beyond it, or 4 s have passed; then its row joins the timeline and its
counts the windows. What comes still later is counted in the oldest open second, so that the rows add up to the totals.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Final

from locust_ext.core.accounting.histogram import Histogram
from locust_ext.core.accounting.names import Key, Names
from locust_ext.core.accounting.sums import Sums
from locust_ext.model import PUSH, ROUND_TRIP_TYPES, ConnectionStats, Delta, Distribution, RunInfo, Second, Snapshot

PATIENCE_S: Final = 4
MAX_ROWS: Final = 3600
"""Beyond an hour the oldest rows are joined two and two, one pair a second."""


_ADDS: Final = (
    "length_s",
    "finished",
    "failures",
    "messages_sent",
    "messages_received",
    "bytes_sent",
    "bytes_received",
    "pushes_received",
)


class OpenSecond:
    """What has come for a second that is not closed."""

    __slots__ = ("gauges", "round_trips", "sums")

    def __init__(self) -> None:
        self.sums = Sums()
        self.round_trips = Histogram()
        """Added up as the parts come: hundreds of histograms at once would hold the loop up."""
        self.gauges: dict[str, list[int]] = {}
        """Worker -> [sequence number, open connections, operations in flight] at its last drain of the second."""

    def add(self, delta: Delta, names: Names) -> None:
        self.sums.add(delta, names)
        for stats in delta.operations:
            if stats.type in ROUND_TRIP_TYPES:
                self.round_trips.merge(stats.latency)
        gauges = self.gauges.get(delta.worker)
        if gauges is None or gauges[0] < delta.seq:
            gauges = self.gauges[delta.worker] = [delta.seq, 0, 0]
        if gauges[0] == delta.seq:
            gauges[2] += sum(stats.in_flight for stats in delta.operations)
            if delta.connections is not None:
                gauges[1] = delta.connections.states.get("open", 0)

    def row(self, start_s: int, gauges: dict[str, list[int]], is_complete: bool) -> tuple[Second, Distribution]:
        """The timeline's row, and its round trips."""
        finished = failures = 0
        for (type_, _, _), ledger in self.sums.ledgers.items():
            if type_ != PUSH:
                finished += ledger.ok + ledger.failures
                failures += ledger.failures
        latency = self.round_trips.freeze()
        messages_sent, messages_received, bytes_sent, bytes_received = self.sums.traffic
        second = Second(
            start_s=start_s,
            finished=finished,
            failures=failures,
            messages_sent=messages_sent,
            messages_received=messages_received,
            bytes_sent=bytes_sent,
            bytes_received=bytes_received,
            pushes_received=sum(count.received for count in self.sums.pushes.values()),
            open_connections=sum(gauge[1] for gauge in gauges.values()) if gauges else None,
            in_flight=sum(gauge[2] for gauge in gauges.values()) if gauges else None,
            worst_failures=failures,
            least_finished=finished,
            complete=is_complete,
        )
        return _with_latency(second, latency), latency


def _with_latency(row: Second, latency: Distribution) -> Second:
    p50, p95, p99 = latency.percentiles_us((50, 95, 99))
    return replace(
        row,
        round_trips=latency.count,
        min_us=latency.min_us,
        p50_us=p50,
        p95_us=p95,
        p99_us=p99,
        max_us=latency.max_us,
    )


def joined(first: Second, second: Second, latency: Distribution) -> Second:
    """Two neighbouring rows as one: counts added, gauges of the later, extremes kept, percentiles of `latency`."""
    row = replace(
        second,
        start_s=first.start_s,
        worst_failures=max(first.worst_failures, second.worst_failures),
        least_finished=min(first.least_finished, second.least_finished),
        complete=first.complete and second.complete,
        **{count: getattr(first, count) + getattr(second, count) for count in _ADDS},
    )
    return _with_latency(row, latency)


class Timeline:
    """At most `MAX_ROWS` rows. Histograms are kept as text (about 1 KB each), to join rows without averaging."""

    def __init__(self, max_rows: int = MAX_ROWS) -> None:
        self._max_rows = max_rows
        self._texts: list[str] = []
        self._cursor = 0
        self.rows: list[Second] = []

    def append(self, row: Second, latency: Distribution) -> None:
        self.rows.append(row)
        self._texts.append(latency.to_text())
        if len(self.rows) > self._max_rows:
            self._join(self._cursor)
            self._cursor += 1
            if self._cursor >= len(self.rows) - 1:
                self._cursor = 0

    def _join(self, position: int) -> None:
        latency = Distribution.from_text(self._texts[position]).plus(
            Distribution.from_text(self._texts.pop(position + 1))
        )
        self._texts[position] = latency.to_text()
        self.rows[position] = joined(self.rows[position], self.rows.pop(position + 1), latency)


class Window:
    """The last `length_s` closed seconds as one Snapshot."""

    def __init__(self, length_s: int) -> None:
        self.length_s = length_s
        self._seconds: deque[Sums] = deque()
        self._sums = Sums()

    def slide(self, sums: Sums) -> None:
        """One more second has closed; the one that is now too old leaves."""
        self._seconds.append(sums)
        self._sums.merge(sums)
        if len(self._seconds) > self.length_s:
            self._sums.subtract(self._seconds.popleft())

    def snapshot(self, run_id: str, in_flight: dict[Key, int], connections: ConnectionStats) -> Snapshot:
        """Counts, rates and latencies of the window; the gauges (in flight, connections' states) are of now."""
        return Snapshot(
            run=RunInfo(id=run_id, duration_s=float(len(self._seconds))),
            operations=self._sums.operations(in_flight),
            connections=self._sums.connection_stats(connections.states, connections.peak_open),
            traffic=self._sums.traffic_stats(),
            pushes=self._sums.push_stats(),
        )


class Seconds:
    """Sorts deltas into seconds, and closes them in order."""

    def __init__(self, names: Names, max_rows: int = MAX_ROWS) -> None:
        self._names = names
        self._max_rows = max_rows
        self._lengths: set[int] = set()
        self.clear()

    def clear(self) -> None:
        """A new run: no second has passed."""
        self.timeline = Timeline(self._max_rows)
        self.windows = {length_s: Window(length_s) for length_s in self._lengths}
        self._open: dict[int, OpenSecond] = {}
        self._gauges: dict[str, list[int]] = {}
        self._next = 0
        self._now_s = 0.0
        self.windows_from_s = 0.0
        """Windows hold no second that began before: the warm-up's."""

    def watch(self, length_s: int) -> None:
        """Keep a window of this many seconds, from now on and in later runs."""
        self._lengths.add(length_s)
        self.windows.setdefault(length_s, Window(length_s))

    def add(self, delta: Delta) -> None:
        """Count a delta in the second that holds its middle, or the half second before its end if it is long."""
        if delta.to_s is None or delta.from_s is None:
            second = int(self._now_s)
        else:
            second = int(max((delta.from_s + delta.to_s) / 2, delta.to_s - 0.5))
        # Another process's clock is not trusted beyond two seconds.
        second = max(self._next, min(second, int(self._now_s) + 2))
        if second not in self._open:
            self._open[second] = OpenSecond()
        self._open[second].add(delta, self._names)

    def advance(self, now_s: float) -> None:
        """So late is it in the run."""
        self._now_s = max(now_s, self._now_s)

    def close(self, reported_to_s: float, lost: set[str]) -> None:
        """Close the seconds that are over: every worker has reported up to `reported_to_s`; lost ones do not count."""
        while self._next + 1 <= self._now_s:
            is_complete = reported_to_s >= self._next + 1
            if not is_complete and self._now_s < self._next + 1 + PATIENCE_S:
                break
            second = self._open.pop(self._next, None) or OpenSecond()
            self.timeline.append(*self._row(second, self._next, is_complete, lost))
            if self._next >= self.windows_from_s:
                for window in self.windows.values():
                    window.slide(second.sums)
            self._next += 1

    def rows(self, *, with_open: bool, lost: set[str]) -> tuple[Second, ...]:
        """The timeline; at the end of a run with what is in seconds that never closed."""
        rows = list(self.timeline.rows)
        if with_open and self._open:
            for start_s in range(self._next, max(self._open) + 1):
                rows.append(self._row(self._open.get(start_s) or OpenSecond(), start_s, True, lost)[0])
        return tuple(rows)

    def _row(self, second: OpenSecond, start_s: int, is_complete: bool, lost: set[str]) -> tuple[Second, Distribution]:
        self._gauges.update(second.gauges)
        for worker in lost:
            self._gauges.pop(worker, None)
        return second.row(start_s, self._gauges, is_complete)
