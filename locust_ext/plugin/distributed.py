"""What each kind of process does with its counts: `WorkerSide` and `MasterSide`, over messages of our own; `LocalSide`.

A worker drains its recorder once a second and sends the delta in blobs. The end of a run has three steps, because
Locust's own order loses its last seconds (FACTS, Locust 2): the master asks its workers to finish; a worker that has
stopped its users sends Locust's last report and then its last delta, marked final; the master waits for those, at most
four seconds, of the workers that have ever sent a delta.
"""

from __future__ import annotations

from locust import argument_parser
from locust.env import Environment
from locust.runners import STATE_INIT, STATE_MISSING, STATE_STOPPED, MasterRunner, Runner, WorkerRunner

import logging
from collections import deque
from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain
from time import monotonic
from typing import Any

import gevent

from locust_ext.core.accounting.blob import WireError
from locust_ext.core.accounting.recorder import Recorder
from locust_ext.core.accounting.wire import parts, unpack
from locust_ext.model import Delta
from locust_ext.plugin.interrupt import ends_by_s
from locust_ext.plugin.push_rows import PushRows
from locust_ext.runtime.generator_watch import GeneratorWatch
from locust_ext.runtime.process import shared
from locust_ext.runtime.ticker import Ticker

logger = logging.getLogger("locust_ext")

DELTA = "locust_ext.delta"
FINISH = "locust_ext.finish"
RESET = "locust_ext.reset"
INTERVAL_S = 1.0
FINAL_WAIT_S = 4.0
SLOW_STOP_S = 30.0
"""How long users may take to end beyond Locust's stop timeout, as long as their worker goes on reporting."""
HEARD_S = 3.0
"""A worker whose last figures are younger is alive."""


class Warmup:
    """Calls back once, at the end of a run's warm-up; in every process at the same moment after its start."""

    def __init__(self) -> None:
        self._greenlet: Any = None

    def begin(self, warmup_s: float, call: Callable[[], None]) -> None:
        self.close()
        if warmup_s > 0:
            self._greenlet = gevent.spawn_later(warmup_s, call)

    def close(self) -> None:
        """Idempotent."""
        greenlet, self._greenlet = self._greenlet, None
        if greenlet is not None and greenlet is not gevent.getcurrent():
            greenlet.kill(block=False)


def remember_default_options() -> None:
    """Locust asks for its default options once for *each* option of a spawn message, and builds its argument parser anew
    each time: some 80 ms in which a worker's loop stands still, at every step of a ramp. The answer never changes.
    """
    asked = argument_parser.default_args_dict
    if not hasattr(asked, "cache_info"):
        argument_parser.default_args_dict = cache(asked)


def _leave(_now_s: float) -> None:
    pass


def slide_windows(recorder: Recorder) -> None:
    """What a closed second leaves to the windows of rules to do, a piece a loop turn."""
    while recorder.slide():
        gevent.sleep(0)


def _messages(delta: Delta) -> Iterator[tuple[str, Any]]:
    """What is sent of a delta: packed a blob at a time."""
    return ((DELTA, {"blob": blob}) for blob in parts(delta))


def wait_for_users(runner: Runner | None) -> None:
    """Until no user but the calling one is left, `SLOW_STOP_S` beyond the stop timeout at most.

    Locust's ``stop`` waits for its users, but a second one beside it does not (gevent's ``Group.killone`` returns at
    once for what dies already), and fires ``test_stop`` while users are still on their way out.
    """
    if runner is None:
        return
    until_s = monotonic() + _stop_timeout_s(runner) + SLOW_STOP_S
    while set(runner.user_greenlets) - {gevent.getcurrent()} and monotonic() < min(until_s, ends_by_s()):
        gevent.sleep(0.01)


def _stop_timeout_s(runner: Runner) -> float:
    return float(runner.environment.stop_timeout or 0.0)


