"""Every file opens in what its readers use: a JUnit library, a spreadsheet's rules for CSV, UTF-8 everywhere."""

from __future__ import annotations

import csv
import io

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped

from locust_ext.model import GeneratorRow, GeneratorStats, OperationStats, Snapshot
from locust_ext.outputs import REPORTS, console
from locust_ext.outputs.several import SEVERAL
from locust_ext.outputs.tables import operations_table
from locust_ext.outputs.text import cell, uncelled
from tests.outputs.examples import HOSTILE, bad, full, good

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", " =1+1", "＝1+1", "\t=1+1", "\r\n=cmd|' /C calc'!A0"]


@pytest.mark.parametrize("snapshot", [Snapshot(), good(), bad(), full()], ids=["empty", "good", "bad", "full"])
def test_a_junit_reader_finds_the_cases_that_were_written_and_counts_the_same(snapshot: Snapshot) -> None:
    suites = JUnitXml.fromstring(REPORTS["junit.xml"](snapshot).encode())
    results = [result for suite in suites for case in suite for result in case.result]
    cases = [case for suite in suites for case in suite]
    assert (suites.tests, suites.failures, suites.skipped, suites.errors) == (
        len(cases),
        sum(isinstance(result, Failure) for result in results),
        sum(isinstance(result, Skipped) for result in results),
        sum(isinstance(result, Error) for result in results),
    )
    written = (suites.tests, suites.failures, suites.skipped)
    suites.update_statistics()
    assert (suites.tests, suites.failures, suites.skipped) == written
    assert all(case.name and case.classname.startswith("locust-ext.") for case in cases)


def test_a_junit_reader_of_several_runs_finds_a_suite_for_each() -> None:
    suites = JUnitXml.fromstring(SEVERAL["junit.xml"]([("a", good()), ("b", bad()), (HOSTILE, bad())]).encode())
    assert len([suite.name for suite in suites]) == len({suite.name for suite in suites}) == 6


@pytest.mark.parametrize("name", FORMULAS)
def test_no_cell_of_a_csv_is_a_formula_whatever_a_worker_is_called(name: str) -> None:
    rows = (GeneratorRow(0.0, 1.0, 5.0),)
    text = REPORTS["resources.csv"](Snapshot(generators=(GeneratorStats(name, rows=rows),)))
    (_, row) = csv.reader(io.StringIO(text, newline=""))
    assert not row[0].lstrip().startswith(("=", "+", "-", "@", "＝"))
    assert not set(row[0]) & set("\t\r\n")


@pytest.mark.parametrize("name", ["=1+1", "worker 1", "'quoted", ""])
def test_what_was_made_harmless_can_be_had_back(name: str) -> None:
    assert uncelled(cell(name)) == name


@pytest.mark.parametrize("name", ["timeline.csv", "resources.csv"])
@pytest.mark.parametrize("snapshot", [Snapshot(), bad(), full()], ids=["empty", "bad", "full"])
def test_a_csv_has_one_header_equally_long_rows_and_the_line_ends_of_its_rfc(name: str, snapshot: Snapshot) -> None:
    text = REPORTS[name](snapshot)
    assert text.count("\n") == text.count("\r\n")
    header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert {len(row) for row in rows} <= {len(header)}
    assert len(set(header)) == len(header)


def test_an_operation_is_shown_with_its_tags_wherever_it_is_named() -> None:
    tagged = OperationStats("WS", "save", tags=("eu", "beta"), ok=50, failed=50, errors={"reset": 50})
    snapshot = Snapshot(
        run=good().run, operations=(OperationStats("WS", "ask", ok=1000), tagged), comparison=bad().comparison
    )
    assert "WS save [eu] [beta]" in operations_table(snapshot)
    lines = console(snapshot).splitlines()
    assert "Least reliable WS save [eu] [beta], 50 of 100 failed (50 %)" in lines
    assert "WS save [eu] [beta], which fails 50 %" in " ".join(" ".join(lines).split())
    assert "| WS save \\[eu\\] \\[beta\\] | 50 | 50 |" in REPORTS["summary.md"](snapshot)
    assert '"tags": [' in REPORTS["summary.json"](snapshot)
