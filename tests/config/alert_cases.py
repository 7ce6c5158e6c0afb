"""Runs as series for ``promtool test rules``: one in which all is well, and what is otherwise in those with trouble."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.config.files import PROMETHEUS, rules

STEP_S: Final = 5
SAMPLES: Final = 360
"""Half an hour."""
LATE: Final = "25m"
"""When everything has had its time to fire."""
Series = tuple[str, str]
"""Name and labels."""


def const(value: float) -> str:
    return f"{value}x{SAMPLES}"


def grows(step: float, start: int = 0) -> str:
    """By so much with each scrape."""
    return f"{start}+{step}x{SAMPLES}"


_WS: Final = 'type="WS",name="ping"'
_CONNECT: Final = 'type="CONNECT",name="/ws"'
_DURATION: Final = "locust_ext_request_duration_seconds_bucket"
_LAG: Final = "locust_ext_generator_loop_lag_seconds"
VALID: Final = ("locust_ext_run_valid", "")
COMPLETE: Final = ("locust_ext_run_complete", "")
WANTED: Final = ("locust_ext_users_wanted", "")
SENT: Final = ("locust_ext_messages_total", 'direction="sent"')
OK: Final = ("locust_ext_requests_total", f'{_WS},outcome="ok"')
GOOD: Final[Mapping[Series, str]] = {
    VALID: const(1),
    COMPLETE: const(0),
    WANTED: const(100),
    SENT: grows(500),
    OK: grows(495),
    ("locust_ext_requests_total", f'{_WS},outcome="failed"'): grows(5),
    ("locust_ext_requests_total", f'{_WS},outcome="cancelled"'): grows(500),
    ("locust_ext_run_duration_seconds", ""): grows(STEP_S),
    ("locust_ext_users_present", ""): const(100),
    ("locust_ext_achieved_rate_per_second", ""): const(99),
    ("locust_ext_target_rate_per_second", ""): const(100),
    (_DURATION, f'{_WS},le="0.1"'): grows(480),
    (_DURATION, f'{_WS},le="0.5"'): grows(495),
    (_DURATION, f'{_WS},le="1.0"'): grows(495),
    (_DURATION, f'{_WS},le="+Inf"'): grows(495),
    (_DURATION, f'{_CONNECT},le="0.5"'): const(0),  # slow, but no answer
    (_DURATION, f'{_CONNECT},le="1.0"'): grows(100),
    (_DURATION, f'{_CONNECT},le="+Inf"'): grows(100),
    ("locust_ext_connections", 'state="open"'): const(100),
    ("locust_ext_connections", 'state="waiting"'): const(1000),
    ("locust_ext_drops_total", 'error_class="reset"'): const(7),
    ("locust_ext_connects_total", 'outcome="ok"'): grows(100),
    ("locust_ext_connects_total", 'outcome="failed"'): grows(2),
    ("locust_ext_fanout_expected_total", 'event="changed"'): grows(1000),
    ("locust_ext_fanout_reached_total", 'event="changed"'): grows(999),
    ("locust_ext_target_memory_bytes", 'source="pid 7"'): grows(10_000, 1_000_000_000),
    ("locust_ext_alerts", 'rule="errors",severity="critical",state="firing"'): const(0),
    ("locust_ext_alerts", 'rule="errors",severity="critical",state="resolved"'): const(1),
    (f"{_LAG}_bucket", 'worker="0",le="0.05"'): grows(500),
    (f"{_LAG}_bucket", 'worker="0",le="0.1"'): grows(500),
    (f"{_LAG}_bucket", 'worker="0",le="+Inf"'): grows(500),
    (f"{_LAG}_count", 'worker="0"'): grows(500),
    ("locust_ext_generator_cpu_ratio", 'worker="0"'): const(0.8),
    ("locust_ext_generator_open_descriptors", 'worker="0"'): const(800),
    ("locust_ext_generator_descriptors_limit", 'worker="0"'): const(1024),
    ("locust_ext_generator_ports_left", 'worker="0"'): const(20_000),
    ("locust_ext_inbox_dropped_messages_total", ""): const(3),
    ("locust_ext_handler_calls_dropped_total", ""): const(0),
}
BAD: Final[Mapping[Series, str]] = {
    VALID: "1x200 0x160",
    ("locust_ext_requests_total", f'{_WS},outcome="failed"'): grows(125),
    ("locust_ext_users_present", ""): const(80),
    ("locust_ext_achieved_rate_per_second", ""): const(80),
    (_DURATION, f'{_WS},le="0.1"'): grows(440),
    (_DURATION, f'{_WS},le="0.5"'): grows(450),
    # Two at once, of a class that was not there before; then one each time.
    ("locust_ext_drops_total", 'error_class="reset"'): "_x120 2x10 2+1x229",
    ("locust_ext_connects_total", 'outcome="failed"'): grows(20),
    ("locust_ext_fanout_reached_total", 'event="changed"'): grows(900),
    ("locust_ext_target_memory_bytes", 'source="pid 7"'): grows(1_000_000, 1_000_000_000),
    ("locust_ext_alerts", 'rule="errors",severity="critical",state="firing"'): "0x100 1x260",
    (f"{_LAG}_bucket", 'worker="0",le="0.05"'): grows(490),
    (f"{_LAG}_count", 'worker="0"'): "0+500x200 100000x160",
    ("locust_ext_generator_cpu_ratio", 'worker="0"'): const(0.95),
    ("locust_ext_generator_open_descriptors", 'worker="0"'): const(1000),
    ("locust_ext_generator_ports_left", 'worker="0"'): const(500),
    ("locust_ext_inbox_dropped_messages_total", ""): "3x100 3+5x260",
}
FIRE: Final[Mapping[str, tuple[dict[str, str], str]]] = {
    "LocustExtErrorRatio": ({}, "20.16% of the operations fail"),
    "LocustExtErrorRatioHigh": ({}, "20.16% of the operations fail"),
    "LocustExtLatencyP95": ({}, "p95 is 725ms"),
    "LocustExtConnectionsDropped": ({}, "10.71% of the connections were lost within a minute"),
    "LocustExtConnectsFail": ({}, "16.67% of the attempts to connect fail"),
    "LocustExtFanoutIncomplete": ({"event": "changed"}, "changed reaches 90% of its receivers"),
    "LocustExtTargetMemoryGrows": ({"source": "pid 7"}, "The memory of pid 7 grows by 55.38% an hour"),
    "LocustExtRuleBroken": ({"rule": "errors", "severity": "critical"}, "errors: critical"),
    "LocustExtUsersMissing": ({}, "80 users are there, more than a tenth less than wanted"),
    "LocustExtRateMissed": ({}, "80 operations a second, more than a tenth less than asked for"),
    "LocustExtRunNotValid": ({}, "The run's figures do not measure the target"),
    "LocustExtGeneratorLoopLag": ({"worker": "0"}, "Worker 0 is late by 75ms"),
    "LocustExtGeneratorCpu": ({"worker": "0"}, "Worker 0 uses 95% of a core"),
    "LocustExtWorkerLost": ({"worker": "0"}, "Worker 0 says nothing any more"),
    "LocustExtGeneratorDescriptors": ({"worker": "0"}, "Worker 0 has 97.66% of its file descriptors open"),
    "LocustExtGeneratorPorts": ({"worker": "0"}, "Worker 0 has 500 ports left"),
    "LocustExtMessagesUnread": ({}, "Users did not read 60 messages in a minute"),
}
"""Alert -> further labels, and what it says, late in the bad run."""
_ALERTS: Final = {rule["alert"]: rule for rule in rules() if "alert" in rule}


def fires(alert: str, at: str, labels: Mapping[str, str], summary: str) -> dict[str, Any]:
    """It fires there, with just these labels and texts."""
    where = {"job": "locust", "instance": "master:9646"}
    rule = _ALERTS[alert]
    description = rule["annotations"]["description"].replace("{{ $labels.instance }}", where["instance"])
    expected = {
        "exp_labels": {**where, **rule["labels"], **labels},
        "exp_annotations": {"summary": summary, "description": description},
    }
    return {"eval_time": at, "alertname": alert, "exp_alerts": [expected]}


def silent(alert: str, at: str = LATE) -> dict[str, Any]:
    return {"eval_time": at, "alertname": alert}


def case(name: str, series: Mapping[Series, str], *expected: dict[str, Any]) -> dict[str, Any]:
    told = [
        {"series": f'{family}{{job="locust",instance="master:9646",{labels}}}', "values": values}
        for (family, labels), values in series.items()
    ]
    return {"name": name, "interval": f"{STEP_S}s", "input_series": told, "alert_rule_test": list(expected)}


def _worker_beside_its_master() -> dict[str, Any]:
    """With --ext-worker-metrics: what a worker tells itself is in no recorded figure."""
    told = case("a worker's own figures", {VALID: const(1), COMPLETE: const(0), OK: grows(495), SENT: grows(500)})
    told["input_series"] += [
        {"series": f'{family}{{job="locust-workers",instance="worker:9650",{labels}}}', "values": grows(495)}
        for family, labels in (OK, SENT, ("locust_ext_drops_total", 'error_class="reset"'))
    ]
    labels = 'job="locust", instance="master:9646"'
    told["promql_expr_test"] = [
        {"eval_time": LATE, "expr": name, "exp_samples": [{"labels": f"{name}{{{labels}}}", "value": value}]}
        for name, value in (("instance:locust_ext_requests:rate1m", 99), ("instance:locust_ext_messages:rate1m", 100))
    ]
    told["promql_expr_test"].append({"eval_time": LATE, "expr": "instance_error_class:locust_ext_drops:increase1m"})
    return told


def cases() -> dict[str, Any]:
    """As promtool reads them."""
    nothing = "Users are there, but no load"
    little = "1.961% of the connections were lost within a minute"
    run = {VALID: const(1), COMPLETE: const(0), WANTED: const(100)}
    stops = "0+100x60 6000x300"
    tests = [
        case("a good run", GOOD, *map(silent, _ALERTS)),
        case(
            "a bad run",
            {**GOOD, **BAD},
            *(fires(alert, LATE, *told) for alert, told in FIRE.items()),
            silent("LocustExtConnectionsDropped", "9m30s"),
            fires("LocustExtConnectionsDropped", "10m30s", {}, little),
            silent("LocustExtWorkerLost", "16m"),
        ),
        case("a bad run that has ended", {**GOOD, **BAD, COMPLETE: const(1), VALID: const(1)}, *map(silent, _ALERTS)),
        case(
            "a run in which nothing happens any more",
            {**run, SENT: stops, OK: stops},
            silent("LocustExtNoLoad", "5m"),
            fires("LocustExtNoLoad", "8m", {}, nothing),
        ),
        case(
            "a run in which nothing ever happened",
            {**run, SENT: const(0)},
            fires("LocustExtNoLoad", "5m", {}, nothing),
        ),
    ]
    tests.append(_worker_beside_its_master())
    files = [str(PROMETHEUS / name) for name in ("recording_rules.yml", "alert_rules.yml")]
    return {"rule_files": files, "evaluation_interval": f"{STEP_S}s", "tests": tests}
