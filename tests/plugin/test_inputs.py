"""What a run is asked for, out of flags and settings, and who is named for what is wrong in it."""

from __future__ import annotations

from locust.env import Environment

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from locust_ext import WebSocketUser
from locust_ext.errors import ConfigError
from locust_ext.outputs import REPORTS
from locust_ext.plugin import defaults
from locust_ext.plugin.choices import Choices
from locust_ext.plugin.inputs import Inputs, read_inputs
from locust_ext.plugin.shapes import Shape
from locust_ext.settings import unpacked


class Crowd(WebSocketUser):
    path = "/"
    host = "http://127.0.0.1:1"


RULE = "{name: errors, metric: error_ratio, critical: 5%}"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    defaults.forget_code()
    yield
    defaults.forget_code()


def environment() -> Environment:
    return Environment(user_classes=[Crowd], locustfile="crowd.py")


def read(text: str, **options: Any) -> tuple[Inputs, Namespace]:
    Path("x.yaml").write_text(text)
    given = Namespace(ext_config="x.yaml", **options)
    return read_inputs(environment(), given), given


def error_of(text: str, **options: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        read(text, **options)
    return str(caught.value)


def test_rules_of_the_flag_stand_instead_of_those_of_the_settings() -> None:
    Path("rules.yaml").write_text("rules: [{name: p95, metric: latency_p95, critical: 1s}]")

    def names(**options: Any) -> list[str] | None:
        rules = read(f"rules: [{RULE}]", **options)[0].rules
        return None if rules is None else [rule.name for rule in rules.rules]

    assert names() == ["errors"]
    assert names(ext_rules="rules.yaml") == ["p95"]
    assert names(ext_rules="none") is None
    assert "generator CPU" in (names(ext_rules="default") or [])


def test_a_file_can_switch_off_the_rules_of_the_locustfile() -> None:
    defaults.add_code({"rules": [{"name": "errors", "metric": "error_ratio", "critical": "5%"}]}, "crowd.py")
    assert read("run: {}")[0].rules is not None
    assert read("rules: none")[0].rules is None
    assert read("rules: null")[0].rules is None


def test_only_the_reports_that_are_asked_for_are_written() -> None:
    assert read("report: {formats: [junit.xml, summary.md]}")[0].reports == ("junit.xml", "summary.md")
    assert read("")[0].reports == tuple(REPORTS)


def test_the_workers_are_told_all_but_the_rules() -> None:
    _, options = read(f"rules: [{RULE}]\nrun: {{seed: 5}}\ntimeouts: {{request_s: 3}}")
    told = unpacked(options.ext_settings)
    assert (told.rules, told.run.seed, told.timeouts.request_s) == (None, 5, 3)
    assert options.ext_seed == 5


def test_what_is_wrong_with_a_folder_or_a_baseline_is_told_of_who_has_said_it() -> None:
    Path("taken").write_text("no folder")
    said = "expected a folder that can be written to: file exists (got 'taken')"
    assert error_of("report: {dir: taken}") == f"x.yaml: report.dir: {said}"
    assert error_of("report: {dir: other}", ext_report_dir="taken") == f"--ext-report-dir: {said}"
    said = "the file cannot be read: No such file or directory (got 'nowhere.json')"
    assert error_of("report: {baseline: nowhere.json}") == f"x.yaml: report.baseline: {said}"
    assert error_of("", ext_baseline="nowhere.json") == f"--ext-baseline: {said}"


def chosen(text: str, **options: Any) -> Choices:
    Path("x.yaml").write_text(text)
    there = environment()
    runner = there.create_local_runner()
    made = Choices(there, Namespace(ext_config="x.yaml", **options))
    try:
        made.read()
    finally:
        runner.quit()
        made.undo()
    return made


def test_unknown_profiles_are_told_of_who_has_said_them() -> None:
    with pytest.raises(ConfigError) as caught:
        chosen("run: {profiles: {activ: 1}}")
    assert str(caught.value).startswith("x.yaml: run.profiles: unknown profile, expected one of active, ")
    with pytest.raises(ConfigError) as caught:
        chosen("run: {profiles: {active: 1}}", ext_profiles=["activ:1"])
    assert str(caught.value).startswith("--ext-profiles: unknown profile, expected one of active, ")


def test_profiles_of_a_daily_wave_win_over_those_of_the_run_and_lose_against_the_flag() -> None:
    text = "run: {profiles: {idle: 1}}\nshape: {realistic: {peak_users: 5, profiles: {active: 1}}}"
    assert chosen(text).profiles == {"active": 1}
    assert chosen(text, ext_profiles=["regular:1"]).profiles == {"regular": 1}
    assert chosen("run: {profiles: {idle: 1}}").profiles == {"idle": 1}


def test_only_users_of_the_command_line_are_said_to_be_unused_beside_a_shape(caplog: pytest.LogCaptureFixture) -> None:
    text = "run: {users: 7, spawn_rate: 2}\nshape: {steady: {users: 5}}"
    made = chosen(text, num_users=7, spawn_rate=2.0)
    assert isinstance(made._environment.shape_class, Shape)
    assert "not used" not in caplog.text
    chosen(text, num_users=50, spawn_rate=2.0)
    assert "--users: not used, the shape steady, 5 users says how many users there are" in caplog.text


def test_a_rate_that_nobody_can_keep_is_told_of_the_file() -> None:
    with pytest.raises(ConfigError) as caught:
        chosen("rate: 50")
    assert str(caught.value) == "x.yaml: rate: expected a user class with a generator (got 'Crowd')"
