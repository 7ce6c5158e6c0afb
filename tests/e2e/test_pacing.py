"""Runs under a rate (``--ext-rate``) and runs bounded by their work (``--ext-requests``), as real processes."""

from __future__ import annotations

import csv
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.runs import ROOT, Finished, Locust, assert_balanced, free_port, headless, run_local, server

pytestmark = pytest.mark.e2e

NO_WORK = ("CONNECT", "DROP", "POOL", "PUSH")

SPEAKERS = """
import locust_ext
from locust_ext import AgentUser, messages
locust_ext.install()

class Speaker(AgentUser):
    host = "embedded"
    generator = messages.Mixed({"ping": 1})
"""

ASKERS = """
from locust import constant, task
import locust_ext
from locust_ext import AgentUser, ContextServerUser
locust_ext.install()

class Asker(AgentUser):
    host = "embedded"
    wait_time = constant(0.002)
    def on_start(self):
        self.ws.request({"type": "ping"}, name="first")
    def on_stop(self):
        self.ws.request({"type": "ping"}, name="last")
    @task
    def ask(self):
        self.ws.request({"type": "ping"})
        self.ws.send({"type": "heartbeat"}, name="told")

class Reader(ContextServerUser):
    host = "embedded"
    wait_time = constant(0.002)
    @task
    def read(self):
        self.get("key")
"""

STAGED = "rate: {stages: [{for_s: 3, rate: 50, to: 150}, {for_s: 60, rate: 40}], poisson: false}\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "scenario.py"
    path.write_text(text)
    return path


def rows(finished: Finished) -> list[int]:
    """Messages sent in each whole second of the run."""
    with (finished.folder / "timeline.csv").open() as stream:
        return [int(row["messages_sent"]) for row in csv.DictReader(stream)]


def work(finished: Finished) -> list[dict[str, Any]]:
    return [each for each in finished.operations() if each["type"] not in NO_WORK]


def begun(finished: Finished) -> int:
    return sum(each["started"] for each in work(finished))


# ── a rate ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.alone
def test_fifty_connections_at_1000_a_second_show_a_stall_of_2_s_as_theory_predicts(tmp_path: Path) -> None:
    """One request in flight on each. All that became due in the stall waits for its end: 2,000 messages, 1 s on average.

    Of the service times only the 50 that were under way know of it: less than 1 %.
    """
    rate, stall_s = 1000, 2.0
    path = written(tmp_path, SPEAKERS)
    with server() as target:
        arguments = headless(50, 9, "-s", "5", "--host", target.url, "--ext-rate", str(rate))
        run_of_it = Locust(*arguments, folder=tmp_path, locustfile=path)
        run_of_it.wait_for("All users spawned")
        target.misbehave(stall={"after_s": 2.5, "for_s": stall_s})
        finished = run_of_it.finish()
    assert finished.code == 0, finished.output
    assert_balanced(finished)
    (ping,) = finished.operations("WS")
    corrected, service = ping["latency_ms"], ping["service_ms"]
    assert 1900 <= corrected["max"] <= 2300
    assert 1700 <= corrected["p99"] <= 2200
    assert service["p99"] < 200
    extra_s = (corrected["avg"] - service["avg"]) * ping["ok"] / 1000
    predicted_s = rate * stall_s * stall_s / 2
    # From below: all 50 were served first, none late; from above: the backlog takes its time.
    assert 0.85 * predicted_s < extra_s < 1.7 * predicted_s, (corrected, service)
    assert "Messages are sent" in finished.output
    assert "have been made up for" in finished.output
    run = finished.summary["run"]
    assert run["target_rate_per_s"] == rate
    assert run["achieved_rate_per_s"] == pytest.approx(rate, rel=0.04)
    assert sum(rows(finished)[2:8]) == pytest.approx(6 * rate, rel=0.02)
    assert "1,000/s wanted" in finished.output


@pytest.mark.alone
def test_workers_share_the_rate_and_one_that_is_lost_leaves_its_part_to_the_others(tmp_path: Path) -> None:
    """200/s over three workers and a ramp; one worker is killed; from 2 s after that on the rate is whole again."""
    path, port = written(tmp_path, SPEAKERS), str(free_port())
    with server() as target:
        workers = [
            Locust("--worker", "--master-host", "127.0.0.1", "--master-port", port, folder=tmp_path, locustfile=path)
            for _ in range(3)
        ]
        bind = ["--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--expect-workers", "3"]
        arguments = [*headless(12, 11, "-s", "5", "--host", target.url, "--ext-rate", "200"), "-r", "6"]
        master = Locust("--master", *bind, *arguments, folder=tmp_path, locustfile=path)
        master.wait_for("All users spawned")
        time.sleep(2.5)  # not for safety: seconds with all three
        workers[0].signal(signal.SIGKILL)
        finished = master.finish()
        for worker in workers:
            worker.finish(15)
    sent = rows(finished)
    assert sum(sent[1:3]) == pytest.approx(400, rel=0.04), sent
    assert sum(sent[5:10]) == pytest.approx(1000, rel=0.02), sent
    assert finished.summary["run"]["target_rate_per_s"] == 200


