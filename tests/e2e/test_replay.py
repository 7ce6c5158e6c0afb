"""What a real browser and a real run have said, said again to a real server: every recorded request is answered."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.runs import ROOT, Finished, Locust, Server, assert_balanced, free_port, run_local, server

pytestmark = pytest.mark.e2e

REPLAY = ROOT / "locustfiles" / "replay.py"
AGENT = "/api/v1/ws/{client_id}"
LIVE = "/socket.io/"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage")

ONCE = """
import os
import locust_ext
from locust_ext import AgentUser, FastSocketIOUser, messages

locust_ext.install()
recording = messages.Replay.from_har(os.environ["HAR"], url_path=os.environ["URL_PATH"], loop=False, substitute=RULES)


class Page(FastSocketIOUser if recording.is_socketio else AgentUser):
    generator = recording
"""

SECRETIVE = """
import locust_ext
from locust_ext import AgentUser, ClosedLoop

locust_ext.install()


class Secretive(AgentUser):
    path = "/api/v1/ws/{client_id}?key=SECRET-query"
    token = staticmethod(lambda user: "SECRET-token")
    headers = {"X-Key": "SECRET-header", "Cookie": "s=SECRET-cookie"}
    generator = staticmethod(lambda: {"type": "ping", "password": "SECRET-message", "x": ["SECRET-token", "SECRET-cookie"]})
    pacing = ClosedLoop(0.05)
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A HAR of the reference server's own page in a real Chromium, and what the server counted meanwhile."""
    if CHROMIUM is None:
        pytest.skip("needs chromium")
    from playwright.sync_api import sync_playwright

    har = tmp_path_factory.mktemp("har") / "page.har"
    with server() as target, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        context = browser.new_context(record_har_path=har)
        page = context.new_page()
        page.goto(target.url)
        page.wait_for_function("document.getElementById('state').textContent === 'done'", timeout=30_000)
        context.close()
        browser.close()
        counted = target.counters()
    return har, counted


def replayed(folder: Path, target: Server, har: Path, url_path: str, users: int, **rules: str) -> Finished:
    (folder / "once.py").write_text(ONCE.replace("RULES", repr(rules)))
    arguments = ["--headless", "-u", str(users), "-r", str(users), "-t", "6s", "-s", "2", "--host", target.url]
    env = {"HAR": str(har), "URL_PATH": url_path}
    run = Locust(*arguments, "--ext-report-dir", "out", folder=folder, locustfile=folder / "once.py", env=env).finish()
    assert run.code == 0, run.output
    assert_balanced(run)
    return run


