"""The process that makes the load, watched by itself."""

from __future__ import annotations

from time import monotonic, process_time

import gevent
import pytest
from gevent import get_hub

from locust_ext.model import Distribution, bucket_of
from locust_ext.runtime.generator_watch import INTERVAL_S, GeneratorWatch

Row = tuple[float, float, int, Distribution]


def watched(work: object = None) -> list[Row]:
    rows: list[Row] = []
    watch = GeneratorWatch(lambda *row: rows.append(row))
    watch.start(monotonic() - 5.0)
    if callable(work):
        work()
    else:
        gevent.sleep(1.3)
    watch.stop()
    watch.stop()
    return rows


def test_it_reports_each_second_and_the_rest_of_one_in_seconds_of_the_run() -> None:
    first, rest = watched()
    assert first[0] == pytest.approx(5.0, abs=0.05)
    assert first[1] == pytest.approx(1.0, abs=0.2)
    assert rest[0] == pytest.approx(first[0] + first[1])
    assert rest[1] == pytest.approx(1.3 - first[1], abs=0.1)
    assert 20 <= first[3].count <= 1.2 / INTERVAL_S


def test_a_loop_that_stood_still_is_late_for_every_moment_that_it_missed() -> None:
    def stand_still() -> None:
        gevent.sleep(0.1)
        get_hub().loop.run_callback(_block, 0.5)
        gevent.sleep(0.2)

    rows = watched(stand_still)
    lag = Distribution().plus(*(row[3] for row in rows))
    assert lag.max_us is not None
    assert 450_000 < lag.max_us < 700_000
    late = sum(count for bucket, count in lag.buckets.items() if bucket > bucket_of(50_000))
    assert late >= 0.4 / INTERVAL_S * 0.8, "not one late timer, but all that would have been"
    percentile = lag.percentile_us(90)
    assert percentile is not None
    assert percentile > 300_000


def _block(seconds: float) -> None:
    until_s = monotonic() + seconds
    while monotonic() < until_s:
        pass


def test_cpu_time_is_that_of_this_process() -> None:
    def work() -> None:
        until_s = monotonic() + 1.0
        while monotonic() < until_s:
            _block(0.01)
            gevent.sleep(0)

    begun_s = process_time()
    rows = watched(work)
    used_s = process_time() - begun_s
    assert sum(row[2] for row in rows) / 1e6 == pytest.approx(used_s, rel=0.1)
    idle = watched()
    assert sum(row[2] for row in idle) < 300_000


def test_nothing_is_left_of_it_after_stop() -> None:
    before = get_hub().loop.activecnt
    watch = GeneratorWatch(lambda *_: None)
    watch.start(monotonic())
    watch.start(monotonic())
    gevent.sleep(0.06)
    watch.stop()
    assert get_hub().loop.activecnt <= before  # fewer: what an earlier test had left to end has ended


def test_the_lag_can_be_taken_beside_the_periods_each_time_since_the_last() -> None:
    rows: list[Row] = []
    watch = GeneratorWatch(lambda *row: rows.append(row))
    watch.start(monotonic())
    assert watch.take_lag() is None
    gevent.sleep(0.2)
    calm = watch.take_lag()
    get_hub().loop.run_callback(_block, 0.3)
    gevent.sleep(0.1)
    late = watch.take_lag()
    gevent.sleep(0.2)
    calm_again = watch.take_lag()
    watch.stop()
    assert calm is not None
    assert late is not None
    assert calm_again is not None
    assert late.max_us is not None
    assert late.max_us > 250_000
    assert late.count >= 0.2 / INTERVAL_S, "with those that it missed"
    assert calm_again.max_us is not None
    assert calm_again.max_us < 200_000
    whole = Distribution().plus(*(row[3] for row in rows))
    assert whole.count == calm.count + late.count + calm_again.count
    assert whole.max_us == late.max_us
