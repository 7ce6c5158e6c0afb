"""Every report of the table, and the texts of those that have no file of their own."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from xml.etree import ElementTree

import pytest

from locust_ext.model import ComparedFigure, Second, Snapshot
from locust_ext.outputs import REPORTS, texts_of
from locust_ext.outputs.text import change_text, ms_text, percent_text, rate_text, shown
from tests.outputs.examples import HOSTILE, bad, good
from tests.outputs.searches import searched


@pytest.mark.parametrize("name", sorted(REPORTS))
@pytest.mark.parametrize("snapshot", [Snapshot(), good(), bad(), searched()], ids=["empty", "good", "bad", "search"])
def test_every_report_is_text_that_can_be_written_and_ends_its_last_line(name: str, snapshot: Snapshot) -> None:
    text = REPORTS[name](snapshot)
    assert bool(text) == (name != "limit.svg" or snapshot.search is not None)
    assert not text or text.encode("utf-8").endswith(b"\n")
    assert text == REPORTS[name](snapshot)


def test_a_report_that_does_not_apply_is_not_among_the_texts_nor_one_that_is_not_wanted() -> None:
    assert texts_of(good()).keys() == REPORTS.keys() - {"limit.svg"}
    assert texts_of(searched()) == {name: render(searched()) for name, render in REPORTS.items()}
    assert list(texts_of(searched(), {"limit.svg", "summary.md"})) == ["summary.md", "limit.svg"]


def test_markdown_of_a_good_run_reads_like_this() -> None:
    assert REPORTS["summary.md"](good()) == (
        "## realistic: good: 2,450 operations, no failure\n"
        "\n"
        "| | |\n"
        "|---|---|\n"
        "| Run | 10.0 s, 50 users, http\\://127.0.0.1:8000, seed 7 |\n"
        "| Connections | 50 opened, 0 failed, 0 dropped, 1 reconnect, peak 50 open |\n"
        "| Messages | 2,200 sent (220/s), 2,201 received (220/s) |\n"
        "| Pushes | 201 received |\n"
        "| Push delay | p50 0.70 ms, p95 0.70 ms, p99 0.70 ms, max 0.70 ms (200) |\n"
        "| Fan-out | 190 of 200 deliveries (95.0 %), 10 never came, first to last p95 0.90 ms |\n"
        "| Round trips | p50 2.00 ms, p95 5.00 ms, p99 5.00 ms, max 5.00 ms (2,000) |\n"
        "| Top throughput | 100/s WS query |\n"
        "| Fastest | WS query, p95 1.95 ms |\n"
        "| Slowest | SIO set \\[beta\\] \\[eu\\], p95 5.00 ms |\n"
        "| Failures | none of 2,450 |\n"
        "\n"
        "Look at: 10 of 200 deliveries of context\\_changed never came: the target drops messages for slow receivers, "
        "or a connection is open before it is subscribed\n"
        "\n"
        "| Operation | ok | failures | p50 | p95 | p99 | max |\n"
        "|---|--:|--:|--:|--:|--:|--:|\n"
        "| SIO set \\[beta\\] \\[eu\\] | 1,000 | 0 | 5.00 ms | 5.00 ms | 5.00 ms | 5.00 ms |\n"
        "| GET /api/context | 200 | 0 | 3.20 ms | 3.20 ms | 3.20 ms | 3.20 ms |\n"
        "| CONNECT /ws | 50 | 0 | 2.50 ms | 2.50 ms | 2.50 ms | 2.50 ms |\n"
        "| WS query | 1,000 | 0 | 1.50 ms | 1.95 ms | 1.99 ms | 2.00 ms |\n"
        "| SEND event | 200 | 0 | - | - | - | - |\n"
        "\n"
        "### Cannot say\n"
        "\n"
        "- nothing was asked of the run: no rules, no baseline\n"
    )


def test_hostile_names_make_no_markup_in_markdown_and_no_new_table_cell() -> None:
    text = REPORTS["summary.md"](bad())
    for row in text.splitlines():
        assert not re.search(r"(?<!\\)[<>`]", row)
        assert not re.search(r"(?<!\\)\[a(?<!\\)\]", row)
    cells = {
        len(re.findall(r"(?<!\\)\|", row)) for row in text.splitlines() if row.startswith("| WS") and " ms |" in row
    }
    assert cells == {8}
    assert "### Against earlier: 2 regressions" in text
    assert "| error\\_rate | 0 | 0.01 | +1 points | worse |" in text
    assert "Not quite comparable: users: 5 then, 6 now" in text


def test_a_long_list_of_operations_is_cut_in_markdown_and_says_so() -> None:
    operations = tuple(good().operations[0].__class__("GET", f"/{number}", ok=1) for number in range(80))
    text = REPORTS["summary.md"](Snapshot(operations=operations))
    assert text.count("\n| GET") == 50
    assert "\n… and 30 operations more in `summary.json`.\n" in text


def test_junit_has_a_case_for_each_rule_and_each_compared_operation() -> None:
    root = ElementTree.fromstring(REPORTS["junit.xml"](bad()))
    suites = {suite.get("name"): suite for suite in root}
    counts = {name: tuple(suite.get(key) for key in ("tests", "failures", "skipped")) for name, suite in suites.items()}
    assert counts == {"run": ("1", "0", "0"), "rules": ("4", "1", "1"), "baseline": ("3", "1", "1")}
    failure = suites["rules"].find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "250 ms, limit > 200 ms: 250 ms, wanted < 200 ms; fired at 1 s"
    (warned,) = [case for case in suites["rules"] if case.find("system-out") is not None]
    assert (warned.get("name"), warned.findtext("system-out")) == (
        "CPU of the target",
        "warning: 80 %, limit warning > 70 %, critical > 90 %: above 70 % for 3 s",
    )
    worse = suites["baseline"].find("testcase/failure")
    assert worse is not None
    assert worse.text == "p95_ms 200 -> 250 (+25 %); error_rate 0 -> 0.01 (+1 points)"
    # No data is neither passed nor failed.
    skipped = [case.get("name") for case in root.iter("testcase") if case.find("skipped") is not None]
    assert skipped == [shown(HOSTILE, 200), "GET /"]


def test_junit_of_a_run_without_load_or_validity_has_a_failed_case() -> None:
    root = ElementTree.fromstring(REPORTS["junit.xml"](Snapshot()))
    failure = root.find("testsuite/testcase/failure")
    assert failure is not None
    assert failure.text == "no load so far: nothing was sent"
    good_root = ElementTree.fromstring(REPORTS["junit.xml"](good()))
    assert good_root.find("testsuite/testcase/failure") is None
    assert good_root[0].get("timestamp") == "2026-01-01T12:00:00.000"


def test_the_timeline_is_a_table_of_numbers_with_empty_cells_where_nothing_was_measured() -> None:
    rows = (
        Second(
            0, finished=3, failures=1, round_trips=2, min_us=1000, p50_us=1500, p95_us=2000, p99_us=2000, max_us=2001
        ),
        Second(1, 2, open_connections=4, in_flight=0, complete=False),
    )
    table = list(csv.DictReader(io.StringIO(REPORTS["timeline.csv"](Snapshot(timeline=rows)))))
    assert [table[0][key] for key in ("start_s", "finished", "min_ms", "p50_ms", "max_ms", "open_connections")] == [
        "0",
        "3",
        "1.0",
        "1.5",
        "2.001",
        "",
    ]
    assert [table[1][key] for key in ("length_s", "p50_ms", "open_connections", "in_flight", "complete")] == [
        "2",
        "",
        "4",
        "0",
        "0",
    ]
    assert all(re.fullmatch(r"[\d.]*", cell) for row in table for cell in row.values())


def test_a_text_is_shown_on_one_line_without_anything_that_moves_the_cursor() -> None:
    assert shown(HOSTILE) == "=1+1|<script>`x`????[31m?\"'&,;[a](http://b)*_é😀"
    assert shown("x" * 100, 10) == "xxxxxxxxx…"
    assert shown("a\u2028b\ud800c\ufeff") == "a?b?c?"
    every = "".join(map(chr, range(0x3000)))
    assert not [char for char in shown(every, 20_000) if unicodedata.category(char)[0] == "C"]


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [(None, "-"), (0, "0.00 ms"), (1234, "1.23 ms"), (12_345, "12.3 ms"), (1_234_567, "1,235 ms")],
)
def test_milliseconds_have_three_digits(microseconds: float | None, text: str) -> None:
    assert ms_text(microseconds) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 5, "0 %"), (5, 5, "100 %"), (1, 3, "33 %"), (12, 1000, "1.2 %"), (1, 1002, "0.10 %"), (999, 1000, "99.90 %")],
)
def test_a_share_is_never_rounded_to_nothing_or_all(part: int, whole: int, text: str) -> None:
    assert percent_text(part, whole) == text


def test_rates_and_changes() -> None:
    assert (rate_text(5, 0), rate_text(5, 2), rate_text(5000, 2)) == ("", "2.5/s", "2,500/s")
    assert change_text(ComparedFigure("", "p95_ms", 0.0, 5.0, "worse")) == "-"
    assert change_text(ComparedFigure("", "p95_ms", None, 5.0, "no_data")) == "-"
    assert change_text(ComparedFigure("", "p95_ms", 10.0, 9.0, "better")) == "-10 %"
