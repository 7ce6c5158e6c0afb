"""`runtime.open_loops`: what users on schedules of their own want to say, and how late they are."""

from __future__ import annotations

import math

import pytest

from locust_ext.runtime.open_loops import OpenLoops


class Scheduled:
    """A user whose next message, or the one that it is about, is due then."""

    def __init__(self, due_s: float) -> None:
        self.due_s = due_s

    def drive_due_s(self, now_s: float) -> float:
        return self.due_s


def test_users_who_come_and_go_want_their_rates_for_as_long_as_they_are_connected() -> None:
    loops, one, two = OpenLoops(), Scheduled(math.inf), Scheduled(math.inf)
    loops.enter(one, 5.0, 10.0)
    loops.enter(two, 0.1, 12.0)
    assert loops.rate_per_s == 5.1
    loops.leave(one, 14.0)
    loops.leave(one, 15.0)
    assert loops.rate_per_s == 0.1
    assert loops.messages(20.0) == pytest.approx(5.0 * 4 + 0.1 * 8)
    loops.leave(two, 20.0)
    assert (loops.rate_per_s, loops.left_out) == (0.0, 0)


def test_a_user_is_late_with_the_message_after_the_one_that_it_waits_for() -> None:
    """At 10/s: the one that was due at 50 s is under way, the next one was due 0.1 s after it."""
    loops, waits, rests = OpenLoops(), Scheduled(50.0), Scheduled(53.05)
    loops.enter(waits, 10.0, 40.0)
    loops.enter(rests, 10.0, 40.0)
    assert loops.behind(50.09) == (0.0, 0)
    assert loops.behind(53.0) == (pytest.approx(2.9), 1)
    assert loops.unsent(53.0) == 29
    loops.leave(waits, 53.0)
    assert loops.left_out == pytest.approx(29)
    assert loops.behind(53.0) == (0.0, 0)
