"""`plugin.exporter`: the metrics of a run and of a worker, over real sockets and in the web UI."""

from __future__ import annotations

from locust.env import Environment
from locust.event import Events

import gc
import logging
import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, thread_time
from typing import Any

import gevent
import pytest
import requests
from prometheus_client import generate_latest

from locust_ext.core.accounting import Recorder
from locust_ext.errors import ConfigError
from locust_ext.model import Snapshot
from locust_ext.outputs.metrics import Edges, Live, RunMetrics
from locust_ext.plugin import exporter as module, metrics_text
from locust_ext.plugin.exporter import (
    Exporter,
    ExporterOptions,
    exporter_options,
    limits_given,
    port_of,
)
from locust_ext.plugin.webui.routes import Routes
from locust_ext.plugin.worker_exporter import WorkerExporter
from locust_ext.runtime.metrics_server import PASSWORD, USER, Login
from locust_ext.settings import ExporterSettings, load_settings
from tests.outputs.prometheus import Scraped, assert_promtool_takes
from tests.outputs.test_prometheus_metrics import crowded
from tests.peers import eventually
from tests.plugin.webui.fakes import web_ui

OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0"}


class Counted:
    """A recorder with a run, and how often its snapshot was taken."""

    def __init__(self, recorder: Recorder | None = None) -> None:
        self.recorder = recorder or Recorder()
        if recorder is None:
            self.recorder.begin("run1", monotonic())
            self.recorder.operation("WS", "ask", 1000, 5)
        self.snapshots = 0

    def take(self) -> Snapshot:
        self.snapshots += 1
        return self.recorder.snapshot(monotonic())


@contextmanager
def exporting(counted: Counted, **more: Any) -> Iterator[Exporter]:
    environment = Environment(events=Events())
    environment.create_local_runner()
    exporter = Exporter(environment, counted.recorder, counted.take)
    exporter.open(ExporterOptions(port=0, **more))
    try:
        yield exporter
    finally:
        exporter.close()
        assert environment.runner is not None
        environment.runner.greenlet.kill()


def scrape(exporter: Exporter | WorkerExporter, **more: Any) -> requests.Response:
    return requests.get(f"http://127.0.0.1:{exporter.port}/metrics", timeout=30, **more)


# ── the port ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_scrape_gets_the_figures_of_the_run_with_the_users_of_the_process(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), exporting(Counted()) as exporter:
        exporter.rate_wanted = lambda: 250.0
        described = {"name": "slow", "warning": None, "critical": None, "low_critical": "< 5"}
        exporter.rules = lambda: limits_given([described])
        answer = scrape(exporter)
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        scraped = Scraped(answer.text)
        assert scraped.of("locust_ext_requests_total", name="ask", outcome="ok") == 1
        assert scraped.of("locust_ext_users_wanted") == scraped.of("locust_ext_users_present") == 0
        assert scraped.of("locust_ext_target_rate_per_second") == 250
        assert scraped.by("locust_ext_alerts", "severity", rule="slow", state="firing") == {"critical": 0}
        assert_promtool_takes(answer.text)
        assert f"Metrics for Prometheus: http://127.0.0.1:{exporter.port}/metrics" in caplog.text
        assert "password" not in caplog.text, "on loopback none is needed"


def test_openmetrics_is_for_those_who_ask_for_it() -> None:
    with exporting(Counted()) as exporter:
        answer = scrape(exporter, headers=OPENMETRICS)
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        assert Scraped(answer.text, openmetrics=True).of("locust_ext_requests_total", name="ask", outcome="ok") == 1
        assert scrape(exporter).headers["Content-Type"].startswith("text/plain")


def test_scrapes_within_a_second_and_all_at_a_time_cost_one_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted()
    with exporting(counted) as exporter:
        answers = [gevent.spawn(scrape, exporter) for _ in range(10)]
        gevent.joinall(answers)
        assert {answer.value.text for answer in answers} == {scrape(exporter).text}
        assert counted.snapshots == 1
        monkeypatch.setattr(metrics_text, "FRESH_S", 0.0)
        scrape(exporter)
        assert counted.snapshots == 2


def test_without_scrapes_nothing_is_worked_out() -> None:
    counted = Counted()
    with exporting(counted):
        gevent.sleep(0.05)
        assert counted.snapshots == 0


def test_fault_29_a_port_that_is_taken_is_one_error_and_the_run_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    with exporting(Counted()) as exporter:
        taken = exporter.port
        environment = Environment(events=Events())
        second = Exporter(environment, Recorder(), Snapshot)
        with caplog.at_level(logging.WARNING):
            second.open(ExporterOptions(port=taken))
        assert [each.getMessage() for each in caplog.records] == [
            f"No metrics for Prometheus: 127.0.0.1:{taken} cannot be listened on: address already in use. "
            "The run goes on without them."
        ]
        assert second.port is None
        second.linger()
        second.close()
        assert scrape(exporter).status_code == 200


