"""A worker that joins a run in progress: its master may say "spawn" together with its welcome, and Locust has fired
``test_start`` then before anybody listened.
"""

from __future__ import annotations

from locust.runners import STATE_RUNNING, STATE_SPAWNING, WorkerRunner

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gevent.event import Event

from locust_ext.plugin.leaving import is_dismissed


def has_missed_start(runner: WorkerRunner) -> bool:
    """Whether a run goes on here whose ``test_start`` is over. Within Locust's ``init``."""
    return runner.worker_state in (STATE_SPAWNING, STATE_RUNNING) and not is_dismissed(runner)


@contextmanager
def users_held_back(runner: WorkerRunner) -> Iterator[None]:
    """The users that Locust would start meanwhile start at the end of the block, which may switch to other greenlets."""
    may_start = Event()
    spawn_users = runner.spawn_users

    def spawn(*args: Any, **kwargs: Any) -> None:
        may_start.wait()  # until the block ends, or the greenlet is killed because the run does
        spawn_users(*args, **kwargs)

    vars(runner)["spawn_users"] = spawn
    try:
        yield
    finally:
        vars(runner).pop("spawn_users", None)
        may_start.set()


__all__ = ["has_missed_start", "users_held_back"]