class WorkerSide:
    """In a worker process; its greenlets end with `close`."""

    def __init__(self, runner: WorkerRunner, recorder: Recorder) -> None:
        self._runner = runner
        self._recorder = recorder
        self._ticker = Ticker(INTERVAL_S, self._tick)
        self._has_sent_final = True
        self._run = self._finished_run = ""
        self.watch = GeneratorWatch(recorder.generator_period)
        self._warmup = Warmup()
        self._told_epoch: int | None = None
        self._unsent: deque[Iterator[tuple[str, Any]]] = deque()
        remember_default_options()
        recorder.worker = runner.client_id
        recorder.leave_warnings_to_the_master()
        recorder.on_drain = PushRows(runner.environment).add
        runner.environment.events.test_stopping.add_listener(self._on_test_stopping)
        runner.register_message(FINISH, self._on_finish, concurrent=True)
        runner.register_message(RESET, self._on_reset)

    def begin(self, run_id: str, warmup_s: float = 0.0, epoch: int = 0) -> None:
        """A run starts; the first delta goes out at once, so that the master knows whom to wait for."""
        if run_id == self._finished_run:
            return  # a spawn message that the master had sent before it stopped
        self._run = run_id
        vars(self._runner).pop("start_worker", None)
        now_s = monotonic()
        self._recorder.begin(run_id, now_s, warmup_s)
        if epoch:
            self._recorder.reset(now_s, epoch)
        self._told_epoch = None
        self._has_sent_final = False
        self.watch.start(now_s)
        self._warmup.begin(warmup_s, self._end_warmup)
        self._send(self._recorder.drain(now_s))
        self._ticker.start()

    def _tick(self, now_s: float) -> None:
        self._send(self._recorder.drain(now_s))

    def _end_warmup(self) -> None:
        self._send(self._recorder.end_warmup(monotonic()))

    def _send(self, delta: Delta) -> None:
        self._unsent.append(_messages(delta))
        self._send_rest()

    def _send_rest(self) -> None:
        """Send what waits, a blob a loop turn; a greenlet that is killed at this leaves the rest to the next."""
        while self._unsent:
            message = next(self._unsent[0], None)
            if message is None:
                self._unsent.popleft()
                continue
            self._runner.send_message(*message)
            gevent.sleep(0)

    def _on_reset(self, environment: Any, msg: Any, **_: Any) -> None:
        """The master's counts begin anew. With ``--reset-stats`` Locust's own do so at its next message, not before."""
        if msg.data.get("run") != self._run:
            return
        self._told_epoch = int(msg.data["epoch"])
        if not (msg.data.get("at_spawning_complete") and self._runner.environment.reset_stats):
            self.reset()

    def reset(self) -> None:
        """Begin the epoch that the master has told of, if it has."""
        if self._told_epoch is not None:
            self._recorder.reset(monotonic(), self._told_epoch)
            self._told_epoch = None

    def finish(self) -> None:
        """The users are gone: send what is left, Locust's own report first. A second time it only sees that it is sent.

        Several may call it at a time, and each may be killed at it: Ctrl-C, the master's "quit" and our own message to
        finish come in any order.
        """
        if not self._has_sent_final:
            wait_for_users(self._runner)
            shared().dispatcher.flush(1.0)
        if not self._has_sent_final:
            self._take_final()
        self._send_rest()

    def _take_final(self) -> None:
        """Does not switch: nobody can be killed with half of it."""
        self._has_sent_final = True
        self._finished_run = self._run
        self._stop_greenlets()
        now_s = monotonic()
        self._recorder.end(now_s)
        delta = self._recorder.drain(now_s, final=True)  # first: it writes the last pushes into Locust's report
        data: dict[str, Any] = {}
        self._runner.environment.events.report_to_master.fire(client_id=self._runner.client_id, data=data)
        self._unsent.append(chain([("stats", data)], _messages(delta)))

    def _on_test_stopping(self, **_: Any) -> None:
        """A master that is stopped in the middle of a ramp goes on sending spawn messages for a moment: nobody would stop
        the users that they made.
        """
        vars(self._runner)["start_worker"] = self._refuse_to_spawn

    def _refuse_to_spawn(self, user_classes_count: dict[str, int], **_: Any) -> None:
        logger.info("Users that were still to be started are left out: the run is over")

    def _on_finish(self, environment: Any, msg: Any, **_: Any) -> None:
        if self._runner.state not in (STATE_INIT, STATE_STOPPED):
            self._runner.stop()  # fires test_stop, which calls `finish`
        else:
            self.finish()

    def _stop_greenlets(self) -> None:
        self._ticker.close()
        self._warmup.close()
        self.watch.stop()

    def close(self) -> None:
        self._runner.environment.events.test_stopping.remove_listener(self._on_test_stopping)
        self._stop_greenlets()


class LocalSide:
    """In a process on its own: the timeline's clock, and the watch on the process itself."""

    def __init__(self, environment: Environment, recorder: Recorder) -> None:
        self._environment = environment
        self._recorder = recorder
        self._ticker = Ticker(INTERVAL_S, self._tick)
        self.before_tick: Callable[[float], None] = _leave
        """Is called, with the time, before the seconds that are over are closed."""
        self.after_tick: Callable[[float], None] = _leave
        """Is called, with the time, once the seconds that are over have been closed."""
        self.watch = GeneratorWatch(recorder.generator_period)
        self._warmup = Warmup()
        self._is_over = True
        recorder.on_drain = PushRows(environment).add

    def watch_idle(self) -> None:
        """Watch the process without a run too, until the next one or `close`: the monitor tells of the loop's lag."""
        self.watch.start(monotonic())

    def begin(self, run_id: str, warmup_s: float = 0.0) -> None:
        self.watch.stop()  # what it still tells is of the time before the run
        now_s = monotonic()
        self._recorder.begin(run_id, now_s, warmup_s)
        self._is_over = False
        self.watch.start(now_s)
        self._warmup.begin(warmup_s, self._end_warmup)
        self._ticker.start()

    def _tick(self, now_s: float) -> None:
        self.before_tick(now_s)
        self._recorder.tick(now_s)
        slide_windows(self._recorder)
        self.after_tick(now_s)

    def _end_warmup(self) -> None:
        self._recorder.merge(self._recorder.end_warmup(monotonic()))

    def reset(self, at_spawning_complete: bool = False) -> None:
        """Locust's statistics begin anew; so do ours."""
        self._recorder.reset(monotonic())

    def finish(self) -> None:
        """The users are gone; does nothing a second time."""
        if not self._is_over:
            wait_for_users(self._environment.runner)
            shared().dispatcher.flush(1.0)
        if not self._is_over:
            self._is_over = True
            self.close()
            self._recorder.end(monotonic())
            self.watch_idle()

    def close(self) -> None:
        self._ticker.close()
        self._warmup.close()
        self.watch.stop()


