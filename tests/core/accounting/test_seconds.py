"""The timeline and the sliding windows: whole seconds, late workers, thinning, sums that agree."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from locust_ext.core.accounting import Recorder
from locust_ext.core.accounting.seconds import Timeline
from locust_ext.model import Delta, Distribution, Second
from tests.test_model import frozen


def recording(worker: str = "") -> Recorder:
    recorder = Recorder(worker=worker)
    recorder.begin("r", 100.0)
    return recorder


def test_each_second_has_a_row_with_what_ended_in_it() -> None:
    recorder = recording()
    recorder.connection_state(None, "open")
    recorder.started("WS", "q")
    recorder.started("WS", "q")
    recorder.operation("WS", "q", 1000, 5, was_started=True)
    recorder.operation("GET", "/", 90_000, 5, "failed", "http_500")
    recorder.operation("PUSH", "x", None, 5, "failed", "protocol")
    recorder.push("x", 5)
    recorder.traffic.messages_sent += 4
    recorder.tick(101.001)
    recorder.tick(102.0)
    recorder.operation("WS", "q", 3000, 5, was_started=True)
    recorder.operation("SIO", "q", 5000, 5)
    recorder.tick(103.01)
    first, second, third = recorder.snapshot(103.01).timeline
    assert first == Second(
        start_s=0,
        finished=2,
        failures=1,
        messages_sent=4,
        pushes_received=1,
        open_connections=1,
        in_flight=1,
        round_trips=1,
        min_us=1000,
        p50_us=1000,
        p95_us=1000,
        p99_us=1000,
        max_us=1000,
        worst_failures=1,
        least_finished=2,
    )
    assert second == Second(start_s=1, open_connections=1, in_flight=1)
    assert (third.start_s, third.finished, third.round_trips, third.min_us, third.max_us) == (2, 2, 2, 3000, 5000)
    assert (third.in_flight, third.open_connections) == (0, 1)


def test_the_rows_of_a_run_that_has_ended_include_its_last_part_of_a_second() -> None:
    recorder = recording()
    recorder.operation("WS", "q", 1000, 5)
    recorder.tick(101.0)
    recorder.operation("WS", "q", 1000, 5)
    assert [row.finished for row in recorder.snapshot(101.3).timeline] == [1]
    recorder.end(101.3)
    assert [row.finished for row in recorder.snapshot(101.3).timeline] == [1, 1]


def worker_delta(worker: Recorder, now: float, ok: int = 1, final: bool = False) -> Delta:
    for _ in range(ok):
        worker.operation("WS", "q", 1000, 1)
    return worker.drain(now, final=final)


def test_a_row_waits_until_every_worker_has_reported_beyond_it() -> None:
    master, one, two = recording(), recording("w1"), recording("w2")
    for worker in ("w1", "w2"):
        master.expect_worker(worker)
    master.merge(worker_delta(one, 101.0))
    master.tick(101.1)
    assert master.snapshot(101.1).timeline == ()
    master.merge(worker_delta(two, 101.2, ok=2))
    master.tick(102.0)
    assert [(row.finished, row.complete) for row in master.snapshot(102.0).timeline] == [(3, True)]


def test_a_row_closes_incomplete_after_four_seconds_and_late_counts_are_not_lost() -> None:
    master, one, two = recording(), recording("w1"), recording("w2")
    for worker in ("w1", "w2"):
        master.expect_worker(worker)
    slow = worker_delta(two, 101.0, ok=7)
    for second in range(1, 7):
        master.merge(worker_delta(one, 100.0 + second))
        master.tick(100.0 + second + 0.01)
    rows = master.snapshot(106.0).timeline
    assert [(row.finished, row.complete) for row in rows] == [(1, False), (1, False)]
    master.merge(slow)
    master.merge(worker_delta(two, 106.0, ok=0, final=True))
    master.merge(worker_delta(one, 106.0, ok=0, final=True))
    master.tick(107.0)
    rows = master.snapshot(107.0).timeline
    assert [row.finished for row in rows] == [1, 1, 8, 1, 1, 1, 0]
    assert [row.complete for row in rows] == [False, False, True, True, True, True, True]
    assert sum(row.finished for row in rows) == master.snapshot(107.0).finished


def test_nobody_waits_for_a_lost_worker_whose_gauges_leave_the_timeline_and_whose_share_is_missing() -> None:
    master, one = recording(), recording("w1")
    one.connection_state(None, "open")
    master.merge(worker_delta(one, 101.0))
    master.tick(101.1)
    master.mark_lost("w1")
    master.tick(103.1)
    assert [(row.open_connections, row.complete) for row in master.snapshot(103.1).timeline] == [
        (1, True),
        (0, False),
        (0, False),
    ]
    # The snapshot keeps them as they last were, and says that the worker is lost.
    assert master.snapshot(103.1).connections.states == {"open": 1}


def test_every_row_of_a_workers_silence_is_incomplete_also_once_it_is_given_up_until_it_reports_again() -> None:
    """As with SIGSTOP: silent from the third second on, given up in the sixth, and back in the ninth."""
    master, one, two = recording(), recording("w1"), recording("w2")
    for now in range(1, 13):
        master.merge(worker_delta(one, 100.0 + now))
        if now <= 2 or now >= 9:
            master.merge(worker_delta(two, 100.0 + now, ok=10))
        if now == 6:
            master.mark_lost("w2")
        master.tick(100.0 + now + 0.01)
    master.merge(worker_delta(one, 112.5, ok=0, final=True))
    master.merge(worker_delta(two, 112.5, ok=0, final=True))
    master.end(112.6, stopped=112.0)
    snapshot = master.snapshot(113.0)
    assert [(row.start_s, row.finished) for row in snapshot.timeline if not row.complete] == [
        (second, 1) for second in range(2, 8)
    ]
    assert [row.finished for row in snapshot.timeline[8:]] == [11] * 4
    assert snapshot.run.valid, "all that it did is known in the end"


def test_a_worker_that_is_gone_leaves_no_row_complete_from_its_last_report_on() -> None:
    master, one, two = recording(), recording("w1"), recording("w2")
    for now in range(1, 8):
        master.merge(worker_delta(one, 100.0 + now))
        if now <= 2:
            master.merge(worker_delta(two, 100.0 + now))
        if now == 5:
            master.mark_lost("w2")
        master.tick(100.0 + now + 0.01)
    master.merge(worker_delta(one, 107.4, final=True))
    master.end(107.5, stopped=107.1)
    snapshot = master.snapshot(108.0)
    assert [row.complete for row in snapshot.timeline] == [True, True, False, False, False, False, False, False]
    assert not snapshot.run.valid
    assert snapshot.run.duration_s == pytest.approx(7.4)


def test_a_run_lasts_until_the_last_figures_and_its_rows_go_on_until_there() -> None:
    """The master is told to stop after 3 s; one worker's users take until 5.6 s to leave, and go on asking."""
    master, one, two = recording(), recording("w1"), recording("w2")
    for now in (1.0, 2.0, 3.0, 4.0, 5.0):
        if now <= 3:
            master.merge(worker_delta(one, 100.0 + now, final=now == 3), 100.0 + now)
        master.merge(worker_delta(two, 100.0 + now, ok=2), 100.0 + now)
        master.tick(100.0 + now + 0.01)
    assert master.snapshot(105.1).run.duration_s == pytest.approx(5.1), "it goes on"
    master.merge(worker_delta(two, 105.6, ok=3, final=True), 105.6)
    master.end(106.9, stopped=103.0)
    snapshot = master.snapshot(110.0)
    assert snapshot.run.duration_s == pytest.approx(5.6)
    assert [row.finished for row in snapshot.timeline] == [3, 3, 3, 2, 2, 3]
    assert all(row.complete for row in snapshot.timeline)


