"""The reports of a suite: console, suite.json, suite.md, junit.xml."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from junitparser import JUnitXml

from locust_ext.model import Check, LimitSearch, LoadStep, Snapshot
from locust_ext.model.suite import (
    CRASHED,
    ENDED,
    ERRORS,
    HUNG,
    NO_REPORT,
    PASSED,
    RAISED,
    RULE_FAILED,
    SKIPPED,
    ScenarioResult,
    SuiteResult,
)
from locust_ext.outputs.suite_json import suite_json
from locust_ext.outputs.suite_junit import suite_junit
from locust_ext.outputs.suite_md import suite_md
from locust_ext.outputs.suite_reports import SUITE_REPORTS
from locust_ext.outputs.suite_text import begun_line, ended_line, sentence, suite_console, table
from tests.outputs.examples import HOSTILE, bad, good

STARTED = "2026-01-01T12:00:00.000+00:00"
GOOD = ScenarioResult("concurrent_connections", PASSED, 0, STARTED, 12.3, "01-concurrent_connections", "", good())
BAD = ScenarioResult("rules", RULE_FAILED, 3, STARTED, 4.0, "02-rules", "", bad())
LOST = ScenarioResult("lost", NO_REPORT, 1, STARTED, 1.0, "03-lost", "error: the target does not answer")
LEFT = ScenarioResult("left", SKIPPED, because="rules failed")
MIXED = SuiteResult("nightly", (GOOD, BAD, LOST, LEFT), STARTED, 17.6)


def test_the_console_is_a_table_of_80_columns_with_the_failures_below() -> None:
    assert suite_console(MIXED).splitlines() == [
        "-- locust-ext suite nightly " + "-" * 52,
        "Scenario                  ops  per s  p95 ms  failed  rules  verdict      code",
        "concurrent_connections  2,450    245    5.00       0      -  passed          0",
        "rules                   1,004    502     250      13    2/4  rule failed     3",
        "lost                        -      -       -       -      -  no report       1",
        "left                        -      -       -       -      -  skipped         -",
        "rules: rule failed: p95 below 200 ms; failures: 13 of 1,004 operations (1.3 %),",
        "  most often timeout",
        "lost: error: the target does not answer",
        "skipped: left",
        "1 of 3 scenarios passed, 1 skipped in 18 s: exit code 3",
        "-" * 80,
    ]


def test_no_line_of_the_table_is_wider_than_80_columns_whatever_the_names() -> None:
    long = ScenarioResult(HOSTILE * 3, RULE_FAILED, 137, STARTED, 1.0, "x", "", bad())
    for results in ([long], [GOOD, long], [GOOD, BAD, LOST, LEFT]):
        lines = table(results).splitlines()
        assert max(map(len, lines)) <= 80
        assert len(lines) == 1 + len(results)
    assert "\x1b" not in suite_console(SuiteResult(HOSTILE, (long,)))


def test_the_lines_of_a_scenario_say_what_it_came_to_and_where_its_log_is() -> None:
    assert begun_line(3, 12, "ramp", 90.0) == " 3/12 ramp runs for up to 90 s …\n"
    assert begun_line(3, 3, "ramp", None) == "3/3 ramp runs …\n"
    assert ended_line(1, 2, GOOD, "out") == (
        "1/2 concurrent_connections passed in 12.3 s: good: 2,450 operations, no failure\n"
    )
    assert ended_line(2, 2, LOST, "out") == (
        "2/2 lost NO REPORT in 1.0 s (exit code 1): error: the target does not answer\n    see out/03-lost/locust.log\n"
    )
    assert ended_line(2, 2, LEFT, "out") == "2/2 left skipped: rules failed\n"


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (GOOD, "good: 2,450 operations, no failure"),
        (
            ScenarioResult("x", RAISED, 2, snapshot=good()),
            "the locustfile or a listener raised: see locust.log; 2,450 operations, no failure",
        ),
        (ScenarioResult("x", CRASHED, 77), "exit code 77"),
        (
            ScenarioResult("x", HUNG, 0, because="too long", snapshot=good()),
            "too long; 2,450 operations, no failure",
        ),
        (ScenarioResult("x", SKIPPED), "skipped"),
    ],
)
def test_one_sentence_says_what_a_scenario_came_to(result: ScenarioResult, expected: str) -> None:
    assert sentence(result) == expected


def test_suite_json_holds_the_key_figures_of_each() -> None:
    told = json.loads(suite_json(MIXED))
    assert {key: told[key] for key in told if key != "scenarios"} == {
        "schema": 1,
        "name": "nightly",
        "started_at": STARTED,
        "duration_s": 17.6,
        "exit_code": 3,
        "ended_by": None,
        "complete": True,
    }
    passed, failed, lost, left = told["scenarios"]
    assert passed == {
        "name": "concurrent_connections",
        "outcome": "passed",
        "passed": True,
        "exit_code": 0,
        "verdict": "good: 2,450 operations, no failure",
        "started_at": STARTED,
        "duration_s": 12.3,
        "report_dir": "01-concurrent_connections",
        "operations": 2450,
        "per_second": 245.0,
        "failures": 0,
        "error_rate": 0.0,
        "latency_ms": passed["latency_ms"],
        "rules": {"passed": 0, "warned": 0, "failed": 0, "no_data": 0},
        "failed_rules": [],
    }
    assert list(passed["latency_ms"]) == ["p50", "p95", "p99", "p999"]
    assert passed["latency_ms"]["p95"] == pytest.approx(5.0, rel=0.01)
    assert (failed["rules"]["failed"], failed["failed_rules"]) == (1, ["p95 below 200 ms"])
    assert (lost["operations"], lost["rules"], lost["verdict"]) == (None, None, "error: the target does not answer")
    assert (left["exit_code"], left["report_dir"], left["started_at"]) == (None, None, None)


def test_suite_md_has_a_row_for_each_and_the_failed_rules_with_values_and_limits() -> None:
    lines = suite_md(MIXED).splitlines()
    assert lines[0] == "## nightly: 1 of 3 scenarios passed, 1 skipped (exit code 3)"
    assert lines[4] == "| concurrent\\_connections | 2,450 | 245 | 5.00 | 0 | - | passed | 0 | 12.3 |"
    assert "### What failed" in lines
    (rule,) = [line for line in lines if line.startswith("    - ")]
    assert rule.startswith("    - p95 below 200 ms: 250 ms, limit \\> 200 ms")
    rows = [line for line in lines if line.startswith("| ")]
    assert {row.count(" | ") for row in rows} == {8}


def test_the_answer_of_a_search_for_the_limit_is_told_also_where_all_is_well() -> None:
    search = LimitSearch("found", steps=(LoadStep("up", 40, 0.0, 2.0, "good"), LoadStep("up", 80, 3.0, 2.0, "bad")))
    stress = ScenarioResult("stress", PASSED, 0, STARTED, 9.0, "01-stress", "", replace(good(), search=search))
    suite = SuiteResult("x", (stress, GOOD))
    (line,) = [line for line in suite_console(suite).splitlines() if line.startswith("stress: ")]
    assert line.startswith("stress: sustains 40 users")
    assert "### Limits\n\n- **stress**: sustains 40 users" in suite_md(suite)
    assert json.loads(suite_json(suite))["scenarios"][0]["sustained_users"] == 40
    assert "sustained_users" not in json.loads(suite_json(suite))["scenarios"][1]


def test_suite_md_stays_short_and_holds_foreign_names_as_text() -> None:
    rules = tuple(Check(f"{HOSTILE} {number}", "failed", HOSTILE, HOSTILE) for number in range(50))
    results = tuple(
        ScenarioResult(f"{HOSTILE} {number}", RULE_FAILED, 3, folder=HOSTILE, snapshot=Snapshot(rules=rules))
        for number in range(50)
    )
    text = suite_md(SuiteResult(HOSTILE, results))
    assert len(text) < 1_000_000
    assert "<script>" not in text
    assert "and 30 rules more" in text


def test_junit_is_a_suite_for_each_scenario_whose_failures_are_counted_once() -> None:
    junit = JUnitXml.fromstring(suite_junit(MIXED).encode())
    assert [(each.name, each.tests, each.failures, each.skipped) for each in junit] == [
        ("concurrent_connections", 2, 0, 0),
        ("rules", 9, 2, 2),
        ("lost", 1, 1, 0),
        ("left", 1, 0, 1),
    ]
    assert (junit.tests, junit.failures, junit.skipped, junit.errors) == (13, 3, 3, 0)
    root = ElementTree.fromstring(suite_junit(MIXED))
    for suite in root:
        assert suite[0].get("name") == "the scenario ends in order"
        assert len(suite.findall("testcase")) == int(suite.get("tests", ""))


@pytest.mark.parametrize("outcome", [ERRORS, RAISED, HUNG, ENDED, CRASHED, NO_REPORT, RULE_FAILED])
def test_junit_has_a_failure_for_every_scenario_that_did_not_pass(outcome: str) -> None:
    """Also where the exit code says that a rule failed, but the report does not."""
    one = ScenarioResult("x", outcome, 3, snapshot=good(), because="why")
    root = ElementTree.fromstring(suite_junit(SuiteResult("s", (one,))))
    (failure,) = root.iter("failure")
    assert (failure.get("type"), failure.get("message")) == (outcome, sentence(one))


def test_every_report_can_tell_of_a_suite_that_has_not_run_anything_yet() -> None:
    nothing = SuiteResult("x", complete=False)
    texts = {name: tell(nothing) for name, tell in SUITE_REPORTS.items()}
    assert json.loads(texts["suite.json"])["complete"] is False
    assert "no scenario ran" in texts["suite.md"]
    assert ElementTree.fromstring(texts["junit.xml"]).get("tests") == "0"
