"""Runs what the hub callback must not: finished pipelined requests, lost connections, and push handlers.

One greenlet a process does the work. Work comes in lanes: the calls of one lane run one after the other, in order. When
a call blocks, its lane waits for it, and a further greenlet goes on with the other lanes: a handler that blocks or
raises harms nobody else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any

import gevent
from gevent import get_hub
from gevent.hub import Waiter

MAX_RUNNERS = 1000
MAX_IDLE = 2


class Lane:
    """A bounded queue of calls in order; the oldest is dropped, and counted, when it is full.

    ``on_drop()`` is told of each; it must not block.
    """

    __slots__ = ("calls", "dropped", "is_scheduled", "limit", "on_drop")

    def __init__(self, limit: int | None = 1000, on_drop: Callable[[], object] | None = None) -> None:
        self.calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self.limit = limit
        self.on_drop = on_drop
        self.dropped = 0
        self.is_scheduled = False


class Dispatcher:
    """To be fed from the hub or from any greenlet of its thread; ``close()`` ends its greenlets."""

    def __init__(self, on_error: Callable[[BaseException], None]) -> None:
        self.reports = Lane(limit=None)
        """Our own calls: bounded by the requests in flight, and never dropped, because each is a recorded outcome."""
        self.on_error = on_error
        """Told of each exception of a call, once, in the greenlet that ran it."""
        self._ready: deque[Lane] = deque()
        self._idle: list[Waiter[None]] = []
        self._runners: set[gevent.Greenlet[..., None]] = set()
        self._waking = 0
        self._looks = False
        self._is_closed = False

    def report(self, call: Callable[..., object], *args: Any) -> None:
        """Run ``call(*args)`` soon, after all earlier reports."""
        self.post(self.reports, call, *args)

    def post(self, lane: Lane, call: Callable[..., object], *args: Any) -> None:
        """Run ``call(*args)`` soon, after all earlier calls of ``lane``."""
        if self._is_closed:
            return
        if lane.limit is not None and len(lane.calls) >= lane.limit:
            lane.calls.popleft()
            lane.dropped += 1
            if lane.on_drop is not None:
                lane.on_drop()
        lane.calls.append((call, args))
        if lane.is_scheduled:
            return
        lane.is_scheduled = True
        self._ready.append(lane)
        if not self._waking:
            self._wake()

    def _wake(self) -> None:
        """Every runner is inside a call at this moment, or idle: one more is wanted."""
        if self._idle:
            self._waking += 1
            get_hub().loop.run_callback(self._idle.pop().switch, None)
        elif len(self._runners) < MAX_RUNNERS:
            self._waking += 1
            runner = gevent.spawn(self._run)
            self._runners.add(runner)
            runner.link(self._runners.discard)

    def _run(self) -> None:
        self._waking -= 1
        while True:
            while self._ready:
                lane = self._ready.popleft()
                if self._ready and not self._looks:
                    self._looks = True
                    get_hub().loop.run_callback(self._look)
                self._run_lane(lane)
            if len(self._idle) >= MAX_IDLE:
                return
            waiter: Waiter[None] = Waiter()
            self._idle.append(waiter)
            try:
                waiter.get()
            except BaseException:
                if waiter in self._idle:
                    self._idle.remove(waiter)
                raise
            self._waking -= 1

    def _look(self) -> None:
        """In the hub, which comes to run only when the runner is done or its call has blocked: the others go on."""
        self._looks = False
        if self._ready and not self._waking and not self._is_closed:
            self._wake()

    def _run_lane(self, lane: Lane) -> None:
        try:
            for _ in range(len(lane.calls)):  # what comes meanwhile waits for the other lanes
                if not lane.calls:
                    break
                call, args = lane.calls.popleft()
                try:
                    call(*args)
                except Exception as error:  # noqa: BLE001 – anybody's code; it is told of
                    self.on_error(error)
                except gevent.Timeout as error:  # no `Exception`, and no kill either
                    self.on_error(error)
        finally:
            if lane.calls and not self._is_closed:
                self._ready.append(lane)
            else:
                lane.is_scheduled = False

    def flush(self, timeout_s: float) -> bool:
        """Wait until every report has run; False: not within ``timeout_s``. Blocks the calling greenlet."""
        until_s = monotonic() + timeout_s
        while self.reports.is_scheduled and monotonic() < until_s:
            gevent.sleep(0.005)
        return not self.reports.is_scheduled

    def close(self) -> None:
        """Idempotent; ends every greenlet of the dispatcher. What was queued is dropped."""
        self._is_closed = True
        self._ready.clear()
        self._idle.clear()
        gevent.killall(list(self._runners), block=False)
