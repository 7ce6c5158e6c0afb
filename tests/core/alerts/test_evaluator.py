"""The evaluator on a fake clock: when an alert fires, what it says, and when it is over."""

from __future__ import annotations

from locust_ext.core.accounting.recorder import Recorder
from locust_ext.core.alerts.evaluator import Evaluator
from locust_ext.core.alerts.where import Where
from locust_ext.model import OperationStats, RunInfo, Snapshot
from tests.core.alerts.examples import World, rule, times

FIRED, OVER = "firing", "resolved"


def test_an_alert_fires_at_once_and_resolves_after_two_good_evaluations() -> None:
    world = World(rule(critical="100"))
    assert world.at(1, 100) == []
    assert world.at(2, 150) == [("critical", FIRED, 150)]
    assert world.at(3, 180) == []
    assert world.at(4, 90) == []
    assert world.at(5, 80) == [("critical", OVER, 80)]
    (alert,) = world.evaluator.alerts
    assert (alert.id, alert.state, alert.value, alert.worst, alert.limit) == (1, OVER, 80, 180, "> 100")
    assert (alert.since_s, alert.fired_s, alert.acknowledged_s, alert.resolved_s) == (2, 2, None, 5)


def test_its_events_say_everything_on_one_line() -> None:
    world = World(rule("queue", critical="100"))
    (fired,) = world.events_at(2, 150)
    assert (fired.at_s, fired.alert, fired.rule, fired.limit, fired.subject) == (2, 1, "queue", "> 100", "")
    assert fired.text == "critical: open connections 150 > 100"
    world.at(3, 0)
    (resolved,) = world.events_at(4, 0)
    assert resolved.text == "resolved: open connections 0 (critical was > 100)"
    assert world.evaluator.events == (fired, resolved)


def test_a_narrowed_metric_and_a_worker_are_named_in_the_text() -> None:
    slow = OperationStats("WS", "query", ("eu",), ok=5, latency=times(812_000))
    window = Snapshot(run=RunInfo(duration_s=10.0), operations=(slow,))
    where = Where(types=("WS",), name="query", tags=frozenset({"eu"}), worker="*")
    evaluator = Evaluator([rule(metric="latency_p95", where=where, critical="500ms")])
    (event,) = evaluator.evaluate(5.0, lambda length_s, worker: window if worker == "3" else Snapshot(), ("2", "3"))
    assert event.text == "critical: response time p95 of WS query [eu] 812 ms > 500 ms (worker 3)"
    assert event.subject == "3"


def test_for_means_that_the_limit_is_broken_without_a_break() -> None:
    world = World(rule(critical="100", for_s=3))
    assert world.at(1, 150) == [("critical", "pending", 150)]
    assert world.at(2, 150) == []
    assert world.at(3, 99) == []
    assert world.at(4, 150) == []
    assert [alert.since_s for alert in world.evaluator.pending] == [4]
    assert world.at(6.9, 150) == []
    assert world.evaluator.alerts == ()
    assert world.at(7, 170) == [("critical", FIRED, 170)]
    assert world.evaluator.pending == ()
    assert world.evaluator.alerts[0].fired_s == 7


def test_a_pending_alert_that_never_fired_ends_without_an_event_and_in_no_history() -> None:
    world = World(rule(critical="100", for_s=60))
    assert world.at(1, 150) == [("critical", "pending", 150)]
    assert [world.at(2, 0), world.at(3, 0)] == [[], []]
    assert world.evaluator.pending == ()
    assert world.evaluator.alerts == ()
    assert world.at(4, 150) == [("critical", "pending", 150)]


def test_a_value_that_wobbles_at_the_limit_is_one_alert() -> None:
    world = World(rule(critical="100"))
    changes = [change for second in range(60) for change in world.at(second, 101 if second % 3 else 98)]
    assert changes == [("critical", FIRED, 101)]


def test_a_wobble_within_the_time_of_for_is_one_pending_alert() -> None:
    world = World(rule(critical="100", for_s=5))
    changes = [change for second in range(60) for change in world.at(second, 101 if second % 3 else 98)]
    assert changes == [("critical", "pending", 101)]


def test_it_resolves_only_when_the_value_is_back_by_the_margin_for_some_evaluations_in_a_row() -> None:
    world = World(rule(critical="100", hysteresis=0.1, resolve_after=3))
    world.at(0, 120)
    values = [90, 90, 91, 90, 90]
    assert [world.at(second, value) for second, value in enumerate(values, 1)] == [[]] * 5
    assert world.at(6, 90) == [("critical", OVER, 90)]


