"""Users that take their time to leave: however the run ends and whoever made the load, what they still do is counted."""

from __future__ import annotations

import signal
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from tests.e2e.runs import Locust, assert_balanced, assert_same_counts, free_port, headless, server
from tests.e2e.test_honesty import locustfile

pytestmark = pytest.mark.e2e

USERS = 6
SLOW = (
    "    def on_stop(self):\n"
    "        import gevent\n"
    "        gevent.sleep(1.0)\n"
    "        self.ws.request({'type': 'ping'}, name='last')\n"
)


def post(base: str, action: str, **form: str) -> None:
    data = urllib.parse.urlencode(form).encode() if form else b""
    urllib.request.urlopen(urllib.request.Request(base + action, data=data, method="POST"), timeout=20).read()


def begin(folder: Path, mode: str, arguments: list[str]) -> tuple[Locust, list[Locust]]:
    """The process that has the report, and separate workers."""
    path = locustfile(folder, more=SLOW)
    port = str(free_port())
    if mode == "one process":
        return Locust(*arguments, folder=folder, locustfile=path), []
    bind = ["--master-bind-host", "127.0.0.1", "--master-bind-port", port]
    if mode == "--processes 2":
        more = ["--processes", "2", "--master-port", port, *bind]
        return Locust(*arguments, *more, folder=folder, locustfile=path), []
    workers = [
        Locust("--worker", "--master-host", "127.0.0.1", "--master-port", port, folder=folder, locustfile=path)
        for _ in range(2)
    ]
    master = ["--master", "--expect-workers", "2", *bind]
    return Locust(*arguments, *master, folder=folder, locustfile=path), workers


def wait_for_web(base: str) -> None:
    until_s = time.monotonic() + 20
    while time.monotonic() < until_s:
        try:
            urllib.request.urlopen(base, timeout=5).read()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the web UI did not answer")


def wait_for_users(run: Locust) -> None:
    run.wait_for("All users spawned")
    time.sleep(1.0)  # not for safety: the users are to be in the middle of something


@pytest.mark.parametrize("mode", ["one process", "--processes 2", "separate workers"])
@pytest.mark.parametrize("end", ["Ctrl-C", "SIGTERM", "--run-time"])
def test_what_slow_on_stops_do_is_in_the_report(tmp_path: Path, end: str, mode: str) -> None:
    with server() as target:
        arguments = headless(USERS, 4 if end == "--run-time" else 60, "--host", target.url)
        run, workers = begin(tmp_path, mode, arguments)
        wait_for_users(run)
        if end != "--run-time":
            # As a terminal does: to all processes of the group; a service manager, to the first.
            run.signal(signal.SIGINT if end == "Ctrl-C" else signal.SIGTERM, to_group=end == "Ctrl-C")
        finished = run.finish(30)
        for worker in workers:
            worker.finish(15)
        counters = target.counters()
    assert "Traceback" not in finished.output
    assert_balanced(finished)
    assert_same_counts(finished, counters)
    assert {each["name"]: each["ok"] for each in finished.operations("WS")}["last"] == USERS
    assert finished.summary["run"]["complete"]
    assert finished.summary["run"]["valid"], finished.summary["run"]


@pytest.mark.parametrize("mode", ["one process", "--processes 2", "separate workers"])
def test_the_stop_button_waits_for_slow_on_stops_and_the_next_run_is_whole_too(tmp_path: Path, mode: str) -> None:
    port = free_port()
    with server() as target:
        web = ["--web-host", "127.0.0.1", "--web-port", str(port), "--host", target.url, "--ext-report-dir", "out"]
        run, workers = begin(tmp_path, mode, web)
        run.wait_for("Starting web interface")
        base = f"http://127.0.0.1:{port}"
        wait_for_web(base)
        if mode != "one process":
            until_s = time.monotonic() + 20
            while run.log.read_text().count("connected") < 2 and time.monotonic() < until_s:
                time.sleep(0.05)
        sent = []
        for number in (1, 2):
            post(base, "/swarm", user_count=str(USERS), spawn_rate=str(USERS), host=target.url)
            until_s = time.monotonic() + 20
            while run.log.read_text().count("All users spawned") < number and time.monotonic() < until_s:
                time.sleep(0.02)
            time.sleep(1.0)  # not for safety: some load
            post(base, "/stop")
            until_s = time.monotonic() + 20
            while len(list((tmp_path / "out").glob("*/summary.json"))) < number and time.monotonic() < until_s:
                time.sleep(0.05)
        counters = target.counters()
        run.signal(signal.SIGTERM)
        finished = run.finish(30)
        for worker in workers:
            worker.finish(15)
    reports = sorted((tmp_path / "out").glob("*/summary.json"))
    assert len(reports) == 2
    for report in reports:
        finished.folder = report.parent
        assert_balanced(finished)
        assert {each["name"]: each["ok"] for each in finished.operations("WS")}["last"] == USERS
        assert finished.summary["run"]["complete"]
        sent.append(finished.summary["message_metrics"]["messages_sent"])
    assert sum(sent) == counters["messages_received"]
    assert "Traceback" not in finished.output