def test_a_run_whose_workers_are_done_before_the_stop_is_noticed_is_over_with_their_last_figures() -> None:
    master, one = recording(), recording("w1")
    master.merge(worker_delta(one, 102.3, final=True))
    master.end(103.4, stopped=103.3)
    assert master.snapshot(110.0).run.duration_s == pytest.approx(2.3)
    assert [row.start_s for row in master.snapshot(110.0).timeline] == [0, 1]


def test_while_a_worker_owes_its_last_figures_the_run_lasts_at_least_until_the_stop() -> None:
    master, one = recording(), recording("w1")
    master.merge(worker_delta(one, 101.0), 101.0)
    master.end(107.0, stopped=103.2)
    assert master.snapshot(110.0).run.duration_s == pytest.approx(3.2)
    assert [(row.start_s, row.complete) for row in master.snapshot(110.0).timeline] == [
        (0, True),
        (1, False),
        (2, False),
    ]
    master.merge(worker_delta(one, 105.5, ok=4, final=True), 120.0)
    late = master.snapshot(130.0)
    assert late.run.duration_s == pytest.approx(5.5)
    assert sum(row.finished for row in late.timeline) == 5


@pytest.mark.parametrize(("end", "rows"), [(102.004, [1, 0]), (102.0, [1, 0]), (102.999, [1, 0]), (103.0, [1, 0, 0])])
def test_a_last_second_of_which_only_a_part_was_run_has_a_row_only_if_something_is_in_it(
    end: float, rows: list[int]
) -> None:
    recorder = recording()
    recorder.operation("WS", "q", 1000, 5)
    recorder.tick(101.0)
    recorder.end(end)
    assert [row.finished for row in recorder.snapshot(end).timeline] == rows


