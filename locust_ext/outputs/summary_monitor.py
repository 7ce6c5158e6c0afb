"""The monitor's part of `summary.json`: resources, trends, rules and alerts. What was not measured is absent."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from locust_ext.model import GENERATOR, MASTER, TARGET, Alert, AlertEvent, Check, Leak, ResourceStats, Snapshot, Trend
from locust_ext.outputs.monitor_text import told_trends


def resources_part(snapshot: Snapshot, generators: list[dict[str, Any]]) -> dict[str, Any]:
    """`resources`: ``generators`` (what is known of them without a monitor) with its figures, the master, the target."""
    found: dict[str, Any] = {}
    entries = {str(entry["worker"]): entry for entry in generators}
    target = []
    for stats in snapshot.resources:
        part = _source(stats)
        if stats.side == GENERATOR:
            entries.setdefault(stats.source, {"worker": stats.source}).update(part)
        elif stats.side == MASTER:
            found["master"] = part
        elif stats.side == TARGET:
            target.append({"source": stats.source, **part})
    return ({"generator": list(entries.values())} if entries else {}) | found | ({"target": target} if target else {})


def trends_part(snapshot: Snapshot) -> list[dict[str, Any]]:
    """`trends`: of every source and metric for which one says something."""
    return [
        {"side": stats.side, "source": stats.source, **_trend(trend)}
        for stats in snapshot.resources
        for trend in told_trends(snapshot, stats)
    ]


def rules_part(rules: tuple[Check, ...]) -> list[dict[str, Any]]:
    """`rules`: the results; value and limit where there are any."""
    return [
        {key: value for key, value in asdict(rule).items() if value or key in ("name", "outcome", "text")}
        for rule in rules
    ]


def alerts_part(snapshot: Snapshot) -> dict[str, Any]:
    """`alerts`: those that fired, and each change of their states."""
    return {
        "fired": [_alert(alert) for alert in snapshot.alerts],
        "events": [_event(event) for event in snapshot.alert_events],
    }


def _source(stats: ResourceStats) -> dict[str, Any]:
    part: dict[str, Any] = {
        "figures": {
            each.metric: {
                "count": each.count,
                "current": tidy(each.current),
                "avg": tidy(each.average),
                "min": tidy(each.min),
                "max": tidy(each.max),
                "median": tidy(each.median),
            }
            for each in stats.figures
        }
    }
    if stats.limits:
        part["limits"] = {name: tidy(limit) for name, limit in stats.limits.items()}
    if stats.leak is not None:
        part["leak"] = _leak(stats.leak)
    return part


def _leak(leak: Leak) -> dict[str, Any]:
    return _present(
        {
            "verdict": leak.verdict,
            "text": leak.text,
            "slope_bytes_per_min": leak.slope_bytes_per_min,
            "slope_error_bytes_per_min": leak.slope_error_bytes_per_min,
            "r_squared": leak.r_squared,
        }
    )


def _trend(trend: Trend) -> dict[str, Any]:
    return _present(asdict(trend))


def _alert(alert: Alert) -> dict[str, Any]:
    return _told(asdict(alert))


def _event(event: AlertEvent) -> dict[str, Any]:
    return _told(asdict(event))


def _told(fields: dict[str, Any]) -> dict[str, Any]:
    """Without texts that are not known."""
    return _present({key: value for key, value in fields.items() if value or key not in ("value_text", "worst_text")})


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        key: tidy(value) if isinstance(value, float) else value for key, value in fields.items() if value is not None
    }


def tidy(value: float) -> float:
    """To twelve significant digits: what is beyond is noise of the arithmetic."""
    return float(f"{value:.12g}")
