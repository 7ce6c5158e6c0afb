"""``locust-ext report``: one run again, or several beside the first; its exit codes, and what it says of a wrong file."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from locust_ext import cli
from locust_ext.core.accounting import Recorder
from locust_ext.core.accounting.compare import Tolerance, compare
from locust_ext.model import LimitSearch, Snapshot
from locust_ext.outputs import REPORTS, texts_of
from locust_ext.outputs.console import console
from locust_ext.plugin import gate
from locust_ext.report import NOT_VALID, REGRESSION, _parser, _tolerance
from locust_ext.settings import Settings
from tests.outputs.examples import HOSTILE, bad, full, good
from tests.outputs.searches import AT_THE_GENERATORS_LIMIT, FOUND_IT, NEVER, moving, searched


def run_of(ms: int, run_id: str = "r", *, valid: bool = True) -> Snapshot:
    """1,000 answers in about so many milliseconds, in 10 s."""
    recorder = Recorder()
    recorder.begin(run_id, 0.0)
    recorder.describe(scenario="chat", users=5)
    for number in range(1000):
        recorder.operation("WS", "ask", ms * 1000 + number, 10, tags=("eu",))
        recorder.operation("GET", "/", 2000 + number, 10)
    if not valid:
        recorder.mark_invalid("the generator was the bottleneck")
    recorder.end(10.0)
    return recorder.snapshot(10.0)


def written(folder: Path, snapshot: Snapshot, *names: str) -> Path:
    """The files of a report folder: all, or those named."""
    folder.mkdir()
    for name, text in texts_of(snapshot, names or REPORTS).items():
        (folder / name).write_text(text, newline="")
    return folder / "summary.json"


def told(capfdbinary: pytest.CaptureFixture[bytes], *arguments: object) -> tuple[int, str, str]:
    """The command's exit code, and what it printed."""
    code = cli.main(["report", *map(str, arguments)])
    out, err = capfdbinary.readouterr()
    return code, out.decode(), err.decode()


@pytest.mark.parametrize(
    "snapshot",
    [Snapshot(), good(), bad(), full(), searched(), moving()],
    ids=["empty", "good", "bad", "full", "search", "moving"],
)
@pytest.mark.parametrize("name", REPORTS)
def test_every_report_of_a_folder_can_be_made_again_as_it_was(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], snapshot: Snapshot, name: str
) -> None:
    path = written(tmp_path / "run", snapshot)
    if text := REPORTS[name](snapshot):
        assert told(capfdbinary, path, "--format", name) == (0, text, "")
    else:
        said = f"locust-ext report: {path}: --format: this run has none (got {name!r})\n"
        assert told(capfdbinary, path, "--format", name) == (1, "", said)


def test_the_console_is_that_of_the_run_with_a_table_of_its_operations(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    written(tmp_path / "run", good())
    code, out, err = told(capfdbinary, tmp_path / "run")
    assert (code, err) == (0, "")
    assert out.endswith(console(good()))
    assert out.startswith(
        "Operation               ok  failures  per s      p50      p95      p99      max\n"
        "CONNECT /ws             50         0    5.0  2.50 ms  2.50 ms  2.50 ms  2.50 ms\n"
    )
    assert "SIO set [beta] [eu]  1,000         0  100.0" in out


@pytest.mark.parametrize(("short", "name"), [("md", "summary.md"), ("junit", "junit.xml"), ("json", "summary.json")])
def test_the_common_formats_have_short_names(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], short: str, name: str
) -> None:
    path = written(tmp_path / "run", good())
    assert told(capfdbinary, path, "--format", short)[1] == REPORTS[name](good())


@pytest.mark.parametrize("name", ["timeline.csv", "resources.csv"])
def test_what_the_summary_does_not_hold_is_said_and_not_made_up(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], name: str
) -> None:
    path = written(tmp_path / "run", full(), "summary.json")
    code, out, err = told(capfdbinary, path, "--format", name)
    assert (code, out) == (1, "")
    assert f"its rows are not in summary.json, and there is no {name} beside it" in err
    assert len(err.splitlines()) == 1


