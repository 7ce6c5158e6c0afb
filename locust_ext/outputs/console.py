"""The short table at the end of a run, for somebody who sees it for the first time."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Final

from locust_ext.model import EMPTY, ROUND_TRIP_TYPES, Comparison, Distribution, Snapshot
from locust_ext.outputs.advice import advice
from locust_ext.outputs.highlights import highlight_rows
from locust_ext.outputs.monitor_text import alerts_text, leaks, resource_lines, rules_table, rules_text
from locust_ext.outputs.pace_text import pace_text
from locust_ext.outputs.search_chart import chart
from locust_ext.outputs.search_table import steps_table
from locust_ext.outputs.search_text import answer, criteria_text, search_of
from locust_ext.outputs.shape_text import shape_text
from locust_ext.outputs.text import (
    change_text,
    count_text,
    fan_out_text,
    ms_text,
    percent_text,
    rate_text,
    recovery_text,
    shown,
)
from locust_ext.outputs.verdict import verdict

WIDTH: Final = 80
_LABEL: Final = 15
_HTTP: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


def console(snapshot: Snapshot) -> str:
    """Plain text, at most 80 columns; what came from outside is shown without its control characters."""
    lines = ["-- locust-ext result ".ljust(WIDTH, "-")]
    for label, text in _rows(snapshot):
        first = f"{label:<{_LABEL}}"
        lines += textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=" " * _LABEL)
    if snapshot.rules:
        lines += ["-- rules ".ljust(WIDTH, "-"), *rules_table(snapshot.rules)]
    lines += _search(snapshot)
    lines.append("-" * WIDTH)
    return "\n".join(lines) + "\n"


def _search(snapshot: Snapshot) -> Iterator[str]:
    """The steps of a search for the limit, and its chart."""
    search = search_of(snapshot)
    if search is not None and search.steps:
        yield "-- steps of the search ".ljust(WIDTH, "-")
        yield from steps_table(search)
        if lines := chart(search):
            yield "-- p95 against users ".ljust(WIDTH, "-")
            yield from lines


def _rows(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    run, connections, traffic = snapshot.run, snapshot.connections, snapshot.traffic
    if (search := search_of(snapshot)) is not None:
        yield "Limit", answer(search)
        yield "Breaks if", criteria_text(search) or "nothing was asked"
    facts = [shown(run.scenario) if run.scenario else "", f"{run.duration_s:,.1f} s"]
    if snapshot.warmup is not None:
        facts.append(f"after {snapshot.warmup.duration_s:,.1f} s of warm-up")
    if run.users:
        facts.append(count_text(run.users, "user"))
    if run.workers:
        facts.append(count_text(run.workers, "worker"))
    if run.host:
        facts.append(shown(run.host))
    yield "Run", ", ".join(fact for fact in facts if fact)
    if run.shape:
        yield "Shape", shape_text(snapshot)
    if snapshot.connects or connections.peak_open or snapshot.dropped:
        failed = snapshot.connects - snapshot.connects_ok
        parts = [f"{snapshot.connects_ok:,} opened", f"{failed:,} failed", f"{snapshot.dropped:,} dropped"]
        parts.append(count_text(connections.reconnects, "reconnect"))
        parts += [f"peak {connections.peak_open:,} open"] if connections.peak_open else []
        yield "Connections", ", ".join(parts)
    if recovery := recovery_text(connections):
        yield "Back again", recovery
    if traffic.messages_sent or traffic.messages_received:
        yield (
            "Messages",
            f"{_with_rate(traffic.messages_sent, 'sent', run.duration_s)}, "
            f"{_with_rate(traffic.messages_received, 'received', run.duration_s)}",
        )
    if pace := pace_text(snapshot):
        yield "Rate", pace
    if snapshot.pushes:
        yield "Pushes", _with_rate(snapshot.pushes_received, "received", run.duration_s)
        if connections.inbox_dropped:
            yield "Unread", f"{count_text(connections.inbox_dropped, 'message')} dropped: their users read too slowly"
        if connections.handler_calls_dropped:
            count = count_text(connections.handler_calls_dropped, "push", "pushes")
            yield "Unhandled", f"{count} whose handler was never called: the handlers are too slow"
        lag = EMPTY.plus(*(push.lag for push in snapshot.pushes if push.lag is not None))
        if lag.count:
            yield "Push delay", _percentiles(lag)
        if fan_out := fan_out_text(snapshot.pushes):
            yield "Fan-out", fan_out
    if any(operation.finished for operation in snapshot.of_type(*ROUND_TRIP_TYPES)):
        yield "Round trips", _percentiles(snapshot.latency) + (", over all steps" if search is not None else "")
    http = snapshot.of_type(*_HTTP)
    if http:
        yield "HTTP requests", _percentiles(EMPTY.plus(*(operation.latency for operation in http)))
    yield from highlight_rows(snapshot)
    if snapshot.finished:
        yield "Failures", _failures(snapshot)
    if snapshot.run.exceptions:
        yield (
            "Exceptions",
            f"{count_text(snapshot.run.exceptions, 'exception')} of the locustfile's own code: see Locust's table",
        )
    if snapshot.cancelled:
        yield (
            "Cancelled",
            f"{count_text(snapshot.cancelled, 'operation')} cut off by the end of their users, no failures",
        )
    if snapshot.rules:
        yield "Rules", rules_text(snapshot.rules)
    if alerts := alerts_text(snapshot):
        yield "Alerts", alerts
    yield from resource_lines(snapshot)
    for whose, leak in leaks(snapshot):
        yield "Leak", f"{whose}: {leak}"
    if run.ended_because:
        yield "Ended early", shown(run.ended_because, 200)
    if run.unfinished:
        yield "Not done", shown(run.unfinished, 200)
    if snapshot.comparison is not None:
        yield "Baseline", _baseline(snapshot.comparison)
        for caveat in snapshot.comparison.caveats:
            yield "Beside it", shown(caveat, 200)
    yield "Verdict", verdict(snapshot)
    for sentence in advice(snapshot):
        yield "Look at", sentence


def _with_rate(count: int, verb: str, seconds: float) -> str:
    rate = rate_text(count, seconds) if count else ""
    return f"{count:,} {verb}" + (f" ({rate})" if rate else "")


def _percentiles(latency: Distribution) -> str:
    if not latency.count:
        return "none was answered"
    p50, p95, p99 = latency.percentiles_us((50, 95, 99))
    return (
        f"p50 {ms_text(p50)}, p95 {ms_text(p95)}, p99 {ms_text(p99)}, "
        f"max {ms_text(latency.max_us)} ({count_text(latency.count)})"
    )


def _failures(snapshot: Snapshot) -> str:
    if not snapshot.failures:
        return f"none of {count_text(snapshot.finished, 'operation')}"
    classes = list(snapshot.errors_by_class.items())
    listed = ", ".join(f"{shown(error_class, 40)} {count:,}" for error_class, count in classes[:8])
    more = f", {len(classes) - 8} further classes" if len(classes) > 8 else ""
    share = percent_text(snapshot.failures, snapshot.finished)
    beyond = "; the search goes beyond the limit: see its steps" if snapshot.search is not None else ""
    return f"{snapshot.failures:,} of {snapshot.finished:,} operations ({share}): {listed}{more}{beyond}"


def _baseline(comparison: Comparison) -> str:
    worse = comparison.regressions
    if not worse:
        judged = comparison.judged
        whole = "".join(
            f"; {figure.figure} {figure.before:.4g} -> {figure.after:.4g}" for figure in judged if not figure.operation
        )
        count = count_text(len(judged), "figure")
        return f"no regression against {shown(comparison.baseline, 40)} ({count} compared){whole}"
    listed = "; ".join(
        f"{shown(figure.operation or 'all', 40)} {figure.figure} {figure.before:.4g} -> {figure.after:.4g} "
        f"({change_text(figure)})"
        for figure in worse[:5]
    )
    more = f"; {len(worse) - 5} more" if len(worse) > 5 else ""
    return f"{count_text(len(worse), 'regression')} against {shown(comparison.baseline, 40)}: {listed}{more}"
