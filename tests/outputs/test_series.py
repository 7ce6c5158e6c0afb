"""Figures over time, by name."""

from __future__ import annotations

import pytest

from locust_ext.core.alerts.metrics import METRICS
from locust_ext.errors import ConfigError
from locust_ext.model import GENERATOR, TARGET, ResourceSample, ResourceStats, Second, Snapshot
from locust_ext.outputs.series import ALIASES, SERIES, series

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


def test_a_metric_may_be_called_as_the_rules_call_it() -> None:
    assert series(TIMELINE, "latency_p95", 60) == series(TIMELINE, "p95_ms", 60) == [(0, 1.5), (5, 2.345)]
    assert series(TIMELINE, "rate", 60) == series(TIMELINE, "finished_per_second", 60)
    assert series(TIMELINE, "error_ratio", 60) == [(0, 0.05), (5, 0.1)]


def test_every_name_of_the_rules_is_one_of_theirs_and_leads_to_a_series() -> None:
    for alias, name in ALIASES.items():
        assert alias in METRICS
        assert alias not in SERIES
        assert series(TIMELINE, name, 60) == series(TIMELINE, alias, 60)


def read(side: str, source: str, *samples: tuple[float, float], metric: str = "cpu_percent") -> ResourceStats:
    return ResourceStats(
        side, source, samples=tuple(ResourceSample(side, source, at_s, {metric: value}) for at_s, value in samples)
    )


WATCHED = Snapshot(
    timeline=tuple(Second(second) for second in range(4)),
    resources=(
        read(GENERATOR, "1", (0.5, 10.0), (1.5, 20.0), (2.1, 30.0), (2.6, 50.0), (4.2, 99.0)),
        read(GENERATOR, "2", (1.4, 15.0), (2.4, 45.0)),
        read(TARGET, "port 80", (1.0, 70.0)),
        read(TARGET, "metrics", (3.9, 7.0), metric='queue_depth{of="a"}'),
    ),
)


@pytest.mark.parametrize(
    ("metric", "seconds", "expected"),
    [
        ("generator.cpu_percent", 60, [(0, 10.0), (1, 20.0), (2, 45.0)]),
        ("generator.cpu_percent", 3, [(1, 20.0), (2, 45.0)]),
        ("generator[1].cpu_percent", 60, [(0, 10.0), (1, 20.0), (2, 40.0)]),
        ("generator[2].cpu_percent", 60, [(1, 15.0), (2, 45.0)]),
        ("generator[3].cpu_percent", 60, []),
        ("generator.memory_bytes", 60, []),
        ("target.cpu_percent", 60, [(1, 70.0)]),
        ("target[port 80].cpu_percent", 60, [(1, 70.0)]),
        ('target.queue_depth{of="a"}', 60, [(3, 7.0)]),
        ("target.never_read", 60, []),
    ],
)
def test_what_the_monitor_read_is_the_highest_of_all_sources_or_that_of_one(
    metric: str, seconds: float, expected: list[tuple[int, float]]
) -> None:
    assert series(WATCHED, metric, seconds) == expected


def test_an_unknown_metric_of_the_monitor_names_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        series(WATCHED, "generator.cpu", 10)
    assert caught.value.nearest == "generator.cpu_percent"


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_length_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ConfigError, match="expected seconds, more than 0"):
        series(TIMELINE, "p95_ms", seconds)
