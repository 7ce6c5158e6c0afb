"""`plugin.monitoring` and `plugin.alerting` in one process: with a run and without one, from code."""

from __future__ import annotations

from locust import constant, task
from locust.env import Environment
from locust.event import Events

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import gevent
import pytest
from gevent.pywsgi import WSGIServer

from locust_ext.errors import ConfigError
from locust_ext.model import ResourceStats, Snapshot
from locust_ext.plugin.extension import Extension, attach, extension_of
from locust_ext.plugin.users.agent import AgentUser
from tests.e2e.runs import Server


def user_class(host: str | None) -> Any:
    class Asker(AgentUser):
        wait_time = constant(0.02)

        @task
        def ask(self) -> None:
            self.ws.request({"type": "ping"})

    Asker.host = host
    return Asker


@pytest.fixture
def environment(server: Server) -> Iterator[Environment]:
    made = Environment(user_classes=[user_class(server.url)], events=Events())
    made.create_local_runner()
    yield made
    made.runner.quit()  # type: ignore[union-attr]
    if (extension := extension_of(made)) is not None:
        extension.close()


def eventually(condition: Any, within_s: float = 10.0) -> Any:
    until_s = monotonic() + within_s
    while not (found := condition()):
        assert monotonic() < until_s
        gevent.sleep(0.01)
    return found


def rules(folder: Path, text: str) -> str:
    file = folder / "rules.yaml"
    file.write_text(text)
    return str(file)


def of_side(snapshot: Snapshot, side: str) -> ResourceStats | None:
    return next((each for each in snapshot.resources if each.side == side), None)


def events(extension: Extension) -> list[tuple[str, str, str]]:
    return [(each.rule, each.severity, each.state) for each in extension.snapshot().alert_events]


def test_the_monitor_watches_without_a_run_and_start_and_stop_may_be_repeated(environment: Environment) -> None:
    extension = attach(environment, ext_monitor_interval="0.1", ext_target_pid=str(os.getpid()))
    monitor = extension.monitor
    assert (monitor.is_running, monitor.interval_s) == (True, 0.1)
    own = eventually(lambda: of_side(monitor.window(5), "generator"))
    assert own.value("memory_bytes") > 10e6
    lag_ms = eventually(lambda: (found := of_side(monitor.window(5), "generator")) and found.value("loop_lag_p99_ms"))
    assert 0 < lag_ms < 1000
    assert own.limits["descriptors_limit"] > 100
    target = eventually(lambda: of_side(monitor.window(5), "target"))
    assert (target.source, target.value("processes") >= 1) == (f"pid {os.getpid()}", True)
    for _ in range(3):
        monitor.stop()
        assert not monitor.is_running
        monitor.stop()
        monitor.start()
        monitor.start()
        assert monitor.is_running
    count = sum(figures.count for figures in own.figures)
    eventually(lambda: sum(f.count for f in of_side(monitor.window(60), "generator").figures) > count)  # type: ignore[union-attr]


def test_a_monitor_that_was_stopped_stays_so_over_the_start_of_a_run(environment: Environment) -> None:
    extension = attach(environment, ext_monitor_interval="0.1")
    extension.monitor.stop()
    runner = environment.runner
    assert runner is not None
    runner.start(1, spawn_rate=1)
    eventually(lambda: extension.snapshot().finished > 5)
    assert not extension.monitor.is_running
    assert extension.snapshot().resources == ()
    extension.monitor.start()
    eventually(lambda: of_side(extension.snapshot(), "generator"))
    runner.stop()


def test_what_was_read_in_a_run_is_in_its_snapshot_and_stands_still_with_its_end(environment: Environment) -> None:
    extension = attach(environment, ext_monitor_interval="0.1")
    runner = environment.runner
    assert runner is not None
    runner.start(2, spawn_rate=2)
    eventually(lambda: (found := of_side(extension.snapshot(), "generator")) and found.value("cpu_percent"))
    runner.stop()
    at_end = of_side(extension.snapshot(), "generator")
    assert at_end is not None
    assert all(sample.at_s <= extension.snapshot().run.duration_s + 0.2 for sample in at_end.samples)
    eventually(lambda: len(extension.monitor.stats()[0].samples) > len(at_end.samples))
    assert of_side(extension.snapshot(), "generator") == at_end


