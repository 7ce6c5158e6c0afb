"""Trends: regression with a test of significance that autocorrelated samples do not fool; Student's t by tables."""

from __future__ import annotations

import random
from math import exp, inf

import pytest

from locust_ext.core.accounting.student import incomplete_beta, student_p, student_quantile
from locust_ext.core.accounting.trends import ALPHA, averaged, fit, trend_of
from tests.core.accounting.memory import wandering


@pytest.mark.parametrize(
    ("degrees", "p", "t"),
    [
        (1, 0.05, 12.706),
        (2, 0.05, 4.303),
        (5, 0.001, 6.869),
        (10, 0.05, 2.228),
        (10, 0.01, 3.169),
        (30, 0.05, 2.042),
        (60, 0.001, 3.460),
        (120, 0.05, 1.980),
    ],
)
def test_students_t_is_that_of_the_published_tables(degrees: int, p: float, t: float) -> None:
    assert student_quantile(p, degrees) == pytest.approx(t, abs=6e-4)
    assert student_p(student_quantile(p, degrees), degrees) == pytest.approx(p, rel=1e-6)


def test_the_incomplete_beta_function_keeps_its_symmetry_and_its_known_values() -> None:
    assert incomplete_beta(0.0, 2, 3) == 0.0
    assert incomplete_beta(1.0, 2, 3) == 1.0
    assert incomplete_beta(0.5, 2, 2) == pytest.approx(0.5)
    assert incomplete_beta(0.3, 1, 1) == pytest.approx(0.3)
    assert incomplete_beta(0.2, 2, 3) == pytest.approx(1 - incomplete_beta(0.8, 3, 2))
    assert incomplete_beta(0.25, 2, 3) == pytest.approx(6 * 0.25**2 - 8 * 0.25**3 + 3 * 0.25**4)


def test_a_line_is_found_with_its_slope_and_nothing_left_over() -> None:
    line = fit([(float(at), 3.0 + 0.5 * at) for at in range(20)])
    assert (line.slope, line.error, line.r_squared, line.p_value) == (pytest.approx(0.5), 0.0, 1.0, 0.0)


def test_the_line_of_a_published_example_has_its_slope_error_and_p() -> None:
    # Anscombe's first set, in the order of x: slope 0.5001, R² 0.6665, residual sum of squares 13.763.
    points = [
        *[(4.0, 4.26), (5.0, 5.68), (6.0, 7.24), (7.0, 4.82), (8.0, 6.95), (9.0, 8.81)],
        *[(10.0, 8.04), (11.0, 8.33), (12.0, 10.84), (13.0, 7.58), (14.0, 9.96)],
    ]
    line = fit(points)
    assert line.slope == pytest.approx(0.50009, abs=1e-5)
    assert line.r_squared == pytest.approx(0.66654, abs=1e-5)
    assert line.residual == pytest.approx(13.7627, abs=1e-4)
    assert (line.alike, line.degrees) == (0.0, 9.0)  # their residuals alternate: nothing is taken off
    assert line.error == pytest.approx(0.11791, abs=1e-5)
    assert line.p_value == pytest.approx(0.00217, abs=1e-5)


def test_values_that_never_change_are_stable_and_few_are_too_little_data() -> None:
    still = trend_of("threads", [(float(at), 12.0) for at in range(60)])
    assert (still.verdict, still.slope_per_min, still.p_value) == ("stable", 0.0, 1.0)
    assert trend_of("threads", [(float(at), 1.0 * at) for at in range(9)]).verdict == "too little data"
    assert trend_of("threads", [(1.0, 1.0 * at) for at in range(20)]).verdict == "too little data"
    assert trend_of("threads", []).verdict == "too little data"


@pytest.mark.parametrize(("per_second", "verdict"), [(0.5, "increasing"), (-0.5, "decreasing"), (0.02, "stable")])
def test_a_slope_counts_if_it_is_sure_and_large_enough(per_second: float, verdict: str) -> None:
    rng = random.Random(1)
    trend = trend_of("cpu_percent", [(float(at), 40 + per_second * at + rng.gauss(0, 0.1)) for at in range(60)])
    assert trend.verdict == verdict
    assert trend.p_value is not None
    assert trend.p_value < ALPHA  # also that of the tiny slope, which is sure, but 3 % of the average
    assert trend.slope_per_min == pytest.approx(60 * per_second, abs=0.5)
    assert trend.slope_error_per_min is not None
    assert trend.slope_error_per_min < 1.0


def test_memory_that_grows_by_more_than_a_mebibyte_increases_however_large_it_is() -> None:
    points = [(float(at), 2e9 + 3e4 * at + (at % 3) * 1000) for at in range(60)]
    assert trend_of("memory_bytes", points).verdict == "increasing"
    assert trend_of("other_bytes", points).verdict == "stable"


def test_a_step_back_and_forth_is_no_trend() -> None:
    assert trend_of("threads", [(float(at), 10.0 + (20 <= at < 40)) for at in range(60)]).verdict == "stable"


@pytest.mark.parametrize("alike", [0.0, 0.5, 0.8, 0.9])
def test_noise_whose_samples_are_alike_is_hardly_ever_called_a_trend(alike: float) -> None:
    called = 0
    for seed in range(300):
        values = wandering(random.Random(seed), 60, alike, 10.0)
        called += (
            trend_of("cpu_percent", [(float(at), 40 + value) for at, value in enumerate(values)]).verdict != "stable"
        )
    assert called <= 9  # at 0.9 it is about one in a hundred; the test without the correction calls a hundred and more


def test_many_samples_become_averages_over_equal_times() -> None:
    points = [(at / 10, float(at)) for at in range(1001)]
    few = averaged(points, 10)
    assert len(few) == 10
    assert few[0] == (pytest.approx(4.95), pytest.approx(49.5))
    assert averaged(points[:10], 10) == points[:10]
    assert fit(few).slope == pytest.approx(10.0, rel=1e-3)


def test_points_at_one_time_have_no_slope() -> None:
    line = fit([(1.0, 2.0), (1.0, 3.0), (1.0, 4.0)])
    assert (line.slope, line.error, line.p_value) == (0.0, inf, 1.0)


def test_a_long_run_that_settles_is_still_told_by_its_own_average_slope() -> None:
    trend = trend_of("threads", [(float(at), 100 * (1 - exp(-at / 600))) for at in range(1200)])
    assert trend.r_squared is not None
    assert 0.8 < trend.r_squared < 1.0
