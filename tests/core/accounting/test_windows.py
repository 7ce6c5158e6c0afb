"""Windows for the rules: the last seconds and the whole run, of all processes and of each worker alone."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings, strategies as st

from locust_ext.core.accounting import Recorder
from locust_ext.core.accounting.windows import MAX_WORKERS
from locust_ext.model import Distribution, Snapshot


def a_master(workers: int, *lengths: int | None, by_worker: bool = True) -> tuple[Recorder, list[Recorder]]:
    """A master that watches these windows, and workers `w0`, `w1`… with the labels `0`, `1`…"""
    master = Recorder()
    for length_s in lengths:
        master.watch(length_s, by_worker=by_worker)
    master.begin("r", 0.0)
    found = []
    for number in range(workers):
        worker = Recorder(worker=f"w{number}")
        worker.begin("r", 0.0)
        master.label_worker(f"w{number}", str(number))
        found.append(worker)
    return master, found


def counts(snapshot: Snapshot) -> dict[str, int]:
    return {each.name: each.finished for each in snapshot.operations}


def second(master: Recorder, workers: list[Recorder], now: float) -> None:
    for worker in workers:
        assert master.merge(worker.drain(now))
    master.tick(now + 0.01)


def test_each_worker_has_a_window_of_its_own_with_all_that_it_did() -> None:
    master, (one, two) = a_master(2, 2)
    for now in range(1, 5):
        for _ in range(now):
            one.operation("WS", "ask", 1000 * now, 7)
        two.operation("WS", "ask", 500_000, 7, "failed", "error_reply")
        two.push("news", 3, 40)
        two.traffic.messages_sent += 5
        if now == 4:
            two.connection_state(None, "open")
            two.started("WS", "long")
            two.reconnected()
        second(master, [one, two], float(now))
    assert master.worker_labels == ("0", "1")
    first, other, both = master.window(2, "0"), master.window(2, "1"), master.window(2)
    assert (counts(first), counts(other), counts(both)) == (
        {"ask": 7},
        {"ask": 2, "long": 0},
        {"ask": 9, "long": 0},
    )
    assert (first.error_rate, other.error_rate) == (0, 1)
    assert (first.latency.sum_us, other.latency.max_us) == (3 * 3000 + 4 * 4000, 500_000)
    assert (first.pushes, other.pushes[0].received, both.pushes[0].received) == ((), 2, 2)
    assert (first.traffic.messages_sent, other.traffic.messages_sent) == (0, 10)
    assert (first.connections.states, other.connections.states) == ({}, {"open": 1})
    assert (first.connections.reconnects, other.connections.reconnects) == (0, 1)
    assert (first.in_flight, other.in_flight) == (0, 1)
    assert first.run.duration_s == other.run.duration_s == both.run.duration_s == 2.0
    whole_run = [counts(master.window(None, label)) for label in ("0", "1")]
    assert whole_run == [{"ask": 10}, {"ask": 4, "long": 0}]
    assert master.window(None, "0").run.duration_s == pytest.approx(4.01)


def test_what_is_not_watched_by_worker_is_kept_for_no_worker() -> None:
    master, (one,) = a_master(1, 5, by_worker=False)
    one.operation("WS", "ask", 1, 1)
    second(master, [one], 1.0)
    assert counts(master.window(5)) == {"ask": 1}
    assert counts(master.window(None, "0")) == {}
    with pytest.raises(KeyError):
        master.window(5, "0")
    with pytest.raises(KeyError):
        master.window(6)
    assert not master._seconds.windows._whole


def test_the_whole_run_by_worker_needs_no_window() -> None:
    master, (one, two) = a_master(2, None)
    one.operation("WS", "ask", 1, 1)
    second(master, [one, two], 1.0)
    assert counts(master.window(None, "0")) == {"ask": 1}
    assert counts(master.window(None, "1")) == {}
    with pytest.raises(KeyError):
        master.window(5, "0")


def test_a_process_on_its_own_is_its_only_worker_and_has_no_name() -> None:
    recorder = Recorder()
    recorder.watch(3, by_worker=True)
    recorder.begin("r", 0.0)
    recorder.operation("WS", "ask", 1000, 1)
    recorder.tick(1.0)
    assert recorder.worker_labels == ("",)
    assert counts(recorder.window(3, "")) == {"ask": 1}
    assert counts(recorder.window(None, "")) == {"ask": 1}
    assert recorder.window(3, "") == recorder.window(3)


def test_a_worker_that_joins_later_or_is_gone_has_a_window_of_the_time_since_it_came() -> None:
    master, (one, two) = a_master(2, 3)
    for now in (1.0, 2.0, 3.0):
        one.operation("WS", "ask", 1, 1)
        second(master, [one], now)
    assert master.worker_labels == ("0",)
    assert master.window(3, "1").run.duration_s == 0.0
    two.operation("WS", "ask", 1, 1)
    second(master, [one, two], 4.0)
    assert (master.window(3, "1").run.duration_s, master.window(3, "0").run.duration_s) == (1.0, 3.0)
    master.mark_lost("w0")
    for now in (5.0, 6.0, 7.0):
        second(master, [two], now)
    assert counts(master.window(3, "0")) == {}
    assert master.worker_labels == ("0", "1"), "it has reported, and its silence can be judged"


def test_workers_beyond_the_hundredth_have_no_window_of_their_own_but_are_in_that_of_all() -> None:
    master, workers = a_master(MAX_WORKERS + 2, 5)
    for worker in workers:
        worker.operation("WS", "ask", 1, 1)
    second(master, workers, 1.0)
    assert [counts(master.window(5, str(number))) for number in (99, 100)] == [{"ask": 1}, {}]
    assert [counts(master.window(None, str(number))) for number in (99, 100)] == [{"ask": 1}, {}]
    assert counts(master.window(5)) == {"ask": 102}
    assert len(master._seconds.windows._workers) == len(master._seconds.windows._whole) == MAX_WORKERS
    assert master.worker_labels[-2:] == ("100", "101"), "in the order of numbers"


def test_a_window_that_is_asked_for_in_the_middle_of_a_run_begins_empty() -> None:
    master, (one,) = a_master(1, 3)
    for now in (1.0, 2.0):
        one.operation("WS", "ask", 1, 1)
        second(master, [one], now)
    master.watch(2)
    master.watch(4, by_worker=True)
    assert (counts(master.window(2)), counts(master.window(4, "0"))) == ({}, {})
    for now in (3.0, 4.0, 5.0):
        one.operation("WS", "ask", 1, 1)
        second(master, [one], now)
    assert (counts(master.window(2)), master.window(2).run.duration_s) == ({"ask": 2}, 2.0)
    assert (counts(master.window(4, "0")), master.window(4, "0").run.duration_s) == ({"ask": 3}, 3.0)


def test_the_window_without_a_length_is_the_snapshot_of_the_last_tick() -> None:
    recorder = Recorder()
    recorder.begin("r", 50.0)
    for second_ in range(1, 6):
        recorder.operation("WS", "ask", 1000, 5)
        recorder.push("news", 1)
        recorder.connection_state(None, "open")
        recorder.tick(50.0 + second_)
    assert recorder.window(None) == recorder.snapshot(55.0)
    recorder.operation("WS", "ask", 1000, 5)
    assert recorder.window(None).finished == 6
    assert recorder.window(None).run.duration_s == 5.0


def test_a_windows_rows_are_its_seconds() -> None:
    recorder = Recorder()
    recorder.watch(3)
    recorder.watch(5)
    recorder.begin("r", 0.0)
    for now in range(1, 9):
        for _ in range(now):
            recorder.operation("WS", "ask", 1000, 1)
        recorder.tick(float(now))
    assert [(row.start_s, row.finished) for row in recorder.window(3).timeline] == [(5, 6), (6, 7), (7, 8)]
    assert len(recorder.window(5).timeline) == 5
    assert recorder.window(3).timeline == recorder.snapshot(8.0).timeline[-3:]


def test_windows_begin_anew_with_the_first_whole_second_after_a_reset() -> None:
    master, (one,) = a_master(1, 3)
    for now in (1.0, 2.0):
        one.operation("WS", "before", 1, 1)
        second(master, [one], now)
    one.reset(2.5, master.reset(2.4))
    one.operation("WS", "within the second of the reset", 1, 1)
    second(master, [one], 3.0)
    assert (counts(master.window(3)), master.window(3).run.duration_s) == ({}, 0.0)
    one.operation("WS", "after", 1, 1)
    second(master, [one], 4.0)
    for window in (master.window(3), master.window(3, "0")):
        assert (counts(window), window.run.duration_s) == ({"after": 1}, 1.0)
    assert counts(master.window(None, "0")) == {"within the second of the reset": 1, "after": 1}


def test_an_operation_that_leaves_a_window_leaves_it_entirely() -> None:
    """Also one with more error classes than a window has room for, and an event whose fan-outs expected nobody."""
    master, (one,) = a_master(1, 2)
    for number in range(150):
        one.operation("WS", "gone", 1, 1, "failed", f"class {number % 75 + 75 * (number // 75)}")
    one.fan_out("nobody", 0, 0, None)
    second(master, [one], 1.0)
    for number in range(150, 300):
        one.operation("WS", "gone", 1, 1, "failed", f"class {number}")
    one.fan_out("nobody", 0, 0, None)
    one.push("gone", 1, 5)
    second(master, [one], 2.0)
    (stats,) = master.window(2).operations
    assert (stats.failed, sum(stats.errors.values())) == (300, 300)
    for now in (3.0, 4.0):
        one.operation("WS", "stays", 1, 1)
        second(master, [one], now)
    for window in (master.window(2), master.window(2, "0")):
        assert (counts(window), window.pushes, window.errors_by_class) == ({"stays": 2}, (), {})
        assert window.latency.count == 2


SECONDS = st.lists(
    st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from(["a", "b", "c"]), st.integers(0, 10_000_000), st.booleans()),
        max_size=5,
    ),
    min_size=1,
    max_size=15,
)


@settings(deadline=None, max_examples=60)
@given(SECONDS, st.integers(1, 6), st.integers(0, 3))
def test_a_window_is_the_sum_of_its_seconds_whoever_does_its_work(
    seconds: list[list[tuple[int, str, int, bool]]], length_s: int, pieces: int
) -> None:
    master, workers = a_master(2, length_s)
    for number, events in enumerate(seconds):
        for which, name, latency_us, is_ok in events:
            workers[which].operation("WS", name, latency_us, 1, "ok" if is_ok else "timed_out")
        second(master, workers, number + 1.0)
        for _ in range(pieces):
            master.slide()
    last = [event for events in seconds[-length_s:] for event in events]
    for label, who in ((None, {0, 1}), ("0", {0}), ("1", {1})):
        window = master.window(length_s, label)
        mine = [event for event in last if event[0] in who]
        names = {event[1] for event in mine}
        assert counts(window) == {name: sum(event[1] == name for event in mine) for name in names}
        assert window.latency.sum_us == sum(event[2] for event in mine if event[3])
        assert window.failures == sum(not event[3] for event in mine)
        assert (window.latency == Distribution()) == (not window.latency.count)


def test_what_a_second_leaves_to_windows_is_done_in_small_pieces() -> None:
    """So that no loop is held up: the bench says for how long, this says by how much work."""
    rng = random.Random(1)
    master, (one,) = a_master(1, 1, 2)
    longest = 0
    for now in range(1, 5):
        for name in range(100):
            for _ in range(50):
                one.operation("WS", f"name {name}", rng.randrange(1000, 10_000_000), 1)
        second(master, [one], float(now))
        pieces = 0
        while master.slide():
            pieces += 1
        longest = max(longest, pieces)
        assert not master.slide()
    # Two windows of all and two of the worker; each adds a second and takes one out: 100 names of some 50 buckets.
    assert longest >= 4 * 2
    assert master.window(2).finished == 2 * 100 * 50
