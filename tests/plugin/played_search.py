"""A run of the shape `Stress`, second by second on a clock of the test's own."""

from __future__ import annotations

from locust import User
from locust.env import Environment
from locust.event import Events

from argparse import Namespace
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from locust_ext.core.accounting import Recorder
from locust_ext.core.accounting.histogram import Histogram
from locust_ext.core.alerts.rules import Rule, Rules
from locust_ext.core.alerts.units import parse_limit
from locust_ext.model import Distribution, LimitSearch, Snapshot
from locust_ext.model.search import RECOVER
from locust_ext.plugin import shapes
from locust_ext.plugin.alerting import Alerting
from locust_ext.plugin.searching import Searching

QUICK = {"max_users": 100, "initial": 4, "step_s": 2, "min_samples": 1, "confirm_s": 3, "settle_s": 1, "precision": 1}


class Idle(User):
    pass


class Play:
    """A run of the shape: Locust's part, the users' and the target's are played a second at a time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *rules: Rule, shape: Any = None, **parameters: Any) -> None:
        self.now_s = 1000.0
        monkeypatch.setattr("locust_ext.plugin.shape.gevent", SimpleNamespace(sleep=lambda _: None))
        monkeypatch.setattr("locust_ext.plugin.alerting.monotonic", lambda: self.now_s)
        monkeypatch.setattr("locust.shape.time", SimpleNamespace(perf_counter=lambda: self.now_s))
        wanted = {**QUICK, "p95_ms": 205, **parameters}
        self.shape = type("Limit", (shapes.Stress,), wanted)() if shape is None else shape
        self.environment = Environment(
            user_classes=[Idle], shape_class=self.shape, events=Events(), parsed_options=Namespace()
        )
        runner: Any = SimpleNamespace(
            environment=self.environment, shape_last_tick=None, user_count=0, state="ready", user_classes=[Idle]
        )
        self.runner = self.environment.runner = self.shape.runner = runner
        self.recorder = Recorder()
        self.searching = Searching(self.environment, self.recorder)
        self.alerting = Alerting(
            self.environment, self.recorder, Rules(rules) if rules else None, lambda _: Snapshot(), self.searching
        )
        for length_s, by_worker in self.alerting.evaluator.windows:
            self.recorder.watch(length_s, by_worker)
        self.environment.events.test_start.add_listener(lambda **_: self.begin())
        self.ms_per_user = 10.0
        self.type = "WS"
        self.lag_us = 1000
        self.error = ""
        self.room: int | None = None
        """For connections; None: there are none."""
        self.refused_state = "waiting"
        self.open = self.refused = 0
        self.users: list[int] = []
        """At the end of each second."""

    def begin(self) -> None:
        self.recorder.begin(f"r{self.now_s:g}", self.now_s)
        self.alerting.begin()
        self.searching.begin(lambda: self.alerting.evaluator.rules)
        self.users.clear()

    def second(self) -> bool:
        """False: the shape has ended the run."""
        first = self.runner.shape_last_tick is None
        tick = self.shape.tick()
        if tick is None:
            return False
        self.runner.shape_last_tick = tick
        if first:
            self.environment.events.test_start.fire(environment=self.environment)
            self.runner.state = "running"
        users = self.runner.user_count = tick[0]
        if self.room is not None:
            self.connect(users, self.room)
        for _ in range(2 * users):
            outcome = ("failed", self.error) if self.error else ("ok",)
            self.recorder.operation(self.type, "ask", int(1000 * self.ms_per_user * users), 9, *outcome)
        self.recorder.generator_period(float(len(self.users)), 1.0, 10_000, lag(self.lag_us))
        self.now_s += 1
        self.users.append(users)
        self.recorder.tick(self.now_s)
        self.alerting.evaluate(self.now_s)
        self.searching.look()
        return True

    def connect(self, users: int, room: int) -> None:
        """Open what there is room for, by all who have not given up; of those that go, the refused go first."""
        stuck = min(self.refused, max(users - self.open, 0)) if self.refused_state == "failed" else 0
        held = min(self.open, users)
        tries = users - held - stuck
        comes = min(tries, room - held)
        for number in range(tries):
            refused = () if number < comes else ("failed", "http_503")
            self.recorder.operation("CONNECT", "/ws", None if refused else 1000, 0, *refused)
        self._become("open", self.open, held + comes)
        self._become(self.refused_state, self.refused, users - held - comes)
        self.open, self.refused = held + comes, users - held - comes

    def _become(self, state: str, before: int, now: int) -> None:
        for _ in range(now - before):
            self.recorder.connection_state(None, state)
        for _ in range(before - now):
            self.recorder.connection_state(state, None)

    def run(self, seconds: int = 300) -> LimitSearch:
        """Until the shape ends the run, or for so many seconds."""
        for _ in range(seconds):
            if not self.second():
                self.stop()
                break
        return self.result

    def stop(self) -> None:
        """The order of Locust and of the extension."""
        self.searching.end()
        self.recorder.end(self.now_s)
        self.alerting.end()
        self.runner.shape_last_tick, self.runner.user_count, self.runner.state = None, 0, "stopped"

    @property
    def result(self) -> LimitSearch:
        found = self.searching.result()
        assert found is not None
        return found


def lag(us: int) -> Distribution:
    histogram = Histogram()
    for _ in range(40):
        histogram.record(us)
    return histogram.freeze()


def rule(name: str, metric: str, critical: str, **more: Any) -> Rule:
    made = Rule(name, metric, **more)
    return replace(made, critical=parse_limit(critical, made.of.unit))


def steps(found: LimitSearch) -> list[tuple[int, str]]:
    return [(step.users, step.outcome) for step in found.steps if step.kind != RECOVER]
