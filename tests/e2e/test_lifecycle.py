"""Patterns, generators and losses, with real `locust` processes and servers that are killed in the middle of traffic."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from locust_ext.core.lifecycle import PATTERNS
from locust_ext.core.messages import GENERATORS
from tests.e2e.runs import (
    ROOT,
    Finished,
    Locust,
    Server,
    assert_balanced,
    assert_same_counts,
    free_port,
    run_distributed,
    run_local,
)


@contextmanager
def killable(port: int = 0) -> Iterator[tuple[Server, subprocess.Popen[str]]]:
    """A reference server that the test may kill."""
    process = subprocess.Popen(
        [sys.executable, "-m", "locust_ext.refserver", "--port", str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("READY "), line
        yield Server(line.removeprefix("READY ").strip()), process
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


def locustfile(folder: Path, body: str) -> Path:
    file = folder / "made.py"
    head = (
        "from locust import between, constant\n"
        "import locust_ext\n"
        "from locust_ext import AgentUser, RealisticUser, lifecycle, messages\n"
        "locust_ext.install()\n"
    )
    file.write_text(head + body)
    return file


def arguments(host: str, users: int, run_s: float, *more: str) -> list[str]:
    return [
        *("--headless", "-u", str(users), "-r", str(users), "-t", f"{run_s:g}s", "-s", "5", "--only-summary"),
        *("--host", host, "--ext-report-dir", "out", *more),
    ]


def recovery(finished: Finished) -> dict[str, Any]:
    found: dict[str, Any] = finished.summary["connection_metrics"]
    return found


# ── a failover ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.alone
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_primary_that_is_killed_in_the_middle_of_traffic_is_left_for_the_backup(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Nothing is unaccounted for; both servers' counts add up to ours, as far as a killed server can tell.

    Each of the 20 users loses its connection once, and is open again after at most the backoffs of `threshold` 2: one of
    0.2 s on the primary, one on the backup, and the connects.
    """
    users = 20
    with killable() as (primary, process), killable() as (backup, _):
        file = locustfile(
            tmp_path,
            "class Crowd(AgentUser):\n"
            "    abstract = False\n"
            "    generator = 'query'\n"
            "    wait_time = constant(0.02)\n"
            f"    pattern = lifecycle.Failover(backups=({backup.url!r},), threshold=2,\n"
            "        reconnect=lifecycle.FullJitter(base_s=0.2, cap_s=0.2, restart_s=(0.1, 0.2)))\n",
        )
        run = Locust(*arguments(primary.url, users, 6), folder=tmp_path, locustfile=file)
        until_s = time.monotonic() + 20
        while (seen := primary.counters())["messages_received"] < 500:
            assert time.monotonic() < until_s, run.log.read_text()
            time.sleep(0.05)
        seen = primary.counters()
        process.send_signal(number)
        process.wait(10)
        finished = run.finish()
        told = backup.counters()
    assert "Traceback" not in finished.output
    assert_balanced(finished)
    found = recovery(finished)
    assert found["failovers"] == users
    assert found["recovery_ms"]["count"] == users
    # Two backoffs of 0.2 s at the most, and two connects; the machine is shared, so 2 s for those.
    assert 0 < found["recovery_ms"]["max"] < 2400
    assert [(each["user"], each["channel"]) for each in found["recoveries"]] == [("Crowd", "/api/v1/ws/{client_id}")]
    assert "Back again" in finished.output
    # The primary was asked a moment before its end: it received no less than it said, and we sent nothing else to anybody.
    messages = finished.summary["message_metrics"]
    assert messages["messages_sent"] - told["messages_received"] >= seen["messages_received"]
    assert messages["messages_received"] - told["messages_sent"] >= seen["messages_sent"] - users
    assert found["successful_connections"] == 2 * users == seen["connections"] + told["connections"]
    (queries,) = finished.operations("WS")
    assert queries["lost"] <= users
    assert queries["ok"] > 1000
    assert queries["started"] == queries["ok"] + queries["lost"] + queries["cancelled"] + queries["timed_out"]


