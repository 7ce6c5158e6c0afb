"""Prometheus' text format, as far as it was selected."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from locust_ext.errors import ConfigError
from locust_ext.runtime.monitor.pace import Pace
from locust_ext.runtime.monitor.prometheus_text import MAX_LINE_BYTES, MAX_SERIES, Scrape, selectors


def scrape(text: bytes, *selected: str, piece_bytes: int = 7) -> tuple[dict[str, float], Scrape]:
    found = Scrape(selectors(selected), Pace(0.01))
    for at in range(0, len(text), piece_bytes):
        found.feed(text[at : at + piece_bytes])
    return {selector.text: value for selector, value in found.values(lambda: None).items()}, found


def test_it_reads_what_the_official_client_writes_and_sums_the_series_of_a_name() -> None:
    registry = CollectorRegistry()
    requests = Counter("requests", "Answered.", ["route", "code"], registry=registry)
    requests.labels("/a", "200").inc(5)
    requests.labels('/"b\\\n', "200").inc(7)
    requests.labels("/a", "500").inc(2)
    Gauge("requests_open", "Now.", registry=registry).set(1.5)
    values, _ = scrape(
        generate_latest(registry),
        "requests_total",
        'requests_total{code="200"}',
        'requests_total{route="/\\"b\\\\\\n"}',
        'requests_total{code="404"}',
        "requests_open",
        "requests",
    )
    assert values == {
        "requests_total": 14,
        'requests_total{code="200"}': 12,
        'requests_total{route="/\\"b\\\\\\n"}': 7,
        "requests_open": 1.5,
    }


def test_a_name_is_not_taken_for_a_longer_one_and_the_last_line_needs_no_end() -> None:
    values, _ = scrape(b"open_sockets_max 9\nopen_sockets 4\n# HELP open_sockets 5\nopen 3", "open_sockets", "open")
    assert values == {"open_sockets": 4, "open": 3}


def test_what_is_no_finite_number_is_absent() -> None:
    values, found = scrape(b'a NaN\nb +Inf\nc{x="1"} 1\nc{x="2"} what\nd 1\n', "a", "b", "c", "d")
    assert values == {"d": 1}
    assert found.is_malformed


def test_a_name_with_too_many_series_is_absent_and_costs_no_memory() -> None:
    text = b"".join(b'many{n="%d"} 1\n' % number for number in range(MAX_SERIES + 1)) + b"few 1\n"
    values, found = scrape(text, "many", "few", piece_bytes=4096)
    assert values == {"few": 1}
    assert found.too_many == {"many"}
    values, _ = scrape(text.replace(b'many{n="0"} 1\n', b""), "many", piece_bytes=4096)
    assert values == {"many": MAX_SERIES}


def test_a_line_without_end_is_thrown_away_and_the_next_one_is_read() -> None:
    values, found = scrape(
        b"good 1\nbad" + b"x" * (3 * MAX_LINE_BYTES) + b"\nother 2\n", "good", "bad", "other", piece_bytes=16_384
    )
    assert values == {"good": 1, "other": 2}
    assert len(found._rest) <= MAX_LINE_BYTES


@pytest.mark.parametrize("text", ["", "  ", "a b", "a{b}", 'a{b="1"', "a 2", "a\nb", "# a", 'a{b="1"} 3', "1a b 2"])
def test_a_selector_that_is_none_is_an_error_that_names_its_source(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        selectors(["good", text], "--ext-target-metric")
    assert caught.value.source == "--ext-target-metric"
    assert caught.value.value == text


def test_each_selector_counts_once() -> None:
    assert [each.text for each in selectors(["a", " a ", 'a{b="1"}'])] == ["a", 'a{b="1"}']