def test_a_worker_that_joins_in_the_middle_is_counted_in_the_seconds_of_the_run() -> None:
    """It counts its own from its start; the master knows when its figures come."""
    master, one = recording(), recording("w1")
    for now in range(1, 11):
        master.merge(worker_delta(one, 100.0 + now), 100.0 + now)
        master.tick(100.0 + now + 0.01)
    late = Recorder(worker="w2")
    late.begin("r", 110.0)
    for now in range(11, 15):
        master.merge(worker_delta(one, 100.0 + now), 100.0 + now)
        late.generator_period(now - 11.0, 1.0, 950_000, Distribution())
        master.merge(worker_delta(late, 100.0 + now, ok=5), 100.0 + now + 0.001)
        master.tick(100.0 + now + 0.01)
    rows = master.snapshot(114.01).timeline
    assert [row.finished for row in rows] == [1] * 10 + [6] * 4
    assert all(row.complete for row in rows)
    (generator,) = master.snapshot(114.01).generators
    assert generator.bottleneck[0] == pytest.approx((10, 14), abs=0.01)


def test_a_worker_whose_clock_is_nonsense_does_not_stretch_the_timeline() -> None:
    master, one = recording(), recording("w1")
    master.tick(101.0)
    master.merge(worker_delta(one, 1e9))
    master.tick(102.0)
    master.end(102.0)
    assert sum(row.finished for row in master.snapshot(102.0).timeline) == 1
    assert len(master.snapshot(102.0).timeline) <= 4


def test_a_master_that_merges_and_never_ticks_keeps_memory_bounded() -> None:
    master, one = recording(), recording("w1")
    for second in range(1, 500):
        master.merge(worker_delta(one, 100.0 + second))
    assert len(master._seconds._open) <= 3


def test_a_stalled_ticker_puts_what_came_into_the_seconds_end_and_loses_nothing() -> None:
    recorder = recording()
    recorder.operation("WS", "q", 1000, 1)
    recorder.tick(105.0)
    assert [row.finished for row in recorder.snapshot(105.0).timeline] == [0, 0, 0, 0, 1]


def test_the_timeline_thins_itself_one_pair_a_second_and_keeps_sums_and_extremes() -> None:
    rng = random.Random(1)
    timeline = Timeline(max_rows=10)
    every: list[list[int]] = []
    for second in range(100):
        every.append([rng.randrange(100, 1_000_000) for _ in range(rng.randrange(1, 20))])
        samples = every[-1]
        row = Second(second, finished=len(samples), worst_failures=int(second == 37), least_finished=len(samples))
        timeline.append(replace(row, round_trips=len(samples), max_us=max(samples)), frozen(samples))
        assert len(timeline.rows) <= 10
    assert sum(row.length_s for row in timeline.rows) == 100
    start = 0
    for row in timeline.rows:
        assert row.start_s == start
        seconds = every[start : start + row.length_s]
        together = [sample for samples in seconds for sample in samples]
        assert (row.finished, row.round_trips, row.max_us) == (len(together), len(together), max(together))
        assert row.least_finished == min(map(len, seconds))
        assert row.worst_failures == (37 in range(start, start + row.length_s))
        if row.length_s > 1:
            assert row.p95_us == frozen(together).percentile_us(95)
        start += row.length_s


