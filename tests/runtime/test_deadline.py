"""`runtime.deadline`: one coarse wheel for all deadlines."""

from __future__ import annotations

import math
from collections.abc import Iterator
from time import monotonic

import gevent
import pytest

from locust_ext.runtime.deadline import TICK_S, Alarm, DeadlineWheel
from tests.peers import eventually


class Owner:
    """Notes when it was woken, and asks for what it was told to ask for."""

    def __init__(self, *again_s: float) -> None:
        self.armed_s = math.inf
        self.armed_slot = -1
        self.woken_s: list[float] = []
        self.again_s = list(again_s)

    def on_deadline(self, now_s: float) -> float:
        self.woken_s.append(now_s)
        return now_s + self.again_s.pop(0) if self.again_s else math.inf


@pytest.fixture
def wheel() -> Iterator[DeadlineWheel]:
    made = DeadlineWheel()
    yield made
    made.close()


def test_an_owner_is_woken_never_early_and_at_most_a_few_ticks_late(wheel: DeadlineWheel) -> None:
    """Deadlines are met within two ticks (and what a busy machine adds)."""
    owners = [(Owner(), monotonic() + after_s) for after_s in (0.0, 0.005, 0.0101, 0.05, 0.12)]
    for owner, when_s in owners:
        wheel.arm(owner, when_s)
    eventually(lambda: all(owner.woken_s for owner, _ in owners), 1.0)
    for owner, when_s in owners:
        assert len(owner.woken_s) == 1
        assert 0 <= owner.woken_s[0] - when_s <= 2 * TICK_S + 0.05
    assert len(wheel) == 0


def test_only_an_earlier_deadline_replaces_the_armed_one(wheel: DeadlineWheel) -> None:
    """Arming later than armed costs a comparison and changes nothing; arming earlier moves the owner."""
    owner = Owner()
    now_s = monotonic()
    wheel.arm(owner, now_s + 0.2)
    wheel.arm(owner, now_s + 5.0)
    assert (owner.armed_s, len(wheel)) == (now_s + 0.2, 1)
    wheel.arm(owner, now_s + 0.03)
    assert (owner.armed_s, len(wheel)) == (now_s + 0.03, 1)
    eventually(lambda: owner.woken_s, 1.0)
    gevent.sleep(0.2)
    assert len(owner.woken_s) == 1


def test_what_an_owner_answers_is_its_next_deadline(wheel: DeadlineWheel) -> None:
    """An owner that gives a time is woken again then; one that gives infinity leaves the wheel."""
    owner = Owner(0.02, 0.02)
    wheel.arm(owner, monotonic())
    eventually(lambda: len(owner.woken_s) == 3, 1.0)
    assert owner.armed_s == math.inf
    assert len(wheel) == 0


def test_a_deadline_that_is_always_past_does_not_stop_the_loop(wheel: DeadlineWheel) -> None:
    """An owner that asks for a past time is woken once a tick, not for ever in the same tick."""
    owner = Owner(*[-1.0] * 1000)
    wheel.arm(owner, monotonic())
    gevent.sleep(0.1)
    assert 2 <= len(owner.woken_s) <= 15
    wheel.disarm(owner)
    assert len(wheel) == 0


def test_a_disarmed_owner_is_not_woken(wheel: DeadlineWheel) -> None:
    """Not even when it is disarmed by an owner that is due in the same tick."""
    first, second = Owner(), Owner()
    first.on_deadline = lambda now_s: wheel.disarm(second) or math.inf  # type: ignore[func-returns-value,method-assign]
    when_s = monotonic() + 0.02
    wheel.arm(first, when_s)
    wheel.arm(second, when_s)
    gevent.sleep(0.08)
    assert second.woken_s == []
    assert len(wheel) == 0


def test_an_owner_armed_while_others_are_woken_is_not_forgotten(wheel: DeadlineWheel) -> None:
    """Also when the wheel was empty at that moment, and the new deadline is past."""
    late = Owner()
    first = Owner()
    first.on_deadline = lambda now_s: wheel.arm(late, now_s - 1.0) or math.inf  # type: ignore[func-returns-value,method-assign]
    wheel.arm(first, monotonic())
    eventually(lambda: late.woken_s, 1.0)


def test_after_a_stall_of_the_loop_all_that_is_due_is_woken(wheel: DeadlineWheel) -> None:
    """Many slots may have passed at once."""
    owners = [Owner() for _ in range(50)]
    now_s = monotonic()
    for number, owner in enumerate(owners):
        wheel.arm(owner, now_s + 0.004 * number)
    until_s = now_s + 0.25
    while monotonic() < until_s:
        pass
    eventually(lambda: all(owner.woken_s for owner in owners), 0.2)


def test_an_owner_that_raises_harms_no_other(wheel: DeadlineWheel, capsys: pytest.CaptureFixture[str]) -> None:
    """The others of the same tick are woken, and the wheel turns on."""
    bad, good, later = Owner(), Owner(), Owner()

    def fails(now_s: float) -> float:
        raise RuntimeError("on purpose")

    bad.on_deadline = fails  # type: ignore[method-assign]
    when_s = monotonic() + 0.02
    wheel.arm(bad, when_s)
    wheel.arm(good, when_s)
    wheel.arm(later, when_s + 0.05)
    eventually(lambda: good.woken_s and later.woken_s, 0.5)
    assert "on purpose" in capsys.readouterr().err
    assert len(wheel) == 0


def test_an_empty_wheel_stands_still() -> None:
    """Its timer is active only while something is armed."""
    loop = gevent.get_hub().loop
    before = loop.activecnt
    wheel = DeadlineWheel()
    assert loop.activecnt == before
    owner = Owner()
    wheel.arm(owner, monotonic() + 0.02)
    assert loop.activecnt == before + 1
    eventually(lambda: owner.woken_s, 1.0)
    assert loop.activecnt == before
    wheel.close()


def test_an_alarm_calls_once() -> None:
    """And not at all when it is disarmed."""
    wheel = DeadlineWheel()
    calls: list[str] = []
    Alarm(wheel, monotonic() + 0.02, lambda: calls.append("rang"))
    silent = Alarm(wheel, monotonic() + 0.02, lambda: calls.append("disarmed"))
    wheel.disarm(silent)
    gevent.sleep(0.1)
    assert calls == ["rang"]
    wheel.close()
