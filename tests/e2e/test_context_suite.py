"""The context-server suite, in Python and in YAML: passes where the server keeps up, and names the rule where it does not.

Every scenario is run by real processes, some at a time, for a few seconds instead of its half minute.
"""

from __future__ import annotations

import runpy
import signal
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

import locust_ext
from tests.e2e.runs import ROOT, Finished, Locust, assert_balanced, free_port, run_local, server

pytestmark = pytest.mark.e2e

NAMES = ("reads", "writes", "mixed", "dumps", "memory", "percentiles")
PASSING = ("reads", "dumps", "percentiles")
"""Those with the most to keep to; that all others run as well is tested with all scenarios (test_scenarios.py)."""
AT_ONCE = 3
BUSY = "\ngenerator: {max_loop_lag_ms: 60000, max_cpu_percent: 1000}\n"
SCENARIO = ROOT / "locustfiles" / "scenario.py"


def locustfile(name: str) -> Path:
    return ROOT / "locustfiles" / f"context_{name}.py"


def config(name: str) -> Path:
    return ROOT / "config" / f"context_{name}.yaml"


def in_python(name: str, *more: str) -> tuple[Path, list[str]]:
    """Locustfile and arguments of a scenario."""
    return locustfile(name), ["--ext-config", "busy.yaml", *more]


def in_yaml(name: str, *more: str) -> tuple[Path, list[str]]:
    """The same scenario of the generic locustfile."""
    return SCENARIO, ["--ext-config", f"{name}.yaml", *more]


