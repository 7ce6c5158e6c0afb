"""How many greenlets live."""

from __future__ import annotations

import gc
import weakref

import gevent
import gevent.event
import pytest

from locust_ext.runtime.monitor import census as module
from locust_ext.runtime.monitor.census import Census
from tests.peers import eventually


@pytest.fixture(autouse=True)
def any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that runs tests is bigger than one that makes load."""
    monkeypatch.setattr(module, "MAX_BLOCKS", 10**9)


def by_search() -> int:
    gc.collect()
    return sum(1 for each in gc.get_objects() if issubclass(type(each), gevent.Greenlet) and not each.dead)


def test_it_counts_those_that_lived_before_those_that_come_and_not_those_that_ended() -> None:
    earlier = [gevent.spawn(gevent.sleep, 60) for _ in range(30)]
    gevent.sleep(0)
    census = Census()
    census.start()
    census.start()
    assert census.count() == by_search()
    before = census.count()
    assert before is not None
    later = [gevent.spawn(gevent.sleep, 60) for _ in range(2500)]
    assert census.count() == before + 2500 == by_search()
    gevent.killall(later)
    del later
    eventually(lambda: census.count() == before, what="the ended ones are noticed")
    assert by_search() == before
    gevent.killall(earlier)
    del earlier
    eventually(lambda: census.count() == before - 30, what="the ended ones are noticed")
    assert by_search() == before - 30


def test_one_that_has_ended_does_not_count_although_somebody_still_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    census = Census()
    census.start()
    before = census.count()
    assert before is not None
    held = [gevent.spawn(int) for _ in range(20)]
    gevent.joinall(held)
    monkeypatch.setattr(census._pace, "is_due", lambda: True)
    assert census.count() == before
    assert len(held) == 20


def test_gevent_calls_it_no_more_when_nobody_refers_to_it() -> None:
    census = Census()
    census.start()
    living = census._living
    noted = gevent.spawn(gevent.sleep, 0)
    assert weakref.ref(noted) in living
    del census
    gc.collect()
    unnoted = gevent.spawn(gevent.sleep, 0)
    assert weakref.ref(unnoted) not in living
    gevent.joinall([noted, unnoted])


def test_a_process_too_big_to_be_searched_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BLOCKS", 1000)
    census = Census()
    census.start()
    assert census.count() is None


def test_greenlets_that_were_frozen_are_found_and_a_proxy_whose_object_is_gone_does_no_harm() -> None:
    class Passing:
        pass

    passing = Passing()
    proxy = weakref.proxy(passing)
    del passing
    over = gevent.event.Event()
    waiting = gevent.spawn(over.wait)
    gevent.sleep(0)
    gc.freeze()
    try:
        census = Census()
        census.start()
        before = census.count()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
    over.set()
    waiting.join()
    del waiting
    eventually(lambda: (census.count() or 0) < (before or 0), what="one greenlet fewer")
    assert proxy is not None
