"""`Exporter`: the run's Prometheus metrics, on a port of their own and in the web UI.

Nothing is worked out until somebody scrapes. Then one greenlet takes the snapshot and writes the text in pieces of some
milliseconds, between which everything else runs; whoever scrapes meanwhile, or in the second after it, gets the same text.
"""

from __future__ import annotations

from locust.env import Environment

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any, Final

import gevent
from flask import Response, request
from prometheus_client import CollectorRegistry

from locust_ext.core.accounting.recorder import Recorder
from locust_ext.errors import ConfigError
from locust_ext.model import CRITICAL, WARNING, Snapshot
from locust_ext.outputs.metrics import Edges, Live, RunMetrics, content_type, is_openmetrics
from locust_ext.plugin.interrupt import ends_by_s
from locust_ext.plugin.metrics_text import MetricsText, Text, serve
from locust_ext.plugin.options import flag_of
from locust_ext.runtime.metrics_server import Login, MetricsServer, Page, login_from
from locust_ext.settings import ExporterSettings

logger = logging.getLogger("locust_ext")

HOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class ExporterOptions:
    """Where to serve, to whom, and how much."""

    port: int | None = None
    """0: a free one; None: none."""
    host: str = HOST
    login: Login | None = None
    settings: ExporterSettings = field(default_factory=ExporterSettings)


def exporter_options(options: Any, settings: ExporterSettings, port_flag: str = "ext_metrics_port") -> ExporterOptions:
    """From ``--ext-metrics-port``, ``--ext-metrics-host`` and the environment. Raises `ConfigError`.

    In a worker the flag is ``ext_worker_metrics``.
    """
    host = getattr(options, "ext_metrics_host", None) or HOST
    return ExporterOptions(port_of(options, port_flag), host, login_from(os.environ), settings)


def limits_given(rules: Iterable[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    """(rule, severity) of each limit, from the rules as `Evaluator.describe` tells them."""
    severities = {WARNING: ("warning", "low_warning"), CRITICAL: ("critical", "low_critical")}
    return tuple(
        (rule["name"], severity)
        for rule in rules
        for severity, limits in severities.items()
        if any(rule.get(limit) is not None for limit in limits)
    )


def port_of(options: Any, name: str) -> int | None:
    """The flag's value as a port, 0: a free one; None: not given. Raises `ConfigError`."""
    value = getattr(options, name, None)
    if value is None or value == "":
        return None
    try:
        port = int(value)
    except ValueError:
        port = -1
    if not 0 <= port <= 65_535:
        raise ConfigError("expected a port from 1 to 65535, or 0 for a free one", source=flag_of(name), value=value)
    return port


class Exporter:
    """In the process that owns the run: a master, or a process on its own. From `open` to `close`."""

    def __init__(self, environment: Environment, recorder: Recorder, take: Callable[[], Snapshot]) -> None:
        """``take()``: everything measured so far, without a switch of greenlets."""
        self._environment = environment
        self._recorder = recorder
        self._take = take
        self._options = ExporterOptions()
        self._text: MetricsText | None = None
        self._server: MetricsServer | None = None
        self._scraped_run = self._finished_run = ""
        self._final_from_s: float | None = None
        self.rate_wanted: Callable[[], float | None] = lambda: None
        """Gives the operations a second that are asked for; None: no rate is."""
        self.rules: Callable[[], Iterable[tuple[str, str]]] = tuple
        """Gives (rule, severity) of every alert that there can be: as long as there is none, that is told as 0."""

    def open(self, options: ExporterOptions) -> None:
        """In ``init``, after any fork. A port that is taken is one error in the log."""
        self._options = options
        settings = options.settings
        metrics = RunMetrics(Edges(settings.buckets_s), settings.max_series, settings.max_names)
        self._text = MetricsText(metrics, lambda: (self._take(), self._live()))
        self._recorder.on_reset = self._keep
        if options.port is not None:
            self._server = serve(options.host, options.port, self._page, options.login, "metrics for Prometheus")

    def _keep(self) -> None:
        """The recorder is about to forget its counts."""
        if self._text is not None:
            self._text.metrics.keep(self._recorder.snapshot(monotonic()))

    def _live(self) -> Live:
        live = Live(rate_wanted=self.rate_wanted(), rules=tuple(self.rules()))
        runner = self._environment.runner
        if runner is None:
            return live
        return replace(live, users_wanted=runner.target_user_count, users_present=runner.user_count)

    @property
    def registry(self) -> CollectorRegistry | None:
        """prometheus-client's, for code that wants the families; None before `open`."""
        return None if self._text is None else self._text.registry

    @property
    def port(self) -> int | None:
        """The one that is listened on."""
        return None if self._server is None else self._server.port

    # ── scrapes ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _page(self, accept: str) -> Page:
        assert self._text is not None
        text = self._text.get(openmetrics=is_openmetrics(accept))
        return Page(text.body, content_type(accept), lambda: self._was_scraped(text))

    def _was_scraped(self, text: Text) -> None:
        self._scraped_run = text.run_id
        if text.is_final or (self._final_from_s is not None and text.taken_s >= self._final_from_s):
            self._finished_run = text.run_id

    def web_answer(self) -> Response:
        """The same for ``ext/metrics`` in the web UI; in a request of Flask's."""
        if self._text is None:
            return Response("no metrics here\n", 404, content_type="text/plain; charset=utf-8")
        accept = request.headers.get("Accept", "")
        text = self._text.get(openmetrics=is_openmetrics(accept))
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        return Response(text.body, 200, headers, content_type=content_type(accept))

    # ── the end ────────────────────────────────────────────────────────────────────────────────────────────────────

    def linger(self) -> None:
        """The run's figures are final and the process is about to end: wait for one more scrape, where there were any.

        Without it the last seconds of a run, its final counts among them, are never seen by a Prometheus that scrapes
        every 15 s. Blocks the calling greenlet, ``linger_s`` at most; an impatient Ctrl-C ends it.
        """
        run_id, longest_s = self._recorder.run_id, self._options.settings.linger_s
        if self._server is None or not run_id or self._scraped_run != run_id or self._finished_run == run_id:
            return
        if longest_s <= 0:
            return
        assert self._text is not None
        logger.info("Waiting up to %g s for the final metrics to be scraped", longest_s)
        self._text.forget()
        self._final_from_s = monotonic()
        until_s = self._final_from_s + longest_s
        while self._finished_run != run_id and monotonic() < min(until_s, ends_by_s()):
            gevent.sleep(0.05)
        if self._finished_run == run_id:
            logger.info("The final metrics were scraped")
        else:
            logger.warning("Nobody scraped the final metrics within %.0f s", monotonic() - self._final_from_s)

    def close(self) -> None:
        """Idempotent."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._text is not None:
            self._text.close()
            self._text = None
            self._recorder.on_reset = _leave


def _leave() -> None:
    pass
