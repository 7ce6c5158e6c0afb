"""`runtime.driver`: actions of a pattern become deeds of a user, and what comes of them its outcomes."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import gevent
import pytest

from locust_ext.core.lifecycle import FullJitter, Persistent
from locust_ext.core.lifecycle.actions import (
    Action,
    Connect,
    Connected,
    Disconnect,
    Disconnected,
    GiveUp,
    Lost,
    Outcome,
    Pause,
    Refused,
    Rested,
    Send,
    Sent,
)
from locust_ext.errors import ConnectFailed
from locust_ext.runtime.driver import Driver
from locust_ext.runtime.process import shared
from tests.peers import eventually


class Script:
    """A pattern that yields these actions, one after the other, and notes the outcomes."""

    def __init__(self, *actions: Action) -> None:
        self._actions = actions
        self.outcomes: list[Outcome] = []

    def actions(self, rng: random.Random, now_s: float) -> Generator[Action, Outcome, None]:
        for action in self._actions:
            self.outcomes.append((yield action))

    @property
    def kinds(self) -> list[type]:
        return [type(each) for each in self.outcomes]


class FakeUser:
    """What a driver drives; notes what it is told to do."""

    def __init__(self, *connects: str | None) -> None:
        self.connects = list(connects)
        """Error classes of the connects to come; None and the rest: good ones."""
        self.deeds: list[Any] = []
        self.is_connected = False
        self.due_s = 0.0
        self.think_s = 0.0
        self.on_exchange: Callable[[], Any] = lambda: True
        self.on_connect: Callable[[], Any] = lambda: None
        self.driver: Driver

    def drive_connect(self, host: str | None) -> None:
        self.deeds.append(("connect", host) if host else "connect")
        error_class = self.connects.pop(0) if self.connects else None
        if error_class is not None:
            is_429 = error_class == "http_429"
            raise ConnectFailed(error_class, retry_after_s=3.0 if is_429 else None, rule="limits" if is_429 else None)
        self.is_connected = True
        self.on_connect()

    def drive_exchange(self, intended_s: float | None) -> bool:
        self.deeds.append("exchange")
        self.due_s = monotonic() + self.think_s
        return bool(self.on_exchange())

    def drive_close(self, code: int) -> None:
        self.deeds.append(("close", code))
        self.is_connected = False

    def drive_due_s(self, now_s: float) -> float:
        return self.due_s

    def drive_state(self, state: str) -> None:
        self.deeds.append(state)

    def drive_rest(self, rests: bool) -> None:
        pass

    def lose(self, error_class: str = "reset") -> None:
        self.is_connected = False
        self.driver.lost(error_class)


@contextmanager
def driving(script: Any, user: FakeUser, how: str = "run") -> Iterator[gevent.Greenlet]:
    user.driver = Driver(script, user, random.Random(1), shared())
    greenlet = gevent.spawn(getattr(user.driver, how))
    try:
        yield greenlet
    finally:
        user.driver.close()
        greenlet.kill(timeout=1)
        assert greenlet.dead


def test_actions_become_deeds_in_order() -> None:
    """And each outcome goes back to the pattern; at its end the user rests until it is stopped."""
    script = Script(Connect("ws://other"), Send(), Send(paced=False), Pause(0.01), Disconnect(1001), Pause(0.01))
    user = FakeUser()
    with driving(script, user) as greenlet:
        eventually(lambda: len(script.outcomes) == 6)
        assert script.kinds == [Connected, Sent, Sent, Rested, Disconnected, Rested]
        assert user.deeds == [("connect", "ws://other"), "exchange", "exchange", ("close", 1001), "idle", "idle"]
        gevent.sleep(0.05)
        assert not greenlet.dead


def test_a_refused_connect_tells_the_class_retry_after_and_its_rule() -> None:
    """The pattern decides what follows; a backoff is the state ``waiting``."""
    script = Script(Connect(), Pause(0.01, backoff=True), Connect())
    user = FakeUser("http_429")
    with driving(script, user):
        eventually(lambda: len(script.outcomes) == 3)
    refused = script.outcomes[0]
    assert isinstance(refused, Refused)
    assert (refused.error_class, refused.retry_after_s, refused.rule) == ("http_429", 3.0, "limits")
    assert user.deeds == ["connect", "waiting", "connect"]


def test_giving_up_is_the_state_failed_and_the_user_stays() -> None:
    """Row 40."""
    user = FakeUser("http_401")
    with driving(Script(Connect(), GiveUp("http_401")), user) as greenlet:
        eventually(lambda: "failed" in user.deeds)
        gevent.sleep(0.03)
        assert not greenlet.dead


def test_a_failed_message_is_told_as_such() -> None:
    """`Sent(good=False)`."""
    user = FakeUser()
    user.on_exchange = lambda: False
    script = Script(Connect(), Send())
    with driving(script, user):
        eventually(lambda: len(script.outcomes) == 2)
    assert script.outcomes[1].good is False  # type: ignore[union-attr]


def test_a_message_is_sent_when_it_is_due() -> None:
    """Not earlier, and with less than a tick of the wheel's delay."""
    user = FakeUser()
    user.due_s = monotonic() + 0.1
    script = Script(Connect(), Send())
    begun_s = monotonic()
    with driving(script, user):
        eventually(lambda: len(script.outcomes) == 2)
        assert 0.1 <= script.outcomes[1].now_s - begun_s < 0.2


