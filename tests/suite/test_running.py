"""Scenarios one after the other: what each one's end is taken for, and that nothing of them is left behind."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from locust_ext.suite import process, running
from locust_ext.suite.plan import Planned
from tests.suite.fake import Suite, scenario


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return Suite(tmp_path)


def overdue(name: str, *words: str, run_s: int = 0) -> Planned:
    """A scenario that goes on, 0.1 s longer than the run time that it tells of once it listens to signals."""
    waiting = scenario(name, *words, f"say=Run time limit set to {run_s} seconds", "wait", limit_s=None)
    return replace(waiting, grace_s=0.1)


def soon(is_so: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Wait until it is so."""
    until_s = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < until_s
        time.sleep(0.01)


def meanwhile(do: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=do)
    thread.start()
    return thread


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_each_exit_code_of_a_run_has_its_outcome_and_the_worst_is_that_of_the_suite(suite: Suite) -> None:
    result = suite.run(*[scenario(f"s{code}", "report", f"exit={code}") for code in (0, 1, 3, 5, 4)])
    assert [(each.outcome, each.exit_code) for each in result.scenarios] == [
        ("passed", 0),
        ("errors", 1),
        ("rule failed", 3),
        ("regression", 5),
        ("not valid", 4),
    ]
    assert result.exit_code == 4
    assert result.scenarios[0].snapshot is not None
    assert result.scenarios[0].snapshot.finished == 2450
    assert result.complete


def test_what_a_process_said_last_of_an_error_is_told_where_there_is_no_report_and_secrets_are_not(
    suite: Suite,
) -> None:
    line = "say=[2026-01-01 12:00:00,000] here/ERROR/locust_ext: error: no such host s3cret"
    result = suite.run(scenario("wrong", line, "say=Shutting down", "exit=1"))
    (wrong,) = result.scenarios
    assert (wrong.outcome, wrong.because) == ("no report", "error: no such host ***")
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("words", "outcome", "code", "because"),
    [
        (("say=all is well", "exit=0"), "no report", 0, "all is well"),
        (("report", "exit=77"), "crashed", 77, ""),
        (("report", "signal=9"), "crashed", 137, "ended by SIGKILL"),
        (("broken-report", "exit=0"), "no report", 0, "its report cannot be read"),
    ],
)
def test_an_end_that_is_none_of_a_run_counts_as_2(
    suite: Suite, words: tuple[str, ...], outcome: str, code: int, because: str
) -> None:
    result = suite.run(scenario("odd", *words))
    (odd,) = result.scenarios
    assert (odd.outcome, odd.exit_code, result.exit_code) == (outcome, code, 2)
    assert odd.because.startswith(because)


def test_a_line_of_the_log_that_says_nothing_of_the_end_is_not_told_as_its_reason(suite: Suite) -> None:
    line = "say=[2026-01-01 12:00:00,000] here/{}/locust.main: {}"
    start = line.format("INFO", "Starting Locust 2.47.0, errors are told below")
    warned = line.format("WARNING", "Python 3.9 is old")
    result = suite.run(scenario("dies", start, "signal=11"), scenario("old", warned, start, "signal=11"))
    assert [(each.outcome, each.because) for each in result.scenarios] == [
        ("crashed", "ended by SIGSEGV"),
        ("crashed", "ended by SIGSEGV; Python 3.9 is old"),
    ]


def test_the_results_of_an_earlier_run_are_not_taken_for_those_of_this_one(suite: Suite) -> None:
    suite.run(scenario("one", "report", "exit=0"))
    result = suite.run(scenario("one", "exit=1"))
    assert result.scenarios[0].snapshot is None
    assert not (suite.folder / "reports" / "01-one" / "summary.json").exists()


def test_what_comes_after_a_failure_is_run_and_with_stop_on_failure_skipped(suite: Suite) -> None:
    scenarios = [scenario("first", "report", "exit=3"), scenario("second", "report", "exit=0")]
    assert [each.outcome for each in suite.run(*scenarios).scenarios] == ["rule failed", "passed"]
    result = suite.run(*scenarios, stop_on_failure=True)
    assert [(each.outcome, each.because) for each in result.scenarios][1] == ("skipped", "first failed")
    assert result.exit_code == 3
    assert "2/2 second skipped: first failed\n" in suite.said


def test_a_line_tells_of_the_begin_and_the_end_of_each(suite: Suite) -> None:
    suite.run(scenario("good", "report", "exit=0"), scenario("bad", "report", "exit=3"))
    reports = suite.folder / "reports"
    begun, ended, *bad = "".join(suite.said).splitlines()
    assert begun == "1/2 good runs …"
    assert ended.startswith("1/2 good passed in ")
    assert ended.endswith(" s: good: 2,450 operations, no failure")
    assert bad[0] == "2/2 bad runs …"
    assert "2/2 bad RULE FAILED in " in bad[1]
    assert bad[2] == f"    see {reports}/01-bad/locust.log"


