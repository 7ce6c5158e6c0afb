"""`WorkerExporter`: the metrics of one worker alone, at a port of its own."""

from __future__ import annotations

from locust.runners import WorkerRunner

from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import Final

from locust_ext.core.accounting.recorder import Recorder
from locust_ext.model import Delta, Snapshot
from locust_ext.outputs.metrics import Edges, Live, RunMetrics, content_type, is_openmetrics
from locust_ext.plugin.exporter import ExporterOptions
from locust_ext.plugin.metrics_text import MetricsText, serve
from locust_ext.runtime.metrics_server import MetricsServer, Page

RESOURCES_S: Final = 10.0
"""So old a sample of the resource monitor may be that a worker tells."""


class WorkerExporter:
    """One worker's own metrics, ``--ext-worker-metrics``: what it counted itself, and what its process uses.

    Its recorder is drained once a second: what left it is kept here. From a worker's first run until `close`.
    """

    def __init__(
        self,
        runner: WorkerRunner,
        recorder: Recorder,
        resources: Callable[[float], Snapshot],
        port: int | None = None,
    ) -> None:
        """``resources(length_s)``: what the resource monitor has read in the last seconds.

        ``port``: what the worker's own command line asks for, over what its master does.
        """
        self._runner = runner
        self._port = port
        self._recorder = recorder
        self._resources = resources
        self._text: MetricsText | None = None
        self._server: MetricsServer | None = None
        self._on_drain: Callable[[Delta], None] | None = None

    def begin(self, options: ExporterOptions) -> None:
        """At the start of a run, before the recorder begins it; again at each run: only the first opens the port.

        ``options.port`` is that of worker 0, the next worker's is the next; 0: a free one, which the log tells.
        """
        first_port = options.port if self._port is None else self._port
        if first_port is None or self._text is not None:
            return
        settings = options.settings
        worker = str(self._runner.worker_index)
        metrics = RunMetrics(Edges(settings.buckets_s), settings.max_series, settings.max_names, worker)
        self._text = MetricsText(metrics, lambda: self._take(worker))
        drained = self._on_drain = self._recorder.on_drain

        def on_drain(delta: Delta) -> None:
            drained(delta)
            metrics.keep(delta)

        self._recorder.on_drain = on_drain
        self._recorder.on_reset = lambda: metrics.keep(self._recorder.snapshot(monotonic()))
        port = first_port + max(0, self._runner.worker_index) if first_port else 0
        self._server = serve(options.host, port, self._page, options.login, f"metrics of worker {worker}")

    def _take(self, worker: str) -> tuple[Snapshot, Live]:
        own = self._recorder.snapshot(monotonic())
        run = replace(own.run, workers=0)
        live = Live(users_present=self._runner.user_count, worker=worker)
        return replace(own, run=run, generators=(), resources=self._resources(RESOURCES_S).resources), live

    def _page(self, accept: str) -> Page:
        assert self._text is not None
        text = self._text.get(openmetrics=is_openmetrics(accept))
        return Page(text.body, content_type(accept), _leave)

    @property
    def port(self) -> int | None:
        """The one that is listened on."""
        return None if self._server is None else self._server.port

    def close(self) -> None:
        """Idempotent."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._text is not None:
            self._text.close()
            self._text = None
            assert self._on_drain is not None
            self._recorder.on_drain, self._recorder.on_reset = self._on_drain, _leave


def _leave() -> None:
    pass
