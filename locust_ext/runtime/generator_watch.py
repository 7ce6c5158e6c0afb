"""Watches the process that makes the load: how late its loop fires due timers, and how much CPU it uses.

One timer of the hub; no greenlet, which would measure its own queueing too. A loop that stood still for longer than the
timer's interval fires it once: the moments in between, at which it would have been due too, count as well, each with the
time it would have waited. Otherwise a loop that stands still for half of every second would be late only twice a second.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, process_time
from typing import Any

from gevent import get_hub

from locust_ext.core.accounting.histogram import Histogram
from locust_ext.model import Distribution

INTERVAL_S = 0.025
"""40 moments a second, for 0.5 % of a core."""
PERIOD_S = 1.0
MAX_MADE_UP = 1000
"""Moments that are made up for one standstill: 25 seconds of them."""

Report = Callable[[float, float, int, Distribution], None]
"""``(start_s, length_s, cpu_us, lag)``, in seconds since `GeneratorWatch.start` was told the run began."""


class GeneratorWatch:
    """Tells ``report`` once a second how this process fared, from `start` to `stop`. Made in the process it watches."""

    def __init__(self, report: Report, interval_s: float = INTERVAL_S) -> None:
        self._report = report
        self._interval_s = interval_s
        self._timer: Any = None
        self._lag = Histogram()
        self._untaken: Histogram | None = None
        self._began_s = self._since_s = self._due_s = self._cpu_s = 0.0

    def start(self, began_s: float) -> None:
        """Begin anew, for a run that began at this monotonic time."""
        self.stop()
        self._lag = Histogram()
        self._began_s, self._since_s, self._cpu_s = began_s, monotonic(), process_time()
        self._due_s = self._since_s + self._interval_s
        self._timer = get_hub().loop.timer(self._interval_s, self._interval_s)
        self._timer.start(self._tick)

    def _tick(self) -> None:
        now_s = monotonic()
        late_us = int((now_s - self._due_s) * 1e6)
        self._note(self._lag, late_us)
        if self._untaken is not None:
            self._note(self._untaken, late_us)
        if now_s - self._since_s >= PERIOD_S:
            self._close_period(now_s)
        self._due_s = monotonic() + self._interval_s
        self._timer.again(self._tick)

    def _note(self, lag: Histogram, late_us: int) -> None:
        record = lag.record
        record(late_us)
        if late_us > self._interval_s * 1e6:
            for missed in range(1, min(int(late_us / (self._interval_s * 1e6)), MAX_MADE_UP) + 1):
                record(late_us - int(missed * self._interval_s * 1e6))

    def take_lag(self) -> Distribution | None:
        """The lag since this was last called, beside the periods; for one caller. None: nothing was kept for it yet."""
        untaken, self._untaken = self._untaken, Histogram()
        return None if untaken is None else untaken.freeze()

    def _close_period(self, now_s: float) -> None:
        lag, self._lag = self._lag, Histogram()
        cpu_s = process_time()
        self._report(
            self._since_s - self._began_s, now_s - self._since_s, int((cpu_s - self._cpu_s) * 1e6), lag.freeze()
        )
        self._since_s, self._cpu_s = now_s, cpu_s

    def stop(self) -> None:
        """Report the rest of a second, and watch no longer; idempotent."""
        timer, self._timer = self._timer, None
        if timer is None:
            return
        timer.stop()
        timer.close()
        now_s = monotonic()
        if now_s > self._since_s:
            self._close_period(now_s)
