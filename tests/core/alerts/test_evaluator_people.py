"""The evaluator in people's hands: acknowledgements, changed limits, the history and its bounds."""

from __future__ import annotations

import pytest

from locust_ext.core.alerts.evaluator import MAX_ALERTS, MAX_EVENTS, Evaluator
from locust_ext.core.alerts.rules_file import load_rules
from locust_ext.errors import ConfigError
from tests.core.alerts.examples import World, full, rule

FIRED, OVER = "firing", "resolved"


def test_an_acknowledged_alert_stays_so_until_it_resolves() -> None:
    world = World(rule(critical="100"))
    world.at(1, 150)
    assert world.evaluator.acknowledge(1, 2.5) is True
    (alert,) = world.evaluator.alerts
    assert (alert.state, alert.acknowledged_s) == ("acknowledged", 2.5)
    assert world.evaluator.events[-1].text == "acknowledged critical: open connections 150 > 100"
    assert world.at(3, 190) == []
    assert world.evaluator.alerts[0].state == "acknowledged"
    world.at(4, 0)
    assert world.at(5, 0) == [("critical", OVER, 0)]
    assert [event.state for event in world.evaluator.events] == [FIRED, "acknowledged", OVER]


def test_only_what_fires_can_be_acknowledged_and_only_once() -> None:
    world = World(rule("a", critical="100"), rule("b", critical="100", for_s=60))
    assert world.evaluator.acknowledge(1, 1.0) is False
    world.at(1, 150)
    assert [each.id for each in world.evaluator.pending] == [2]
    assert world.evaluator.acknowledge(2, 2.0) is False
    assert world.evaluator.acknowledge(1, 2.0) is True
    assert world.evaluator.acknowledge(1, 3.0) is False
    assert world.evaluator.alerts[0].acknowledged_s == 2.0


def test_an_alert_whose_limit_was_raised_over_its_value_resolves_at_the_next_evaluation() -> None:
    world = World(rule("r", critical="100"))
    world.at(1, 150)
    world.evaluator.set_threshold("r", "critical", "> 151")
    (resolved,) = world.events_at(2, 150)
    assert (resolved.state, resolved.limit) == (OVER, "> 100")
    assert resolved.text == "resolved: open connections 150 (critical was > 100, now > 151)"


def test_what_fired_is_told_with_the_limit_that_it_broke_also_where_that_was_changed_later() -> None:
    world = World(rule("r", critical="100"))
    world.at(1, 150)
    world.evaluator.set_threshold("r", "critical", "> 9000")
    world.at(2, 150)
    (alert,) = world.evaluator.alerts
    assert (alert.worst, alert.worst_text, alert.limit) == (150, "150", "> 100")
    (check,) = world.evaluator.checks(world.window)
    assert (check.outcome, check.limit) == ("failed", "critical > 9000")
    assert check.text.endswith("critical > 100 fired once, first at 1 s, worst 150")


def test_the_end_of_what_is_looked_at_resolves_what_had_fired_and_says_why() -> None:
    world = World(rule("fired", critical="100"), rule("waits", critical="100", for_s=60), rule("seen", critical="100"))
    world.at(1, 150)
    assert world.evaluator.acknowledge(3, 1.5)
    told = world.evaluator.finish(2.0, "the run began")
    assert [(each.rule, each.state, each.at_s) for each in told] == [("fired", OVER, 2.0), ("seen", OVER, 2.0)]
    assert told[0].text == "resolved: open connections 150 (critical was > 100, the run began)"
    assert world.evaluator.events[-2:] == told
    assert [each.state for each in world.evaluator.alerts] == [OVER, OVER]
    assert (world.evaluator.pending, world.evaluator.finish(3.0, "again")) == ((), ())


def test_an_alert_whose_changed_limit_is_still_broken_goes_on_with_it() -> None:
    world = World(rule("r", critical="100"))
    world.at(1, 150)
    world.evaluator.set_threshold("r", "critical", 120)
    assert world.at(2, 150) == []
    assert world.evaluator.alerts[0].limit == "> 120"


@pytest.mark.parametrize("value", [150, None])
def test_an_alert_whose_limit_was_taken_away_resolves_with_or_without_data(value: float | None) -> None:
    world = World(rule("r", critical="100"))
    world.at(1, 150)
    world.evaluator.set_threshold("r", "critical", None)
    assert world.at(2, value) == [("critical", OVER, 150)]
    assert world.at(3, 150) == []


def test_a_limit_that_was_lowered_fires_at_the_next_evaluation() -> None:
    world = World(rule("r", critical="100"))
    assert world.at(1, 80) == []
    world.evaluator.set_threshold("r", "warning", "> 70")
    assert world.at(2, 80) == [("warning", FIRED, 80)]
    assert [each["warning"] for each in world.evaluator.describe()] == ["> 70"]


def test_a_number_changes_the_low_limit_of_a_rule_that_has_only_that() -> None:
    evaluator = Evaluator([rule("few", metric="rate", low_warning="1/s")])
    evaluator.set_threshold("few", "warning", 2)
    assert evaluator.rules[0].low_warning is not None
    assert evaluator.rules[0].limits_text == "warning < 2/s"
    evaluator.set_threshold("few", "warning", "> 10/s")
    assert evaluator.rules[0].limits_text == "warning > 10/s, warning < 2/s"


