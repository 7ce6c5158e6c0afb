"""Many processes as one: any split, any order, any repetition; gauges by worker; lost workers."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given, settings, strategies as st

from locust_ext.core.accounting import Recorder, wire
from locust_ext.model import Delta, OperationStats, Snapshot
from tests.core.accounting.streams import Event, Key, counted, delta, events, perform


def master() -> Recorder:
    recorder = Recorder()
    recorder.begin("r", 0.0)
    return recorder


def only(snapshot: Snapshot) -> OperationStats:
    (operation,) = snapshot.operations
    return operation


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), events), max_size=6), st.randoms(use_true_random=False), st.booleans())
def test_any_split_in_any_order_with_repetitions_counts_as_one_process(
    batches: list[tuple[int, list[Event]]], rng: random.Random, over_the_wire: bool
) -> None:
    """Each worker performs its batches and drains after each; a single recorder performs all of them."""
    alone = master()
    workers = {number: Recorder(worker=f"w{number}") for number in range(4)}
    for worker in workers.values():
        worker.begin("r", 0.0)
    going: dict[int, Counter[Key]] = {number: Counter() for number in workers}
    deltas: list[Delta] = []
    for number, stream in batches:
        for event in stream:
            before = going[number].copy()
            perform(workers[number], event, going[number])
            ends = before[event.key] > going[number][event.key]
            # The same call on the single recorder, whose own gauge may be larger.
            perform(alone, event, Counter({event.key: int(ends)}))
        deltas.append(workers[number].drain())
    if over_the_wire:
        deltas = [wire.unpack(blob) for each in deltas for blob in wire.pack(each)]
    arrivals = deltas + rng.sample(deltas, len(deltas) // 2)
    rng.shuffle(arrivals)
    merged = master()
    accepted = sum(merged.merge(arrival) for arrival in arrivals)
    assert accepted == len(deltas)
    assert counted(merged.snapshot(1.0)) == counted(alone.snapshot(1.0))


def test_a_delta_is_merged_once_and_only_in_its_own_run() -> None:
    recorder = master()
    assert recorder.merge(delta(seq=0))
    assert not recorder.merge(delta(seq=0))
    assert not recorder.merge(delta(seq=1, run_id="earlier"))
    assert recorder.merge(delta(seq=0, worker="w2"))
    assert recorder.merge(delta(seq=5))
    assert not recorder.merge(delta(seq=5))
    assert only(recorder.snapshot(1.0)).ok == 3
    recorder.begin("next", 2.0)
    assert not recorder.merge(delta(seq=6))
    assert recorder.snapshot(3.0).operations == ()


def test_in_flight_and_states_are_each_workers_latest_whatever_comes_last() -> None:
    worker = Recorder(worker="w1")
    worker.begin("r", 0.0)
    worker.connection_state(None, "open")
    for _ in range(5):
        worker.started("WS", "q")
    first = worker.drain()
    worker.operation("WS", "q", 5, 0, was_started=True)
    worker.connection_state("open", "waiting")
    second = worker.drain()
    for order in ([first, second], [second, first]):
        recorder = master()
        recorder.started("WS", "q")
        recorder.connection_state(None, "open")
        for each in order:
            recorder.merge(each)
        stats = only(recorder.snapshot(1.0))
        assert (stats.started, stats.in_flight, stats.ok) == (6, 5, 1)
        assert recorder.snapshot(1.0).connections.states == {"open": 1, "waiting": 1}
        assert recorder.snapshot(1.0).connections.peak_open == 2


def test_a_delta_in_parts_is_complete_when_all_have_come_in_any_order() -> None:
    worker = Recorder(worker="w1", max_names=1000)
    worker.begin("r", 0.0)
    for number in range(120):
        worker.operation("WS", f"n{number}", number, 1)
        worker.push(f"e{number}", 1)
    worker.traffic.messages_sent += 7
    parts = [wire.unpack(blob) for blob in wire.pack(worker.drain(1.0, final=True))]
    assert [part.part for part in parts] == list(range(5))
    recorder = master()
    for part in reversed(parts[1:]):
        assert recorder.merge(part)
        assert not recorder.is_final("w1")
    assert recorder.merge(parts[0])
    assert recorder.is_final("w1")
    assert not any(recorder.merge(part) for part in parts)
    assert len(recorder.snapshot(1.0).operations) == len(recorder.snapshot(1.0).pushes) == 120
    assert recorder.snapshot(1.0).traffic.messages_sent == 7


def test_the_final_delta_counts_only_when_nothing_before_it_is_missing() -> None:
    recorder = master()
    recorder.expect_worker("w1")
    recorder.expect_worker("w2")
    assert recorder.waiting_for == ("w1", "w2")
    recorder.merge(delta(seq=1, final=True))
    assert not recorder.is_final("w1")
    recorder.merge(delta(seq=0))
    assert recorder.is_final("w1")
    assert recorder.waiting_for == ("w2",)
    recorder.end(5.0)
    assert not recorder.snapshot(6.0).run.complete
    recorder.merge(delta(worker="w2", seq=0, final=True))
    assert recorder.waiting_for == ()
    assert recorder.snapshot(6.0).run.complete
    assert recorder.snapshot(6.0).run.workers == 2


def test_a_lost_worker_is_named_and_its_counts_stay() -> None:
    worker = Recorder(worker="w1")
    worker.begin("r", 0.0)
    worker.started("WS", "ping")
    worker.operation("WS", "ping", 5, 0)
    recorder = master()
    recorder.merge(worker.drain())
    recorder.merge(delta(worker="w2", final=True))
    recorder.mark_lost("w1")
    recorder.mark_lost("w2")  # it had sent everything: nothing is missing
    recorder.end(5.0)
    snapshot = recorder.snapshot(6.0)
    assert snapshot.run.invalid_because == ("worker w1 was lost: what it did after its last report is missing",)
    assert not snapshot.run.complete
    assert (only(snapshot).ok, only(snapshot).in_flight) == (2, 1)
    assert recorder.waiting_for == ()


def test_a_lost_worker_that_comes_back_with_all_its_figures_is_not_missed() -> None:
    recorder = master()
    recorder.mark_lost("w1")
    assert recorder.merge(delta(seq=0, final=True))
    assert recorder.snapshot(1.0).run.valid


def test_a_process_that_merges_its_own_deltas_counts_nothing_twice() -> None:
    recorder = master()
    for second in range(1, 4):
        recorder.started("WS", "q")
        recorder.operation("WS", "q", 5, 1)
        recorder.connection_state(None, "open")
        recorder.merge(recorder.drain(float(second)))
    recorder.operation("WS", "q", 5, 1)
    snapshot = recorder.snapshot(4.0)
    assert (only(snapshot).ok, only(snapshot).in_flight, only(snapshot).started) == (4, 3, 7)
    assert only(snapshot).latency.count == 4
    assert (snapshot.connections.states, snapshot.connections.peak_open) == ({"open": 3}, 3)
    assert (snapshot.run.workers, recorder.workers) == (0, ())


def test_parts_that_cannot_belong_together_are_refused() -> None:
    recorder = master()
    base = delta(seq=0)

    def part(number: int, of: int, seq: int = 0) -> Delta:
        return Delta(base.run_id, base.worker, seq, number, of)

    assert recorder.merge(part(0, 3))
    assert not recorder.merge(part(1, 2))
    assert not recorder.merge(part(3, 3))
    assert not recorder.merge(part(-1, 3))
    assert not recorder.merge(part(0, 1, seq=50_000))
    assert not recorder.merge(part(0, 1, seq=-1))
    assert recorder.merge(part(1, 3))
