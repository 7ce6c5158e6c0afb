"""`outputs.metrics.running`: counters over resets, runs, warm-ups and a worker's drains."""

from __future__ import annotations

import random

import pytest

from locust_ext.core.accounting import Recorder
from locust_ext.core.accounting.histogram import Histogram
from locust_ext.outputs.metrics import Live, RunMetrics
from locust_ext.outputs.metrics.running import MAX_KEPT
from tests.outputs.examples import HOSTILE
from tests.outputs.prometheus import LIVE, Scraped, text_of


def watched(recorder: Recorder) -> RunMetrics:
    """Wired as the exporter of a master does it."""
    metrics = RunMetrics()
    recorder.on_reset = lambda: metrics.keep(recorder.snapshot(1.0))
    return metrics


def asked(recorder: Recorder, times: int, name: str = "ask") -> None:
    for _ in range(times):
        recorder.operation("WS", name, 1000, 5)


def test_a_reset_takes_nothing_from_the_counters() -> None:
    recorder = Recorder()
    metrics = watched(recorder)
    recorder.begin("r", 0.0)
    asked(recorder, 3)
    before = Scraped(text_of(recorder.snapshot(1.0), metrics))
    asked(recorder, 2)  # since the last scrape
    recorder.traffic.messages_sent += 7
    recorder.reset(2.0)
    asked(recorder, 10)
    after = Scraped(text_of(recorder.snapshot(3.0), metrics))
    assert after.fallen(before) == {}
    assert after.of("locust_ext_requests_total", name="ask", outcome="ok") == 15
    assert after.of("locust_ext_request_duration_seconds_count", name="ask") == 15
    assert after.of("locust_ext_request_duration_seconds_sum", name="ask") == pytest.approx(0.015)
    assert after.of("locust_ext_messages_total", direction="sent") == 7
    assert recorder.snapshot(3.0).finished == 10, "the statistics themselves began anew"


@pytest.mark.parametrize("resets", [1, MAX_KEPT - 1, MAX_KEPT, 3 * MAX_KEPT + 1])
def test_however_many_resets_there_are_between_two_scrapes(resets: int) -> None:
    recorder = Recorder()
    metrics = watched(recorder)
    recorder.begin("r", 0.0)
    for _ in range(resets):
        asked(recorder, 3)
        recorder.reset(1.0)
    for _ in range(2):
        scraped = Scraped(text_of(recorder.snapshot(2.0), metrics))
        assert scraped.of("locust_ext_requests_total", outcome="ok") == 3 * resets


def test_what_a_process_used_is_not_counted_twice_by_a_reset() -> None:
    recorder = Recorder()
    metrics = watched(recorder)
    recorder.begin("r", 0.0)
    lag = Histogram()
    lag.record(4000)
    recorder.generator_period(0.0, 1.0, 500_000, lag.freeze())
    recorder.tick(1.0)
    recorder.reset(1.0)
    scraped = Scraped(text_of(recorder.snapshot(2.0), metrics))
    assert scraped.of("locust_ext_generator_cpu_seconds_total", worker="local") == 0.5
    assert scraped.of("locust_ext_generator_loop_lag_seconds_count", worker="local") == 1


def test_a_new_run_begins_at_zero_under_its_own_id() -> None:
    recorder = Recorder()
    metrics = watched(recorder)
    recorder.begin("one", 0.0)
    asked(recorder, 3, "first")
    recorder.reset(1.0)
    text_of(recorder.snapshot(1.0), metrics)
    recorder.begin("two", 2.0)
    asked(recorder, 1, "second")
    scraped = Scraped(text_of(recorder.snapshot(3.0), metrics))
    assert scraped.by("locust_ext_requests_total", "name", outcome="ok") == {"second": 1}
    assert scraped.of("locust_ext_run_info", id="two") == 1


def test_the_warm_up_is_in_no_counter() -> None:
    recorder = Recorder()
    metrics = watched(recorder)
    recorder.begin("r", 0.0, 5.0)
    asked(recorder, 3)
    text_of(recorder.snapshot(1.0), metrics)
    recorder.merge(recorder.end_warmup(5.0))
    asked(recorder, 2)
    scraped = Scraped(text_of(recorder.snapshot(6.0), metrics))
    assert scraped.of("locust_ext_requests_total", name="ask", outcome="ok") == 2


