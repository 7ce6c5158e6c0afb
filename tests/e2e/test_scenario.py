"""`locustfiles/scenario.py`: user classes of every kind from a YAML file, in one process and with workers."""

from __future__ import annotations

import signal
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.e2e.runs import (
    ROOT,
    Finished,
    Locust,
    assert_balanced,
    assert_same_counts,
    free_port,
    run_distributed,
    run_local,
    server,
)

pytestmark = pytest.mark.e2e

SCENARIO = ROOT / "locustfiles" / "scenario.py"

EVERY_KIND = """
run: {users: 13, spawn_rate: 13, run_time: 2s, stop_timeout: 5}
users:
  Crowd: {kind: agent, generator: {mixed: {ping: 1, query: 1}}, think_time: 0.05, fixed_count: 3}
  Echo:
    kind: websocket
    path: /echo
    correlate: fifo
    generator: {template: {templates: [{type: hello, number: "{seq}"}]}}
    pacing: {open_loop: 20}
    weight: 2
  Chat:
    kind: socketio
    confirm: {context_set: [context_set_confirmed, [key, value]]}
    generator: {template: {templates: [{name: context_set, body: {key: "{user}", value: "{seq}"}}]}}
    think_time: [0.05, 0.1]
    headers: {X-Test: SECRET-header}
  Reader: {kind: context, generator: context_ops, think_time: 0.1, token: SECRET-token, prepared_entries: 5}
  Person: {kind: realistic, fixed_count: 2}
  Nobody: {kind: agent, generator: event, weight: 0}
"""


def written(folder: Path, text: str, name: str = "s.yaml") -> str:
    (folder / name).write_text(text)
    return name


def arguments(config: str, *more: str) -> list[str]:
    common = ["--headless", "--only-summary", "--loglevel", "DEBUG"]
    return [*common, "--ext-config", config, "--ext-report-dir", "out", *more]


def check_no_secret(folder: Path) -> None:
    """In no log (at its most talkative) and no report."""
    written = [each for each in folder.rglob("*") if each.is_file() and each.suffix not in (".py", ".pyc", ".yaml")]
    assert any(each.suffix == ".log" for each in written)
    assert [each.name for each in written if b"SECRET" in each.read_bytes()] == []


def check_every_kind(finished: Finished) -> None:
    assert finished.code == 0, finished.output
    assert "Traceback" not in finished.output
    assert_balanced(finished)
    started = {f"{each['type']} {each['name']}": each["started"] for each in finished.operations()}
    for name in ("WS ping", "WS hello", "SIO context_set", "GET /ctx", "CONNECT /echo", "CONNECT /socket.io/"):
        assert started[name] > 0, started
    assert started["CONNECT /echo"] == 4  # weight 2 of 4, of the 8 users that no fixed_count has taken
    assert finished.summary["run"]["users"] == 13


@pytest.mark.parametrize("how", ["one process", "processes", "workers"])
def test_users_of_every_kind_talk_and_the_server_counts_what_they_count(tmp_path: Path, how: str) -> None:
    config = written(tmp_path, EVERY_KIND)
    with server() as target:
        given = arguments(config, "--host", target.url)
        if how == "processes":
            port = str(free_port())
            given += ["--processes", "2", "--master-bind-host", "127.0.0.1", "--master-bind-port", port]
            given += ["--master-port", port]
        if how == "workers":
            env = {"LOCUST_EXT_CONFIG": config}
            finished = run_distributed(tmp_path, *given, locustfile=SCENARIO, env=env)
        else:
            finished = run_local(tmp_path, *given, locustfile=SCENARIO)
        counters = target.counters()
    check_every_kind(finished)
    check_no_secret(tmp_path)
    counters["http_requests"] -= 5  # the prepared entries are in no figure
    assert_same_counts(finished, counters)


def refused(finished: Finished) -> str:
    """The one line, of a process that has not begun anything."""
    assert finished.code == 1
    assert "Traceback" not in finished.output
    assert "Starting Locust" not in finished.output
    (line,) = finished.output.splitlines()
    assert line.startswith("locust-ext: error: ")
    return line.removeprefix("locust-ext: error: ")


def test_what_no_classes_can_be_made_of_is_said_in_one_line_before_anything_begins(tmp_path: Path) -> None:
    config = written(tmp_path, "users: {Crowd: {kind: agnt, token: SECRET}}")
    wrong = Locust(*arguments(config), folder=tmp_path, locustfile=SCENARIO)
    worker = Locust("--worker", folder=tmp_path, locustfile=SCENARIO)
    assert refused(wrong.finish()) == (
        "s.yaml: users.Crowd.kind: expected one of agent, websocket, socketio, context, realistic (got 'agnt'); "
        "did you mean 'agent'?"
    )
    assert refused(worker.finish()) == (
        "--ext-config: expected a YAML file with user classes, such as users: {Crowd: {kind: agent, generator: mixed}}"
    )


def page(url: str) -> str:
    """What is served there, from soon on."""
    until_s = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                text: str = answer.read().decode()
                return text
        except urllib.error.HTTPError as error:
            return error.read().decode()
        except OSError:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.05)


def test_the_web_ui_lets_choose_among_the_classes_and_shows_no_secret(tmp_path: Path) -> None:
    config, port = written(tmp_path, EVERY_KIND), str(free_port())
    run = Locust(
        *("--web-host", "127.0.0.1", "--web-port", port, "--class-picker", "--ext-config", config),
        folder=tmp_path,
        locustfile=SCENARIO,
    )
    try:
        run.wait_for("Starting web interface")
        pages = {path: page(f"http://127.0.0.1:{port}{path}") for path in ("/", "/stats/requests", "/stats/report")}
    finally:
        run.signal(signal.SIGTERM)
        finished = run.finish(30)
    assert "Traceback" not in finished.output
    for name in ("Crowd", "Echo", "Chat", "Reader", "Person"):
        assert f'"{name}"' in pages["/"]
    assert [path for path, page in pages.items() if "SECRET" in page] == []
    check_no_secret(tmp_path)


PLAIN = """
from locust import User, task

import locust_ext

locust_ext.install(run={"users": 4, "spawn_rate": 4, "run_time": "1s"})


class One(User):
    @task
    def rest(self):
        self.environment.events.request.fire(
            request_type="OWN", name="one", response_time=1, response_length=0, exception=None, context={}
        )


class Two(User):
    @task
    def rest(self):
        self.environment.events.request.fire(
            request_type="OWN", name="two", response_time=1, response_length=0, exception=None, context={}
        )
"""


def test_weights_and_think_time_of_plain_users_come_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(PLAIN)
    config = written(tmp_path, "users: {One: {fixed_count: 3, think_time: 60}, Two: {think_time: 60}}")
    finished = run_local(tmp_path, *arguments(config), locustfile=tmp_path / "plain.py")
    assert finished.code == 0, finished.output
    assert {each["name"]: each["started"] for each in finished.operations("OWN")} == {"one": 3, "two": 1}
