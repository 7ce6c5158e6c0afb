"""The command line of ``locust-ext suite``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from locust_ext import cli
from locust_ext.suite import command, running
from tests.suite.fake import program


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a suite of two scenarios, which the made-up Locust runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(running.Run.__init__, "__defaults__", _with_program(tmp_path))
    (tmp_path / "one.py").write_text("x = 1\n")
    (tmp_path / "all of it.yaml").write_text(
        "scenarios:\n"
        "  - {name: one, locustfile: one.py, flags: [report, exit=0], args: {run_time: 5}}\n"
        "  - {name: two, locustfile: one.py, flags: [report, exit=3, '${WORD}']}\n"
    )
    monkeypatch.setenv("WORD", "s3cret")
    return tmp_path


def _with_program(folder: Path) -> tuple[object, ...]:
    made_up = program(folder)
    defaults = running.Run.__init__.__defaults__
    assert defaults is not None
    return tuple(made_up if each is running.LOCUST else each for each in defaults)


def test_a_suite_is_run_told_and_judged(folder: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert cli.main(["suite", "all of it.yaml"]) == 3
    said = capfdbinary.readouterr().out.decode()
    assert said.startswith(
        "suite all of it: 2 scenarios, one after the other; reports in reports/all-of-it\n1/2 one runs"
    )
    assert "1 of 2 scenarios passed in " in said
    reports = folder / "reports" / "all-of-it"
    assert sorted(path.name for path in reports.iterdir()) == [
        *("01-one", "02-two", "junit.xml", "suite.json", "suite.md"),
    ]


def test_the_list_shows_the_command_of_each_and_runs_nothing(
    folder: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert (
        cli.main(["suite", "all of it.yaml", "--list", "--only", "two,one", "--users", "7", "--", "--ext-seed", "5"])
        == 0
    )
    assert capfdbinary.readouterr().out.decode() == (
        "one   # 5 s\n"
        "    locust -f one.py --headless --only-summary --users 7 --run-time 5s report exit=0 --ext-seed 5\n"
        "two\n"
        "    locust -f one.py --headless --only-summary --users 7 report exit=3 *** --ext-seed 5\n"
    )
    assert not (folder / "reports").exists()


def test_a_choice_another_folder_and_what_stands_behind_two_dashes(
    folder: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    words = ["--only", "one", "--report-dir", "out", "--run-time", "1m30s", "--host", "embedded", "--processes", "2"]
    assert cli.main(["suite", *words, "all of it.yaml", "--", "--tags", "x"]) == 0
    assert not (folder / "out" / "02-two").exists()
    given = (folder / "out" / "01-one" / "argv").read_text().split("\n")
    assert given[2:12] == [
        *("--headless", "--only-summary", "--host", "embedded", "--run-time", "90s", "--processes", "2"),
        *("report", "exit=0"),
    ]
    assert given[12:14] == ["--tags", "x"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--users", "0"), "--users: expected a number of at least 1 (got '0')"),
        (("--users", "many"), "--users: expected a whole number (got 'many')"),
        (("--run-time", "soon"), "--run-time: expected seconds, or a text such as 90s, 20m or 1h30m (got 'soon')"),
        (("--host", "here"), "--host: expected a base URL, such as http://127.0.0.1:8000 (got 'here')"),
        (("--host", "http://u:pw@"), "--host: expected a base URL, such as http://127.0.0.1:8000"),
        (("--processes", "0"), "--processes: expected a number of workers, or -1 for one for each core (got '0')"),
        (("--only", "tow"), "--only: unknown scenario, expected one of one, two (got 'tow'); did you mean 'two'?"),
    ],
)
def test_a_wrong_flag_is_told_before_anything_runs(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], expected: str
) -> None:
    assert cli.main(["suite", "all of it.yaml", *words]) == 1
    assert capsys.readouterr().err == f"locust-ext suite: {expected}\n"
    assert not (folder / "reports").exists()


def test_a_report_that_could_not_be_written_is_no_success(folder: Path) -> None:
    def no_space(_: Path, files: Mapping[str, str]) -> bool:
        assert files
        return False

    assert command.suite(["all of it.yaml", "--only", "one"], no_space) == 1
    assert not (folder / "reports" / "all-of-it" / "01-one").exists()


def test_its_help_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["suite", "--help"])
    assert ended.value.code == 0
    assert "130 Ctrl-C" in capsys.readouterr().out
