"""`plugin.shapes` by Locust's own loop on a fake clock: ten minutes, followed to the moment."""

from __future__ import annotations

from locust import User
from locust.env import Environment
from locust.runners import Runner

from argparse import Namespace
from bisect import bisect_right
from types import SimpleNamespace
from typing import Any

import pytest

from locust_ext.core.schedules import Burst, Plan, Ramp, Realistic, Stage, Stages, Target
from locust_ext.plugin.shapes import Shape


class Idle(User):
    pass


class Mixed(Shape):
    """One plan after the other; the last one goes on."""

    abstract = True

    def __init__(self, *plans: Plan) -> None:
        super().__init__()
        self.plans = plans
        self.begins_s = [0.0]
        for plan in plans[:-1]:
            self.begins_s.append(self.begins_s[-1] + plan.length_s)

    def _at(self, elapsed_s: float) -> int:
        return bisect_right(self.begins_s, elapsed_s + 1e-6) - 1

    def planned(self, elapsed_s: float) -> Target | None:
        number = self._at(elapsed_s)
        return self.plans[number].at(max(elapsed_s - self.begins_s[number], 0.0))

    def next_change_s(self, elapsed_s: float) -> float:
        number = self._at(elapsed_s)
        begins_s = self.begins_s[number]
        return begins_s + self.plans[number].next_change_s(max(elapsed_s - begins_s, 0.0))


class Load(Mixed):
    """Six bursts, a ramp in nine steps, four stages at a rate, and a day; no two changes within one second."""

    def __init__(self) -> None:
        super().__init__(
            Burst(base_users=5, burst_users=40, burst_s=7.5, idle_s=12.25, bursts=6).plan(),
            Ramp(initial=10, users=100, steps=9, step_s=12.3).plan(),
            Stages([Stage(60, 60.4, rate=0.8), Stage(30, 50, rate=0.75), Stage(0, 10), Stage(25, 40, rate=0.9)]).plan(),
            Realistic(peak_users=20, night_users=4, day_s=200).plan(),
        )


def followed(
    shape: Shape, monkeypatch: pytest.MonkeyPatch, run_time_s: float, late_s: float = 0.0
) -> list[tuple[float, int]]:
    """What Locust's shape loop starts and when, until it ends the run: (seconds, users); users come at once.

    Each of its sleeps of a second takes ``late_s`` longer.
    """
    now_s = 5000.0

    def sleep(seconds: float) -> None:
        nonlocal now_s
        assert 0 <= seconds <= 1
        now_s += seconds + (late_s if seconds == 1 else 0.0)

    def clock() -> float:
        return now_s

    monkeypatch.setattr("locust_ext.plugin.shape.gevent", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr("locust.runners.gevent", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr("locust.runners.time", SimpleNamespace(time=clock))
    monkeypatch.setattr("locust.shape.time", SimpleNamespace(perf_counter=clock))
    options = Namespace(run_time=run_time_s, headless=True)
    environment = Environment(user_classes=[Idle], shape_class=shape, parsed_options=options)
    told: list[tuple[float, int]] = []
    runner: Any = SimpleNamespace(
        environment=environment, state="ready", shape_last_tick=None, shape_greenlet=None, user_count=0
    )
    runner.user_classes = environment.user_classes

    def start(user_count: int, spawn_rate: float, user_classes: Any) -> None:
        if not told:
            environment.events.test_start.fire(environment=environment)
        assert spawn_rate >= abs(user_count - runner.user_count), "a step that holds a master up"
        runner.state, runner.user_count = "running", user_count
        told.append((now_s - 5000.0, user_count))

    def quit_run() -> None:
        runner.state = "stopped"
        told.append((now_s - 5000.0, 0))

    runner.start, runner.quit = start, quit_run
    shape.runner = runner
    shape.reset_time()
    Runner.shape_worker(runner)
    return told


def test_a_plan_of_ten_minutes_is_followed_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = Load()
    told = followed(shape, monkeypatch, run_time_s=600)
    expected, at_s = [(0.0, 5)], 0.0
    while (at_s := shape.next_change_s(at_s)) < 600:
        target = shape.planned(at_s)
        assert target is not None
        if target.users != expected[-1][1]:
            expected.append((at_s, target.users))
    expected.append((600.0, 0))
    assert len(expected) == 150
    assert [users for _, users in told] == [users for _, users in expected]
    assert [at_s for at_s, _ in told] == pytest.approx([at_s for at_s, _ in expected], abs=1e-4)


def test_in_each_of_the_600_seconds_there_are_as_many_users_as_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = Load()
    told = followed(shape, monkeypatch, run_time_s=600)
    moments = [at_s for at_s, _ in told]
    present = [told[bisect_right(moments, second + 0.001) - 1][1] for second in range(600)]
    planned = [target.users for second in range(600) if (target := shape.planned(second)) is not None]
    assert present == planned
    # by hand: five, a burst after 12.25 s, the ramp from 130.75 s on, the stages from 253.75 s on, the day from 414.15 s on
    by_hand = {0: 5, 12: 5, 13: 45, 19: 45, 20: 5, 130: 5, 131: 10, 143: 10, 144: 20, 253: 100, 600 - 1: 4}
    assert {second: present[second] for second in by_hand} == by_hand


@pytest.mark.parametrize("late_s", [0.0, 0.004, 0.013, 0.05, 0.11, 0.27, 0.4])
def test_a_peak_of_a_second_is_reached_and_so_is_a_last_level_however_late_locust_asks(
    monkeypatch: pytest.MonkeyPatch, late_s: float
) -> None:
    """60 users for the second from 8 s on, after five seconds on the way; none for 2 s, on the way from 13 s on; then 5."""
    stages = [Stage(10, 3), Stage(60, 6, rate=10), Stage(20, 4), Stage(0, 4, rate=10), Stage(5, 3), Stage(9, 2)]
    told = followed(Mixed(Stages(stages).plan()), monkeypatch, 600, late_s)
    for users, from_s, to_s in ((60, 7.5, 9.0), (20, 9.0, 10.5), (0, 14.5, 17.0), (5, 17.0, 18.5), (9, 20.0, 21.5)):
        assert [at_s for at_s, each in told if each == users and from_s <= at_s <= to_s], (users, told)
