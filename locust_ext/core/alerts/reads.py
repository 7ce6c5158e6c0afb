"""How the metrics come by their values: functions of a `View` and a `Where`, or makers of such."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from locust_ext.core.alerts.view import CONNECT, DROP, View
from locust_ext.core.alerts.where import EACH_WORKER, Where
from locust_ext.model import GENERATOR, MASTER, TARGET, Distribution, OperationStats
from locust_ext.model.search import NEVER_GOOD, SEARCHING

Values = Mapping[str, float]
"""Subject (a worker as people call it; empty: the whole run, or the target) -> value; what has no data is absent."""
NOTHING: Final[Values] = {}

Read = Callable[[View, Where], Values]


def _one(value: float | None) -> Values:
    return NOTHING if value is None else {"": value}


def percentile(kind: str, q: float) -> Read:
    return lambda view, where: _one(view.percentile_ms(kind, where, q))


def average(kind: str) -> Read:
    def read(view: View, where: Where) -> Values:
        samples = view.samples(kind, where)
        count = sum(each.count for each in samples)
        return {"": sum(each.sum_us for each in samples) / count / 1000} if count else NOTHING

    return read


def _extreme(kind: str, choose: Callable[[Iterable[int]], int], of: Callable[[Distribution], int | None]) -> Read:
    def read(view: View, where: Where) -> Values:
        found = [value for each in view.samples(kind, where) if (value := of(each)) is not None]
        return {"": choose(found) / 1000} if found else NOTHING

    return read


def maximum(kind: str) -> Read:
    return _extreme(kind, max, lambda each: each.max_us)


def minimum(kind: str) -> Read:
    return _extreme(kind, min, lambda each: each.min_us)


def _sum(
    view: View, where: Where, of: Callable[[OperationStats], int], operations: tuple[OperationStats, ...]
) -> int | None:
    """Of something over operations; None where no time has passed, or what was narrowed down to has never been."""
    if not view.seconds or (where.is_narrow and not operations):
        return None
    return sum(of(each) for each in operations)


def rate(view: View, where: Where) -> Values:
    count = _sum(view, where, lambda each: each.finished, view.counted(where))
    return NOTHING if count is None else {"": count / view.seconds}


def errors(view: View, where: Where) -> Values:
    return _one(_sum(view, where, where.failures, view.counted(where)))


def errors_rate(view: View, where: Where) -> Values:
    count = _sum(view, where, where.failures, view.counted(where))
    return NOTHING if count is None else {"": count / view.seconds}


def error_ratio(view: View, where: Where) -> Values:
    operations = view.counted(where)
    finished = sum(each.finished for each in operations)
    return {"": sum(map(where.failures, operations)) / finished} if finished else NOTHING


def success_ratio(view: View, where: Where) -> Values:
    return {subject: 1 - ratio for subject, ratio in error_ratio(view, where).items()}


def in_flight(view: View, where: Where) -> Values:
    operations = view.counted(where)
    if where.is_narrow:
        return _one(_sum(view, where, lambda each: each.in_flight, operations))
    return _one(view.average_of_rows("in_flight", sum(each.in_flight for each in operations)))


def rate_ratio(view: View, where: Where) -> Values:
    target = view.snapshot.run.target_rate_per_s
    if not target or not view.seconds:
        return NOTHING
    return {"": view.snapshot.work_finished / view.seconds / target}


def connections_open(view: View, where: Where) -> Values:
    return _one(view.average_of_rows("open_connections", view.snapshot.connections.states.get("open", 0)))


def connected_ratio(view: View, where: Where) -> Values:
    """Over the rows of the timeline in which there were users, at the end of each."""
    open_s = users_s = 0
    for row in view.snapshot.timeline:
        if row.users and row.open_connections is not None and not row.warmup:
            open_s += row.open_connections * row.length_s
            users_s += row.users * row.length_s
    return {"": open_s / users_s} if users_s else NOTHING


def connect_rate(view: View, where: Where) -> Values:
    count = _sum(view, where, lambda each: each.ok, view.operations(where, CONNECT))
    return NOTHING if count is None else {"": count / view.seconds}


def connect_failures(view: View, where: Where) -> Values:
    return _one(_sum(view, where, where.failures, view.operations(where, CONNECT)))


def connect_failure_ratio(view: View, where: Where) -> Values:
    connects = view.operations(where, CONNECT)
    finished = sum(each.finished for each in connects)
    return {"": sum(map(where.failures, connects)) / finished} if finished else NOTHING


def drops(view: View, where: Where) -> Values:
    def drops(each: OperationStats) -> int:
        return where.failures(each) if each.type == DROP else 0

    return _one(_sum(view, where, drops, view.operations(where, CONNECT, DROP)))


def connections_count(field: str) -> Read:
    return lambda view, where: {"": getattr(view.snapshot.connections, field)} if view.seconds else NOTHING


def traffic(field: str) -> Read:
    def read(view: View, where: Where) -> Values:
        return {"": getattr(view.snapshot.traffic, field) / view.seconds} if view.seconds else NOTHING

    return read


def push_rate(view: View, where: Where) -> Values:
    pushes = view.pushes(where)
    if not view.seconds or (where.is_narrow and not pushes):
        return NOTHING
    return {"": sum(push.received for push in pushes) / view.seconds}


def push_reach(view: View, where: Where) -> Values:
    pushes = view.pushes(where)
    expected = sum(push.expected or 0 for push in pushes)
    return {"": sum(push.reached or 0 for push in pushes if push.expected) / expected} if expected else NOTHING


def users(view: View, where: Where) -> Values:
    return _one(view.snapshot.run.users)


def sustained_users(view: View, where: Where) -> Values:
    """Of the search for the limit; nothing where nobody knows: there was none, it goes on, nothing could be measured."""
    search = view.snapshot.search
    if search is None or search.outcome == SEARCHING:
        return NOTHING
    if search.sustained is None:
        return {"": 0.0} if search.outcome == NEVER_GOOD else NOTHING
    return {"": float(search.sustained.users)}


def recovery(view: View, where: Where) -> Values:
    """After the limit was broken; for as long as was waited, where the target did not recover."""
    search = view.snapshot.search
    step = None if search is None or search.outcome == SEARCHING else search.recovery
    if step is None:
        return NOTHING
    return {"": 1000 * (step.length_s if step.recovered_s is None else step.recovered_s)}


def _of_worker(values: Values, where: Where) -> Values:
    if where.worker in (None, EACH_WORKER):
        return values
    return {worker: value for worker, value in values.items() if worker == where.worker}


def loop(metric: str, of: Callable[[Distribution], int | None]) -> Read:
    """From every timer of the run where the snapshot has them, else (in a window) from the monitor's samples."""

    def read(view: View, where: Where) -> Values:
        lags = {each.worker: of(each.lag) for each in view.snapshot.generators}
        exact = {worker: value / 1000 for worker, value in lags.items() if value is not None}
        return _of_worker(exact or view.usage(GENERATOR, metric), where)

    return read


def lateness_p99(view: View, where: Where) -> Values:
    late = {each.worker: each.lateness.percentile_us(99) for each in view.snapshot.generators}
    return _of_worker({worker: value / 1000 for worker, value in late.items() if value is not None}, where)


def generator(metric: str) -> Read:
    return lambda view, where: _of_worker(view.usage(GENERATOR, metric), where)


def master(metric: str) -> Read:
    return lambda view, where: view.usage(MASTER, metric)


def target(metric: str, factor: float = 1.0) -> Read:
    if factor == 1.0:
        return lambda view, where: view.usage(TARGET, metric)
    return lambda view, where: {name: value * factor for name, value in view.usage(TARGET, metric).items()}
