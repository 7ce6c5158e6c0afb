"""Rules, alerts and resources as short lines for people; shared by the console and `summary.md`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from locust_ext.model import CRITICAL, GENERATOR, MASTER, TARGET, Alert, Check, ResourceStats, Snapshot, Trend
from locust_ext.outputs.text import count_text, shown

LEAK_LIKELY: Final = "leak likely"
STATES: Final = {"failed": "FAIL", "warned": "warn", "no_data": "no data", "passed": "pass"}
"""Outcome -> what the table of rules says, the worst first."""
MAX_RULES: Final = 12
MAX_LIMIT: Final = 34
MAX_SOURCES: Final = 3
MAX_DETAIL_LINES: Final = 4
RESTLESS: Final = frozenset({"loop_lag_max_ms", "sent_bytes_per_second", "received_bytes_per_second"})
"""An extreme value, and what the whole machine's network carries: they rise and fall without a cause in the run."""
LEAST_RESTLESS_S: Final = 120.0
"""From this length of a run on their trends are told."""
_WIDTH: Final = 80
_MIB: Final = 2**20


def in_order(rules: Sequence[Check]) -> list[Check]:
    """Failures first, then warnings, then those without data; within each as they were given."""
    order = list(STATES)
    return sorted(rules, key=lambda rule: order.index(rule.outcome) if rule.outcome in order else len(order))


def rules_table(rules: Sequence[Check]) -> list[str]:
    """State, rule, value and limit, at most 80 columns wide; of the failed ones also what came of them."""
    told = in_order(rules)[:MAX_RULES]
    rows = [("State", "Rule", "Value", "Limit")]
    rows += [
        (
            STATES.get(each.outcome, shown(each.outcome, 7)),
            shown(each.name, 60),
            shown(each.value, 18) or "-",
            _short(each.limit),
        )
        for each in told
    ]
    value = max(len(row[2]) for row in rows)
    limit = min(MAX_LIMIT, max(len(shown(row[3], MAX_LIMIT)) for row in rows))
    name = min(max(len(row[1]) for row in rows), _WIDTH - 7 - value - limit - 6)
    lines = []
    for number, row in enumerate(rows):
        cells = f"{row[0]:<7}  {shown(row[1], name):<{name}}  {row[2]:>{value}}  {shown(row[3], limit)}"
        lines.append(cells.rstrip())
        if number and told[number - 1].outcome == "failed" and told[number - 1].text:
            lines += _detail(told[number - 1].text)
    if len(rules) > MAX_RULES:
        lines.append(f"… {len(rules) - MAX_RULES:,} more")
    return lines


def _detail(text: str) -> list[str]:
    """What came of a rule, on some indented lines; where that is too long, without what its value over the run says."""
    most = MAX_DETAIL_LINES * (_WIDTH - 20)
    text = text if len(text) <= most else text.partition("; ")[2] or text
    lines = textwrap.wrap(shown(text, most), _WIDTH - 9, break_on_hyphens=False)
    return [f"         {line}" for line in lines[:MAX_DETAIL_LINES]]


def _short(limit: str) -> str:
    return limit.replace("warning ", "warn ", 1) if limit.startswith("warning ") else limit


def rules_text(rules: Sequence[Check]) -> str:
    """`1 failed, 2 warned, 3 passed, 1 without data`."""
    words = {"failed": "failed", "warned": "warned", "passed": "passed", "no_data": "without data"}
    counts = {outcome: sum(rule.outcome == outcome for rule in rules) for outcome in words}
    return ", ".join(f"{count:,} {words[outcome]}" for outcome, count in counts.items() if count)


def fired(snapshot: Snapshot) -> tuple[Alert, ...]:
    """Alerts that were more than pending."""
    return tuple(alert for alert in snapshot.alerts if alert.fired_s is not None)


def worst_first(alerts: Sequence[Alert]) -> list[Alert]:
    """Critical ones first, then in the order of time."""
    return sorted(alerts, key=lambda alert: (alert.severity != CRITICAL, alert.fired_s or 0.0, alert.id))