class MasterSide:
    """In the master process."""

    def __init__(self, runner: MasterRunner, recorder: Recorder) -> None:
        self._runner = runner
        self._recorder = recorder
        self._ticker = Ticker(INTERVAL_S, self._tick)
        self.before_tick: Callable[[float], None] = _leave
        """Is called, with the time, before the seconds that are over are closed."""
        self.after_tick: Callable[[float], None] = _leave
        """Is called, with the time, once the seconds that are over have been closed."""
        self._refused = 0
        self._missing_before: set[str] = set()
        """Workers that were no part of this run any more when it began."""
        self._heard_s: dict[str, float] = {}
        """When each worker's last figures came; monotonic seconds."""
        self._stopped_s: float | None = None
        """Since when only the last figures are waited for; monotonic seconds."""
        self._is_over = True
        self._warmup = Warmup()
        self.watch: GeneratorWatch | None = None
        """A master makes no load."""
        runner.register_message(DELTA, self._on_delta)

    def begin(self, run_id: str, warmup_s: float = 0.0) -> None:
        self._recorder.begin(run_id, monotonic(), warmup_s)
        self._missing_before = self._missing()
        self._stopped_s, self._is_over = None, False
        self._tell_late_comers(0, warmup_s)
        self._warmup.begin(warmup_s, self._end_warmup)
        self._ticker.start()

    def _tell_late_comers(self, epoch: int | None = None, warmup_s: float | None = None) -> None:
        """What goes with every spawn message: a worker that joins in the middle of the run begins with it."""
        options = vars(self._runner.environment.parsed_options)
        if epoch is not None:
            options["ext_epoch"] = epoch
        if warmup_s is not None:
            options["ext_warmup_s"] = warmup_s

    def _end_warmup(self) -> None:
        self._recorder.merge(self._recorder.end_warmup(monotonic()))
        self._tell_late_comers(warmup_s=0.0)

    def reset(self, at_spawning_complete: bool = False) -> None:
        """Locust's statistics begin anew: so do ours, here and in the workers."""
        epoch = self._recorder.reset(monotonic())
        self._tell_late_comers(epoch)
        told = {"run": self._recorder.run_id, "epoch": epoch, "at_spawning_complete": at_spawning_complete}
        self._runner.send_message(RESET, told)

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
            self._heard_s[delta.worker] = monotonic()
            self._recorder.label_worker(delta.worker, str(self._runner.get_worker_index(delta.worker)))
            self._recorder.merge(delta, monotonic())

    def _tick(self, now_s: float) -> None:
        self.before_tick(now_s)
        self._recorder.tick(now_s)
        self._look_for_lost()
        slide_windows(self._recorder)
        if self._stopped_s is None:
            self.after_tick(now_s)

    def _missing(self) -> set[str]:
        """Workers from whom Locust has not heard for some seconds."""
        return {worker for worker, node in self._runner.clients.items() if node.state == STATE_MISSING}

    def _look_for_lost(self) -> None:
        """Also among those that were there at the start of the run and have never sent any figures."""
        for worker in self._missing() - self._missing_before:
            if not self._recorder.is_final(worker):
                self._recorder.mark_lost(worker)

    def finish(self) -> None:
        """The run is over: collect what the workers still have. Blocks the calling greenlet.

        For 4 s at most; longer only for workers that go on reporting, because their users take their time to end: their
        seconds go on closing, and the run lasts until their last figures. Does nothing a second time.
        """
        if self._is_over:
            return
        self._warmup.close()
        if self._stopped_s is None:
            self._stopped_s = monotonic()
        try:
            self._wait_for_last_figures()
        except BaseException:  # who waits was killed: the next who finishes goes on
            self._recorder.end(monotonic(), self._stopped_s)
            raise
        self._is_over = True
        self.close()
        self._recorder.end(monotonic(), self._stopped_s)

    def _wait_for_last_figures(self) -> None:
        self._look_for_lost()
        if self._recorder.waiting_for:
            self._runner.send_message(FINISH)
        begun_s = monotonic()
        longest_s = begun_s + _stop_timeout_s(self._runner) + SLOW_STOP_S
        while waiting := self._recorder.waiting_for:
            now_s = monotonic()
            is_heard = any(now_s - self._heard_s.get(worker, 0.0) < HEARD_S for worker in waiting)
            if now_s >= begun_s + FINAL_WAIT_S and not (is_heard and now_s < longest_s):
                break
            if now_s >= ends_by_s():
                break
            self._look_for_lost()
            gevent.sleep(0.02)
        for worker in waiting:
            self._recorder.mark_lost(worker)

    def close(self) -> None:
        self._ticker.close()
        self._warmup.close()
