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


def standing_still(from_s: float, to_s: float, piece_ms: int = 100, periods: int = 12) -> list[GeneratorPeriod]:
    """What a watch sees, moment by moment, of a loop that stands still from then to then, in pieces of this length."""
    found = []
    for start_s in range(periods):
        histogram = Histogram()
        for moment in range(40):
            at_s = start_s + moment / 40
            late_ms = piece_ms - (at_s - from_s) * 1000 % piece_ms if from_s <= at_s < to_s else 1
            histogram.record(int(late_ms * 1000))
        found.append(GeneratorPeriod(float(start_s), 1.0, 0, histogram.freeze()))
    return found


@pytest.mark.parametrize("piece_ms", [80, 100, 200, 350])
@pytest.mark.parametrize("begins", [2.0, 2.1, 2.25, 2.5, 2.75, 2.9])
@pytest.mark.parametrize(("lasted_s", "counts"), [(1.5, False), (2.6, False), (3.4, True), (5.0, True)])
def test_where_in_a_second_a_spell_begins_does_not_decide_whether_it_counts(
    begins: float, lasted_s: float, counts: bool, piece_ms: int
) -> None:
    generators = Generators()
    generators.add("w", tuple(standing_still(begins, begins + lasted_s, piece_ms)))
    spells = generators.bottlenecks(0.0).get("w", ())
    assert bool(spells) == counts
    for from_s, to_s in spells:
        assert from_s == pytest.approx(begins, abs=0.35)
        assert to_s == pytest.approx(begins + lasted_s, abs=0.35)


@pytest.mark.parametrize(("stood_s", "counts"), [(2.5, False), (2.9, False), (3.2, True), (4.0, True)])
def test_one_standstill_within_one_long_period_counts_by_itself_and_not_with_the_time_before_it(
    stood_s: float, counts: bool
) -> None:
    """The watch cannot report while the loop stands still: 0.9 s and then the standstill come as one period."""
    histogram = Histogram()
    for _ in range(36):
        histogram.record(1000)
    for moment in range(int(stood_s * 40)):
        histogram.record(int(stood_s * 1e6) - moment * 25_000)
    generators = Generators()
    generators.add("w", (GeneratorPeriod(5.0, 0.9 + stood_s, 0, histogram.freeze()), second(5.9 + stood_s)))
    spells = generators.bottlenecks(0.0).get("w", ())
    assert bool(spells) == counts
    for from_s, to_s in spells:
        assert from_s == pytest.approx(5.9, abs=0.1)
        assert to_s == pytest.approx(5.9 + stood_s)


def test_of_the_cpu_whole_periods_count_by_their_times() -> None:
    for lengths, counts in (((1.0, 1.0, 1.0), False), ((1.02, 1.01, 1.03), True), ((1.0, 1.0), False)):
        generators = Generators()
        start_s = 4.0
        for length_s in lengths:
            generators.add("w", (second(start_s, cpu_percent=99, length_s=length_s),))
            start_s += length_s
        found = [spell for spells in generators.bottlenecks(0.0).values() for spell in spells]
        assert found == ([pytest.approx((4.0, start_s))] if counts else [])


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
