"""Alerts and gates: what the reference server does wrong raises the right alert in time, resolves after, and fails the run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.e2e.runs import Finished, Locust, Server, free_port, headless, run_distributed, run_local, server

pytestmark = pytest.mark.e2e

PINGS = """
from locust import constant_pacing, task
import locust_ext
from locust_ext import AgentUser

locust_ext.install()


class Pinger(AgentUser):
    wait_time = constant_pacing(0.05)

    @task
    def ping(self):
        self.ws.request({"type": "ping"}, timeout_s=3)
"""
WINDOW_S = 2
RULES = f"""
rules:
  - {{name: slow, metric: latency_p95, where: {{type: WS}}, window: {WINDOW_S}s, critical: 150ms}}
  - {{name: failing, metric: error_ratio, where: {{type: WS}}, window: {WINDOW_S}s, warning: 5%, critical: 35%}}
  - {{name: dropping, metric: drops, window: {WINDOW_S}s, critical: "> 3"}}
  - {{name: leaking, metric: target.memory_bytes, window: {WINDOW_S}s, critical: 250MB}}
"""
LOCAL_S = 1.0 + 1.0
"""One evaluation, and the second that has to close before it."""
DISTRIBUTED_S = 3.0 + 1.0


def files(folder: Path, rules: str = RULES, locustfile: str = PINGS) -> tuple[Path, Path]:
    folder.mkdir(exist_ok=True)
    (folder / "pings.py").write_text(locustfile)
    (folder / "rules.yaml").write_text(rules)
    return folder / "pings.py", folder / "rules.yaml"


def faults(target: Server, plan: Sequence[tuple[float, dict[str, Any]]]) -> Callable[[], list[float]]:
    """Set the faults at their times after the first message; gives how to get the wall-clock moments of each."""
    moments: list[float] = []

    def play() -> None:
        until_s = time.monotonic() + 30
        while not target.counters()["messages_received"] and time.monotonic() < until_s:
            time.sleep(0.02)
        began_s = time.monotonic()
        for at_s, fault in plan:
            time.sleep(max(0.0, began_s + at_s - time.monotonic()))
            target.misbehave(**fault)
            moments.append(time.time())

    thread = threading.Thread(target=play, daemon=True)
    thread.start()

    def done() -> list[float]:
        thread.join(60)
        assert len(moments) == len(plan)
        return moments

    return done


def began(finished: Finished) -> float:
    """When the run began, by the wall clock that the faults are timed with."""
    return datetime.fromisoformat(finished.summary["run"]["started_at"]).timestamp()


def changes(finished: Finished, rule: str, severity: str = "critical") -> list[tuple[str, float]]:
    events = finished.summary["alerts"]["events"]
    return [(each["state"], each["at_s"]) for each in events if (each["rule"], each["severity"]) == (rule, severity)]


ARGUMENTS = ["--ext-rules", "rules.yaml"]


@pytest.mark.parametrize("workers", [0, 2], ids=["one process", "--processes 2"])
def test_each_fault_raises_its_alert_in_time_and_the_alert_resolves_after_it(tmp_path: Path, workers: int) -> None:
    locustfile, _ = files(tmp_path)
    slack_s = DISTRIBUTED_S if workers else LOCAL_S
    with server() as target:
        when = faults(
            target,
            [
                (2.0, {"latency_ms": 300}),
                (5.0, {}),
                (6.0, {"error_ratio": 0.5}),
                (9.0, {}),
                (10.0, {"drop_ratio": 0.2}),
                (12.5, {}),
                (13.0, {"leak_bytes_per_message": 1_000_000}),
                (17.0, {}),
            ],
        )
        port = target.url.rpartition(":")[2]
        more = ["--processes", str(workers)] if workers else []
        arguments = headless(8, 26, *ARGUMENTS, "--host", target.url, "--ext-target-port", port, "-s", "3", *more)
        finished = run_local(tmp_path, *arguments, locustfile=locustfile)
        moments = [moment - began(finished) for moment in when()]
    for number, rule in enumerate(("slow", "failing", "dropping", "leaking")):
        from_s, to_s = moments[2 * number], moments[2 * number + 1]
        found = changes(finished, rule)
        assert [state for state, _ in found] == ["firing", "resolved"], (rule, finished.summary["alerts"])
        (_, fired_s), (_, resolved_s) = found
        assert from_s < fired_s <= from_s + WINDOW_S + slack_s, (rule, moments)
        # It is good again when the window holds nothing of the fault, and for two evaluations.
        assert to_s - 0.5 < resolved_s <= to_s + WINDOW_S + slack_s + 2, (rule, moments)
    assert finished.code == 3, finished.output
    assert "Alert slow: critical: response time p95 of WS" in finished.output
    outcomes = {each["name"]: each["outcome"] for each in finished.summary["rules"]}
    assert outcomes == dict.fromkeys(("slow", "failing", "dropping", "leaking"), "failed")


def cases(finished: Finished) -> dict[str, str]:
    """The rules of junit.xml, and what became of each."""
    root = ElementTree.parse(finished.folder / "junit.xml").getroot()
    (suite,) = [each for each in root if each.get("name") == "rules"]
    return {
        str(case.get("name")): next((child.tag for child in case if child.tag in ("failure", "skipped")), "passed")
        for case in suite
    }


GATES = """
rules:
  - {name: answers, metric: latency_p95, where: {type: WS}, critical: 2s}
  - {name: no errors, metric: error_ratio, critical: 5%}
  - {name: no warning either, metric: error_ratio, warning: 1%, critical: 90%}
  - {name: Socket.IO answers, metric: latency_p95, where: {type: SIO}, critical: 2s, no_data: ignore}
