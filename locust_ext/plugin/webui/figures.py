"""What the page of the alerts shows, as JSON: the alerts, rules, changes and the monitor's figures, with texts for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from locust_ext.core.alerts.metrics import metric_named
from locust_ext.core.alerts.units import value_text
from locust_ext.model import (
    CRITICAL,
    FIRING,
    GENERATOR,
    MASTER,
    RESOLVED,
    Alert,
    AlertEvent,
    ResourceFigures,
    ResourceStats,
    RunInfo,
    Snapshot,
)
from locust_ext.outputs.text import shown
from locust_ext.plugin.webui.rows import ELSEWHERE, URGENCY, alert_value_text, source_text

MOST_CHANGES: Final = 200
"""Of the history, the latest."""
LABELS: Final[Mapping[str, str]] = {
    "cpu_percent": "CPU",
    "memory_bytes": "Memory",
    "descriptors": "Descriptors",
    "threads": "Threads",
    "processes": "Processes",
    "greenlets": "Greenlets",
    "loop_lag_p99_ms": "Loop lag p99",
    "sent_bytes_per_second": "Sent",
    "received_bytes_per_second": "Received",
    "ports_left": "Ports left",
    "context_keys": "Keys",
    "connected_clients": "Clients",
}
"""Metric -> the head of its column, in their order; others of the target stand together."""
_COUNT: Final = {"max": "max"}
_ABOUT: Final[Mapping[str, Mapping[str, str]]] = {
    "descriptors": _COUNT,
    "threads": _COUNT,
    "processes": _COUNT,
    "greenlets": _COUNT,
    "ports_left": {"min": "min"},
}
"""Metric -> word -> figure, where not its average and its maximum say most."""
NO_BREAK: Final = "\u00a0"
_LIMITS: Final[Mapping[str, tuple[str, str]]] = {
    "descriptors_limit": ("", "descriptors"),
    "memory_limit_bytes": ("B", "of memory"),
    "cpu_limit_cores": ("", "cores"),
}
"""Limit -> its unit, and what stands behind it."""


class Judged(Protocol):
    """The live evaluator: `locust_ext.core.alerts.evaluator.Evaluator`."""

    @property
    def pending(self) -> Sequence[Alert]:
        """Alerts that wait for their rule's `for`."""

    @property
    def events(self) -> Sequence[AlertEvent]:
        """In the order of time."""


class LiveAlerts(Protocol):
    """The rules at work: `locust_ext.plugin.alerting.Alerting`."""

    @property
    def is_given(self) -> bool:
        """Whether there are rules."""

    @property
    def evaluator(self) -> Judged: ...

    def describe(self) -> dict[str, Any]:
        """`rules`, `alerts` (those that fired), `is_run`, and `now_s`: the present in the seconds of the alerts."""

    def told(self, snapshot: Snapshot) -> Snapshot:
        """With the changes of the run that goes on, or of the last one."""

    def acknowledge(self, alert: int) -> bool: ...

    def set_threshold(self, rule: str, severity: str, value: str | float | None) -> None:
        """Raises `ConfigError`."""


def alert_figures(live: LiveAlerts) -> dict[str, Any]:
    """The rules' part of the page; small, and always of this moment."""
    described, judged = live.describe(), live.evaluator
    alerts = sorted((_alert(each) for each in (*described["alerts"], *map(fields_of, judged.pending))), key=_urgency)
    told = live.told(Snapshot()).alert_events
    is_earlier = not described["is_run"] and tuple(told) != tuple(judged.events)
    return {
        "has_rules": live.is_given,
        "now_s": described.get("now_s"),
        "alerts": alerts,
        "rules": [_rule(each, alerts) for each in described["rules"]],
        "changes": [fields_of(each) for each in reversed(judged.events[-MOST_CHANGES:])],
        "last_run": [fields_of(each) for each in reversed(told[-MOST_CHANGES:])] if is_earlier else [],
    }


def fields_of(plain: Alert | AlertEvent) -> dict[str, Any]:
    return {name: getattr(plain, name) for name in plain.__dataclass_fields__}


def _alert(alert: Mapping[str, Any]) -> dict[str, Any]:
    metric = alert["metric"]
    texts = {f"{name}_text": alert_value_text(metric, alert[name]) for name in ("value", "worst")}
    return {**alert, **texts}


def _urgency(alert: Mapping[str, Any]) -> tuple[int, bool, float]:
    state = alert["state"]
    return URGENCY.index(state) if state in URGENCY else len(URGENCY), alert["severity"] != CRITICAL, -alert["since_s"]


def _rule(rule: Mapping[str, Any], alerts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """With its state: that of its most urgent alert (of one that fires: the severity), else `ok` or `no data`."""
    live = next((each for each in alerts if each["rule"] == rule["name"] and each["state"] != RESOLVED), None)
    if live is not None:
        state = live["severity"] if live["state"] == FIRING else live["state"]
    else:
        state = "ok" if rule["values"] else "no data"
    known = metric_named(rule["metric"])
    return {**rule, "state": state, "help": known.help if known is not None else ""}


def run_figures(run: RunInfo) -> dict[str, Any]:
    return {"id": run.id, "duration_s": round(run.duration_s, 1), "users": run.users, "host": run.host}


def monitor_figures(resources: Sequence[ResourceStats]) -> dict[str, Any]:
    """`columns`: the metrics that have one; `sources`, in their order: figures as texts, limits, and the leak verdict."""
    found = {each.metric for stats in resources for each in stats.figures}
    columns = [{"metric": metric, "label": label} for metric, label in LABELS.items() if metric in found]
    return {"columns": columns, "sources": [_source(stats) for stats in resources]}


def _source(stats: ResourceStats) -> dict[str, Any]:
    leak = stats.leak
    return {
        "name": source_text(stats.side, stats.source),
        "side": stats.side,
        "figures": {each.metric: _figure(stats.side, each) for each in stats.figures},
        "others": {
            shown(each.metric): _figure(stats.side, each)["current"]
            for each in stats.figures
            if each.metric not in LABELS and each.metric not in ELSEWHERE
        },
        "limits": ", ".join(_limit(name, value) for name, value in stats.limits.items()),
        "leak": None if leak is None else {"verdict": leak.verdict, "text": shown(leak.text, 200)},
    }


def _figure(side: str, figures: ResourceFigures) -> dict[str, Any]:
    """`value` is the latest; the others are texts, `about` those that say most of this metric's past."""
    known = metric_named(f"{GENERATOR if side == MASTER else side}.{figures.metric}")
    unit = known.unit if known is not None else ""
    texts = {name: value_text(getattr(figures, name), unit) for name in ("current", "average", "min", "max")}
    wanted = _ABOUT.get(figures.metric, {"avg": "average", "max": "max"})
    is_steady = figures.min == figures.current == figures.max
    about = (
        "" if is_steady else ", ".join(f"{word} {texts[name]}".replace(" ", NO_BREAK) for word, name in wanted.items())
    )
    return {"value": figures.current, "about": about, **texts}


def _limit(name: str, value: float) -> str:
    unit, of = _LIMITS.get(name, ("", shown(name)))
    return f"{value_text(value, unit)} {of}"
