"""What stands out in a run, and when nothing does."""

from __future__ import annotations

from locust_ext.core.accounting.histogram import Histogram
from locust_ext.model import Distribution, OperationStats, RunInfo, Second, Snapshot
from locust_ext.outputs.highlights import ENOUGH, Highlights, highlight_rows, highlights


def times(ms: int, count: int) -> Distribution:
    made = Histogram()
    for _ in range(count):
        made.record(ms * 1000)
    return made.freeze()


def operation(name: str, ms: int, ok: int = 100, failed: int = 0, **more: object) -> OperationStats:
    errors = {"reset": failed} if failed else {}
    return OperationStats("WS", name, ok=ok, failed=failed, errors=errors, latency=times(ms, ok), **more)  # type: ignore[arg-type]


def of(*operations: OperationStats, timeline: tuple[Second, ...] = ()) -> Snapshot:
    return Snapshot(run=RunInfo(duration_s=10.0), operations=operations, timeline=timeline)


def names(found: Highlights) -> dict[str, str]:
    fields = ("best_throughput", "fastest", "slowest", "most_reliable", "least_reliable")
    return {field: getattr(found, field).name for field in fields if getattr(found, field) is not None}


def test_the_extremes_are_found_by_rate_p95_and_error_rate() -> None:
    slow, busy, shaky = operation("slow", 90), operation("busy", 5, ok=500), operation("shaky", 2, ok=80, failed=20)
    assert names(highlights(of(slow, busy, shaky))) == {
        "best_throughput": "busy",
        "fastest": "shaky",
        "slowest": "slow",
        "most_reliable": "busy",
        "least_reliable": "shaky",
    }


def test_where_nothing_failed_no_operation_is_called_reliable() -> None:
    assert names(highlights(of(operation("a", 1), operation("b", 2)))).keys() == {
        "best_throughput",
        "fastest",
        "slowest",
    }


def test_an_operation_with_too_few_samples_is_not_compared() -> None:
    few = operation("few", 900, ok=ENOUGH - 2, failed=1)
    assert names(highlights(of(few, operation("a", 1), operation("b", 2, ok=101)))) == {
        "best_throughput": "b",
        "fastest": "a",
        "slowest": "b",
    }


def test_one_operation_alone_is_neither_the_fastest_nor_the_slowest() -> None:
    assert highlights(of(operation("a", 1))) == Highlights()
    assert list(highlight_rows(of())) == []


def test_pushes_drops_and_the_warm_up_are_no_highlights() -> None:
    others = (
        OperationStats("PUSH", "changed", ok=9000),
        OperationStats("DROP", "/ws", lost=50, errors={"reset": 50}),
        operation("a", 1),
    )
    timeline = (Second(0, finished=900, warmup=True), Second(1, finished=10), Second(2, 2, finished=24))
    found = highlights(of(*others, timeline=timeline))
    assert names(found) == {}
    assert found.best_second == timeline[2], "two seconds with 24 are 12 a second"


def test_they_are_told_with_their_tags() -> None:
    tagged = operation("save", 90, tags=("eu", "beta"))
    shaky = operation("ask", 1, ok=98, failed=2)
    timeline = (Second(0, finished=5), Second(1, finished=120))
    assert list(highlight_rows(of(tagged, shaky, timeline=timeline))) == [
        ("Top throughput", "10.0/s WS ask; 120/s of all at 1 s"),
        ("Fastest", "WS ask, p95 1.00 ms"),
        ("Slowest", "WS save [eu] [beta], p95 90.0 ms"),
        ("Most reliable", "WS save [eu] [beta], none of 100 failed"),
        ("Least reliable", "WS ask, 2 of 100 failed (2.0 %)"),
    ]