def test_what_a_scenario_says_is_in_its_log_and_with_verbose_passed_on(suite: Suite) -> None:
    suite.run(scenario("one", "say=hello there", "report", "exit=0"))
    assert (suite.folder / "reports" / "01-one" / "locust.log").read_text() == "hello there\n"
    assert "hello there" not in "".join(suite.said)
    suite.run(scenario("one", "say=hello there", "report", "exit=0"), verbose=True)
    assert "hello there\n" in "".join(suite.said)


def test_the_report_is_written_after_each_scenario(suite: Suite) -> None:
    suite.run(scenario("one", "report", "exit=0"), scenario("two", "report", "exit=0"))
    assert suite.writes == [["suite.json", "suite.md", "junit.xml"]] * 3
    written = json.loads((suite.folder / "reports" / "suite.json").read_text())
    assert (written["complete"], [each["name"] for each in written["scenarios"]]) == (True, ["one", "two"])


def test_nothing_is_run_where_no_report_can_be_written(suite: Suite, caplog: pytest.LogCaptureFixture) -> None:
    (suite.folder / "reports").write_text("a file")
    run = suite.of(scenario("one", "report", "exit=0"))
    with pytest.raises(running.ConfigError, match="cannot be removed: Not a directory"):
        run.run()


def test_a_scenario_that_does_not_end_by_itself_is_ended_in_order_and_told(suite: Suite) -> None:
    result = suite.run(overdue("long"))
    (long,) = result.scenarios
    assert (long.outcome, long.exit_code, result.exit_code) == ("hung", 0, 2)
    assert long.because.startswith("ended by the suite: it had not ended by itself after ")
    assert long.snapshot is not None


def test_the_run_time_that_a_locustfile_sets_is_taken_from_its_log(suite: Suite) -> None:
    (long,) = suite.run(overdue("long", run_s=1)).scenarios
    assert long.outcome == "hung"
    assert 1.1 <= long.took_s < running.LONGEST_S


def test_one_that_does_not_even_hear_ctrl_c_is_hurried_and_killed(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "END_S", 0.3)
    monkeypatch.setattr(process, "HURRY_S", 0.3)
    result = suite.run(overdue("deaf", "deaf", "worker"))
    assert [(each.outcome, each.exit_code) for each in result.scenarios] == [("hung", 137)]
    folder = suite.folder / "reports" / "01-deaf"
    assert (folder / "asked").exists()
    assert is_gone(int((folder / "worker").read_text()))


def test_a_worker_that_outlasts_its_master_is_ended(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "LEFT_S", 0.2)
    (one,) = suite.run(scenario("one", "worker", "report", "exit=0")).scenarios
    assert one.outcome == "passed"
    assert is_gone(int((suite.folder / "reports" / "01-one" / "worker").read_text()))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_scenario_in_order_and_the_rest_is_skipped(suite: Suite, number: int) -> None:
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]

    def interrupt() -> None:
        soon((suite.folder / "reports" / "01-one" / "runs").exists)
        os.kill(os.getpid(), number)

    thread = meanwhile(interrupt)
    result = suite.run(scenario("one", "wait"), scenario("two", "report", "exit=0"))
    thread.join()
    assert [(each.outcome, each.exit_code) for each in result.scenarios] == [("ended", 0), ("skipped", None)]
    assert result.scenarios[0].snapshot is not None
    assert f"{signal.Signals(number).name}: one ends in order; once more: at once\n" in suite.said
    assert (result.exit_code, result.complete) == (128 + number, True)
    written = json.loads((suite.folder / "reports" / "suite.json").read_text())
    assert (written["ended_by"], written["exit_code"]) == (signal.Signals(number).name, 128 + number)
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == handlers


def test_a_second_ctrl_c_kills_but_not_one_that_belongs_to_the_first(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "ONE_CTRL_C_S", 0.5)
    folder = suite.folder / "reports" / "01-one"
    asked_s: list[float] = []

    def interrupt() -> None:
        soon((folder / "runs").exists)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        soon((folder / "asked").exists)
        time.sleep(0.6)  # not for safety: what comes later than half a second is the second one
        assert not is_gone(int((folder / "pid").read_text()))
        asked_s.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    thread = meanwhile(interrupt)
    result = suite.run(scenario("one", "deaf", "worker", "wait"))
    ended_s = time.monotonic()
    thread.join()
    assert [(each.outcome, each.exit_code) for each in result.scenarios] == [("ended", 137)]
    assert ended_s - asked_s[0] < 5
    assert is_gone(int((folder / "worker").read_text()))


def test_workers_get_a_port_of_their_own_where_nobody_has_said_one(suite: Suite) -> None:
    assert suite.run(replace(scenario("one", "report", "exit=0"), needs_port=True)).exit_code == 0
    folder = suite.folder / "reports" / "01-one"
    *flags, port = (folder / "argv").read_text().splitlines()[-6:]
    assert flags == ["--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port"]
    assert 12_000 <= int(port) < 32_000
    suite.run(scenario("one", "report", "exit=0"))
    assert (folder / "argv").read_text().splitlines() == ["report", "exit=0", "--ext-report-dir", str(folder.resolve())]