@pytest.mark.parametrize(
    ("name", "severity", "value", "message"),
    [
        ("queeu", "critical", 5, "rule: expected the name of a rule (got 'queeu'); did you mean 'queue'?"),
        (
            "queue",
            "crit",
            5,
            "severity: expected one of warning, critical, low_warning, low_critical (got 'crit'); "
            "did you mean 'critical'?",
        ),
        ("queue", "critical", "> 5ms", "queue.critical: expected a limit such as > 1000 (got '> 5ms')"),
        ("queue", "critical", float("nan"), "queue.critical: expected a finite number in the metric's unit (got nan)"),
        ("queue", "critical", True, "queue.critical: expected a limit such as > 1000 (got True)"),
        (
            "queue",
            "critical",
            40,
            "queue.critical: expected a limit that is not milder than warning (got '> 40')",
        ),
        (
            "queue",
            "low_warning",
            "60",
            "queue.low_warning: expected a limit under warning: no value keeps both (got '< 60')",
        ),
        ("queue", "low_warning", "> 60", "queue.low_warning: expected a limit from below, such as < 1 (got '> 60')"),
    ],
)
def test_a_wrong_threshold_is_refused_and_changes_nothing(
    name: str, severity: str, value: str | float, message: str
) -> None:
    before = rule("queue", warning="50", critical="100")
    evaluator = Evaluator([before])
    with pytest.raises(ConfigError) as caught:
        evaluator.set_threshold(name, severity, value)
    assert str(caught.value) == message
    assert evaluator.rules == (before,)


def test_the_actions_of_an_event_are_those_of_its_rule_and_severity() -> None:
    actions = {"on_warning": ("log",), "on_critical": ("stop", "webhook")}
    world = World(rule("r", warning="1", critical="2", **actions))
    warned, failed = world.events_at(1, 5)
    assert world.evaluator.actions(warned) == ("log",)
    assert world.evaluator.actions(failed) == ("stop", "webhook")


def test_the_rules_describe_themselves_with_their_latest_values() -> None:
    world = World(rule("r", metric="generator.descriptors", warning="100", for_s=5, window_s=30))
    world.at(1, {"1": 50, "2": 1500})
    assert world.evaluator.describe() == [
        {
            "name": "r",
            "metric": "generator.descriptors",
            "title": "generator's descriptors",
            "unit": "",
            "window_s": 30,
            "for_s": 5,
            "warning": "> 100",
            "critical": None,
            "low_warning": None,
            "low_critical": None,
            "values": [
                {"subject": "1", "value": 50, "text": "50"},
                {"subject": "2", "value": 1500, "text": "1,500"},
            ],
        }
    ]


# ── bounds ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_history_is_bounded_and_the_oldest_resolved_alerts_leave_first() -> None:
    world = World(rule("a", metric="generator.descriptors", critical="100", resolve_after=1))
    world.at(0, {"kept": 150})
    for second in range(1, 2 * MAX_ALERTS, 2):
        world.at(second, {"kept": 150, "other": 150})
        world.at(second + 1, {"kept": 150, "other": 0})
    world.at(2 * MAX_ALERTS + 2, {"kept": 150, "other": 150})
    alerts = world.evaluator.alerts
    assert len(alerts) == MAX_ALERTS
    assert (alerts[0].subject, alerts[0].state, alerts[1].id) == ("kept", FIRED, 4)
    assert len(world.evaluator.events) == MAX_EVENTS


def test_with_too_many_alerts_at_once_none_begins_but_the_rule_has_failed_all_the_same() -> None:
    world = World(rule("a", metric="generator.descriptors", critical="100"), rule("b", critical="100"))
    values = {f"w{number:04}": 150.0 for number in range(MAX_ALERTS)}
    assert len(world.at(0, {**values, "": 150.0})) == MAX_ALERTS
    assert len(world.evaluator.alerts) == MAX_ALERTS
    world.values = {"": 0.0}
    assert [(check.name, check.outcome) for check in world.evaluator.checks(world.window)][1] == ("b", "failed")


def test_a_new_run_begins_without_alerts_and_keeps_changed_limits() -> None:
    world = World(rule("r", critical="100"))
    world.at(1, 150)
    world.evaluator.set_threshold("r", "critical", 120)
    world.evaluator.begin()
    assert (world.evaluator.alerts, world.evaluator.events) == ((), ())
    assert world.at(1, 130) == [("critical", FIRED, 130)]
    assert world.evaluator.alerts[0].id == 1
    assert world.evaluator.alerts[0].limit == "> 120"


def test_a_rule_over_the_whole_run_fires_nothing() -> None:
    world = World(rule(critical="100", window_s=None))
    assert world.at(1, 1000) == []
    assert world.asked == []


def test_the_shipped_rules_judge_a_whole_window() -> None:
    evaluator = Evaluator(load_rules("default"))
    for second in range(7):
        events = evaluator.evaluate(float(second), lambda length_s, worker: full(), ("1", "2"))
        texts = [event.text for event in events]
        if second == 0:
            assert texts == [
                "pending warning: generator's CPU 80 % > 70 % (worker 2)",
                "pending warning: target's CPU 80 % > 70 %",
            ]
        else:
            fired = [text.removeprefix("pending ") for text in texts]
            assert len(fired) == (2 if second == 5 else 0)
