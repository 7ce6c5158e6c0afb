"""`summary.json`: its keys, its schema, nothing made up, and the way back."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import locust_ext.outputs
from locust_ext.core.accounting import Recorder
from locust_ext.errors import ConfigError
from locust_ext.model import OperationStats, Snapshot
from locust_ext.outputs import REPORTS, read_summary
from tests.outputs.examples import HOSTILE, bad, full, good

SCHEMA = json.loads(Path(locust_ext.outputs.__file__).with_name("summary.schema.json").read_text())


def document(snapshot: Snapshot) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(REPORTS["summary.json"](snapshot))
    return decoded


@pytest.mark.parametrize("snapshot", [Snapshot(), good(), bad(), full()], ids=["empty", "good", "bad", "full"])
def test_every_summary_is_valid_by_the_published_schema(snapshot: Snapshot) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(document(snapshot), SCHEMA)


def test_the_schema_refuses_what_does_not_belong() -> None:
    for spoil in ({"error_metrics": {"total": -1, "by_class": {}}}, {"surprise": 1}, {"schema": 2}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document(good()) | spoil, SCHEMA)


def test_the_sections_hold_the_keys_and_numbers_that_were_promised() -> None:
    summary = document(good())
    assert summary["connection_metrics"] == {
        "total_connections": 50,
        "successful_connections": 50,
        "failed_connections": 0,
        "success_rate": 1.0,
        "dropped": 0,
        "reconnects": 1,
        "peak_open": 50,
        "states": {"open": 50},
    }
    assert summary["message_metrics"] == {
        "messages_sent": 2200,
        "messages_received": 2201,
        "bytes_sent": 150_000,
        "bytes_received": 126_002,
    }
    assert summary["throughput_metrics"] == {
        "messages_per_second_sent": 220.0,
        "messages_per_second_received": 220.1,
        "bytes_per_second_sent": 15_000.0,
        "bytes_per_second_received": 12_600.2,
    }
    assert summary["latency_metrics"] == {
        "min_ms": 1.0,
        "max_ms": 5.0,
        "avg_ms": 3.25,
        "p50_ms": 1.996,
        "p95_ms": 5.0,
        "p99_ms": 5.0,
        "p999_ms": 5.0,
    }
    assert summary["error_metrics"] == {"total": 0, "error_rate": 0.0, "by_class": {}}
    assert summary["run"] == {
        "id": "20260101T120000-abc",
        "started_at": "2026-01-01T12:00:00.000+00:00",
        "duration_s": 10.0,
        "host": "http://127.0.0.1:8000",
        "scenario": "realistic",
        "seed": 7,
        "users": 50,
        "workers": 0,
        "versions": {"locust": "2.47.0"},
        "valid": True,
        "invalid_because": [],
        "complete": True,
    }
    pushes = summary["push_metrics"]
    assert pushes["heartbeat"] == {"received": 1, "bytes_received": 2}
    assert (pushes["context_changed"]["received"], pushes["context_changed"]["expected"]) == (200, 200)
    assert (pushes["context_changed"]["reach"], pushes["context_changed"]["never_came"]) == (0.95, 10)
    assert pushes["context_changed"]["lag_ms"]["p99"] == 0.7
    assert pushes["context_changed"]["spread_ms"]["count"] == 1


def test_what_connections_came_to_is_told_as_distributions() -> None:
    """Seconds, and plain numbers, a sample a connection; absent where none has ended."""
    recorder = Recorder()
    recorder.begin("r", 0.0)
    for number in range(1, 101):
        connection = Connection(number / 2, number, 2 * number, 10 * number, 20 * number)
        recorder.connection_opened(connection)
        recorder.connection_ended(connection)
    summary = document(recorder.snapshot(1.0))
    jsonschema.validate(summary, SCHEMA)
    metrics = summary["connection_metrics"]
    assert metrics["lifetime_s"] == {
        "count": 100,
        "min": 0.5,
        "max": 50.0,
        "avg": 25.25,
        "p50": pytest.approx(25.0, rel=0.01),
        "p95": pytest.approx(47.5, rel=0.01),
        "p99": pytest.approx(49.5, rel=0.01),
        "p999": 50.0,
    }
    assert metrics["messages_sent_per_connection"]["p50"] == 50
    for figure, factor in (("messages_received", 2), ("bytes_sent", 10), ("bytes_received", 20)):
        told = metrics[f"{figure}_per_connection"]
        assert (told["min"], told["max"], told["avg"]) == (factor, 100 * factor, 50.5 * factor)
    assert "lifetime_s" not in document(good())["connection_metrics"]
    assert read_summary(json.dumps(summary)).connections.peak_open == 0


@dataclass(eq=False)
class Connection:
    lifetime_s: float
    messages_sent: int
    messages_received: int
    bytes_sent: int
    bytes_received: int


def test_an_operation_has_its_ledger_its_latencies_and_its_histogram() -> None:
    operations = {(each["type"], each["name"]): each for each in document(good())["operations"]}
    query = operations["WS", "query"]
    assert {key: query[key] for key in ("started", "ok", "failed", "in_flight", "errors", "bytes_received")} == {
        "started": 1000,
        "ok": 1000,
        "failed": 0,
        "in_flight": 0,
        "errors": {},
        "bytes_received": 100_000,
    }
    assert (query["latency_ms"]["count"], query["latency_ms"]["max"], query["service_ms"]["max"]) == (1000, 1.999, 1.0)
    assert query["histogram"].startswith("1;1499500;1000;1999;506*")
    assert operations["SIO", "set"]["tags"] == ["beta", "eu"]
    # A one-way message has no time: not a 0, and no empty table either.
    assert not {"latency_ms", "service_ms", "histogram", "tags"} & operations["SEND", "event"].keys()


def test_failures_are_counted_by_class_and_drops_beside_connections() -> None:
    summary = document(bad())
    assert summary["error_metrics"]["total"] == 13
    assert summary["error_metrics"]["error_rate"] == pytest.approx(13 / 1004, abs=1e-9)
    assert sum(summary["error_metrics"]["by_class"].values()) == 13
    assert summary["error_metrics"]["by_class"]["closed_1006"] == 1
    assert summary["connection_metrics"]["success_rate"] == 0.5
    assert summary["connection_metrics"]["dropped"] == 1
    assert summary["connection_metrics"]["inbox_dropped"] == 1
    assert summary["connection_metrics"]["handler_calls_dropped"] == 1
    assert [rule["outcome"] for rule in summary["rules"]] == ["passed", "no_data", "failed", "warned"]
    assert [figure["outcome"] for figure in summary["comparison"]["figures"]] == ["same", "worse", "worse", "no_data"]


def test_names_come_through_json_as_they_are() -> None:
    assert any(operation["name"] == HOSTILE for operation in document(bad())["operations"])


def test_what_was_not_measured_is_absent() -> None:
    summary = document(Snapshot())
    assert summary["latency_metrics"] == {}
    assert summary["throughput_metrics"] == {}
    assert summary["error_metrics"] == {"total": 0, "by_class": {}}
    assert "success_rate" not in summary["connection_metrics"]
    assert not {"seed", "users", "host", "id"} & summary["run"].keys()
    assert "null" not in REPORTS["summary.json"](good()) + REPORTS["summary.json"](bad())


@pytest.mark.parametrize("snapshot", [Snapshot(), good(), bad(), full()], ids=["empty", "good", "bad", "full"])
def test_a_summary_read_back_gives_the_same_figures(snapshot: Snapshot) -> None:
    """All but the rows of the two tables; without the timeline there is no best second."""
    before = document(replace(snapshot, timeline=()))
    after = document(read_summary(REPORTS["summary.json"](snapshot)))
    assert after == before


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        (["schema"], 99, "schema"),
        (["run"], [], "run"),
        (["run", "duration_s"], "10", "run.duration_s"),
        (["run", "duration_s"], -1, "run.duration_s"),
        (["run", "complete"], 1, "run.complete"),
        (["operations"], {}, "operations"),
        (["operations", 1], 5, "operations[1].errors"),
        (["operations", 0, "service_histogram"], 5, "operations[0].service_histogram"),
        (["operations", 0, "ok"], True, "operations[0].ok"),
        (["operations", 0, "histogram"], "1;2;3", "operations[0].histogram"),
        (["operations", 2, "errors"], {"x": "y"}, "operations[2].errors.x"),
        (["message_metrics", "bytes_sent"], None, "message_metrics.bytes_sent"),
        (["push_metrics", "heartbeat", "received"], 1.5, "push_metrics.heartbeat.received"),
    ],
)
def test_a_baseline_that_was_tampered_with_is_refused_by_its_key(path: list[Any], value: object, key: str) -> None:
    summary = document(good())
    where: Any = summary
    for step in path[:-1]:
        where = where[step]
    where[path[-1]] = value
    with pytest.raises(ConfigError) as caught:
        read_summary(json.dumps(summary), source="old/summary.json")
    assert (caught.value.source, caught.value.key) == ("old/summary.json", key)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": NaN}', b"\xff\xfe"])
def test_what_is_no_summary_is_refused(text: str | bytes) -> None:
    with pytest.raises(ConfigError):
        read_summary(text)


def test_highlights_and_recommendations_are_told_with_their_numbers() -> None:
    summary = document(full())
    highlights = summary["highlights"]
    assert highlights["best_throughput"] == {"type": "WS", "name": "query", "per_second": 100.0}
    assert highlights["best_second"] == {"start_s": 3, "per_second": 1000.0}
    assert highlights["fastest"] == {"type": "GET", "name": "/api", "p95_ms": 1.0}
    assert highlights["slowest"] == {"type": "WS", "name": "set", "tags": ["eu"], "p95_ms": 400.0}
    assert highlights["most_reliable"] == {"type": "WS", "name": "query", "error_rate": 0.0}
    assert highlights["least_reliable"] == {"type": "WS", "name": "set", "tags": ["eu"], "error_rate": 0.25}
    assert any("WS set [eu]" in sentence for sentence in summary["recommendations"])
    assert not {"highlights", "recommendations"} & document(Snapshot()).keys()


def test_a_name_with_half_a_surrogate_pair_can_be_written_and_read() -> None:
    text = REPORTS["summary.json"](Snapshot(operations=(OperationStats("WS", "a\ud800b", ok=1),)))
    assert read_summary(text.encode("utf-8")).operations[0].name == "a\ud800b"


def test_a_number_that_no_computer_can_hold_is_refused_by_its_key() -> None:
    text = REPORTS["summary.json"](good()).replace('"duration_s": 10.0', '"duration_s": 1e999')
    with pytest.raises(ConfigError) as caught:
        read_summary(text)
    assert caught.value.key == "run.duration_s"


def test_what_the_monitor_read_is_told_by_source_with_figures_limits_leak_and_trends() -> None:
    summary = document(full())
    (generator,) = summary["resources"]["generator"]
    assert (generator["worker"], generator["cpu_percent"]["max"]) == ("", 95.0)  # what is known without the monitor
    assert generator["figures"]["greenlets"] == {
        "count": 10,
        "current": 55.0,
        "avg": 55.0,
        "min": 55.0,
        "max": 55.0,
        "median": 55.0,
    }
    assert generator["limits"] == {"descriptors_limit": 1024.0, "memory_limit_bytes": 1e9}
    assert summary["resources"]["master"]["figures"]["cpu_percent"]["avg"] == 3.5
    hostile, target = summary["resources"]["target"]
    assert (hostile["source"], hostile["figures"][HOSTILE]["min"]) == (HOSTILE, -5.25)
    assert (target["source"], target["leak"]["verdict"]) == ("pid 123", "too short to say")
    assert "leak" not in hostile
    (trend,) = [
        trend for trend in summary["trends"] if (trend["source"], trend["metric"]) == ("pid 123", "cpu_percent")
    ]
    assert (trend["side"], trend["verdict"], trend["slope_per_min"]) == ("target", "increasing", 600.0)
    assert not {"resources", "trends", "rules", "alerts"} & document(good()).keys()


def test_rules_and_alerts_are_told_as_they_came() -> None:
    summary = document(bad())
    assert summary["rules"][0] == {"name": "error_rate", "outcome": "passed", "text": "0.012"}
    assert summary["rules"][2]["value"] == "250 ms"
    assert summary["rules"][2]["limit"] == "> 200 ms"
    first, second, third = summary["alerts"]["fired"]
    assert (first["rule"], first["subject"], first["value"], first["resolved_s"]) == (HOSTILE, HOSTILE, -1.5, 1.5)
    assert not {"acknowledged_s", "resolved_s"} & second.keys()
    assert (third["severity"], third["state"], third["worst"]) == ("critical", "resolved", 80.0)
    assert [event["alert"] for event in summary["alerts"]["events"]] == [1, 2]


@pytest.mark.parametrize("snapshot", [bad(), full()], ids=["bad", "full"])
def test_what_the_monitor_and_the_rules_found_is_read_back_to_the_last_digit(snapshot: Snapshot) -> None:
    after = read_summary(REPORTS["summary.json"](snapshot))
    assert (after.rules, after.alerts, after.alert_events) == (snapshot.rules, snapshot.alerts, snapshot.alert_events)
    assert [(each.side, each.source, each.figures, each.limits) for each in after.resources] == [
        (each.side, each.source, each.figures, each.limits) for each in snapshot.resources
    ]
    assert [(len(each.trends), each.leak) for each in after.resources] == [
        (len(each.trends), each.leak) for each in snapshot.resources
    ]


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        (
            ["resources", "target", 1, "figures", "cpu_percent", "avg"],
            "5",
            "resources.target[1].figures.cpu_percent.avg",
        ),
        (
            ["resources", "target", 1, "figures", "cpu_percent", "count"],
            -1,
            "resources.target[1].figures.cpu_percent.count",
        ),
        (["resources", "target", 1, "leak", "verdict"], "perhaps", "resources.target[1].leak.verdict"),
        (["resources", "master", "figures"], [], "resources.master.figures"),
        (
            ["resources", "generator", 0, "limits"],
            {"descriptors_limit": True},
            "resources.generator[0].limits.descriptors_limit",
        ),
        (["trends", 0, "side"], "nowhere", "trends[0].side"),
        (["trends", 0, "verdict"], 1, "trends[0].verdict"),
    ],
)
def test_resources_that_were_tampered_with_are_refused_by_their_key(path: list[Any], value: object, key: str) -> None:
    summary = document(full())
    where: Any = summary
    for step in path[:-1]:
        where = where[step]
    where[path[-1]] = value
    with pytest.raises(ConfigError) as caught:
        read_summary(json.dumps(summary))
    assert caught.value.key == key


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        (["rules", 0, "outcome"], "maybe", "rules[0].outcome"),
        (["rules", 2, "limit"], 5, "rules[2].limit"),
        (["alerts", "fired", 0, "state"], "gone", "alerts.fired[0].state"),
        (["alerts", "fired", 0, "worst"], None, "alerts.fired[0].worst"),
        (["alerts", "events", 1, "severity"], "bad", "alerts.events[1].severity"),
        (["alerts"], [], "alerts"),
    ],
)
def test_rules_and_alerts_that_were_tampered_with_are_refused_by_their_key(
    path: list[Any], value: object, key: str
) -> None:
    summary = document(bad())
    where: Any = summary
    for step in path[:-1]:
        where = where[step]
    where[path[-1]] = value
    with pytest.raises(ConfigError) as caught:
        read_summary(json.dumps(summary))
    assert caught.value.key == key
