"""Shapes in real `locust` processes: followed here and on a master, ended in time, started again, refused before the run."""

from __future__ import annotations

import csv
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.runs import Finished, Locust, free_port, run_distributed, run_local
from tests.e2e.test_web_ui import Ui

pytestmark = [pytest.mark.e2e, pytest.mark.alone]

IDLE = """
import gevent
import locust_ext
from locust import User, constant, task
from locust_ext import shapes
locust_ext.install()

class Idle(User):
    wait_time = constant(0.2)

    @task
    def nothing(self):
        self.environment.events.request.fire(request_type="X", name="x", response_time=1.0, response_length=0,
                                             exception=None, context={})
        gevent.sleep(0.05)
"""
RAMP = """
class Load(shapes.Ramp):
    initial, users, steps, step_s = 4, 16, 3, 2
"""
STAGES = """
log: {summary_every_s: 0}
shape:
  stages:
    - {users: 6, time_s: 2.5}
    - {users: 30, time_s: 4, rate: 10}
    - {users: 8, time_s: 3}
"""
QUIET = ("--headless", "--only-summary", "--ext-report-dir", "out")


def locustfile(folder: Path, shape: str = "") -> Path:
    path = folder / "idle_users.py"
    path.write_text(IDLE + shape)
    return path


def configured(folder: Path, text: str) -> list[str]:
    (folder / "shape.yaml").write_text(text)
    return ["--ext-config", "shape.yaml"]


