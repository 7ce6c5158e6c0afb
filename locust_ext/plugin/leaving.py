"""A worker that cannot do what its master asks for leaves (`leave`), and the master's run says so (`Leavers`); one whose
master is gone before it was ready ends too (`is_dismissed`, `expect_heartbeats`).
"""

from __future__ import annotations

from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

import logging
import time
from typing import Any

from locust_ext.core.accounting.recorder import Recorder
from locust_ext.model import Snapshot

logger = logging.getLogger("locust_ext")

LEAVE = "locust_ext.leave"
LONGEST_REASON = 500


def leave(runner: WorkerRunner, reason: str) -> None:
    """In a worker, at the start of a run: end the process with exit code 1, and tell the master why."""
    logger.error("This worker cannot do what its master asks for: %s", reason)
    runner.environment.process_exit_code = 1
    runner.send_message(LEAVE, {"reason": reason})
    runner.quit()


def is_dismissed(runner: WorkerRunner) -> bool:
    """Whether the master has said "quit" together with its welcome: nobody listens to it any more, and Locust would wait
    for ever for the greenlets that it has made since. Within Locust's ``init``.
    """
    performed = [getattr(each, "_run", None) for each in runner.greenlet]  # gevent has no public name for it
    return None not in performed and runner.worker not in performed


def expect_heartbeats(runner: WorkerRunner) -> None:
    """Have Locust's own timeout count from now on, and not only from the master's first heartbeat on."""
    if runner.last_heartbeat_timestamp is None:
        runner.last_heartbeat_timestamp = time.time()


class Leavers:
    """On the master: makes the run of which workers take their leave, or that all of them have left, not valid."""

    def __init__(self, runner: MasterRunner, recorder: Recorder) -> None:
        self._runner = runner
        self._recorder = recorder
        self._have_left = self._is_ending = False
        runner.register_message(LEAVE, self._on_leave)

    def begin(self) -> None:
        """A run starts."""
        self._have_left = self._is_ending = False

    def _on_leave(self, environment: Environment, msg: Any, **_: Any) -> None:
        told = msg.data.get("reason") if isinstance(msg.data, dict) else None
        reason = "".join(each for each in str(told) if each.isprintable())[:LONGEST_REASON]
        self._have_left = True
        text = f"worker {self._runner.get_worker_index(msg.node_id)} left: {reason}"
        logger.error("The run is not valid: %s", text)
        self._recorder.mark_invalid(text)

    def look(self) -> None:
        """The run begins to end, and nobody has asked for that: Locust ends it when its last worker has quit.

        Locust says so once more when the workers of a run that is over already have quit, which means nothing.
        """
        is_first, self._is_ending = not self._is_ending, True
        if is_first and not self._runner.clients and not self._have_left:
            text = "all its workers had left before it was over"
            logger.error("The run is not valid: %s", text)
            self._recorder.mark_invalid(text)

    def decide_exit_code(self, snapshot: Snapshot) -> None:
        """1 if nobody stayed to make any load."""
        environment = self._runner.environment
        if self._have_left and not snapshot.operations and not environment.process_exit_code:
            environment.process_exit_code = 1
