"""Locust's own table and ours say the same: resets, pushes in bulk, and the warm-up that is kept apart."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.runs import Finished, Locust, assert_balanced, assert_same_counts, free_port, headless, run_local, server
from tests.e2e.test_honesty import locustfile

pytestmark = pytest.mark.e2e


def locusts_table(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    entries = json.loads((folder / "table.json").read_text())
    return {(each["method"], each["name"]): each for each in entries}


def assert_same_table(finished: Finished, folder: Path) -> None:
    """Requests, failures and pushes, row by row."""
    ours = {
        (each["type"], each["name"]): (each["started"] - each["cancelled"], sum(each["errors"].values()))
        for each in finished.operations()
        if each["started"] - each["cancelled"]
    }
    for event, push in finished.summary["push_metrics"].items():
        ours["PUSH", event] = (push["received"], 0)
    theirs = {key: (each["num_requests"], each["num_failures"]) for key, each in locusts_table(folder).items()}
    assert theirs == ours


@pytest.mark.parametrize("more", [[], ["--processes", "2"]], ids=["one process", "--processes 2"])
@pytest.mark.parametrize(
    "reset",
    # Alone: what a worker reports while the master resets comes back into Locust's table, the longer the way the likelier.
    [[], pytest.param(["--reset-stats"], marks=pytest.mark.alone)],
    ids=["", "--reset-stats"],
)
def test_locusts_table_counts_what_we_count_pushes_in_bulk_and_resets_too(
    tmp_path: Path, more: list[str], reset: list[str]
) -> None:
    arguments = headless(20, 8, "-s", "5", "--json-file", "table", *more, *reset)
    arguments[arguments.index("-r") + 1] = "7"  # three seconds of ramp, which a reset forgets
    finished = run_local(tmp_path, *arguments)
    assert finished.code == 0, finished.output
    assert_balanced(finished)
    assert_same_table(finished, tmp_path)
    pushes = {key: each for key, each in locusts_table(tmp_path).items() if key[0] == "PUSH"}
    assert sum(each["num_requests"] for each in pushes.values()) > 100
    for each in pushes.values():
        assert each["num_none_requests"] == each["num_requests"], "a push has no response time"
        assert each["response_times"] == {}
        assert sum(each["num_reqs_per_sec"].values()) == each["num_requests"]
    keys = {
        key for (type_, _), each in locusts_table(tmp_path).items() for key in each["response_times"] if type_ == "WS"
    }
    assert any("." in key for key in keys), "Locust's percentiles are finer than whole milliseconds"
    connects = sum(each["ok"] for each in finished.operations("CONNECT"))
    assert (connects < 20) == bool(reset), "most connections are older than the reset"


def test_locusts_own_buckets_can_be_kept(tmp_path: Path) -> None:
    finished = run_local(tmp_path, *headless(5, 4, "-s", "5", "--json-file", "table", "--ext-no-fine-percentiles"))
    assert finished.code == 0, finished.output
    keys = {key for each in locusts_table(tmp_path).values() for key in each["response_times"]}
    assert keys
    assert all(key.isdigit() for key in keys)


@pytest.mark.parametrize("more", [[], ["--processes", "2"]], ids=["one process", "--processes 2"])
def test_warm_up_and_rest_add_up_to_what_the_server_counts(tmp_path: Path, more: list[str]) -> None:
    with server() as target:
        arguments = headless(20, 7, "-s", "5", "--host", target.url, "--ext-warmup", "3", *more)
        finished = run_local(tmp_path, *arguments)
        counters = target.counters()
    assert finished.code == 0, finished.output
    assert_balanced(finished)
    summary, warmup = finished.summary, finished.summary["warmup"]
    assert warmup["duration_s"] == 3
    assert 1 < summary["run"]["duration_s"] < 6
    for key, counted in (("messages_sent", "messages_received"), ("messages_received", "messages_sent")):
        assert warmup["message_metrics"][key] > 0
        assert summary["message_metrics"][key] > 0
        assert warmup["message_metrics"][key] + summary["message_metrics"][key] == counters[counted]
    both = [
        *finished.operations("GET", "POST"),
        *(each for each in warmup["operations"] if each["type"] in ("GET", "POST")),
    ]
    assert sum(each["started"] - each["cancelled"] for each in both) == counters["http_requests"]
    connects = [each for each in warmup["operations"] if each["type"] == "CONNECT"]
    opened = sum(each["ok"] for each in connects) + summary["connection_metrics"]["successful_connections"]
    assert opened == counters["connections"]
    assert summary["connection_metrics"]["peak_open"] > 0
    assert "after 3.0 s of warm-up" in finished.output


def test_a_run_that_ends_within_its_warm_up_has_no_result(tmp_path: Path) -> None:
    finished = run_local(tmp_path, *headless(2, 3, "-s", "5", "--ext-warmup", "60"))
    assert "no result: the run ended within its warm-up" in finished.output
    assert finished.summary["operations"] == []
    assert finished.summary["warmup"]["message_metrics"]["messages_sent"] > 0


@pytest.mark.parametrize("more", [[], ["--processes", "2"]], ids=["one process", "--processes 2"])
def test_a_slow_on_stop_ends_with_every_sample_in_the_report(tmp_path: Path, more: list[str]) -> None:
    slow = (
        "    def on_stop(self):\n"
        "        import gevent\n"
        "        gevent.sleep(1.5)\n"
        "        self.ws.request({'type': 'ping'}, name='last')\n"
    )
    with server() as target:
        arguments = headless(6, 4, "-s", "10", "--host", target.url, *more)
        finished = run_local(tmp_path, *arguments, locustfile=locustfile(tmp_path, more=slow))
        assert_same_counts(finished, target.counters())
    assert finished.code == 0, finished.output
    assert {each["name"]: each["ok"] for each in finished.operations("WS")}["last"] == 6
    assert finished.summary["run"]["complete"]


def test_the_reset_button_reaches_the_workers_and_nothing_older_comes_back(tmp_path: Path) -> None:
    """Each user asks twenty times, then only waits: after the reset there is nothing that could be counted."""
    burst = (
        "    def on_start(self):\n"
        "        import gevent\n"
        "        for _ in range(20): self.ws.request({'type': 'ping'})\n"
        "        print('ASKED', flush=True)\n"
        "        gevent.sleep(3600)\n"
    )
    port, bind = free_port(), str(free_port())
    path = locustfile(tmp_path, more=burst)
    with server() as target:
        web = ["--web-host", "127.0.0.1", "--web-port", str(port), "--host", target.url, "--ext-report-dir", "out"]
        workers = ["--processes", "2", "--master-bind-port", bind, "--master-port", bind]
        run = Locust(*web, *workers, folder=tmp_path, locustfile=path)
        run.wait_for("Starting web interface")
        base = f"http://127.0.0.1:{port}"

        def post(action: str, **form: str) -> None:
            data = urllib.parse.urlencode(form).encode() if form else b""
            urllib.request.urlopen(urllib.request.Request(base + action, data=data, method="POST"), timeout=20).read()

        until_s = time.monotonic() + 20
        while run.log.read_text().count("connected") < 2 and time.monotonic() < until_s:
            time.sleep(0.05)
        post("/swarm", user_count="4", spawn_rate="4", host=target.url)
        until_s = time.monotonic() + 20
        while run.log.read_text().count("ASKED") < 4 and time.monotonic() < until_s:
            time.sleep(0.005)
        post("/stats/reset")
        time.sleep(2.5)  # not for safety: time in which what is older would come
        post("/stop")
        until_s = time.monotonic() + 20
        while not (reports := list((tmp_path / "out").glob("*/summary.json"))) and time.monotonic() < until_s:
            time.sleep(0.05)
        run.signal(15)
        finished = run.finish()
    assert finished.output.count("ASKED") == 4
    finished.folder = reports[0].parent
    assert [each for each in finished.operations("WS") if each["started"]] == []
    assert finished.summary["message_metrics"]["messages_sent"] == 0
    assert finished.summary["run"]["complete"]
    assert finished.summary["run"]["valid"], finished.summary["run"]
