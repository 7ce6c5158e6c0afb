"""`runtime.dispatcher`: handlers and reports, in lanes."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic

import gevent
import gevent.event
import pytest

from locust_ext.runtime.dispatcher import MAX_IDLE, Dispatcher, Lane
from tests.peers import eventually


@pytest.fixture
def errors() -> list[BaseException]:
    return []


@pytest.fixture
def dispatcher(errors: list[BaseException]) -> Iterator[Dispatcher]:
    made = Dispatcher(on_error=errors.append)
    yield made
    made.close()
    eventually(lambda: not made._runners, 1.0)


def test_the_calls_of_a_lane_run_in_order_and_never_side_by_side(dispatcher: Dispatcher) -> None:
    """Also when each of them gives the loop a turn."""
    lane, done, running = Lane(), [], []

    def call(number: int) -> None:
        running.append(number)
        assert len(running) == 1
        gevent.sleep(0)
        running.remove(number)
        done.append(number)

    for number in range(20):
        dispatcher.post(lane, call, number)
    eventually(lambda: len(done) == 20)
    assert done == list(range(20))


def test_fault_33_a_call_that_blocks_delays_only_its_own_lane(dispatcher: Dispatcher) -> None:
    """A further greenlet goes on with the others; it stays one greenlet more for each blocked lane."""
    free = gevent.event.Event()
    blocked = [Lane() for _ in range(5)]
    for lane in blocked:
        dispatcher.post(lane, free.wait)
        dispatcher.post(lane, lambda: done.append("after"))
    done: list[str] = []
    other = Lane()
    begun_s = monotonic()
    for _ in range(10):
        dispatcher.post(other, done.append, "other")
    dispatcher.report(done.append, "report")
    eventually(lambda: len(done) == 11)
    assert monotonic() - begun_s < 0.5
    assert done.count("after") == 0
    free.set()
    eventually(lambda: done.count("after") == 5)
    eventually(lambda: len(dispatcher._runners) <= MAX_IDLE + 1)


def test_fault_33_a_call_that_raises_is_told_of_once(dispatcher: Dispatcher, errors: list[BaseException]) -> None:
    """The later calls of its lane run all the same."""
    lane, done = Lane(), []
    dispatcher.post(lane, int, "no number")
    dispatcher.post(lane, done.append, 1)
    eventually(lambda: done)
    assert [type(error) for error in errors] == [ValueError]


def test_a_gevent_timeout_in_a_call_is_an_error_like_others(
    dispatcher: Dispatcher, errors: list[BaseException]
) -> None:
    """A `gevent.Timeout` is no `Exception`; it may not end the dispatcher's greenlet and leave the lane behind."""
    lane, done = Lane(), []

    def runs_out() -> None:
        with gevent.Timeout(0.01):
            gevent.sleep(1)

    dispatcher.post(lane, runs_out)
    dispatcher.post(lane, done.append, 1)
    eventually(lambda: done, 1.0)
    assert [type(error) for error in errors] == [gevent.Timeout]


def test_fault_32_a_full_lane_drops_its_oldest_call_and_counts_it(dispatcher: Dispatcher) -> None:
    """Reports are never dropped: each is a recorded outcome."""
    lane, done = Lane(limit=3), []
    for number in range(10):
        dispatcher.post(lane, done.append, number)
    reported: list[int] = []
    for number in range(5000):
        dispatcher.report(reported.append, number)
    eventually(lambda: len(reported) == 5000)
    assert done == [7, 8, 9]
    assert lane.dropped == 7


def test_a_call_may_post_further_calls(dispatcher: Dispatcher) -> None:
    """To its own lane (they run later) and to others."""
    lane, other, done = Lane(), Lane(), []

    def again(left: int) -> None:
        done.append(left)
        if left:
            dispatcher.post(lane, again, left - 1)
            dispatcher.post(other, done.append, "other")

    dispatcher.post(lane, again, 3)
    eventually(lambda: len(done) == 7)
    assert [each for each in done if each != "other"] == [3, 2, 1, 0]


def test_a_lane_that_never_ends_does_not_starve_the_others(dispatcher: Dispatcher) -> None:
    """What comes to a lane while it runs waits until the others had their turn."""
    lane, other, done = Lane(limit=None), Lane(), []
    turns = 0

    def endless() -> None:
        nonlocal turns
        turns += 1
        if not done and turns < 10_000:
            dispatcher.post(lane, endless)

    dispatcher.post(lane, endless)
    dispatcher.post(other, done.append, "other")
    eventually(lambda: done)
    assert turns < 10


def test_flush_waits_for_the_reports(dispatcher: Dispatcher) -> None:
    """And says when they have not all run in time."""
    free = gevent.event.Event()
    done: list[int] = []
    dispatcher.report(free.wait)
    dispatcher.report(done.append, 1)
    assert dispatcher.flush(0.05) is False
    free.set()
    assert dispatcher.flush(1.0) is True
    assert done == [1]


def test_close_ends_its_greenlets_and_drops_what_waits(dispatcher: Dispatcher) -> None:
    """Idempotent; nothing is taken after it."""
    lane, done = Lane(), []
    dispatcher.post(lane, gevent.sleep, 10)
    dispatcher.post(lane, done.append, 1)
    gevent.sleep(0.01)
    dispatcher.close()
    dispatcher.close()
    dispatcher.post(Lane(), done.append, 2)
    eventually(lambda: not dispatcher._runners, 1.0)
    gevent.sleep(0.01)
    assert done == []
