"""A step of a search in the log, and the search in the line of live figures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from locust_ext.core.accounting import Recorder
from locust_ext.model import Snapshot
from locust_ext.model.search import (
    BAD,
    BISECT,
    CONFIRM,
    CUT_SHORT,
    GENERATOR_LIMIT,
    GOOD,
    NO_DATA,
    RECOVER,
    SEARCHING,
    UP,
    LimitSearch,
    LoadStep,
)
from locust_ext.outputs.live_line import live_line
from locust_ext.outputs.search_line import step_line

GOOD_STEP = LoadStep(UP, 430, 3.0, 10.0, GOOD, finished=17_200, per_s=1720.0, p95_us=84_000)


@pytest.mark.parametrize(
    ("step", "line"),
    [
        (GOOD_STEP, "430 users good: p95 84 ms, 1,720 messages/s"),
        (
            replace(GOOD_STEP, kind=CONFIRM, failures=3),
            "430 users once more good: p95 84 ms, 1,720 messages/s, 3 failures",
        ),
        (
            replace(GOOD_STEP, kind=BISECT, users=455, outcome=BAD, because="p95 > 100 ms", value="143 ms"),
            "455 users break: p95 143 ms > 100 ms; 1,720 messages/s",
        ),
        (
            LoadStep(UP, 1, 3.0, 0.0, BAD, "only 0 of 1 user came", notes=("a\nb",)),
            "1 user breaks: only 0 of 1 user came; a?b",
        ),
        (
            LoadStep(UP, 9, 3.0, 5.0, BAD, "rule a > b: errors >= 5", "7 in 10 s"),
            "9 users break: rule a > b: errors 7 in 10 s >= 5",
        ),
        (LoadStep(UP, 60, 3.0, 5.0, GENERATOR_LIMIT), "60 users not judged, the generator was the limit"),
        (LoadStep(UP, 60, 3.0, 5.0, NO_DATA), "60 users not judged, nothing could be measured"),
        (LoadStep(UP, 60, 3.0, 4.5, CUT_SHORT), "60 users not judged, the run ended after 4.5 s"),
        (LoadStep(RECOVER, 10, 3.0, 9.0, GOOD, recovered_s=6.0), "back at 10 users: recovered in 6 s"),
        (LoadStep(RECOVER, 10, 3.0, 60.0, BAD), "back at 10 users: did not recover within 60 s"),
    ],
)
def test_each_outcome_is_told_in_one_line(step: LoadStep, line: str) -> None:
    assert step_line(5, step) == f"step 5: {line}"


def test_the_live_line_says_what_the_search_is_doing() -> None:
    recorder = Recorder()
    recorder.begin("r", 0.0)
    now = replace(recorder.snapshot(42.0), search=LimitSearch(SEARCHING, phase="up: 430 users, measured for 6 of 10 s"))
    assert live_line(Snapshot(), now) == "42 s; up: 430 users, measured for 6 of 10 s; 0.0/s finished; no failure"
