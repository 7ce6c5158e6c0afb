"""What a run needs to find on the context server: `prepare` sets the ``prepared_entries`` of its user classes."""

from __future__ import annotations

from locust.env import Environment
from locust.exception import StopTest

import logging
import sys
from time import monotonic
from typing import Any, Final, NoReturn, cast

import gevent
import orjson
from gevent import GreenletExit
from gevent.pool import Pool

from locust_ext.errors import LocustExtError, OperationError, TargetUnavailable
from locust_ext.plugin.users.context import JSON_HEADERS, ContextServerUser
from locust_ext.plugin.users.http_session import ContextSession
from locust_ext.plugin.users.http_side import close_http

logger = logging.getLogger("locust_ext")

AT_ONCE: Final = 10
"""Entries on their way at the same time; a session of Locust's opens no more connections."""
PREPARE_S: Final = 60.0
"""How long all entries of one class may take."""
TRIES: Final = 10
"""For each entry: a server that fails now and then is one that is to be tested."""
TRY_AGAIN_S: Final = 0.05
FINAL: Final = ("refused", "dns", "tls", "no_ports", "fd_limit")
"""Classes of errors that a further try does not mend; so are the answers 400 to 499 but 408 and 429."""


class Preparing:
    """Sets the entries of all classes of an environment that want some; not in a worker.

    Without a web UI before Locust starts the clock of ``--run-time`` (`first`), so that a slow server costs no load; else,
    and for each further run, at its start (`again`). Blocks the calling greenlet, for `PREPARE_S` a class at most.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._is_done = False

    def first(self) -> None:
        """In Locust's ``init``, once the target is there. Raises `LocustExtError` if the server does not take the entries."""
        if not _is_headless(self._environment):
            return
        for each in self._classes():
            try:
                _prepare_class(self._environment, each)
            except StopTest as error:
                raise TargetUnavailable(each.__name__, str(error)) from None
        self._is_done = True

    def again(self) -> None:
        """In Locust's ``test_start``, before users start; does nothing if that has been done for this run.

        A server that does not take the entries is one clear error, and ends the greenlet that starts the run: it does not
        begin, and a process without a web UI ends with exit code 1.
        """
        is_done, self._is_done = self._is_done, False
        if is_done:
            return
        for each in self._classes():
            self._prepare_or_call_off(each)

    def _classes(self) -> list[type[ContextServerUser]]:
        environment = self._environment
        classes = [
            each for each in environment.user_classes if issubclass(each, ContextServerUser) and each.prepared_entries
        ]
        for each in classes:
            if environment.host:
                each.host = environment.host  # as Locust does a moment later
        return classes

    def _prepare_or_call_off(self, cls: type[ContextServerUser]) -> None:
        environment, is_told = self._environment, False

        def cut_short(**_: Any) -> None:
            """Ctrl-C, or the stop button. A master's process ends without this greenlet being told in time."""
            nonlocal is_told
            if not is_told:
                is_told = True
                _tell(
                    environment, f"the run ended before the {cls.prepared_entries} entries of {cls.__name__} were set"
                )

        environment.events.quitting.add_listener(cut_short)
        try:
            _prepare_class(environment, cls)
        except (LocustExtError, StopTest) as error:  # the latter: there is no host
            _call_off(environment, error)
        except GreenletExit:
            cut_short()
            raise
        finally:
            environment.events.quitting.remove_listener(cut_short)


def _prepare_class(environment: Environment, cls: type[ContextServerUser]) -> None:
    begun_s = monotonic()
    _prepare_for(cast(Any, cls)(environment))
    took_s = monotonic() - begun_s
    logger.info("%s: %d entries were set on the server within %.1f s", cls.__name__, cls.prepared_entries, took_s)


def _prepare_for(user: ContextServerUser) -> None:
    """All entries of the class of ``user``, which has its headers, token, certificates and proxy, and is never started."""
    session = cast(ContextSession, user.client)
    until_s = monotonic() + PREPARE_S
    greenlets = Pool(AT_ONCE)
    try:
        entries = (user.prepared_entry(index) for index in range(user.prepared_entries))
        outcomes = greenlets.imap_unordered(lambda entry: _set(session, entry, until_s), entries, maxsize=AT_ONCE)
        for failure in outcomes:
            if failure is not None:
                raise TargetUnavailable(
                    session.base_url or "",
                    f"the {user.prepared_entries} entries that {type(user).__name__} needs cannot be set: {failure}",
                )
    finally:
        greenlets.kill()
        close_http(user)


def _set(session: ContextSession, entry: tuple[str, Any], until_s: float) -> OperationError | str | None:
    """Set one key to its value; gives why it could not be, after `TRIES`."""
    body = orjson.dumps(dict(zip(("key", "value"), entry, strict=True)))
    failure: OperationError | str | None = None
    for _ in range(TRIES):
        if monotonic() >= until_s:
            return f"they were not set within {PREPARE_S:g} s"
        response, failure = session.attempt("POST", "/ctx", name="/ctx", data=body, headers=JSON_HEADERS)
        if failure is None:
            return None if _is_success(response.content) else "the answer is not that of a context server"
        if _is_final(failure.error_class):
            return failure
        gevent.sleep(TRY_AGAIN_S)
    return failure


def _is_success(content: bytes | None) -> bool:
    try:
        answer = orjson.loads(content or b"")
    except orjson.JSONDecodeError:
        return False
    return isinstance(answer, dict) and answer.get("status") == "success"


def _is_final(error_class: str) -> bool:
    return error_class in FINAL or (error_class.startswith("http_4") and error_class not in ("http_408", "http_429"))


def _call_off(environment: Environment, error: Exception) -> NoReturn:
    """End the run that is about to begin: the greenlet that starts it goes no further."""
    runner: Any = environment.runner
    _tell(environment, str(error))
    gevent.spawn(runner.quit if _is_headless(environment) else runner.stop)
    raise GreenletExit


def _tell(environment: Environment, text: str) -> None:
    """Why there is no run: as the last word of a process that ends because of it, or in the log."""
    if _is_headless(environment):
        environment.process_exit_code = 1
        sys.stderr.write(f"locust-ext: error: {text}\n")
        sys.stderr.flush()
    else:
        logger.error("%s", text)


def _is_headless(environment: Environment) -> bool:
    return bool(getattr(environment.parsed_options, "headless", False))