def timeline(finished: Finished) -> list[dict[str, str]]:
    with (finished.folder / "timeline.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def assert_followed(finished: Finished, planned: list[int], shape: str) -> None:
    """``planned`` at the end of each second; a change at that very moment may be told a second later."""
    rows = timeline(finished)
    told = [(int(row["users"]), int(row["planned_users"])) for row in rows if row["planned_users"]]
    assert len(told) in (len(planned) - 1, len(planned), len(planned) + 1), told
    around = [planned[0], *planned, planned[-1], planned[-1]]
    for second, (users, by_plan) in enumerate(told):
        near = around[second : second + 3]
        assert min(near) <= by_plan <= max(near), (second, told)
        assert min(near) <= users <= max(near), (second, told)
    assert finished.summary["run"]["shape"] == shape
    line = f"{shape}: users on plan in {len(told)} of {len(told)} s"
    assert line in " ".join(finished.output.split())
    assert f"| Shape | {line} |" in (finished.folder / "summary.md").read_text()


def test_a_shape_of_the_settings_is_followed_here(tmp_path: Path) -> None:
    arguments = [*QUIET, *configured(tmp_path, STAGES)]
    finished = run_local(tmp_path, *arguments, locustfile=locustfile(tmp_path))
    assert finished.code == 0, finished.output
    assert_followed(finished, [6, 6, 11, 21, 30, 30, 8, 8, 8], "3 stages, up to 30 users")
    assert finished.summary["run"]["users"] == 30
    assert 9.3 < finished.summary["run"]["duration_s"] < 10.5


def test_a_shape_of_the_locustfile_is_followed_by_the_workers_of_a_master(tmp_path: Path) -> None:
    finished = run_distributed(tmp_path, *QUIET, locustfile=locustfile(tmp_path, RAMP))
    assert [each.code for each in (finished, *finished.workers)] == [0, 0, 0], finished.output
    assert_followed(finished, [4, 8, 8, 12, 12, 16, 16], "ramp, 4 to 16 users in 3 steps of 2 s")
    assert finished.summary["run"]["valid"]
    assert finished.summary["run"]["workers"] == 2


@pytest.mark.parametrize("forks", [[], ["--processes", "2"]])
def test_run_time_ends_a_shape_that_would_go_on_for_ever(tmp_path: Path, forks: list[str]) -> None:
    port = str(free_port())
    more = (
        [*forks, "--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port] if forks else []
    )
    settings = configured(tmp_path, "shape: {burst: {base_users: 2, burst_users: 6, burst_s: 1, idle_s: 1}}")
    finished = run_local(tmp_path, *QUIET, *settings, "-t", "5s", *more, locustfile=locustfile(tmp_path))
    assert finished.code == 0, finished.output
    assert 4.9 < finished.summary["run"]["duration_s"] < 6.5
    assert finished.summary["run"]["users"] == 8
    assert "will be ignored" not in finished.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("forks", [[], ["--processes", "2"]])
def test_a_shape_that_is_broken_off_leaves_its_whole_report(
    tmp_path: Path, number: signal.Signals, forks: list[str]
) -> None:
    """In Locust's own headless mode the handler of SIGTERM is not there before the shape has ended."""
    port = str(free_port())
    more = (
        [*forks, "--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port] if forks else []
    )
    settings = configured(tmp_path, "shape: {steady: {users: 6}}")
    run = Locust(*QUIET, *settings, *more, folder=tmp_path, locustfile=locustfile(tmp_path))
    run.wait_for("Shape test updating to 6 users")
    with pytest.raises(AssertionError):
        run.wait_for("never said", 2.5)
    run.signal(number, to_group=number == signal.SIGINT)
    finished = run.finish(20)
    assert "Traceback" not in finished.output
    assert "locust-ext result" in finished.output
    assert finished.code == 0, finished.output
    assert finished.summary["run"]["complete"]
    assert finished.summary["operations"][0]["ok"] > 20


@pytest.mark.parametrize(
    ("shape", "arguments", "text", "said"),
    [
        (RAMP, [], STAGES, "shape.yaml: shape: expected no shape here: the locustfile has one of its own, Load"),
        ("", ["--reset-stats"], STAGES, "--reset-stats: expected no Stages shape beside it"),
        (RAMP, ["--reset-stats"], "{}", "--reset-stats: expected no Load shape beside it"),
        (RAMP.replace("steps,", "stepps,"), [], "{}", "Load.stepps: unknown parameter, expected one of users,"),
        ("", [], "shape: {stages: [{users: 5, tme_s: 5}]}", "shape.yaml: shape.stages[0].tme_s: unknown key"),
    ],
)
def test_what_cannot_be_is_said_before_the_run(
    tmp_path: Path, shape: str, arguments: list[str], text: str, said: str
) -> None:
    settings = configured(tmp_path, text)
    finished = run_local(tmp_path, *QUIET, *settings, *arguments, locustfile=locustfile(tmp_path, shape))
    (line,) = [line for line in finished.output.splitlines() if line.startswith("locust-ext: error: ")]
    assert said in line
    assert finished.code == 1
    assert "Traceback" not in finished.output
    assert "Shape test" not in finished.output


@pytest.mark.parametrize("forks", [[], ["--processes", "2"]])
def test_a_shape_starts_again_from_the_web_ui_as_often_as_one_likes(tmp_path: Path, forks: list[str]) -> None:
    """Stopped in its middle, ended by itself, and with the run time of the form."""
    port, master = str(free_port()), str(free_port())
    more = [*forks, "--master-bind-host", "127.0.0.1", "--master-bind-port", master, "--master-port", master]
    settings = configured(tmp_path, "shape: {stages: [{users: 4, time_s: 3}, {users: 9, time_s: 3}]}")
    run = Locust(
        *("--web-host", "127.0.0.1", "--web-port", port, "--ext-report-dir", "out", *settings),
        *(more if forks else ()),
        folder=tmp_path,
        locustfile=locustfile(tmp_path),
    )
    ui = Ui(run, f"http://127.0.0.1:{port}")
    try:
        ui.wait(lambda told: told["state"] == "ready", "/stats/requests")
        if forks:
            ui.wait(lambda told: len(told["workers"]) == 2, "/stats/requests")
        for turn in range(3):
            swarm(ui, "run_time=5s" if turn == 2 else "")
            ui.wait(lambda told: told["user_count"] == 4, "/stats/requests")
            ui.wait(lambda told: told["user_count"] == 9, "/stats/requests")
            if turn == 0:
                ui.post("/stop", b"", "application/x-www-form-urlencoded")
            ui.wait(lambda told: told["state"] == "stopped" and told["user_count"] == 0, "/stats/requests")
            reports = turn + 1  # until then a master has not ended its run, and says so to whoever starts another
            ui.wait(
                lambda _, reports=reports: run.log.read_text().count("Report written") == reports, "/stats/requests"
            )  # type: ignore[misc]
    finally:
        run.signal(signal.SIGTERM)
        finished = run.finish(20)
    assert "Traceback" not in finished.output
    folders = sorted((tmp_path / "out").iterdir())
    runs = [json.loads((folder / "summary.json").read_bytes())["run"] for folder in folders]
    assert [each["shape"] for each in runs] == ["2 stages, up to 9 users"] * 3
    assert 3.0 < runs[0]["duration_s"] < 6.0
    assert 5.9 < runs[1]["duration_s"] < 7.5
    assert 4.9 < runs[2]["duration_s"] < 5.9
    for folder in folders:
        assert_first_and_last(Finished(0, "", 0.0, folder))


def swarm(ui: Ui, form: str) -> None:
    answer = ui.post("/swarm", form.encode(), "application/x-www-form-urlencoded")
    assert answer["message"] == "Swarming started using shape class 'Stages'", answer


def assert_first_and_last(finished: Finished) -> None:
    rows: list[Any] = [row for row in timeline(finished) if row["planned_users"]]
    assert (rows[0]["users"], rows[0]["planned_users"]) == ("4", "4")
    assert rows[-1]["planned_users"] == "9"
