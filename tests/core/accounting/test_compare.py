"""The regression gate: real changes are found, chance is not called a change. Seeds are fixed; sizes are simulated."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from locust_ext.core.accounting import Histogram
from locust_ext.core.accounting.compare import Tolerance, compare, mann_whitney, two_proportions
from locust_ext.model import Comparison, OperationStats, RunInfo, Snapshot
from tests.test_model import frozen


def run(
    rng: random.Random,
    samples: int = 2000,
    *,
    scale: float = 1.0,
    tail: float = 1.0,
    error_rate: float = 0.01,
    operations: int = 3,
    sigma: float = 0.5,
    duration_s: float = 30.0,
) -> Snapshot:
    """A run whose round trips are lognormal about 3 ms; `tail` stretches what lies above its 94th percentile."""
    found = []
    for number in range(operations):
        histogram = Histogram()
        failed = 0
        for _ in range(samples):
            latency = 3000 * rng.lognormvariate(0, sigma)
            if tail != 1.0 and latency > 3000 * 2.718281828 ** (1.555 * sigma):
                latency *= tail
            histogram.record(int(scale * latency))
            failed += rng.random() < error_rate
        found.append(
            OperationStats(
                "WS",
                f"q{number}",
                ok=samples - failed,
                failed=failed,
                errors={"error_reply": failed} if failed else {},
                latency=histogram.freeze(),
            )
        )
    return Snapshot(run=RunInfo(id="run", duration_s=duration_s), operations=tuple(found))


def outcomes(comparison: Comparison, figure: str) -> set[str]:
    return {each.outcome for each in comparison.figures if each.figure == figure and each.operation}


@pytest.mark.parametrize("sigma", [0.2, 1.0])
def test_two_runs_of_the_same_build_are_almost_never_called_a_regression(sigma: float) -> None:
    """Without any tolerance, so that only the statistics decide: 100 pairs of 17 figures each, at most two wrong."""
    rng = random.Random(20)
    strict = Tolerance(relative=0.0, error_rate=0.0)
    wrong = 0
    for _ in range(100):
        wrong += bool(compare(run(rng, 400, sigma=sigma), run(rng, 400, sigma=sigma), strict).regressions)
    assert wrong <= 2


def test_the_tolerance_swallows_a_small_change_however_certain_it_is() -> None:
    rng = random.Random(21)
    comparison = compare(run(rng, 20_000, operations=1), run(rng, 20_000, operations=1, scale=1.05))
    assert comparison.regressions == ()
    sharp = compare(
        run(rng, 20_000, operations=1), run(rng, 20_000, operations=1, scale=1.05), Tolerance(relative=0.02)
    )
    assert outcomes(sharp, "p50_ms") == outcomes(sharp, "p95_ms") == {"worse"}


@pytest.mark.parametrize("change", [{"scale": 1.2}, {"tail": 1.3}], ids=["everything slower", "only the tail"])
def test_a_slower_p95_over_2000_samples_is_found(change: dict[str, float]) -> None:
    rng = random.Random(22)
    found = 0
    for _ in range(40):
        comparison = compare(run(rng, operations=1), run(rng, operations=1, **change))  # type: ignore[arg-type]
        found += outcomes(comparison, "p95_ms") == {"worse"}
    assert found >= 38


def test_a_faster_run_is_better_and_no_regression() -> None:
    rng = random.Random(23)
    comparison = compare(run(rng, operations=1), run(rng, operations=1, scale=0.8))
    assert outcomes(comparison, "p95_ms") == {"better"}
    assert comparison.regressions == ()


def test_more_errors_are_found_and_a_few_are_not() -> None:
    rng = random.Random(24)
    more = compare(run(rng, error_rate=0.0), run(rng, error_rate=0.02))
    assert outcomes(more, "error_rate") == {"worse"}
    base = run(rng, error_rate=0.0)
    one = OperationStats("WS", "q0", ok=1999, failed=1, errors={"x": 1}, latency=base.operations[0].latency)
    few = compare(base, replace(base, operations=(one, *base.operations[1:])), Tolerance(error_rate=0.0))
    assert few.regressions == ()


def test_throughput_that_falls_is_worse_per_second_not_in_total() -> None:
    rng = random.Random(25)
    base = run(rng, operations=1, duration_s=30.0)
    assert outcomes(compare(base, replace(base, run=RunInfo(duration_s=40.0))), "per_second") == {"worse"}
    assert outcomes(compare(base, replace(base, run=RunInfo(duration_s=30.5))), "per_second") == {"same"}
    assert outcomes(compare(base, run(rng, 1000, operations=1, duration_s=15.0)), "per_second") == {"same"}


def test_a_percentile_with_too_few_samples_above_it_is_not_judged() -> None:
    rng = random.Random(26)
    comparison = compare(run(rng, 300, operations=1), run(rng, 300, operations=1, scale=3.0))
    assert outcomes(comparison, "p95_ms") == {"worse"}
    assert outcomes(comparison, "p99_ms") == {"no_data"}


def test_what_is_gone_is_said_and_a_comparison_of_nothing_says_so() -> None:
    """Nothing in common is no pass; nor is a baseline that was not valid."""
    before = Snapshot(run=RunInfo(duration_s=10.0), operations=(OperationStats("WS", "old", ok=5),))
    found = compare(before, Snapshot(run=RunInfo(duration_s=10.0)))
    assert found.caveats == ("in the baseline only: WS old",)
    assert (found.judged, found.is_conclusive) == ((), False)
    doubtful = replace(before, run=replace(before.run, invalid_because=("why",)))
    assert compare(doubtful, doubtful).judged
    assert not compare(doubtful, doubtful).is_conclusive


def test_operations_of_one_run_only_are_listed_and_not_judged() -> None:
    rng = random.Random(27)
    comparison = compare(run(rng, 100, operations=1), run(rng, 100, operations=2))
    (only,) = [figure for figure in comparison.figures if figure.operation == "WS q1"]
    assert (only.before, only.outcome) == (None, "no_data")
    assert only.after == pytest.approx(100 / 30)


def test_runs_without_anything_compare_to_nothing() -> None:
    comparison = compare(Snapshot(), Snapshot())
    assert {figure.outcome for figure in comparison.figures} == {"no_data"}


def test_runs_that_differ_in_load_or_validity_carry_a_caveat() -> None:
    before = Snapshot(run=RunInfo(users=5, scenario="a", invalid_because=("lost",)))
    comparison = compare(before, Snapshot(run=RunInfo(users=6, scenario="a", host="h")))
    assert comparison.caveats == ("users: 5 then, 6 now", "the baseline was not valid: lost")


def test_equal_samples_in_one_bucket_differ_in_nothing() -> None:
    same = frozen([1000] * 500)
    assert mann_whitney(same, same) == (0.0, 1.0)
    assert mann_whitney(same, frozen([])) == (0.0, 1.0)


def test_mann_whitney_agrees_with_the_textbook() -> None:
    """Pairs counted by hand: of 4 x 3 pairs, `after` is larger in 10 and equal in 1."""
    z, p_value = mann_whitney(frozen([1, 2, 3, 4]), frozen([3, 5, 6]))
    # u = 10.5, mean 6, variance 12/12 * (8 - 6/42)
    assert z == pytest.approx(4.5 / (8 - 6 / 42) ** 0.5)
    assert p_value == pytest.approx(0.10842, abs=1e-4)


@pytest.mark.parametrize(
    ("counts", "p_value"),
    [
        ((0, 10, 0, 10), 1.0),
        ((10, 10, 10, 10), 1.0),
        ((0, 5, 5, 5), 2 / 252),
        ((5, 5, 0, 5), 2 / 252),
        ((1, 10, 1, 10), 1.0),
        ((5000, 100_000, 5300, 100_000), 0.002404),
    ],
)
def test_two_proportions_give_the_chance_of_such_a_difference(
    counts: tuple[int, int, int, int], p_value: float
) -> None:
    assert two_proportions(*counts) == pytest.approx(p_value, rel=2e-3)
