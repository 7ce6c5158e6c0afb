"""What came of the rules at the end of a run."""

from __future__ import annotations

import pytest

from locust_ext.core.alerts.evaluator import Evaluator
from locust_ext.core.alerts.where import Where
from locust_ext.model import Check, OperationStats, RunInfo, Snapshot
from tests.core.alerts.examples import World, full, rule, times


def snapshot(p95_ms: int, *, users: int | None = 5) -> Snapshot:
    operation = OperationStats("WS", "a", ok=10, latency=times(*[p95_ms * 1000] * 10))
    return Snapshot(run=RunInfo(duration_s=10.0, users=users), operations=(operation,))


def outcome(over_run_ms: int, *windows_ms: int, **more: object) -> Check:
    """The check of a rule on p95 (warning 100 ms, critical 500 ms) after these windows, with that over the run."""
    evaluator = Evaluator([rule("slow", metric="latency_p95", warning="100ms", critical="500ms", **more)])
    for second, value_ms in enumerate(windows_ms):
        evaluator.evaluate(float(second), lambda length_s, worker, value_ms=value_ms: snapshot(value_ms))  # type: ignore[misc]
    (check,) = evaluator.checks(lambda length_s, worker: snapshot(over_run_ms))
    return check


def test_a_rule_passes_whose_limits_were_never_broken() -> None:
    assert outcome(90, 80, 95) == Check(
        "slow", "passed", "response time p95 90 ms over the run", "90 ms", "warning > 100 ms, critical > 500 ms"
    )


def test_a_warning_that_fired_warns() -> None:
    check = outcome(90, 80, 200, 300)
    assert check.outcome == "warned"
    assert check.text == (
        "response time p95 90 ms over the run; warning > 100 ms fired once, first at 1 s, worst 300 ms"
    )


def test_a_critical_alert_that_fired_fails_the_rule_although_it_resolved() -> None:
    check = outcome(90, 600, 50, 50, 50, 700)
    assert check.outcome == "failed"
    assert check.text == (
        "response time p95 90 ms over the run; critical > 500 ms fired 2 times, first at 0 s, worst 700 ms; "
        "warning > 100 ms fired 2 times, first at 0 s, worst 700 ms"
    )


@pytest.mark.parametrize(("over_run_ms", "expected"), [(600, "failed"), (200, "warned"), (100, "passed")])
def test_the_value_over_the_whole_run_is_judged_too(over_run_ms: int, expected: str) -> None:
    assert outcome(over_run_ms, 50).outcome == expected
    assert outcome(over_run_ms, window_s=None).outcome == expected


def test_a_value_over_the_run_that_breaks_a_limit_is_told_as_such() -> None:
    assert outcome(600, for_s=60).text == (
        "response time p95 600 ms over the run; critical > 500 ms is broken over the whole run; "
        "warning > 100 ms is broken over the whole run"
    )


def test_a_pending_alert_fails_nothing() -> None:
    assert outcome(90, 600, for_s=60).outcome == "passed"


def test_fail_among_the_actions_of_a_warning_makes_it_fail() -> None:
    assert outcome(90, 200, on_warning=("log", "fail")).outcome == "failed"
    assert outcome(200, 50, on_warning=("fail",)).outcome == "failed"
    assert outcome(90, 50, on_warning=("fail",)).outcome == "passed"


@pytest.mark.parametrize(
    ("no_data", "expected", "words"),
    [
        ("ignore", "no_data", "so nothing to judge"),
        ("pass", "passed", "which passes"),
        ("fail", "failed", "which fails"),
    ],
)
def test_without_data_the_rule_says_what_that_means(no_data: str, expected: str, words: str) -> None:
    evaluator = Evaluator([rule("r", metric="target.cpu_percent", critical="5", no_data=no_data)])
    (check,) = evaluator.checks(lambda length_s, worker: Snapshot(run=RunInfo(duration_s=5.0)))
    assert (check.outcome, check.value) == (expected, "")
    assert check.text == f"target's CPU; no data, {words}"


def test_what_fired_counts_although_there_is_no_data_at_the_end() -> None:
    evaluator = Evaluator([rule("r", metric="latency_p95", critical="5ms", no_data="pass")])
    evaluator.evaluate(0.0, lambda length_s, worker: snapshot(50))
    (check,) = evaluator.checks(lambda length_s, worker: Snapshot())
    assert check.outcome == "failed"
    assert check.text == "response time p95; critical > 5 ms fired once, first at 0 s, worst 50 ms"


