"""`Alerting`: the rules at work in the process that owns the run: judged once a second, their actions performed."""

from __future__ import annotations

from locust.env import Environment
from locust.runners import STATE_RUNNING, STATE_SPAWNING

import logging
from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import Any, Final

import gevent

from locust_ext.core.accounting.recorder import Recorder
from locust_ext.core.alerts.evaluator import Evaluator
from locust_ext.core.alerts.rules import Rules
from locust_ext.model import CRITICAL, FIRING, RESOLVED, Alert, AlertEvent, Check, Snapshot
from locust_ext.plugin.intake import NOT_COUNTED
from locust_ext.plugin.searching import Searching
from locust_ext.runtime.ticker import Ticker
from locust_ext.runtime.webhook import Webhook

logger = logging.getLogger("locust_ext")

INTERVAL_S: Final = 1.0
LAST_WORDS_S: Final = 5.0
"""How long the end of a process waits for webhooks that are under way."""
ALERT: Final = "ALERT"
"""The type of Locust's failures that critical alerts are recorded as."""


class AlertFailure(Exception):
    """What a recorded alert is in Locust's failures; its text names the rule and its limit, never the value: Locust makes
    one row of each distinct text.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __repr__(self) -> str:
        return self.text


class Alerting:
    """One an extension, also where no rules were given: then it does nothing.

    In a run the rules are judged right after a second has closed (`evaluate`); without one, once a second, over what the
    monitor reads. The alerts of a run stand still with its end; those of the time after it are told apart. Whatever was
    told as firing is told as resolved when the run begins or ends, or the process: in the log and to the webhook.
    """

    def __init__(
        self,
        environment: Environment,
        recorder: Recorder,
        rules: Rules | None,
        idle_window: Callable[[int], Snapshot],
        searching: Searching | None = None,
    ) -> None:
        """``idle_window(length_s)``: what is known of the last seconds where there is no run; ``searching``: the search
        for the limit, whose criteria rules may be.
        """
        self._environment = environment
        self._recorder = recorder
        self._rules = rules
        self._evaluator = Evaluator(rules.rules if rules is not None else ())
        self._idle_window = idle_window
        self._searching = searching or Searching(environment, recorder)
        self._ticker = Ticker(INTERVAL_S, self._idle_tick)
        self._webhook: Webhook | None = None
        self._is_run = False
        self._began_s = monotonic()
        self._result: tuple[tuple[Check, ...], tuple[Alert, ...], tuple[AlertEvent, ...]] | None = None
        self._actions: dict[str, Callable[[AlertEvent], None]] = {
            "log": self._log,
            "record": self._record,
            "stop": self._stop,
            "webhook": self._post,
        }
        """`fail` has nothing to do while the run goes on: it counts at the end."""

    @property
    def is_given(self) -> bool:
        """Whether there are rules, which then decide the exit code."""
        return self._rules is not None

    @property
    def evaluator(self) -> Evaluator:
        """The live alerts and limits."""
        return self._evaluator

    def open(self) -> None:
        """Have the windows kept that the rules look at, and judge what there is without a run."""
        if self._rules is None:
            return
        self._keep_windows()
        if self._rules.webhook is not None:
            self._webhook = Webhook(self._rules.webhook.url, self._rules.webhook.timeout_s)
        self._began_s = monotonic()
        self._ticker.start()

    def _keep_windows(self) -> None:
        for length_s, by_worker in self._evaluator.windows:
            self._recorder.watch(length_s, by_worker)

    def close(self) -> None:
        """Idempotent; waits a moment for webhooks that are under way."""
        self._ticker.close()
        self._resolve("the process ended")
        if self._webhook is not None:
            self._webhook.finish(LAST_WORDS_S)

    # ── the run ────────────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self) -> None:
        """A run starts: no alert yet."""
        self._resolve("the run began")
        self._keep_windows()
        self._result = None
        self._is_run = True
        self._began_s = monotonic()

    def evaluate(self, now_s: float) -> None:
        """A second of the run has closed."""
        if self._rules is not None and self._is_run:
            self._look(now_s, self._window)

    def end(self) -> None:
        """The run's figures are complete: look a last time, and keep what it came to. Does nothing a second time."""
        if self._rules is None or not self._is_run:
            self._is_run = False
            return
        self._look(monotonic(), self._window)
        self._is_run = False
        checks = tuple(map(self._searching.judged, self._evaluator.checks(self._window)))
        self._result = (checks, self._evaluator.alerts, self._evaluator.events)
        self._resolve("the run ended")
        self._began_s = monotonic()

    def _resolve(self, why: str) -> None:
        """What was looked at is over: tell the alerts that fire as resolved, and begin without any."""
        events = self._evaluator.finish(monotonic() - self._began_s, why)
        self._evaluator.begin()
        for event in events:
            self._act(event)

    def _idle_tick(self, now_s: float) -> None:
        if not self._is_run:
            self._look(now_s, lambda length_s, worker: self._idle_window(length_s or 60))

    def _look(self, now_s: float, window: Callable[[int | None, str | None], Snapshot]) -> None:
        workers = self._recorder.worker_labels if self._is_run else ("",)
        for event in self._evaluator.evaluate(now_s - self._began_s, window, workers):
            self._act(event)

    def _act(self, event: AlertEvent) -> None:
        for action in self._evaluator.actions(event):
            if action in self._actions:
                self._actions[action](event)

    def _window(self, length_s: int | None, worker: str | None = None) -> Snapshot:
        window = self._recorder.window(length_s, worker)
        runner = self._environment.runner
        is_loaded = runner is not None and runner.state in (STATE_SPAWNING, STATE_RUNNING)
        users = runner.user_count if runner is not None and is_loaded else 0
        if length_s is None:
            return replace(window, search=self._searching.result())
        return replace(window, run=replace(window.run, users=users))

    # ── what an alert does ─────────────────────────────────────────────────────────────────────────────────────────

    def _log(self, event: AlertEvent) -> None:
        if event.state == FIRING:
            say = logger.error if event.severity == CRITICAL else logger.warning
        else:
            say = logger.info
        say("Alert %s: %s", event.rule, event.text)

    def _record(self, event: AlertEvent) -> None:
        """Into Locust's failures, and not into our own counts: it is no operation of the target's."""
        if event.state == FIRING:
            self._environment.events.request.fire(
                request_type=ALERT,
                name=event.rule,
                response_time=None,
                response_length=0,
                exception=AlertFailure(f"{event.severity} - {event.limit}"),
                context={},
                ext=NOT_COUNTED,
            )

    def _stop(self, event: AlertEvent) -> None:
        """End the run early, as the end of its time would: with a web UI the process stays.

        Not for a rule that is a criterion of the search for the limit, which breaks it on purpose.
        """
        runner = self._environment.runner
        if event.state != FIRING or not self._is_run or runner is None or event.rule in self._searching.rule_names:
            return
        logger.error("The run ends early: rule %s: %s", event.rule, event.text)
        self._recorder.describe(ended_because=f"rule {event.rule}: {event.text}")
        web_ui = self._environment.web_ui
        gevent.spawn(runner.quit if web_ui is None else runner.stop)

    def _post(self, event: AlertEvent) -> None:
        if self._webhook is not None and event.state in (FIRING, RESOLVED):
            self._webhook.send(
                {
                    "text": f"locust-ext: {event.rule}: {event.text}",
                    "rule": event.rule,
                    "severity": event.severity,
                    "state": event.state,
                    "value": event.value,
                    "limit": event.limit,
                    "worker": event.subject,
                    "at_s": round(event.at_s, 3),
                    "run": self._recorder.run_id,
                }
            )

    # ── for people and code ────────────────────────────────────────────────────────────────────────────────────────

    def acknowledge(self, alert: int) -> bool:
        """Somebody has seen this alert; False: there is none of this id that fires."""
        is_done = self._evaluator.acknowledge(alert, monotonic() - self._began_s)
        if is_done:
            self._log(self._evaluator.events[-1])
        return is_done

    def set_threshold(self, rule: str, severity: str, value: str | float | None) -> None:
        """Change a limit during the run (``"> 200ms"``, a number in the metric's unit; None: none). `ConfigError`."""
        self._evaluator.set_threshold(rule, severity, value)

    def told(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with what the rules have found: of the run that is going on, or of the last one."""
        if self._rules is None:
            return snapshot
        if self._result is not None:
            checks, alerts, events = self._result
            return replace(snapshot, rules=checks, alerts=alerts, alert_events=events)
        return replace(snapshot, alerts=self._evaluator.alerts, alert_events=self._evaluator.events)

    def describe(self) -> dict[str, Any]:
        """What the page of the web UI shows: the rules with their limits, and the live alerts."""
        return {
            "rules": self._evaluator.describe(),
            "alerts": [_plain(alert) for alert in self._evaluator.alerts],
            "is_run": self._is_run,
            "now_s": monotonic() - self._began_s,
        }


def _plain(alert: Alert) -> dict[str, Any]:
    return {name: getattr(alert, name) for name in alert.__dataclass_fields__}
