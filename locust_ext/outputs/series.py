"""Figures of a run over time: `series` of the timeline's rows. To add one: a line in `SERIES`."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from math import isfinite
from typing import Final

from locust_ext.errors import ConfigError
from locust_ext.model import Second, Snapshot
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
    "min_ms": _ms("min_us"),
    "p50_ms": _ms("p50_us"),
    "p95_ms": _ms("p95_us"),
    "p99_ms": _ms("p99_us"),
    "max_ms": _ms("max_us"),
}
"""Metric -> its value in a row, in the unit of its name (rates of errors from 0 to 1); None: not measured in that row."""


def series(snapshot: Snapshot, metric: str, seconds: float) -> list[tuple[int, float]]:
    """`(second, value)` of the last ``seconds`` of the timeline, oldest first; seconds count from the start of the run.

    A second in which the metric was not measured is left out; one that is not over is not there yet. After an hour the
    oldest rows are longer than a second. `ConfigError` for an unknown metric (with the nearest one) or no length of time.
    """
    value_of = SERIES.get(metric)
    if value_of is None:
        near = difflib.get_close_matches(str(metric), SERIES, n=1)
        raise ConfigError(
            f"unknown metric, expected one of {', '.join(SERIES)}",
            source="series",
            value=metric,
            nearest=near[0] if near else None,
        )
    if not (isfinite(seconds) and seconds > 0):
        raise ConfigError("expected seconds, more than 0", source="series", key="seconds", value=seconds)
    rows = snapshot.timeline
    from_s = rows[-1].start_s + rows[-1].length_s - seconds if rows else 0
    return [(row.start_s, value) for row in rows if row.start_s >= from_s and (value := value_of(row)) is not None]
