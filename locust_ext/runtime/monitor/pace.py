"""`Pace`: keeps what the monitor reads to a small share of a core, by letting dear readings be rare. `Absences`: warns once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, thread_time

import gevent

TURN_S = 0.0001
logger = logging.getLogger("locust_ext")


class Pace:
    """After a reading that cost ``c`` seconds of CPU, `is_due` says no until ``c / share`` seconds are over.

    The costs are those of the thread that `spending` is used in: of a greenlet's slices between two switches, or of
    what a real thread does. For one reading after the other.
    """

    def __init__(self, share: float, longest_s: float = 600.0) -> None:
        self._share = share
        self._longest_s = longest_s
        self._due_s = 0.0
        self._spent_s = 0.0

    def is_due(self) -> bool:
        """Whether the next reading may be made now."""
        return monotonic() >= self._due_s

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Around work that belongs to the reading, without a switch of greenlets in it; may be entered repeatedly."""
        begun_s = thread_time()
        try:
            yield
        finally:
            self._spent_s += thread_time() - begun_s

    def rest(self) -> None:
        """The reading is over: the next one is due when its cost has become a small share of the time."""
        spent_s, self._spent_s = self._spent_s, 0.0
        self._due_s = monotonic() + min(spent_s / self._share, self._longest_s)


def next_turn() -> None:
    """Let the loop look at its sockets and timers before the calling greenlet goes on.

    ``gevent.sleep(0)`` would not: what is due again at once runs in the same turn, for 5 ms on end.
    """
    gevent.sleep(TURN_S)


class Absences:
    """Says once for each source, metric and reason that a value is absent. For any greenlet or thread."""

    def __init__(self) -> None:
        self._told: set[tuple[str, str, str]] = set()

    def tell(self, source: str, metric: str, reason: str) -> None:
        """``metric`` of ``source`` cannot be read because of ``reason`` (one of few texts, free of secrets)."""
        if (key := (source, metric, reason)) not in self._told:
            self._told.add(key)
            logger.warning("monitor: %s of %s is absent: %s", metric, source, reason)