"""


def in_one_process(folder: Path, *arguments: str, **options: Any) -> Finished:
    return run_local(folder, *headless(5, 4, *arguments), **options)


def in_two_processes(folder: Path, *arguments: str, **options: Any) -> Finished:
    return run_local(folder, *headless(5, 4, "--processes", "2", *arguments), **options)


def with_master_and_workers(folder: Path, *arguments: str, **options: Any) -> Finished:
    return run_distributed(folder, *headless(5, 4, *arguments), **options)


@pytest.mark.parametrize("run", [in_one_process, in_two_processes, with_master_and_workers])
def test_a_failing_gate_gives_3_and_junit_says_which(tmp_path: Path, run: Callable[..., Finished]) -> None:
    locustfile, _ = files(tmp_path, GATES)
    with server() as target:
        target.misbehave(error_ratio=0.3, seed=1)
        finished = run(tmp_path, *ARGUMENTS, "--host", target.url, "-s", "3", locustfile=locustfile)
    assert finished.code == 3, finished.output
    assert cases(finished) == {
        "answers": "passed",
        "no errors": "failure",
        "no warning either": "passed",
        "Socket.IO answers": "skipped",
    }
    outcomes = {each["name"]: each["outcome"] for each in finished.summary["rules"]}
    assert outcomes == {
        "answers": "passed",
        "no errors": "failed",
        "no warning either": "warned",
        "Socket.IO answers": "no_data",
    }
    assert "no errors" in (finished.folder / "summary.md").read_text()


def test_errors_that_the_rules_tolerate_give_0_and_warnings_never_change_it(tmp_path: Path) -> None:
    locustfile, _ = files(
        tmp_path, "rules: [{name: errors, metric: error_ratio, warning: 1%, critical: 60%, on_critical: [log]}]"
    )
    with server() as target:
        target.misbehave(error_ratio=0.3, seed=1)
        finished = run_local(
            tmp_path, *headless(5, 4, *ARGUMENTS, "--host", target.url, "-s", "3"), locustfile=locustfile
        )
    assert finished.summary["error_metrics"]["total"] > 0
    assert finished.code == 0, finished.output
    assert [each["outcome"] for each in finished.summary["rules"]] == ["warned"]


def test_a_rule_that_says_stop_ends_the_run_early_and_says_why(tmp_path: Path) -> None:
    locustfile, _ = files(
        tmp_path,
        "rules: [{name: enough, metric: error_ratio, window: 2s, critical: 20%, on_critical: [log, stop, record]}]",
    )
    with server() as target:
        target.misbehave(error_ratio=0.5, seed=1)
        began_s = time.monotonic()
        finished = run_local(
            tmp_path, *headless(5, 60, *ARGUMENTS, "--host", target.url, "-s", "3"), locustfile=locustfile
        )
    assert time.monotonic() - began_s < 25
    assert finished.code == 3, finished.output
    assert "The run ends early: " in finished.output
    assert "enough" in finished.summary["run"]["ended_because"]
    # `record`: in Locust's failures, and in none of our own counts.
    assert "ALERT" in finished.output
    assert not finished.operations("ALERT")


def test_a_workers_cpu_alert_names_the_worker(tmp_path: Path) -> None:
    busy = PINGS + (
        "\nimport gevent\nfrom locust import events\nfrom time import monotonic, process_time\n\n"
        "def burn():\n"
        "    while True:\n"
        "        until = monotonic() + 0.04\n"
        "        while monotonic() < until:\n"
        "            pass\n"
        "        gevent.sleep(0.005)\n\n"
        "@events.test_start.add_listener\n"
        "def on_start(environment, **_):\n"
        "    if getattr(environment.runner, 'worker_index', -1) == 1:\n"
        "        gevent.spawn(burn)\n"
    )
    locustfile, _ = files(
        tmp_path, "rules: [{name: busy, metric: generator.cpu_percent, window: 3s, critical: 60%}]", busy
    )
    with server() as target:
        arguments = headless(4, 9, *ARGUMENTS, "--host", target.url, "--processes", "2", "-s", "3")
        finished = run_local(tmp_path, *arguments, locustfile=locustfile)
    fired = [each for each in finished.summary["alerts"]["events"] if each["state"] == "firing"]
    assert {each["subject"] for each in fired} == {"1"}, finished.summary["alerts"]
    assert "worker 1" in finished.output


def test_bad_rules_are_told_before_the_run_starts(tmp_path: Path) -> None:
    locustfile, rules = files(tmp_path, "rules: [{name: slow, metric: latency_p59, critical: 2s}]")
    finished = Locust(*headless(1, 3, *ARGUMENTS, report=False), folder=tmp_path, locustfile=locustfile).finish()
    assert finished.code == 1
    assert "rules.yaml: rules[0].metric" in finished.output
    assert "did you mean 'latency_p9" in finished.output
    assert rules.name in finished.output


def test_rules_of_which_none_had_data_are_no_pass(tmp_path: Path) -> None:
    """Nobody listens at the target: there is no latency to judge."""
    locustfile, _ = files(tmp_path, "rules: [{name: slow, metric: latency_p95, critical: 2s}]")
    nowhere = f"http://127.0.0.1:{free_port()}"
    finished = run_local(tmp_path, *headless(2, 3, *ARGUMENTS, "--host", nowhere), locustfile=locustfile)
    assert finished.code == 4, finished.output
    assert "nothing to judge: no rule had data" in " ".join(finished.output.split())
