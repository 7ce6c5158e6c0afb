"""What is counted, seen from outside: coordinated omission, mixed users, and resets with requests in flight."""

from __future__ import annotations

import csv
import signal
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from tests.e2e.runs import Finished, Locust, assert_balanced, free_port, headless, run_local, server
from tests.e2e.test_honesty import locustfile
from tests.e2e.test_locusts_table import assert_same_table, locusts_table

pytestmark = pytest.mark.e2e

RATE, STALL_S = 20, 1.0

PACED = f"""
import locust_ext
from locust_ext import AgentUser, OpenLoop, messages
locust_ext.install()

class Paced(AgentUser):
    generator = messages.Mixed({{"ping": 1}})
    pacing = OpenLoop({RATE})
"""

MIXED = """
from locust import FastHttpUser, HttpUser, constant, events, task
from locust.user import User
import locust_ext
from locust_ext import AgentUser, ContextServerUser
locust_ext.install()

class Agent(AgentUser):
    fixed_count = 2
    wait_time = constant(0.05)
    @task
    def ask(self):
        self.ws.request({"type": "ping"})

class Ours(ContextServerUser):
    fixed_count = 2
    wait_time = constant(0.05)
    @task
    def read(self):
        self.get("key")

class Plain(HttpUser):
    fixed_count = 2
    wait_time = constant(0.05)
    @task
    def health(self):
        self.client.get("/health", name="plain")

class Fast(FastHttpUser):
    fixed_count = 2
    wait_time = constant(0.05)
    @task
    def health(self):
        self.client.get("/health", name="fast")

class Foreign(User):
    fixed_count = 2
    wait_time = constant(0.05)
    @task
    def fire(self):
        events.request.fire(request_type="THEIRS", name="x", response_time=1.5, response_length=3, exception=None,
                            context={})
"""


@pytest.mark.alone
def test_a_stalled_server_shows_in_the_corrected_latency_as_theory_predicts(tmp_path: Path) -> None:
    """A user that waits for its replies sends nothing for S seconds; what it should have sent is late, by S at first.

    From the actual send one request alone took S. From the intended one, the r·S requests of that time took
    S, S − 1/r, … 0: S/2 on average.
    """
    path = tmp_path / "paced.py"
    path.write_text(PACED)
    with server() as target:
        target.misbehave(stall={"after_s": 4, "for_s": STALL_S})
        finished = run_local(tmp_path, *headless(1, 9, "-s", "5", "--host", target.url), locustfile=path)
    assert finished.code == 0, finished.output
    (ping,) = finished.operations("WS")
    corrected, service = ping["latency_ms"], ping["service_ms"]
    assert corrected["count"] == service["count"] == ping["ok"] > 100
    for latency in (corrected, service):
        assert 900 <= latency["max"] <= 1400, latency
    extra_s = (corrected["avg"] - service["avg"]) * ping["ok"] / 1000
    predicted_s = sum(STALL_S - number / RATE for number in range(1, int(RATE * STALL_S)))
    assert predicted_s == pytest.approx(9.5)
    # A quarter for where in an interval the stall begins, and for how long the backlog takes.
    assert 0.75 * predicted_s < extra_s < 1.35 * predicted_s, (corrected, service)
    # 20 of some 150 were late: beyond the 87th percentile, where service times know of one.
    assert corrected["p95"] > 300
    assert service["p95"] < 100


@pytest.mark.parametrize("more", [[], ["--processes", "2"]], ids=["one process", "--processes 2"])
def test_users_of_all_kinds_beside_one_another_are_counted_once_each(tmp_path: Path, more: list[str]) -> None:
    path = tmp_path / "mixed.py"
    path.write_text(MIXED)
    with server() as target:
        arguments = headless(10, 5, "-s", "5", "--host", target.url, "--json-file", "table", *more)
        finished = run_local(tmp_path, *arguments, locustfile=path)
        counters = target.counters()
    assert_balanced(finished)
    assert_same_table(finished, tmp_path)
    by_name = {(each["type"], each["name"]): each["started"] for each in finished.operations()}
    assert min(by_name["GET", "plain"], by_name["GET", "fast"], by_name["THEIRS", "x"]) > 20
    http = [each["started"] for each in finished.operations("GET", "POST")]
    assert sum(http) == counters["http_requests"]
    assert finished.summary["message_metrics"]["messages_sent"] == counters["messages_received"]


