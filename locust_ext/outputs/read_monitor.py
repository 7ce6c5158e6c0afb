"""The monitor's part of `summary.json`, read back: resources, trends, rules and alerts."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, Final, Protocol, TypeVar

from locust_ext.errors import ConfigError
from locust_ext.model import (
    ALERT_STATES,
    GENERATOR,
    MASTER,
    SEVERITIES,
    SIDES,
    TARGET,
    Alert,
    AlertEvent,
    Check,
    Leak,
    ResourceFigures,
    ResourceStats,
    Trend,
)

T = TypeVar("T")
_OUTCOMES: Final = ("passed", "warned", "failed", "no_data")
_TRENDS: Final = ("increasing", "decreasing", "stable", "too little data")
_LEAKS: Final = ("leak likely", "flat", "too short to say")


class Takes(Protocol):
    """What takes values out of a document by type, and says which key is wrong."""

    def get(self, where: Any, key: str, kind: type[T], path: str = "") -> T: ...

    def maybe(self, where: Any, key: str, kind: type[T], path: str = "") -> T | None: ...

    def one_of(self, where: Any, key: str, allowed: tuple[str, ...], path: str) -> str: ...

    @property
    def source(self) -> str: ...


def resources_in(reader: Takes, document: dict[str, Any]) -> tuple[ResourceStats, ...]:
    """Without the samples, which are in `resources.csv`. `ConfigError` names the key that is wrong."""
    resources = reader.maybe(document, "resources", dict) or {}
    trends: dict[tuple[str, str], list[Trend]] = {}
    for number, trend in enumerate(reader.maybe(document, "trends", list) or ()):
        path = f"trends[{number}]."
        of = reader.one_of(trend, "side", SIDES, path), reader.get(trend, "source", str, path)
        trends.setdefault(of, []).append(_trend(reader, trend, path))
    found = []

    def add(side: str, source: str, entry: Any, path: str) -> None:
        if isinstance(entry, dict) and "figures" in entry:
            found.append(_stats(reader, side, source, entry, path, tuple(trends.get((side, source), ()))))

    for side, key in ((GENERATOR, "worker"), (TARGET, "source")):
        if side == TARGET and (master := reader.maybe(resources, "master", dict, "resources.")) is not None:
            add(MASTER, "", master, "resources.master.")
        for number, entry in enumerate(reader.maybe(resources, side, list, "resources.") or ()):
            path = f"resources.{side}[{number}]."
            add(side, reader.get(entry, key, str, path), entry, path)
    return tuple(found)


def _stats(
    reader: Takes, side: str, source: str, entry: dict[str, Any], path: str, trends: tuple[Trend, ...]
) -> ResourceStats:
    figures, limits = reader.get(entry, "figures", dict, path), reader.maybe(entry, "limits", dict, path) or {}
    leak = reader.maybe(entry, "leak", dict, path)
    return ResourceStats(
        side,
        source,
        tuple(_figures(reader, figures, str(metric), f"{path}figures.") for metric in figures),
        trends,
        None if leak is None else _leak(reader, leak, f"{path}leak."),
        limits={str(name): _number(reader, limits, name, f"{path}limits.") for name in limits},
    )


def _figures(reader: Takes, figures: dict[str, Any], metric: str, path: str) -> ResourceFigures:
    of_metric, path = reader.get(figures, metric, dict, path), f"{path}{metric}."
    return ResourceFigures(
        metric,
        reader.get(of_metric, "count", int, path),
        *(_number(reader, of_metric, key, path) for key in ("current", "avg", "min", "max", "median")),
    )


def _leak(reader: Takes, leak: dict[str, Any], path: str) -> Leak:
    return Leak(
        reader.one_of(leak, "verdict", _LEAKS, path),
        reader.get(leak, "text", str, path),
        _maybe_number(reader, leak, "slope_bytes_per_min", path),
        _maybe_number(reader, leak, "slope_error_bytes_per_min", path),
        _maybe_number(reader, leak, "r_squared", path),
    )


def _trend(reader: Takes, trend: Any, path: str) -> Trend:
    return Trend(
        reader.get(trend, "metric", str, path),
        reader.one_of(trend, "verdict", _TRENDS, path),
        *(
            _maybe_number(reader, trend, key, path)
            for key in ("slope_per_min", "slope_error_per_min", "r_squared", "p_value")
        ),
    )


def rules_in(reader: Takes, document: dict[str, Any]) -> tuple[Check, ...]:
    """The rules' results."""
    return tuple(
        Check(
            reader.get(rule, "name", str, f"rules[{number}]."),
            reader.one_of(rule, "outcome", _OUTCOMES, f"rules[{number}]."),
            reader.get(rule, "text", str, f"rules[{number}]."),
            reader.maybe(rule, "value", str, f"rules[{number}].") or "",
            reader.maybe(rule, "limit", str, f"rules[{number}].") or "",
        )
        for number, rule in enumerate(reader.maybe(document, "rules", list) or ())
    )


def alerts_in(reader: Takes, document: dict[str, Any]) -> tuple[tuple[Alert, ...], tuple[AlertEvent, ...]]:
    """Those that fired, and the changes of their states."""
    alerts = reader.maybe(document, "alerts", dict) or {}
    fired = [
        _alert(reader, alert, f"alerts.fired[{number}].")
        for number, alert in enumerate(reader.maybe(alerts, "fired", list, "alerts.") or ())
    ]
    events = [
        _event(reader, event, f"alerts.events[{number}].")
        for number, event in enumerate(reader.maybe(alerts, "events", list, "alerts.") or ())
    ]
    return tuple(fired), tuple(events)


def _alert(reader: Takes, alert: Any, path: str) -> Alert:
    return Alert(
        reader.get(alert, "id", int, path),
        reader.get(alert, "rule", str, path),
        reader.get(alert, "metric", str, path),
        reader.one_of(alert, "severity", SEVERITIES, path),
        reader.one_of(alert, "state", ALERT_STATES, path),
        reader.get(alert, "subject", str, path),
        _number(reader, alert, "value", path),
        _number(reader, alert, "worst", path),
        reader.get(alert, "limit", str, path),
        _number(reader, alert, "since_s", path),
        fired_s=_maybe_number(reader, alert, "fired_s", path),
        acknowledged_s=_maybe_number(reader, alert, "acknowledged_s", path),
        resolved_s=_maybe_number(reader, alert, "resolved_s", path),
        value_text=reader.maybe(alert, "value_text", str, path) or "",
        worst_text=reader.maybe(alert, "worst_text", str, path) or "",
    )


def _event(reader: Takes, event: Any, path: str) -> AlertEvent:
    return AlertEvent(
        _number(reader, event, "at_s", path),
        reader.get(event, "alert", int, path),
        reader.get(event, "rule", str, path),
        reader.one_of(event, "severity", SEVERITIES, path),
        reader.one_of(event, "state", ALERT_STATES, path),
        _number(reader, event, "value", path),
        reader.get(event, "limit", str, path),
        reader.maybe(event, "subject", str, path) or "",
        reader.maybe(event, "text", str, path) or "",
        reader.maybe(event, "value_text", str, path) or "",
    )


def _number(reader: Takes, where: Any, key: str, path: str) -> float:
    """Any finite number; unlike most figures these may be negative."""
    value = where.get(key) if isinstance(where, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ConfigError("expected a number", source=reader.source, key=f"{path}{key}", value=value)
    return float(value)


def _maybe_number(reader: Takes, where: Any, key: str, path: str) -> float | None:
    return _number(reader, where, key, path) if isinstance(where, dict) and key in where else None