def test_a_name_of_an_operation_that_never_was_is_no_data_and_not_a_pass() -> None:
    evaluator = Evaluator([rule("r", metric="errors", where=Where(name="qurey"), critical="5")])
    (check,) = evaluator.checks(lambda length_s, worker: full())
    assert check.outcome == "no_data"


def test_a_misspelt_metric_of_the_target_is_hinted_at() -> None:
    evaluator = Evaluator([rule("r", metric="target.cpu_percnt", critical="5")])
    (check,) = evaluator.checks(lambda length_s, worker: full())
    assert check.text.endswith("did you mean target.cpu_percent?)")


def test_a_count_is_judged_by_its_windows_unless_the_window_is_the_run() -> None:
    """40 errors in ten seconds may be fine where 40 in one window are not."""
    whole = Snapshot(run=RunInfo(duration_s=600.0), operations=(OperationStats("WS", "a", ok=1, timed_out=400),))
    calm = Snapshot(run=RunInfo(duration_s=10.0), operations=(OperationStats("WS", "a", ok=1, timed_out=6),))
    for window_s, expected in ((10, "passed"), (None, "failed")):
        evaluator = Evaluator([rule("r", metric="errors", window_s=window_s, critical="10")])
        evaluator.evaluate(10.0, lambda length_s, worker: calm)
        (check,) = evaluator.checks(lambda length_s, worker: whole)
        assert (check.outcome, check.value) == (expected, "400")


def test_the_average_of_a_gauge_that_follows_the_users_fails_no_rule_with_a_window() -> None:
    for window_s, expected in ((10, "passed"), (None, "failed")):
        evaluator = Evaluator([rule("r", window_s=window_s, low_critical="30")])
        (check,) = evaluator.checks(lambda length_s, worker: full())
        assert (check.outcome, check.value) == (expected, "25")


def test_a_low_limit_is_not_judged_over_a_run_without_users() -> None:
    few = rule("few", metric="rate", low_critical="5/s")
    for users, expected in ((0, "passed"), (None, "failed"), (3, "failed")):
        (check,) = Evaluator([few]).checks(lambda length_s, worker, users=users: snapshot(1, users=users))  # type: ignore[misc]
        assert (check.outcome, check.value) == (expected, "1/s")


def test_of_several_workers_the_one_that_broke_the_limit_is_named() -> None:
    evaluator = Evaluator([rule("cpu", metric="generator.cpu_percent", warning="50", critical="70")])
    evaluator.evaluate(3.0, lambda length_s, worker: full(), ("1", "2"))
    (check,) = evaluator.checks(lambda length_s, worker: full())
    assert (check.outcome, check.value) == ("failed", "80 % (worker 2)")
    assert "critical > 70 % fired once, first at 3 s, worst 80 % (worker 2)" in check.text


def test_a_rule_for_each_worker_is_judged_over_the_run_of_each() -> None:
    world = World(rule("r", where=Where(worker="*"), window_s=None, critical="100"))
    world.at(1, {"1": 50.0, "2": 150.0})
    (check,) = world.evaluator.checks(world.window)
    assert (check.outcome, check.value) == ("failed", "150 (worker 2)")
    assert (None, "1") in world.asked


def test_a_rule_without_limits_is_no_check() -> None:
    world = World(rule("watched"))
    world.at(1, 5)
    assert world.evaluator.checks(world.window) == ()


def test_a_limit_that_was_raised_after_it_fired_leaves_the_failure() -> None:
    world = World(rule("r", critical="100"))
    world.at(1, 150)
    world.evaluator.set_threshold("r", "critical", None)
    (check,) = world.evaluator.checks(world.window)
    assert (check.outcome, check.limit) == ("failed", "")


@pytest.mark.parametrize(
    ("metric", "hint"),
    [
        ("target.queue_depth", "no data, so nothing to judge (the endpoint of --ext-target-metrics has not told it)"),
        (
            "target.memory_byte",
            "no data, so nothing to judge (the endpoint of --ext-target-metrics has not told it; "
            "did you mean target.memory_bytes?)",
        ),
        ("target.memory_bytes", "no data, so nothing to judge"),
    ],
)
def test_a_name_that_the_targets_endpoint_never_told_is_said_to_be_such(metric: str, hint: str) -> None:
    (check,) = Evaluator([rule("r", metric=metric, critical="1GB" if metric.endswith("bytes") else "5")]).checks(
        lambda length_s, worker: Snapshot()
    )
    assert (check.outcome, check.text.partition("; ")[2]) == ("no_data", hint)
