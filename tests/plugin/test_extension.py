"""`install`, `attach` and `Extension.close`: importing does nothing, installing is a call, closing undoes it."""

from __future__ import annotations

from locust import constant, task
from locust.env import Environment
from locust.event import Events

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import gevent
import pytest

from locust_ext.errors import ConfigError, TargetUnavailable
from locust_ext.plugin.extension import Extension, attach, extension_of
from locust_ext.plugin.users.agent import AgentUser


def user_class() -> Any:
    class Asker(AgentUser):
        host = "embedded"
        wait_time = constant(0.05)

        @task
        def ask(self) -> None:
            self.ws.request({"type": "ping"})

    return Asker


@pytest.fixture
def environment() -> Iterator[Environment]:
    made = Environment(user_classes=[user_class()], events=Events())
    made.create_local_runner()
    yield made
    if (extension := extension_of(made)) is not None:
        extension.close()


def listeners(environment: Environment) -> dict[str, int]:
    return {name: len(hook._handlers) for name, hook in vars(environment.events).items() if hasattr(hook, "_handlers")}


def eventually(condition: Any, within_s: float = 10.0) -> None:
    until_s = monotonic() + within_s
    while not condition():
        assert monotonic() < until_s
        gevent.sleep(0.01)


def test_importing_registers_nothing_and_install_registers_once() -> None:
    code = """
import locust_ext
from locust import events
before = len(events.init._handlers), len(events.quit._handlers), len(events.init_command_line_parser._handlers)
from locust_ext import WebSocketUser
assert before == (len(events.init._handlers), len(events.quit._handlers), len(events.init_command_line_parser._handlers))
locust_ext.install()
after = len(events.init._handlers)
locust_ext.install()
assert len(events.init._handlers) == after == before[0] + 1, (before, after)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_run_from_code_gives_a_snapshot_figures_and_a_report(environment: Environment, tmp_path: Path) -> None:
    extension = attach(environment, ext_report_dir=str(tmp_path / "out"))
    assert isinstance(extension, Extension)
    assert attach(environment) is extension
    runner = environment.runner
    assert runner is not None
    runner.start(3, spawn_rate=3)
    eventually(lambda: extension.snapshot().traffic.messages_received >= 20)
    assert extension.stats()["connection_metrics"]["successful_connections"] == 3
    eventually(lambda: extension.series("messages_per_second_received", 60))
    assert all(value > 0 for _, value in extension.series("open_connections", 60)[1:])
    with pytest.raises(ConfigError, match="did you mean 'p95_ms'"):
        extension.series("p95ms", 60)
    runner.stop()
    snapshot = extension.snapshot()
    assert snapshot.run.complete
    (ping,) = [each for each in snapshot.operations if each.type == "WS"]
    assert (ping.name, ping.failures, ping.in_flight) == ("ping", 0, 0)
    assert ping.ok + ping.cancelled == snapshot.traffic.messages_sent
    assert (tmp_path / "out" / "summary.json").exists()


def test_close_undoes_everything_and_may_be_called_twice(environment: Environment) -> None:
    before = listeners(environment)
    (chosen,) = environment.user_classes
    extension = attach(environment)
    assert chosen.host is not None
    assert chosen.host.startswith("http://127.0.0.1:")
    server = extension._target._server
    assert server is not None
    process = server._process
    extension.close()
    extension.close()
    assert listeners(environment) == before
    assert chosen.host == "embedded"
    assert process.poll() is not None
    assert extension_of(environment) is None


def test_a_second_run_starts_from_zero_and_has_an_id_of_its_own(environment: Environment) -> None:
    extension = attach(environment)
    runner = environment.runner
    assert runner is not None
    seen: list[str] = []
    for _ in range(2):
        runner.start(2, spawn_rate=2)
        eventually(lambda: extension.snapshot().run.id not in ("", *seen))
        eventually(lambda: extension.snapshot().traffic.messages_received >= 5)
        runner.stop()
        snapshot = extension.snapshot()
        seen.append(snapshot.run.id)
        assert snapshot.connects_ok == 2
    assert seen[0] != seen[1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ext_profiles": ["nobody:1"]}, "unknown profile"),
        ({"ext_agent_host": "here"}, "expected an address with its scheme"),
        ({"ext_report_dir": "/proc/nowhere"}, "expected a folder that can be written to"),
        ({"ext_sink": ["jsonl=/proc/nowhere"]}, "expected a file that can be written to"),
    ],
)
def test_wrong_options_are_refused_and_leave_nothing(
    environment: Environment, options: dict[str, Any], said: str
) -> None:
    before = listeners(environment)
    with pytest.raises(ConfigError, match=said):
        attach(environment, **options)
    assert listeners(environment) == before
    assert extension_of(environment) is None


def test_a_target_that_does_not_answer_is_named(environment: Environment) -> None:
    environment.host = "http://127.0.0.1:1"
    begun_s = monotonic()
    with pytest.raises(
        TargetUnavailable, match=r"http://127\.0\.0\.1:1: no answer within 0\.5 s \(connection refused\)"
    ):
        attach(environment, ext_wait_for_target="0.5")
    assert monotonic() - begun_s < 5


def test_an_embedded_server_that_cannot_start_says_why(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(TargetUnavailable, match="the embedded reference server: "):
        attach(environment)
