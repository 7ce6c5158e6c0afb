"""The evaluator against any history: values up and down, gaps, acknowledgements, changed limits, new runs."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule as step

from locust_ext.core.alerts.spell import MISSING_S, TRANSITIONS
from locust_ext.errors import ConfigError
from locust_ext.model import (
    ACKNOWLEDGED,
    FIRING,
    PENDING,
    RESOLVED,
    SEVERITIES,
    AlertEvent,
)
from tests.core.alerts.examples import World, rule

VALUES = st.one_of(
    st.none(), st.sampled_from([0.0, 9.0, 10.0, 11.0, 49.0, 52.0, 96.0, 99.0, 100.0, 101.0, 150.0, 300.0])
)
LIMITS = st.sampled_from([None, "> 60", "> 100", ">= 150", "> 200", 120, "< 5", "< 20"])
KEYS = st.sampled_from(["warning", "critical", "low_warning", "low_critical"])
STEPS_S = st.sampled_from([0.25, 1.0, 1.0, 1.0, 2.0, 5.0, 31.0])
WORKERS = ("1", "2", "3")

Subject = tuple[str, str, str]
"""Rule, severity, subject."""


class Run(RuleBasedStateMachine):
    """Drives an evaluator, and knows by itself since when each limit has been broken."""

    @initialize()
    def start(self) -> None:
        self.world = World(
            rule("at once", warning="50", critical="100"),
            rule("patient", critical="100", low_critical="10", for_s=3.0, resolve_after=3, hysteresis=0.2),
            rule("workers", metric="generator.descriptors", warning="100", low_warning="10", for_s=1.0),
            users=None,
        )
        self.now_s = 0.0
        self.forget()

    def forget(self) -> None:
        self.history: list[AlertEvent] = []
        self.values: dict[str, float | None] = {}
        self.broken_since: dict[tuple[Subject, bool], float] = {}
        self.last_seen: dict[Subject, float] = {}

    # ── what happens ───────────────────────────────────────────────────────────────────────────────────────────────

    @step(after_s=STEPS_S, whole=VALUES, workers=st.lists(VALUES, min_size=3, max_size=3))
    def evaluate(self, after_s: float, whole: float | None, workers: list[float | None]) -> None:
        self.now_s += after_s
        self.values = {"": whole, **dict(zip(WORKERS, workers, strict=True))}
        before = self.states()
        self.watch()
        events = self.world.events_at(self.now_s, self.values)
        after = self.states()
        changed = {(number, state) for number, state in after.items() if before.get(number) != state}
        assert sorted(changed) == sorted((event.alert, event.state) for event in events)
        gone = {number for number in before if number not in after}
        assert all(before[number] == PENDING for number in gone)
        self.history += events
        for event in events:
            self.check(event)
        self.nothing_is_forgotten()

    @step(number=st.integers(0, 12))
    def acknowledge(self, number: int) -> None:
        before = self.states()
        is_seen = self.world.evaluator.acknowledge(number, self.now_s)
        assert is_seen is (before.get(number) == FIRING)
        if is_seen:
            self.history.append(self.world.evaluator.events[-1])
            assert self.states() == {**before, number: ACKNOWLEDGED}
        else:
            assert self.states() == before

    @step(name=st.sampled_from(["at once", "patient", "workers"]), key=KEYS, limit=LIMITS)
    def set_threshold(self, name: str, key: str, limit: str | float | None) -> None:
        before, rules = self.states(), self.world.evaluator.rules
        try:
            self.world.evaluator.set_threshold(name, key, limit)
        except ConfigError:
            assert self.world.evaluator.rules == rules
        assert self.states() == before

    @step()
    def begin(self) -> None:
        self.world.evaluator.begin()
        self.forget()
        assert self.states() == {}

    # ── what must hold ─────────────────────────────────────────────────────────────────────────────────────────────

    def states(self) -> dict[int, str]:
        evaluator = self.world.evaluator
        return {alert.id: alert.state for alert in (*evaluator.alerts, *evaluator.pending)}

    def subjects(self) -> Iterator[tuple[Subject, float | None]]:
        for each in self.world.evaluator.rules:
            for severity in SEVERITIES:
                for subject in WORKERS if each.name == "workers" else ("",):
                    yield (each.name, severity, subject), self.values.get(subject)

    def watch(self) -> None:
        """Since when is which limit broken? A gap of half a minute forgets it, and so does a limit that is gone."""
        rules = {each.name: each for each in self.world.evaluator.rules}
        for key, value in self.subjects():
            is_forgotten = value is None and self.now_s - self.last_seen.get(key, 0.0) >= MISSING_S
            if value is not None:
                self.last_seen[key] = self.now_s
            for is_low, limit in zip((False, True), rules[key[0]].limits(key[1]), strict=True):
                if limit is None or is_forgotten or (value is not None and not limit.is_broken_by(value)):
                    self.broken_since.pop((key, is_low), None)
                elif value is not None:
                    self.broken_since.setdefault((key, is_low), self.now_s)

    def check(self, event: AlertEvent) -> None:
        """One change, as it happens."""
        chosen = next(each for each in self.world.evaluator.rules if each.name == event.rule)
        key = (event.rule, event.severity, event.subject)
        value = self.values.get(event.subject)
        assert event.at_s == self.now_s
        since = [self.broken_since[key, is_low] for is_low in (False, True) if (key, is_low) in self.broken_since]
        if event.state in (PENDING, FIRING):
            assert event.value == value
            assert len(since) == 1
            assert event.limit in [limit.text for limit in chosen.limits(event.severity) if limit is not None]
        if event.state == FIRING:
            assert self.now_s - since[0] >= chosen.for_s
        if event.state == RESOLVED and since:
            alerts = [each for each in self.world.evaluator.alerts if each.id == event.alert]
            is_low = [each.limit.startswith("<") for each in alerts]
            assert (key, is_low[0]) not in self.broken_since  # broken, but the other limit
        if event.state == RESOLVED and value is None:
            high, low = chosen.limits(event.severity)
            was_taken_away = (low if event.limit.startswith("<") else high) is None
            assert was_taken_away or self.now_s - self.last_seen[key] >= MISSING_S

    def nothing_is_forgotten(self) -> None:
        """What has been broken for long enough fires; what is broken at all is at least pending."""
        evaluator = self.world.evaluator
        open_alerts = {
            (each.rule, each.severity, each.subject): each.state
            for each in (*evaluator.alerts, *evaluator.pending)
            if each.state != RESOLVED
        }
        for key, value in self.subjects():
            for is_low in (False, True):
                since = self.broken_since.get((key, is_low))
                if since is None or value is None:
                    continue
                for_s = next(each.for_s for each in evaluator.rules if each.name == key[0])
                expected = (FIRING, ACKNOWLEDGED) if self.now_s - since >= for_s else (PENDING, FIRING, ACKNOWLEDGED)
                assert open_alerts.get(key) in expected, key

    @invariant()
    def at_most_one_alert_of_a_subject_is_open(self) -> None:
        evaluator = self.world.evaluator
        open_alerts = [each for each in (*evaluator.alerts, *evaluator.pending) if each.state != RESOLVED]
        keys = [(each.rule, each.severity, each.subject) for each in open_alerts]
        assert len(keys) == len(set(keys))

    @invariant()
    def the_history_holds_every_change_once_in_order_and_only_legal_ones(self) -> None:
        evaluator = self.world.evaluator
        assert evaluator.events == tuple(self.history)
        assert [event.at_s for event in self.history] == sorted(event.at_s for event in self.history)
        last: dict[int, str] = {}
        for event in self.history:
            if event.alert in last:
                assert event.state in TRANSITIONS[last[event.alert]]
            else:
                assert event.state in (PENDING, FIRING)
            last[event.alert] = event.state
        for alert in evaluator.alerts:
            assert last[alert.id] == alert.state

    @invariant()
    def the_times_of_an_alert_are_in_order(self) -> None:
        rules = {each.name: each for each in self.world.evaluator.rules}
        for alert in self.world.evaluator.alerts:
            assert alert.fired_s is not None
            assert alert.fired_s - alert.since_s >= rules[alert.rule].for_s
            assert (alert.resolved_s is not None) is (alert.state == RESOLVED)
            times = [alert.since_s, alert.fired_s, alert.acknowledged_s, alert.resolved_s]
            known = [time for time in times if time is not None]
            assert known == sorted(known)

    @invariant()
    def a_rule_has_failed_exactly_if_a_critical_alert_fired(self) -> None:
        """Over the run there is no value here: only what fired decides."""
        fired = {event.rule for event in self.history if event.state == FIRING and event.severity == "critical"}
        self.world.values = {}
        checks = self.world.evaluator.checks(self.world.window)
        self.world.values = self.values
        assert {check.name for check in checks if check.outcome == "failed"} == fired


TestRun = Run.TestCase
TestRun.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
