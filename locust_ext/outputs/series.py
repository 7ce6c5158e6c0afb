"""Figures of a run over time: `series` of the timeline's rows, and of what the monitor read. To add one: a line in `SERIES`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from math import isfinite
from typing import Final

from locust_ext.errors import ConfigError
from locust_ext.model import SIDES, TARGET, Second, Snapshot
from locust_ext.outputs.resources_csv import METRICS
from locust_ext.outputs.text import ms


def _rate(column: str) -> Callable[[Second], float | None]:
    return lambda row: getattr(row, column) / row.length_s if row.length_s else None


def _ms(column: str) -> Callable[[Second], float | None]:
    return lambda row: None if (value := getattr(row, column)) is None else ms(value)


SERIES: Final[dict[str, Callable[[Second], float | None]]] = {
    "finished_per_second": _rate("finished"),
    "failures_per_second": _rate("failures"),
    "error_rate": lambda row: row.failures / row.finished if row.finished else None,
    "messages_per_second_sent": _rate("messages_sent"),
    "messages_per_second_received": _rate("messages_received"),
    "bytes_per_second_sent": _rate("bytes_sent"),
    "bytes_per_second_received": _rate("bytes_received"),
    "pushes_per_second": _rate("pushes_received"),
    "round_trips_per_second": _rate("round_trips"),
    "open_connections": lambda row: row.open_connections,
    "in_flight": lambda row: row.in_flight,
    "users": lambda row: row.users,
    "planned_users": lambda row: row.planned_users,
    "min_ms": _ms("min_us"),
    "p50_ms": _ms("p50_us"),
    "p95_ms": _ms("p95_us"),
    "p99_ms": _ms("p99_us"),
    "max_ms": _ms("max_us"),
}
"""Metric -> its value in a row, in the unit of its name (rates of errors from 0 to 1); None: not measured in that row."""

ALIASES: Final = {
    "latency_p50": "p50_ms",
    "latency_p95": "p95_ms",
    "latency_p99": "p99_ms",
    "latency_min": "min_ms",
    "latency_max": "max_ms",
    "rate": "finished_per_second",
    "errors_rate": "failures_per_second",
    "error_ratio": "error_rate",
    "push_rate": "pushes_per_second",
    "connections_open": "open_connections",
    "messages_sent_rate": "messages_per_second_sent",
    "messages_received_rate": "messages_per_second_received",
    "bytes_sent_rate": "bytes_per_second_sent",
    "bytes_received_rate": "bytes_per_second_received",
    "loop_lag_p99": "generator.loop_lag_p99_ms",
    "loop_lag_max": "generator.loop_lag_max_ms",
}
"""What a rule calls it -> its name here; the latencies are those of round trips (WS and SIO), as in the timeline."""
_READ: Final = re.compile(rf"({'|'.join(SIDES)})(?:\[(.*)\])?\.(.+)", re.DOTALL)


def series(snapshot: Snapshot, metric: str, seconds: float) -> list[tuple[int, float]]:
    """`(second, value)` of the last ``seconds`` of the run, oldest first; seconds count from the start of the run.

    ``metric``: a name of `SERIES`, what a rule calls it (`ALIASES`), or what the monitor reads: ``generator.cpu_percent``
    is the highest of all workers in that second, ``generator[2].cpu_percent`` that of worker 2, ``target.<name>`` the
    highest of all sources, in the unit that it was read in. A second in which it was not measured is left out; one that
    is not over is not there yet. After an hour the oldest rows are longer than a second.

    `ConfigError` for an unknown metric (with the nearest one) or no length of time.
    """
    if not (isfinite(seconds) and seconds > 0):
        raise ConfigError("expected seconds, more than 0", source="series", key="seconds", value=seconds)
    name = ALIASES.get(metric, metric)
    if (found := _READ.fullmatch(str(name))) is not None:
        side, source, read = found.groups()
        if side == TARGET or read in METRICS:
            return _read(snapshot, side, source, read, seconds)
    value_of = SERIES.get(name)
    if value_of is None:
        raise _unknown(str(metric))
    rows = snapshot.timeline
    from_s = rows[-1].start_s + rows[-1].length_s - seconds if rows else 0
    return [(row.start_s, value) for row in rows if row.start_s >= from_s and (value := value_of(row)) is not None]


def _read(snapshot: Snapshot, side: str, source: str | None, metric: str, seconds: float) -> list[tuple[int, float]]:
    """Of each second the highest of the sources' averages; ``source``: of that one alone."""
    rows = snapshot.timeline
    end_s = rows[-1].start_s + rows[-1].length_s if rows else snapshot.run.duration_s
    highest: dict[int, float] = {}
    for stats in snapshot.resources:
        if stats.side != side or source not in (None, stats.source):
            continue
        values: dict[int, list[float]] = {}
        for sample in stats.samples:
            second = int(max(0.0, sample.at_s))
            if metric in sample.values and end_s - seconds <= second < end_s:
                values.setdefault(second, []).append(sample.values[metric])
        for second, read in values.items():
            average = sum(read) / len(read)
            highest[second] = max(average, highest.get(second, average))
    return sorted(highest.items())


def _unknown(metric: str) -> ConfigError:
    of_monitor = [f"{side}.{name}" for side in SIDES for name in METRICS]
    near = difflib.get_close_matches(metric, [*SERIES, *ALIASES, *of_monitor], n=1)
    return ConfigError(
        f"unknown metric, expected one of {', '.join(SERIES)}, or generator., master. or target. with what was read",
        source="series",
        value=metric,
        nearest=near[0] if near else None,
    )
