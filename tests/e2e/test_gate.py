"""The regression gate: `--ext-baseline` and the exit codes that follow."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.e2e.runs import Finished, Server, headless, run_local, server
from tests.e2e.test_honesty import BUSY_WORKER, locustfile

pytestmark = [pytest.mark.e2e, pytest.mark.alone]


def run(folder: Path, target: Server, *more: str, after: str = "pass") -> Finished:
    folder.mkdir()
    arguments = headless(8, 6, "-s", "5", "--host", target.url, *more)
    return run_local(folder, *arguments, locustfile=locustfile(folder, 0.02, after))


def tolerant_baseline(first: Finished) -> list[str]:
    """A machine that is busy with other tests makes any run's tail longer: by half is no news here."""
    settings = first.folder / "tolerant.yaml"
    settings.write_text("baseline: {tolerance: 0.6}\n")
    return ["--ext-baseline", str(first.folder / "summary.json"), "--ext-config", str(settings)]


def test_an_equal_run_passes_and_a_slower_one_is_a_regression(tmp_path: Path) -> None:
    with server() as target:
        target.misbehave(latency_ms=50)
        first = run(tmp_path / "first", target)
        baseline = tolerant_baseline(first)
        equal = run(tmp_path / "equal", target, *baseline)
        target.misbehave(latency_ms=150)
        slower = run(tmp_path / "slower", target, *baseline)
        slower_workers = run(tmp_path / "workers", target, *baseline, "--processes", "2")
        busy = run(tmp_path / "busy", target, *baseline, after=BUSY_WORKER.format(indices="(0, 1, -1)"))
    assert first.code == 0, first.output
    assert equal.code == 0, equal.output
    assert "no regression against" in " ".join(equal.output.split())
    assert slower.code == slower_workers.code == 5, slower.output
    said = " ".join(slower.output.split())
    assert "regressions against" in said
    assert "WS ping p95_ms" in said
    worse = [each for each in slower.summary["comparison"]["figures"] if each["outcome"] == "worse"]
    assert ("WS ping", "p50_ms") in {(each["operation"], each["figure"]) for each in worse}
    suites = ElementTree.parse(slower.folder / "junit.xml").getroot()
    (gate,) = [suite for suite in suites if suite.get("name") == "baseline"]
    assert int(gate.get("failures", "0")) >= 1
    assert "| WS ping | p95\\_ms |" in (slower.folder / "summary.md").read_text()
    assert busy.code == 4, "a measurement that is not valid proves no regression"


def test_errors_without_a_regression_stay_locusts_own_exit_code(tmp_path: Path) -> None:
    with server() as target:
        target.misbehave(seed=3, latency_ms=50, error_ratio=0.2)
        first = run(tmp_path / "first", target)
        second = run(tmp_path / "second", target, *tolerant_baseline(first))
    assert (first.code, second.code) == (1, 1), second.output


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "the file cannot be read: No such file or directory"), ("{}", "a summary.json with schema 1")],
)
def test_a_baseline_that_is_none_is_said_before_the_run(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "base.json").write_text(text)
    finished = run_local(tmp_path, *headless(1, 5, "--ext-baseline", "base.json", report=False))
    assert finished.code == 1
    (line,) = [line for line in finished.output.splitlines() if line.startswith("locust-ext: error: ")]
    assert said in line
    assert "Ramping" not in finished.output
