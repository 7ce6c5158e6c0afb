"""Percentiles of several distributions, against those of the model's own merge."""

from __future__ import annotations

from hypothesis import given, settings, strategies as st

from locust_ext.core.alerts.percentiles import Percentiles
from locust_ext.model import EMPTY, LARGEST_US
from tests.core.alerts.examples import times

SAMPLES = st.lists(st.integers(0, LARGEST_US + 5), min_size=1, max_size=30)


@settings(deadline=None)
@given(st.lists(SAMPLES, max_size=4), st.lists(st.floats(0, 100), max_size=5))
def test_they_are_those_of_the_merged_distribution(parts: list[list[int]], qs: list[float]) -> None:
    distributions = [times(*samples) for samples in parts]
    merged = EMPTY.plus(*distributions).percentiles_us(qs)
    assert [Percentiles(distributions).us(q) for q in qs] == merged


def test_a_thousand_samples_have_their_last_but_one_at_999_per_mille() -> None:
    percentiles = Percentiles([times(*[5] * 998), times(90, 200)])
    assert [percentiles.us(q) for q in (99.9, 99.91)] == [90, 200]
