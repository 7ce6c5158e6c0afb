"""`outputs.metrics`: what a Snapshot's metrics say, read by other programs, and beside `summary.json`."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from locust_ext.core.accounting import Recorder
from locust_ext.model import (
    FIRING,
    RESOLVED,
    Alert,
    ResourceFigures,
    ResourceStats,
    RunInfo,
    Second,
    Snapshot,
)
from locust_ext.outputs import REPORTS
from locust_ext.outputs.metrics import Edges, Live, RunMetrics, content_type, is_openmetrics, pieces
from locust_ext.outputs.metrics.catalogue import COUNTED
from locust_ext.outputs.metrics.gauges import ORDER
from tests.outputs.examples import HOSTILE, bad, full, good
from tests.outputs.prometheus import LIVE, Scraped, assert_promtool_takes, text_of

LABELS = {
    *("type", "name", "outcome", "error_class", "state", "worker", "event", "direction"),
    *("rule", "severity", "source", "metric", "le"),
}
EXAMPLES = pytest.mark.parametrize("example", [good, bad, full, Snapshot])


def alert(rule: str, severity: str, state: str) -> Alert:
    return Alert(1, rule, "p95", severity, state, "", 1.0, 1.0, "> 1 s", 0.0)


def with_everything() -> Snapshot:
    """Every family has a series."""
    taken = full()
    recorder = Recorder()
    recorder.begin("r", 0.0)
    recorder.operation("CONNECT", "/ws", 1000, 0)
    recorder.operation("CONNECT", "/ws", None, 0, "failed", "refused")
    recorder.operation("DROP", "/ws", None, 0, "lost", "closed_1006")
    recorder.late("WS", "query")
    more = recorder.snapshot(1.0)
    figures = tuple(
        ResourceFigures(metric, 1, value, 0.0, 0.0, 0.0, 0.0)
        for metric, value in (("cpu_percent", 50.0), ("memory_bytes", 1e6), ("descriptors", 7.0), ("threads", 3.0))
    )
    more_figures = (
        ResourceFigures("greenlets", 1, 9.0, 0, 0, 0, 0),
        ResourceFigures("ports_left", 1, 99.0, 0, 0, 0, 0),
    )
    queue = ResourceFigures("queue_depth", 1, 17.0, 0.0, 0.0, 0.0, 0.0)
    return replace(
        taken,
        operations=(*taken.operations, *more.operations),
        resources=(
            ResourceStats("generator", "", (*figures, *more_figures), limits={"descriptors_limit": 1024}),
            ResourceStats("master", "", figures),
            ResourceStats("target", "pid 1", (*figures, queue)),
        ),
        alerts=(alert("slow", "critical", FIRING), alert("slow", "critical", RESOLVED)),
    )


# ── the format ────────────────────────────────────────────────────────────────────────────────────────────────────────


@EXAMPLES
def test_promtool_has_nothing_against_it(example: Callable[[], Snapshot]) -> None:
    assert_promtool_takes(text_of(example()))


def test_promtool_has_nothing_against_any_family() -> None:
    text = text_of(with_everything(), live=Live(10, 9, 100.0))
    assert_promtool_takes(text)
    told = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    missing = {family.name for family in (*COUNTED, *ORDER)} - {name.removesuffix("_total") for name in told}
    assert missing == set()


@EXAMPLES
def test_names_labels_and_help_are_what_the_field_expects(example: Callable[[], Snapshot]) -> None:
    text = text_of(example())
    scraped = Scraped(text)
    assert "_created" not in text
    for family, type_ in scraped.types.items():
        assert family.startswith("locust_ext_")
        assert 20 < len(scraped.help[family]) < 350
        assert scraped.help[family].endswith((".", "not yet.", "there are."))
        assert type_ in ("counter", "gauge", "histogram")
    for name, labels in scraped.values:
        if name != "locust_ext_run_info":
            assert {label for label, _ in labels} <= LABELS


@EXAMPLES
def test_openmetrics_says_the_same(example: Callable[[], Snapshot]) -> None:
    text = b"".join(pieces(RunMetrics().parts(example(), LIVE), openmetrics=True)).decode()
    assert text.count("# EOF") == 1
    assert text.endswith("# EOF\n")
    assert Scraped(text, openmetrics=True).values == Scraped(text_of(example())).values


def test_a_reader_gets_the_format_that_it_asks_for() -> None:
    prometheus = (
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,*/*;q=0.1"
    )
    assert is_openmetrics(prometheus)
    assert content_type(prometheus).startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert not is_openmetrics("")
    assert content_type("text/html") == "text/plain; version=0.0.4; charset=utf-8"


@EXAMPLES
def test_a_registry_of_prometheus_client_is_given_the_same_families(example: Callable[[], Snapshot]) -> None:
    given = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in RunMetrics().collect(example(), LIVE)
        for sample in family.samples
    }
    assert given == Scraped(text_of(example())).values


# ── the figures ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("example", [good, bad, full])
def test_every_count_is_that_of_summary_json(example: Callable[[], Snapshot]) -> None:
    snapshot = example()
    summary: dict[str, Any] = json.loads(REPORTS["summary.json"](snapshot))
    scraped = Scraped(text_of(snapshot))
    outcomes = ("ok", "failed", "timed_out", "lost", "cancelled")
    told = scraped.by("locust_ext_requests_total", "outcome")
    assert told == {outcome: sum(each[outcome] for each in summary["operations"]) for outcome in outcomes}
    errors = sum(told[outcome] for outcome in ("failed", "timed_out", "lost"))
    assert errors == summary["error_metrics"]["total"]
    if errors:
        assert sum(scraped.by("locust_ext_request_errors_total", "error_class").values()) == errors
    messages = scraped.by("locust_ext_messages_total", "direction")
    sent_and_received = summary["message_metrics"]["messages_sent"], summary["message_metrics"]["messages_received"]
    assert (messages["sent"], messages["received"]) == sent_and_received
    connections = summary["connection_metrics"]
    connects = scraped.by("locust_ext_connects_total", "outcome")
    assert connects["ok"] == connections["successful_connections"]
    assert sum(connects.values()) - connects["cancelled"] == connections["total_connections"]
    assert scraped.of("locust_ext_reconnects_total") == connections["reconnects"]
    for each in summary["push_metrics"].get("events", ()):
        assert scraped.of("locust_ext_pushes_total", event=each["event"]) == each["received"]


def test_the_p95_lies_in_the_bucket_that_prometheus_would_find_it_in() -> None:
    snapshot = good()
    scraped = Scraped(text_of(snapshot))
    for operation in snapshot.operations:
        p95_us = operation.latency.percentile_us(95)
        if p95_us is not None:
            labels = {"type": operation.type, "name": operation.name}
            low_s, high_s = scraped.bucket_of("locust_ext_request_duration_seconds", 0.95, **labels)
            assert low_s * 0.995 <= p95_us / 1e6 <= high_s * 1.005
            assert scraped.of("locust_ext_request_duration_seconds_sum", **labels) == operation.latency.sum_us / 1e6


def test_the_corrected_and_the_service_time_are_told_apart() -> None:
    scraped = Scraped(text_of(full()))
    labels = {"type": "WS", "name": "query"}
    assert scraped.of("locust_ext_request_duration_seconds_sum", **labels) == 3.0
    assert scraped.of("locust_ext_request_service_seconds_sum", **labels) == 2.0
    unpaced = {("locust_ext_request_service_seconds_sum", frozenset({("type", "WS"), ("name", "set")}))}
    assert not unpaced & scraped.values.keys()


def test_operations_of_one_name_with_different_tags_are_one() -> None:
    recorder = Recorder()
    recorder.begin("r", 0.0)
    recorder.operation("WS", "ask", 1000, 0, tags=("a",))
    recorder.operation("WS", "ask", 1000, 0, tags=("b",))
    scraped = Scraped(text_of(recorder.snapshot(1.0)))
    assert scraped.of("locust_ext_requests_total", name="ask", outcome="ok") == 2
    assert scraped.of("locust_ext_request_duration_seconds_count", name="ask") == 2


def test_what_is_a_gauge_says_how_it_stands() -> None:
    scraped = Scraped(text_of(with_everything(), live=Live(users_wanted=50, users_present=48, rate_wanted=200.0)))
    assert scraped.of("locust_ext_users_wanted") == 50
    assert scraped.of("locust_ext_users_present") == 48
    assert scraped.of("locust_ext_target_rate_per_second") == 200
    assert scraped.by("locust_ext_connections", "state")["waiting"] == 1
    assert scraped.by("locust_ext_generator_cpu_ratio", "worker") == {"local": 0.5, "master": 0.5}
    assert scraped.of("locust_ext_generator_memory_bytes", worker="local") == 1e6
    assert scraped.of("locust_ext_generator_descriptors_limit", worker="local") == 1024
    assert scraped.of("locust_ext_generator_cpu_seconds_total", worker="local") == 9.5
    assert scraped.of("locust_ext_target_memory_bytes", source="pid 1") == 1e6
    assert scraped.of("locust_ext_target_sample", source="pid 1", metric="queue_depth") == 17
    assert scraped.of("locust_ext_run_valid") == 0, "its loop lag is over the limit"
    assert scraped.by("locust_ext_alerts", "state", rule="slow", severity="critical") == {
        "pending": 0,
        "firing": 1,
        "acknowledged": 0,
        "resolved": 1,
    }
    assert scraped.of("locust_ext_drops_total", error_class="closed_1006") == 1
    assert scraped.of("locust_ext_stray_replies_total", type="WS", outcome="late") == 1
    assert scraped.of("locust_ext_fanout_expected_total", event="changed") == 20
    assert scraped.of("locust_ext_fanout_reached_total", event="changed") == 19


def test_the_run_is_told_with_its_id_scenario_and_versions() -> None:
    name, labels = next(series for series in Scraped(text_of(good())).values if series[0].endswith("_info"))
    assert (name, dict(labels)) == (
        "locust_ext_run_info",
        {
            "id": "20260101T120000-abc",
            "scenario": "realistic",
            "host": "http://127.0.0.1:8000",
            "version_locust": "2.47.0",
        },
    )


def test_before_any_run_there_is_what_needs_none() -> None:
    families = set(Scraped(text_of(Snapshot())).types)
    assert families == {
        "locust_ext_users_wanted",
        "locust_ext_users_present",
        "locust_ext_connections",
        "locust_ext_exporter_folded",
    }


def test_the_achieved_rate_is_that_of_the_last_five_closed_seconds() -> None:
    rows = tuple(Second(second, finished=second * 10) for second in range(8))
    going_on = Snapshot(run=RunInfo(id="r"), timeline=rows)
    assert Scraped(text_of(going_on)).of("locust_ext_achieved_rate_per_second") == (30 + 40 + 50 + 60 + 70) / 5
    over = replace(going_on, run=replace(going_on.run, complete=True))
    assert Scraped(text_of(over)).of("locust_ext_achieved_rate_per_second") == 0


def test_hostile_names_come_back_as_they_were_but_for_control_characters() -> None:
    scraped = Scraped(text_of(bad()))
    shown = HOSTILE.replace("\r", "�").replace("\t", "�").replace("\x1b", "�").replace("\u202e", "\u202e")
    assert scraped.of("locust_ext_requests_total", type="WS", name=shown, outcome="ok") == 990
    assert scraped.of("locust_ext_request_errors_total", error_class=shown) == 1
    assert scraped.of("locust_ext_pushes_total", event=shown) == 1


def test_two_names_that_look_the_same_once_they_are_safe_are_one_series() -> None:
    recorder = Recorder()
    recorder.begin("r", 0.0)
    recorder.operation("WS", "a\x00", 1, 0)
    recorder.operation("WS", "a\x07", 1, 0)
    assert Scraped(text_of(recorder.snapshot(1.0))).of("locust_ext_requests_total", name="a�", outcome="ok") == 2


# ── not too much ──────────────────────────────────────────────────────────────────────────────────────────────────────


def crowded(seed: int = 1, names: int = 600, types: int = 1) -> Recorder:
    """So many names, paced, with errors of many classes, events, and workers."""
    rng = random.Random(seed)
    recorder = Recorder()
    recorder.begin("r", 0.0)
    for number in range(names):
        type_ = f"T{number % types}"
        for _ in range(1 + number % 7):
            recorder.operation(type_, f"name {number}", rng.randrange(10**7), 5, service_us=rng.randrange(10**7))
        recorder.operation(type_, f"name {number}", None, 0, "failed", f"class {number % 300}")
        recorder.push(f"event {number}", 1, 700)
        recorder.fan_out(f"event {number}", 3, 2)
    recorder.tick(1.0)
    return recorder


def overfull(seed: int, names: int, types: int) -> Snapshot:
    taken = crowded(seed, names, types).snapshot(2.0)
    figures = with_everything().resources[0].figures
    queues = tuple(ResourceFigures(f"q{number}", 1, 1.0, 0, 0, 0, 0) for number in range(300))
    generators = with_everything().generators
    return replace(
        taken,
        generators=tuple(replace(generators[0], worker=str(number)) for number in range(300)),
        resources=(
            *(ResourceStats("generator", str(number), figures) for number in range(300)),
            ResourceStats("target", "pid", queues),
        ),
        alerts=tuple(alert(f"rule {number}", "warning", FIRING) for number in range(300)),
    )


@pytest.mark.parametrize(("names", "types"), [(600, 1), (600, 90), (100, 50)])
def test_there_are_never_more_than_10_000_series_and_nothing_is_lost(names: int, types: int) -> None:
    snapshot = overfull(1, names, types)
    scraped = Scraped(text_of(snapshot))
    assert 3_000 < len(scraped.values) <= 10_000
    assert scraped.of("locust_ext_requests_total") == snapshot.finished
    assert scraped.of("locust_ext_request_errors_total") == snapshot.failures
    assert scraped.of("locust_ext_request_duration_seconds_count") == sum(
        each.latency.count for each in snapshot.operations
    )
    assert scraped.of("locust_ext_request_service_seconds_count") == sum(
        each.latency.count for each in snapshot.operations
    )
    assert scraped.of("locust_ext_pushes_total") == snapshot.pushes_received
    assert scraped.of("locust_ext_push_lag_seconds_count") == snapshot.pushes_received
    assert scraped.of("locust_ext_generator_cpu_seconds_total") == pytest.approx(300 * 9.5)
    assert scraped.of("locust_ext_alerts", state="firing") == 300
    assert scraped.of("locust_ext_exporter_folded") > 0


@pytest.mark.parametrize(("most", "edges"), [(1_000, 18), (1_000, 40), (2_000, 5), (50_000, 18)])
def test_the_bound_on_the_series_can_be_set(most: int, edges: int) -> None:
    metrics = RunMetrics(Edges([float(edge) for edge in range(1, edges + 1)]), max_series=most)
    for names, types in ((600, 90), (600, 1)):
        assert len(Scraped(text_of(overfull(1, names, types), metrics)).values) <= most


def test_the_200_busiest_names_have_histograms_and_the_rest_is_one() -> None:
    recorder = Recorder()
    recorder.begin("r", 0.0)
    for number in range(400):
        for _ in range(number + 1):
            recorder.operation("WS", f"name {number}", 1000, 5)
    scraped = Scraped(text_of(recorder.snapshot(1.0)))
    counts = scraped.by("locust_ext_request_duration_seconds_count", "name")
    assert counts == {f"name {number}": number + 1 for number in range(200, 400)} | {"__other__": sum(range(1, 201))}
    assert scraped.by("locust_ext_requests_total", "name") == counts
