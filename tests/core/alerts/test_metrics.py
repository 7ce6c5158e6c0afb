"""The catalogue of metrics: what holds for every entry, and what each one's value is."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from locust_ext.core.alerts.metrics import METRICS, endpoint_series, meant_by, metric_named
from locust_ext.core.alerts.units import UNITS
from locust_ext.core.alerts.values import Reader
from locust_ext.core.alerts.where import Where
from locust_ext.model import GENERATOR, OperationStats, RunInfo, Second, Snapshot
from locust_ext.model.search import (
    BAD,
    GOOD,
    INTERRUPTED,
    NEVER_GOOD,
    NOT_RECOVERED,
    RECOVER,
    SEARCHING,
    UP,
    LimitSearch,
    LoadStep,
)
from tests.core.alerts.examples import full, read, rule

every_metric = pytest.mark.parametrize("name", list(METRICS))

EXPECTED: dict[str, object] = {
    "latency_average": (50 * 10 + 45 * 20 + 400 + 500 + 20 * 90) / 117,
    "latency_p50": 20,
    "latency_p90": 90,
    "latency_p95": 90,
    "latency_p99": 400,
    "latency_p999": 500,
    "latency_min": 10,
    "latency_max": 500,
    "service_average": (97 * 5 + 20 * 90) / 117,
    "service_p50": 5,
    "service_p90": 90,
    "service_p95": 90,
    "service_p99": 90,
    "service_p999": 90,
    "service_min": 5,
    "service_max": 90,
    "rate": 27.3,
    "rate_ratio": None,
    "error_ratio": 10 / 273,
    "success_ratio": 263 / 273,
    "errors": 10,
    "errors_rate": 1,
    "in_flight": 5,
    "users": 40,
    "search.sustained_users": 30,
    "search.recovery_s": 6000,
    "connections_open": 25,
    "connected_ratio": 100 / 140,
    "connect_average": 2.95,
    "connect_p50": 2.9,
    "connect_p95": 4.7,
    "connect_p99": 4.9,
    "connect_max": 4.9,
    "connect_rate": 3.8,
    "connect_failures": 2,
    "connect_failure_ratio": 0.05,
    "drops": 3,
    "reconnects": 5,
    "failovers": 2,
    "recovery_p50": 200,
    "recovery_p95": 900,
    "recovery_max": 900,
    "push_rate": 150,
    "push_reach": 0.98,
    "push_lag_average": 3.04,
    "push_lag_p50": 3,
    "push_lag_p95": 3,
    "push_lag_p99": 3,
    "push_lag_max": 7,
    "push_spread_p95": 4,
    "messages_sent_rate": 200,
    "messages_received_rate": 300,
    "bytes_sent_rate": 4000,
    "bytes_received_rate": 5000,
    "inbox_dropped": 6,
    "loop_lag_p99": {"1": 2, "2": 60},
    "loop_lag_max": {"1": 2, "2": 60},
    "send_lateness_p99": {"1": 0.3, "2": 0.8},
    "generator.cpu_percent": {"1": 40, "2": 80},
    "generator.memory_bytes": {"1": 1e8, "2": 2e8},
    "generator.memory_percent": {"1": 11, "2": 22},
    "generator.descriptors": {"1": 120, "2": 240},
    "generator.descriptors_percent": {"1": 3, "2": 6},
    "generator.threads": {"1": 4, "2": 8},
    "generator.greenlets": {"1": 90, "2": 180},
    "generator.loop_lag_p99_ms": {"1": 2.5, "2": 5},
    "generator.loop_lag_max_ms": {"1": 9, "2": 18},
    "generator.sent_bytes_per_second": {"1": 1e6, "2": 2e6},
    "generator.received_bytes_per_second": {"1": 2e6, "2": 4e6},
    "generator.ports_left": {"1": 28_000, "2": 56_000},
    "master.cpu_percent": 12,
    "master.memory_bytes": 8e7,
    "master.loop_lag_p99_ms": 1.5,
    "target.cpu_percent": 80,
    "target.memory_bytes": 4e8,
    "target.descriptors": 55,
    "target.threads": 9,
    "target.processes": 2,
    "target.context_keys": 100,
    "target.connected_clients": 30,
}


@every_metric
def test_it_has_a_known_unit_and_a_line_of_help_for_strangers(name: str) -> None:
    metric = METRICS[name]
    assert metric.unit in UNITS
    assert 3 < len(metric.help) <= 80
    assert "\n" not in metric.help
    assert metric.title
    assert set(metric.scopes) <= {"type", "name", "tags", "worker", "class"}


@every_metric
def test_its_value_on_the_example_is_the_expected_one(name: str) -> None:
    expected = EXPECTED[name]
    wanted = {} if expected is None else expected if isinstance(expected, dict) else {"": expected}
    assert METRICS[name].value(full()) == pytest.approx(wanted, rel=0.005)


@every_metric
def test_it_has_no_data_where_nothing_was_measured(name: str) -> None:
    assert METRICS[name].value(Snapshot()) == {}


@every_metric
def test_what_nothing_matches_has_no_data_instead_of_a_good_value(name: str) -> None:
    metric = METRICS[name]
    if "name" in metric.scopes:
        assert metric.value(full(), Where(name="a name that is nowhere")) == {}
    if metric.is_by_worker:
        assert metric.value(full(), Where(worker="99")) == {}


@every_metric
def test_every_metric_of_generators_is_told_by_worker(name: str) -> None:
    metric = METRICS[name]
    if metric.is_by_worker:
        assert set(metric.value(full(), Where(worker="*"))) == {"1", "2"}
        assert set(metric.value(full(), Where(worker="2"))) == {"2"}
    else:
        assert set(metric.value(full())) <= {""}


@pytest.mark.parametrize(
    ("name", "where", "expected"),
    [
        ("latency_p95", Where(types=("CONNECT",)), 4.7),
        ("latency_max", Where(types=("POOL",)), 9000),
        ("latency_max", Where(types=("GET",)), 90),
        ("latency_max", Where(types=("GET", "WS")), 500),
        ("latency_max", Where(name="/a?b=[*]"), 90),
        ("latency_max", Where(tags=frozenset({"eu"})), 500),
        ("service_max", Where(types=("WS",)), 5),
        ("rate", Where(types=("WS",)), 10),
        ("errors", Where(error_class="timeout"), 3),
        ("errors", Where(error_class="closed_*"), 3),
        ("errors", Where(types=("WS",), error_class="refused"), 0),
        ("error_ratio", Where(types=("WS",)), 0.05),
        ("success_ratio", Where(types=("WS",)), 0.95),
        ("in_flight", Where(name="query"), 4),
        ("drops", Where(name="/ws"), 3),
        ("push_rate", Where(name="news"), 100),
        ("push_reach", Where(name="*w*"), 0.98),
    ],
)
def test_a_metric_can_be_narrowed(name: str, where: Where, expected: float) -> None:
    assert METRICS[name].value(full(), where) == pytest.approx({"": expected}, rel=0.005)


def test_a_reach_that_nobody_knows_is_no_data() -> None:
    assert METRICS["push_reach"].value(full(), Where(name="weather")) == {}


def test_nothing_at_all_in_a_time_that_has_passed_is_a_rate_of_zero() -> None:
    silent = Snapshot(run=RunInfo(duration_s=10.0))
    found = {name: METRICS[name].value(silent) for name in METRICS}
    zeros = {name for name, values in found.items() if values == {"": 0}}
    assert {"rate", "errors", "drops", "connect_failures", "messages_sent_rate", "connections_open"} <= zeros
    assert {name: values for name, values in found.items() if values and name not in zeros} == {}
    assert not {"error_ratio", "success_ratio", "latency_p95", "push_reach", "users", "rate_ratio"} & zeros


def test_a_window_without_the_generators_own_figures_takes_the_monitors_loop_lag() -> None:
    window = replace(full(), generators=())
    assert METRICS["loop_lag_p99"].value(window) == {"1": 2.5, "2": 5.0}
    assert METRICS["send_lateness_p99"].value(window) == {}


def test_connected_users_are_those_of_the_seconds_with_users_and_not_of_the_warm_up() -> None:
    rows = (
        Second(0, open_connections=0, users=10, warmup=True),
        Second(1, open_connections=4, users=10),
        Second(2, open_connections=8, users=10),
        Second(3, open_connections=8, users=0),
    )
    assert METRICS["connected_ratio"].value(Snapshot(timeline=rows)) == {"": 0.6}
    assert METRICS["connected_ratio"].value(Snapshot(timeline=rows[3:])) == {}


def test_a_target_seen_by_several_sources_has_the_highest_value() -> None:
    assert METRICS["target.cpu_percent"].value(full()) == {"": 80.0}


@pytest.mark.parametrize(
    ("name", "unit", "value"),
    [
        ("target.http_requests_total_per_second", "/s", 17.0),
        ("target.gc_pause_seconds", "ms", 250.0),
    ],
)
def test_a_metric_of_the_targets_own_endpoint_has_the_unit_that_its_name_ends_in(
    name: str, unit: str, value: float
) -> None:
    metric = metric_named(name)
    assert metric is not None
    assert metric.unit == unit
    assert metric.value(full()) == {"": value}


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("target.heap_bytes", "B"),
        ('target.heap_bytes{area="old"}', "B"),
        ("target.read_bytes_per_second", "B/s"),
        ("target.pool_percent", "%"),
        ("target.hit_ratio", "share"),
        ("target.queue", ""),
    ],
)
def test_units_of_the_targets_own_metrics(name: str, unit: str) -> None:
    metric = metric_named(name)
    assert metric is not None
    assert metric.unit == unit


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("target.jobs_total", "target.jobs_per_second"),
        ('target.jobs_total{kind="a_total"}', 'target.jobs_per_second{kind="a_total"}'),
        ("target.process_resident_memory_bytes", "target.memory_bytes"),
        ("target.process_cpu_seconds_total", "target.cpu_percent"),
        ("target.jobs_per_second", None),
        ("jobs_total", None),
    ],
)
def test_a_name_of_the_endpoint_that_the_monitor_calls_otherwise_is_no_metric(name: str, meant: str | None) -> None:
    assert meant_by(name) == meant
    if meant is not None:
        assert metric_named(name) is None
        assert metric_named(meant) is not None


@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("target.queue_depth", ("queue_depth",)),
        ('target.jobs_per_second{kind="a"}', ('jobs_total{kind="a"}', 'jobs_per_second{kind="a"}')),
        ("target.cpu_percent", ()),
        ("generator.cpu_percent", ()),
        ("rate", ()),
    ],
)
def test_a_rule_on_the_targets_own_endpoint_says_which_series_it_needs(name: str, series: tuple[str, ...]) -> None:
    assert endpoint_series(name) == series


@pytest.mark.parametrize("name", ["latency", "target.", "target", "target.a b", "generator.cpu", "", "p95"])
def test_other_names_are_no_metrics(name: str) -> None:
    assert metric_named(name) is None


def test_an_average_over_many_operations_weighs_each_sample_alike() -> None:
    snapshot = full()
    query = next(each for each in snapshot.operations if each.type == "WS")
    twice = replace(snapshot, operations=(query, replace(query, name="again")))
    once = replace(snapshot, operations=(query,))
    for name in ("latency_average", "latency_p95", "latency_max"):
        assert METRICS[name].value(twice) == pytest.approx(dict(METRICS[name].value(once)))


def test_a_value_that_is_no_number_is_left_to_the_reader_to_refuse() -> None:
    broken = Snapshot(
        resources=(read(GENERATOR, "1", cpu_percent=math.nan), read(GENERATOR, "2", cpu_percent=5.0)),
        operations=(OperationStats("WS", "a"),),
    )
    reader = Reader(lambda length_s, worker: broken, ("1", "2"))
    assert reader.values(rule(metric="generator.cpu_percent"), 10) == {"2": 5.0}


def test_a_search_for_the_limit_has_no_figures_before_its_end_and_none_where_nobody_knows() -> None:
    good, bad = LoadStep(UP, 30, 0.0, 2.0, GOOD), LoadStep(UP, 5, 3.0, 2.0, BAD)
    never = LoadStep(RECOVER, 10, 5.0, 60.0, BAD)

    def figures(outcome: str, *steps: LoadStep) -> tuple[object, object]:
        told = Snapshot(search=LimitSearch(outcome, steps=steps))
        return METRICS["search.sustained_users"].value(told), METRICS["search.recovery_s"].value(told)

    assert figures(SEARCHING, good) == ({}, {})
    assert figures(INTERRUPTED) == ({}, {})
    assert figures(INTERRUPTED, good) == ({"": 30.0}, {})
    assert figures(NEVER_GOOD, bad) == ({"": 0.0}, {}), "none is sustained, and a rule may say so"
    assert figures(NOT_RECOVERED, good, LoadStep(UP, 40, 3.0, 2.0, BAD), never) == ({"": 30.0}, {"": 60_000.0})
    assert METRICS["search.sustained_users"].value(Snapshot()) == {}
