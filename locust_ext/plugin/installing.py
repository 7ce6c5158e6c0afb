"""`install`: takes part in every Locust run of this process, from a locustfile. It only registers listeners."""

from __future__ import annotations

from locust import events
from locust.env import Environment
from locust.runners import MasterRunner

import gc
import sys
from time import monotonic
from typing import Any, Final

import gevent

from locust_ext.errors import LocustExtError
from locust_ext.plugin.extension import attach, extension_of, extensions
from locust_ext.plugin.interrupt import Ending
from locust_ext.plugin.options import add_arguments

DISMISS_S: Final = 5.0
_is_installed = False


def install() -> None:
    """Take part in this Locust run: flags, exact counts, reports. For the top of a locustfile; idempotent.

    Importing the package does nothing; this only registers listeners on ``locust.events``.
    """
    global _is_installed
    if _is_installed:
        return
    _is_installed = True
    events.init_command_line_parser.add_listener(add_arguments)
    events.init.add_listener(_on_init)
    events.quitting.add_listener(_on_quitting)  # registered first, called last: every process has had its say by then
    events.quit.add_listener(_on_quit)


def _on_init(environment: Environment, **_: Any) -> None:
    """In each process, in its main greenlet, before any user exists."""
    ending = Ending(environment)
    ending.open()
    try:
        attach(environment).ends_by(ending)
        # The loop's time stood still while all this was made: `--run-time` would count from the import on.
        gevent.get_hub().loop.update_now()
        # What was imported stays for good: a full collection that looks through all of it stands still for 50 ms.
        gc.collect()
        gc.freeze()
    except LocustExtError as error:
        sys.stderr.write(f"locust-ext: error: {error}\n")
        sys.stderr.flush()
        _dismiss_workers(environment)
        sys.exit(1)
    except (KeyboardInterrupt, SystemExit) as error:
        _dismiss_workers(environment)
        sys.exit(130 if isinstance(error, KeyboardInterrupt) else error.code)


def _dismiss_workers(environment: Environment) -> None:
    """The master ends before its run: workers that ``--processes`` has forked would wait for it for ever."""
    runner = environment.runner
    if not isinstance(runner, MasterRunner):
        return
    expected = getattr(environment.parsed_options, "processes", None) or 0
    until_s = monotonic() + DISMISS_S
    while len(runner.clients.ready) < expected and monotonic() < until_s:
        gevent.sleep(0.05)
    runner.quit()


def _on_quitting(environment: Environment, **_: Any) -> None:
    extension = extension_of(environment)
    if extension is not None:
        extension.decide_exit_code()
        extension.linger()


def _on_quit(**_: Any) -> None:
    for extension in extensions():
        extension.on_quit()


__all__ = ["install"]
