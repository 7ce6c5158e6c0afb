"""What each kind of process does with its counts: `WorkerSide` and `MasterSide`, over messages of our own; `LocalSide`.

A worker drains its recorder once a second and sends the delta in blobs. The end of a run has three steps, because
Locust's own order loses its last seconds (FACTS, Locust 2): the master asks its workers to finish; a worker that has
stopped its users sends Locust's last report and then its last delta, marked final; the master waits for those, at most
four seconds, of the workers that have ever sent a delta.
"""

from __future__ import annotations

from locust.runners import STATE_INIT, STATE_MISSING, STATE_STOPPED, MasterRunner, WorkerRunner

import logging
from time import monotonic
from typing import Any

import gevent

from locust_ext.core.accounting.recorder import Recorder
from locust_ext.core.accounting.wire import WireError, parts, unpack
from locust_ext.runtime.process import shared
from locust_ext.runtime.ticker import Ticker

logger = logging.getLogger("locust_ext")

DELTA = "locust_ext.delta"
FINISH = "locust_ext.finish"
INTERVAL_S = 1.0
FINAL_WAIT_S = 4.0


class WorkerSide:
    """In a worker process; its greenlets end with `close`."""

    def __init__(self, runner: WorkerRunner, recorder: Recorder) -> None:
        self._runner = runner
        self._recorder = recorder
        self._ticker = Ticker(INTERVAL_S, self._tick)
        self._has_sent_final = True
        self._run = self._finished_run = ""
        recorder.worker = runner.client_id
        runner.register_message(FINISH, self._on_finish, concurrent=True)

    def begin(self, run_id: str) -> None:
        """A run starts; the first delta goes out at once, so that the master knows whom to wait for."""
        if run_id == self._finished_run:
            return  # a spawn message that the master had sent before it stopped
        self._run = run_id
        vars(self._runner).pop("start_worker", None)
        self._recorder.begin(run_id, monotonic())
        self._has_sent_final = False
        self._send(final=False)
        self._ticker.start()

    def _tick(self, now_s: float) -> None:
        self._send(final=False)

    def _send(self, final: bool) -> None:
        for blob in parts(self._recorder.drain(monotonic(), final=final)):
            self._runner.send_message(DELTA, {"blob": blob})
            gevent.sleep(0)  # a blob a loop turn: the users go on meanwhile

    def finish(self) -> None:
        """The users are gone: send what is left, Locust's own report first. Does nothing a second time."""
        if self._has_sent_final:
            return
        self._has_sent_final = True
        self._finished_run = self._run
        # A master that is stopped in the middle of a ramp goes on sending spawn messages for a moment: users that they
        # made would belong to no run.
        vars(self._runner)["start_worker"] = self._refuse_to_spawn
        self._ticker.close()
        shared().dispatcher.flush(1.0)
        data: dict[str, Any] = {}
        self._runner.environment.events.report_to_master.fire(client_id=self._runner.client_id, data=data)
        self._runner.send_message("stats", data)
        self._send(final=True)

    def _refuse_to_spawn(self, user_classes_count: dict[str, int], **_: Any) -> None:
        logger.info("Users that were still to be started are left out: the run is over")

    def _on_finish(self, environment: Any, msg: Any, **_: Any) -> None:
        if self._runner.state not in (STATE_INIT, STATE_STOPPED):
            self._runner.stop()  # fires test_stop, which calls `finish`
        else:
            self.finish()

    def close(self) -> None:
        self._ticker.close()


class LocalSide:
    """In a process on its own: only the timeline's clock."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._ticker = Ticker(INTERVAL_S, recorder.tick)

    def begin(self, run_id: str) -> None:
        self._recorder.begin(run_id, monotonic())
        self._ticker.start()

    def finish(self) -> None:
        self._ticker.close()

    def close(self) -> None:
        self._ticker.close()


class MasterSide:
    """In the master process."""

    def __init__(self, runner: MasterRunner, recorder: Recorder) -> None:
        self._runner = runner
        self._recorder = recorder
        self._ticker = Ticker(INTERVAL_S, self._tick)
        self._refused = 0
        runner.register_message(DELTA, self._on_delta)

    def begin(self, run_id: str) -> None:
        self._recorder.begin(run_id, monotonic())
        self._ticker.start()

    def _on_delta(self, environment: Any, msg: Any, **_: Any) -> None:
        """One blob a message, so one a loop turn. What arrives is not trusted: a bad blob harms nothing but itself."""
        try:
            delta = unpack(msg.data["blob"])
        except (WireError, KeyError, TypeError) as error:
            if not self._refused:
                logger.warning("worker %s sent figures that cannot be read: %s", msg.node_id, error)
            self._refused += 1
            self._recorder.mark_invalid(f"figures of worker {msg.node_id} could not be read")
            return
        if delta.worker == msg.node_id:
            self._recorder.merge(delta)

    def _tick(self, now_s: float) -> None:
        self._recorder.tick(now_s)
        self._look_for_lost()

    def _look_for_lost(self) -> None:
        for worker in self._recorder.waiting_for:
            node = self._runner.clients.get(worker)
            if node is not None and node.state == STATE_MISSING:
                self._recorder.mark_lost(worker)

    def finish(self) -> None:
        """The run is over: collect what the workers still have. Blocks the calling greenlet for 4 s at most."""
        self._ticker.close()
        if self._recorder.waiting_for:
            self._runner.send_message(FINISH)
        until_s = monotonic() + FINAL_WAIT_S
        while (waiting := self._recorder.waiting_for) and monotonic() < until_s:
            self._look_for_lost()
            gevent.sleep(0.02)
        for worker in waiting:
            self._recorder.mark_lost(worker)

    def close(self) -> None:
        self._ticker.close()
