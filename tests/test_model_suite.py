"""What several scenarios come to: outcomes, and the one exit code."""

from __future__ import annotations

import pytest

from locust_ext.model import Check, LimitSearch, LoadStep, OperationStats, RunInfo, Snapshot
from locust_ext.model.suite import (
    ENDED,
    HUNG,
    NO_REPORT,
    OUTCOMES,
    PASSED,
    RAISED,
    SKIPPED,
    ScenarioResult,
    SuiteResult,
    outcome_of,
)


def suite(*codes: int) -> SuiteResult:
    return SuiteResult(
        "x", tuple(ScenarioResult(f"{n}", outcome_of(code, has_report=True), code) for n, code in enumerate(codes))
    )


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ((), 0),
        ((0, 0), 0),
        ((0, 1), 1),
        ((1, 5), 5),
        ((5, 3, 1), 3),
        ((3, 4, 5), 4),
        ((4, 2, 3), 2),
        ((3, 137), 2),
        ((0, 64), 2),
    ],
)
def test_the_exit_code_is_the_worst_and_what_is_none_of_a_run_counts_as_2(codes: tuple[int, ...], code: int) -> None:
    assert suite(*codes).exit_code == code


def test_a_scenario_that_hung_or_has_no_report_is_never_good() -> None:
    assert SuiteResult("x", (ScenarioResult("a", HUNG, 0),)).exit_code == 2
    assert SuiteResult("x", (ScenarioResult("a", NO_REPORT, 0),)).exit_code == 2
    assert SuiteResult("x", (ScenarioResult("a", NO_REPORT, 1),)).exit_code == 1


def test_a_suite_that_was_ended_has_the_code_of_the_signal_whatever_came_before() -> None:
    results = (ScenarioResult("a", PASSED, 0), ScenarioResult("b", ENDED, 0), ScenarioResult("c", SKIPPED))
    ended = SuiteResult("x", results, ended_by="SIGINT")
    assert ended.exit_code == 130
    assert SuiteResult("x", results, ended_by="SIGTERM").exit_code == 143
    assert [each.name for each in ended.failed] == ["b"]
    assert [each.name for each in ended.skipped] == ["c"]


def test_outcomes_follow_from_the_code_and_from_whether_there_is_a_report() -> None:
    assert [outcome_of(code, has_report=True) for code in range(6)] == list(OUTCOMES[:6])
    assert outcome_of(2, has_report=True) == RAISED
    assert {outcome_of(code, has_report=False) for code in range(6)} == {NO_REPORT}
    assert {outcome_of(code, has_report=known) for code in (6, 137) for known in (True, False)} == {"crashed"}


def test_the_figures_are_those_of_the_report() -> None:
    rules = (Check("a", "passed"), Check("b", "warned"), Check("c", "failed"), Check("d", "no_data"))
    operations = (OperationStats("WS", "x", ok=90, timed_out=10), OperationStats("CONNECT", "/", ok=20))
    search = LimitSearch("found", steps=(LoadStep("up", 40, 0.0, 2.0, "good"), LoadStep("up", 80, 3.0, 2.0, "bad")))
    one = ScenarioResult(
        "x", PASSED, 0, snapshot=Snapshot(RunInfo(duration_s=4.0), operations, rules=rules, search=search)
    )
    assert (one.per_s, one.rules_kept) == (30.0, (2, 4))
    assert one.sustained is not None
    assert one.sustained.users == 40
    nothing = ScenarioResult("y", SKIPPED)
    assert (nothing.per_s, nothing.rules_kept, nothing.sustained, nothing.latency.count) == (None, None, None, 0)
