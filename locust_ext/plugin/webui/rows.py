"""The tables of our tabs in Locust's web UI: Snapshot -> rows whose cells are texts and numbers.

Locust's page sorts a table by its rows' ``name`` at first; ours have none, so that they keep the order given here. A
click on a column's head sorts by it: what is a number stays one. Keys are of one word: the page rewrites others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from locust_ext.core.alerts.metrics import metric_named
from locust_ext.core.alerts.units import value_text
from locust_ext.core.lifecycle.states import ConnectionState
from locust_ext.model import (
    ACKNOWLEDGED,
    CRITICAL,
    FIRING,
    GENERATOR,
    MASTER,
    PENDING,
    RESOLVED,
    Alert,
    Distribution,
    PushStats,
    ResourceStats,
    Snapshot,
)
from locust_ext.outputs.text import ms, percent_text, shown

Cell = str | int | float
Row = dict[str, Cell]
NONE: Final = "–"
MOST: Final = 500
"""Rows of a table, as Locust has them."""
MOST_PUSHES: Final = 100
URGENCY: Final = (FIRING, ACKNOWLEDGED, PENDING, RESOLVED)


@dataclass(frozen=True, slots=True)
class Tab:
    """One table in Locust's web UI."""

    key: str
    title: str
    columns: Mapping[str, str]
    """Key of the cells -> head of the column."""
    rows: Callable[[Snapshot], list[Row]]
    nothing: str
    """What stands in the first cell where there is no row."""

    def table(self, snapshot: Snapshot) -> list[Row]:
        if rows := self.rows(snapshot):
            return rows[:MOST]
        first, *others = self.columns
        return [{first: self.nothing, **dict.fromkeys(others, "")}]


# ── connections ───────────────────────────────────────────────────────────────────────────────────────────────────────


def connection_rows(snapshot: Snapshot) -> list[Row]:
    """Each state with its connections now, in the order of a connection's life; then what has happened to them so far."""
    connections = snapshot.connections
    now = sum(connections.states.values())
    rows: list[Row] = []
    for state in ConnectionState:
        count = connections.states.get(state.value, 0)
        rows.append({"what": f"now {state.value}", "count": count, "share": percent_text(count, now) if now else NONE})
    so_far = {
        "peak open": connections.peak_open,
        "opened": snapshot.connects_ok,
        "failed to open": snapshot.connects - snapshot.connects_ok,
        "closed in order": connections.closed_in_order,
        "dropped": snapshot.dropped,
        "reconnects": connections.reconnects,
        "open again after a loss": connections.recovery.count,
        "failovers to another host": connections.failovers,
    }
    rows += ({"what": what, "count": count, "share": ""} for what, count in so_far.items())
    return rows


# ── pushes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def push_rows(snapshot: Snapshot) -> list[Row]:
    """Most received first, a hundred at most: percentiles cost. The reports have all."""
    most = sorted(snapshot.pushes, key=lambda push: (-push.received, push.event))[:MOST_PUSHES]
    return [_push_row(push) for push in most]


def _push_row(push: PushStats) -> Row:
    median, late = _percentiles_ms(push.lag, 50, 95)
    (spread,) = _percentiles_ms(push.spread, 95)
    return {
        "event": shown(push.event),
        "received": push.received,
        "reach": percent_text(push.reached or 0, push.expected) if push.expected else NONE,
        "missing": NONE if push.never_came is None else push.never_came,
        "median": median,
        "late": late,
        "spread": spread,
    }


def _percentiles_ms(distribution: Distribution | None, *qs: float) -> list[Cell]:
    if distribution is None:
        return [NONE] * len(qs)
    return [NONE if value_us is None else ms(value_us) for value_us in distribution.percentiles_us(qs)]


# ── resources ─────────────────────────────────────────────────────────────────────────────────────────────────────────

_COLUMNS: Final[Mapping[str, tuple[str, float, int]]] = {
    "cpu": ("cpu_percent", 1, 1),
    "memory": ("memory_bytes", 1e6, 1),
    "descriptors": ("descriptors", 1, 0),
    "threads": ("threads", 1, 0),
    "greenlets": ("greenlets", 1, 0),
    "lag": ("loop_lag_p99_ms", 1, 2),
    "sent": ("sent_bytes_per_second", 1e3, 1),
    "received": ("received_bytes_per_second", 1e3, 1),
    "ports": ("ports_left", 1, 0),
}
"""Key of the cells -> the metric, what its value is divided by, and digits after the point."""
ELSEWHERE: Final = frozenset({"loop_lag_max_ms", "descriptors_percent", "memory_percent"})
"""Read of every process, and said by another column."""


