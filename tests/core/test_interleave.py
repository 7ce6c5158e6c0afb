"""`core.interleave`: names in their shares, as evenly spread as can be."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, strategies as st

from locust_ext.core.interleave import Interleaved


def first(sequence: Interleaved, count: int) -> list[str]:
    return [sequence[place] for place in range(count)]


def test_names_take_turns_by_their_shares() -> None:
    """Ties go to the name that was given first."""
    assert first(Interleaved({"a": 1, "b": 1}), 6) == ["a", "b"] * 3
    assert first(Interleaved({"a": 2, "b": 1}), 6) == ["a", "b", "a", "a", "b", "a"]
    assert first(Interleaved({"a": 0.2, "b": 0.5, "c": 0.2, "d": 0.1}), 6) == ["b", "a", "c", "b", "b", "d"]


def test_a_share_of_0_gets_no_place() -> None:
    """The others need not add up to 1."""
    assert set(first(Interleaved({"a": 0, "b": 3, "c": 9}), 100)) == {"b", "c"}


@pytest.mark.parametrize("shares", [{}, {"a": 0}, {"a": 0.0, "b": 0}])
def test_nobody_to_choose_from_is_an_error(shares: dict[str, float]) -> None:
    """Said at once."""
    with pytest.raises(ValueError, match="expected at least one share above 0"):
        Interleaved(shares)


def test_places_may_be_asked_for_in_any_order() -> None:
    """Each is what it is, however one came to it."""
    shares = {"a": 0.3, "b": 0.7}
    jumped = Interleaved(shares)
    assert jumped[999] == first(Interleaved(shares), 1000)[999]
    assert first(jumped, 1000) == first(Interleaved(shares), 1000)


@given(
    st.dictionaries(st.text(max_size=3), st.floats(0.01, 100.0), min_size=1, max_size=6),
    st.integers(min_value=1, max_value=300),
)
def test_no_name_ever_gets_a_whole_place_more_than_its_share(shares: dict[str, float], count: int) -> None:
    """The upper quota; and over all names nothing is lost."""
    sequence = Interleaved(shares)
    total = sum(shares.values())
    found = Counter(first(sequence, count))
    assert sum(found.values()) == count
    for name, share in shares.items():
        assert found[name] < share / total * count + 1 + 1e-9


@given(st.lists(st.integers(1, 9), min_size=2, max_size=4))
def test_a_whole_round_has_exactly_the_shares(weights: list[int]) -> None:
    """After as many places as the weights add up to."""
    shares = {str(number): weight for number, weight in enumerate(weights)}
    assert Counter(first(Interleaved(shares), sum(weights))) == Counter(shares)
