"""`outputs.metrics.bins`: samples between the edges of a classic histogram, beside what counting them one by one gives."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given, strategies as st

from locust_ext.core.accounting.histogram import Histogram
from locust_ext.outputs.metrics import DEFAULT_EDGES_S, Edges
from locust_ext.outputs.metrics.bins import Bins

EDGES = Edges()
SAMPLES_US = st.lists(st.integers(0, 100_000_000), max_size=60)


def binned(samples_us: list[int], edges: Edges = EDGES) -> Bins:
    histogram = Histogram()
    for sample_us in samples_us:
        histogram.record(sample_us)
    bins = Bins(edges)
    bins.add(histogram.freeze(), edges)
    return bins


def test_the_default_edges_reach_from_100_microseconds_to_a_minute() -> None:
    assert (DEFAULT_EDGES_S[0], DEFAULT_EDGES_S[-1], len(DEFAULT_EDGES_S)) == (0.0001, 60.0, 18)
    assert EDGES.texts[:3] == ("0.0001", "0.00025", "0.0005")
    assert EDGES.texts[-2:] == ("60.0", "+Inf")
    assert EDGES.series == 18 + 3


@given(SAMPLES_US)
def test_each_edge_has_the_samples_up_to_it_within_half_a_percent_and_count_and_sum_are_exact(
    samples_us: list[int],
) -> None:
    bins = binned(samples_us)
    below = [count for _, count in bins.cumulative(EDGES)]
    for edge_s, count in zip(DEFAULT_EDGES_S, below, strict=False):
        surely = sum(sample_us <= edge_s * 1e6 * 0.995 for sample_us in samples_us)
        perhaps = sum(sample_us <= edge_s * 1e6 * 1.005 for sample_us in samples_us)
        assert surely <= count <= perhaps
    assert below == sorted(below)
    assert (below[-1], bins.sum_us) == (len(samples_us), sum(samples_us))


@given(SAMPLES_US)
def test_edges_below_256_microseconds_are_exact(samples_us: list[int]) -> None:
    edges = Edges((0.0001, 0.00025))
    small_us = [sample_us % 300 for sample_us in samples_us]
    assert binned(small_us, edges).cumulative(edges) == [
        ("0.0001", sum(sample_us <= 100 for sample_us in small_us)),
        ("0.00025", sum(sample_us <= 250 for sample_us in small_us)),
        ("+Inf", len(small_us)),
    ]


@given(SAMPLES_US, SAMPLES_US)
def test_two_histograms_together_are_that_of_all_samples(first_us: list[int], second_us: list[int]) -> None:
    together = binned(first_us)
    together.merge(binned(second_us))
    whole = binned(first_us + second_us)
    assert (together.counts, together.sum_us) == (whole.counts, whole.sum_us)


@given(st.lists(st.integers(0, 100_000_000), min_size=1, max_size=60), st.sampled_from([50, 95, 99]))
def test_a_percentile_lies_in_the_bin_that_its_rank_falls_into_or_at_its_edge(samples_us: list[int], q: int) -> None:
    histogram = Histogram()
    for sample_us in samples_us:
        histogram.record(sample_us)
    value_us = histogram.freeze().percentile_us(q)
    assert value_us is not None
    counts = list(accumulate(binned(samples_us).counts))
    position = next(index for index, count in enumerate(counts) if count * 100 >= q * len(samples_us))
    low_s = DEFAULT_EDGES_S[position - 1] if position else 0.0
    high_s = DEFAULT_EDGES_S[position] if position < len(DEFAULT_EDGES_S) else float("inf")
    assert low_s * 0.995 <= value_us / 1e6 <= high_s * 1.005


@pytest.mark.parametrize("sample_us", [3_600_000_001, 10**12])
def test_what_takes_longer_than_an_hour_is_beyond_all_edges_and_keeps_its_sum(sample_us: int) -> None:
    bins = binned([sample_us])
    assert (bins.counts[-1], bins.sum_us) == (1, sample_us)
