"""`runtime.pool`: who gets which member when, over a scripted source; no socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import Any

import gevent
import pytest

from locust_ext.errors import ConfigError, ConnectFailed, ConnectionLost, RequestTimeout
from locust_ext.runtime import pool as module
from locust_ext.runtime.pool import Pool, PoolLimits
from locust_ext.runtime.process import shared
from tests.peers import eventually

NO_LEAK = PoolLimits(leak_after_s=None)


class Member:
    def __init__(self, number: int) -> None:
        self.number = number
        self.is_alive = True
        self.is_healthy = True
        self.ended: str | None = None
        self.cleaned = 0


class Scripted:
    """Opens members 0, 1, 2 …; ``fails`` is raised instead while it is set."""

    def __init__(self, open_s: float = 0.0) -> None:
        self.open_s = open_s
        self.members: list[Member] = []
        self.fails: Exception | None = None
        self.attempts_s: list[float] = []
        self.opening = self.most_opening = 0

    def open(self) -> Member:
        self.attempts_s.append(monotonic())
        self.opening += 1
        self.most_opening = max(self.most_opening, self.opening)
        try:
            gevent.sleep(self.open_s)
            if self.fails is not None:
                raise self.fails
        finally:
            self.opening -= 1
        self.members.append(Member(len(self.members)))
        return self.members[-1]

    def is_alive(self, member: Member) -> bool:
        return member.is_alive

    def is_healthy(self, member: Member, deadline_s: float) -> bool:
        return member.is_healthy

    def clean(self, member: Member) -> None:
        member.cleaned += 1

    def discard(self, member: Member) -> None:
        member.ended = member.ended or "discarded"

    def close(self, members: Sequence[Member]) -> None:
        for member in members:
            member.ended = "closed"


def refused_by(pool: Pool[Member]) -> ConnectionLost:
    with pytest.raises(ConnectionLost) as caught:
        pool.acquire()
    return caught.value


Made = Callable[..., tuple[Pool[Member], Scripted]]


@pytest.fixture
def make() -> Iterator[Made]:
    """Pools that are closed after the test, and then have nothing left."""
    pools: list[tuple[Pool[Member], Scripted]] = []

    def made(
        open_s: float = 0.0, on_leak: Callable[[str], None] = print, **limits: Any
    ) -> tuple[Pool[Member], Scripted]:
        source = Scripted(open_s)
        pool = Pool(source, PoolLimits(**{"leak_after_s": None, **limits}), shared(), on_leak)
        pools.append((pool, source))
        return pool, source

    yield made
    for pool, source in pools:
        pool.close()
        pool.close()
        assert (pool.size, pool.waiting) == (0, 0)
        assert all(each.ended for each in source.members)


def test_members_are_opened_when_they_are_wanted_and_never_more_than_the_maximum(make: Made) -> None:
    pool, source = make(max=2, acquire_timeout_s=0.1)
    first, second = pool.acquire(), pool.acquire()
    assert (first.member.number, second.member.number, pool.lent, pool.size) == (0, 1, 2, 2)
    begun_s = monotonic()
    with pytest.raises(RequestTimeout) as caught:
        pool.acquire()
    assert 0.1 <= monotonic() - begun_s < 0.3
    assert str(caught.value) == "timeout - no connection of the pool was free by the deadline"
    assert (len(source.members), pool.waiting) == (2, 0)
    second.release()
    second.release()  # idempotent
    with pool.acquire() as again:
        assert (again.number, again.cleaned) == (1, 1)
    assert (pool.idle, pool.lent) == (1, 1)


def test_who_has_waited_longest_is_served_first(make: Made) -> None:
    """Twenty greenlets, one member: they get it in the order in which they asked."""
    pool, _ = make(max=1)
    order: list[int] = []

    def borrow(number: int) -> None:
        with pool.acquire():
            order.append(number)
            gevent.sleep(0)

    held = pool.acquire()
    greenlets = [gevent.spawn(borrow, number) for number in range(20)]
    eventually(lambda: pool.waiting == 20)
    held.release()
    gevent.joinall(greenlets, timeout=5, raise_error=True)
    assert order == list(range(20))


def test_a_killed_borrower_gives_back_and_a_killed_waiter_leaves_the_queue(make: Made) -> None:
    pool, source = make(max=1)

    def borrow() -> None:
        with pool.acquire():
            gevent.sleep(10)

    holder = gevent.spawn(borrow)
    eventually(lambda: pool.lent == 1)
    waiter = gevent.spawn(borrow)
    eventually(lambda: pool.waiting == 1)
    waiter.kill()
    assert (pool.waiting, pool.lent) == (0, 1)
    holder.kill()
    assert (pool.idle, pool.lent, len(source.members)) == (1, 0, 1)


def test_a_waiter_killed_in_the_moment_in_which_it_is_served_gives_back(make: Made) -> None:
    pool, _ = make(max=1)
    held = pool.acquire()
    waiter = gevent.spawn(pool.acquire)
    eventually(lambda: pool.waiting == 1)
    waiter.kill(block=False)  # it is on its way
    held.release()
    assert (pool.waiting, pool.lent) == (0, 1)
    waiter.join(timeout=1)
    assert (pool.idle, pool.lent) == (1, 0)


def test_a_member_that_fails_its_check_is_replaced_and_the_borrower_keeps_its_turn(make: Made) -> None:
    pool, source = make(max=1)
    pool.acquire().release()
    source.members[0].is_healthy = False
    held = pool.acquire()
    assert (held.member.number, pool.replaced, source.members[0].ended) == (1, 1, "discarded")


def test_a_dead_member_is_never_lent_and_the_minimum_is_kept(make: Made) -> None:
    pool, source = make(min=2)
    pool.start()
    eventually(lambda: pool.idle == 2)
    dead = source.members[0]
    dead.is_alive = False
    pool.lost(dead)
    eventually(lambda: len(source.members) == 3 and pool.idle == 2)
    assert (dead.ended, pool.replaced) == ("discarded", 1)
    with pool.acquire() as lent:
        lent.is_alive = False
    eventually(lambda: len(source.members) == 4 and pool.idle == 2)
    assert (lent.ended, pool.replaced) == ("discarded", 2)


def test_idle_members_above_the_minimum_are_closed_in_order(make: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UPKEEP_S", 0.02)
    pool, source = make(min=1, max=4, idle_s=0.1)
    pool.start()
    leases = [pool.acquire() for _ in range(4)]
    begun_s = monotonic()
    for lease in leases:
        lease.release()
    eventually(lambda: pool.size == 1)
    assert monotonic() - begun_s >= 0.1
    assert [each.ended for each in source.members].count("closed") == 3
    gevent.sleep(0.15)
    assert pool.size == 1


@pytest.mark.parametrize("ends", [True, False])
def test_what_is_not_given_back_is_taken_back_and_said_once(
    make: Made, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    """Its borrower has ended, or has had it for too long; the queue goes on."""
    monkeypatch.setattr(module, "UPKEEP_S", 0.02)
    warnings: list[str] = []
    pool, source = make(max=1, leak_after_s=None if ends else 0.1, on_leak=warnings.append)
    pool.start()
    for number in range(2):
        if ends:
            gevent.spawn(pool.acquire).join()
        else:
            lease = pool.acquire()
        with pool.acquire(2.0) as member:
            assert (member.number, pool.leaked) == (2 * number + 1, number + 1)
            assert source.members[2 * number].ended == "discarded"
            if not ends:
                assert lease.is_over
                lease.release()  # too late: it is not lent twice
                assert pool.lent == 1
        pool.lost(member)
        member.is_alive = False
        eventually(lambda: pool.idle == 0)
    assert len(warnings) == 1
    assert ("its borrower has ended" if ends else "after 0 s") in warnings[0]


def test_a_target_that_refuses_is_asked_again_with_a_growing_backoff(make: Made) -> None:
    """Who waits waits until its deadline; when the target is back, it is served."""
    pool, source = make(max=5)
    source.fails = ConnectFailed("refused")
    with pytest.raises(RequestTimeout):
        pool.acquire(0.5)
    # Full jitter from 0.1 s: 0.05 + 0.1 + 0.2 s on average, and without a backoff there would be thousands.
    assert 2 <= len(source.attempts_s) <= 30
    source.fails = None
    assert pool.acquire(5.0).member.number == 0


def test_an_error_of_the_locustfile_reaches_who_waits(make: Made) -> None:
    pool, source = make()
    source.fails = ConfigError("expected something else")
    with pytest.raises(ConfigError, match="expected something else"):
        pool.acquire(5.0)
    assert pool.waiting == 0


def test_no_more_than_the_limit_are_being_opened_at_once(make: Made) -> None:
    pool, source = make(open_s=0.01, min=20, max=20, opens_at_once=4)
    pool.start()
    eventually(lambda: pool.idle == 20)
    assert source.most_opening == 4


def test_closing_ends_the_queue_and_the_attempts(make: Made) -> None:
    pool, source = make(open_s=5.0, max=1)
    waiter = gevent.spawn(refused_by, pool)
    eventually(lambda: source.opening == 1)
    begun_s = monotonic()
    pool.close()
    waiter.join(timeout=1)
    assert str(waiter.value) == "lost - the pool is closed"
    assert (monotonic() - begun_s < 1, source.opening, source.members) == (True, 0, [])
    with pytest.raises(ConnectionLost):
        pool.acquire()
