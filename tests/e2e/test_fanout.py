"""Fan-outs of the realistic scenario, in every mode of Locust: reach is 1 exactly on an honest server, and below on others."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.runs import (
    REALISTIC,
    Finished,
    Server,
    assert_balanced,
    assert_same_counts,
    headless,
    run_distributed,
    run_local,
    server,
)

pytestmark = pytest.mark.e2e

STABLE = ("-s", "5", "--ext-profiles", "active:1")
"""All users stay connected to the end."""


def updates(finished: Finished) -> dict[str, Any]:
    found: dict[str, Any] = finished.summary["push_metrics"]["context_updated"]
    return found


@pytest.mark.parametrize("mode", ["one process", "--processes 2", "master and workers"])
def test_on_an_honest_server_every_push_arrives_and_its_delay_is_known(tmp_path: Path, mode: str) -> None:
    with server() as target:
        arguments = headless(16, 9, "--host", target.url, *STABLE)
        if mode == "--processes 2":
            arguments = headless(16, 9, "--host", target.url, *STABLE, "--processes", "2")
        run = run_distributed if mode == "master and workers" else run_local
        finished = run(tmp_path, *arguments)
        counters = target.counters()
    assert finished.code == 0, finished.output
    assert_balanced(finished)
    assert_same_counts(finished, counters)
    told = updates(finished)
    assert told["expected"] > 300
    assert (told["reach"], told["reached"], told["never_came"]) == (1.0, told["expected"], 0)
    # A push that was caused before its receiver had joined has no lag; all others have one, also between processes.
    assert told["reached"] <= told["lag_ms"]["count"] <= told["received"]
    assert 0 < told["lag_ms"]["min"] <= told["lag_ms"]["p99"] < 5000
    sets = sum(each["ok"] for each in finished.operations("POST", "SIO") if each["name"] in ("/ctx", "context_set"))
    assert 0 < told["spread_ms"]["count"] <= sets
    table = finished.output[finished.output.index("locust-ext result") :]
    assert re.search(r"^Fan-out +([\d,]+) of \1 deliveries \(100 %\), first to last p95", table, re.M), table
    lives = finished.summary["connection_metrics"]
    assert lives["lifetime_s"]["count"] == lives["successful_connections"] == counters["connections"]
    messages = finished.summary["message_metrics"]
    for figure in messages:
        each = lives[f"{figure}_per_connection"]
        assert round(each["avg"] * each["count"], -1) == pytest.approx(messages[figure], rel=0.001, abs=10)


SELECTIVE = """
import sys
from locust_ext.refserver import live
from locust_ext.refserver.__main__ import main
honest, calls = live.LiveChannel.push, [0]
def push(self, event, data, *, skip=None):
    sockets = self._engine.sockets
    room = self.server.manager.rooms.get("/", {}).get(None, {})
    calls[0] += 1
    if event != "context_updated" or calls[0] % 2:
        return honest(self, event, data, skip=skip)
    left_out = [eio for sid, eio in list(room.items()) if sid != skip][:1]
    kept = {eio: sockets.pop(eio) for eio in left_out if eio in sockets}
    try:
        return honest(self, event, data, skip=skip)
    finally:
        sockets.update(kept)
live.LiveChannel.push = push
sys.exit(main(sys.argv[1:]))
"""


@contextmanager
def selective_server() -> Iterator[Server]:
    """A server that leaves one receiver out of every other change."""
    process = subprocess.Popen(
        [sys.executable, "-c", SELECTIVE, "--port", "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield Server(process.stdout.readline().removeprefix("READY ").strip())
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


@pytest.mark.parametrize("mode", ["one process", "--processes 2"])
def test_a_server_that_leaves_receivers_out_is_found_out(tmp_path: Path, mode: str) -> None:
    with selective_server() as target:
        more = ["--processes", "2"] if mode == "--processes 2" else []
        finished = run_local(tmp_path, *headless(8, 9, "--host", target.url, *STABLE, *more))
    assert finished.code == 0, finished.output
    told = updates(finished)
    assert told["never_came"] == told["expected"] - told["reached"]
    # One of 8 (or 7) receivers, of every other change; what was sent in the last two seconds could not be judged.
    assert told["reach"] == pytest.approx(1 - 0.5 / 7.6, abs=0.03)
    assert re.search(r"[\d,]+ never came", finished.output)


def test_pushes_later_than_the_grace_do_not_count_as_reached_and_have_their_delay(tmp_path: Path) -> None:
    """A server that takes 2.5 s for each request tells of a change after the two seconds of grace."""
    with server() as target:
        target.misbehave(latency_ms=2500)
        finished = run_local(tmp_path, *headless(8, 12, "--host", target.url, *STABLE))
    assert finished.code == 0, finished.output
    told = updates(finished)
    assert (told["reach"], told["reached"]) == (0.0, 0)
    assert told["never_came"] == told["expected"] > 0
    assert told["lag_ms"]["min"] > 2400


def test_connections_that_the_server_drops_are_not_missed(tmp_path: Path) -> None:
    """They were not open until the grace was over; that they went is told as drops."""
    with server() as target:
        target.misbehave(seed=3, drop_ratio=0.1)
        finished = run_local(tmp_path, *headless(16, 9, "--host", target.url, *STABLE))
    assert finished.summary["connection_metrics"]["dropped"] > 5
    told = updates(finished)
    assert told["expected"] > 100
    assert told["reach"] == 1.0


def test_between_hosts_reach_is_known_and_delay_is_not(tmp_path: Path) -> None:
    """Two workers that say they are on two hosts: only deliveries within one of them have a delay."""
    locustfile = tmp_path / "apart.py"
    locustfile.write_text(
        "import os\nfrom locust_ext.runtime import process\n"
        "process.clock_of_host = lambda: f'host of {os.getpid()}'\n"
        f"exec(open({str(REALISTIC)!r}).read())\n"
    )
    with server() as target:
        finished = run_local(
            tmp_path,
            *headless(16, 9, "--host", target.url, *STABLE, "--processes", "2"),
            locustfile=locustfile,
        )
    assert finished.code == 0, finished.output
    told = updates(finished)
    assert told["expected"] > 300
    assert told["reach"] == 1.0
    assert told["lag_ms"]["count"] == pytest.approx(told["received"] / 2, rel=0.1)
    sets = sum(each["ok"] for each in finished.operations("POST", "SIO") if each["name"] in ("/ctx", "context_set"))
    # Only while one of the two had connections.
    assert told.get("spread_ms", {"count": 0})["count"] <= 0.2 * sets
