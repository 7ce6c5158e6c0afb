"""What a push shares with the send that caused it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from locust_ext.core.marker import MARKER, marker
from locust_ext.core.protocols.ties import FanOut, KeyedFanOut, as_fan_out, filled, key_and_value

MADE = marker("abc123", 123_456, "p0q1")
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=5,
)


@given(values, st.text())
def test_a_marker_is_filled_in_wherever_it_stands_and_found_again(value: Any, text: str) -> None:
    """The message itself stays as it was: a generator may give the same object again."""
    text = text.replace("~", "")
    for message in ({"a": value, "b": [1, {"c": f"{text}{MARKER}"}]}, [MARKER, value], MARKER + text):
        before = repr(message)
        made = filled(message, MADE)
        assert repr(message) == before
        assert made == json.loads(json.dumps(message).replace(MARKER, MADE))
        assert FanOut("e").tie(json.dumps(["e", made]), None) == MADE
    assert filled((MARKER, 1), MADE) == (MADE, 1)
    assert filled(MARKER.encode() + b"\xff", MADE) == MADE.encode() + b"\xff"


@given(values)
def test_a_message_without_one_is_handed_on_as_it_is(value: Any) -> None:
    if MARKER not in repr(value):
        assert filled(value, MADE) is value


@pytest.mark.parametrize("payload", ["", "{}", b"\x00~", "a ~ b", "~lx", json.dumps({"v": MARKER}), MARKER.encode()])
def test_a_push_without_a_marker_of_somebody_is_tied_to_nothing(payload: str | bytes) -> None:
    assert FanOut("e").tie(payload, {}) is None


@given(values, values)
def test_key_and_value_are_a_tie_that_is_equal_where_they_are(key: Any, value: Any) -> None:
    """Also after a trip through JSON; True is not 1."""
    again = json.loads(json.dumps([key, value]))
    pushed = ("context_updated", [{"who": "w", "value": again[1], "key": again[0]}])
    rule = KeyedFanOut("context_updated")
    assert rule.tie("no marker", pushed) == key_and_value(key, value)
    assert hash(key_and_value(key, value)) == hash(key_and_value(*again))
    assert key_and_value(key, [value]) != key_and_value(key, value)
    assert key_and_value("k", True) != key_and_value("k", 1)


@pytest.mark.parametrize("args", [[], [5], [[]], [{"key": "k"}], [{"value": 1}]])
def test_a_push_without_key_and_value_is_tied_to_nothing(args: list[Any]) -> None:
    assert KeyedFanOut("e").tie("", ("e", args)) is None


def test_a_marker_wins_over_key_and_value() -> None:
    args = [{"key": "k", "value": MADE}]
    assert KeyedFanOut("e").tie(json.dumps(args), ("e", args)) == MADE


def test_the_name_of_an_event_is_short_for_the_rule() -> None:
    rule = FanOut("news", to_sender=False)
    assert as_fan_out(rule) is rule
    assert as_fan_out(None) is None
    short = as_fan_out("news")
    assert short is not None
    assert (short.event, short.to_sender) == ("news", True)
    assert repr(rule) == "FanOut('news', to_sender=False)"
