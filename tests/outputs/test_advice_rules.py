"""Each rule of thumb on a run that it is about, and on one that only looks a little like it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from locust_ext.core.accounting.histogram import Histogram
from locust_ext.model import ConnectionStats, Distribution, OperationStats, PushStats, RunInfo, Second, Snapshot
from locust_ext.outputs import advice_failures, advice_timing
from locust_ext.outputs.advice import RULES_OF_THUMB, advice
from tests.outputs.examples import HOSTILE

RUN = RunInfo(complete=True, duration_s=60.0)


def times(*counted: tuple[int, int]) -> Distribution:
    """(milliseconds, how often) as one distribution."""
    made = Histogram()
    for ms, count in counted:
        for _ in range(count):
            made.record(ms * 1000)
    return made.freeze()


def ws(ok: int = 1000, name: str = "query", **more: object) -> OperationStats:
    given = {"latency": times((5, ok)), **more}
    return OperationStats("WS", name, ok=ok, **given)  # type: ignore[arg-type]


def connect(ok: int = 50, ms: int = 3, **more: object) -> OperationStats:
    return OperationStats("CONNECT", "/ws", ok=ok, latency=times((ms, ok)), **more)  # type: ignore[arg-type]


def drops(**errors: int) -> OperationStats:
    return OperationStats("DROP", "/ws", lost=sum(errors.values()), errors=errors)


def failing(name: str, ok: int, **errors: int) -> OperationStats:
    return ws(ok, name, failed=sum(errors.values()), errors=errors)


def timing_out(ok: int, timeouts: int) -> OperationStats:
    return ws(ok, timed_out=timeouts, errors={"timeout": timeouts})


def of(*operations: OperationStats) -> Snapshot:
    return Snapshot(run=RUN, operations=operations)


def rows(*counted: tuple[int, int, int], open_connections: int = 10) -> Snapshot:
    """(seconds, finished each, failures each) after one another, and a last row that is cut short."""
    timeline: list[Second] = []
    for seconds, finished, failures in (*counted, (1, 1, 0)):
        for _ in range(seconds):
            timeline.append(
                Second(len(timeline), finished=finished, failures=failures, open_connections=open_connections)
            )
    return Snapshot(run=RUN, timeline=tuple(timeline))


def leaving() -> Snapshot:
    """The users go at the end: less is done because fewer are there."""
    slowed = rows((48, 100, 0), (12, 20, 0))
    timeline = tuple(replace(row, open_connections=2) if row.start_s >= 48 else row for row in slowed.timeline)
    return replace(slowed, timeline=timeline)


def paced(corrected_ms: int, service_ms: int, count: int = 200) -> Snapshot:
    return of(ws(count, latency=times((corrected_ms, count)), service=times((service_ms, count))))


def fan_out(reached: int) -> Snapshot:
    return Snapshot(run=RUN, pushes=(PushStats("changed", received=9, expected=200, reached=reached),))


CASES: dict[Callable[[Snapshot], str | None], tuple[Snapshot, str, list[Snapshot]]] = {
    advice_timing.long_tail: (
        of(ws(latency=times((10, 950), (400, 50)))),
        "its p99 of 400 ms is 40 times its p50 of 10.0 ms",
        [
            of(ws(latency=times((10, 950), (50, 50)))),  # not ten times
            of(ws(latency=times((1, 950), (30, 50)))),  # thirty times next to nothing
            of(ws(100, latency=times((10, 95), (400, 5)))),  # too few to know
        ],
    ),
    advice_timing.waits_before_the_send: (
        paced(500, 100),
        "p99 is 500 ms from when requests were due and 100 ms from when they were sent",
        [paced(150, 100), paced(9, 1), paced(500, 100, count=50)],
    ),
    advice_timing.too_few_samples: (
        of(ws(42)),
        "42 round trips are too few for a p99",
        [of(ws(100)), of(), replace(of(ws(42)), run=RunInfo(complete=False))],
    ),
    advice_timing.slow_connects: (
        of(ws(), connect(ms=900)),
        "connecting takes 900 ms (p95)",
        [of(ws(), connect(ms=400)), of(ws(latency=times((300, 1000))), connect(ms=900)), of(ws(), connect(5, 900))],
    ),
    advice_timing.falls_at_the_end: (
        rows((48, 100, 0), (12, 60, 0)),
        "throughput fell from 100.0/s to 60.0/s in the last 12 s",
        [rows((48, 100, 0), (12, 80, 0)), leaving(), rows((10, 100, 0), (5, 10, 0))],
    ),
    advice_timing.fails_at_the_start: (
        rows((10, 100, 5), (50, 100, 0)),
        "100 % of the failures came in the first 12 s",
        [rows((60, 100, 1)), rows((3, 100, 3), (57, 100, 0)), rows((10, 100, 5), (5, 100, 0))],
    ),
    advice_timing.late_replies: (
        of(ws(900, timed_out=100, errors={"timeout": 100}, late=30)),
        "30 replies came after the request had timed out",
        [of(ws(timed_out=3, late=3)), of(ws(cancelled=30, late=30)), of(ws())],
    ),
    advice_timing.strange_replies: (
        of(ws(duplicate=20, unmatched=1)),
        "20 replies came twice and 1 reply belonged to no request",
        [of(ws(duplicate=4, unmatched=4)), of(ws())],
    ),
    advice_failures.connections_drop: (
        of(ws(), connect(), drops(ping_timeout=9, reset=2)),
        "11 connections dropped out of order, most often ping_timeout: the target, or a proxy before it, stopped",
        [of(ws(), connect(2000), drops(reset=2)), of(ws(), connect())],
    ),
    advice_failures.one_operation_fails: (
        of(ws(), failing("save", 50, error_reply=50), failing("other", 500, reset=1)),
        "50 of 51 failures are of WS save, which fails 50 % of the time while the rest works",
        [
            of(ws(100), failing("save", 500, error_reply=500)),  # it is most of the work
            of(ws(), failing("save", 50, error_reply=50), failing("other", 450, reset=50)),
            of(ws(), failing("save", 995, error_reply=5)),
        ],
    ),
    advice_failures.timeouts_prevail: (
        of(timing_out(900, 100)),
        "100 operations timed out, and timeouts are no latencies",
        [of(timing_out(990, 10)), of(timing_out(5, 5)), of(timing_out(900, 60), failing("save", 0, reset=100))],
    ),
    advice_failures.target_refuses: (
        of(ws(), failing("save", 900, http_429=90, http_503=10)),
        "the target refused 100 operations by itself (http_429, http_503)",
        [of(ws(), failing("save", 990, http_429=10)), of(ws(), failing("save", 900, reset=100))],
    ),
    advice_failures.fan_out_misses: (
        fan_out(190),
        "10 of 200 deliveries of changed never came",
        [fan_out(200), Snapshot(run=RUN, pushes=(PushStats("changed", received=9),))],
    ),
    advice_failures.users_read_too_slowly: (
        Snapshot(run=RUN, connections=ConnectionStats(inbox_dropped=3)),
        "3 messages dropped unread",
        [Snapshot(run=RUN)],
    ),
    advice_failures.many_cancelled: (
        of(ws(cancelled=100)),
        "100 operations of 1,100 cut off by the end of their users",
        [of(ws(cancelled=10)), of(ws(20, cancelled=5, latency=times()))],
    ),
}


NAMES = {rule.__name__: rule for rule in CASES}


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_of_thumb_speaks_where_it_applies_and_says_its_reason(name: str) -> None:
    snapshot, words, _ = CASES[NAMES[name]]
    (sentence,) = [sentence for sentence in advice(snapshot) if words in sentence]
    assert len(sentence) <= 300
    assert len(sentence) > len(words) + 20, "a reason follows, or comes before"


@pytest.mark.parametrize(
    ("name", "number"), [(name, n) for name, rule in NAMES.items() for n in range(len(CASES[rule][2]))]
)
def test_a_rule_of_thumb_is_silent_where_it_does_not_apply(name: str, number: int) -> None:
    assert NAMES[name](CASES[NAMES[name]][2][number]) is None


def test_every_rule_of_the_two_files_is_in_the_table_and_has_a_case() -> None:
    written = {
        rule
        for module in (advice_timing, advice_failures)
        for name, rule in vars(module).items()
        if getattr(rule, "__module__", "") == module.__name__ and callable(rule) and not name.startswith("_")
    }
    assert written == set(CASES)
    assert written <= set(RULES_OF_THUMB)


def test_the_first_steady_minute_of_a_good_run_has_no_advice() -> None:
    steady = rows((60, 100, 0))
    assert advice(replace(steady, operations=(ws(6000), connect()))) == []


def test_names_in_advice_cannot_move_the_cursor() -> None:
    sentences = advice(of(ws(name=HOSTILE, latency=times((10, 950), (400, 50)))))
    assert len(sentences) == 1
    assert not set(sentences[0]) & set("\n\r\t\x1b\u202e")
