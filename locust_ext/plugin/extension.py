"""The composition root: `attach`, and the `Extension` that it makes; `install` (installing.py) calls it in each process.

Everything with a life (greenlets, sockets, processes) is made here, in each process's ``init`` event, because ``locust
--processes`` forks after the locustfile has been imported.
"""

from __future__ import annotations

from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

import logging
import secrets
import sys
import weakref
from argparse import Namespace
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from locust_ext.core.accounting.compare import compare
from locust_ext.errors import LocustExtError
from locust_ext.model import Comparison, Snapshot
from locust_ext.outputs import REPORTS, texts_of
from locust_ext.outputs.console import console
from locust_ext.plugin.alerting import Alerting
from locust_ext.plugin.answers import Answers
from locust_ext.plugin.choices import Choices
from locust_ext.plugin.distributed import LocalSide, MasterSide, WorkerSide
from locust_ext.plugin.exporter import Exporter, exporter_options, limits_given, port_of
from locust_ext.plugin.gate import decide_exit_code, limits_of, tolerance_of
from locust_ext.plugin.inputs import Inputs
from locust_ext.plugin.intake import drop_intake, intake_of
from locust_ext.plugin.interrupt import Ending
from locust_ext.plugin.joining import has_missed_start, users_held_back
from locust_ext.plugin.leaving import Leavers, leave
from locust_ext.plugin.monitoring import Monitor, monitor_options
from locust_ext.plugin.preparing import Preparing
from locust_ext.plugin.provided import ProvidedTarget
from locust_ext.plugin.rate import pace_of
from locust_ext.plugin.recording import begin_recording, end_recording
from locust_ext.plugin.reports import write_reports
from locust_ext.plugin.requests import wanted_requests, work_of
from locust_ext.plugin.searching import Searching
from locust_ext.plugin.shapes import Shape
from locust_ext.plugin.sinks import SinkFeed
from locust_ext.plugin.telling import LogLines, describe
from locust_ext.plugin.users.feeding import share_out
from locust_ext.plugin.users.pool import close_pools
from locust_ext.plugin.wanted_rate import wanted_rate
from locust_ext.plugin.webui import WebPages
from locust_ext.plugin.worker_exporter import WorkerExporter
from locust_ext.settings import Settings

logger = logging.getLogger("locust_ext")

_extensions: weakref.WeakKeyDictionary[Environment, Extension] = weakref.WeakKeyDictionary()
HURRY = "locust_ext.hurry"


def attach(environment: Environment, **options: Any) -> Extension:
    """The environment's extension, made if need be; ``options`` are flags by their names (``ext_report_dir="out"``).

    For code that uses Locust as a library: call it after the runner has been made, and ``close()`` at the end. Raises
    `ConfigError` and `TargetUnavailable`.
    """
    known = _extensions.get(environment)
    if known is not None:
        return known
    if environment.parsed_options is None:
        environment.parsed_options = Namespace()
    vars(environment.parsed_options).update(options)
    extension = Extension(environment)
    try:
        extension.open()
    except BaseException:
        extension.close()
        raise
    _extensions[environment] = extension
    return extension


def extension_of(environment: Environment) -> Extension | None:
    """The environment's extension, if it has one."""
    return _extensions.get(environment)


def extensions() -> list[Extension]:
    """All that there are in this process."""
    return list(_extensions.values())


