"""Figures over time, by name."""

from __future__ import annotations

import pytest

from locust_ext.errors import ConfigError
from locust_ext.model import Second, Snapshot
from locust_ext.outputs.series import SERIES, series

TIMELINE = Snapshot(
    timeline=(
        Second(0, 4, finished=40, failures=2, messages_sent=80, open_connections=5, p95_us=1500, round_trips=40),
        Second(4, finished=0),
        Second(5, finished=30, failures=3, messages_sent=33, open_connections=0, in_flight=2, p95_us=2345),
    )
)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("finished_per_second", [(0, 10.0), (4, 0.0), (5, 30.0)]),
        ("error_rate", [(0, 0.05), (5, 0.1)]),
        ("messages_per_second_sent", [(0, 20.0), (4, 0.0), (5, 33.0)]),
        ("open_connections", [(0, 5), (5, 0)]),
        ("in_flight", [(5, 2)]),
        ("p95_ms", [(0, 1.5), (5, 2.345)]),
        ("max_ms", []),
    ],
)
def test_a_metric_has_a_value_for_each_second_in_which_it_was_measured(
    metric: str, expected: list[tuple[int, float]]
) -> None:
    assert series(TIMELINE, metric, 60) == expected


def test_only_the_last_seconds_are_given() -> None:
    assert series(TIMELINE, "finished_per_second", 1) == [(5, 30.0)]
    assert series(TIMELINE, "finished_per_second", 2) == [(4, 0.0), (5, 30.0)]
    assert series(TIMELINE, "finished_per_second", 5.9) == [(4, 0.0), (5, 30.0)]


@pytest.mark.parametrize("metric", SERIES)
def test_every_metric_takes_an_empty_run_and_an_empty_row(metric: str) -> None:
    assert series(Snapshot(), metric, 10) == []
    assert series(Snapshot(timeline=(Second(0),)), metric, 10) in ([], [(0, 0.0)])


def test_an_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        series(TIMELINE, "p96_ms", 10)
    assert caught.value.nearest in ("p95_ms", "p99_ms")
    assert "finished_per_second" in caught.value.expected


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_length_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ConfigError, match="expected seconds, more than 0"):
        series(TIMELINE, "p95_ms", seconds)
