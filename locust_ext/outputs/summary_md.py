"""`summary.md`: the result as Markdown that fits a CI job's summary."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from locust_ext.model import EMPTY, Comparison, OperationStats, Snapshot
from locust_ext.outputs.advice import advice
from locust_ext.outputs.highlights import highlight_rows
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
MAX_FIGURES: Final = 250
"""Rows of the table; GitHub takes 1 MiB for all steps of a job, and a reader less."""


def summary_md(snapshot: Snapshot) -> str:
    """Verdict, key figures, operations (those with failures first, then the slowest), rules, the comparison."""
    return (
        "\n".join(
            [
                *_head(snapshot),
                *_advice(snapshot),
                *_operations(snapshot),
                *_rules(snapshot),
                *_comparison(snapshot.comparison),
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
            f"max {ms_text(latency.max_us)} ({latency.count:,}) |"
        )
    for label, text in highlight_rows(snapshot):
        yield f"| {label} | {escaped(text, 200)} |"
    if snapshot.failures:
        classes = ", ".join(f"{escaped(each, 40)} {count:,}" for each, count in snapshot.errors_by_class.items())
        yield (
            f"| Failures | {snapshot.failures:,} of {snapshot.finished:,} "
            f"({percent_text(snapshot.failures, snapshot.finished)}): {classes} |"
        )
    elif snapshot.finished:
        yield f"| Failures | none of {snapshot.finished:,} |"


def _advice(snapshot: Snapshot) -> Iterator[str]:
    for sentence in advice(snapshot):
        yield ""
        yield f"Look at: {escaped(sentence, 300)}"


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
        yield "| Rule | Outcome | |"
        yield "|---|---|---|"
        for rule in snapshot.rules:
            yield f"| {escaped(rule.name)} | {escaped(rule.outcome)} | {escaped(rule.text, 200)} |"


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
