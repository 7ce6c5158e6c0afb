"""`Tally`: what was counted, family by family; `tallying` reads it from a Snapshot or from a worker's Delta, in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from locust_ext.model import OTHER, ConnectionStats, Delta, Distribution, OperationStats, PushStats, Snapshot
from locust_ext.outputs.metrics.bins import LAG_EDGES_S, Bins, Edges
from locust_ext.outputs.metrics.catalogue import (
    BYTES,
    CALLS_DROPPED,
    CLOSED,
    CONNECTS,
    CPU,
    DROPS,
    DURATION,
    ERRORS,
    EXPECTED,
    INBOX_DROPPED,
    LAG,
    MESSAGES,
    PUSH_LAG,
    PUSHES,
    REACHED,
    RECONNECTS,
    REQUESTS,
    SERVICE,
    STRAYS,
    Family,
)
from locust_ext.outputs.metrics.slots import OUTCOMES, Labels, Slots

PIECE: Final = 1_000
"""Buckets of histograms (and a few for each name) that a piece of work goes through: a fraction of a millisecond."""
LAG_EDGES: Final = Edges(LAG_EDGES_S)
LOCAL: Final = "local"
"""The worker, where there is one process: an empty label would be none."""
_STRAYS: Final = ("late", "duplicate", "unmatched")


class Tally:
    """Counts and histograms by their labels."""

    def __init__(self, edges: Edges) -> None:
        self._edges = edges
        self.counts: dict[Family, dict[Labels, int]] = {}
        self.histograms: dict[Family, dict[Labels, Bins]] = {}

    def count(self, family: Family, labels: Labels, count: int) -> None:
        counts = self.counts.setdefault(family, {})
        counts[labels] = counts.get(labels, 0) + count

    def samples(self, family: Family, labels: Labels, samples: Distribution) -> None:
        self._bins(family, labels).add(samples, self.edges_of(family))

    def _bins(self, family: Family, labels: Labels) -> Bins:
        histograms = self.histograms.setdefault(family, {})
        bins = histograms.get(labels)
        if bins is None:
            bins = histograms[labels] = Bins(self.edges_of(family))
        return bins

    def edges_of(self, family: Family) -> Edges:
        return LAG_EDGES if family is LAG else self._edges

    def merge(self, other: Tally) -> None:
        for family, counts in other.counts.items():
            for labels, count in counts.items():
                self.count(family, labels, count)
        for family, histograms in other.histograms.items():
            for labels, bins in histograms.items():
                self._bins(family, labels).merge(bins)


def tallying(tally: Tally, counted: Snapshot | Delta, slots: Slots) -> Iterator[None]:
    """Add what was counted, in pieces: use it to its end, and read nothing before."""
    yield from _operations(tally, _busiest_new_first(counted.operations, slots), slots)
    for push in sorted(counted.pushes, key=lambda push: -push.received):
        _push(tally, push, slots)
        yield
    traffic = counted.traffic
    for family, sent, received in (
        (MESSAGES, traffic.messages_sent, traffic.messages_received),
        (BYTES, traffic.bytes_sent, traffic.bytes_received),
    ):
        tally.count(family, ("sent",), sent)
        tally.count(family, ("received",), received)
    _connections(tally, counted.connections or ConnectionStats())


def tally_generators(tally: Tally, generators: Iterable[tuple[str, int, Distribution]], slots: Slots) -> None:
    """Add what processes used: worker, microseconds of CPU, lag of its loop. A reset leaves these figures alone."""
    for worker, cpu_us, lag in generators:
        labels = slots.place(CPU, (slots.text(worker or LOCAL),), (OTHER,))
        tally.count(CPU, labels, cpu_us)
        tally.samples(LAG, labels, lag)


def _busiest_new_first(operations: Iterable[OperationStats], slots: Slots) -> list[OperationStats]:
    """Those that have no place yet compete for what is left; where the others stand does not matter."""
    return sorted(
        operations, key=lambda each: slots.knows(REQUESTS, _labels(each, slots)) or (-each.finished - each.cancelled)
    )


def _labels(operation: OperationStats, slots: Slots) -> Labels:
    return slots.text(operation.type), slots.text(operation.name)


def _operations(tally: Tally, operations: Iterable[OperationStats], slots: Slots) -> Iterator[None]:
    work = 0
    for operation in operations:
        _operation(tally, operation, slots)
        work += 50 + len(operation.latency.buckets) + len(operation.service.buckets if operation.service else ())
        if work >= PIECE:
            work = 0
            yield


def _operation(tally: Tally, operation: OperationStats, slots: Slots) -> None:
    own = _labels(operation, slots)
    of_type, others = (own[0], OTHER), (OTHER, OTHER)
    row = slots.place(REQUESTS, own, of_type, others)
    for outcome in OUTCOMES:
        tally.count(REQUESTS, (*row, outcome), getattr(operation, outcome))
    for error_class, count in operation.errors.items():
        class_ = slots.text(error_class)
        labels = slots.place(ERRORS, (*row, class_), (*of_type, class_), (*others, OTHER))
        tally.count(ERRORS, labels, count)
        if operation.type == "DROP":
            tally.count(DROPS, slots.place(DROPS, (class_,), (OTHER,)), count)
    if operation.type == "CONNECT":
        for outcome in OUTCOMES:
            tally.count(CONNECTS, (outcome,), getattr(operation, outcome))
    for outcome in _STRAYS:
        if count := getattr(operation, outcome):
            type_ = slots.place(STRAYS, (own[0],), (OTHER,))
            tally.count(STRAYS, (*type_, outcome), count)
    if operation.latency.count:
        tally.samples(DURATION, slots.place(DURATION, row, of_type, others), operation.latency)
    if operation.service is not None and operation.service.count:
        tally.samples(SERVICE, slots.place(SERVICE, row, of_type, others), operation.service)


def _push(tally: Tally, push: PushStats, slots: Slots) -> None:
    event = slots.place(PUSHES, (slots.text(push.event),), (OTHER,))
    tally.count(PUSHES, event, push.received)
    if push.lag is not None and push.lag.count:
        tally.samples(PUSH_LAG, slots.place(PUSH_LAG, event, (OTHER,)), push.lag)
    if push.expected is not None:
        tally.count(EXPECTED, event, push.expected)
        tally.count(REACHED, event, push.reached or 0)


def _connections(tally: Tally, connections: ConnectionStats) -> None:
    for family, count in (
        (RECONNECTS, connections.reconnects),
        (CLOSED, connections.closed_in_order),
        (INBOX_DROPPED, connections.inbox_dropped),
        (CALLS_DROPPED, connections.handler_calls_dropped),
    ):
        tally.count(family, (), count)
    for outcome in OUTCOMES:
        tally.count(CONNECTS, (outcome,), 0)
