"""`runtime.turns`: users of a process share one schedule; and how a driver takes its turns."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from time import monotonic

import gevent
import pytest

from locust_ext.core.lifecycle.actions import Connect, Disconnect, Lost, Rested, Send, Sent
from locust_ext.runtime.driver import Driver
from locust_ext.runtime.process import shared
from locust_ext.runtime.turns import GREEDY, Turns
from tests.peers import eventually
from tests.runtime.test_driver import FakeUser, Script


class Waiting:
    """A user that notes its turns, if it can take them."""

    def __init__(self) -> None:
        self.due_s: list[float] = []
        self.can = True

    def your_turn(self, due_s: float) -> bool:
        if self.can:
            self.due_s.append(due_s)
        return self.can


@contextmanager
def turns_at(rate: float) -> Iterator[Turns]:
    turns = Turns(shared(), random.Random(1))
    turns.change_rate(monotonic(), rate)
    try:
        yield turns
    finally:
        turns.close()


def test_who_waits_longest_has_the_next_turn_when_it_is_due() -> None:
    users = [Waiting() for _ in range(3)]
    with turns_at(50.0) as turns:
        for user in users:
            assert turns.ask(user) is None
        eventually(lambda: users[2].due_s)
        assert [len(user.due_s) for user in users] == [1, 1, 1]
        first, second, third = (user.due_s[0] for user in users)
        assert (second - first, third - second) == (pytest.approx(0.02), pytest.approx(0.02))
        assert monotonic() >= third


def test_what_nobody_could_say_in_time_is_said_late_at_once_in_order() -> None:
    """Everybody is busy for five messages; then one user has them one by one, each with the time at which it was due."""
    user = Waiting()
    with turns_at(100.0) as turns:
        turns.ask(user)
        eventually(lambda: user.due_s)
        gevent.sleep(0.055)
        now_s = monotonic()
        assert turns.behind(now_s) == pytest.approx(now_s - user.due_s[0] - 0.01)
        late = [turns.ask(user) for _ in range(5)]
        assert late == pytest.approx([user.due_s[0] + number * 0.01 for number in range(1, 6)])


def test_a_turn_that_cannot_be_taken_is_the_next_users() -> None:
    gone, here = Waiting(), Waiting()
    gone.can = False
    with turns_at(20.0) as turns:
        turns.ask(gone)
        turns.ask(here)
        due_s = turns.arrivals.due_s
        eventually(lambda: here.due_s)
        assert here.due_s == [due_s]
        assert turns.taken == 1
        turns.give_back(due_s)
        assert turns.ask(here) == due_s


def test_a_user_who_leaves_takes_no_turn_and_the_others_have_the_whole_rate() -> None:
    leaver, stays = Waiting(), Waiting()
    with turns_at(50.0) as turns:
        turns.ask(leaver)
        turns.ask(stays)
        assert turns.present == 2
        turns.leave(leaver)
        assert turns.present == 1
        first_s = turns.arrivals.due_s
        eventually(lambda: stays.due_s)
        assert (leaver.due_s, stays.due_s) == ([], [first_s])


def test_nothing_is_due_before_the_first_user_is_here() -> None:
    user = Waiting()
    with turns_at(1000.0) as turns:
        gevent.sleep(0.05)
        come_s = monotonic()
        turns.ask(user)
        eventually(lambda: user.due_s)
        assert come_s <= user.due_s[0] <= come_s + 0.002
        assert turns.left_out(monotonic()) == 0


def test_a_user_who_comes_late_throws_nothing_away_of_what_the_others_could_not_say() -> None:
    """A hundred messages become due while the only one is held up: a second one says them all, the oldest first."""
    one, two = Waiting(), Waiting()
    with turns_at(1000.0) as turns:
        turns.ask(one)
        eventually(lambda: one.due_s)
        gevent.sleep(0.1)
        late = []
        while (due_s := turns.ask(two)) is not None:
            late.append(due_s)
        assert late[0] == pytest.approx(one.due_s[0] + 0.001, abs=1e-6)
        assert [after - before for before, after in pairwise(late)] == pytest.approx([0.001] * (len(late) - 1))
        assert len(late) >= 100
        assert turns.left_out(monotonic()) == 0


def test_what_would_be_due_while_all_are_gone_is_left_out_and_counted_and_what_was_due_before_is_not() -> None:
    user = Waiting()
    with turns_at(1000.0) as turns:
        turns.ask(user)
        eventually(lambda: user.due_s)
        gevent.sleep(0.05)
        gone_s = monotonic()
        turns.leave(user)
        gevent.sleep(0.1)
        assert turns.behind(monotonic()) >= 0.145
        back_s, late = monotonic(), []
        while (due_s := turns.ask(user)) is not None:
            late.append(due_s)
        assert turns.left_out(monotonic()) == pytest.approx(1000 * (back_s - gone_s), abs=2)
        assert sum(due_s <= gone_s for due_s in late) == pytest.approx(1000 * (gone_s - user.due_s[0]), abs=1.01)
        assert not [due_s for due_s in late if gone_s + 0.001 < due_s < back_s]
        assert turns.user_seconds(monotonic()) == pytest.approx(monotonic() - back_s + gone_s - user.due_s[0], abs=0.01)


def test_at_the_end_of_the_run_what_nobody_has_said_is_counted_and_nothing_more_becomes_due() -> None:
    user = Waiting()
    with turns_at(1000.0) as turns:
        turns.ask(user)
        eventually(lambda: user.due_s)
        gevent.sleep(0.1)
        now_s = monotonic()
        turns.stop(now_s)
        turns.change_rate(now_s, 500.0)
        assert turns.unsent == pytest.approx(1000 * (now_s - user.due_s[0]), abs=1.01)
        assert turns.behind(now_s + 60) == pytest.approx(now_s + 60 - user.due_s[0], abs=0.002)
        assert turns.ask(user) is None
        turns.leave(user)
        assert turns.left_out(now_s + 60) == 0


def test_a_rate_that_changes_holds_at_once() -> None:
    """A message that was due in 100 s is due in at most a tenth of a second."""
    user = Waiting()
    with turns_at(0.01) as turns:
        turns.ask(user)
        turns.change_rate(monotonic(), 10.0)
        eventually(lambda: user.due_s, 0.5)


def test_who_catches_up_without_waiting_is_told_to_let_others_run() -> None:
    user = Waiting()
    with turns_at(10_000.0) as turns:
        turns.ask(user)
        eventually(lambda: user.due_s)
        gevent.sleep(0.01)
        for _ in range(GREEDY):
            assert not turns.is_starving
            assert turns.ask(user) is not None
        assert turns.is_starving
        turns.rested()
        assert not turns.is_starving


def test_after_the_end_nobody_has_a_turn() -> None:
    user = Waiting()
    with turns_at(1000.0) as turns:
        turns.close()
        turns.ask(user)
        gevent.sleep(0.02)
        assert user.due_s == []


# ── drivers ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def driving(script: Script, user: FakeUser, turns: Turns) -> Iterator[gevent.Greenlet]:
    user.driver = Driver(script, user, random.Random(1), shared(), turns)
    greenlet = gevent.spawn(user.driver.run)
    try:
        yield greenlet
    finally:
        user.driver.close()
        greenlet.kill(timeout=1)


def test_a_driver_sends_at_its_turns_and_tells_when_each_was_due() -> None:
    intended: list[float | None] = []
    user, script = FakeUser(), Script(Connect(), *[Send()] * 4)
    plain = user.drive_exchange
    user.drive_exchange = lambda due_s: bool(intended.append(due_s)) or plain(due_s)  # type: ignore[method-assign]
    with turns_at(100.0) as turns, driving(script, user, turns):
        eventually(lambda: len(script.outcomes) == 5)
        assert script.kinds[1:] == [Sent] * 4
        assert [after - before for before, after in pairwise(intended)] == pytest.approx([0.01] * 3)  # type: ignore[operator]


def test_a_driver_whose_connection_goes_leaves_its_turns_to_others() -> None:
    user, script = FakeUser(), Script(Connect(), Send())
    with turns_at(0.001) as turns, driving(script, user, turns):
        eventually(lambda: turns.present)
        user.lose()
        eventually(lambda: len(script.outcomes) == 2)
        assert script.kinds[1] is Lost
        assert (turns.present, turns.taken) == (0, 0)


def test_a_driver_that_is_killed_while_it_waits_leaves_its_turns_to_others() -> None:
    user, other = FakeUser(), Waiting()
    with turns_at(10.0) as turns, driving(Script(Connect(), Send()), user, turns) as greenlet:
        eventually(lambda: turns.present)
        turns.ask(other)
        greenlet.kill()
        user.driver.close()
        assert turns.present == 1
        eventually(lambda: other.due_s)
        assert "exchange" not in user.deeds


def test_a_driver_whose_time_is_up_rests_and_takes_no_turn_then() -> None:
    user, script = FakeUser(), Script(Connect(), Send(until_s=monotonic() + 0.03), Disconnect())
    with turns_at(0.001) as turns, driving(script, user, turns):
        eventually(lambda: len(script.outcomes) == 3)
        assert script.kinds[1] is Rested
        assert "exchange" not in user.deeds
        assert turns.present == 0


def test_messages_that_keep_a_time_of_their_own_take_no_turns() -> None:
    user, script = FakeUser(), Script(Connect(), Send(paced=False), Send(paced=False))
    with turns_at(0.001) as turns, driving(script, user, turns):
        eventually(lambda: script.kinds[1:] == [Sent, Sent])
        assert (turns.present, turns.taken) == (0, 0)
