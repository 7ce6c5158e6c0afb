"""`locust-ext suite`: real scenarios one after the other, and nothing of them left however the suite ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from junitparser import JUnitXml

from locust_ext.suite.file import load_suite
from locust_ext.suite.plan import Overrides, planned
from tests.e2e.runs import ROOT, environment
from tests.e2e.test_scenarios import TABLE

pytestmark = pytest.mark.e2e

SUITE = f"""
name: mixed bag
scenarios:
  - name: people
    locustfile: {ROOT}/locustfiles/realistic.py
    config: {ROOT}/config/demo.yaml
    rules: kind.yaml
    args: {{users: 5, spawn_rate: 5, run_time: 3s, stop_timeout: 5}}
  - name: readers
    config: readers.yaml
    rules: strict.yaml
    flags: [--processes, 2]
  - name: broken
    locustfile: broken.py
"""
READERS = """
run: {users: 4, spawn_rate: 4, run_time: 3s}
users:
  Reader: {kind: context, generator: {context_ops: {reads: 1.0}}, think_time: [0.02, 0.05]}
"""
KIND = "rules: [{name: errors, metric: error_ratio, critical: 5%, no_data: fail}]\n"
STRICT = "rules: [{name: too fast, metric: latency_p95, window: run, critical: 1us}]\n"
LONG = f"""
scenarios:
  - {{name: long, locustfile: {ROOT}/locustfiles/realistic.py, args: {{users: 5, spawn_rate: 5, run_time: 60s}}}}
  - {{name: next, locustfile: {ROOT}/locustfiles/realistic.py, args: {{run_time: 60s}}}}
"""


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """The command, as a shell starts it: in a process group of its own."""
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("locust-ext")), "suite", *arguments],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def soon(is_so: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Wait until it is so."""
    until_s = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < until_s
        time.sleep(0.05)


def started(folder: Path) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """A suite whose first scenario has users, and all processes below it: Locust, and the embedded server."""
    (folder / "long.yaml").write_text(LONG)
    suite = start(folder, "long.yaml", "--report-dir", "out")
    log = folder / "out" / "01-long" / "locust.log"
    soon(lambda: log.exists() and "All users spawned" in log.read_text())
    family = psutil.Process(suite.pid).children(recursive=True)
    assert any("locust_ext.refserver" in each.cmdline() for each in family)
    return suite, family


def test_a_suite_runs_each_scenario_in_a_process_of_its_own_and_judges_all(tmp_path: Path) -> None:
    for name, text in {
        "suite.yaml": SUITE,
        "readers.yaml": READERS,
        "kind.yaml": KIND,
        "strict.yaml": STRICT,
        "broken.py": "import locust_ext\nraise KeyError('of the locustfile')\n",
    }.items():
        (tmp_path / name).write_text(text)
    suite = start(tmp_path, "suite.yaml")
    said, _ = suite.communicate(timeout=100)
    reports = tmp_path / "reports" / "mixed-bag"
    told = json.loads((reports / "suite.json").read_text())
    people, readers, broken = told["scenarios"]
    assert (people["outcome"], people["exit_code"]) == ("passed", 0), said
    assert (readers["outcome"], readers["exit_code"], readers["failed_rules"]) == ("rule failed", 3, ["too fast"]), said
    assert (broken["outcome"], broken["exit_code"]) == ("no report", 1), said
    assert "KeyError: 'of the locustfile'" in broken["verdict"]
    assert suite.returncode == told["exit_code"] == 3
    for each in (people, readers):
        summary = json.loads((reports / each["report_dir"] / "summary.json").read_text())
        finished = sum(one["ok"] + one["failed"] + one["timed_out"] + one["lost"] for one in summary["operations"])
        assert each["operations"] == finished > 0
        assert each["latency_ms"]["p95"] > 0
        assert "Starting Locust" in (reports / each["report_dir"] / "locust.log").read_text()
    assert json.loads((reports / readers["report_dir"] / "summary.json").read_text())["run"]["workers"] == 2
    junit = JUnitXml.fromfile(str(reports / "junit.xml"))
    assert [(each.name, each.failures) for each in junit] == [("people", 0), ("readers", 1), ("broken", 1)]
    assert "- **readers**, in 02-readers: rule failed: too fast" in (reports / "suite.md").read_text()
    assert "1 of 3 scenarios passed" in said
    assert max(map(len, said[said.index("-- locust-ext suite") :].splitlines())) <= 80


def test_ctrl_c_ends_the_scenario_in_order_reports_what_was_done_and_leaves_nothing_behind(tmp_path: Path) -> None:
    suite, family = started(tmp_path)
    os.killpg(suite.pid, signal.SIGINT)
    said, _ = suite.communicate(timeout=30)
    assert suite.returncode == 130, said
    assert psutil.wait_procs(family, timeout=5)[1] == []
    told = json.loads((tmp_path / "out" / "suite.json").read_text())
    long, following = told["scenarios"]
    assert (told["ended_by"], told["complete"]) == ("SIGINT", True)
    assert (long["outcome"], long["exit_code"], following["outcome"]) == ("ended", 0, "skipped")
    assert long["operations"] > 0
    assert "0 of 1 scenario passed, 1 skipped" in said


def test_a_suite_that_is_killed_leaves_nothing_behind_but_the_report_of_its_scenario(tmp_path: Path) -> None:
    suite, family = started(tmp_path)
    suite.kill()
    suite.wait(5)
    assert suite.stdout is not None
    suite.stdout.close()
    assert psutil.wait_procs(family, timeout=20)[1] == []
    summary = json.loads((tmp_path / "out" / "01-long" / "summary.json").read_text())
    assert summary["run"]["complete"]
    assert json.loads((tmp_path / "out" / "suite.json").read_text())["complete"] is False


def test_the_shipped_suites_can_run_and_one_of_them_holds_every_scenario() -> None:
    suites = {path.stem: load_suite(path) for path in (ROOT / "config").glob("*suite.yaml")}
    assert set(suites) == {"suite", "context_suite", "realtime_suite"}
    names = {stem: {each.name for each in planned(suite, Overrides())} for stem, suite in suites.items()}
    assert names["suite"] == set(TABLE)
    assert len(names["context_suite"]) == 6
    assert len(names["realtime_suite"]) == 8