# ── a restart ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.alone
def test_a_restart_under_500_persistent_users_is_no_connect_storm(tmp_path: Path) -> None:
    """A server that stops in order says 1001: each waits evenly from 0 to 4 s, so 125 a second come on average.

    Those whose connect finds nobody there wait again, up to 8 s. The peak may be twice the average (without jitter it would
    be all 500), everyone is back, and nobody twice.
    """
    users, port = 500, free_port()
    file = locustfile(
        tmp_path,
        "class Crowd(AgentUser):\n"
        "    abstract = False\n"
        "    heartbeat_s = 0\n"
        "    generator = 'ping'\n"
        "    wait_time = constant(5)\n"
        "    pattern = lifecycle.Persistent(\n"
        "        reconnect=lifecycle.FullJitter(base_s=4, cap_s=8))\n",
    )
    with killable(port) as (first, process):
        run = Locust(*arguments(first.url, users, 60), folder=tmp_path, locustfile=file)
        _until(lambda: first.counters()["open_connections"] == users, run)
        process.terminate()
        process.wait(10)
    with killable(port) as (second, _):
        _until(lambda: second.counters()["open_connections"] == users, run)
        told = second.counters()
        run.signal(signal.SIGTERM)
        finished = run.finish()
    by_second = {int(second): count for second, count in told["connects_by_second"].items()}
    assert sum(by_second.values()) == told["connections"] == users
    assert max(by_second.values()) <= 250
    assert len(by_second) >= 3
    assert "Traceback" not in finished.output
    assert_balanced(finished)
    found = recovery(finished)
    assert (found["recovery_ms"]["count"], found["reconnects"], found.get("failovers")) == (users, users, 0)
    assert found["successful_connections"] == 2 * users


def _until(condition: Any, run: Locust, within_s: float = 40) -> None:
    until_s = time.monotonic() + within_s
    while True:
        try:
            if condition():
                return
        except OSError:
            pass  # it does not answer yet
        assert time.monotonic() < until_s, run.log.read_text()[-3000:]
        time.sleep(0.05)


# ── every entry of both tables, with faults ────────────────────────────────────────────────────────────────────────────

FAULTS = {"error_ratio": 0.1, "drop_ratio": 0.02, "silent_ratio": 0.02, "duplicate_ratio": 0.1, "jitter_ms": 20}
PATTERN_EXAMPLES = {
    "persistent": "lifecycle.Persistent(reconnect=QUICK)",
    "intermittent": "lifecycle.Intermittent(connected_s=(0.2, 0.6), away_s=(0.05, 0.2), reconnect=QUICK)",
    "bursty": "lifecycle.Bursty(messages=(2, 6), interval_s=0.01, idle_s=0.1, reconnect=QUICK)",
    "failover": "lifecycle.Failover(backups=(BACKUP,), threshold=1, unhealthy_after=2, return_after_s=0.5, reconnect=QUICK)",
    "churn": "lifecycle.Churn(exchanges=(1, 3), pause_s=0.02, reconnect=QUICK)",
    "custom": "lifecycle.Custom(shift, reconnect=QUICK)",
}
GENERATOR_EXAMPLES = {
    **{name: repr(name) for name in GENERATORS},
    "context_ops": "messages.ContextOps(histories=0.1, alls=0.1)",
    "template": "messages.Template({'type': 'ping', 'n': '{seq}'})",
    "replay": f"messages.Replay.from_jsonl({str(ROOT / 'config' / 'replay.jsonl')!r}, speed=10)",
    "custom": "messages.Custom(lambda rng: {'type': 'ping', 'n': rng.random()})",
}


def test_there_is_an_example_of_each_entry() -> None:
    assert set(PATTERN_EXAMPLES) == set(PATTERNS)
    assert set(GENERATOR_EXAMPLES) == set(GENERATORS)


