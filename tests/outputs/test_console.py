"""The table at the end of a run, and its verdict."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace

import pytest

from locust_ext.core.accounting import Recorder
from locust_ext.model import Check, OperationStats, RunInfo, Snapshot, TrafficStats
from locust_ext.outputs import REPORTS, console, read_summary, verdict
from tests.outputs.examples import bad, full, good


def test_a_good_run_reads_like_this() -> None:
    assert console(good()) == (
        "-- locust-ext result -----------------------------------------------------------\n"
        "Run            realistic, 10.0 s, 50 users, http://127.0.0.1:8000\n"
        "Connections    50 opened, 0 failed, 0 dropped, 1 reconnect, peak 50 open\n"
        "Messages       2,200 sent (220/s), 2,201 received (220/s)\n"
        "Pushes         201 received (20.1/s)\n"
        "Push delay     p50 0.70 ms, p95 0.70 ms, p99 0.70 ms, max 0.70 ms (200)\n"
        "Fan-out        190 of 200 deliveries (95.0 %), 10 never came, first to last p95\n"
        "               0.90 ms\n"
        "Round trips    p50 2.00 ms, p95 5.00 ms, p99 5.00 ms, max 5.00 ms (2,000)\n"
        "HTTP requests  p50 3.20 ms, p95 3.20 ms, p99 3.20 ms, max 3.20 ms (200)\n"
        "Top throughput 100/s WS query\n"
        "Fastest        WS query, p95 1.95 ms\n"
        "Slowest        SIO set [beta] [eu], p95 5.00 ms\n"
        "Failures       none of 2,450 operations\n"
        "Verdict        good: 2,450 operations, no failure\n"
        "Look at        10 of 200 deliveries of context_changed never came: the target\n"
        "               drops messages for slow receivers, or a connection is open before\n"
        "               it is subscribed\n"
        "--------------------------------------------------------------------------------\n"
    )


def test_nothing_is_shown_that_was_not_measured() -> None:
    assert console(Snapshot()) == (
        "-- locust-ext result -----------------------------------------------------------\n"
        "Run            0.0 s\n"
        "Verdict        no load so far: nothing was sent\n"
        "--------------------------------------------------------------------------------\n"
    )


def test_failures_rules_and_baseline_are_told_and_hostile_names_are_harmless() -> None:
    text = console(bad())
    lines = text.splitlines()
    assert "Connections    1 opened, 1 failed, 1 dropped, 0 reconnects" in lines
    assert "Failures       13 of 1,004 operations (1.3 %): timeout 10," in lines
    assert "HTTP requests  none was answered" in lines
    assert "Unread         1 message dropped: their users read too slowly" in lines
    assert "Cancelled      1 operation cut off by the end of their users, no failures" in lines
    assert "Rules          1 failed, 1 warned, 1 passed, 1 without data" in lines
    assert "Alerts         3 alerts fired, 2 critical, 1 not resolved; worst: critical p95" in lines
    table = lines[lines.index("-- rules ".ljust(80, "-")) + 1 :]
    assert table[:3] == [
        "State    Rule                                Value  Limit",
        "FAIL     p95 below 200 ms                   250 ms  > 200 ms",
        "         250 ms, wanted < 200 ms; fired at 1 s",
    ]
    assert table[3].startswith("warn     CPU of the target                    80 %  warn > 70 %, critical > 90 %")
    assert [line[:7] for line in table[4:]] == ["no data", "pass   ", "-------"]
    assert "Baseline       2 regressions against earlier: WS" in lines
    assert "Verdict        rule failed: p95 below 200 ms; failures: 13 of 1,004 operations" in lines
    assert max(map(len, lines)) <= 80
    assert not [char for char in text if unicodedata.category(char)[0] == "C" and char != "\n"]


def snapshot(*operations: OperationStats, **run: object) -> Snapshot:
    return Snapshot(run=RunInfo(complete=True, **run), operations=operations)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (snapshot(), "no load: nothing was sent"),
        (Snapshot(traffic=TrafficStats(messages_sent=3)), "no result so far: 3 messages started, none finished"),
        (snapshot(OperationStats("WS", "q", cancelled=1)), "no result: 1 operation started, none finished"),
        (snapshot(OperationStats("WS", "q", ok=12_345)), "good: 12,345 operations, no failure"),
        (
            snapshot(OperationStats("WS", "q", ok=988, timed_out=12, errors={"timeout": 12})),
            "failures: 12 of 1,000 operations (1.2 %), most often timeout",
        ),
        (
            snapshot(OperationStats("WS", "q", ok=999_999, lost=1, errors={"reset": 1})),
            "failures: 1 of 1,000,000 operations (0.00010 %), most often reset",
        ),
        (
            snapshot(OperationStats("WS", "q", ok=1, failed=9999, errors={"protocol": 9999})),
            "failures: 9,999 of 10,000 operations (99.990 %), most often protocol",
        ),
        (
            snapshot(OperationStats("WS", "q", failed=2, errors={"refused": 2})),
            "failures: 2 of 2 operations (100 %), most often refused",
        ),
        (
            snapshot(OperationStats("WS", "q", ok=5), invalid_because=("worker\n1 was lost", "and more")),
            "not valid: worker?1 was lost; and more",
        ),
    ],
)
def test_the_verdict_is_one_honest_line(given: Snapshot, expected: str) -> None:
    assert verdict(given) == expected


def test_a_run_that_ended_before_its_work_was_done_is_called_so_everywhere() -> None:
    missing = "63 of 120 operations of --ext-requests had begun when the run ended"
    given = snapshot(OperationStats("WS", "q", ok=63), unfinished=missing)
    assert verdict(given) == f"not all was done: {missing}; 63 operations, no failure"
    assert f"Not done {missing}" in " ".join(console(given).split())
    assert f"| Not done | {missing} |" in REPORTS["summary.md"](given)
    assert json.loads(REPORTS["summary.json"](given))["run"]["unfinished"] == missing
    assert read_summary(REPORTS["summary.json"](given)).run.unfinished == missing
    failed = replace(given, rules=(Check("many", "failed"),))
    assert verdict(failed) == f"rule failed: many; {missing}; 63 operations, no failure"


def test_a_verdict_on_figures_that_are_not_all_in_says_so() -> None:
    recorder = Recorder()
    recorder.begin("r", 0.0)
    recorder.operation("WS", "q", 5, 5)
    assert verdict(recorder.snapshot(1.0)) == "good so far: 1 operation, no failure"
    recorder.expect_worker("w1")
    recorder.end(2.0)
    assert verdict(recorder.snapshot(2.0)) == "good so far: 1 operation, no failure"


def test_how_soon_lost_connections_were_back_is_told_where_there_were_any() -> None:
    assert "Back again" not in console(good())
    text = " ".join(console(full()).split())
    assert "Back again 3 connections, 1 of them on another host: p50 250 ms, p95 1,250 ms, max 1,250 ms" in text
