"""`summary.json`: the whole result for programs. What was not measured is absent, never 0 and never null.

`summary.schema.json` beside this file is its JSON Schema; `schema` in the document is that schema's number, which grows
when a key changes its meaning or goes. With the histograms it holds all that the other reports are made of, but for the
rows of `timeline.csv` and `resources.csv`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from typing import Any, Final

from locust_ext.model import (
    Distribution,
    GeneratorStats,
    OperationStats,
    PushStats,
    RecoveryStats,
    Snapshot,
    TrafficStats,
    Warmup,
)
from locust_ext.outputs.advice import advice
from locust_ext.outputs.highlights import highlights_dict
from locust_ext.outputs.summary_monitor import alerts_part, resources_part, rules_part, trends_part
from locust_ext.outputs.summary_search import search_part
from locust_ext.outputs.text import PERCENTILES, ms

SCHEMA: Final = 1
_COUNTS: Final = (
    "started",
    "ok",
    "failed",
    "timed_out",
    "lost",
    "cancelled",
    "in_flight",
    "late",
    "duplicate",
    "unmatched",
    "bytes_received",
)


def summary_json(snapshot: Snapshot) -> str:
    """`summary_dict` as indented JSON text."""
    text = json.dumps(summary_dict(snapshot), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return text.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair in a name stays what it is


def summary_dict(snapshot: Snapshot) -> dict[str, Any]:
    """The document: numbers in the units that their keys name, rates from 0 to 1."""
    snapshot = replace(snapshot, run=replace(snapshot.run, duration_s=round(snapshot.run.duration_s, 3)))
    traffic, seconds = snapshot.traffic, snapshot.run.duration_s
    messages = _messages(traffic)
    throughput = {}
    if seconds > 0:
        throughput = {
            "messages_per_second_sent": round(traffic.messages_sent / seconds, 3),
            "messages_per_second_received": round(traffic.messages_received / seconds, 3),
            "bytes_per_second_sent": round(traffic.bytes_sent / seconds, 3),
            "bytes_per_second_received": round(traffic.bytes_received / seconds, 3),
        }
    latency = {f"{key}_ms": value for key, value in _milliseconds(snapshot.latency).items() if key != "count"}
    errors: dict[str, Any] = {"total": snapshot.failures}
    if snapshot.error_rate is not None:
        errors["error_rate"] = round(snapshot.error_rate, 9)
    errors["by_class"] = snapshot.errors_by_class
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "run": _run(snapshot),
        "connection_metrics": _connections(snapshot),
        "message_metrics": messages,
        "latency_metrics": latency,
        "throughput_metrics": throughput,
        "error_metrics": errors,
        "push_metrics": {push.event: _push(push) for push in snapshot.pushes},
        "operations": [_operation(operation) for operation in snapshot.operations],
    }
    if snapshot.search is not None:
        document["search"] = search_part(snapshot.search)
    if found := highlights_dict(snapshot):
        document["highlights"] = found
    if sentences := advice(snapshot):
        document["recommendations"] = sentences
    if resources := resources_part(snapshot, [_generator(generator) for generator in snapshot.generators]):
        document["resources"] = resources
    if trends := trends_part(snapshot):
        document["trends"] = trends
    if snapshot.warmup is not None:
        document["warmup"] = _warmup(snapshot.warmup)
    if snapshot.rules:
        document["rules"] = rules_part(snapshot.rules)
    if snapshot.rules or snapshot.alerts or snapshot.alert_events:
        document["alerts"] = alerts_part(snapshot)
    if snapshot.comparison is not None:
        comparison = snapshot.comparison
        document["comparison"] = {
            "baseline": comparison.baseline,
            "tolerance": comparison.tolerance,
            "caveats": list(comparison.caveats),
            "figures": [
                {key: value for key, value in asdict(figure).items() if value is not None}
                for figure in comparison.figures
            ],
        }
    return document


def _messages(traffic: TrafficStats) -> dict[str, int]:
    return {
        "messages_sent": traffic.messages_sent,
        "messages_received": traffic.messages_received,
        "bytes_sent": traffic.bytes_sent,
        "bytes_received": traffic.bytes_received,
    }


def _generator(generator: GeneratorStats) -> dict[str, Any]:
    found: dict[str, Any] = {
        "worker": generator.worker,
        "cpu_percent": {"avg": round(generator.cpu_percent, 1), "max": round(generator.cpu_max_percent, 1)},
        "seconds": round(generator.seconds, 3),
        "loop_lag_ms": _milliseconds(generator.lag),
    }
    if generator.lag.count:
        found["loop_lag_histogram"] = generator.lag.to_text()
    if generator.lateness.count:
        found["send_lateness_ms"] = _milliseconds(generator.lateness)
        found["send_lateness_histogram"] = generator.lateness.to_text()
    if generator.bottleneck:
        found["bottleneck"] = [
            {"from_s": round(from_s, 3), "to_s": round(to_s, 3)} for from_s, to_s in generator.bottleneck
        ]
    return found


def _warmup(warmup: Warmup) -> dict[str, Any]:
    return {
        "duration_s": round(warmup.duration_s, 3),
        "message_metrics": _messages(warmup.traffic),
        "pushes_received": sum(push.received for push in warmup.pushes),
        "reconnects": warmup.connections.reconnects,
        "peak_open": warmup.connections.peak_open,
        "operations": [
            {
                key: value
                for key, value in _operation(operation).items()
                if key not in ("service_ms", "service_histogram", "in_flight")
            }
            for operation in warmup.operations
        ],
    }


def _run(snapshot: Snapshot) -> dict[str, Any]:
    run, wanted, achieved = snapshot.run, snapshot.run.target_rate_per_s, snapshot.achieved_rate_per_s
    facts = {
        "id": run.id or None,
        "started_at": run.started_at,
        "duration_s": round(run.duration_s, 3),
        "host": run.host,
        "scenario": run.scenario,
        "seed": run.seed,
        "users": run.users,
        "shape": run.shape,
        "workers": run.workers,
        "versions": dict(run.versions),
        "valid": run.valid,
        "invalid_because": list(run.invalid_because),
        "ended_because": run.ended_because,
        "unfinished": run.unfinished,
        "target_rate_per_s": None if wanted is None else round(wanted, 3),
        "achieved_rate_per_s": None if wanted is None or achieved is None else round(achieved, 3),
        "paced_s": None if wanted is None or run.paced_s is None else round(run.paced_s, 3),
        "exceptions": run.exceptions or None,
        "complete": run.complete,
    }
    return {key: value for key, value in facts.items() if value is not None}


def _connections(snapshot: Snapshot) -> dict[str, Any]:
    total, good = snapshot.connects, snapshot.connects_ok
    metrics: dict[str, Any] = {
        "total_connections": total,
        "successful_connections": good,
        "failed_connections": total - good,
    }
    if total:
        metrics["success_rate"] = round(good / total, 9)
    metrics["dropped"] = snapshot.dropped
    metrics["reconnects"] = snapshot.connections.reconnects
    metrics["peak_open"] = snapshot.connections.peak_open
    if snapshot.connections.inbox_dropped:
        metrics["inbox_dropped"] = snapshot.connections.inbox_dropped
    if snapshot.connections.handler_calls_dropped:
        metrics["handler_calls_dropped"] = snapshot.connections.handler_calls_dropped
    if snapshot.connections.states:
        metrics["states"] = dict(snapshot.connections.states)
    if snapshot.connections.recoveries:
        metrics["recovery_ms"] = _milliseconds(snapshot.connections.recovery)
        metrics["failovers"] = snapshot.connections.failovers
        metrics["recoveries"] = [_recovery(each) for each in snapshot.connections.recoveries]
    ended = snapshot.connections.ended
    if ended.lifetime_ms.count:
        metrics["lifetime_s"] = _milliseconds(ended.lifetime_ms)
        for figure in ("messages_sent", "messages_received", "bytes_sent", "bytes_received"):
            metrics[f"{figure}_per_connection"] = _plain(getattr(ended, figure))
        metrics["histograms"] = {
            each.name: getattr(ended, each.name).to_text() for each in fields(ended) if getattr(ended, each.name).count
        }
    return metrics


def _recovery(recovery: RecoveryStats) -> dict[str, Any]:
    return {
        "user": recovery.user,
        "channel": recovery.channel,
        "failovers": recovery.failovers,
        "recovery_ms": _milliseconds(recovery.time),
        "histogram": recovery.time.to_text(),
    }


def _plain(distribution: Distribution) -> dict[str, float]:
    """Of numbers without a unit; empty where there is no sample."""
    if distribution.min_us is None or distribution.max_us is None or distribution.average_us is None:
        return {}
    found: dict[str, float] = {
        "count": distribution.count,
        "min": distribution.min_us,
        "max": distribution.max_us,
        "avg": round(distribution.average_us, 3),
    }
    for key, value in zip(PERCENTILES, distribution.percentiles_us(PERCENTILES.values()), strict=True):
        if value is not None:
            found[key] = value
    return found


def _milliseconds(distribution: Distribution) -> dict[str, float]:
    """Empty where there is no sample."""
    if distribution.min_us is None or distribution.max_us is None or distribution.average_us is None:
        return {}
    found: dict[str, float] = {
        "count": distribution.count,
        "min": ms(distribution.min_us),
        "max": ms(distribution.max_us),
        "avg": ms(distribution.average_us),
    }
    for key, value in zip(PERCENTILES, distribution.percentiles_us(PERCENTILES.values()), strict=True):
        if value is not None:
            found[key] = ms(value)
    return found


def _operation(operation: OperationStats) -> dict[str, Any]:
    found: dict[str, Any] = {"type": operation.type, "name": operation.name}
    if operation.tags:
        found["tags"] = list(operation.tags)
    found |= {count: getattr(operation, count) for count in _COUNTS}
    found["errors"] = dict(operation.errors)
    if operation.latency.count:
        found["latency_ms"] = _milliseconds(operation.latency)
    if operation.service is not None and operation.service.count:
        found["service_ms"] = _milliseconds(operation.service)
    if operation.latency.count:
        found["histogram"] = operation.latency.to_text()
    if operation.service is not None and operation.service.count:
        found["service_histogram"] = operation.service.to_text()
    return found


def _push(push: PushStats) -> dict[str, Any]:
    found: dict[str, Any] = {"received": push.received, "bytes_received": push.bytes_received}
    if push.expected is not None:
        found["expected"] = push.expected
        found["reached"] = push.reached or 0
        found["never_came"] = push.never_came
    if push.reach is not None:
        found["reach"] = round(push.reach, 9)
    for key, distribution in (("lag", push.lag), ("spread", push.spread)):
        if distribution is not None and distribution.count:
            found[f"{key}_ms"] = _milliseconds(distribution)
            found[f"{key}_histogram"] = distribution.to_text()
    return found
