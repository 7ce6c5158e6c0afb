from __future__ import annotations

import random
from bisect import bisect
from collections import Counter

import pytest
from hypothesis import given, strategies as st

from locust_ext.core.messages.payload import sizer, text
from locust_ext.core.messages.weights import bounds
from locust_ext.errors import ConfigError


@given(size=st.integers(0, 100_000), seed=st.integers())
def test_text_has_exactly_the_size_asked_for(size: int, seed: int) -> None:
    made = text(random.Random(seed), size)
    assert len(made.encode()) == size


@given(low=st.integers(0, 1000), spread=st.integers(0, 1000), seed=st.integers())
def test_sizes_stay_in_their_range(low: int, spread: int, seed: int) -> None:
    assert low <= sizer("n", (low, low + spread))(random.Random(seed)) <= low + spread


def test_a_callables_sizes_are_cut_to_the_limit_and_to_0() -> None:
    rng = random.Random(1)
    assert sizer("n", lambda rng: 10**9, limit=5)(rng) == 5
    assert sizer("n", lambda rng: -3)(rng) == 0


@given(weights=st.lists(st.floats(0, 1e6), min_size=1, max_size=10).filter(lambda weights: sum(weights) > 0))
def test_a_weight_of_0_is_never_chosen(weights: list[float]) -> None:
    steps = bounds(weights)
    for draw in (0.0, 0.25, 0.5, 0.999, 1 - 2**-53, *(step for step in steps if step < 1)):
        assert weights[bisect(steps, draw)] > 0


def test_weights_are_kept() -> None:
    rng, steps = random.Random(1), bounds([1, 0, 3, 0])
    counted = Counter(bisect(steps, rng.random()) for _ in range(10_000))
    assert set(counted) == {0, 2}
    assert 0.73 < counted[2] / 10_000 < 0.77


def test_no_weight_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected at least one weight above 0"):
        bounds([0, 0])
