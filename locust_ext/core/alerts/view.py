"""A Snapshot as the metrics read it: narrowed by a `Where`, each distribution merged and each percentile found once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from locust_ext.core.alerts.percentiles import Percentiles
from locust_ext.core.alerts.where import Where
from locust_ext.model import PUSH, TARGET, Distribution, OperationStats, PushStats, Snapshot

CONNECT: Final = "CONNECT"
DROP: Final = "DROP"
NOT_REQUESTS: Final = frozenset({CONNECT, "POOL", PUSH, "ALERT"})
"""Types whose times are no response times: latency metrics leave them out unless `where.type` names them."""
NOT_OPERATIONS: Final = frozenset({PUSH, "ALERT"})
"""What is counted beside the operations."""


class View:
    """One Snapshot for the length of one evaluation; asks nothing of it twice."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.seconds = snapshot.run.duration_s
        self._kept: dict[tuple[object, ...], tuple[OperationStats, ...]] = {}
        self._samples: dict[tuple[str, Where], tuple[Distribution, ...]] = {}
        self._percentiles: dict[tuple[str, Where], Percentiles] = {}
        self._percentiles_of: dict[tuple[int, ...], Percentiles] = {}
        self._names: dict[str, list[OperationStats]] | None = None
        self._usage: dict[tuple[str, str], dict[str, float]] = {}

    # -- operations and pushes -------------------------------------------------------------------------------------

    def operations(
        self, where: Where, *types: str, without: frozenset[str] = frozenset()
    ) -> tuple[OperationStats, ...]:
        """Those that `where` means: of its types, or of `types` where it names none, or all but `without`."""
        wanted = where.types or types
        key = (where, wanted, without)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = tuple(
                each
                for each in self._called(where.name)
                if (each.type in wanted if wanted else each.type not in without) and where.covers(each)
            )
        return found

    def _called(self, name: str | None) -> Iterable[OperationStats]:
        """The operations of this name; all, where it is a pattern or None."""
        if name is None or "*" in name:
            return self.snapshot.operations
        if self._names is None:
            self._names = {}
            for each in self.snapshot.operations:
                self._names.setdefault(each.name, []).append(each)
        return self._names.get(name, ())

    def counted(self, where: Where) -> tuple[OperationStats, ...]:
        """Those whose results are counted: all but pushes and recorded alerts."""
        return self.operations(where, without=NOT_OPERATIONS)

    def pushes(self, where: Where) -> tuple[PushStats, ...]:
        if where.name is None:
            return self.snapshot.pushes
        return tuple(push for push in self.snapshot.pushes if where.covers_push(push))

    # -- times -----------------------------------------------------------------------------------------------------

    def samples(self, kind: str, where: Where) -> tuple[Distribution, ...]:
        """The distributions of one of `TIMES`, those with samples only."""
        found = self._samples.get((kind, where))
        if found is None:
            found = self._samples[kind, where] = tuple(each for each in TIMES[kind](self, where) if each.count)
        return found

    def percentile_ms(self, kind: str, where: Where, q: float) -> float | None:
        """The percentile (0 to 100) over all of them as one distribution."""
        percentiles = self._percentiles.get((kind, where))
        if percentiles is None:
            samples = self.samples(kind, where)
            same = tuple(map(id, samples))  # in an unpaced mode response and service times are the same objects
            percentiles = self._percentiles_of.get(same)
            if percentiles is None:
                percentiles = self._percentiles_of[same] = Percentiles(samples)
            self._percentiles[kind, where] = percentiles
        microseconds = percentiles.us(q)
        return None if microseconds is None else microseconds / 1000

    # -- what is not counted but read ------------------------------------------------------------------------------

    def usage(self, side: str, metric: str) -> dict[str, float]:
        """Source -> average over the snapshot's time. The target's sources as one: the highest, under the empty name."""
        found = self._usage.get((side, metric))
        if found is None:
            read = ((each.source, each.value(metric)) for each in self.snapshot.resources if each.side == side)
            found = {source: value for source, value in read if value is not None}
            if side == TARGET and found:
                found = {"": max(found.values())}
            self._usage[side, metric] = found
        return found

    def average_of_rows(self, column: str, now: int) -> float | None:
        """The average of a gauge over the rows of the timeline, by their lengths; without rows its value `now`."""
        total = length_s = 0
        for row in self.snapshot.timeline:
            value = getattr(row, column)
            if value is not None and not row.warmup:
                total += value * row.length_s
                length_s += row.length_s
        if length_s:
            return total / length_s
        return float(now) if now or self.seconds else None


def _latencies(view: View, where: Where) -> tuple[Distribution, ...]:
    return tuple(each.latency for each in view.operations(where, without=NOT_REQUESTS))


def _services(view: View, where: Where) -> tuple[Distribution, ...]:
    operations = view.operations(where, without=NOT_REQUESTS)
    return tuple(each.latency if each.service is None else each.service for each in operations)


def _connects(view: View, where: Where) -> tuple[Distribution, ...]:
    return tuple(each.latency for each in view.operations(where, CONNECT))


def _push_lags(view: View, where: Where) -> tuple[Distribution, ...]:
    return tuple(each.lag for each in view.pushes(where) if each.lag is not None)


def _push_spreads(view: View, where: Where) -> tuple[Distribution, ...]:
    return tuple(each.spread for each in view.pushes(where) if each.spread is not None)


def _recoveries(view: View, where: Where) -> tuple[Distribution, ...]:
    return tuple(each.time for each in view.snapshot.connections.recoveries)


TIMES: Final[Mapping[str, Callable[[View, Where], tuple[Distribution, ...]]]] = {
    "latency": _latencies,
    "service": _services,
    "connect": _connects,
    "push_lag": _push_lags,
    "push_spread": _push_spreads,
    "recovery": _recoveries,
}
"""What has a distribution of times -> where it is in a Snapshot."""
