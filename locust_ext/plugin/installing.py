"""`install`: takes part in every Locust run of this process, from a locustfile. It only registers listeners."""

from __future__ import annotations

from locust import events
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

import gc
import sys
from time import monotonic
from types import TracebackType
from typing import Any, Final

import gevent

from locust_ext.errors import ConfigError, LocustExtError, TargetUnavailable
from locust_ext.plugin.defaults import add_code, use_settings
from locust_ext.plugin.extension import attach, extension_of, extensions
from locust_ext.plugin.interrupt import Ending
from locust_ext.plugin.leaving import expect_heartbeats, is_dismissed
from locust_ext.plugin.options import add_arguments

DISMISS_S: Final = 5.0
_is_installed = False


def install(**settings: Any) -> None:
    """Take part in this Locust run: flags, exact counts, reports. For the top of a locustfile.

        locust_ext.install(run={"users": 50, "run_time": "60s"}, rules="rules.yaml")

    ``settings`` are those of a YAML file, by the same keys; flags, environment variables and ``--ext-config`` win over
    them, key by key. A further call adds to them, and does nothing else. Raises `ConfigError`, which Locust tells in one
    line. Importing the package does nothing; this only registers listeners on ``locust.events``.
    """
    global _is_installed
    _tell_in_one_line()
    if settings:
        add_code(settings, sys._getframe(1).f_code.co_filename)
    if _is_installed:
        return
    _is_installed = True
    events.init_command_line_parser.add_listener(add_arguments)
    events.init_command_line_parser.add_listener(use_settings)
    events.init.add_listener(_on_init)
    events.quitting.add_listener(_on_quitting)  # registered first, called last: every process has had its say by then
    events.quit.add_listener(_on_quit)


def _tell_in_one_line() -> None:
    """Wrong input that a locustfile's import ends with is told as it is later on, and not by a traceback."""
    told = sys.excepthook
    if getattr(told, "is_of_locust_ext", False):
        return

    def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, ConfigError | TargetUnavailable):
            sys.stderr.write(f"locust-ext: error: {error}\n")
            sys.stderr.flush()
        else:
            told(kind, error, trace)

    tell.is_of_locust_ext = True  # type: ignore[attr-defined]
    sys.excepthook = tell


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
        if isinstance(environment.runner, WorkerRunner):
            if is_dismissed(environment.runner):
                sys.exit(environment.process_exit_code or 0)
            expect_heartbeats(environment.runner)
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