def test_nothing_is_sent_after_the_end_of_a_stay() -> None:
    """A message due later than ``until_s``: `Rested` at ``until_s``."""
    user = FakeUser()
    user.due_s = monotonic() + 30
    until_s = monotonic() + 0.1
    script = Script(Connect(), Send(until_s=until_s))
    with driving(script, user):
        eventually(lambda: len(script.outcomes) == 2)
    assert script.kinds[1] is Rested
    assert until_s <= script.outcomes[1].now_s < until_s + 0.1
    assert "exchange" not in user.deeds


@pytest.mark.parametrize("action", [Send(), Pause(None), Pause(30.0)])
def test_a_loss_wakes_whoever_rests_on_the_connection(action: Action) -> None:
    """At once, with its class."""
    user = FakeUser()
    user.due_s = monotonic() + 30
    script = Script(Connect(), action)
    with driving(script, user):
        eventually(lambda: user.is_connected)
        gevent.sleep(0.02)
        user.lose("closed_1012")
        eventually(lambda: len(script.outcomes) == 2, 0.5)
    assert script.outcomes[1] == Lost(script.outcomes[1].now_s, "closed_1012")


def test_a_loss_during_a_message_is_told_after_it() -> None:
    """Instead of `Sent`."""
    user = FakeUser()
    user.on_exchange = lambda: user.lose("reset")
    script = Script(Connect(), Send())
    with driving(script, user):
        eventually(lambda: len(script.outcomes) == 2)
    assert script.kinds[1] is Lost


@pytest.mark.parametrize("how", ["run", "establish"])
@pytest.mark.parametrize("action", [Send(), Pause(None)])
def test_a_loss_before_the_pattern_looks_is_not_forgotten(how: str, action: Action) -> None:
    """The connection goes while a listener of the connect's event still runs: the next outcome is the loss."""
    user = FakeUser()
    user.on_connect = lambda: user.lose("reset")
    script = Script(Connect(), action, Pause(0.01, backoff=True), Connect())
    with driving(script, user, how):
        eventually(lambda: len(script.outcomes) == 4, 1.0)
    assert script.kinds == [Connected, Lost, Rested, Connected]