def _entry(kind: str, name: str, number: int, url: str) -> str:
    """A user class that plays one entry; each has a name of its own, so that its figures can be told from the others'."""
    pattern = PATTERN_EXAMPLES[name] if kind == "pattern" else "lifecycle.Persistent(reconnect=QUICK)"
    generator = GENERATOR_EXAMPLES[name] if kind == "generator" else "'mixed'"
    base = "AgentUser, ContextServerUser" if name == "context_ops" else "AgentUser"
    return (
        f"class {kind.title()}{number}({base}):\n"
        "    abstract = False\n"
        f"    path = '/api/v1/ws/{{client_id}}?{kind}={name}'\n"
        "    wait_time = constant(0.02)\n"
        "    request_timeout_s = connect_timeout_s = 0.5\n"
        f"    generator = {generator}\n"
        f"    pattern = {pattern}\n"
        "    def context(self):\n"
        f"        return {{'entry': '{kind} {name}'}}\n"
    )


def test_every_pattern_and_every_generator_balances_under_faults(tmp_path: Path) -> None:
    """One class for each entry, two users each, against a server with all kinds of faults: every entry has done something."""
    with killable() as (server, _):
        server.misbehave(**FAULTS)
        entries = [("pattern", name) for name in PATTERNS] + [("generator", name) for name in GENERATORS]
        body = (
            "from locust import events\n"
            "from locust_ext import ContextServerUser\n"
            "import collections, json\n"
            f"BACKUP = {server.url.replace('127.0.0.1', 'localhost')!r}\n"
            "QUICK = lifecycle.FullJitter(base_s=0.05, cap_s=0.2, restart_s=(0.05, 0.1))\n"
            "COUNTS = collections.Counter()\n"
            "@events.request.add_listener\n"
            "def count(request_type, context, exception, **_):\n"
            "    if request_type in ('WS', 'SEND', 'GET', 'POST'):\n"
            "        COUNTS[context['entry'] + (' ok' if exception is None else ' failed')] += 1\n"
            "@events.quitting.add_listener\n"
            "def write(**_):\n"
            "    open('counts.json', 'w').write(json.dumps(COUNTS))\n"
            "def shift(rng, now_s):\n"
            "    while True:\n"
            "        yield lifecycle.Connect()\n"
            "        for _ in range(5):\n"
            "            outcome = yield lifecycle.Send()\n"
            "            if isinstance(outcome, lifecycle.Lost): break\n"
            "        else:\n"
            "            yield lifecycle.Disconnect()\n"
            "        yield lifecycle.Pause(0.05)\n"
        ) + "".join(_entry(kind, name, number, server.url) for number, (kind, name) in enumerate(entries))
        file = locustfile(tmp_path, body)
        finished = run_local(tmp_path, *arguments(server.url, 2 * len(entries), 8), locustfile=file)
        told = server.counters()
    assert "Traceback" not in finished.output
    assert_balanced(finished)
    counts = json.loads((tmp_path / "counts.json").read_text())
    for kind, name in entries:
        assert counts.get(f"{kind} {name} ok", 0) >= 5, (kind, name, counts)
    assert sum(counts[key] for key in counts if key.endswith(" failed")) > 20
    assert {"error_reply", "timeout", "lost"} <= set(finished.summary["error_metrics"]["by_class"])
    assert all(told["faults_injected"].get(fault) for fault in FAULTS), told["faults_injected"]
    assert finished.summary["connection_metrics"]["successful_connections"] == told["connections"]


# ── patterns and generators from outside ───────────────────────────────────────────────────────────────────────────────

RULES = """
users: {Crowd: {pattern: {intermittent: {connected_s: [0.2, 0.4], away_s: 0.1}}, pacing: {closed_loop: 0.05}}}
messages: {template: {templates: {type: ping, note: from the file}}}
"""