def source_text(side: str, source: str) -> str:
    """`worker 3`, `master`, `target port 8080`; the one process of a run is the `generator`."""
    if side == GENERATOR:
        return f"worker {shown(source)}" if source else "generator"
    return "master" if side == MASTER else f"target {shown(source)}".rstrip()


def resource_rows(snapshot: Snapshot) -> list[Row]:
    """A row for each source, in the Snapshot's order: generators, master, target. The latest values."""
    return [_resource_row(stats) for stats in snapshot.resources]


def _resource_row(stats: ResourceStats) -> Row:
    now = {figures.metric: figures.current for figures in stats.figures}
    row: Row = {"source": source_text(stats.side, stats.source)}
    for key, (metric, unit, digits) in _COLUMNS.items():
        value = now.pop(metric, None)
        row[key] = NONE if value is None else _rounded(value / unit, digits)
    others = [f"{shown(metric)} {value:,.6g}" for metric, value in now.items() if metric not in ELSEWHERE]
    row["other"] = shown(", ".join(others), 300)
    row["leak"] = NONE if stats.leak is None else shown(stats.leak.text, 120)
    return row


def _rounded(value: float, digits: int) -> float:
    return round(value, digits) if digits else round(value)


# ── alerts ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def by_urgency(alerts: Sequence[Alert]) -> list[Alert]:
    """Firing before acknowledged, pending and resolved; of the same state the critical ones, then the latest, first."""
    order = {state: number for number, state in enumerate(URGENCY)}
    return sorted(
        alerts, key=lambda alert: (order.get(alert.state, len(order)), alert.severity != CRITICAL, -alert.since_s)
    )


def clock_text(seconds: float) -> str:
    """`0:07`, `12:40`, `1:02:03`."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def alert_value_text(metric: str, value: float) -> str:
    """`812 ms`: a value with the unit of its metric."""
    known = metric_named(metric)
    return value_text(value, known.unit if known is not None else "")


def alert_rows(snapshot: Snapshot) -> list[Row]:
    """The most urgent first."""
    return [
        {
            "rule": shown(alert.rule),
            "severity": alert.severity,
            "state": alert.state,
            "value": alert_value_text(alert.metric, alert.value),
            "limit": shown(alert.limit),
            "worker": shown(alert.subject) or NONE,
            "since": clock_text(alert.since_s),
        }
        for alert in by_urgency(snapshot.alerts)
    ]


TABS: Final = (
    Tab(
        "ext-connections",
        "Connections",
        {"what": "Connections", "count": "Number", "share": "Share"},
        connection_rows,
        "",
    ),
    Tab(
        "ext-pushes",
        "Pushes",
        {
            "event": "Event",
            "received": "# Received",
            "reach": "Reach",
            "missing": "# Never came",
            "median": "Lag median (ms)",
            "late": "Lag 95%ile (ms)",
            "spread": "Spread 95%ile (ms)",
        },
        push_rows,
        "No push has been received yet.",
    ),
    Tab(
        "ext-resources",
        "Resources",
        {
            "source": "Source",
            "cpu": "CPU (% of a core)",
            "memory": "Memory (MB)",
            "descriptors": "Descriptors",
            "threads": "Threads",
            "greenlets": "Greenlets",
            "lag": "Loop lag 99%ile (ms)",
            "sent": "Sent (kB/s)",
            "received": "Received (kB/s)",
            "ports": "Ports left",
            "other": "Others",
            "leak": "Leak",
        },
        resource_rows,
        "The monitor has read nothing yet.",
    ),
    Tab(
        "ext-alerts",
        "Alerts",
        {
            "rule": "Rule",
            "severity": "Severity",
            "state": "State",
            "value": "Value",
            "limit": "Limit",
            "worker": "Worker",
            "since": "Since (time of the run)",
        },
        alert_rows,
        "No alert. Rules are given with --ext-rules FILE (or: default).",
    ),
)
