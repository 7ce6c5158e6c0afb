"""The mutable histogram: copies on write, merges, subtracts."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from locust_ext.core.accounting import Histogram
from locust_ext.model import LARGEST_US, bucket_of

samples = st.lists(st.integers(0, 2 * LARGEST_US), max_size=60)


def filled(values: list[int]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram


@given(samples)
def test_it_counts_into_the_buckets_of_the_model_and_keeps_the_rest_exact(values: list[int]) -> None:
    frozen = filled(values).freeze()
    expected: dict[int, int] = {}
    for value in values:
        expected[bucket_of(value)] = expected.get(bucket_of(value), 0) + 1
    assert dict(frozen.buckets) == expected
    assert (frozen.count, frozen.sum_us) == (len(values), sum(values))
    assert (frozen.min_us, frozen.max_us) == (min(values, default=None), max(values, default=None))


def test_a_negative_latency_counts_as_zero() -> None:
    assert filled([-5]).freeze() == filled([0]).freeze()


@given(samples, samples)
def test_what_was_frozen_does_not_change_when_more_is_recorded_or_merged(before: list[int], after: list[int]) -> None:
    histogram = filled(before)
    frozen = histogram.freeze()
    expected = filled(before).freeze()
    for value in after:
        histogram.record(value)
    histogram.merge(filled(after).freeze())
    assert frozen == expected
    assert histogram.freeze() == filled(before + after + after).freeze()


@given(samples, samples)
def test_merging_does_not_change_what_was_merged(a: list[int], b: list[int]) -> None:
    total, part = Histogram(), filled(a).freeze()
    total.merge(part)
    total.merge(filled(b).freeze())
    assert part == filled(a).freeze()
    assert total.freeze() == filled(a + b).freeze()


@given(st.lists(samples, max_size=6))
def test_subtracting_the_oldest_period_leaves_the_others(periods: list[list[int]]) -> None:
    window = Histogram()
    for period in periods:
        window.merge(filled(period).freeze())
    for number, period in enumerate(periods):
        window.subtract(filled(period).freeze())
        left = window.freeze()
        exact = filled([value for later in periods[number + 1 :] for value in later]).freeze()
        assert (left.count, left.sum_us, dict(left.buckets)) == (exact.count, exact.sum_us, dict(exact.buckets))
        if exact.min_us is not None and left.min_us is not None:
            assert left.min_us <= exact.min_us
            assert exact.min_us <= left.min_us * 1.008 or exact.min_us > LARGEST_US


def test_subtracting_what_was_never_merged_is_refused_and_changes_nothing() -> None:
    histogram = filled([5, 6])
    with pytest.raises(ValueError, match="never merged"):
        histogram.subtract(filled([5, 7]).freeze())
    assert histogram.freeze() == filled([5, 6]).freeze()