@pytest.mark.parametrize("distributed", [False, True])
def test_patterns_and_generators_from_the_file_and_the_flags_reach_every_process(
    tmp_path: Path, distributed: bool
) -> None:
    """The code says: ask for ever. The file has them come and go, the flag has them ping; so do the workers."""
    (tmp_path / "ext.yaml").write_text(RULES)
    file = locustfile(
        tmp_path,
        "class Crowd(AgentUser):\n    abstract = False\n    generator = 'query'\n    wait_time = constant(1)\n",
    )
    with killable() as (server, _):
        given = arguments(server.url, 6, 4, "--ext-config", "ext.yaml", "--ext-generator", "Crowd=template")
        if distributed:
            finished = run_distributed(tmp_path, *given, locustfile=file)
        else:
            finished = run_local(tmp_path, *given, locustfile=file)
        told = server.counters()
    assert "Traceback" not in finished.output
    assert_balanced(finished)
    assert_same_counts(finished, told)
    assert {each["name"] for each in finished.operations("WS")} == {"ping"}
    assert told["connections"] > 12  # each user at least three times


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--ext-pattern", "burst"], "--ext-pattern: unknown name, expected one of persistent, "),
        (
            ["--ext-generator", "Crwod=ping"],
            "--ext-generator: expected a user class of the locustfile, one of ",
        ),
    ],
)
def test_a_wrong_name_ends_before_the_start(tmp_path: Path, flags: list[str], text: str) -> None:
    file = locustfile(tmp_path, "class Crowd(AgentUser):\n    abstract = False\n    generator = 'query'\n")
    finished = run_local(tmp_path, *arguments("http://127.0.0.1:1", 1, 2, *flags), locustfile=file)
    assert finished.code == 1
    assert f"locust-ext: error: {text}" in finished.output
    assert "Traceback" not in finished.output


def test_a_pool_over_processes_is_made_in_each_and_leaves_nothing(tmp_path: Path) -> None:
    """Forked after the import: each worker has connections of its own, and all counts agree with the server's."""
    file = locustfile(
        tmp_path,
        "from locust import User, task\n"
        "from locust_ext import ConnectionPool\n"
        "class Line(AgentUser):\n"
        "    abstract = True\n"
        "class Caller(User):\n"
        "    wait_time = constant(0.02)\n"
        "    pool = ConnectionPool(Line, min=1, max=3)\n"
        "    @task\n"
        "    def ask(self):\n"
        "        with self.pool.acquire() as ws:\n"
        "            ws.request({'type': 'ping'})\n",
    )
    port = str(free_port())
    ports = ["--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port]
    with killable() as (server, _):
        finished = run_local(tmp_path, *arguments(server.url, 12, 4, "--processes", "2", *ports), locustfile=file)
        told = server.counters()
    assert "Traceback" not in finished.output
    assert_balanced(finished)
    assert_same_counts(finished, told)
    (waits,) = finished.operations("POOL")
    (pings,) = finished.operations("WS")
    assert waits["ok"] == pings["ok"] + pings["cancelled"] > 100
    assert 2 <= told["connections"] <= 6
    assert told["open_connections"] == 0


def test_a_worker_that_lacks_a_file_says_so_and_leaves(tmp_path: Path) -> None:
    """The master has the recording; the other machine (here: another folder) has not."""
    (tmp_path / "there").mkdir()
    (tmp_path / "t.yaml").write_text("{type: ping}")
    (tmp_path / "ext.yaml").write_text("messages: {template: {file: t.yaml}}")
    file = locustfile(tmp_path, "class Crowd(AgentUser):\n    abstract = False\n    wait_time = constant(1)\n")
    port = str(free_port())
    worker = Locust("--worker", "--master-port", port, folder=tmp_path / "there", locustfile=file)
    bind = ("--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--expect-workers", "1")
    given = arguments("http://127.0.0.1:1", 1, 3, *bind, "--ext-config", "ext.yaml", "--ext-generator", "template")
    master = Locust(*given, folder=tmp_path, locustfile=file)
    left = worker.finish(30)
    assert (
        "This worker cannot do what its master asks for: t.yaml: messages.template: the file cannot be read"
        in left.output
    )
    assert left.code == 1
    assert "Traceback" not in left.output
    finished = master.finish()
    assert finished.code == 1
    (reason,) = finished.summary["run"]["invalid_because"]
    assert reason.startswith("worker 0 left: t.yaml: messages.template: the file cannot be read")
    assert f"Verdict        not valid: {reason[:40]}" in finished.output
    assert "Traceback" not in finished.output