@pytest.mark.alone
def test_a_rate_follows_its_stages(tmp_path: Path) -> None:
    """Evenly from 50/s to 150/s in 3 s, then 40/s."""
    path, config = written(tmp_path, SPEAKERS), tmp_path / "rate.yaml"
    config.write_text(STAGED)
    arguments = [*headless(10, 7, "-s", "5"), "--ext-config", str(config)]
    finished = run_local(tmp_path, *arguments, locustfile=path)
    assert finished.code == 0, finished.output
    sent = rows(finished)
    assert sent[1:6] == pytest.approx([100, 133, 40, 40, 40], rel=0.12, abs=6)
    assert finished.summary["run"]["target_rate_per_s"] == pytest.approx((3 * 100 + 4 * 40) / 7, rel=0.03)


# ── so many operations ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("more", [[], ["--processes", "2"]], ids=["one process", "--processes 2"])
def test_a_run_ends_after_so_many_operations_to_the_request(tmp_path: Path, more: list[str]) -> None:
    """Of tasks, of ``on_start``, one-way and over HTTP; the server has counted the same. None of ``on_stop`` is too many."""
    path = written(tmp_path, ASKERS)
    with server() as target:
        arguments = headless(8, 60, "-s", "5", "--host", target.url, "--ext-requests", "1234", *more)
        finished = run_local(tmp_path, *arguments, locustfile=path)
        counters = target.counters()
    assert finished.code == 0, finished.output
    assert_balanced(finished)
    assert begun(finished) == 1234
    assert sum(each["ok"] for each in work(finished)) == 1234
    assert {each["name"] for each in work(finished) if each["started"]} == {"first", "ping", "told", "/ctx"}
    assert counters["messages_received"] + counters["http_requests"] == 1234
    run = finished.summary["run"]
    assert run["ended_because"] == "all 1,234 operations of --ext-requests were done"
    assert run["duration_s"] < 30
    assert run["complete"]


@pytest.mark.parametrize("more", [[], ["--processes", "2"]], ids=["one process", "--processes 2"])
def test_each_user_ends_after_so_many_operations(tmp_path: Path, more: list[str]) -> None:
    """Users come one after the other; who is done first leaves, and nobody comes in its place."""
    path = written(tmp_path, SPEAKERS)
    arguments = [*headless(6, 60, "-s", "5", "--ext-requests", "40/user", *more), "-r", "4"]
    finished = run_local(tmp_path, *arguments, locustfile=path)
    assert finished.code == 0, finished.output
    assert_balanced(finished)
    assert begun(finished) == 6 * 40
    assert finished.summary["connection_metrics"]["total_connections"] == 6
    assert finished.summary["run"]["ended_because"] == "the 40 operations of each user of --ext-requests were done"


BURST = """
shape: {stages: [{users: 10, time_s: 2}, {users: 1, time_s: 60}]}
users: {Client: {kind: agent, generator: ping, think_time: 0.05}}
"""


def test_what_a_worker_has_whose_users_are_gone_is_done_by_the_others(tmp_path: Path) -> None:
    """A burst leaves one user behind, in one of two workers. (A worker that never has one: single_connection's test.)"""
    (tmp_path / "burst.yaml").write_text(BURST)
    port = str(free_port())
    words = ["--headless", "--only-summary", "--ext-report-dir", "out", "--processes", "2", "--ext-requests", "420"]
    words += ["--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port]
    words += ["--ext-config", "burst.yaml"]
    finished = run_local(tmp_path, *words, locustfile=ROOT / "locustfiles" / "scenario.py")
    assert finished.code == 0, finished.output
    assert_balanced(finished)
    assert begun(finished) == 420
    run = finished.summary["run"]
    assert run["ended_because"] == "all 420 operations of --ext-requests were done"
    assert "unfinished" not in run
    assert run["duration_s"] < 15
    assert run["workers"] == 2


@pytest.mark.parametrize("more", [[], ["--processes", "2"]], ids=["one process", "--processes 2"])
def test_a_run_whose_time_is_over_before_its_operations_says_how_many_there_were(
    tmp_path: Path, more: list[str]
) -> None:
    arguments = headless(4, 2, "-s", "5", "--ext-requests", "100000", *more)
    finished = run_local(tmp_path, *arguments, locustfile=written(tmp_path, SPEAKERS))
    assert finished.code == 0, finished.output
    told = f"{begun(finished):,} of 100,000 operations of --ext-requests had begun when the run ended"
    assert begun(finished) > 0
    assert finished.summary["run"]["unfinished"] == told
    said = " ".join(finished.output.split())
    assert f"Not done {told}" in said
    assert f"Verdict not all was done: {told}" in said


def test_a_rate_and_a_number_of_operations_together_take_their_time(tmp_path: Path) -> None:
    path = written(tmp_path, SPEAKERS)
    arguments = headless(5, 60, "-s", "5", "--ext-rate", "100", "--ext-requests", "300")
    finished = run_local(tmp_path, *arguments, locustfile=path)
    assert finished.code == 0, finished.output
    assert begun(finished) == 300
    assert 2.8 < finished.summary["run"]["duration_s"] < 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--ext-rate", "fast"], "--ext-rate: expected messages a second, more than 0 (got 'fast')"),
        (["--ext-rate", "10"], "driven by a generator: it is driven by its tasks, and wait_time says how often"),
        (["--ext-requests", "few"], "--ext-requests: expected a number of operations, such as 1000"),
    ],
    ids=["rate", "tasks", "requests"],
)
def test_wrong_input_is_said_before_the_run(tmp_path: Path, arguments: list[str], said: str) -> None:
    finished = run_local(tmp_path, *headless(1, 5, *arguments), locustfile=written(tmp_path, ASKERS))
    assert finished.code == 1
    assert said in finished.output
    assert "Traceback" not in finished.output
