"""Every scenario of the README's table is one command: each is run for a few seconds, alone, with workers, and as YAML.

All end by themselves on the embedded server. In so short a run a rule may lack what it needs (a rate that is reached
once all users are there, enough samples): exit codes 3 and 4 are right where the report says why. That the criteria hold
over the whole time is tested elsewhere.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.runs import ROOT, Finished, Locust, assert_balanced, free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

LANES = 4
"""Runs side by side: most of the time each waits."""
RUN_S = 2
README = (ROOT / "README.md").read_text()
_SECTION = re.search(r"^## Scenarios\n(.*?)^## ", README, re.M | re.S)
_ROW = re.compile(r"^\| `(\w+)` \| [^|]+ \| `([^`|]+)` \|$", re.M)
TABLE: Mapping[str, str] = dict(_ROW.findall(_SECTION[1] if _SECTION else ""))
"""Scenario -> its command."""
WAYS = ("alone", "two workers", "yaml")
IN_YAML_ELSEWHERE = {
    "concurrent_connections": "realtime",
    "mixed_protocol": "realtime",
    "fan_out": "realtime",
    "failover": "realtime",
    "single_connection": "realtime",
    "context_dumps": "context",
    "context_mixed": "context",
    "context_memory": "context",
}
"""Scenarios whose YAML file the tests of their suite run, with their criteria: once is enough."""
RUNS = [(name, way) for name in TABLE for way in WAYS if way != "yaml" or name not in IN_YAML_ELSEWHERE]
CONTEXT = {
    "context_reads": (30, {"GET /ctx", "GET /ctx/all", "GET /ctx/history"}),
    "context_writes": (30, {"POST /ctx"}),
    "context_mixed": (30, {"GET /ctx", "POST /ctx"}),
    "context_dumps": (20, {f"POST /ctx/dump {each}" for each in ("json", "pretty", "csv", "txt")}),
    "context_memory": (20, {"POST /ctx"}),  # in so short a time nobody has set all of its entries
    "context_percentiles": (20, {"GET /ctx", "POST /ctx"}),
}
"""The context-server suite: users, and operations."""
PROVOKES = frozenset(("failover", "churn", "stress", "sustained_stress"))
"""Failures belong to what these show."""


def arguments(name: str, way: str) -> tuple[Path, list[str]]:
    """The locustfile and the other words of the command, or of its twin in YAML; for a few seconds, with a report."""
    locust, dash_f, locustfile, *words = shlex.split(TABLE[name])
    assert (locust, dash_f) == ("locust", "-f")
    if way == "yaml":
        locustfile = "locustfiles/scenario.py"
        words += ["--ext-config", str(ROOT / "config" / f"{name}.yaml")]
    words += ["-t", f"{RUN_S}s", "--only-summary", "--ext-report-dir", "out"]
    if way == "two workers":
        port = str(free_port())
        words += ["--processes", "2", "--master-bind-host", "127.0.0.1"]
        words += ["--master-bind-port", port, "--master-port", port]
    return ROOT / locustfile, words


def run(name: str, way: str, folder: Path) -> Finished:
    locustfile, words = arguments(name, way)
    return Locust(*words, folder=folder, locustfile=locustfile).finish()


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Future[Finished]]]:
    """All that were chosen, begun at once, so many side by side; by the ids of their tests."""
    with ThreadPoolExecutor(LANES) as lanes:
        begun = {}
        for item in request.session.items:
            if item.path == Path(__file__) and (call := getattr(item, "callspec", None)) is not None:
                name, way = call.params["name"], call.params["way"]
                folder = tmp_path_factory.mktemp(f"{name} {way}")
                begun[f"{name} {way}"] = lanes.submit(run, name, way, folder)
        yield begun
        for each in begun.values():
            each.cancel()


def test_every_locustfile_is_in_the_table_of_the_readme_with_its_command_and_its_settings() -> None:
    assert set(TABLE) == {path.stem for path in (ROOT / "locustfiles").glob("*.py")} - {"scenario"}
    for name, command in TABLE.items():
        assert command.startswith(f"locust -f locustfiles/{name}.py --headless"), command
        assert (ROOT / "config" / f"{name}.yaml").is_file()


def explained(summary: Mapping[str, Any]) -> set[int]:
    """The exit codes that the report gives a reason for."""
    outcomes = [rule["outcome"] for rule in summary.get("rules", ())]
    if "failed" in outcomes:
        return {3}
    has_no_answer = "search" in summary and summary["search"]["outcome"] in ("interrupted", "no_data")
    is_unjudged = bool(outcomes) and set(outcomes) == {"no_data"}
    return {4} if has_no_answer or is_unjudged or not summary["run"]["valid"] else {0}


def test_what_is_run_in_yaml_elsewhere_is() -> None:
    for name, suite in IN_YAML_ELSEWHERE.items():
        text = (Path(__file__).parent / f"test_{suite}_suite.py").read_text()
        short = name.removeprefix("context_")
        assert re.search(rf'Run\("{name}", [^)]*in_yaml=True|in_yaml\("{short}"|for name in \("{short}",\)', text), name


@pytest.mark.parametrize(("name", "way"), RUNS)
def test_a_scenario_runs_and_ends_by_itself(name: str, way: str, runs: Mapping[str, Future[Finished]]) -> None:
    finished = runs[f"{name} {way}"].result()
    assert "Traceback" not in finished.output, finished.output
    assert (finished.folder / "summary.json").exists(), finished.output
    summary = finished.summary
    assert sum(each["ok"] for each in finished.operations()) > 0, finished.output
    assert_balanced(finished)
    assert summary["run"]["complete"]
    assert summary["run"]["workers"] == (2 if way == "two workers" else 0)
    assert summary["run"]["scenario"] == name
    if name not in PROVOKES:
        assert summary["error_metrics"]["total"] == 0, summary["error_metrics"]
    assert finished.code in explained(summary), (finished.code, finished.output)
    if name == "churn":
        assert summary["connection_metrics"]["successful_connections"] > 20
        assert summary["connection_metrics"]["peak_open"] <= 20
    if name in CONTEXT:
        assert summary["run"]["users"] == CONTEXT[name][0]
        assert {f"{each['type']} {each['name']}" for each in finished.operations()} <= CONTEXT[name][1]