def test_rules_are_judged_without_a_run_and_answer_to_code(
    environment: Environment, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = rules(tmp_path, "rules: [{name: memory, metric: generator.memory_bytes, window: 1s, critical: 1MB}]")
    extension = attach(environment, ext_monitor_interval="0.1", ext_rules=given)
    with caplog.at_level(logging.INFO, "locust_ext"):
        eventually(lambda: ("memory", "critical", "firing") in events(extension))
        (alert,) = extension.snapshot().alerts
        assert (alert.rule, alert.state, alert.limit) == ("memory", "firing", "> 1 MB")
        assert extension.acknowledge(alert.id)
        assert not extension.acknowledge(alert.id)
        assert not extension.acknowledge(999)
        assert extension.snapshot().alerts[0].state == "acknowledged"
        with pytest.raises(ConfigError, match="expected a limit such as > 500MB"):
            extension.set_threshold("memory", "critical", "> 5 ms")
        extension.set_threshold("memory", "critical", "> 1 TB")
        eventually(lambda: extension.snapshot().alerts[0].state == "resolved")
    assert events(extension) == [
        ("memory", "critical", "firing"),
        ("memory", "critical", "acknowledged"),
        ("memory", "critical", "resolved"),
    ]
    said = [(record.levelno, record.getMessage()) for record in caplog.records if "Alert" in record.getMessage()]
    assert [level for level, _ in said] == [logging.ERROR, logging.INFO, logging.INFO]


def test_a_run_begins_without_the_alerts_of_the_time_before_and_keeps_its_own(
    environment: Environment, tmp_path: Path
) -> None:
    given = rules(
        tmp_path,
        """
rules:
  - {name: memory, metric: generator.memory_bytes, window: 1s, warning: 1MB}
  - {name: busy, metric: rate, window: 1s, critical: "> 1/s"}
  - {name: quiet, metric: rate, window: 1s, low_warning: "< 1/s"}
""",
    )
    extension = attach(environment, ext_monitor_interval="0.1", ext_rules=given)
    eventually(lambda: ("memory", "warning", "firing") in events(extension))
    runner = environment.runner
    assert runner is not None
    runner.start(2, spawn_rate=2)
    eventually(lambda: ("busy", "critical", "firing") in events(extension))
    runner.stop()
    snapshot = extension.snapshot()
    assert {each.name: each.outcome for each in snapshot.rules} == {
        "memory": "warned",
        "busy": "failed",
        "quiet": "passed",
    }
    assert [each.rule for each in snapshot.alerts].count("busy") == 1
    assert [each.rule for each in snapshot.alerts if each.since_s < 0] == []
    later = extension.alerting.evaluator
    eventually(lambda: [alert.rule for alert in later.alerts] == ["memory"])
    assert extension.snapshot().rules == snapshot.rules, "what the run came to stands still"


@pytest.fixture
def hooks() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Where webhooks go to, and what came."""
    got: list[dict[str, Any]] = []

    def take(environ: Any, start_response: Any) -> list[bytes]:
        got.append(json.loads(environ["wsgi.input"].read()))
        start_response("200 OK", [("Content-Length", "0")])
        return []

    server = WSGIServer(("127.0.0.1", 0), take, log=None)
    server.start()
    yield f"http://127.0.0.1:{server.server_port}/", got
    server.stop()


def test_what_was_told_as_firing_is_told_as_resolved_when_a_run_begins_or_ends_or_the_process(
    environment: Environment,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    hooks: tuple[str, list[dict[str, Any]]],
) -> None:
    url, got = hooks
    given = rules(
        tmp_path,
        f"""
webhook: {{url: "{url}"}}
rules: [{{name: memory, metric: generator.memory_bytes, window: 1s, critical: 1MB, on_critical: [log, webhook]}}]
""",
    )
    caplog.set_level(logging.INFO, "locust_ext")
    extension = attach(environment, ext_monitor_interval="0.1", ext_rules=given)
    runner = environment.runner
    assert runner is not None
    eventually(lambda: ("memory", "critical", "firing") in events(extension))
    runner.start(1, spawn_rate=1)
    eventually(lambda: extension.alerting.describe()["is_run"])
    eventually(lambda: ("memory", "critical", "firing") in events(extension))
    runner.stop()
    assert events(extension) == [("memory", "critical", "firing")], "the run's own result is as it was at its end"
    assert [each.state for each in extension.snapshot().alerts] == ["firing"]
    eventually(lambda: [each.state for each in extension.alerting.evaluator.alerts] == ["firing"])
    extension.close()
    assert [each["state"] for each in got] == ["firing", "resolved"] * 3
    whys = [each["text"].rpartition(", ")[2] for each in got if each["state"] == "resolved"]
    assert whys == ["the run began)", "the run ended)", "the process ended)"]
    said = [record.getMessage() for record in caplog.records if record.getMessage().startswith("Alert memory: ")]
    assert [text.split()[2] for text in said] == ["critical:", "resolved:"] * 3


def test_a_critical_alert_that_records_is_a_failure_of_locusts_and_no_operation_of_ours(
    environment: Environment, tmp_path: Path
) -> None:
    given = rules(tmp_path, "rules: [{name: busy, metric: rate, window: 1s, critical: '> 1/s', record: true}]")
    extension = attach(environment, ext_rules=given)
    runner = environment.runner
    assert runner is not None
    runner.start(2, spawn_rate=2)
    eventually(lambda: ("busy", "critical", "firing") in events(extension))
    entry = runner.stats.entries["busy", "ALERT"]
    assert (entry.num_requests, entry.num_failures, entry.avg_response_time) == (1, 1, 0)
    (error,) = runner.stats.errors.values()
    assert (error.method, error.name, str(error.error)) == ("ALERT", "busy", "critical - > 1/s")
    runner.stop()
    assert [each for each in extension.snapshot().operations if each.type == "ALERT"] == []
    assert extension.snapshot().failures == 0


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("ext_monitor_interval", "0.05", "--ext-monitor-interval: expected seconds from 0.1 to 60"),
        ("ext_monitor_interval", "often", "--ext-monitor-interval: expected seconds from 0.1 to 60"),
        ("ext_target_pid", "0", "--ext-target-pid: expected"),
        ("ext_target_pid", "me", "--ext-target-pid: expected a whole number"),
        ("ext_target_port", "70000", "--ext-target-port: expected a TCP port"),
        ("ext_target_metrics", "localhost:8000", "--ext-target-metrics: expected"),
        ("ext_rules", "/nowhere.yaml", "/nowhere.yaml: the file cannot be read"),
    ],
)
def test_bad_input_is_told_by_its_flag(environment: Environment, option: str, value: str, expected: str) -> None:
    with pytest.raises(ConfigError) as raised:
        attach(environment, **{option: value})
    assert str(raised.value).startswith(expected)


def test_a_context_server_is_watched_by_its_own_figures(environment: Environment, server: Server) -> None:
    extension = attach(environment, ext_monitor_interval="0.2", ext_target_metrics=f"{server.url}/ctx/all")
    target = eventually(lambda: of_side(extension.monitor.window(5), "target"))
    assert target.source == "context"
    assert target.value("connected_clients") == 0
    assert target.value("context_keys") >= 0


def test_a_prometheus_endpoint_is_watched_with_the_names_that_the_settings_select(
    environment: Environment, server: Server, tmp_path: Path
) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text("monitor: {interval_s: 0.2, target_metrics: [refserver_context_keys]}\n")
    extension = attach(environment, ext_config=str(settings), ext_target_metrics=f"{server.url}/metrics")
    assert extension.monitor.interval_s == 0.2
    target = eventually(lambda: of_side(extension.monitor.window(5), "target"))
    assert target.source == "metrics"
    assert target.value("memory_bytes") > 10e6
    assert target.value("refserver_context_keys") >= 0


def test_what_rules_name_of_the_endpoint_is_read_without_being_selected(
    environment: Environment, server: Server, tmp_path: Path
) -> None:
    given = rules(
        tmp_path,
        """
rules:
  - {name: keys, metric: target.refserver_context_keys, window: 2s, critical: 1000}
  - {name: requests, metric: target.refserver_http_requests_per_second, window: 2s, low_critical: "< 0.001/s"}
""",
    )
    extension = attach(
        environment, ext_monitor_interval="0.2", ext_rules=given, ext_target_metrics=f"{server.url}/metrics"
    )
    evaluator = extension.alerting.evaluator
    eventually(lambda: all(each["values"] for each in evaluator.describe()))
    told = [(each["name"], each["values"][0]["text"]) for each in evaluator.describe()]
    keys = len(server._ask("GET", "/ctx/all")["context"])
    assert told[0] == ("keys", str(keys)), "whatever other tests have left there"
    assert told[1] == ("requests", "0/s"), "its own scrapes are none of its requests"


def test_a_rule_that_names_no_series_is_refused_where_an_endpoint_is_read(
    environment: Environment, server: Server, tmp_path: Path
) -> None:
    given = rules(tmp_path, "rules: [{name: a, metric: target.queue-depth, critical: 5}]")
    with pytest.raises(ConfigError) as raised:
        attach(environment, ext_rules=given, ext_target_metrics=f"{server.url}/metrics")
    assert str(raised.value).startswith(f"{given}: metric: expected target. and the name of a series")
