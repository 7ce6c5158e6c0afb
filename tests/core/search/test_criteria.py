"""`core.search.criteria`: what has to hold at a step of load, and how its breach is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from locust_ext.core.alerts.rules import Rule
from locust_ext.core.alerts.where import Where
from locust_ext.core.schedules import Stress
from locust_ext.core.search import Broken, Criteria
from locust_ext.model import GENERATOR, OperationStats, ResourceFigures, ResourceStats, RunInfo, Snapshot
from tests.core.alerts.examples import times


def rule(name: str, metric: str, **given: Any) -> Rule:
    limits = {key: given.pop(key) for key in ("warning", "critical", "low_warning", "low_critical") if key in given}
    made = Rule(name=name, metric=metric, **given)
    for key, limit in limits.items():
        made = made.with_limit(key, limit)
    return made


def stretch(*samples_ms: float, seconds: float = 10.0, failed: int = 0, refused: int = 0) -> Snapshot:
    return Snapshot(
        run=RunInfo(duration_s=seconds),
        operations=(
            OperationStats("CONNECT", "/ws", ok=10 - refused, failed=refused, errors={"refused": refused}),
            OperationStats(
                "WS",
                "query",
                ok=len(samples_ms),
                failed=failed,
                errors={"error_reply": failed},
                latency=times(*(round(each * 1000) for each in samples_ms)),
            ),
        ),
    )


@pytest.mark.parametrize(
    ("parameters", "text", "value"),
    [
        ({"p95_ms": 100}, "p95 > 100 ms", "143 ms"),
        ({"average_ms": 50.5}, "average > 50.5 ms", "143 ms"),
        ({"error_ratio": 0.05}, "error ratio > 5 %", "10 %"),
        ({"connect_failure_ratio": 0.1}, "connect failures > 10 %", "30 %"),
    ],
)
def test_the_four_criteria_are_told_shortly(parameters: dict[str, float], text: str, value: str) -> None:
    criteria = Criteria(Stress(10, **parameters))  # type: ignore[arg-type]
    assert criteria.texts == (text,)
    # ten connects, three of them failed, and twenty messages: 10 % of thirty
    assert criteria(stretch(*[143.2] * 20, refused=3)) == Broken(text, value)
    assert criteria(stretch(*[40] * 99)) is None


def test_a_limit_that_is_just_kept_does_not_break() -> None:
    criteria = Criteria(Stress(10, error_ratio=0.1))
    assert criteria(stretch(*[1] * 80, failed=10)) is None
    broken = criteria(stretch(*[1] * 79, failed=11))
    assert broken is not None
    assert broken.value == "11 %"


def test_without_any_criterion_they_are_half_a_second_and_five_per_cent() -> None:
    assert Criteria(Stress(10)).texts == ("p95 > 500 ms", "error ratio > 5 %")
    only_generator = [rule("CPU", "generator.cpu_percent", critical="> 90 %")]
    assert Criteria(Stress(10), only_generator).texts == (
        "p95 > 500 ms",
        "error ratio > 5 %",
        "rule CPU: generator's CPU > 90 %",
    )
    slow = [rule("slow", "latency_p99", critical="> 1 s")]
    assert Criteria(Stress(10), slow).texts == ("rule slow: response time p99 > 1 s",)
    assert Criteria(Stress(10, rules=False), slow).texts == ("p95 > 500 ms", "error ratio > 5 %")


def test_rules_with_a_critical_limit_are_criteria_in_their_own_scope() -> None:
    rules = [
        rule("slow", "latency_p95", critical="> 100ms", where=Where(types=("WS",), name="query")),
        rule("warns only", "latency_p95", warning="> 1ms"),
        rule("reach", "push_reach", low_critical="< 99 %"),
    ]
    criteria = Criteria(Stress(10, p95_ms=1000), rules)
    assert criteria.texts == (
        "p95 > 1,000 ms",
        "rule slow: response time p95 of WS query > 100 ms",
        "rule reach: push reach < 99 %",
    )
    assert criteria.rule_names == {"slow", "reach"}
    assert criteria(stretch(*[143] * 20)) == Broken("rule slow: response time p95 of WS query > 100 ms", "143 ms")


def test_of_several_broken_ones_the_first_is_told_and_the_others_with_it() -> None:
    criteria = Criteria(Stress(10, p95_ms=100, error_ratio=0.05), [rule("slow", "latency_max", critical="> 120ms")])
    assert criteria(stretch(*[143] * 10, failed=10)) == Broken(
        "p95 > 100 ms",
        "143 ms",
        also=("error ratio > 5 % too: 33.3 %", "rule slow: response time max > 120 ms too: 143 ms"),
    )


@pytest.mark.parametrize(
    "given",
    [
        rule("few", "rate", low_critical="< 100/s"),
        rule("few", "messages_received_rate", low_critical="< 100/s"),
        rule("few", "connections_open", low_critical="< 100"),
        rule("few", "latency_p95", critical="> 1ms", where=Where(worker="*")),
    ],
)
def test_what_a_small_load_breaks_and_what_is_of_each_worker_are_no_criteria(given: Rule) -> None:
    criteria = Criteria(Stress(10, p95_ms=100), [given])
    assert (criteria.texts, criteria.rule_names) == (("p95 > 100 ms",), frozenset())
    assert criteria(stretch(*[50] * 10)) is None


def test_a_rule_of_the_generator_tells_so_and_comes_first() -> None:
    criteria = Criteria(Stress(10, p95_ms=100), [rule("CPU", "generator.cpu_percent", critical="> 90 %")])
    cpu = ResourceFigures("cpu_percent", 3, 97.0, 97.0, 97.0, 97.0, 97.0)
    busy = replace(stretch(*[143] * 10), resources=(ResourceStats(GENERATOR, "host-1", (cpu,)),))
    assert criteria(busy) == Broken(
        "rule CPU: generator's CPU > 90 %", "97 %", "host-1", True, ("p95 > 100 ms too: 143 ms",)
    )


def test_a_count_is_taken_down_to_the_rules_window() -> None:
    criteria = Criteria(Stress(10), [rule("errors", "errors", critical="> 10", window_s=10)])
    assert criteria(stretch(1, failed=12, seconds=10)) == Broken("rule errors: errors > 10", "12")
    assert criteria(stretch(1, failed=24, seconds=30)) is None
    assert criteria(stretch(1, failed=36, seconds=30)) == Broken("rule errors: errors > 10", "12 in 10 s")
    whole_run = Criteria(Stress(10), [rule("errors", "errors", critical="> 10", window_s=None)])
    assert whole_run(stretch(1, failed=12, seconds=30)) == Broken("rule errors: errors > 10", "12")


def test_without_data_nothing_breaks() -> None:
    criteria = Criteria(Stress(10, p95_ms=1, average_ms=1, error_ratio=0, connect_failure_ratio=0))
    assert criteria(Snapshot()) is None
    assert criteria(Snapshot(run=RunInfo(duration_s=10))) is None
