"""`config/ci`: the examples for GitHub Actions and GitLab run, pass on a good server, and fail on a bad one."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from tests.e2e.runs import ROOT, Finished, Locust, server

pytestmark = pytest.mark.e2e

CI = ROOT / "config" / "ci"


def steps(name: str) -> list[str]:
    """The commands of an example, in their order."""
    document: dict[str, Any] = yaml.safe_load((CI / name).read_text())
    if name == "gitlab-ci.yml":
        return list(document["load-test"]["script"])
    return [step["run"] for step in document["jobs"]["load-test"]["steps"] if "run" in step]


def run_example(folder: Path, name: str, *more: str) -> Finished:
    """Its Locust command as it stands, from a checkout, for a shorter time."""
    (command,) = [shlex.split(each) for each in steps(name) if each.startswith("locust ")]
    command[command.index("-t") + 1] = "8s"
    for entry in ("config", "locustfiles"):
        (folder / entry).symlink_to(ROOT / entry)
    arguments = [each for each in command[1:] if each not in ("-f", "locustfiles/realistic.py")]
    finished = Locust(*arguments, *more, folder=folder, locustfile=Path("locustfiles/realistic.py")).finish()
    return Finished(finished.code, finished.output, finished.took_s, folder / "report")


@pytest.mark.parametrize("name", ["github-actions.yml", "gitlab-ci.yml"])
def test_the_example_passes_on_a_good_server(tmp_path: Path, name: str) -> None:
    finished = run_example(tmp_path, name)
    assert finished.code == 0, finished.output
    assert [each for each in finished.summary["rules"] if each["outcome"] in ("failed", "no_data")] == []
    assert finished.summary["run"]["duration_s"] >= 7.9, "it runs as long as it was told to"


def test_the_example_fails_on_a_server_with_errors_and_the_files_that_it_keeps_say_why(tmp_path: Path) -> None:
    with server() as target:
        target.misbehave(error_ratio=0.3, seed=2)
        finished = run_example(tmp_path, "gitlab-ci.yml", "--host", target.url)
    assert finished.code == 3, finished.output
    root = ElementTree.parse(finished.folder / "junit.xml").getroot()
    failed = [case.get("name") for suite in root for case in suite if case.find("failure") is not None]
    assert "errors" in failed
    assert "errors" in (finished.folder / "summary.md").read_text()


def test_what_the_examples_keep_is_what_the_run_writes() -> None:
    (github,) = yaml.safe_load((CI / "github-actions.yml").read_text())["jobs"].values()
    gitlab = yaml.safe_load((CI / "gitlab-ci.yml").read_text())["load-test"]
    uploads = [step["with"]["path"] for step in github["steps"] if "upload-artifact" in step.get("uses", "")]
    assert (uploads, gitlab["artifacts"]["paths"]) == (["report"], ["report/"])
    assert gitlab["artifacts"]["reports"]["junit"] == "report/junit.xml"
    for name in ("github-actions.yml", "gitlab-ci.yml"):
        assert any("--ext-report-dir report" in " ".join(each.split()) for each in steps(name))