def test_a_host_that_is_not_ours_is_one_error(caplog: pytest.LogCaptureFixture) -> None:
    environment = Environment(events=Events())
    for host in ("192.0.2.1", "no.such.host.invalid"):
        exporter = Exporter(environment, Recorder(), Snapshot)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            exporter.open(ExporterOptions(port=0, host=host))
        assert len(caplog.records) == 1
        assert f"No metrics for Prometheus: {host}:0 cannot be listened on" in caplog.text
        exporter.close()


def test_a_password_can_be_asked_for_and_is_advised_where_others_can_reach_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with exporting(Counted(), login=Login("prom", "secret")) as exporter:
        assert scrape(exporter).status_code == 401
        assert scrape(exporter, auth=("prom", "secret")).status_code == 200
    with caplog.at_level(logging.WARNING), exporting(Counted(), host="0.0.0.0"):
        assert "can read the run's metrics" in caplog.text


def test_closing_gives_the_port_back_and_leaves_the_recorder_alone() -> None:
    counted = Counted()
    with exporting(counted) as exporter:
        port = exporter.port
    exporter.close()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5)
    counted.recorder.reset(monotonic())
    assert counted.snapshots == 0


def test_a_reset_between_two_scrapes_takes_nothing_from_the_counters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_text, "FRESH_S", 0.0)
    counted = Counted()
    with exporting(counted) as exporter:
        scrape(exporter)
        counted.recorder.operation("WS", "ask", 1000, 5)
        counted.recorder.reset(monotonic())
        counted.recorder.operation("WS", "ask", 1000, 5)
        assert Scraped(scrape(exporter).text).of("locust_ext_requests_total", name="ask", outcome="ok") == 3


def test_the_registry_is_for_code_that_wants_the_families() -> None:
    with exporting(Counted()) as exporter:
        assert exporter.registry is not None
        text = generate_latest(exporter.registry).decode()
        assert Scraped(text).of("locust_ext_requests_total", name="ask", outcome="ok") == 1


def test_fault_30_10_000_series_do_not_hold_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """CPU time: what other processes take from us is not the exporter's."""
    monkeypatch.setattr(metrics_text, "FRESH_S", 0.0)
    counted = Counted(crowded(names=500))
    with exporting(counted) as exporter:
        for _ in range(2):
            assert exporter._text is not None
            making = gevent.spawn(exporter._text.get, openmetrics=False)
            longest_s, turns = 0.0, 0
            before_s = thread_time()
            while not making.ready():
                gevent.sleep(0.0001)
                now_s = thread_time()
                longest_s, before_s, turns = max(longest_s, now_s - before_s), now_s, turns + 1
            assert making.value.body.count(b"\n") > 5_000
            assert longest_s < 0.02
            assert turns > 10


def test_a_failure_is_answered_and_the_next_scrape_tries_again() -> None:
    counted = Counted()
    broken = [True]

    def take() -> Snapshot:
        if broken:
            raise RuntimeError("a bug")
        return counted.take()

    environment = Environment(events=Events())
    exporter = Exporter(environment, counted.recorder, take)
    exporter.open(ExporterOptions(port=0))
    try:
        assert scrape(exporter).status_code == 500
        broken.clear()
        assert scrape(exporter).status_code == 200
    finally:
        exporter.close()


