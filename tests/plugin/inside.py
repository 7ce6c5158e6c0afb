"""Runs a test's own function inside a user of a real Locust runner."""

from __future__ import annotations

from locust import constant

from collections.abc import Callable
from typing import Any

import gevent

from locust_ext.core.lifecycle import FullJitter, Persistent
from locust_ext.plugin.users.base import RealTimeUser
from tests.peers import eventually
from tests.runtime.locusting import Run, running

QUICK = Persistent(reconnect=FullJitter(base_s=0.02, cap_s=0.05, restart_s=(0.1, 0.15)))


def user_class(base: type[Any], task: Callable[[Any], Any] | None = None, **attributes: Any) -> type[Any]:
    """A concrete class that reconnects quickly; ``task`` is its one task, None: it has none."""
    given = {"abstract": False, "wait_time": constant(0.01), "request_timeout_s": 2.0, **attributes}
    if issubclass(base, RealTimeUser):
        given.setdefault("pattern", QUICK)
    if task is not None:
        given["tasks"] = [task]
    return type(f"Made{base.__name__}", (base,), given)


def inside(
    base: type[Any], host: str, test: Callable[[Any], Any], within_s: float = 10.0, **attributes: Any
) -> tuple[Any, Run]:
    """What ``test(user)`` gives in the task of a connected user, and the run, which is over and in balance.

    A failed assertion of ``test`` fails the test; any other exception is given instead of a result.
    """
    results: list[Any] = []

    def once(user: Any) -> None:
        if not results:
            try:
                results.append(test(user))
            except (Exception, gevent.GreenletExit) as error:  # noqa: BLE001 – handed to the test
                results.append(error)
        gevent.sleep(0.005)

    with running(user_class(base, once, **attributes), host) as run:
        eventually(lambda: results, within_s)
        run.stop()
    if isinstance(results[0], AssertionError):
        raise results[0]
    return results[0], run


def idles(user: Any) -> None:
    """A task that does nothing."""
    gevent.sleep(0.02)
