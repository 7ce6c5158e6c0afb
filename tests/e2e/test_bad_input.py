"""Bad input: one clear line that says what to do, the right exit code, no traceback, and no load."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.runs import Locust, free_port, headless, run_local, server

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--host", "foo"], "--host: expected an address with its scheme, such as http://127.0.0.1:8000 (got 'foo')"),
        (["--ext-profiles", "activ:1"], "did you mean 'active'?"),
        (["--ext-profiles", "active"], "--ext-profiles: expected NAME:SHARE, such as active:0.3 (got 'active')"),
        (["--ext-report-dir", "/proc/nowhere"], "--ext-report-dir: expected a folder that can be written to"),
        (["--ext-seed", "x"], "--ext-seed: expected a whole number (got 'x')"),
        (["--ext-agent-host", "foo"], "--ext-agent-host: expected an address with its scheme"),
        (["--ext-source-addresses", "1.2.3.4"], "--ext-source-addresses: expected addresses of this machine"),
        (["--ext-config", "missing.yaml"], "missing.yaml: the file cannot be read: No such file or directory"),
        (["--ext-warmup", "soon"], "--ext-warmup: expected seconds, more than 0 (got 'soon')"),
        (["--ext-baseline", "missing.json"], "--ext-baseline: the file cannot be read: No such file or directory"),
        (["--ext-wait-for-target", "0"], "--ext-wait-for-target: expected seconds, more than 0 (got '0')"),
        (
            ["--ext-wait-for-target", "1", "--host", "http://127.0.0.1:1"],
            "http://127.0.0.1:1: no answer within 1 s (connection refused)",
        ),
    ],
)
def test_it_is_said_before_the_run(tmp_path: Path, arguments: list[str], said: str) -> None:
    finished = run_local(tmp_path, *headless(1, 5, *arguments, report=False))
    lines = [line for line in finished.output.splitlines() if line.startswith("locust-ext: error: ")]
    assert len(lines) == 1, finished.output
    assert said in lines[0]
    assert finished.code == 1
    assert "Traceback" not in finished.output
    assert "Ramping" not in finished.output


def test_a_wrong_yaml_key_is_named_with_its_file_its_path_and_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("realistic:\n  profiles:\n    active: {shore: 0.2}\n")
    arguments = ["--headless", "-u", "1", "-t", "5s", "--ext-config", "bad.yaml"]
    finished = run_local(tmp_path, *arguments)
    assert finished.code == 1
    assert "locust-ext: error: bad.yaml: realistic.profiles.active.shore: " in finished.output
    assert "did you mean 'share'?" in finished.output
    assert "Traceback" not in finished.output


def test_forked_workers_end_with_a_master_that_refuses_its_input(tmp_path: Path) -> None:
    run = Locust(*headless(1, 5, "--processes", "2", "--ext-profiles", "nobody:1"), folder=tmp_path)
    run.wait_for("Starting Locust")
    family = run.family()
    finished = run.finish(30)
    assert finished.code == 1
    assert "locust-ext: error: --ext-profiles" in finished.output
    import psutil

    assert psutil.wait_procs(family, timeout=5)[1] == []


@pytest.mark.parametrize(
    ("host", "error_class", "advice"),
    [
        ("http://127.0.0.1:1", "refused", "nothing listens at http://127.0.0.1:1: is the server running"),
        ("http://no-such-host.invalid", "dns", "the name in http://no-such-host.invalid is not known"),
    ],
)
def test_a_target_that_is_not_there_fails_connects_without_a_storm(
    tmp_path: Path, host: str, error_class: str, advice: str
) -> None:
    finished = run_local(tmp_path, *headless(5, 5, "--host", host))
    assert finished.code == 1
    assert "Traceback" not in finished.output
    (connect,) = finished.operations("CONNECT")
    assert connect["errors"] == {error_class: connect["failed"]}
    # Full jitter from 0.5 s: five users make a handful of attempts each in five seconds, not hundreds.
    assert 5 <= connect["failed"] <= 60
    assert f"{error_class} - " in finished.output
    assert advice in " ".join(finished.output.split())


@pytest.fixture
def http_only() -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as serving:
        thread = threading.Thread(target=serving.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_address[1]}"
        serving.shutdown()


def test_a_server_that_speaks_http_only_fails_the_upgrade_with_its_status(tmp_path: Path, http_only: str) -> None:
    locustfile = tmp_path / "chat.py"
    locustfile.write_text(
        "from locust import task\nimport locust_ext\nfrom locust_ext import WebSocketUser\nlocust_ext.install()\n"
        "class Chat(WebSocketUser):\n    path = '/chat'\n    @task\n    def ask(self):\n"
        "        self.ws.request({'type': 'ping'})\n"
    )
    finished = run_local(tmp_path, *headless(2, 4, "--host", http_only), locustfile=locustfile)
    assert finished.code == 1
    assert "Traceback" not in finished.output
    (connect,) = finished.operations("CONNECT")
    assert set(connect["errors"]) == {"http_404"}
    assert "http_404 - the server answered with HTTP status 404" in finished.output
    assert "knows no WebSocket at that path" in " ".join(finished.output.split())


def test_a_failed_request_ends_its_tasks_turn_quietly_and_counts_once(tmp_path: Path) -> None:
    locustfile = tmp_path / "refused_requests.py"
    locustfile.write_text(
        "from locust import constant, task\nimport locust_ext\nfrom locust_ext import AgentUser\nlocust_ext.install()\n"
        "class Asker(AgentUser):\n    wait_time = constant(0.2)\n    @task\n    def ask(self):\n"
        "        self.ws.request({'type': 'query', 'data': {'query_type': 'nonsense'}})\n"
        "        raise SystemExit('never reached')\n"
    )
    with server() as target:
        finished = run_local(tmp_path, *headless(3, 6, "-s", "5", "--host", target.url), locustfile=locustfile)
        counters = target.counters()
    assert finished.code == 1
    assert "Traceback" not in finished.output
    assert "never reached" not in finished.output
    (query,) = finished.operations("WS")
    assert query["failed"] == query["started"] == counters["messages_received"] > 10
    assert query["errors"] == {"error_reply": query["failed"]}


def test_waiting_for_the_target_lets_a_slow_server_start(tmp_path: Path) -> None:
    import subprocess
    import sys
    import time

    port = free_port()
    run = Locust(
        *headless(3, 3, "-s", "5", "--host", f"http://127.0.0.1:{port}", "--ext-wait-for-target", "30"),
        folder=tmp_path,
    )
    run.wait_for("Starting Locust")
    time.sleep(1.0)  # not for safety: the server is late on purpose
    late = subprocess.Popen([sys.executable, "-m", "locust_ext.refserver", "--port", str(port)], stdin=subprocess.PIPE)
    try:
        finished = run.finish()
    finally:
        late.terminate()
        late.wait(10)
    assert finished.code == 0, finished.output
    assert finished.summary["error_metrics"]["total"] == 0