def in_two_processes() -> list[str]:
    port = str(free_port())
    return ["--processes", "2", "--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port]


def side_by_side(folder: Path, runs: Mapping[str, tuple[Path, Sequence[str]]], **changed: str) -> dict[str, Finished]:
    """What became of the runs, each in a folder of its own; ``changed``: scenario -> limit of 1 GiB in its YAML file.

    Whether the load generator keeps up with so many runs beside it is not asked here.
    """

    def one(name: str) -> Finished:
        path, arguments = runs[name]
        (own := folder / name.replace(" ", "_")).mkdir()
        (own / "busy.yaml").write_text(BUSY)
        for each in NAMES:
            text = config(each).read_text()
            (own / f"{each}.yaml").write_text(text.replace("1GiB", changed.get(each, "1GiB")) + BUSY)
        short = ["--headless", "--only-summary", "--ext-report-dir", "out"]
        return run_local(own, *short, *([] if "-t" in arguments else ["-t", "4s"]), *arguments, locustfile=path)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return dict(zip(runs, threads.map(one, runs), strict=True))


def verdicts(finished: Finished) -> dict[str, str]:
    return {each["name"]: each["outcome"] for each in finished.summary["rules"]}


def rate(finished: Finished) -> float:
    """Operations begun, a second."""
    begun = sum(each["started"] for each in finished.operations())
    return float(begun / finished.summary["run"]["duration_s"])


def counted(finished: Finished) -> set[str]:
    return {f"{each['type']} {each['name']}" for each in finished.operations()}


@pytest.mark.alone  # their criteria are of time: other tests beside them would break them
def test_scenarios_pass_in_one_process_and_so_they_do_in_yaml_in_two(tmp_path: Path) -> None:
    """All rules have something to judge; the YAML file makes as much load as the locustfile, as nearly as can be told."""
    runs = {name: in_python(name) for name in PASSING}
    runs |= {f"{name} in yaml": in_yaml(name, *in_two_processes()) for name in ("dumps",)}
    finished = side_by_side(tmp_path, runs)
    for run, each in finished.items():
        name, _, is_yaml = run.partition(" ")
        assert each.code == 0, f"{run}: {each.output}"
        assert_balanced(each)
        assert counted(each) == counted(finished[name]), run
        assert verdicts(each).keys() == verdicts(finished[name]).keys()
        assert set(verdicts(each).values()) == {"passed"}, (run, verdicts(each))
        assert each.summary["error_metrics"]["total"] == 0, run
        assert each.summary["run"]["workers"] == (2 if is_yaml else 0)
        assert 0.5 < rate(each) / rate(finished[name]) < 2, run
        assert "Traceback" not in each.output, f"{run}: {each.output}"


def test_what_a_server_does_wrong_fails_the_rule_that_is_about_it(tmp_path: Path) -> None:
    """Exit code 3. A server that answers nothing fails all rules that wait for data.

    That the server is slow when the entries are prepared costs no load: `--run-time` begins after that.
    """
    with server() as fails, server() as is_slow, server() as is_dead:
        fails.misbehave(error_ratio=0.2, seed=1)
        is_slow.misbehave(latency_ms=500)
        is_dead.misbehave(stall={"after_s": 0, "for_s": 60})
        finished = side_by_side(
            tmp_path,
            {
                "reads": in_python("reads", "--host", fails.url),
                "mixed": in_yaml("mixed", "--host", is_slow.url),
                "writes": in_python("writes", "--host", is_dead.url, "-s", "0"),
                "memory": in_yaml("memory"),
            },
            memory="10MiB",
        )
    outputs = {name: each.output for name, each in finished.items()}
    assert {name: each.code for name, each in finished.items()} == {
        "reads": 3,
        "mixed": 3,
        "writes": 3,
        "memory": 3,
    }, outputs
    assert ": 100 entries were set on the server within" in outputs["mixed"]
    assert finished["mixed"].took_s > 5 + 4  # 10 at a time, 500 ms each
    assert 3.5 < finished["mixed"].summary["run"]["duration_s"] < 6
    found = {name: verdicts(each) for name, each in finished.items()}
    assert found["reads"].pop("95 % succeed") == "failed"
    assert found.pop("reads").keys() == {"100 ms on average", "100 a second"}  # how these end is the machine's affair
    assert found == {
        "mixed": {"92 % succeed": "passed", "150 ms on average": "failed", "75 a second": "failed"},
        "writes": {"90 % succeed": "failed", "200 ms on average": "failed", "50 a second": "failed"},
        "memory": {"85 % succeed": "passed", "target memory up to 1 GiB": "failed"},
    }
    assert "rule failed: 95 % succeed" in outputs["reads"]
    for name, rules in found.items():
        for rule, outcome in rules.items():
            told = {"failed": f"FAIL     {rule}", "passed": f"pass     {rule}"}[outcome]
            assert told in outputs[name], (told, outputs[name])


@pytest.mark.parametrize("processes", [1, 2])
def test_ctrl_c_while_the_entries_are_being_set_ends_all_processes_at_once(tmp_path: Path, processes: int) -> None:
    with server() as target:
        target.misbehave(stall={"after_s": 0, "for_s": 60})
        words = ["--headless", "-t", "4s", "--host", target.url, *(in_two_processes() if processes == 2 else ())]
        run = Locust(*words, folder=tmp_path, locustfile=locustfile("reads"))
        until_s = time.monotonic() + 20
        while target.counters()["http_requests"] < 10:  # the first ten entries are on their way
            assert time.monotonic() < until_s
            time.sleep(0.05)
        family = run.family()
        run.signal(signal.SIGINT)
        finished = run.finish(15)
    assert finished.code == 130, finished.output
    assert "Traceback" not in finished.output
    assert len(family) == processes + (processes == 2)
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []


@pytest.mark.parametrize("processes", [1, 2])
def test_a_server_that_cannot_be_prepared_is_one_clear_error_before_the_run(tmp_path: Path, processes: int) -> None:
    arguments = ["--host", "http://127.0.0.1:1", *(in_two_processes() if processes == 2 else ())]
    arguments = ["--headless", "-t", "4s", "--ext-report-dir", "out", *arguments]
    finished = run_local(tmp_path, *arguments, locustfile=locustfile("reads"))
    assert finished.code == 1, finished.output
    assert [line for line in finished.output.splitlines() if line.startswith("locust-ext: error: ")] == [
        "locust-ext: error: http://127.0.0.1:1: the 100 entries that Reader needs cannot be set: "
        "refused - the target refused the TCP connection"
    ], finished.output
    assert "Traceback" not in finished.output
    assert not finished.folder.exists() or not list(finished.folder.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_the_locustfile_and_the_yaml_file_ask_for_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Users, times and rules, word for word."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(locust_ext, "install", given.update)
    made = runpy.run_path(str(locustfile(name)))
    told = yaml.safe_load(config(name).read_text())
    assert given == {"run": told["run"], "rules": told["rules"]}
    ((class_name, rules),) = told["users"].items()
    user_class = made[class_name]
    assert (rules["kind"], user_class.host) == ("context", "embedded")
    assert rules.get("prepared_entries", 0) == user_class.prepared_entries
    waits = [user_class.wait_time(None) for _ in range(300)]
    low, high = rules["think_time"]
    assert all(low <= each <= high for each in waits)
    assert min(waits) < low + (high - low) / 4 < high - (high - low) / 4 < max(waits)


def test_the_suite_has_every_scenario_of_the_context_server() -> None:
    suite = yaml.safe_load((ROOT / "config" / "context_suite.yaml").read_text())
    assert [each["name"] for each in suite["scenarios"]] == list(NAMES)
    assert [each["config"] for each in suite["scenarios"]] == [config(name).name for name in NAMES]
    files = {*ROOT.glob("locustfiles/context_*.py"), *ROOT.glob("config/context_*.yaml")}
    assert files == {*map(locustfile, NAMES), *map(config, NAMES), ROOT / "config" / "context_suite.yaml"}
