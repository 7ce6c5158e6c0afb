"""Which part of a run a rule looks at."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings, strategies as st

from locust_ext.core.alerts.where import Where, matches
from locust_ext.model import OperationStats, PushStats


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("query", "query", True),
        ("query", "queries", False),
        ("/a/*", "/a/1", True),
        ("*", "", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("/x?[1]*", "/x?[1]y", True),
        ("/x?[1]", "/xy1", False),
        ("a*b*c", "axxbxxc", True),
        ("a*b*c", "axxcxxb", False),
    ],
)
def test_a_star_stands_for_any_text_and_all_else_for_itself(pattern: str, text: str, expected: bool) -> None:
    assert matches(pattern, text) is expected


@settings(deadline=None)
@given(st.text("ab*", max_size=8), st.text("ab", max_size=12))
def test_patterns_match_what_the_same_regular_expression_matches(pattern: str, text: str) -> None:
    assert matches(pattern, text) is bool(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text))


def test_an_operation_has_all_the_tags_in_any_order() -> None:
    operation = OperationStats("WS", "query", ("eu", "beta"))
    assert Where(tags=frozenset({"beta", "eu"})).covers(operation)
    assert Where(tags=frozenset({"beta"})).covers(operation)
    assert not Where(tags=frozenset({"beta", "us"})).covers(operation)


def test_the_failures_are_those_of_the_class() -> None:
    operation = OperationStats("GET", "/", failed=6, timed_out=1, errors={"http_500": 2, "http_503": 4, "timeout": 1})
    counts = [Where(error_class=each).failures(operation) for each in (None, "timeout", "http_5*", "reset")]
    assert counts == [7, 1, 6, 0]


def test_a_push_is_chosen_by_its_event() -> None:
    assert Where(name="news*").covers_push(PushStats("newsletter"))
    assert not Where(name="news").covers_push(PushStats("newsletter"))


def test_its_text_says_what_is_narrowed() -> None:
    where = Where(("WS", "SIO"), "query", frozenset({"eu", "beta"}), "timeout", "3")
    assert where.text == "WS/SIO query [beta] [eu] class timeout"
    assert Where(worker="*").text == ""
    assert Where(types=("WS",)).is_narrow
    assert not Where(error_class="timeout", worker="3").is_narrow