def test_a_copy_under_another_name_does_not_take_the_rows_of_its_neighbour(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    copy = written(tmp_path / "run", full()).rename(tmp_path / "run" / "monday.json")
    assert told(capfdbinary, copy, "--format", "timeline.csv")[0] == 1


def test_out_writes_every_format_that_can_be_made(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    path = written(tmp_path / "run", good(), "summary.json", "resources.csv")
    code, out, err = told(capfdbinary, path, "--out", tmp_path / "again")
    assert (code, out) == (0, "")
    assert err.startswith("locust-ext report: timeline.csv is left out: its rows are not in summary.json")
    made = {each.name: each.read_bytes().decode() for each in (tmp_path / "again").iterdir()}
    assert made.keys() == {*REPORTS, "console.txt"} - {"timeline.csv", "limit.svg"}
    assert made["summary.json"] == REPORTS["summary.json"](good())
    code, _, err = told(capfdbinary, path, "--out", tmp_path / "run")
    assert code == 1
    assert "expected another folder" in err


def test_an_equal_run_is_no_regression_and_a_slower_one_is(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    first = written(tmp_path / "first", run_of(10, "r1"))
    equal, slower = written(tmp_path / "equal", run_of(10)), written(tmp_path / "slower", run_of(15))
    code, out, _ = told(capfdbinary, first, equal)
    assert (code, out.splitlines()[-1]) == (0, "no regression against r1")
    code, out, _ = told(capfdbinary, first, slower)
    assert code == REGRESSION
    lines = out.splitlines()
    assert lines[0] == f"{first} -> {slower}"
    (p95,) = [line.split() for line in lines if line.startswith("WS ask [eu]  ") and "p95_ms" in line]
    assert p95[3:] == ["p95_ms", "10.98", "15.97", "+45", "%", "WORSE"]
    assert lines[-1] == "3 regressions against r1"
    assert told(capfdbinary, first, slower, "--tolerance", "0.6")[0] == 0
    assert told(capfdbinary, first, slower, "--latency-tolerance-ms", "6")[0] == 0


def test_the_tolerances_of_a_settings_file_are_used_and_flags_win(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    first, slower = written(tmp_path / "first", run_of(10)), written(tmp_path / "slower", run_of(15))
    config = tmp_path / "settings.yaml"
    config.write_text("baseline: {tolerance: 0.6}\n")
    assert told(capfdbinary, first, slower, "--config", config)[0] == 0
    assert told(capfdbinary, first, slower, "--config", config, "--tolerance", "0.1")[0] == REGRESSION


def test_the_tolerances_and_exit_codes_are_those_of_a_run_with_a_baseline() -> None:
    assert _tolerance(_parser().parse_args(["a"])) == gate.tolerance_of(Settings()) == Tolerance()
    assert (NOT_VALID, REGRESSION) == (gate.NOT_VALID, gate.REGRESSION)


@pytest.mark.parametrize("which", [0, 1])
def test_a_run_that_is_not_valid_proves_nothing(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], which: int
) -> None:
    paths = [written(tmp_path / str(number), run_of(10 + 5 * number, valid=number != which)) for number in range(2)]
    code, out, _ = told(capfdbinary, *paths)
    assert code == NOT_VALID
    assert "the generator was the bottleneck" in out


def test_more_than_two_runs_are_each_beside_the_first_and_all_in_one_table(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    paths = [written(tmp_path / f"{ms}ms", run_of(ms)) for ms in (10, 15, 9)]
    code, out, _ = told(capfdbinary, *paths)
    assert code == REGRESSION
    assert out.count(f"{paths[0]} -> ") == 2
    table = out.partition("All runs\n")[2].splitlines()
    assert [row.split()[1:8] for row in table[1:]] == [
        ["5", "200.0", "0", "%", p50, "ms", p95] for p50, p95 in (("10.5", "11.0"), ("15.5", "16.0"), ("9.50", "9.95"))
    ]
    code, markdown, _ = told(capfdbinary, *paths, "--format", "md")
    assert markdown.startswith("## All runs\n\n| Run | users |")
    assert markdown.count("\n### Against r: ") == 2


def test_two_searches_are_compared_by_the_users_that_were_sustained_and_by_nothing_else(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    first = written(tmp_path / "first", searched(FOUND_IT))
    fewer = written(tmp_path / "fewer", searched(replace(FOUND_IT, steps=FOUND_IT.steps[:4])))
    code, out, _ = told(capfdbinary, first, fewer)
    assert code == 0  # 320 where 640 broke, and 430 where 455 did: both limits may be the same
    assert out.splitlines()[1:5] == [
        "  before: sustains 430 users (1,720 messages/s, p95 84 ms); breaks at 455: p95 > 100 ms for 10 s; recovered in 6 s",
        "  now:    sustains 320 users (1,280 messages/s, p95 62.1 ms), not confirmed; breaks at 640: p95 > 100 ms for 10 s",
        "Operation       Figure           before  now  change",
        "all operations  sustained_users     430  320   -26 %",
    ]
    none = written(tmp_path / "none", searched(NEVER))
    code, out, _ = told(capfdbinary, first, none)
    assert (code, out.splitlines()[-1]) == (REGRESSION, "1 regression against 20260101T120000-abc")
    assert "all operations  sustained_users     430    0  -100 %  WORSE" in out
    code, out, _ = told(capfdbinary, first, none, fewer)
    table = out.partition("All runs\n")[2].splitlines()
    assert [row.split()[2] for row in table] == ["sustained", "430", "-", "320"]
    assert "limit.svg" not in told(capfdbinary, first, fewer, "--format", "md")[1]
    plain = written(tmp_path / "plain", good())
    assert "one of the two was a search for the limit" in told(capfdbinary, first, plain)[1]


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        (FOUND_IT, FOUND_IT, "same"),
        (FOUND_IT, NEVER, "worse"),
        (NEVER, FOUND_IT, "better"),
        (AT_THE_GENERATORS_LIMIT, FOUND_IT, "same"),  # nobody knows where the first would have broken
        (FOUND_IT, AT_THE_GENERATORS_LIMIT, "same"),
        (FOUND_IT, replace(FOUND_IT, outcome="searching"), "no_data"),
        (replace(FOUND_IT, steps=()), FOUND_IT, "no_data"),
    ],
)
def test_a_limit_is_worse_only_where_the_fewer_users_are_known_to_break_it(
    before: LimitSearch, after: LimitSearch, outcome: str
) -> None:
    (figure,) = compare(searched(before), searched(after)).figures
    assert (figure.figure, figure.outcome) == ("sustained_users", outcome)


def test_junit_of_several_runs_has_suites_of_each(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    paths = [written(tmp_path / f"{ms}ms", run_of(ms)) for ms in (10, 15, 11)]
    code, text, _ = told(capfdbinary, *paths, "--format", "junit.xml")
    root = ElementTree.fromstring(text)
    assert code == REGRESSION
    assert [suite.get("name") for suite in root] == [
        *(f"{kind} {paths[1]}" for kind in ("run", "baseline")),
        *(f"{kind} {paths[2]}" for kind in ("run", "baseline")),
    ]
    assert [suite.get("failures") for suite in root] == ["0", "1", "0", "0"]
    assert (root.get("tests"), root.get("failures")) == ("8", "1")
    two = ElementTree.fromstring(told(capfdbinary, *paths[:2], "--format", "junit.xml")[1])
    assert [suite.get("name") for suite in two] == ["run", "baseline"]
    assert [case.get("name") for case in two[1]] == ["all operations", "GET /", "WS ask [eu]"]


def test_out_with_several_runs_writes_the_three_formats_that_hold_them(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    paths = [written(tmp_path / f"{ms}ms", run_of(ms)) for ms in (10, 15)]
    code, out, err = told(capfdbinary, *paths, "--out", tmp_path / "both")
    assert (code, out, err) == (REGRESSION, "", "")
    assert {each.name for each in (tmp_path / "both").iterdir()} == {"console.txt", "summary.md", "junit.xml"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "the file cannot be read: No such file or directory"),
        ("", "expected a JSON file, as written by --ext-report-dir"),
        ("[" * 100_000, "expected a JSON file, as written by --ext-report-dir"),
        ("{}", "schema: expected a summary.json with schema 1"),
        ('{"schema": 1, "run": 5}', "run: expected an object (got 5)"),
    ],
)
def test_a_wrong_file_is_one_line_with_its_name_its_key_and_what_was_expected(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], content: str | None, said: str
) -> None:
    path = written(tmp_path / "run", good())
    wrong = tmp_path / "wrong.json"
    if content is not None:
        wrong.write_text(content)
    for arguments in ([wrong], [path, wrong], [wrong, path]):
        assert told(capfdbinary, *arguments) == (1, "", f"locust-ext report: {wrong}: {said}\n")


def test_an_outcome_that_no_rule_has_is_refused_by_its_key(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = written(tmp_path / "run", bad())
    summary = json.loads(path.read_text())
    summary["comparison"]["figures"][1]["outcome"] = "fine"
    path.write_text(json.dumps(summary))
    code, _, err = told(capfdbinary, path)
    assert (code, err) == (
        1,
        f"locust-ext report: {path}: comparison.figures[1].outcome: expected one of same, worse, better, no_data "
        "(got 'fine')\n",
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--format", "jnit"], "--format: expected one of console, summary.json, "),
        (["--tolerance", "much"], "--tolerance: expected a number of at least 0 (got 'much')"),
        (["--tolerance", "-1"], "--tolerance: expected a number of at least 0 (got '-1')"),
        (["--alpha", "0.9"], "--alpha: expected a number above 0, of at most 0.5 (got '0.9')"),
        (["--error-rate-tolerance", "2"], "--error-rate-tolerance: expected a number from 0 to 1 (got '2')"),
        (["--latency-tolerance-ms", "x"], "--latency-tolerance-ms: expected a number of at least 0 (got 'x')"),
        (["--alpha", "nan"], "--alpha: expected a number above 0, of at most 0.5 (got 'nan')"),
    ],
)
def test_a_wrong_flag_is_named_with_what_was_expected(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], arguments: list[str], said: str
) -> None:
    path = written(tmp_path / "run", good())
    code, _, err = told(capfdbinary, path, *arguments)
    assert code == 1
    assert said in err
    assert len(err.splitlines()) == 1


def test_several_runs_have_no_timeline_in_one_file(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    path = written(tmp_path / "run", good())
    code, _, err = told(capfdbinary, path, path, "--format", "timeline.csv")
    assert code == 1
    assert "expected one of console, summary.md, junit.xml" in err


def test_hostile_names_are_harmless_in_every_table(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    hostile = replace(bad(), comparison=None)
    paths = [written(tmp_path / str(number), hostile) for number in range(3)]
    for format_ in ("console", "md"):
        _, out, _ = told(capfdbinary, *paths, "--format", format_)
        assert "<script>" not in out.replace("\\<script", "") or format_ == "console"
        assert not set(out) & set("\r\t\x1b\u202e")
    assert HOSTILE not in out


def test_it_loads_neither_locust_nor_gevent_and_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    path = written(tmp_path / "run", good())
    code = (
        "import sys; from locust_ext.cli import main\n"
        f"main(['report', {str(path)!r}]); main(['report', {str(path)!r}, {str(path)!r}])\n"
        "sys.stderr.write(repr([name for name in ('gevent', 'locust', 'flask') if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stderr == "[]"
    shell = f"{sys.executable} -m locust_ext.cli report {path} {path} | true"
    done = subprocess.run(["/bin/sh", "-c", shell], capture_output=True, text=True, timeout=30, check=True)
    assert done.stderr == ""
