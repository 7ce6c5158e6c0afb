"""Rules, alerts and trends as people read them."""

from __future__ import annotations

import json
from dataclasses import replace

from locust_ext.model import (
    GENERATOR,
    Alert,
    AlertEvent,
    Check,
    ResourceFigures,
    ResourceStats,
    RunInfo,
    Snapshot,
    Trend,
)
from locust_ext.outputs import REPORTS
from locust_ext.outputs.monitor_text import alert_text, alerts_text, rules_table
from locust_ext.outputs.read import read_summary

LATE = Alert(
    1, "lat", "latency_p95", "critical", "firing", "2", 300.0, 404.5, "> 200 ms", 3, 4, None, None, "300 ms", "404 ms"
)
ERRORS = Alert(
    2, "errors", "error_ratio", "critical", "resolved", "", 0.1, 0.3279, "> 15 %", 1, 2, None, 9, "10 %", "32.8 %"
)
TOLD = Snapshot(
    RunInfo(duration_s=10.0),
    alerts=(LATE, ERRORS),
    alert_events=(AlertEvent(4.0, 1, "lat", "critical", "firing", 300.0, "> 200 ms", "2", "text", "300 ms"),),
)


def test_the_worst_value_has_a_unit_as_its_limit_has() -> None:
    assert alert_text(LATE) == "critical lat: 404 ms, limit > 200 ms (worker 2), from 3 s on"
    assert alerts_text(TOLD).endswith("worst: critical errors: 32.8 %, limit > 15 %, from 1 s to 9 s")
    lines = REPORTS["summary.md"](TOLD).splitlines()
    assert "| critical | errors | 32.8 % | \\> 15 % |  | 1 s | 9 s | resolved |" in [
        line.replace("|   |", "|  |") for line in lines
    ]
    assert any("| critical | lat | 404 ms | \\> 200 ms | 2 | 3 s | - | firing |" in line for line in lines)


def test_the_texts_of_values_are_in_the_summary_and_come_back_from_it() -> None:
    text = REPORTS["summary.json"](TOLD)
    document = json.loads(text)
    (late, _), (event,) = document["alerts"]["fired"], document["alerts"]["events"]
    assert (late["value_text"], late["worst_text"], event["value_text"]) == ("300 ms", "404 ms", "300 ms")
    assert read_summary(text).alerts == TOLD.alerts
    assert read_summary(text).alert_events == TOLD.alert_events


def test_an_earlier_report_without_those_texts_is_told_by_its_numbers() -> None:
    earlier = replace(LATE, value_text="", worst_text="")
    text = REPORTS["summary.json"](replace(TOLD, alerts=(earlier,), alert_events=()))
    assert "_text" not in json.dumps(json.loads(text)["alerts"])
    assert read_summary(text).alerts == (earlier,)
    assert alert_text(earlier).startswith("critical lat: 404.5, limit > 200 ms")


def test_when_and_how_badly_a_rule_was_broken_is_never_cut_off() -> None:
    text = (
        "response time p95 of WS a query with a long name 90 ms over the run; critical > 500 ms fired 12 times, "
        "first at 1,234 s, worst 7,777 ms (worker 12)"
    )
    lines = rules_table([Check("slow", "failed", text, "90 ms", "critical > 500 ms")])
    assert max(map(len, lines)) <= 80
    assert lines[2:] == [
        "         response time p95 of WS a query with a long name 90 ms over the run;",
        "         critical > 500 ms fired 12 times, first at 1,234 s, worst 7,777 ms",
        "         (worker 12)",
    ]


def test_where_the_subject_is_very_long_the_alerts_are_told_instead() -> None:
    text = (
        f"response time p95 of WS {'x' * 300} 90 ms over the run; critical > 500 ms fired once, first at 3 s, worst 9 s"
    )
    lines = rules_table([Check("slow", "failed", text, "90 ms", "critical > 500 ms")])
    assert lines[2:] == ["         critical > 500 ms fired once, first at 3 s, worst 9 s"]


def test_trends_of_what_never_rests_are_told_of_runs_of_two_minutes_only() -> None:
    metrics = ("cpu_percent", "loop_lag_max_ms", "received_bytes_per_second", "sent_bytes_per_second")
    stats = ResourceStats(
        GENERATOR,
        "",
        tuple(ResourceFigures(metric, 9, 1, 1, 1, 1, 1) for metric in metrics),
        tuple(Trend(metric, "increasing") for metric in metrics),
    )
    short, long = (Snapshot(RunInfo(duration_s=length_s), resources=(stats,)) for length_s in (119.0, 120.0))
    assert "cpu_percent increasing |" in REPORTS["summary.md"](short).replace("\\_", "_")
    assert "loop" not in REPORTS["summary.md"](short).partition("Rising")[2]
    assert [each["metric"] for each in json.loads(REPORTS["summary.json"](short))["trends"]] == ["cpu_percent"]
    assert [each["metric"] for each in json.loads(REPORTS["summary.json"](long))["trends"]] == list(metrics)
    assert "loop_lag_max_ms increasing" in REPORTS["summary.md"](long).replace("\\_", "_")