@pytest.mark.parametrize("more", [[], ["--processes", "2"]], ids=["one process", "--processes 2"])
def test_what_is_in_flight_at_a_reset_ends_after_it_and_counts_once_in_both_tables(
    tmp_path: Path, more: list[str]
) -> None:
    """Each user asks once, of a server that takes three seconds; the reset comes while it waits."""
    slow = (
        "    def on_start(self):\n"
        "        import gevent\n"
        "        print('ASKS', flush=True)\n"
        "        self.ws.request({'type': 'ping'})\n"
        "        print('ANSWERED', flush=True)\n"
        "        gevent.sleep(3600)\n"
    )
    port, bind = free_port(), str(free_port())
    path = locustfile(tmp_path, more=slow)
    with server() as target:
        target.misbehave(latency_ms=3000)
        web = ["--web-host", "127.0.0.1", "--web-port", str(port), "--host", target.url, "--ext-report-dir", "out"]
        if more:
            more = [*more, "--master-bind-port", bind, "--master-port", bind]
        run = Locust(*web, *more, "--json-file", "table", folder=tmp_path, locustfile=path)
        base = f"http://127.0.0.1:{port}"

        def wait_for(text: str, times: int) -> None:
            until_s = time.monotonic() + 20
            while run.log.read_text().count(text) < times and time.monotonic() < until_s:
                time.sleep(0.02)
            assert run.log.read_text().count(text) >= times, run.log.read_text()

        def post(action: str, **form: str) -> None:
            data = urllib.parse.urlencode(form).encode() if form else b""
            request = urllib.request.Request(base + action, data=data, method="POST")
            until_s = time.monotonic() + 10
            while True:
                try:
                    urllib.request.urlopen(request, timeout=20).read()
                    return
                except OSError:
                    if time.monotonic() > until_s:
                        raise
                    time.sleep(0.05)

        wait_for("connected" if more else "Starting web interface", 2 if more else 1)
        post("/swarm", user_count="4", spawn_rate="4", host=target.url)
        wait_for("ASKS", 4)
        time.sleep(1.2)  # not for safety: the workers have reported the requests as in flight
        post("/stats/reset")
        wait_for("ANSWERED", 4)
        time.sleep(0.5)  # not for safety: the user that asks twice would do it now
        post("/stop")
        until_s = time.monotonic() + 20
        while not (reports := list((tmp_path / "out").glob("*/summary.json"))) and time.monotonic() < until_s:
            time.sleep(0.05)
        run.signal(15)
        finished = run.finish()
    finished.folder = reports[0].parent
    assert_balanced(finished)
    (ping,) = finished.operations("WS")
    assert (ping["started"], ping["ok"]) == (4, 4)
    assert ping["latency_ms"]["min"] >= 3000
    theirs = locusts_table(tmp_path)["WS", "ping"]
    assert (theirs["num_requests"], theirs["num_failures"]) == (4, 0)
    assert finished.summary["message_metrics"]["messages_sent"] == 0, "they were sent before the reset"
    assert finished.summary["run"]["valid"], finished.summary["run"]


def timeline(finished: Finished) -> list[dict[str, str]]:
    return list(csv.DictReader((finished.folder / "timeline.csv").read_text().splitlines()))


def test_a_run_lasts_until_slow_users_are_gone_in_workers_too_and_each_second_has_its_row(tmp_path: Path) -> None:
    """The users go on for three seconds after the stop; the rows of that time are no worse than those before."""
    slow = (
        "    def on_stop(self):\n"
        "        import gevent\n"
        "        for _ in range(30):\n"
        "            gevent.sleep(0.1)\n"
        "            self.ws.request({'type': 'ping'}, name='last')\n"
    )
    path = locustfile(tmp_path, wait_s=0.05, more=slow)
    finished = run_local(tmp_path, *headless(4, 5, "-s", "10", "--processes", "2"), locustfile=path)
    assert_balanced(finished)
    rows = timeline(finished)
    started = {each["name"]: each["ok"] for each in finished.operations("WS")}
    assert started["last"] == 4 * 30
    finished_operations = sum(each["ok"] + each["failed"] for each in finished.operations())
    assert sum(int(row["finished"]) for row in rows) == finished_operations
    lasted_s = finished.summary["run"]["duration_s"]
    assert 7.5 <= lasted_s <= 11
    assert [int(row["start_s"]) for row in rows] == list(range(len(rows)))
    assert len(rows) - 1 < lasted_s <= len(rows) + 0.5
    assert int(rows[-1]["finished"]) > 0
    # 40 a second from each of two users a worker is the most; no row holds what came in three seconds.
    assert max(int(row["finished"]) for row in rows) < 3 * min(int(row["finished"]) for row in rows[2:4])
    assert {row["complete"] for row in rows} == {"1"}


def test_the_rows_of_a_worker_that_stands_still_are_incomplete_also_once_locust_misses_it(tmp_path: Path) -> None:
    port = str(free_port())
    path = locustfile(tmp_path, wait_s=0.05)
    with server() as target:
        workers = [
            Locust("--worker", "--master-host", "127.0.0.1", "--master-port", port, folder=tmp_path, locustfile=path)
            for _ in range(2)
        ]
        bind = ["--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--expect-workers", "2"]
        arguments = headless(4, 16, "-s", "5", "--host", target.url)
        master = Locust("--master", *bind, *arguments, folder=tmp_path, locustfile=path)
        master.wait_for("All users spawned")
        time.sleep(3)  # not for safety: seconds in which both report
        workers[0].signal(signal.SIGSTOP)
        finished = master.finish()
        workers[0].signal(signal.SIGKILL)
        for worker in workers:
            worker.finish(15)
    rows = timeline(finished)
    first = next(number for number, row in enumerate(rows) if row["complete"] == "0")
    assert 1 <= first <= 5
    assert {row["complete"] for row in rows[:first]} == {"1"}
    assert {row["complete"] for row in rows[first:]} == {"0"}, [row["complete"] for row in rows]
    assert len(rows) - first >= 9
    assert not finished.summary["run"]["valid"]
