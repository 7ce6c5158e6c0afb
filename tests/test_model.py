"""The bucket layout, percentiles, and what a Snapshot derives from its parts."""

from __future__ import annotations

import random

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, strategies as st

from locust_ext.core.accounting.histogram import Histogram
from locust_ext.model import (
    BUCKETS,
    EMPTY,
    LARGEST_US,
    Distribution,
    OperationStats,
    PushStats,
    RunInfo,
    Snapshot,
    bucket_bounds_us,
    bucket_of,
)

latencies = st.integers(0, 2 * LARGEST_US)


def frozen(samples: list[int]) -> Distribution:
    histogram = Histogram()
    for sample in samples:
        histogram.record(sample)
    return histogram.freeze()


def nearest_rank(samples: list[int], q: float) -> int:
    ordered = sorted(samples)
    rank = -(-round(q * 1000) * len(ordered) // 100_000)
    return ordered[max(rank, 1) - 1]


def test_every_microsecond_below_256_has_its_own_bucket() -> None:
    assert [bucket_of(value) for value in range(256)] == list(range(256))
    assert bucket_bounds_us(255) == (255, 255)
    assert bucket_bounds_us(256) == (256, 257)


def test_the_buckets_follow_one_another_without_gap_or_overlap_up_to_an_hour() -> None:
    expected_low = 0
    for bucket in range(BUCKETS):
        low, high = bucket_bounds_us(bucket)
        assert low == expected_low
        assert bucket_of(low) == bucket_of(min(high, LARGEST_US)) == bucket
        assert high - low + 1 <= max(1, low / 128)
        expected_low = high + 1
    assert bucket_of(LARGEST_US) == bucket_of(10 * LARGEST_US) == BUCKETS - 1


@given(st.lists(latencies, min_size=1, max_size=300), st.integers(0, 1000).map(lambda tenths: tenths / 10))
def test_a_percentile_is_within_half_a_per_cent_of_the_sorted_list(samples: list[int], q: float) -> None:
    exact = nearest_rank(samples, q)
    found = frozen(samples).percentile_us(q)
    assert found is not None
    if exact <= LARGEST_US:
        assert abs(found - exact) <= max(0.005 * exact, 0)
    assert min(samples) <= found <= max(samples)


def test_percentiles_agree_with_hdrhistogram_within_its_resolution_and_ours() -> None:
    rng = random.Random(4)
    oracle = HdrHistogram(1, LARGEST_US, 3)
    samples = [int(rng.lognormvariate(9, 1.5)) + 1 for _ in range(20_000)]
    for sample in samples:
        oracle.record_value(sample)
    ours = frozen(samples)
    for q in (1, 10, 50, 75, 90, 95, 99, 99.9, 99.99, 100):
        assert ours.percentile_us(q) == pytest.approx(oracle.get_value_at_percentile(q), rel=0.005)


def test_the_rank_of_a_round_share_is_not_pushed_up_by_floating_point() -> None:
    assert frozen(list(range(100, 1100)))._value_us(0, 1) == 100
    # Rank 999 of 1000, whose sample is 200; rank 1000 would give 255.
    assert frozen([100] * 998 + [200, 255]).percentile_us(99.9) == 200


def test_several_percentiles_at_once_are_those_asked_for_one_by_one() -> None:
    distribution = frozen([5, 7, 900, 40_000, 41_000])
    qs = (99.9, 50, 0, 100, 50)
    assert (
        distribution.percentiles_us(qs) == [distribution.percentile_us(q) for q in qs] == [41_000, 902, 5, 41_000, 902]
    )


def test_nothing_is_made_up_for_a_distribution_without_samples() -> None:
    assert EMPTY.percentile_us(50) is None
    assert EMPTY.average_us is None
    assert (EMPTY.min_us, EMPTY.max_us) == (None, None)
    assert EMPTY.plus(EMPTY) is EMPTY


@pytest.mark.parametrize("q", [-1, 100.1, float("nan")])
def test_a_percentile_outside_0_to_100_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 100"):
        EMPTY.percentile_us(q)


@given(st.lists(latencies, max_size=100), st.lists(latencies, max_size=100), st.lists(latencies, max_size=100))
def test_plus_is_what_one_histogram_of_all_samples_holds(a: list[int], b: list[int], c: list[int]) -> None:
    assert frozen(a).plus(frozen(b), frozen(c)) == frozen(a + b + c)
    assert frozen(c).plus(frozen(a).plus(frozen(b))) == frozen(a + b + c)


@given(st.lists(latencies, max_size=100), st.lists(latencies, max_size=100))
def test_minus_leaves_what_came_later_with_bounds_a_bucket_wide(earlier: list[int], later: list[int]) -> None:
    left = frozen(earlier + later).minus(frozen(earlier))
    exact = frozen(later)
    assert (left.count, left.sum_us, dict(left.buckets)) == (exact.count, exact.sum_us, dict(exact.buckets))
    if later:
        assert left.min_us is not None
        assert left.max_us is not None
        assert left.min_us <= min(later)
        assert left.max_us >= max(later)
        if max(earlier + later) <= LARGEST_US:
            assert left.max_us <= max(later) * 1.008
            assert min(later) <= left.min_us * 1.008
    else:
        assert left is EMPTY


def test_minus_refuses_what_was_not_an_earlier_state() -> None:
    with pytest.raises(ValueError, match="earlier state"):
        frozen([5]).minus(frozen([6]))


@given(st.lists(latencies, max_size=200))
def test_the_text_form_gives_the_same_distribution_back(samples: list[int]) -> None:
    text = frozen(samples).to_text()
    assert Distribution.from_text(text) == frozen(samples)
    assert text.isascii()


def test_the_text_form_is_this() -> None:
    assert frozen([3, 5, 5, 300]).to_text() == "1;313;3;300;3,2*2,273"
    assert EMPTY.to_text() == "1;0;;;"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "2;0;;;",
        "1;5;5;5;",  # numbers without a bucket: read as empty would lose them
        "1;5;5;5;5*0",
        "1;5;5;5;5*-1",
        "1;5;5;5;6",
        "1;5;5;5;5,0",
        "1;50;5;5;5",
        "1;x;5;5;5",
        "1;5;5;5;5;6",
        "1;10;5;5;99999999999",
        "1;0;0;0;0*" + "9" * 10_000,
        "1;0;0;0;" + "1," * 100_000,
        "1;5;5;5;٥",
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not the text of a histogram"):
        Distribution.from_text(text)


def test_a_ledger_balances_by_construction() -> None:
    stats = OperationStats("WS", "q", ok=5, failed=1, timed_out=2, lost=3, cancelled=4, in_flight=6)
    assert (stats.started, stats.finished, stats.failures) == (21, 11, 6)
    assert stats.error_rate == 6 / 11
    assert OperationStats("WS", "q", cancelled=4).error_rate is None


def snapshot() -> Snapshot:
    return Snapshot(
        run=RunInfo(id="r"),
        operations=(
            OperationStats("CONNECT", "/ws", ok=8, failed=2, errors={"refused": 2}),
            OperationStats("DROP", "/ws", lost=1, errors={"reset": 1}),
            OperationStats("GET", "/", ok=10, latency=frozen([1_000_000])),
            OperationStats("PUSH", "news", failed=5, errors={"unknown": 5}),
            OperationStats("SEND", "event", ok=50),
            OperationStats("SIO", "set", ok=2, latency=frozen([10, 30])),
            OperationStats(
                "WS", "ping", ok=3, timed_out=2, cancelled=7, latency=frozen([20, 20, 40]), errors={"timeout": 2}
            ),
        ),
        pushes=(PushStats("a", received=3), PushStats("b", received=4)),
    )


def test_the_error_rate_leaves_pushes_and_cancelled_operations_out() -> None:
    assert (snapshot().finished, snapshot().failures) == (78, 5)
    assert snapshot().error_rate == 5 / 78
    assert Snapshot().error_rate is None


def test_errors_by_class_come_most_frequent_first_without_pushes() -> None:
    assert list(snapshot().errors_by_class.items()) == [("refused", 2), ("timeout", 2), ("reset", 1)]


def test_latency_is_that_of_round_trips_only() -> None:
    assert snapshot().latency == frozen([10, 30, 20, 20, 40])


def test_connections_follow_from_the_operations_that_open_and_drop_them() -> None:
    assert (snapshot().connects, snapshot().connects_ok, snapshot().dropped) == (10, 8, 1)
    assert snapshot().pushes_received == 7


@pytest.mark.parametrize(
    ("push", "reach"),
    [
        (PushStats("e", 5), None),
        (PushStats("e", 5, expected=10, reached=9), 0.9),
        (PushStats("e", 0, expected=10), 0.0),
    ],
)
def test_reach_is_known_only_where_the_receivers_are(push: PushStats, reach: float | None) -> None:
    assert push.reach == reach