def test_a_value_that_stays_good_within_the_margin_resolves_ten_times_later() -> None:
    """Exactly 50 connections of 50: it cannot be further on the good side."""
    world = World(rule(low_critical="50"), users=None)
    assert world.at(0, 49) == [("critical", FIRED, 49)]
    assert [world.at(second, 50) for second in range(1, 20)] == [[]] * 19
    assert world.at(20, 50) == [("critical", OVER, 50)]


def test_warning_and_critical_are_two_alerts_each_with_its_own_end() -> None:
    world = World(rule(warning="50", critical="100"))
    assert world.at(1, 60) == [("warning", FIRED, 60)]
    assert world.at(2, 120) == [("critical", FIRED, 120)]
    assert world.at(3, 60) == []
    assert world.at(4, 60) == [("critical", OVER, 60)]
    assert world.at(5, 10) == []
    assert world.at(6, 10) == [("warning", OVER, 10)]
    assert [(alert.id, alert.severity) for alert in world.evaluator.alerts] == [(1, "warning"), (2, "critical")]


def test_a_leap_from_too_many_to_too_few_ends_one_alert_and_begins_another() -> None:
    world = World(rule(critical="100", low_critical="10"), users=None)
    assert world.at(1, 150) == [("critical", FIRED, 150)]
    assert world.at(2, 5) == [("critical", OVER, 150), ("critical", FIRED, 5)]
    assert [alert.limit for alert in world.evaluator.alerts] == ["> 100", "< 10"]


def test_values_are_told_with_their_unit() -> None:
    window = Snapshot(
        run=RunInfo(duration_s=10.0, users=5),
        operations=(OperationStats("WS", "ask", ok=6721, failed=3279, errors={"timeout": 3279}),),
    )
    evaluator = Evaluator([rule(metric="error_ratio", critical="15 %")])
    (event,) = evaluator.evaluate(5.0, lambda length_s, worker: window)
    (alert,) = evaluator.alerts
    assert (event.value, event.value_text) == (0.3279, "32.8 %")
    assert (alert.value_text, alert.worst_text, alert.limit) == ("32.8 %", "32.8 %", "> 15 %")


# ── missing data ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_missing_data_keeps_an_alert_for_half_a_minute_and_then_resolves_it() -> None:
    world = World(rule(critical="100"))
    world.at(10, 150)
    assert [world.at(second, None) for second in range(11, 40)] == [[]] * 29
    (event,) = world.events_at(40, None)
    assert (event.state, event.value) == (OVER, 150)
    assert event.text == "resolved: open connections 150 (critical was > 100, no data for 30 s)"


def test_a_window_that_nobody_keeps_is_no_data_and_no_error() -> None:
    recorder = Recorder()
    recorder.begin("r", 0.0)
    recorder.operation("WS", "ask", None, 0, "failed", "refused")
    recorder.tick(1.0)
    evaluator = Evaluator([rule(metric="errors", critical="0"), rule("each", "errors", where=Where(worker="*"))])
    assert evaluator.evaluate(1.0, recorder.window, ("", "w")) == ()
    recorder.watch(10)
    recorder.operation("WS", "ask", None, 0, "failed", "refused")
    recorder.tick(2.0)
    assert [event.state for event in evaluator.evaluate(2.0, recorder.window, ("", "w"))] == [FIRED]


def test_a_gap_in_the_data_neither_fires_nor_resolves() -> None:
    world = World(rule(critical="100", for_s=5))
    world.at(0, 150)
    assert world.at(6, None) == []
    assert world.at(7, 150) == [("critical", FIRED, 150)]
    world.at(8, 10)
    assert world.at(9, None) == []
    assert world.at(10, 10) == [("critical", OVER, 10)]


def test_a_pending_alert_without_data_ends_without_a_word() -> None:
    world = World(rule(critical="100", for_s=60))
    world.at(0, 150)
    assert world.at(31, None) == []
    assert world.evaluator.pending == ()


