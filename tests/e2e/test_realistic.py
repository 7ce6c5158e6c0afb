"""The main job: the realistic scenario in every mode of Locust, with counts that agree with the server's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.runs import (
    DEMO,
    Locust,
    assert_balanced,
    assert_same_counts,
    free_port,
    headless,
    run_distributed,
    run_local,
    server,
)

pytestmark = pytest.mark.e2e


def test_on_the_embedded_server_it_succeeds_and_shows_every_type_of_operation(tmp_path: Path) -> None:
    finished = run_local(tmp_path, *headless(30, 8, "-s", "5"))
    assert finished.code == 0, finished.output
    assert "Traceback" not in finished.output
    summary = finished.summary
    assert {each["type"] for each in summary["operations"]} >= {"CONNECT", "WS", "SIO", "GET", "POST"}
    assert summary["error_metrics"]["total"] == 0
    assert sum(each["received"] for each in summary["push_metrics"].values()) > 100
    assert summary["run"]["scenario"] == "realistic"
    assert summary["run"]["users"] == 30
    assert_balanced(finished)


def test_the_console_ends_with_a_table_and_a_verdict(tmp_path: Path) -> None:
    finished = run_local(tmp_path, *headless(5, 4, "-s", "5", report=False))
    table = finished.output[finished.output.index("locust-ext result") :]
    for row in ("Connections", "Messages", "Pushes", "Round trips", "Failures", "Verdict"):
        assert re.search(rf"^{row} ", table, re.M), table
    assert re.search(r"^Verdict +good: [\d,]+ operations, no failure$", table, re.M), table
    assert max(map(len, table.splitlines())) <= 80


@pytest.mark.parametrize("mode", ["one process", "--processes 2", "master and workers"])
def test_client_and_server_count_the_same(tmp_path: Path, mode: str) -> None:
    with server() as target:
        more = ["--processes", "2"] if mode == "--processes 2" else []
        arguments = headless(20, 7, "-s", "5", "--host", target.url, *more)
        if mode == "master and workers":
            finished = run_distributed(tmp_path, *arguments)
        else:
            finished = run_local(tmp_path, *arguments)
        counters = target.counters()
    assert finished.code == 0, finished.output
    assert [each.code for each in finished.workers] == [0] * len(finished.workers)
    assert_balanced(finished)
    assert_same_counts(finished, counters)
    assert finished.summary["run"]["workers"] == (0 if mode == "one process" else 2)
    assert finished.summary["run"]["complete"]
    assert counters["open_connections"] == 0
    assert sum(each["cancelled"] for each in finished.operations()) == 0


def test_without_a_stop_timeout_counts_agree_up_to_what_was_cancelled(tmp_path: Path) -> None:
    with server() as target:
        target.misbehave(latency_ms=1500)
        finished = run_local(tmp_path, *headless(20, 5, "-s", "0", "--host", target.url, "--ext-profiles", "active:1"))
        counters = target.counters()
    assert finished.code == 0, finished.output
    cancelled = [each for each in finished.operations() if each["cancelled"]]
    assert cancelled, "with 1.5 s a reply, some user is stopped in the middle of a request"
    assert_balanced(finished)
    http = [each for each in finished.operations() if each["type"] in ("GET", "POST")]
    missing = counters["http_requests"] - sum(each["started"] - each["cancelled"] for each in http)
    assert 0 <= missing <= sum(each["cancelled"] for each in http)
    assert finished.summary["message_metrics"]["messages_sent"] == counters["messages_received"]


def test_with_faults_every_failure_stands_under_its_class(tmp_path: Path) -> None:
    with server() as target:
        target.misbehave(seed=7, drop_ratio=0.1, error_ratio=0.05, jitter_ms=50)
        finished = run_local(
            tmp_path, *headless(30, 10, "-s", "5", "--host", target.url, "--ext-profiles", "active:0.7 regular:0.3")
        )
        counters = target.counters()
    assert finished.code == 1, finished.output
    assert "Traceback" not in finished.output
    assert_balanced(finished)
    assert_same_counts(finished, counters)
    classes = finished.summary["error_metrics"]["by_class"]
    assert set(classes) <= {"closed_1006", "reset", "lost", "error_reply", "http_500"}, classes
    drops = finished.operations("DROP")
    assert sum(each["lost"] for each in drops) == counters["dropped"]
    assert classes["lost"] <= counters["dropped"]
    assert classes.get("error_reply", 0) + classes.get("http_500", 0) == counters["faults_injected"]["error_ratio"]
    assert finished.summary["connection_metrics"]["dropped"] == counters["dropped"]


def test_workers_get_the_embedded_servers_address_from_the_master(tmp_path: Path) -> None:
    finished = run_distributed(tmp_path, *headless(10, 4, "-s", "5"))
    assert finished.code == 0, finished.output
    assert [each.code for each in finished.workers] == [0, 0]
    assert finished.summary["run"]["workers"] == 2
    assert finished.summary["error_metrics"]["total"] == 0
    assert finished.summary["connection_metrics"]["successful_connections"] >= 20


def test_a_worker_on_another_machine_says_that_it_cannot_reach_the_embedded_server(tmp_path: Path) -> None:
    port = str(free_port())
    stranger = tmp_path / "elsewhere.py"
    stranger.write_text(
        "import locust_ext.plugin.provided as provided\n"
        "provided.machine_id = lambda: 'another machine'\n"
        f"exec(open({str(DEMO.parents[1] / 'locustfiles' / 'realistic.py')!r}).read())\n"
    )
    worker = Locust("--worker", "--master-port", port, folder=tmp_path, locustfile=stranger)
    master = Locust("--master", "--master-bind-port", port, "--expect-workers", "1", *headless(2, 3), folder=tmp_path)
    said = worker.finish(40)
    assert said.code == 1
    assert "cannot reach the embedded server" in said.output
    assert "--host" in said.output
    finished = master.finish(40)
    assert finished.code == 1
    (reason,) = finished.summary["run"]["invalid_because"]
    assert re.match("worker 0 left: http://127.0.0.1:[0-9]+: it cannot reach the embedded server", reason)


def test_profiles_come_in_their_shares_over_all_workers(tmp_path: Path) -> None:
    locustfile = tmp_path / "shares.py"
    locustfile.write_text(
        "import locust_ext\nfrom locust_ext import RealisticUser\nlocust_ext.install()\n"
        "class Person(RealisticUser):\n    host = 'embedded'\n"
        "    def on_start(self):\n        with open('profiles.txt', 'a') as file:\n"
        "            file.write(self.profile_name + '\\n')\n"
    )
    finished = run_local(
        tmp_path,
        *headless(20, 4, "--processes", "2", "--ext-profiles", "active:0.3", "regular:0.7"),
        locustfile=locustfile,
    )
    assert finished.code == 0, finished.output
    seen = (tmp_path / "profiles.txt").read_text().split()
    assert sorted(seen) == ["active"] * 6 + ["regular"] * 14


def test_the_agent_channel_may_be_on_another_port(tmp_path: Path) -> None:
    with server() as context, server() as agents:
        finished = run_local(
            tmp_path, *headless(10, 5, "-s", "5", "--host", context.url, "--ext-agent-host", agents.url)
        )
        on_context, on_agents = context.counters(), agents.counters()
    assert finished.code == 0, finished.output
    assert on_context["by_channel"]["agent"]["connections"] == 0
    assert on_agents["by_channel"]["agent"]["connections"] == 10
    assert on_agents["http_requests"] == 0
    assert on_context["by_channel"]["live"]["connections"] == 10