# ── the web UI ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_web_ui_has_the_same_figures_also_without_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["locust"])  # Locust's UI parses it
    ui = web_ui("/load")
    counted = Counted()
    exporter = Exporter(ui.environment, counted.recorder, counted.take)
    exporter.open(ExporterOptions())
    Routes(ui).add("metrics", exporter.web_answer)
    client = ui.app.test_client()  # type: ignore[union-attr]
    answer = client.get("/load/ext/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert Scraped(answer.text).of("locust_ext_requests_total", name="ask", outcome="ok") == 1
    assert client.get("/load/ext/metrics", headers=OPENMETRICS).text.endswith("# EOF\n")
    assert exporter.port is None
    exporter.close()
    assert client.get("/load/ext/metrics").status_code == 404


# ── the end of a run ──────────────────────────────────────────────────────────────────────────────────────────────────


def lingered_s(exporter: Exporter) -> float:
    begun_s = monotonic()
    exporter.linger()
    return monotonic() - begun_s


def test_the_end_waits_until_the_final_figures_were_scraped_too() -> None:
    counted = Counted()
    with exporting(counted) as exporter:
        scrape(exporter)
        counted.recorder.operation("WS", "ask", 1000, 5)
        lingering = gevent.spawn(lingered_s, exporter)
        gevent.sleep(0.2)
        assert not lingering.ready()
        final = Scraped(scrape(exporter).text)
        assert final.of("locust_ext_requests_total", name="ask", outcome="ok") == 2, "no text of before"
        eventually(lingering.ready)
        assert lingered_s(exporter) < 0.05, "they were"


def test_the_end_does_not_wait_where_nobody_scraped_or_the_final_figures_were() -> None:
    counted = Counted()
    with exporting(counted) as exporter:
        assert lingered_s(exporter) < 0.05
        counted.recorder.end(monotonic())
        assert "locust_ext_run_complete 1.0" in scrape(exporter).text
        assert lingered_s(exporter) < 0.05


def test_the_end_waits_no_longer_than_it_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with exporting(Counted(), settings=ExporterSettings(linger_s=0.3)) as exporter:
        scrape(exporter)
        assert 0.25 < lingered_s(exporter) < 3
        assert "Nobody scraped the final metrics within 0 s" in caplog.text
    with exporting(Counted(), settings=ExporterSettings(linger_s=0)) as exporter:
        scrape(exporter)
        assert lingered_s(exporter) < 0.05


def test_impatience_ends_the_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    with exporting(Counted()) as exporter:
        scrape(exporter)
        monkeypatch.setattr(module, "ends_by_s", lambda: monotonic() - 1)
        assert lingered_s(exporter) < 0.5


# ── what was asked for ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_options_come_from_flags_settings_and_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, USER, "prom")
    monkeypatch.setitem(os.environ, PASSWORD, "secret")
    settings = ExporterSettings(max_names=7)
    asked = exporter_options(Namespace(ext_metrics_port="9646", ext_metrics_host="::1"), settings)
    assert asked == ExporterOptions(9646, "::1", Login("prom", "secret"), settings)
    assert exporter_options(Namespace(), settings).port is None
    assert exporter_options(Namespace(ext_worker_metrics="0"), settings, "ext_worker_metrics").port == 0
    assert exporter_options(Namespace(ext_metrics_host=None), settings).host == "127.0.0.1"


@pytest.mark.parametrize("given", ["x", "-1", "65536", "1.5"])
def test_what_is_no_port_is_refused_before_the_run(given: str) -> None:
    with pytest.raises(ConfigError, match="--ext-worker-metrics: expected a port from 1 to 65535, or 0 for a free one"):
        port_of(Namespace(ext_worker_metrics=given), "ext_worker_metrics")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("buckets_s: [1, 0.5]", r"exporter.buckets_s: expected 1 to 40 seconds in ascending order"),
        ("buckets_s: []", r"exporter.buckets_s: expected 1 to 40 seconds in ascending order"),
        ("buckets_s: [0.1, x]", r"exporter.buckets_s\[1\]: expected a number"),
        ("max_series: 10", r"exporter.max_series: expected a number of at least 1000 \(got 10\)"),
        ("max_serie: 10", r"exporter.max_serie: unknown key, .* did you mean 'max_series'"),
    ],
)
def test_settings_that_make_no_sense_are_refused_before_the_run(tmp_path: Path, given: str, said: str) -> None:
    (tmp_path / "settings.yaml").write_text(f"exporter: {{{given}}}")
    with pytest.raises(ConfigError, match=said):
        load_settings(tmp_path / "settings.yaml")


def test_the_buckets_are_those_of_the_settings() -> None:
    with exporting(Counted(), settings=ExporterSettings(buckets_s=(0.01, 0.1))) as exporter:
        buckets = Scraped(scrape(exporter).text).by("locust_ext_request_duration_seconds_bucket", "le", name="ask")
        assert buckets == {"0.01": 1, "0.1": 1, "+Inf": 1}


def test_no_full_collection_falls_into_the_making_of_a_text_and_all_is_as_before_afterwards() -> None:
    seen: list[bool] = []
    metrics = RunMetrics(Edges(ExporterSettings().buckets_s), 10_000, 200)

    def take() -> tuple[Snapshot, Live]:
        seen.append(gc.isenabled())
        return Snapshot(), Live()

    text = metrics_text.MetricsText(metrics, take)
    text.get(openmetrics=False)
    assert (seen, gc.isenabled()) == ([False], True)
    gc.disable()
    try:
        text.forget()
        text.get(openmetrics=False)
        assert not gc.isenabled(), "somebody else's choice stays"
    finally:
        gc.enable()
