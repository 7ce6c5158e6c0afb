"""`Ticker`: calls a function at a steady interval, from a greenlet of its own; the package's only endless loop."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic

import gevent

logger = logging.getLogger("locust_ext")


class Ticker:
    """``call(now_s)`` every ``interval_s`` seconds from `start` to `close`; what it raises is logged, once a text."""

    def __init__(self, interval_s: float, call: Callable[[float], object]) -> None:
        self.interval_s = interval_s
        self._call = call
        self._greenlet: gevent.Greenlet[..., None] | None = None
        self._seen_errors: set[str] = set()

    def start(self) -> None:
        """Begin; does nothing if it runs."""
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)

    def _run(self) -> None:
        due_s = monotonic() + self.interval_s
        while True:
            gevent.sleep(max(0.0, due_s - monotonic()))
            now_s = monotonic()
            try:
                self._call(now_s)
            except Exception as error:
                if (text := repr(error)) not in self._seen_errors and len(self._seen_errors) < 100:
                    self._seen_errors.add(text)
                    logger.exception("a periodic task failed; it goes on, and this is not said again")
            # A late tick is not made up for: two in a row would tell nothing new.
            due_s = max(due_s + self.interval_s, monotonic())

    def close(self) -> None:
        """End the greenlet, without waiting for it; idempotent."""
        greenlet, self._greenlet = self._greenlet, None
        if greenlet is not None:
            greenlet.kill(block=False)
