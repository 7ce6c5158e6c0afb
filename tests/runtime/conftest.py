"""After each test nothing may be left: no descriptor, no watcher of the loop, no deadline."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import gevent
import pytest

from locust_ext.runtime.process import shared
from tests.peers import eventually
from tests.runtime.connecting import descriptors


@pytest.fixture(autouse=True)
def nothing_stays_behind() -> Iterator[None]:
    """Compares before and after; a connection that lingers after its last frame is waited for (0.8 s at most)."""
    wheel = shared().wheel
    loop = gevent.get_hub().loop
    gevent.sleep(0.005)  # greenlets of earlier tests that are due go to sleep again: their timers count
    # One more may be gevent's own, of its thread pool; a connection's comes with a descriptor, which is missed below.
    open_before, watchers_before = descriptors(), loop.activecnt + 1
    yield
    eventually(lambda: len(wheel) == 0, 2.0, "an empty deadline wheel")
    eventually(lambda: not descriptors() - open_before, 2.0, "no descriptor more than before")

    def has_settled() -> bool:
        if loop.activecnt > watchers_before:
            gc.collect()  # a timer may be garbage with the exception that ended its wait
        return loop.activecnt <= watchers_before

    try:
        eventually(has_settled, 2.0)
    except AssertionError:
        active = [
            each for each in gc.get_objects() if getattr(each, "active", None) is True and hasattr(each, "callback")
        ]
        names = [f"{type(each).__name__} {each.callback!r} {each.args!r}" for each in active]
        raise AssertionError(f"{loop.activecnt - watchers_before} active watchers more than before: {names}") from None