def test_a_loss_is_told_once() -> None:
    """The pause that follows it is a pause."""
    user = FakeUser()
    script = Script(Connect(), Pause(None), Pause(0.05, backoff=True), Pause(0.05))
    with driving(script, user):
        eventually(lambda: user.is_connected)
        user.lose()
        eventually(lambda: len(script.outcomes) == 4)
    assert script.kinds == [Connected, Lost, Rested, Rested]


def test_a_kill_reaches_every_rest() -> None:
    """Backoff, pacing, the user's own rest and the end of the pattern; no timer stays."""
    loop = gevent.get_hub().loop
    for script, user in (
        (Script(Connect(), Pause(30.0, backoff=True)), FakeUser("refused")),
        (Script(Connect(), Pause(None)), FakeUser()),
        (Script(Pause(30.0)), FakeUser()),
        (Script(), FakeUser()),
    ):
        before = loop.activecnt
        with driving(script, user) as greenlet:
            gevent.sleep(0.02)
            greenlet.kill(timeout=1)
            assert greenlet.dead
        assert loop.activecnt <= before


# ── driven by tasks ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_establish_returns_when_the_connection_stands() -> None:
    """Where the pattern would talk, it is held: the tasks do the talking."""
    user = FakeUser("refused", "refused")
    with driving(Persistent(reconnect=FullJitter(base_s=0.01, cap_s=0.01)), user, "establish") as greenlet:
        greenlet.join(2)
        assert greenlet.dead
        assert user.deeds == ["connect", "waiting", "connect", "waiting", "connect"]


def test_a_user_driven_by_tasks_is_reconnected_after_a_loss() -> None:
    """In a greenlet of its own, which ends when the connection stands again; as often as it takes."""
    user = FakeUser()
    with driving(Persistent(reconnect=FullJitter(base_s=0.01, cap_s=0.01)), user, "establish") as greenlet:
        greenlet.join(2)
        for number in range(3):
            user.connects = ["refused"]
            user.lose()
            eventually(lambda: user.is_connected, 1.0)
            assert user.deeds.count("connect") == 1 + 2 * (number + 1)
        assert "exchange" not in user.deeds


def test_a_pattern_may_leave_while_tasks_run() -> None:
    """A stay ends at its time: disconnect, rest, connect again."""
    user = FakeUser()
    stay = Script(Connect(), Send(until_s=monotonic() + 0.1), Disconnect(), Pause(0.05), Connect(), Pause(None))
    with driving(stay, user, "establish") as greenlet:
        greenlet.join(1)
        assert user.is_connected
        eventually(lambda: user.deeds == ["connect", ("close", 1000), "idle", "idle", "connect"], 1.0)
        eventually(lambda: user.is_connected)
        assert stay.kinds == [Connected, Rested, Disconnected, Rested, Connected]


def test_a_closed_driver_does_nothing_more() -> None:
    """Idempotent; a loss after it wakes nobody, its alarm is gone, its greenlet is killed."""
    user = FakeUser()
    with driving(Persistent(reconnect=FullJitter(base_s=30.0)), user, "establish") as greenlet:
        greenlet.join(1)
        user.lose()
        gevent.sleep(0.02)
        user.driver.close()
        user.driver.close()
        user.driver.lost("reset")
        gevent.sleep(0.02)
        assert user.deeds.count("connect") == 1
    assert len(shared().wheel) == 0


def test_a_wait_is_never_over_before_its_time() -> None:
    """The loop's clock stands still while a callback works, and its timers count from there."""
    user = FakeUser()
    driver = Driver(Script(), user, random.Random(1), shared())
    early: list[float] = []

    def waits() -> None:
        until_s = monotonic() + 0.03
        driver._wait_until(until_s, wakes_on_loss=False)
        early.append(until_s - monotonic())

    def works() -> None:
        begun_s = monotonic()
        while monotonic() < begun_s + 0.1:
            pass
        gevent.spawn(waits)

    gevent.spawn(works).join()
    eventually(lambda: early)
    assert early[0] <= 0