def test_a_har_from_chromium_replays_with_every_request_answered(
    recorded: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """The agent channel: three users say what the page said, the server counts three times what it counted then."""
    har, page = recorded
    with server() as target:
        run = replayed(tmp_path, target, har, AGENT, users=3)
        counted = target.counters()
    said = ("ping", "subscribe", "query", "agent_command", "heartbeat")
    assert {name: page["by_type"][name] for name in said} == dict.fromkeys(said, 1)
    assert counted["by_type"] == dict.fromkeys(said, 3)
    assert counted["by_channel"]["agent"]["answered"] == 3 * page["by_channel"]["agent"]["answered"] == 15
    assert {each["name"]: (each["started"], each["ok"]) for each in run.operations("WS")} == dict.fromkeys(said, (3, 3))
    assert run.operations("SEND", "DROP") == []
    assert counted["connections"] == 3


def test_the_socketio_side_of_the_har_replays_too(recorded: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """One call by its ack, one by the event that confirms it; the packets of Engine.IO are the client's own."""
    har, page = recorded
    with server() as target:
        run = replayed(tmp_path, target, har, LIVE, users=3)
        counted = target.counters()
    said = ("client_register", "context_set")
    assert {name: page["by_type"][name] for name in said} == dict.fromkeys(said, 1)
    assert counted["by_type"] == dict.fromkeys(said, 3)
    assert {each["name"]: (each["started"], each["ok"]) for each in run.operations("SIO")} == dict.fromkeys(
        said, (3, 3)
    )
    assert run.operations("SEND", "DROP") == []


def test_the_shipped_capture_plays_at_once(tmp_path: Path) -> None:
    """Without a server, without a file; twice as fast as it was recorded."""
    arguments = ("--headless", "-u", "2", "-r", "2", "-t", "6s", "-s", "2", "--ext-report-dir", "out")
    run = run_local(tmp_path, *arguments, locustfile=REPLAY, env={"REPLAY_SPEED": "2"})
    assert run.code == 0, run.output
    assert_balanced(run)
    asked = {each["name"]: each["ok"] for each in run.operations("WS")}
    assert set(asked) == {"subscribe", "query", "agent_command", "ping"}
    assert asked["query"] >= 2
    assert run.operations("SEND") == []


def test_a_wrong_file_ends_it_with_its_place(tmp_path: Path) -> None:
    """Before anything is opened."""
    (tmp_path / "c.jsonl").write_text('{"t":0,"dir":"sent","data":"x"}\n')
    run = run_local(
        tmp_path, "--headless", "-t", "1s", locustfile=REPLAY, env={"REPLAY_FILE": str(tmp_path / "c.jsonl")}
    )
    assert run.code == 1
    assert f"{tmp_path}/c.jsonl: line 1.dir: expected send or receive (got 'sent'); did you mean 'send'?" in run.output


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_what_a_run_records_is_what_was_said_and_plays_again(tmp_path: Path) -> None:
    """The file has as many messages as both sides have counted, in order; none of the run's secrets."""
    (tmp_path / "secretive.py").write_text(SECRETIVE)
    arguments = ("--headless", "-u", "4", "-r", "4", "-t", "5s", "-s", "2", "--ext-report-dir", "out")
    with server() as target:
        run = run_local(
            tmp_path,
            *(*arguments, "--host", target.url, "--ext-record", "c.jsonl"),
            locustfile=tmp_path / "secretive.py",
        )
        counted = target.counters()
    assert run.code == 0, run.output
    lines = lines_of(tmp_path / "c.jsonl")
    assert sum(line["dir"] == "send" for line in lines) == counted["messages_received"] > 0
    assert sum(line["dir"] == "receive" for line in lines) == counted["messages_sent"]
    assert [line["t"] for line in lines] == sorted(line["t"] for line in lines)
    assert {line["conn"] for line in lines} == {1, 2, 3, 4}
    assert b"SECRET" not in (tmp_path / "c.jsonl").read_bytes()
    env = {"REPLAY_FILE": str(tmp_path / "c.jsonl"), "REPLAY_SPEED": "inf"}
    again = run_local(tmp_path, *arguments, locustfile=REPLAY, env=env)
    assert again.code == 0, again.output
    assert [each["name"] for each in again.operations("WS")] == ["ping"]


def test_each_worker_records_into_a_file_of_its_own(tmp_path: Path) -> None:
    """With its number before the suffix; the master into none. Together they have all messages."""
    port = str(free_port())
    run = run_local(
        tmp_path,
        *("--headless", "-u", "4", "-r", "4", "-t", "6s", "-s", "2", "--processes", "2", "--ext-report-dir", "out"),
        *("--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port),
        *("--ext-record", "c.jsonl"),
        locustfile=REPLAY,
    )
    assert run.code == 0, run.output
    assert sorted(path.name for path in tmp_path.glob("*.jsonl")) == ["c-0.jsonl", "c-1.jsonl"]
    lines = [line for number in (0, 1) for line in lines_of(tmp_path / f"c-{number}.jsonl")]
    messages = run.summary["message_metrics"]
    assert sum(line["dir"] == "send" for line in lines) == messages["messages_sent"] > 0
    assert sum(line["dir"] == "receive" for line in lines) == messages["messages_received"]


def test_a_recording_ends_at_its_limit_and_the_run_goes_on(tmp_path: Path) -> None:
    """The limit is a setting; the last line is whole."""
    (tmp_path / "small.yaml").write_text("record: {max_bytes: 2000}\n")
    run = run_local(
        tmp_path,
        *("--headless", "-u", "2", "-r", "2", "-t", "5s", "-s", "2", "--ext-config", "small.yaml"),
        *("--ext-record", "c.jsonl"),
        locustfile=REPLAY,
        env={"REPLAY_SPEED": "inf"},
    )
    assert run.code == 0, run.output
    assert run.output.count("is full (record.max_bytes)") == 1
    assert 1000 < (tmp_path / "c.jsonl").stat().st_size <= 2000
    assert len(lines_of(tmp_path / "c.jsonl")) > 5


def test_a_file_that_cannot_be_written_is_said_before_the_run(tmp_path: Path) -> None:
    """With the flag."""
    arguments = ("--headless", "-t", "1s", "--ext-record", "nowhere/c.jsonl")
    run = run_local(tmp_path, *arguments, locustfile=REPLAY)
    assert run.code == 1
    said = "--ext-record: expected a file in a folder that can be written to (got 'nowhere/c.jsonl')"
    assert said in run.output
