"""`plugin.worker_exporter`: the metrics of one worker alone, over real sockets."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from locust_ext.core.accounting import Recorder
from locust_ext.model import ResourceFigures, ResourceStats, Snapshot
from locust_ext.plugin.exporter import ExporterOptions
from locust_ext.plugin.worker_exporter import WorkerExporter
from tests.e2e.runs import free_port
from tests.outputs.prometheus import Scraped
from tests.plugin.test_exporter import Counted, exporting, scrape


def test_a_worker_tells_what_it_counted_itself_and_what_its_process_uses(caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder(worker="w")
    drained: list[str] = []
    recorder.on_drain = lambda delta: drained.append(delta.run_id)
    memory = ResourceStats("generator", "", (ResourceFigures("memory_bytes", 1, 5e7, 5e7, 5e7, 5e7, 5e7),))
    runner: Any = SimpleNamespace(worker_index=2, user_count=7)
    exporter = WorkerExporter(runner, recorder, lambda _: Snapshot(resources=(memory,)))
    with caplog.at_level(logging.INFO):
        exporter.begin(ExporterOptions(port=0))
    recorder.begin("run1", 0.0)
    try:
        for second in range(3):
            recorder.operation("WS", "ask", 1000, 5)
            recorder.drain(float(second))
        recorder.operation("WS", "ask", 1000, 5)
        exporter.begin(ExporterOptions(port=0))  # the next run: nothing new
        scraped = Scraped(scrape(exporter).text)
        assert scraped.of("locust_ext_requests_total", name="ask", outcome="ok") == 4
        assert scraped.of("locust_ext_users_present") == 7
        assert scraped.by("locust_ext_generator_memory_bytes", "worker") == {"2": 5e7}
        assert drained == ["run1"] * 3
        assert f"Metrics of worker 2: http://127.0.0.1:{exporter.port}/metrics" in caplog.text
    finally:
        exporter.close()
        exporter.close()
    recorder.drain(9.0)
    assert drained == ["run1"] * 4


def test_workers_take_ports_that_follow_one_another_and_none_unless_asked() -> None:
    recorder = Recorder(worker="w")
    runner: Any = SimpleNamespace(worker_index=1, user_count=0)
    with exporting(Counted()) as other:
        assert other.port is not None
        exporter = WorkerExporter(runner, recorder, lambda _: Snapshot())
        exporter.begin(ExporterOptions())
        assert exporter.port is None
        exporter.begin(ExporterOptions(port=other.port - 1))
        assert exporter.port is None, "port - 1 + index is the other's"
        exporter.close()
    free = free_port()
    exporter = WorkerExporter(runner, recorder, lambda _: Snapshot(), port=free - 1)
    exporter.begin(ExporterOptions())
    assert exporter.port == free, "its own command line asks for it"
    exporter.close()