class Extension(Answers):
    """What the package does in one process of one Locust environment. ``close()`` undoes it."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.options: Any = environment.parsed_options
        self._choices = Choices(environment, self.options)
        self.intake = intake_of(environment)
        self.recorder = self.intake.recorder
        self._side: WorkerSide | MasterSide | LocalSide | None = None
        self._leavers: Leavers | None = None
        self._ending: Ending | None = None
        self._target = ProvidedTarget(environment, self.options)
        self._preparing = Preparing(environment)
        self.monitor = Monitor(environment, self.recorder)
        """The resource monitor of this process: ``start()`` and ``stop()`` it, with a run or without one."""
        self._searching = Searching(environment, self.recorder)
        self.alerting = Alerting(environment, self.recorder, None, self.monitor.window, self._searching)
        """The rules and their alerts."""
        self._pace = pace_of(environment, self.intake)
        self._work = work_of(environment, self.intake)
        self._comparison: Comparison | None = None
        self._log_lines = LogLines(self.snapshot)
        self._sinks = SinkFeed([], self.snapshot)
        self._pages: WebPages | None = None
        self._exporter = Exporter(environment, self.recorder, self.snapshot)
        self._worker_exporter: WorkerExporter | None = None
        self._judged_run: str | None = None
        self._reported_run: str | None = None
        self._listeners: list[tuple[Any, Any]] = []
        self._runs = 0
        self._is_closed = False

    # ── life ───────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def is_worker(self) -> bool:
        return isinstance(self.environment.runner, WorkerRunner)

    @property
    def inputs(self) -> Inputs:
        """What was asked for."""
        return self._choices.inputs

    @property
    def settings(self) -> Settings:
        """The parameters from ``--ext-config``, or their defaults; on a worker the master's, from the start of a run."""
        return self._choices.inputs.settings

    @property
    def profiles(self) -> dict[str, float]:
        """User profiles and their shares, which add up to 1."""
        return self._choices.profiles

    def _option(self, name: str) -> Any:
        return self._choices.option(name)

    def open(self) -> None:
        """Check the input, make what the run needs, and listen. Raises `ConfigError`, `TargetUnavailable`."""
        runner = self.environment.runner
        if not self.is_worker:
            self._choices.read()
            self.recorder.limit_generator(limits_of(self.settings))
            self._sinks = SinkFeed(self.inputs.sinks, self.snapshot)
            self._target.provide(self.inputs.wait_s, self.settings.embedded)
        if isinstance(runner, WorkerRunner):
            self._side = WorkerSide(runner, self.recorder)
            port = port_of(self.options, "ext_worker_metrics")
            self._worker_exporter = WorkerExporter(runner, self.recorder, self.monitor.window, port)
        elif isinstance(runner, MasterRunner):
            self._side = MasterSide(runner, self.recorder)
            self._leavers = Leavers(runner, self.recorder)
        else:
            self._side = LocalSide(self.environment, self.recorder)
        self._choices.choose_percentiles()
        self._open_monitor()
        if not self.is_worker and self.environment.web_ui is not None:
            web_ui, metrics = self.environment.web_ui, self._exporter.web_answer
            self._pages = WebPages(web_ui, self.snapshot, self.alerting, self.monitor, metrics)
        self._listen("test_start", self._on_test_start)
        self._listen("test_stopping", self._on_test_stopping)
        self._listen("test_stop", self._on_test_stop)
        self._listen("spawning_complete", self._on_spawning_complete)
        self._listen("reset_stats", self._on_reset_stats)
        if not isinstance(runner, MasterRunner):
            self._listen("quitting", self._on_quitting)
        if not self.is_worker:
            self._preparing.first()
        if isinstance(runner, WorkerRunner) and has_missed_start(runner) and not self.recorder.run_id:
            with users_held_back(runner):
                self._begin_on_worker()

    def _open_monitor(self) -> None:
        """On a worker it waits for the start of a run: only then is it told the interval."""
        if isinstance(self._side, MasterSide | LocalSide):
            self.alerting = Alerting(
                self.environment, self.recorder, self.inputs.rules, self.monitor.window, self._searching
            )
            self.monitor.use(self.inputs.monitor, self._side.watch, self._target.embedded_pid)
            if isinstance(self._side, LocalSide):
                self._side.watch_idle()
            self._side.before_tick = self._tell_users
            self._side.after_tick = self._judge_second
            self.monitor.start()
            self.alerting.open()
            self._exporter.rate_wanted = lambda: self._pace.rate_now
            self._exporter.rules = lambda: limits_given(self.alerting.evaluator.describe())
            self._exporter.open(self.inputs.exporter)

    def _listen(self, event: str, listener: Any) -> None:
        hook = getattr(self.environment.events, event)
        hook.add_listener(listener)
        self._listeners.append((hook, listener))

    def close(self) -> None:
        """Undo everything: listeners, greenlets, the embedded server. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        for hook, listener in self._listeners:
            hook.remove_listener(listener)
        self._listeners.clear()
        self._pace.close()
        self._work.close()
        self._exporter.close()
        if self._worker_exporter is not None:
            self._worker_exporter.close()
        self.alerting.close()
        self.monitor.close()
        if self._side is not None:
            self._side.close()
        self._log_lines.end()
        end_recording()
        self._sinks.close()
        if self._pages is not None:
            self._pages.close()
        self._target.close()
        self._choices.undo()
        drop_intake(self.environment)
        _extensions.pop(self.environment, None)

    # ── the run ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _on_test_start(self, **_: Any) -> None:
        if self.is_worker:
            self._begin_on_worker()
            return
        self._preparing.again()
        self._runs += 1
        run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        self.options.ext_run_id = run_id
        runner = self.environment.runner
        self.options.ext_workers = getattr(runner, "worker_count", 1) or 1
        share_out(self.environment)
        assert isinstance(self._side, MasterSide | LocalSide)
        self._comparison = None
        begin_recording(self._option("ext_record"), runner, self.settings.record.max_bytes)
        self._side.begin(run_id, self.inputs.warmup_s)
        self.alerting.begin()
        self._searching.begin(lambda: self.alerting.evaluator.rules, self.inputs.warmup_s)
        self.monitor.resume()
        describe(self.recorder, self.environment, self._option("ext_seed"), self.inputs.scenario)
        if isinstance(shape := self.environment.shape_class, Shape):
            self.recorder.describe(shape=shape.text)
        self._pace.begin(self.inputs.rate, run_id, self.inputs.warmup_s, self._option("ext_seed"))
        self._work.begin(self.inputs.requests, run_id)
        every_s = self.settings.log.summary_every_s
        if every_s and self._option("headless") and not self._option("only_summary"):
            self._log_lines.begin(every_s)
        self._sinks.begin()
        if self._leavers is not None:
            self._leavers.begin()

    def _tell_users(self, now_s: float) -> None:
        """Once a second: the users there are, beside those that the shape has planned."""
        runner, shape = self.environment.runner, self.environment.shape_class
        planned = shape.planned_users if isinstance(shape, Shape) else None
        self.recorder.users(now_s, runner.user_count if runner is not None else 0, planned)

    def _judge_second(self, now_s: float) -> None:
        """A second of the run has closed."""
        self.alerting.evaluate(now_s)
        self._searching.look()

    def _begin_on_worker(self) -> None:
        assert isinstance(self._side, WorkerSide)
        if self._choices.take():
            self.monitor.use(monitor_options(self.options, self.settings, is_worker=True), self._side.watch)
        try:
            self._choices.apply()
            self._target.join()
        except LocustExtError as error:  # the master has taken it: a file, or an address, that is not of this machine
            assert isinstance(self.environment.runner, WorkerRunner)
            leave(self.environment.runner, str(error))
            return
        begin_recording(self._option("ext_record"), self.environment.runner, self.settings.record.max_bytes)
        if self._worker_exporter is not None:
            self._worker_exporter.begin(exporter_options(self.options, self.settings.exporter, "ext_worker_metrics"))
        self._side.begin(
            self._option("ext_run_id") or "", self._option("ext_warmup_s") or 0.0, self._option("ext_epoch") or 0
        )
        self._pace.begin(wanted_rate(self.options, self.settings.rate), self.recorder.run_id)
        self._work.begin(wanted_requests(self.options), self.recorder.run_id)
        self.monitor.resume()

    def _on_spawning_complete(self, user_count: int, **_: Any) -> None:
        self.recorder.describe(users=user_count)
        if isinstance(self._side, WorkerSide):
            self._side.reset()
        elif self.environment.reset_stats and self._side is not None:
            self._side.reset(at_spawning_complete=True)

    def _on_reset_stats(self, **_: Any) -> None:
        """The reset button: Locust tells the master, or the one process, and no worker."""
        if isinstance(self._side, MasterSide | LocalSide):
            self._side.reset()

    def _on_quitting(self, **_: Any) -> None:
        """Not on the master. Locust would quit while users still run; stopped first, each has its outcome counted."""
        runner = self.environment.runner
        if runner is not None:
            runner.stop()
        if self.recorder.run_id:
            self._on_test_stop()  # a `stop` that is under way elsewhere makes this one return at once

    def _on_test_stopping(self, **_: Any) -> None:
        if self._leavers is not None and not (self._ending is not None and self._ending.is_under_way):
            self._leavers.look()
        self._searching.end()
        self._pace.wind_down()

    def _on_test_stop(self, **_: Any) -> None:
        self._searching.end()
        self._pace.end()
        self._work.end()
        close_pools(self.environment)  # their connections belong to this run's figures
        self._log_lines.end()
        self._sinks.pause()
        if self._side is not None:
            self._side.finish()
        self._work.conclude()
        end_recording()
        if not self.is_worker and self._judged_run != self.recorder.run_id:
            self._judged_run = self.recorder.run_id
            self._judge()
            self._sinks.end()
            self._write()

    def _judge(self) -> None:
        """The run is over: by its rules, beside the baseline, and whether it says anything at all."""
        self.alerting.end()
        snapshot = self.snapshot()
        if self.inputs.baseline is not None:
            self._comparison = compare(self.inputs.baseline, snapshot, tolerance_of(self.settings))
        for reason in snapshot.run.invalid_because:
            logger.warning("The measurement is not valid: %s", reason)

    def decide_exit_code(self) -> None:
        """Once the run's data is complete; not in a worker, whose exit code its master never learns of."""
        if not self.is_worker and self.recorder.run_id:
            snapshot = self.snapshot()
            decide_exit_code(self.environment, snapshot)
            if self._leavers is not None:
                self._leavers.decide_exit_code(snapshot)

    def linger(self) -> None:
        """The process is about to end: the final metrics wait for whoever has scraped this run, for a while."""
        if not self.is_worker:
            self._exporter.linger()

    def _write(self) -> None:
        """The report of the run that has just ended, once."""
        run_id = self.recorder.run_id
        report_dir = self.inputs.report_dir
        if report_dir is None or not run_id or self._reported_run == run_id:
            return
        self._reported_run = run_id
        has_web_ui = self.environment.web_ui is not None
        folder = report_dir / run_id if has_web_ui else report_dir
        snapshot = self.snapshot()
        if write_reports(folder, texts_of(snapshot, self.inputs.reports), REPORTS):
            logger.info("Report written to %s", folder)

    def ends_by(self, ending: Ending) -> None:
        """This process ends as ``ending`` says; an impatient master's workers hurry too."""
        self._ending = ending
        runner = self.environment.runner
        if isinstance(runner, WorkerRunner):
            runner.register_message(HURRY, lambda **_: ending.hurry(), concurrent=True)
        ending.lead(self._hurry, self._break_off)

    def _hurry(self) -> None:
        if isinstance(self.environment.runner, MasterRunner):
            self.environment.runner.send_message(HURRY)

    def _break_off(self) -> int:
        """Something hangs: write what is there; gives the exit code."""
        if not self.is_worker and self.recorder.run_id and self._judged_run != self.recorder.run_id:
            self.recorder.mark_invalid("it was broken off before all its users had ended")
            self._on_test_stop()
        self.decide_exit_code()
        self.on_quit()
        return self.environment.process_exit_code or 1

    def on_quit(self) -> None:
        """The process ends: the last words on the console, and what is still to be written."""
        if not self.is_worker and self.recorder.run_id and not self._is_closed:
            self._sinks.end()
            self._write()
            sys.stdout.flush()
            sys.stderr.write(console(self.snapshot()) + "\n")
            sys.stderr.flush()
        self.close()

    # ── from code ──────────────────────────────────────────────────────────────────────────────────────────────────

    def snapshot(self) -> Snapshot:
        """Everything measured so far; on the master over all workers, as of their last reports."""
        taken = self.recorder.snapshot(monotonic())
        # To the millisecond, as the reports tell it: every rate in them can be had from it again.
        raised = (
            sum(each["count"] for each in self.environment.runner.exceptions.values()) if self.environment.runner else 0
        )
        run = replace(taken.run, duration_s=round(taken.run.duration_s, 3), exceptions=raised)
        search = self._searching.result()
        return self.alerting.told(replace(taken, run=run, search=search, comparison=self._comparison))


__all__ = ["Extension", "attach", "extension_of"]
