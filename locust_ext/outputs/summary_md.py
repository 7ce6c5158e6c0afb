"""`summary.md`: the result as Markdown that fits a CI job's summary."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from locust_ext.model import EMPTY, Comparison, OperationStats, Snapshot
from locust_ext.outputs.advice import advice
from locust_ext.outputs.highlights import highlight_rows
from locust_ext.outputs.monitor_text import (
    STATES,
    fired,
    in_order,
    rules_text,
    source_text,
    told_trends,
    usage_text,
    worst_first,
    worst_text,
)
from locust_ext.outputs.pace_text import pace_text
from locust_ext.outputs.plan_chart import LEGEND, plan_chart
from locust_ext.outputs.readiness import readiness
from locust_ext.outputs.search_chart import chart
from locust_ext.outputs.search_table import remarks, step_rows
from locust_ext.outputs.search_text import HEADINGS, criteria_text, search_of
from locust_ext.outputs.shape_text import shape_text
from locust_ext.outputs.text import (
    change_text,
    count_text,
    fan_out_text,
    ms_text,
    operation_text,
    percent_text,
    rate_text,
    recovery_text,
    shown,
)
from locust_ext.outputs.verdict import verdict

MAX_OPERATIONS: Final = 50
MAX_RULES: Final = 100
MAX_ALERTS: Final = 50
MAX_SOURCES: Final = 50
MAX_FIGURES: Final = 250
MAX_STEPS: Final = 100
"""Rows of a table; GitHub takes 1 MiB for all steps of a job, and a reader less."""

_MOVES: Final = ("increasing", "decreasing")


def summary_md(snapshot: Snapshot, *, has_files: bool = True) -> str:
    """Verdict, key figures, the steps of a search for the limit, the plan beside the users, operations (those with
    failures first, then the slowest), rules, alerts, resources, the comparison, and at the end whether the system is
    ready, with the reasons. ``has_files``: the other files of the report are beside it, to be linked to.
    """
    return (
        "\n".join(
            [
                *_head(snapshot),
                *_advice(snapshot),
                *_search(snapshot, has_files),
                *_plan(snapshot),
                *_operations(snapshot),
                *_rules(snapshot),
                *_alerts(snapshot),
                *_resources(snapshot),
                *_comparison(snapshot.comparison),
                *_readiness(snapshot),
            ]
        )
        + "\n"
    )


def escaped(text: str, width: int = 80) -> str:
    """A foreign text as literal Markdown, also inside a table: no markup, link, mention or HTML comes of it."""
    return re.sub(r"([\\`*_{}\[\]()<>#!|~&@$]|:(?=//))", r"\\\1", shown(text, width)) or " "


def _head(snapshot: Snapshot) -> Iterator[str]:
    run, traffic, seconds = snapshot.run, snapshot.traffic, snapshot.run.duration_s
    yield f"## {escaped(run.scenario or 'Load test')}: {escaped(verdict(snapshot), 500)}"
    yield ""
    yield "| | |"
    yield "|---|---|"
    facts = [f"{seconds:,.1f} s"]
    facts += [f"after {snapshot.warmup.duration_s:,.1f} s of warm-up"] if snapshot.warmup is not None else []
    facts += [count_text(run.users, "user")] if run.users else []
    facts += [count_text(run.workers, "worker")] if run.workers else []
    facts += [escaped(run.host)] if run.host else []
    facts += [f"seed {run.seed}"] if run.seed is not None else []
    yield f"| Run | {', '.join(facts)} |"
    if (search := search_of(snapshot)) is not None:
        yield f"| Breaks if | {escaped(criteria_text(search) or 'nothing was asked', 500)} |"
    if run.shape:
        yield f"| Shape | {escaped(shape_text(snapshot), 200)} |"
    if snapshot.connects:
        yield (
            f"| Connections | {snapshot.connects_ok:,} opened, {snapshot.connects - snapshot.connects_ok:,} failed, "
            f"{snapshot.dropped:,} dropped, {count_text(snapshot.connections.reconnects, 'reconnect')}, "
            f"peak {snapshot.connections.peak_open:,} open |"
        )
    if recovery := recovery_text(snapshot.connections):
        yield f"| Back again | {recovery} |"
    if traffic.messages_sent or traffic.messages_received:
        sent, received = traffic.messages_sent, traffic.messages_received
        yield (
            f"| Messages | {sent:,} sent ({rate_text(sent, seconds)}), "
            f"{received:,} received ({rate_text(received, seconds)}) |"
        )
    if pace := pace_text(snapshot):
        yield f"| Rate | {pace} |"
    if snapshot.pushes:
        yield f"| Pushes | {snapshot.pushes_received:,} received |"
        lag = EMPTY.plus(*(push.lag for push in snapshot.pushes if push.lag is not None))
        if lag.count:
            p50, p95, p99 = lag.percentiles_us((50, 95, 99))
            yield (
                f"| Push delay | p50 {ms_text(p50)}, p95 {ms_text(p95)}, p99 {ms_text(p99)}, "
                f"max {ms_text(lag.max_us)} ({lag.count:,}) |"
            )
        if fan_out := fan_out_text(snapshot.pushes):
            yield f"| Fan-out | {fan_out} |"
    latency = snapshot.latency
    if latency.count:
        p50, p95, p99 = latency.percentiles_us((50, 95, 99))
        yield (
            f"| Round trips | p50 {ms_text(p50)}, p95 {ms_text(p95)}, p99 {ms_text(p99)}, "
            f"max {ms_text(latency.max_us)} ({latency.count:,}){', over all steps' if search is not None else ''} |"
        )
    for label, text in highlight_rows(snapshot):
        yield f"| {label} | {escaped(text, 200)} |"
    if run.ended_because:
        yield f"| Ended early | {escaped(run.ended_because, 200)} |"
    if run.unfinished:
        yield f"| Not done | {escaped(run.unfinished, 200)} |"
    if snapshot.failures:
        classes = ", ".join(f"{escaped(each, 40)} {count:,}" for each, count in snapshot.errors_by_class.items())
        yield (
            f"| Failures | {snapshot.failures:,} of {snapshot.finished:,} "
            f"({percent_text(snapshot.failures, snapshot.finished)}): {classes}"
            f"{'; the search goes beyond the limit' if search is not None else ''} |"
        )
    elif snapshot.finished:
        yield f"| Failures | none of {snapshot.finished:,} |"


def _advice(snapshot: Snapshot) -> Iterator[str]:
    for sentence in advice(snapshot):
        yield ""
        yield f"Look at: {escaped(sentence, 300)}"


def _search(snapshot: Snapshot, has_files: bool) -> Iterator[str]:
    """Its steps in the order of time, and p95 against users."""
    search = search_of(snapshot)
    if search is None or not search.steps:
        return
    yield ""
    yield f"### Search for the limit: {HEADINGS.get(search.outcome, escaped(search.outcome))}"
    yield ""
    header, *rows = step_rows(search)
    yield f"| {' | '.join(map(escaped, header))} | Remarks |"
    yield "|---|" + "--:|" * (len(header) - 2) + "---|---|"
    for row, step in list(zip(rows, search.steps, strict=True))[:MAX_STEPS]:
        mark = "**" if step is search.sustained else ""
        cells = [f"{mark}{escaped(cell)}{mark}" if cell else " " for cell in row]
        yield f"| {' | '.join(cells)} | {escaped('; '.join(remarks(step)), 400)} |"
    if len(search.steps) > MAX_STEPS:
        yield ""
        yield f"… and {count_text(len(search.steps) - MAX_STEPS, 'step')} more in `summary.json`."
    if lines := chart(search):
        yield from _fenced(lines)
        if has_files:
            yield ""
            yield "The same as a picture: [limit.svg](limit.svg)"


def _plan(snapshot: Snapshot) -> Iterator[str]:
    if lines := plan_chart(snapshot):
        yield ""
        yield "### Users beside the plan"
        yield from _fenced([*lines, "", LEGEND])


def _fenced(lines: list[str]) -> Iterator[str]:
    """Lines of our own making as they are; nothing foreign may be in them."""
    yield from ("", "```text", *lines, "```")


def _operations(snapshot: Snapshot) -> Iterator[str]:
    if not snapshot.operations:
        return
    operations = sorted(snapshot.operations, key=_interest)
    yield ""
    yield "| Operation | ok | failures | p50 | p95 | p99 | max |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    for operation in operations[:MAX_OPERATIONS]:
        latency = operation.latency
        times = [ms_text(value) for value in (*latency.percentiles_us((50, 95, 99)), latency.max_us)]
        yield f"| {escaped(operation_text(operation))} | {operation.ok:,} | {operation.failures:,} | {' | '.join(times)} |"
    if len(operations) > MAX_OPERATIONS:
        yield ""
        yield f"… and {count_text(len(operations) - MAX_OPERATIONS, 'operation')} more in `summary.json`."


def _interest(operation: OperationStats) -> tuple[int, int, str, str]:
    return -operation.failures, -(operation.latency.percentile_us(95) or 0), operation.type, operation.name


def _rules(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.rules:
        yield ""
        yield f"### Rules: {rules_text(snapshot.rules)}"
        yield ""
        yield "| | Rule | Value | Limit | |"
        yield "|---|---|--:|---|---|"
        for rule in in_order(snapshot.rules)[:MAX_RULES]:
            texts = f"{escaped(rule.value, 40)} | {escaped(rule.limit, 100)} | {escaped(rule.text, 200)}"
            yield f"| {escaped(STATES.get(rule.outcome, rule.outcome))} | {escaped(rule.name)} | {texts} |"
        if len(snapshot.rules) > MAX_RULES:
            yield ""
            yield f"… and {count_text(len(snapshot.rules) - MAX_RULES, 'rule')} more in `summary.json`."


def _alerts(snapshot: Snapshot) -> Iterator[str]:
    alerts = worst_first(fired(snapshot))
    if alerts:
        yield ""
        yield f"### Alerts: {len(alerts):,} fired"
        yield ""
        yield "| Severity | Rule | Worst | Limit | Worker | From | To | State |"
        yield "|---|---|--:|---|---|--:|--:|---|"
        for alert in alerts[:MAX_ALERTS]:
            until = "-" if alert.resolved_s is None else f"{alert.resolved_s:,.0f} s"
            yield (
                f"| {escaped(alert.severity)} | {escaped(alert.rule)} | {escaped(worst_text(alert))} | "
                f"{escaped(alert.limit)} | "
                f"{escaped(alert.subject)} | {alert.since_s:,.0f} s | {until} | {escaped(alert.state)} |"
            )
        if len(alerts) > MAX_ALERTS:
            yield ""
            yield f"… and {count_text(len(alerts) - MAX_ALERTS, 'alert')} more in `summary.json`."


def _resources(snapshot: Snapshot) -> Iterator[str]:
    told = [stats for stats in snapshot.resources if stats.figures]
    if told:
        yield ""
        yield "### Resources"
        yield ""
        yield "| Process | CPU and memory | Memory over time | Rising or falling |"
        yield "|---|---|---|---|"
        for stats in told[:MAX_SOURCES]:
            leak = stats.leak.text if stats.leak is not None else ""
            moving = [
                f"{each.metric} {each.verdict}" for each in told_trends(snapshot, stats) if each.verdict in _MOVES
            ]
            yield (
                f"| {escaped(source_text(stats))} | {escaped(usage_text(stats), 100)} | {escaped(leak, 120)} | "
                f"{escaped(', '.join(moving), 300)} |"
            )
        if len(told) > MAX_SOURCES:
            yield ""
            yield f"… and {count_text(len(told) - MAX_SOURCES, 'process', 'processes')} more in `summary.json`."


def _readiness(snapshot: Snapshot) -> Iterator[str]:
    word, reasons = readiness(snapshot)
    yield ""
    yield f"### {word}"
    yield ""
    for reason in reasons:
        yield f"- {escaped(reason, 400)}"


def _comparison(comparison: Comparison | None) -> Iterator[str]:
    if comparison is None:
        return
    worse = len(comparison.regressions)
    yield ""
    yield f"### Against {escaped(comparison.baseline)}: {count_text(worse, 'regression') if worse else 'no regression'}"
    for caveat in comparison.caveats:
        yield ""
        yield f"Not quite comparable: {escaped(caveat, 200)}"
    # Those that have changed first; within each the order of the operations.
    ordered = sorted(comparison.judged, key=lambda figure: figure.outcome == "same")
    if ordered:
        yield ""
        yield "| Operation | Figure | before | now | change | |"
        yield "|---|---|--:|--:|--:|---|"
        for figure in ordered[:MAX_FIGURES]:
            yield (
                f"| {escaped(figure.operation or 'all')} | {escaped(figure.figure)} | {_value(figure.before)} | "
                f"{_value(figure.after)} | {change_text(figure)} | {figure.outcome} |"
            )


def _value(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g}"
