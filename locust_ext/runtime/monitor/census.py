"""`Census`: how many greenlets of this process live, counted without looking through its memory each time.

gevent calls back for each greenlet that starts; a weak reference to it is kept until it is gone. Those that lived before
are found once, when the count begins. What gevent does not start (the hub, main greenlets) is not counted.
"""

from __future__ import annotations

import gc
import sys
import weakref
from functools import partial

import gevent

from locust_ext.runtime.monitor.pace import Pace, next_turn

SLICE = 1000
"""Greenlets looked at in one turn of the loop: some 0.3 ms."""
MAX_BLOCKS = 1_000_000
"""Allocated blocks (some four to an object) up to which a process is searched."""
SHARE = 0.002


class Census:
    """Counts from its first `start` for as long as it is referred to. One greenlet calls `count`.

    A second search would have to look through all that the load has made by then: so there is no stop.
    """

    def __init__(self) -> None:
        self._living: set[weakref.ref[gevent.Greenlet[..., object]]] = set()
        self._dead = 0
        self._pace = Pace(SHARE)
        self._is_counting = False
        self._is_complete = False

    def start(self) -> None:
        """Begin: look once through all objects for those that live already, and note those that come. Idempotent.

        That takes 5 ms for 50,000 objects, of the loop's time: to be called before there is load.
        """
        if not self._is_counting:
            self._is_counting = True
            callback = partial(_note, self._living)  # refers to the set only: gevent does not keep the census
            gevent.Greenlet.add_spawn_callback(callback)
            weakref.finalize(self, gevent.Greenlet.remove_spawn_callback, callback)
            self._find_earlier()

    def count(self) -> int | None:
        """How many live; None: the process was already too big to be searched when the count began.

        Those that have ended while something still refers to them are looked for at a share of a core of 0.2 %: of
        10,000 every two seconds. Switches meanwhile.
        """
        if not self._is_complete:
            return None
        if self._pace.is_due():
            references, dead = list(self._living), 0
            for begin in range(0, len(references), SLICE):
                with self._pace.spending():
                    for reference in references[begin : begin + SLICE]:
                        greenlet = reference()
                        dead += greenlet is not None and greenlet.dead
                    greenlet = None
                next_turn()
            self._dead = dead
            self._pace.rest()
        return max(0, len(self._living) - self._dead)

    def _find_earlier(self) -> None:
        if sys.getallocatedblocks() > MAX_BLOCKS:
            return
        if is_frozen := gc.get_freeze_count() > 0:  # what is frozen would not be found
            gc.unfreeze()
        for each in gc.get_objects():
            # By its type: `isinstance` asks a weak proxy for its class, which may be gone.
            if issubclass(type(each), gevent.Greenlet) and not each.dead:
                _note(self._living, each)
        if is_frozen:
            gc.freeze()
        self._is_complete = True


def _note(living: set[weakref.ref[gevent.Greenlet[..., object]]], greenlet: gevent.Greenlet[..., object]) -> None:
    living.add(weakref.ref(greenlet, living.discard))