def test_a_run_of_more_than_an_hour_keeps_3600_rows_that_add_up() -> None:
    recorder = Recorder()
    recorder.begin("r", 0.0)
    for second in range(1, 4001):
        for _ in range(1 + (second == 2000)):
            recorder.operation("WS", "q", 9_000_000 if second == 1000 else 1000, 1)
        recorder.tick(float(second))
    rows = recorder.snapshot(4000.0).timeline
    assert len(rows) == 3600
    assert sum(row.length_s for row in rows) == 4000
    assert sum(row.finished for row in rows) == 4001
    assert max(row.max_us or 0 for row in rows) == 9_000_000
    assert [row.length_s for row in rows[:2]] == [2, 2], "the oldest are joined"
    assert rows[-1].length_s == 1


def test_a_joined_rows_percentile_is_that_of_all_its_samples_not_an_average() -> None:
    timeline = Timeline(max_rows=1)
    timeline.append(Second(0, round_trips=100), frozen([1000] * 100))
    timeline.append(Second(1, round_trips=1), frozen([100_000]))
    (row,) = timeline.rows
    assert (row.round_trips, row.p50_us, row.p95_us, row.max_us) == (101, 1002, 1002, 100_000)


def test_a_window_holds_the_last_closed_seconds_and_no_more() -> None:
    recorder = Recorder()
    recorder.watch(3)
    recorder.begin("r", 0.0)
    for second in range(1, 11):
        for _ in range(second):
            recorder.operation("WS", "q", second * 1000, 1)
        recorder.operation("WS", f"only {second}", None, 1, "lost", "reset")
        recorder.push("e", 1, 10)
        recorder.traffic.messages_sent += second
        recorder.tick(float(second))
    window = recorder.window(3)
    assert window.run.duration_s == 3.0
    assert [(stats.name, stats.ok, stats.lost) for stats in window.operations] == [
        ("only 10", 0, 1),
        ("only 8", 0, 1),
        ("only 9", 0, 1),
        ("q", 27, 0),
    ]
    assert window.latency.sum_us == 8 * 8000 + 9 * 9000 + 10 * 10_000
    assert window.latency.min_us == pytest.approx(8000, rel=0.008)
    assert window.latency.max_us == 10_000
    assert window.errors_by_class == {"reset": 3}
    assert (window.traffic.messages_sent, window.pushes_received) == (27, 3)
    assert recorder.snapshot(10.0).finished == 65


def test_a_window_that_empties_forgets_even_operations_that_were_only_in_flight() -> None:
    recorder = Recorder()
    recorder.watch(2)
    recorder.begin("r", 0.0)
    recorder.started("WS", "q")
    for second in range(1, 6):
        recorder.tick(float(second))
    (stats,) = recorder.window(2).operations
    assert (stats.in_flight, stats.finished) == (1, 0)
    recorder.operation("WS", "q", 5, 1, was_started=True)
    recorder.tick(6.0)
    assert recorder.window(2).finished == 1
    recorder.tick(7.0)
    recorder.tick(8.0)
    assert recorder.window(2).operations == ()
    assert recorder.window(2).latency == Distribution()


def test_the_watched_windows_go_on_in_the_next_run_from_nothing() -> None:
    recorder = Recorder()
    recorder.watch(5)
    recorder.begin("one", 0.0)
    recorder.operation("WS", "q", 5, 1)
    recorder.tick(1.0)
    recorder.begin("two", 10.0)
    assert recorder.window(5).finished == 0
    assert recorder.snapshot(10.0).timeline == ()