def test_what_was_counted_and_is_now_nowhere_in_the_window_is_zero() -> None:
    """The only operation stops: its rate is 0 and not unknown."""
    evaluator = Evaluator([rule(metric="rate", where=Where(types=("WS",)), low_critical="1/s")])
    some = Snapshot(run=RunInfo(duration_s=10.0), operations=(OperationStats("WS", "a", ok=100),))
    none = Snapshot(run=RunInfo(duration_s=10.0))
    assert evaluator.evaluate(10, lambda length_s, worker: none) == ()
    assert evaluator.evaluate(11, lambda length_s, worker: some) == ()
    (event,) = evaluator.evaluate(12, lambda length_s, worker: none)
    assert (event.state, event.value, event.text) == (FIRED, 0, "critical: rate of WS 0/s < 1/s")


# ── low limits ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_low_limit_is_judged_when_its_window_has_been_filled_once() -> None:
    world = World(rule(low_warning="10", window_s=10), duration_s=4.0)
    assert world.at(4, 1) == []
    world.duration_s = 9.0
    assert world.at(14, 1) == []
    world.duration_s = 10.0
    assert world.at(15, 1) == [("warning", FIRED, 1)]


def test_a_high_limit_is_judged_in_a_window_that_is_not_yet_filled() -> None:
    world = World(rule(critical="10", window_s=10), duration_s=1.0)
    assert world.at(1, 11) == [("critical", FIRED, 11)]


def test_a_low_limit_is_not_judged_while_there_are_no_users_nor_before_they_were_there_for_a_window() -> None:
    world = World(rule(low_warning="10", window_s=10), users=0)
    assert world.at(100, 1) == []
    world.users = 3
    assert world.at(101, 1) == []
    assert world.at(110.9, 1) == []
    assert world.at(111, 1) == [("warning", FIRED, 1)]
    world.users = 0
    assert world.at(112, 1) == []
    assert world.at(141, 1) == [("warning", OVER, 1)]


def test_a_low_limit_of_a_resource_is_judged_without_users_too() -> None:
    world = World(rule(metric="generator.descriptors", low_critical="10"), users=0, duration_s=1.0)
    assert world.at(1, {"2": 5}) == [("critical", FIRED, 5)]


# ── workers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_metric_of_generators_is_judged_for_each_worker() -> None:
    world = World(rule(metric="generator.descriptors", critical="100"))
    (event,) = world.events_at(1, {"1": 50, "2": 150, "3": 60})
    assert (event.subject, event.text) == ("2", "critical: generator's descriptors 150 > 100 (worker 2)")
    assert world.at(2, {"1": 150, "2": 150, "3": 60}) == [("critical", FIRED, 150)]
    assert [alert.subject for alert in world.evaluator.alerts] == ["2", "1"]
    assert {worker for _, worker in world.asked} == {None}


def test_a_metric_of_generators_can_be_asked_of_one_worker() -> None:
    world = World(rule(metric="generator.descriptors", where=Where(worker="3"), critical="100"))
    assert world.at(1, {"1": 150, "3": 60}) == []
    assert world.at(2, {"1": 150, "3": 160}) == [("critical", FIRED, 160)]


def test_another_metric_is_asked_of_each_worker_only_where_that_is_said() -> None:
    whole, each = rule("whole", critical="100"), rule("each", where=Where(worker="*"), critical="100")
    world = World(whole, each)
    assert [event.subject for event in world.events_at(1, {"": 0, "1": 150, "2": 60})] == ["1"]
    assert world.evaluator.windows == {(10, False), (10, True)}
    assert set(world.asked) == {(10, None), (10, ""), (10, "1"), (10, "2")}


def test_a_worker_that_is_not_there_has_no_data() -> None:
    world = World(rule(where=Where(worker="7"), critical="100"))
    assert world.at(1, {"1": 150}) == []


def test_each_window_is_asked_for_once_an_evaluation() -> None:
    rules = [rule(f"rule {number}", critical="100", window_s=10 + number % 2) for number in range(20)]
    world = World(*rules)
    world.at(1, 150)
    assert sorted(world.asked, key=str) == [(10, None), (11, None)]


def test_the_windows_to_keep_follow_from_the_rules() -> None:
    by_worker = Where(worker="*")
    rules = [
        rule("a", window_s=10, critical="1"),
        rule("b", window_s=60, where=by_worker, critical="1"),
        rule("c", metric="generator.descriptors", where=by_worker, window_s=30, critical="1"),
        rule("d", window_s=None, critical="1"),
        rule("e", window_s=None, where=by_worker, critical="1"),
    ]
    assert Evaluator(rules).windows == {(10, False), (60, True), (30, False), (None, True)}
