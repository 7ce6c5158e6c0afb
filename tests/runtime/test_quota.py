"""`runtime.quota`: operations ask before they begin, and wait where none is left."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

from locust_ext.runtime.quota import NothingLeft, Quota, QuotaOfEach
from tests.peers import eventually


class FakeUser:
    def __init__(self) -> None:
        self.is_leaving = False
        self.operations_begun = 0
        self.rests: list[bool] = []
        self.ends = 0
        self.greenlet: Any = None

    def drive_rest(self, rests: bool) -> None:
        self.rests.append(rests)

    def end_of_quota(self) -> None:
        self.ends += 1


def test_what_is_granted_can_be_begun_and_no_more() -> None:
    quota, user = Quota(), FakeUser()
    quota.grant(3)
    for _ in range(3):
        quota.take(user)
    assert (quota.begun, quota.left, user.operations_begun) == (3, 0, 3)
    waiting = gevent.spawn(quota.take, user)
    eventually(lambda: quota.wanting == 1)
    assert quota.is_wanted.is_set()
    assert user.rests == [True]
    assert not waiting.dead
    quota.grant(4)
    waiting.get(timeout=1)
    assert (quota.begun, quota.wanting, user.rests) == (4, 0, [True, False])


def test_of_many_who_wait_as_many_go_on_as_are_granted() -> None:
    quota, users = Quota(), [FakeUser() for _ in range(10)]
    waiting = [gevent.spawn(quota.take, user) for user in users]
    for user, greenlet in zip(users, waiting, strict=True):
        user.greenlet = greenlet
    eventually(lambda: quota.wanting == 10)
    quota.grant(4)
    eventually(lambda: sum(each.dead for each in waiting) == 4)
    gevent.sleep(0.01)
    assert (quota.begun, quota.wanting) == (4, 6)
    quota.finish()
    gevent.joinall(waiting, timeout=1)
    assert quota.begun == 4
    assert sum(user.operations_begun for user in users) == 4


def test_what_is_given_back_is_begun_by_nobody_not_even_by_who_was_just_woken() -> None:
    quota, users = Quota(), [FakeUser() for _ in range(3)]
    quota.grant(5)
    quota.take(users[0])
    quota.give_back()
    assert (quota.granted, quota.begun, quota.left) == (1, 1, 0)
    waiting = [gevent.spawn(quota.take, user) for user in users]
    eventually(lambda: quota.wanting == 3)
    quota.grant(4)
    quota.give_back()  # before any of them has run
    gevent.sleep(0.01)
    assert (quota.begun, quota.wanting) == (1, 3)

    rests = users[0].drive_rest

    def gives_back(is_resting: bool) -> None:
        rests(is_resting)
        if not is_resting:
            quota.give_back()

    users[0].drive_rest = gives_back  # type: ignore[method-assign]
    quota.grant(2)  # the first one wakes, and while it says so the grant is taken back
    eventually(lambda: len(users[0].rests) >= 2)
    gevent.sleep(0.01)
    assert (quota.begun, quota.granted) == (1, 1)
    quota.finish()
    gevent.joinall(waiting, timeout=1)


def test_the_end_of_the_run_ends_who_waits() -> None:
    quota, user = Quota(), FakeUser()
    user.greenlet = waiting = gevent.spawn(quota.take, user)
    other = gevent.spawn(quota.take, user)
    eventually(lambda: quota.wanting == 2)
    quota.finish()
    with pytest.raises(NothingLeft):
        other.get(timeout=1)
    assert isinstance(waiting.get(timeout=1), gevent.GreenletExit)
    assert quota.begun == 0


def test_a_user_on_its_way_out_is_told_so_instead_of_waiting() -> None:
    user = FakeUser()
    user.is_leaving = True
    with pytest.raises(NothingLeft):
        Quota().take(user)
    each = QuotaOfEach(1)
    each.take(user)
    with pytest.raises(NothingLeft):
        each.take(user)


def test_each_user_has_its_own_number_and_leaves_then() -> None:
    quota, users = QuotaOfEach(2), [FakeUser(), FakeUser()]
    for user in users:
        quota.take(user)
        quota.take(user)
    users[0].greenlet = waiting = gevent.spawn(quota.take, users[0])
    eventually(lambda: users[0].ends == 1)
    assert (users[0].operations_begun, users[1].ends) == (2, 0)
    assert users[0].rests == [True]
    quota.finish()
    assert isinstance(waiting.get(timeout=1), gevent.GreenletExit)