def test_600_names_hostile_labels_and_resets_in_the_middle_keep_every_counter_from_falling() -> None:
    rng = random.Random(7)
    recorder = Recorder()
    metrics = watched(recorder)
    recorder.begin("r", 0.0)
    before, finished = None, 0
    for scrape in range(12):
        for _ in range(1000):
            number = int(rng.paretovariate(0.3)) % 600
            name = f"{HOSTILE} {number}" if number % 3 else f"\x00\ud800{number}"
            outcome = rng.choice(["ok", "ok", "failed", "timed_out", "lost"])
            failure = None if outcome == "ok" else rng.choice([HOSTILE, "timeout", f"class {number}"])
            latency_us = rng.randrange(10**7) if outcome == "ok" else None
            recorder.operation(rng.choice(["WS", "GET", HOSTILE]), name, latency_us, 5, outcome, failure, latency_us)
            recorder.push(name, 1, 700)
            finished += 1
        if scrape % 5 == 3:
            recorder.reset(float(scrape))
        recorder.tick(float(scrape))
        scraped = Scraped(text_of(recorder.snapshot(float(scrape)), metrics))
        assert len(scraped.values) <= 10_000
        assert scraped.of("locust_ext_requests_total") == finished
        assert scraped.of("locust_ext_pushes_total") == finished
        if before is not None:
            assert scraped.fallen(before) == {}
        before = scraped


def test_a_reset_in_the_middle_of_a_scrape_is_counted_once() -> None:
    recorder = Recorder()
    metrics = watched(recorder)
    recorder.begin("r", 0.0)
    for number in range(300):
        asked(recorder, 2, f"name {number}")
    recorder.reset(0.5)
    asked(recorder, 1)
    parts = metrics.parts(recorder.snapshot(1.0), LIVE)
    next(parts)  # it has begun to add up what was kept
    for _ in range(MAX_KEPT + 1):
        recorder.reset(1.0)  # and somebody else is faster
        asked(recorder, 1)
    slow = [part for part in parts if part is not None and part.name == "locust_ext_requests"]
    assert sum(sample.value for part in slow for sample in part.samples) == 601
    scraped = Scraped(text_of(recorder.snapshot(2.0), metrics))
    assert scraped.of("locust_ext_requests_total") == 601 + MAX_KEPT + 1


def test_what_a_worker_has_drained_stays_in_its_own_metrics() -> None:
    recorder = Recorder(worker="w1")
    metrics = RunMetrics(worker="3")
    recorder.on_drain = metrics.keep
    recorder.on_reset = lambda: metrics.keep(recorder.snapshot(1.0))
    lag = Histogram()
    lag.record(4000)
    recorder.begin("r", 0.0, 1.0)
    asked(recorder, 5)
    recorder.end_warmup(1.0)
    live = Live(users_present=4, worker="3")
    before = None
    for second in range(2, 2 + 2 * MAX_KEPT):
        asked(recorder, 2)
        recorder.generator_period(float(second), 1.0, 100_000, lag.freeze())
        recorder.drain(float(second))
        asked(recorder, 1)
        if second == 5:
            recorder.reset(5.0, 1)
        scraped = Scraped(text_of(recorder.snapshot(float(second)), metrics, live))
        assert scraped.of("locust_ext_requests_total", outcome="ok") == 3 * (second - 1)
        assert before is None or scraped.fallen(before) == {}
        before = scraped
    assert before is not None
    assert before.of("locust_ext_generator_cpu_seconds_total", worker="3") == pytest.approx(0.1 * 2 * MAX_KEPT)
    assert before.of("locust_ext_generator_loop_lag_seconds_count", worker="3") == 2 * MAX_KEPT
    assert before.of("locust_ext_users_present") == 4
    assert "locust_ext_run_valid" not in before.types, "a worker cannot judge the run"
