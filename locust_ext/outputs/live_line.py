"""The figures of the last seconds in one line, for the log of a run that goes on."""

from __future__ import annotations

from typing import Final

from locust_ext.model import ACKNOWLEDGED, EMPTY, FIRING, Distribution, Snapshot
from locust_ext.outputs.pace_text import per_second
from locust_ext.outputs.text import count_text, ms_text, percent_text, rate_text, shown

_TOLD: Final = ("open", "waiting", "failed", "idle")
"""States of connections that last; the others pass."""


def live_line(before: Snapshot, now: Snapshot) -> str:
    """What happened between two snapshots of a run; where the counts began anew in between, since then."""
    if now.warmup is not None and not now.run.duration_s:
        finished = sum(operation.finished for operation in now.warmup.operations)
        return f"warming up, {now.warmup.duration_s:,.0f} s; {count_text(finished, 'operation')} finished, not counted"
    if _began_anew(before, now):
        before = Snapshot()
    seconds = now.run.duration_s - before.run.duration_s
    finished, failures = now.finished - before.finished, now.failures - before.failures
    parts = [f"{now.run.duration_s:,.0f} s"]
    if now.search is not None and now.search.phase:
        parts.append(shown(now.search.phase, 80))
    states = now.connections.states
    parts += [", ".join(f"{states[state]:,} {state}" for state in _TOLD if states.get(state))]
    parts.append(f"{rate_text(finished, seconds) or '0/s'} finished")
    if now.run.target_rate_per_s is not None:
        work = now.work_finished - before.work_finished
        parts.append(f"{rate_text(work, seconds) or '0/s'} of {per_second(now.run.target_rate_per_s)} wanted")
    sent = now.traffic.messages_sent - before.traffic.messages_sent
    received = now.traffic.messages_received - before.traffic.messages_received
    if sent or received:
        parts.append(f"messages {rate_text(sent, seconds)} sent, {rate_text(received, seconds)} received")
    latency = _since(before.latency, now.latency)
    if latency.count:
        p50, p99 = latency.percentiles_us((50, 99))
        parts.append(f"round trips p50 {ms_text(p50)}, p99 {ms_text(p99)}")
    parts.append(
        f"{count_text(failures, 'failure')} ({percent_text(failures, finished)})" if failures else "no failure"
    )
    firing = sum(alert.state in (FIRING, ACKNOWLEDGED) for alert in now.alerts)
    if firing:
        parts.append(f"{count_text(firing, 'alert')} firing")
    if not now.run.valid:
        parts.append("not valid")
    return "; ".join(part for part in parts if part)


def _began_anew(before: Snapshot, now: Snapshot) -> bool:
    return now.run.id != before.run.id or now.run.duration_s < before.run.duration_s or now.finished < before.finished


def _since(before: Distribution, now: Distribution) -> Distribution:
    try:
        return now.minus(before)
    except ValueError:
        return EMPTY
