"""Counts of a period or of a whole run, added up from deltas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from locust_ext.core.accounting.ended import EndedConnections
from locust_ext.core.accounting.ledger import Ledger
from locust_ext.core.accounting.names import Key, Names
from locust_ext.core.accounting.pushes import PushCount
from locust_ext.core.accounting.recoveries import Recoveries
from locust_ext.model import ConnectionStats, Delta, OperationStats, PushStats, TrafficStats

_CONNECTION_COUNTS: Final = ("reconnects", "closed_in_order", "inbox_dropped", "handler_calls_dropped")
"""Fields of `ConnectionStats` that add."""
PIECE: Final = 2_000
"""Buckets of histograms (and a few for each name) that a piece of work goes through: a millisecond or so."""


class Sums:
    """Everything that adds. Gauges (in flight, open connections) do not, and are kept by whoever knows the workers."""

    __slots__ = (*_CONNECTION_COUNTS, "ended", "ledgers", "pushes", "recoveries", "traffic")

    reconnects: int
    closed_in_order: int
    inbox_dropped: int
    handler_calls_dropped: int

    def __init__(self) -> None:
        self.ledgers: dict[Key, Ledger] = {}
        self.pushes: dict[str, PushCount] = {}
        self.traffic = [0, 0, 0, 0]
        """In the order of `TrafficStats`."""
        self.reconnects = self.closed_in_order = self.inbox_dropped = self.handler_calls_dropped = 0
        self.ended = EndedConnections()
        self.recoveries = Recoveries()

    def add(self, delta: Delta, names: Names) -> None:
        """Add a delta, or one part of one."""
        for stats in delta.operations:
            self._add_operation(names.resolve((stats.type, stats.name, stats.tags)), stats)
        for push in delta.pushes:
            self.push(names.event(push.event)).merge(push)
        traffic = delta.traffic
        sent_and_received = (
            traffic.messages_sent,
            traffic.messages_received,
            traffic.bytes_sent,
            traffic.bytes_received,
        )
        self._add_rest(sent_and_received, delta.connections or ConnectionStats(), 1)
        if delta.connections is not None:
            self.ended.merge(delta.connections.ended)
            self.recoveries.merge(delta.connections.recoveries)

    def merge(self, other: Sums) -> None:
        """Add another period."""
        for _ in self.merging(other):
            pass

    def merging(self, other: Sums) -> Iterator[None]:
        """`merge` in pieces: use it to its end, and read nothing before."""
        work = 0
        for key, ledger in other.ledgers.items():
            self._add_operation(key, ledger.freeze())
            work += ledger.size
            if work >= PIECE:
                work = 0
                yield
        for event, count in other.pushes.items():
            self.push(event).merge(count.freeze())
            work += count.size
            if work >= PIECE:
                work = 0
                yield
        self.ended.merge(other.ended.freeze())
        self.recoveries.merge(other.recoveries.freeze())
        self._add_rest(other.traffic, other, 1)

    def subtracting(self, other: Sums) -> Iterator[None]:
        """Take out a period that was merged before, and what is empty then; in pieces, as `merging`."""
        work = 0
        for key, ledger in other.ledgers.items():
            mine = self.ledgers.get(key)
            if mine is not None:  # gone already: it was there with nothing but operations in flight
                mine.subtract(ledger.freeze())
                if mine.is_empty:
                    del self.ledgers[key]
            work += ledger.size
            if work >= PIECE:
                work = 0
                yield
        for event, count in other.pushes.items():
            my_count = self.pushes.get(event)
            if my_count is not None:
                my_count.subtract(count.freeze())
                if my_count.is_empty:
                    del self.pushes[event]
            work += count.size
            if work >= PIECE:
                work = 0
                yield
        self.ended.subtract(other.ended.freeze())
        self.recoveries.subtract(other.recoveries.freeze())
        self._add_rest(other.traffic, other, -1)

    def push(self, event: str) -> PushCount:
        """The counts of one event, whose name `Names.event` gave."""
        count = self.pushes.get(event)
        if count is None:
            count = self.pushes[event] = PushCount(event)
        return count

    def operations(self, in_flight: Mapping[Key, int]) -> tuple[OperationStats, ...]:
        """The ledgers in order, with these operations in flight; those with nothing in them are left out."""
        found = []
        for key in sorted(self.ledgers.keys() | {key for key, count in in_flight.items() if count}):
            ledger = self.ledgers.get(key) or Ledger(key)
            ledger.in_flight = in_flight.get(key, 0)
            if not ledger.is_empty or ledger.in_flight:  # all may have been withdrawn
                found.append(ledger.freeze())
        return tuple(found)

    def push_stats(self) -> tuple[PushStats, ...]:
        return tuple(self.pushes[event].freeze() for event in sorted(self.pushes) if not self.pushes[event].is_empty)

    def connection_stats(self, states: Mapping[str, int], peak_open: int) -> ConnectionStats:
        """With these gauges."""
        counts = {count: getattr(self, count) for count in _CONNECTION_COUNTS}
        return ConnectionStats(
            states, peak_open, ended=self.ended.freeze(), recoveries=self.recoveries.freeze(), **counts
        )

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in it, not even an operation in flight."""
        nothing = not (self.ledgers or self.pushes or any(self.traffic) or self.ended.freeze().lifetime_ms.count)
        return nothing and self.recoveries.is_empty and not any(getattr(self, count) for count in _CONNECTION_COUNTS)

    def traffic_stats(self) -> TrafficStats:
        return TrafficStats(*self.traffic)

    def _add_operation(self, key: Key, stats: OperationStats) -> None:
        ledger = self.ledgers.get(key)
        if ledger is None:
            ledger = self.ledgers[key] = Ledger(key)
        ledger.merge(stats)

    def _add_rest(self, traffic: Sequence[int], connections: Sums | ConnectionStats, sign: int) -> None:
        for position, count in enumerate(traffic):
            self.traffic[position] += sign * count
        for field in _CONNECTION_COUNTS:
            setattr(self, field, getattr(self, field) + sign * getattr(connections, field))
