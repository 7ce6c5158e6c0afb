"""Ctrl-C and SIGTERM from the first moment on: they end the process in order, whatever is running at that moment."""

from __future__ import annotations

import locust  # noqa: F401 – monkey-patches, before anything below imports a socket

import signal
import sys
from types import FrameType
from typing import Any, NoReturn

import gevent
from gevent import get_hub, getcurrent

_handler: Any = None


def end_in_order_on_signals() -> None:
    """To be called in the main greenlet: from now on SIGINT raises ``KeyboardInterrupt`` there, where Locust expects it.

    Python raises it in whatever code runs, which may be any user's greenlet: it then ends with a traceback, and the
    process with Locust's exit code 2. An ignored SIGINT (``nohup``) stays ignored. SIGTERM ends the process by
    ``SystemExit``, with what that tidies up, until Locust puts its own handler in place. Idempotent.
    """
    global _handler
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _exit)
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return
    main = getcurrent()
    if main.parent is not None:
        return  # not the main greenlet: whoever embeds Locust handles its own signals

    def interrupt() -> None:
        get_hub().loop.run_callback(main.throw, KeyboardInterrupt)

    _handler = gevent.signal_handler(signal.SIGINT, interrupt)


def _exit(number: int, _: FrameType | None) -> NoReturn:
    sys.exit(128 + number)
