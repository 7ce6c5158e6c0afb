"""Ctrl-C and SIGTERM from the first moment on: they end the process in order, once, whatever is running at that moment."""

from __future__ import annotations

import locust  # noqa: F401 – monkey-patches, before anything below imports a socket
from locust.env import Environment
from locust.runners import STATE_INIT

import logging
import signal
import sys
from collections.abc import Callable
from math import inf
from time import monotonic
from types import FrameType
from typing import Any, NoReturn

import gevent
from gevent import get_hub, getcurrent

logger = logging.getLogger("locust_ext")

ONE_CTRL_C_S = 1.0
"""Signals so soon after the first belong to it: `timeout -s INT` sends two, to its child and to its group."""
HURRY_S = 3.0
"""How long anything is waited for once somebody is impatient."""
BREAK_OFF_S = 5.0
"""How long the process may take then, before it is ended from whatever hangs."""

_ends_by_s = inf


def ends_by_s() -> float:
    """When this process waits for nothing any more; monotonic seconds, infinite as long as nobody is impatient."""
    return _ends_by_s


class Ending:
    """How this process ends: by one greenlet, once.

    A first signal ends it as Locust would; those within a second belong to it. A later one is impatience: ``hurry`` is
    called, users are killed, and what still hangs after five seconds is left: ``break_off`` writes what there is and
    gives the exit code. To be made in the main greenlet, in Locust's ``init``.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._hurry: Callable[[], None] | None = None
        self._break_off: Callable[[], int] | None = None
        self._main = getcurrent()
        self._begun_s: float | None = None
        self._ends: Any = None
        """The greenlet that runs Locust's `shutdown`."""
        self._handler: Any = None

    @property
    def is_under_way(self) -> bool:
        """Whether the end of the process has begun: by a signal, or by Locust."""
        return self._begun_s is not None

    def open(self) -> None:
        """Listen to SIGINT.

        Python raises ``KeyboardInterrupt`` in whatever code runs, which may be any user's greenlet: it would end with a
        traceback, and the process with Locust's exit code 2. An ignored SIGINT (``nohup``) stays ignored. SIGTERM ends
        the process by ``SystemExit``, with what that tidies up, until Locust puts its own handler in place.
        """
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _exit)
        if self._main.parent is not None:
            return  # not the main greenlet: whoever embeds Locust handles its own signals
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._handler = gevent.signal_handler(signal.SIGINT, self._on_sigint)

    def lead(self, hurry: Callable[[], None], break_off: Callable[[], int]) -> None:
        """Listen to Locust's end of the process, before all others that are there by now."""
        if self._main.parent is not None:
            return
        self._hurry, self._break_off = hurry, break_off
        self._environment.events.quitting.add_listener(self._on_quitting)
        self._environment.events.quit.add_listener(self._on_quit)
        if self._environment.shape_class is not None and getattr(self._environment.parsed_options, "headless", False):
            gevent.signal_handler(signal.SIGTERM, self._on_sigterm)

    def _on_sigterm(self) -> None:
        """Headless, Locust puts its own handler in place only after the shape has ended; until then it is as Ctrl-C."""
        runner = self._environment.runner
        if runner is not None and runner.shape_greenlet:
            self._on_sigint()
        elif runner is None or runner.state == STATE_INIT:
            get_hub().loop.run_callback(self._main.throw, SystemExit(128 + signal.SIGTERM))

    def _on_sigint(self) -> None:
        if self._begun_s is None:
            self._begun_s = monotonic()
            get_hub().loop.run_callback(self._interrupt)
        else:
            self._again()

    def _interrupt(self) -> None:
        if self._ends is None:
            self._main.throw(KeyboardInterrupt)

    def _again(self) -> None:
        assert self._begun_s is not None
        if monotonic() >= self._begun_s + ONE_CTRL_C_S:
            self.hurry()

    def _on_quitting(self, **_: Any) -> None:
        """Locust shuts down in the greenlet of each SIGTERM, and in the main one as soon as there is no more to wait for:
        the first of them does it, and the others wait for the end of the process.
        """
        current = getcurrent()
        if self._ends is None or self._ends.dead:
            self._ends = current
            self._begun_s = self._begun_s or monotonic()
        elif current is not self._ends:
            if current is not self._main:
                self._again()
            while not self._ends.dead:
                gevent.sleep(0.1)

    def _on_quit(self, **_: Any) -> None:
        """Everything is written: what still comes must not break off the rest."""
        if self._handler is not None:
            self._handler.cancel()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)

    def hurry(self) -> None:
        """End without waiting for users: they are killed, and once more if they go on. Idempotent."""
        global _ends_by_s
        if _ends_by_s < inf or self._hurry is None:
            return
        _ends_by_s = monotonic() + HURRY_S
        logger.warning("Asked to end once more: nothing is waited for any longer")
        gevent.spawn(self._kill_users)
        gevent.spawn_later(BREAK_OFF_S, self._break)
        self._hurry()

    def _kill_users(self) -> None:
        """First out of their tasks, then out of their ``on_stop``."""
        runner = self._environment.runner
        while runner is not None and monotonic() < _ends_by_s:
            for user in list(runner.user_greenlets):
                user.kill(block=False)
            gevent.sleep(0.5)

    def _break(self) -> None:
        assert self._break_off is not None
        code = self._break_off()
        get_hub().loop.run_callback(self._main.throw, SystemExit(code))


def _exit(number: int, _: FrameType | None) -> NoReturn:
    sys.exit(128 + number)
