"""What stands as it stands: the run, users, connections, resources and alerts, each as (family, labels, value)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Final

from locust_ext.model import ALERT_STATES, GENERATOR, MASTER, OTHER, TARGET, ResourceStats, Snapshot
from locust_ext.outputs.metrics.catalogue import (
    ALERTS,
    COMPLETE,
    CONNECTIONS,
    CPU,
    DESCRIPTORS_LIMIT,
    FOLDED,
    GENERATOR_GAUGES,
    IN_FLIGHT,
    RATE,
    RATE_WANTED,
    RUN_DURATION,
    TARGET_GAUGES,
    TARGET_SAMPLE,
    USERS_PRESENT,
    USERS_WANTED,
    VALID,
    WORKERS,
    Family,
)
from locust_ext.outputs.metrics.slots import Labels, Slots
from locust_ext.outputs.metrics.tally import LOCAL

Value = tuple[Family, Labels, float]
STATES: Final = ("idle", "connecting", "open", "closing", "waiting", "closed", "failed")
RATE_S: Final = 5
ORDER: Final = (
    *(VALID, COMPLETE, RUN_DURATION, WORKERS, USERS_WANTED, USERS_PRESENT, RATE_WANTED, RATE, IN_FLIGHT, CONNECTIONS),
    *(*GENERATOR_GAUGES.values(), DESCRIPTORS_LIMIT, *TARGET_GAUGES.values(), TARGET_SAMPLE, ALERTS, FOLDED),
)


@dataclass(frozen=True, slots=True)
class Live:
    """What only the process knows whose metrics these are; None: it does not."""

    users_wanted: int | None = None
    users_present: int | None = None
    rate_wanted: float | None = None
    """Operations a second."""
    rules: tuple[tuple[str, str], ...] = ()
    """(rule, severity) of the alerts that there can be."""
    worker: str | None = None
    """The worker whose own metrics these are: it cannot judge the run. None: they are the run's."""


def gauges(snapshot: Snapshot, live: Live, slots: Slots) -> dict[Family, dict[Labels, float]]:
    """Every gauge that there is, in the order of the exposition; before any run those that need none."""
    found: dict[Family, dict[Labels, float]] = {family: {} for family in ORDER}
    for family, labels, value in _values(snapshot, live, slots):
        if isfinite(value):
            found[family][labels] = value
    found[FOLDED] = {(): float(len(slots.folded))}
    return {family: values for family, values in found.items() if values}


def _values(snapshot: Snapshot, live: Live, slots: Slots) -> Iterator[Value]:
    for family, value in (
        (USERS_WANTED, live.users_wanted),
        (USERS_PRESENT, live.users_present),
        (RATE_WANTED, live.rate_wanted),
    ):
        if value is not None:
            yield family, (), float(value)
    if snapshot.run.id:
        yield from _of_run(snapshot, live, slots)
    yield from ((CONNECTIONS, (state,), float(snapshot.connections.states.get(state, 0))) for state in STATES)
    for stats in snapshot.resources:
        yield from _of_target(stats, slots) if stats.side == TARGET else _of_generator(stats, live, slots)
    yield from _alerts(snapshot, live, slots)


def _of_run(snapshot: Snapshot, live: Live, slots: Slots) -> Iterator[Value]:
    run = snapshot.run
    in_flight: dict[Labels, int] = {}
    for operation in snapshot.operations:
        labels = slots.place(IN_FLIGHT, (slots.text(operation.type),), (OTHER,))
        in_flight[labels] = in_flight.get(labels, 0) + operation.in_flight
    yield from ((IN_FLIGHT, labels, float(count)) for labels, count in in_flight.items())
    yield RUN_DURATION, (), run.duration_s
    if live.worker is not None:
        return
    yield VALID, (), float(run.valid)
    yield COMPLETE, (), float(run.complete)
    yield WORKERS, (), float(run.workers)
    rows = snapshot.timeline[-RATE_S:]
    length_s = sum(row.length_s for row in rows)
    if length_s:
        yield RATE, (), 0.0 if run.complete else sum(row.finished for row in rows) / length_s


def _of_generator(stats: ResourceStats, live: Live, slots: Slots) -> Iterator[Value]:
    name = MASTER if stats.side == MASTER else stats.source or live.worker or LOCAL
    labels = slots.place(CPU, (slots.text(name),), (OTHER,))
    if labels == (OTHER,):
        return  # the memory of half of the workers says nothing
    for figures in stats.figures:
        family = GENERATOR_GAUGES.get(figures.metric)
        if family is not None:
            yield family, labels, figures.current * family.scale
    if (limit := stats.limits.get("descriptors_limit")) is not None and stats.side in (GENERATOR, MASTER):
        yield DESCRIPTORS_LIMIT, labels, limit


def _of_target(stats: ResourceStats, slots: Slots) -> Iterator[Value]:
    source = slots.text(stats.source)
    for figures in stats.figures:
        family = TARGET_GAUGES.get(figures.metric)
        known = (source, figures.metric) if family else (source, slots.text(figures.metric))
        labels = slots.place(TARGET_SAMPLE, known, (OTHER, OTHER))
        if labels == (OTHER, OTHER):
            continue
        if family is not None:
            yield family, (source,), figures.current * family.scale
        else:
            yield TARGET_SAMPLE, labels, figures.current


def _alerts(snapshot: Snapshot, live: Live, slots: Slots) -> Iterator[Value]:
    """Each rule and severity, in all states: an alert that is over goes to 0."""
    found = [(alert.rule, alert.severity, alert.state) for alert in snapshot.alerts]
    counts: dict[tuple[Labels, str], int] = {}
    for rule, severity, now in (*found, *((rule, severity, "") for rule, severity in live.rules)):
        which = slots.place(ALERTS, (slots.text(rule), slots.text(severity)), (OTHER, OTHER))
        for state in ALERT_STATES:
            counts[which, state] = counts.get((which, state), 0) + (now == state)
    yield from ((ALERTS, (*which, state), float(count)) for (which, state), count in counts.items())