def alerts_text(snapshot: Snapshot) -> str:
    """How many fired, how many of them still do, and the worst; empty: none."""
    alerts = fired(snapshot)
    if not alerts:
        return ""
    critical = sum(alert.severity == CRITICAL for alert in alerts)
    open_ = sum(alert.resolved_s is None for alert in alerts)
    parts = [f"{count_text(len(alerts), 'alert')} fired"]
    parts += [f"{critical:,} critical"] if critical else []
    parts += [f"{open_:,} not resolved"] if open_ else []
    return f"{', '.join(parts)}; worst: {alert_text(worst_first(alerts)[0])}"


def alert_text(alert: Alert) -> str:
    """`critical p95: 812 ms, limit > 500 ms (worker 3), from 12 s to 40 s`."""
    who = f" (worker {shown(alert.subject, 20)})" if alert.subject else ""
    until = "on" if alert.resolved_s is None else f"to {alert.resolved_s:,.0f} s"
    return (
        f"{shown(alert.severity, 10)} {shown(alert.rule, 40)}: {worst_text(alert)}, limit {shown(alert.limit, 30)}{who}, "
        f"from {alert.since_s:,.0f} s {until}"
    )


def worst_text(alert: Alert) -> str:
    """The worst value with its unit; in an earlier report, which has none, the number."""
    return shown(alert.worst_text, 30) or f"{alert.worst:,.4g}"


def told_trends(snapshot: Snapshot, stats: ResourceStats) -> tuple[Trend, ...]:
    """The trends that say something: in a run of less than two minutes none of what never rests."""
    if snapshot.run.duration_s >= LEAST_RESTLESS_S:
        return stats.trends
    return tuple(each for each in stats.trends if each.metric not in RESTLESS)


def resource_lines(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """(label, text): CPU and memory of the target's sources and of the processes that made load."""
    target = [stats for stats in snapshot.resources if stats.side == TARGET]
    for stats in target[:MAX_SOURCES]:
        if text := usage_text(stats):
            yield "Target", f"{shown(stats.source, 40)}: {text}"
    own = [stats for stats in snapshot.resources if stats.side == GENERATOR and stats.figures]
    if own:
        busiest = max(own, key=lambda stats: stats.value("cpu_percent") or 0.0)
        if text := usage_text(busiest):
            of = f"busiest of {len(own):,} (worker {shown(busiest.source, 20)}): " if len(own) > 1 else ""
            yield "Generator", f"{of}{text}"


def usage_text(stats: ResourceStats) -> str:
    """`CPU 45 % (max 90 %), memory 120 MiB (max 130 MiB)`; empty where neither was read."""
    figures = {each.metric: each for each in stats.figures}
    parts = []
    if (cpu := figures.get("cpu_percent")) is not None:
        parts.append(f"CPU {cpu.average:,.0f} % (max {cpu.max:,.0f} %)")
    if (memory := figures.get("memory_bytes")) is not None:
        parts.append(f"memory {_mib(memory.average)} (max {_mib(memory.max)})")
    return ", ".join(parts)


def leaks(snapshot: Snapshot, *sides: str) -> list[tuple[str, str]]:
    """(whose memory, what the verdict says) where a leak is likely; of these sides, or of all."""
    return [
        (source_text(stats), shown(stats.leak.text, 120))
        for stats in snapshot.resources
        if stats.leak is not None and stats.leak.verdict == LEAK_LIKELY and (not sides or stats.side in sides)
    ]


def source_text(stats: ResourceStats) -> str:
    """`target pid 123`, `generator`, `generator (worker 3)`, `master`."""
    if stats.side == TARGET:
        return f"target {shown(stats.source, 40)}"
    if stats.side == MASTER or not stats.source:
        return stats.side
    return f"{stats.side} (worker {shown(stats.source, 20)})"


def _mib(value: float) -> str:
    mib = value / _MIB
    return f"{mib:,.0f} MiB" if mib >= 100 else f"{mib:,.1f} MiB"
