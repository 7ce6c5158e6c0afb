"""`AlertsPage`: the page of the alerts, rules and resources, and the HTTP interface that it uses.

All below ``ext/``, which is below ``--web-base-path``; behind Locust's login where there is one; JSON throughout, errors
as ``{"error": text}``. What changes something takes a JSON body and refuses pages of other sites (403; `routes.refused`).

    GET  alerts                             the page
    GET  alerts.json                        alerts, rules, changes, and the monitor's figures (`figures`)
    POST alerts/<id>/acknowledge            {} or {"rule": name}; 404: no such alert, 409: it does not fire (any more)
    POST rules/<name>/threshold             {"severity": "warning", "value": "> 200ms"}; a number is in the metric's unit,
                                            null no limit; severities: warning critical low_warning low_critical;
                                            404: no such rule, 400: no such limit, and what is expected
    POST monitor                            {"running": true}; 409: there is no monitor

    curl -H 'Content-Type: application/json' -d '{"severity": "critical", "value": "> 1s"}' \\
         http://127.0.0.1:8089/ext/rules/latency/threshold
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from importlib.resources import files
from time import monotonic
from typing import Any, Final, Protocol

from flask import Response, request

from locust_ext.errors import ConfigError
from locust_ext.model import ResourceStats, Snapshot
from locust_ext.plugin.webui.figures import LiveAlerts, alert_figures, monitor_figures, run_figures
from locust_ext.plugin.webui.routes import Routes, body_of, error_answer, json_answer, refused

PATH: Final = "alerts"
MIN_AGE_S: Final = 1.0
"""How long the figures of the run and of the monitor are kept, for several pages that ask at once."""


class Monitor(Protocol):
    """What reads the resources."""

    @property
    def is_running(self) -> bool: ...

    def start(self) -> object:
        """Repeatable."""

    def stop(self) -> object:
        """Repeatable."""

    def stats(self) -> Sequence[ResourceStats]:
        """What this process has read, with a run or without one."""


class AlertsPage:
    """The page's routes in one web UI."""

    def __init__(
        self,
        routes: Routes,
        take: Callable[[], Snapshot],
        alerting: LiveAlerts,
        monitor: Monitor | None,
        is_loaded: Callable[[], bool],
    ) -> None:
        """``is_loaded()``: whether a run goes on, whose Snapshot then has the resources of all processes."""
        self._take = take
        self._is_loaded = is_loaded
        self._alerting = alerting
        self._monitor = monitor
        self._kept: dict[str, Any] = {}
        self._kept_since_s = float("-inf")
        self._page, self._policy = page()
        routes.add(PATH, self._show)
        routes.add("alerts.json", self._figures)
        routes.add("alerts/<int:alert>/acknowledge", self._acknowledge, "POST")
        routes.add("rules/<locust_ext_text:name>/threshold", self._set_threshold, "POST")
        routes.add("monitor", self._switch_monitor, "POST")

    def _show(self) -> Response:
        headers = {
            "Cache-Control": "no-store",
            "Content-Security-Policy": self._policy,
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(self._page, headers=headers, content_type="text/html; charset=utf-8")

    def _figures(self) -> Response:
        is_running = None if self._monitor is None else self._monitor.is_running
        kept = self._current()
        figures = {**alert_figures(self._alerting), "is_run": self._is_loaded(), "run": kept["run"]}
        return json_answer({**figures, "monitor": {"is_running": is_running, **kept["monitor"]}})

    def _current(self) -> dict[str, Any]:
        now_s = monotonic()
        if now_s - self._kept_since_s >= MIN_AGE_S:
            snapshot = self._take()
            resources: Sequence[ResourceStats] = snapshot.resources
            if self._monitor is not None and not (self._is_loaded() and resources):
                resources = self._monitor.stats()
            self._kept = {"run": run_figures(snapshot.run), "monitor": monitor_figures(resources)}
            self._kept_since_s = now_s
        return self._kept

    def _acknowledge(self, alert: int) -> Response:
        if answer := refused(request):
            return answer
        sent = body_of(request)
        if sent is None:
            return error_answer(400, "expected a JSON object")
        known = next((each for each in alert_figures(self._alerting)["alerts"] if each["id"] == alert), None)
        if known is None:
            return error_answer(404, f"there is no alert {alert} (any more)")
        if sent.get("rule", known["rule"]) != known["rule"]:  # a page that was open when a new run began
            return error_answer(409, f"alert {alert} is one of {known['rule']!r} by now")
        if not self._alerting.acknowledge(alert):
            return error_answer(409, f"alert {alert} is {known['state']}: only one that fires can be acknowledged")
        return json_answer({"id": alert, "state": "acknowledged"})

    def _set_threshold(self, name: str) -> Response:
        if answer := refused(request):
            return answer
        sent = body_of(request)
        if sent is None or not isinstance(sent.get("severity"), str) or "value" not in sent:
            return error_answer(400, 'expected a JSON object such as {"severity": "warning", "value": "> 200ms"}')
        value = sent["value"]
        if isinstance(value, bool) or not isinstance(value, str | int | float | None):
            return error_answer(400, "value: expected a text such as '> 200ms', a number in the metric's unit, or null")
        if not any(rule["name"] == name for rule in self._alerting.describe()["rules"]):
            return error_answer(404, f"there is no rule {name!r}")
        try:
            self._alerting.set_threshold(name, sent["severity"], value)
        except ConfigError as error:
            return error_answer(400, str(error))
        return json_answer(next(each for each in alert_figures(self._alerting)["rules"] if each["name"] == name))

    def _switch_monitor(self) -> Response:
        if answer := refused(request):
            return answer
        sent = body_of(request)
        if sent is None or not isinstance(sent.get("running"), bool):
            return error_answer(400, 'expected a JSON object: {"running": true} or {"running": false}')
        if self._monitor is None:
            return error_answer(409, "there is no monitor in this process")
        if sent["running"]:
            self._monitor.start()
        else:
            self._monitor.stop()
        return json_answer({"is_running": self._monitor.is_running})


def page() -> tuple[str, str]:
    """The page as one document that needs nothing from elsewhere, and a policy by which it may load nothing else."""
    folder = files(__package__)
    style, script, frame = (folder.joinpath(f"alerts.{kind}").read_text("utf-8") for kind in ("css", "js", "html"))
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )
    return frame.replace("{style}", style).replace("{script}", script), policy


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
