"""Limits and values as text with their units."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings, strategies as st

from locust_ext.core.alerts.units import UNITS, Limit, limit_of, parse_duration_s, parse_limit, value_text
from locust_ext.errors import ConfigError


@pytest.mark.parametrize(
    ("given", "unit", "expected"),
    [
        ("> 200ms", "ms", Limit(">", 200.0, "> 200 ms")),
        ("1.5 s", "ms", Limit(">", 1500.0, "> 1.5 s")),
        (">=500us", "ms", Limit(">=", 0.5, ">= 500 us")),
        ("2min", "ms", Limit(">", 120_000.0, "> 2 min")),
        (">= 0.5 %", "share", Limit(">=", 0.005, ">= 0.5 %")),
        (0.05, "share", Limit(">", 0.05, "> 0.05")),
        ("0.9 ratio", "share", Limit(">", 0.9, "> 0.9 ratio")),
        (70, "%", Limit(">", 70.0, "> 70 %")),
        ("70 %", "%", Limit(">", 70.0, "> 70 %")),
        ("> 1.5 GiB", "B", Limit(">", 1.5 * 2**30, "> 1.5 GiB")),
        ("500MB", "B", Limit(">", 5e8, "> 500 MB")),
        ("10 KiB/s", "B/s", Limit(">", 10_240.0, "> 10 KiB/s")),
        ("< 1/s", "/s", Limit("<", 1.0, "< 1/s")),
        ("<= 120/min", "/s", Limit("<=", 2.0, "<= 120/min")),
        ("> 1e3", "", Limit(">", 1000.0, "> 1e3")),
        (".5", "", Limit(">", 0.5, "> .5")),
        ("> 0", "ms", Limit(">", 0.0, "> 0")),
    ],
)
def test_a_limit_is_read_into_the_metrics_unit_and_keeps_its_text(given: object, unit: str, expected: Limit) -> None:
    read = parse_limit(given, unit)
    assert (read.operator, read.text) == (expected.operator, expected.text)
    assert read.value == pytest.approx(expected.value)


def test_the_operator_that_is_not_written_is_the_default() -> None:
    assert parse_limit("5", "", default="<").text == "< 5"
    assert parse_limit("> 5", "", default="<").text == "> 5"


@pytest.mark.parametrize(
    ("given", "unit", "message"),
    [
        ("200", "ms", "expected a limit such as > 200ms (us, ms, s, min) (got '200')"),
        (200, "ms", "expected a limit such as > 200ms (us, ms, s, min) (got 200)"),
        (
            "> 5 MiBs",
            "B",
            "expected a limit such as > 500MB (B, KB, MB, GB, KiB, MiB, GiB) (got '> 5 MiBs'); did you mean '5MiB'?",
        ),
        ("> 200 ms", "/s", "expected a limit such as < 1/s (/s, /min, /h) (got '> 200 ms')"),
        ("> fast", "ms", "expected a limit such as > 200ms (us, ms, s, min) (got '> fast')"),
        ("=> 1", "", "expected a limit such as > 1000 (got '=> 1')"),
        ("1 2", "", "expected a limit such as > 1000 (got '1 2')"),
        (True, "", "expected a limit such as > 1000 (got True)"),
        ([1], "", "expected a limit such as > 1000 (got [1])"),
        (math.inf, "", "expected a limit such as > 1000 (got inf)"),
        (math.nan, "", "expected a limit such as > 1000 (got nan)"),
        ("1e999", "", "expected a limit such as > 1000 (got '1e999')"),
        ("", "", "expected a limit such as > 1000 (got '')"),
        (
            "500mb",
            "B",
            "expected a limit such as > 500MB (B, KB, MB, GB, KiB, MiB, GiB) (got '500mb'); did you mean '500MB'?",
        ),
        ("2 S", "ms", "expected a limit such as > 200ms (us, ms, s, min) (got '2 S'); did you mean '2s'?"),
    ],
)
def test_what_is_no_limit_of_the_unit_is_refused_with_an_example(given: object, unit: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_limit(given, unit)
    assert str(caught.value) == message


def test_a_share_over_one_is_refused_where_it_cannot_be() -> None:
    with pytest.raises(ConfigError, match=r"at most 100 %; five per cent is 5 % or 0.05 \(got 5\)"):
        parse_limit(5, "share", at_most=1.0)
    assert parse_limit("150 %", "share").value == 1.5


NEVER, ALWAYS = "expected a limit that some value breaks: none is ", "expected a limit that some value keeps: none is "


@pytest.mark.parametrize(
    ("given", "unit", "told"),
    [
        (1, "share", NEVER + "above 100 % (>= 100 % is that alone); five per cent is 5 % or 0.05 (got 1)"),
        (
            "> 100%",
            "share",
            NEVER + "above 100 % (>= 100 % is that alone); five per cent is 5 % or 0.05 (got '> 100%')",
        ),
        ("<= 100 %", "share", ALWAYS + "above 100 % (got '<= 100 %')"),
        ("< 0", "share", NEVER + "below 0 % (<= 0 % is that alone) (got '< 0')"),
        ("<= -1", "", NEVER + "below 0 (got '<= -1')"),
        ("< 0/s", "/s", NEVER + "below 0/s (<= 0/s is that alone) (got '< 0/s')"),
        ("> -5 ms", "ms", ALWAYS + "below 0 ms (got '> -5 ms')"),
        (">= 0 MB", "B", ALWAYS + "below 0 B (got '>= 0 MB')"),
    ],
)
def test_a_limit_that_can_never_or_must_always_be_broken_is_refused(given: object, unit: str, told: str) -> None:
    at_most = 1.0 if unit == "share" else None
    with pytest.raises(ConfigError) as caught:
        parse_limit(given, unit, at_most=at_most, at_least=0.0)
    assert str(caught.value) == told


@pytest.mark.parametrize("given", ["> 0", "<= 0", ">= 100 %", "< 100 %", "> 99.9 %", "< 0.1 %"])
def test_a_limit_at_an_end_of_what_can_be_is_one(given: str) -> None:
    assert parse_limit(given, "share", at_most=1.0, at_least=0.0).operator == given.split()[0]


def test_what_may_be_negative_has_negative_limits() -> None:
    assert parse_limit("< -5", "").value == -5
    with pytest.raises(ConfigError, match="none is below 0"):
        limit_of(-5.0, "", "<", at_least=0.0)


@settings(deadline=None)
@given(
    st.sampled_from(sorted(UNITS)),
    st.sampled_from([">", ">=", "<", "<="]),
    st.floats(0, 1e9, allow_nan=False),
    st.data(),
)
def test_a_limits_text_reads_back_as_the_same_limit(
    unit: str, operator: str, number: float, data: st.DataObject
) -> None:
    spelling = data.draw(st.sampled_from(sorted(UNITS[unit])))
    read = parse_limit(f"{operator}{number!r} {spelling}", unit)
    assert parse_limit(read.text, unit) == read


@pytest.mark.parametrize(
    ("text", "breaks", "keeps"),
    [("> 5", 5.1, 5.0), (">= 5", 5.0, 4.9), ("< 5", 4.9, 5.0), ("<= 5", 5.0, 5.1)],
)
def test_a_limit_is_broken_beyond_it(text: str, breaks: float, keeps: float) -> None:
    limit = parse_limit(text, "")
    assert limit.is_broken_by(breaks)
    assert not limit.is_broken_by(keeps)


@pytest.mark.parametrize(
    ("text", "cleared", "within"),
    [("> 100", 95.0, 95.1), ("< 100", 105.0, 104.9), ("> 0", 0.0, 0.1), (">= 100", 95.0, 99.0)],
)
def test_a_value_clears_a_limit_by_a_share_of_it(text: str, cleared: float, within: float) -> None:
    limit = parse_limit(text, "")
    assert limit.is_cleared_by(cleared, 0.05)
    assert not limit.is_cleared_by(within, 0.05)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (812.4, "ms", "812 ms"),
        (1.2345, "ms", "1.23 ms"),
        (12_345.6, "ms", "12,346 ms"),
        (0.0, "ms", "0 ms"),
        (0.00012345, "", "0.000123"),
        (0.0523, "share", "5.23 %"),
        (71.25, "%", "71.2 %"),
        (999.6, "B", "1 KB"),
        (523.4e6, "B", "523 MB"),
        (1.5e9, "B/s", "1.5 GB/s"),
        (5e15, "B", "5,000 TB"),
        (1.5, "/s", "1.5/s"),
        (12_000, "", "12,000"),
        (100.0, "", "100"),
    ],
)
def test_a_value_is_told_to_three_significant_digits(value: float, unit: str, text: str) -> None:
    assert value_text(value, unit) == text


def test_a_limit_from_a_number_is_in_the_metrics_unit() -> None:
    assert limit_of(0.05, "share", "<", at_most=1.0) == Limit("<", 0.05, "< 5 %")
    for wrong in (math.nan, math.inf, True):
        with pytest.raises(ConfigError, match="a finite number in the metric's unit"):
            limit_of(wrong, "", ">")
    with pytest.raises(ConfigError, match="a finite number"):
        limit_of(1.5, "share", ">", at_most=1.0)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("10s", 10), ("1m", 60), ("1.5 min", 90), ("500ms", 0.5), ("1h", 3600), (7, 7), ("0.25", 0.25)],
)
def test_a_time_is_read_as_seconds(given: object, seconds: float) -> None:
    assert parse_duration_s(given) == seconds


@pytest.mark.parametrize("given", ["", "fast", "10 years", "-1s", -1, True, None, math.nan, math.inf, [1]])
def test_what_is_no_time_is_refused(given: object) -> None:
    with pytest.raises(ConfigError, match="expected a time such as 10s, 1m or a number of seconds"):
        parse_duration_s(given)
