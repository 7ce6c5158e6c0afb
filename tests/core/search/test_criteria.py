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


OFF: dict[str, Any] = {"error_ratio": None, "connect_failure_ratio": None}
"""Without the criteria that are there by themselves."""
DEFAULTS = ("error ratio > 5 %", "connect failures > 5 %")


def stretch(
    *samples_ms: float, seconds: float = 10.0, failed: int = 0, refused: int = 0, timed_out: int = 0
) -> Snapshot:
    return Snapshot(
        run=RunInfo(duration_s=seconds),
        operations=(
            OperationStats("CONNECT", "/ws", ok=10 - refused, failed=refused, errors={"refused": refused}),
            OperationStats(
                "WS",
                "query",
                ok=len(samples_ms),
                failed=failed,
                timed_out=timed_out,
                errors={"error_reply": failed, "timeout": timed_out},
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
    criteria = Criteria(Stress(10, **{"p95_ms": 1e6, **OFF, **parameters}))
    assert text in criteria.texts
    # ten connects, three of them failed, and twenty messages: 10 % of thirty
    broken = criteria(stretch(*[143.2] * 20, refused=3))
    assert broken is not None
    assert (broken.text, broken.value, broken.also) == (text, value, ())
    assert criteria(stretch(*[40] * 99)) is None


def test_a_limit_that_is_just_kept_does_not_break() -> None:
    criteria = Criteria(Stress(10, error_ratio=0.1))
    assert criteria.texts == ("p95 > 500 ms", "error ratio > 10 %", "connect failures > 5 %")
    assert criteria(stretch(*[1] * 80, failed=10)) is None
    broken = criteria(stretch(*[1] * 79, failed=11))
    assert broken is not None
    assert broken.value == "11 %"


def test_five_per_cent_may_fail_and_half_a_second_is_allowed_unless_something_else_is_said() -> None:
    assert Criteria(Stress(10)).texts == ("p95 > 500 ms", *DEFAULTS)
    only_generator = [rule("CPU", "generator.cpu_percent", critical="> 90 %")]
    assert Criteria(Stress(10), only_generator).texts == (
        "p95 > 500 ms",
        *DEFAULTS,
        "rule CPU: generator's CPU > 90 %",
    )
    slow = [rule("slow", "latency_p99", critical="> 1 s")]
    assert Criteria(Stress(10), slow).texts == (*DEFAULTS, "rule slow: response time p99 > 1 s")
    assert Criteria(Stress(10, rules=False), slow).texts == ("p95 > 500 ms", *DEFAULTS)
    assert Criteria(Stress(10, p95_ms=100)).texts == ("p95 > 100 ms", *DEFAULTS)
    assert Criteria(Stress(10, average_ms=80)).texts == ("average > 80 ms", *DEFAULTS)
    assert Criteria(Stress(10, **OFF)).texts == ("p95 > 500 ms",)


def test_a_stretch_in_which_nothing_was_answered_is_bad_whatever_is_asked_of_it() -> None:
    criteria = Criteria(Stress(10, p95_ms=100, **OFF))
    assert criteria(stretch(timed_out=3)) == Broken("nothing was answered", "")
    assert criteria(stretch(1, timed_out=3)) is None
    assert criteria(stretch(failed=3)) is None, "errors that are allowed are answers"
    assert criteria(stretch()) is None, "nothing has finished"
    with_defaults = Criteria(Stress(10, p95_ms=100))(stretch(timed_out=30))
    assert with_defaults is not None
    assert (with_defaults.text, with_defaults.also) == ("nothing was answered", ("error ratio > 5 % too: 75 %",))


def test_connects_are_judged_from_when_the_users_were_asked_for() -> None:
    criteria = Criteria(
        Stress(10, p95_ms=100),
        [
            rule("refused", "connect_failures", critical="> 2", window_s=10),
            rule("of all", "error_ratio", critical="> 10 %"),
            rule("of connects", "error_ratio", critical="> 10 %", where=Where(types=("CONNECT",))),
        ],
    )
    before = stretch(*[500] * 9, refused=5, seconds=20)  # whose answers were slow, and do not count
    measured = replace(stretch(*[40] * 99), operations=stretch(*[40] * 99).operations[1:])
    assert criteria(measured) is None
    assert criteria(measured, measured) is None
    broken = criteria(measured, before)
    assert broken is not None
    assert (broken.text, broken.value) == ("connect failures > 5 %", "50 %")
    assert broken.also == (
        "rule refused: failed connects > 2 too: 2.5 in 10 s",
        "rule of connects: error ratio of CONNECT > 10 % too: 50 %",
    )


def test_answers_that_are_errors_and_connects_that_were_refused_cannot_be_the_generators_fault() -> None:
    criteria = Criteria(Stress(10, p95_ms=100))
    for broken, is_its_own in (
        (criteria(stretch(*[1] * 50, failed=9, timed_out=8)), True),
        (criteria(stretch(*[1] * 50, failed=8, timed_out=9)), False),
        (criteria(stretch(*[1] * 5000, refused=3)), True),
        (criteria(stretch(*[143] * 50)), False),
        (criteria(stretch(timed_out=20)), False),
    ):
        assert broken is not None
        assert (broken.targets_own is not None) == is_its_own
    both = criteria(stretch(*[143] * 50, failed=9))
    assert both is not None
    assert (both.text, both.also) == ("p95 > 100 ms", ("error ratio > 5 % too: 13 %",))
    assert both.targets_own is not None
    assert (both.targets_own.text, both.targets_own.also) == ("error ratio > 5 %", ("p95 > 100 ms too: 143 ms",))


def test_rules_with_a_critical_limit_are_criteria_in_their_own_scope() -> None:
    rules = [
        rule("slow", "latency_p95", critical="> 100ms", where=Where(types=("WS",), name="query")),
        rule("warns only", "latency_p95", warning="> 1ms"),
        rule("reach", "push_reach", low_critical="< 99 %"),
    ]
    criteria = Criteria(Stress(10, p95_ms=1000), rules)
    assert criteria.texts == (
        "p95 > 1,000 ms",
        *DEFAULTS,
        "rule slow: response time p95 of WS query > 100 ms",
        "rule reach: push reach < 99 %",
    )
    assert criteria.rule_names == {"slow", "reach"}
    assert criteria(stretch(*[143] * 20)) == Broken("rule slow: response time p95 of WS query > 100 ms", "143 ms")


def test_of_several_broken_ones_the_first_is_told_and_the_others_with_it() -> None:
    criteria = Criteria(Stress(10, p95_ms=100, error_ratio=0.05), [rule("slow", "latency_max", critical="> 120ms")])
    broken = criteria(stretch(*[143] * 10, failed=10))
    assert broken is not None
    assert (broken.text, broken.value) == ("p95 > 100 ms", "143 ms")
    assert broken.also == ("error ratio > 5 % too: 33.3 %", "rule slow: response time max > 120 ms too: 143 ms")


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
    assert (criteria.texts, criteria.rule_names) == (("p95 > 100 ms", *DEFAULTS), frozenset())
    assert criteria(stretch(*[50] * 10)) is None


def test_a_rule_of_the_generator_tells_so_and_comes_first() -> None:
    criteria = Criteria(Stress(10, p95_ms=100), [rule("CPU", "generator.cpu_percent", critical="> 90 %")])
    cpu = ResourceFigures("cpu_percent", 3, 97.0, 97.0, 97.0, 97.0, 97.0)
    busy = replace(stretch(*[143] * 10), resources=(ResourceStats(GENERATOR, "host-1", (cpu,)),))
    broken = Broken("p95 > 100 ms", "143 ms")
    assert criteria(busy) == Broken("rule CPU: generator's CPU > 90 %", "97 %", "host-1", True, others=(broken,))


def test_a_count_is_taken_down_to_the_rules_window() -> None:
    def told(criteria: Criteria, failed: int, seconds: float) -> str | None:
        broken = criteria(stretch(1, failed=failed, seconds=seconds))
        return None if broken is None else f"{broken.text}: {broken.value}"

    criteria = Criteria(Stress(10, **OFF), [rule("errors", "errors", critical="> 10", window_s=10)])
    assert told(criteria, 12, 10) == "rule errors: errors > 10: 12"
    assert told(criteria, 24, 30) is None
    assert told(criteria, 36, 30) == "rule errors: errors > 10: 12 in 10 s"
    whole_run = Criteria(Stress(10, **OFF), [rule("errors", "errors", critical="> 10", window_s=None)])
    assert told(whole_run, 12, 30) == "rule errors: errors > 10: 12"


def test_without_data_nothing_breaks() -> None:
    criteria = Criteria(Stress(10, p95_ms=1, average_ms=1, error_ratio=0, connect_failure_ratio=0))
    assert criteria(Snapshot()) is None
    assert criteria(Snapshot(run=RunInfo(duration_s=10))) is None
