"""When a measurement is not valid, and how that is said."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, strategies as st

from locust_ext.core.accounting.generators import MIN_ROWS_EACH, Generators
from locust_ext.core.accounting.histogram import Histogram
from locust_ext.core.accounting.validity import Limits, Spells, sentence
from locust_ext.model import Distribution, GeneratorPeriod


def lags(*milliseconds: float) -> Distribution:
    histogram = Histogram()
    for value in milliseconds:
        histogram.record(int(value * 1000))
    return histogram.freeze()


def second(start_s: float, *, lag_ms: float = 1.0, cpu_percent: float = 10.0, length_s: float = 1.0) -> GeneratorPeriod:
    return GeneratorPeriod(start_s, length_s, int(cpu_percent * 10_000 * length_s), lags(*[lag_ms] * 20))


@pytest.mark.parametrize(
    ("period", "is_over"),
    [
        (second(0), False),
        (second(0, lag_ms=49), False),
        (second(0, lag_ms=51), True),
        (second(0, cpu_percent=89), False),
        (second(0, cpu_percent=91), True),
        (second(0, cpu_percent=100, length_s=0.1), False),
        (GeneratorPeriod(0, 1, 0, lags(*[1] * 150, 500)), False),
        (GeneratorPeriod(0, 1, 0, lags(*[1] * 150, 500, 500)), True),
    ],
)
def test_a_second_is_over_its_limit_by_the_99th_percentile_of_the_lag_or_by_its_cpu(
    period: GeneratorPeriod, is_over: bool
) -> None:
    assert Limits().is_over(period) == is_over


@pytest.mark.parametrize(
    ("starts", "since_s", "expected"),
    [
        ([], 0, ()),
        ([10, 11, 12], 0, ()),
        ([10, 11, 12, 13], 0, ((10, 14),)),
        ([10, 11, 13, 14], 0, ()),
        ([10, 11, 12, 13, 20, 30, 31, 32, 33, 34], 0, ((10, 14), (30, 35))),
        ([10, 11, 12, 13, 14], 12, ()),
        ([10, 11, 12, 13, 14], 11, ((11, 15),)),
    ],
)
def test_more_than_three_seconds_on_end_are_not_tolerated(
    starts: list[float], since_s: float, expected: tuple[tuple[float, float], ...]
) -> None:
    spells = Spells()
    for start_s in starts:
        spells.add(start_s, start_s + 1)
    assert spells.intolerable(since_s) == expected


@given(st.sets(st.integers(0, 60)), st.randoms(use_true_random=False))
def test_the_order_of_seconds_does_not_matter(starts: set[int], chance: random.Random) -> None:
    in_order, shuffled = Spells(), Spells()
    for start in sorted(starts):
        in_order.add(start, start + 1)
    mixed = sorted(starts)
    chance.shuffle(mixed)
    for start in mixed:
        shuffled.add(start, start + 1)
    assert shuffled.intolerable() == in_order.intolerable()


NOON = 12 * 3600.0


@pytest.mark.parametrize(
    ("worker", "spells", "text"),
    [
        ("3", [(70.2, 100.9)], "the generator was the bottleneck in worker 3 from 12:01:10 to 12:01:40"),
        ("", [(0, 4)], "the generator was the bottleneck from 12:00:00 to 12:00:04"),
        (
            "",
            [(0, 4), (10, 15)],
            "the generator was the bottleneck from 12:00:00 to 12:00:04 and from 12:00:10 to 12:00:15",
        ),
        (
            "0",
            [(0, 4), (10, 15), (20, 30), (40, 50)],
            "the generator was the bottleneck in worker 0 from 12:00:00 to 12:00:04, from 12:00:10 to 12:00:15 "
            "and 2 more times until 12:00:50",
        ),
        ("", [(12 * 3600 - 2, 12 * 3600 + 5)], "the generator was the bottleneck from 23:59:58 to 00:00:05"),
    ],
)
def test_it_is_said_with_times_of_day(worker: str, spells: list[tuple[float, float]], text: str) -> None:
    assert sentence(worker, spells, NOON) == text


def test_figures_of_a_process_add_up_over_its_seconds() -> None:
    generators = Generators()
    generators.add("b", (second(0, cpu_percent=20), second(1, cpu_percent=40, lag_ms=60)))
    generators.add("a", (second(0, cpu_percent=100, length_s=0.01),))
    generators.add("c", ())
    b, a = generators.stats({"b": "2", "a": "10"}, 0.0)
    assert (b.worker, a.worker) == ("2", "10")
    assert b.cpu_percent == pytest.approx(30)
    assert (b.cpu_max_percent, a.cpu_max_percent) == (40, 0)
    assert (b.lag.count, b.lag.max_us) == (40, 60_000)
    assert [row.over_limit for row in b.rows] == [False, True]
    assert b.rows[1].lag_p99_us == 60_000


def test_rows_are_bounded_and_joined_rows_keep_their_extremes_and_the_cpus_average() -> None:
    generators = Generators()
    many = 500
    for worker in range(many):
        generators.add(str(worker), (second(0),))
    for start_s in range(1, 300):
        generators.add(
            "7", (second(start_s, cpu_percent=90 if start_s % 2 else 10, lag_ms=70 if start_s == 33 else 1),)
        )
    stats = next(each for each in generators.stats({}, 0.0) if each.worker == "7")
    assert len(stats.rows) == MIN_ROWS_EACH
    assert sum(row.length_s for row in stats.rows) == pytest.approx(300)
    assert [row.start_s for row in stats.rows] == sorted(row.start_s for row in stats.rows)
    assert max(row.lag_max_us or 0 for row in stats.rows) == 70_000
    used = sum(row.cpu_percent * row.length_s for row in stats.rows)
    assert used == pytest.approx(stats.cpu_percent * 300)
