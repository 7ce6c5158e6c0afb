"""Counts that begin anew: the reset over several processes, the warm-up, and what a generator says of itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

from locust_ext.core.accounting import Recorder
from locust_ext.core.accounting.wire import pack, unpack
from locust_ext.model import Delta
from tests.core.accounting.test_validity import lags


def worker_and_master(warmup_s: float = 0.0) -> tuple[Recorder, Recorder]:
    worker, master = Recorder(worker="w"), Recorder()
    worker.begin("r", 0.0, warmup_s)
    master.begin("r", 0.0, warmup_s)
    return worker, master


def ask(recorder: Recorder, times: int, latency_us: int = 1000) -> None:
    for _ in range(times):
        recorder.operation("WS", "ask", latency_us, 10)
        recorder.push("news", 5)
        recorder.traffic.messages_sent += 1


def test_what_a_worker_counted_before_it_knew_of_the_reset_comes_back_in_no_figure() -> None:
    worker, master = worker_and_master()
    ask(worker, 5)
    on_its_way = worker.drain(1.0)
    ask(worker, 3)  # not drained when the master resets
    epoch = master.reset(1.1)
    assert master.merge(on_its_way)
    still_old = worker.drain(1.2)
    assert master.merge(still_old)
    ask(worker, 2)
    worker.reset(1.3, epoch)
    ask(worker, 7)
    worker.started("WS", "open")
    assert master.merge(worker.drain(2.0, final=True))
    master.end(2.1)
    snapshot = master.snapshot(3.0)
    counts = {each.name: (each.ok, each.in_flight) for each in snapshot.operations}
    assert counts == {"ask": (7, 0), "open": (0, 1)}
    assert snapshot.traffic.messages_sent == 7
    assert snapshot.pushes_received == 7
    assert snapshot.run.complete
    assert snapshot.run.duration_s == 1.0
    assert [(row.start_s, row.finished) for row in snapshot.timeline] == [(1, 7)], "seconds count from the start"


def test_what_ended_between_a_drain_and_the_reset_is_not_in_flight_for_ever() -> None:
    worker, master = worker_and_master()
    for name in ("ends before", "goes on"):
        worker.started("WS", name)
    before = worker.drain(1.0)
    master.merge(before)
    worker.operation("WS", "ends before", 1, 0, was_started=True)
    worker.reset(1.5, master.reset(1.4))
    master.merge(worker.drain(2.0))
    assert {each.name: each.in_flight for each in master.snapshot(2.0).operations} == {"goes on": 1}


def test_a_reset_after_the_run_leaves_nothing_and_the_run_ended() -> None:
    recorder = Recorder()
    recorder.begin("r", 0.0)
    ask(recorder, 5)
    recorder.end(3.0)
    recorder.reset(10.0)
    snapshot = recorder.snapshot(20.0)
    assert (snapshot.finished, snapshot.run.duration_s, snapshot.run.complete) == (0, 0.0, True)


def test_the_peak_of_open_connections_begins_anew_too() -> None:
    worker, master = worker_and_master()
    for _ in range(5):
        worker.connection_state(None, "open")
    for _ in range(3):
        worker.connection_state("open", None)
    late = worker.drain(1.0)
    epoch = master.reset(1.0)
    master.merge(late)
    worker.reset(1.1, epoch)
    master.merge(worker.drain(2.0))
    assert master.snapshot(2.0).connections.peak_open == 2


def test_a_warm_up_is_kept_apart_and_both_parts_add_up() -> None:
    worker, master = worker_and_master(warmup_s=3.0)
    worker.connection_state(None, "open")
    ask(worker, 4, latency_us=900_000)
    worker.started("WS", "long")
    master.merge(worker.drain(1.0))
    ask(worker, 2)
    during = master.snapshot(2.0)
    assert during.operations == () or all(not each.finished for each in during.operations)
    assert during.run.duration_s == 0
    assert during.warmup is not None
    assert during.warmup.duration_s == 2.0
    master.merge(worker.end_warmup(3.0))
    master.merge(master.end_warmup(3.0))
    ask(worker, 10)
    worker.operation("WS", "long", 2_000_000, 1, was_started=True)
    master.merge(worker.drain(4.0, final=True))
    master.end(5.0)
    snapshot = master.snapshot(9.0)
    assert snapshot.warmup is not None
    assert {each.name: each.ok for each in snapshot.warmup.operations} == {"ask": 6}
    assert {each.name: (each.ok, each.in_flight) for each in snapshot.operations} == {"ask": (10, 0), "long": (1, 0)}
    assert snapshot.operations[0].latency.max_us == 1000, "slow first requests are in no figure"
    assert snapshot.warmup.traffic.messages_sent + snapshot.traffic.messages_sent == 16
    assert (snapshot.warmup.pushes[0].received, snapshot.pushes[0].received) == (6, 10)
    assert snapshot.run.duration_s == 2.0
    assert (snapshot.warmup.connections.peak_open, snapshot.connections.peak_open) == (1, 1)
    assert [row.warmup for row in snapshot.timeline] == [row.start_s < 3 for row in snapshot.timeline]


def test_a_process_on_its_own_warms_up_the_same_way() -> None:
    recorder = Recorder()
    recorder.begin("r", 0.0, 2.0)
    recorder.watch(2)
    ask(recorder, 3)
    recorder.tick(1.0)
    ask(recorder, 4)
    assert recorder.snapshot(1.5).finished == 0
    warming = recorder.snapshot(1.5).warmup
    assert warming is not None
    assert sum(each.ok for each in warming.operations) == 7
    recorder.merge(recorder.end_warmup(2.0))
    recorder.tick(2.0)
    ask(recorder, 5)
    for now in (3.0, 4.0):
        recorder.tick(now)
    assert recorder.window(2).finished == 5, "windows hold nothing of the warm-up"
    recorder.end(4.0)
    snapshot = recorder.snapshot(4.0)
    assert snapshot.finished == 5
    assert snapshot.run.duration_s == 2.0
    assert snapshot.warmup is not None
    assert sum(each.ok for each in snapshot.warmup.operations) == 7


def busy(recorder: Recorder, first: int, last: int) -> None:
    for start_s in range(first, last):
        recorder.generator_period(start_s, 1.0, 200_000, lags(*[80] * 20))


def test_a_bottleneck_is_judged_where_all_deltas_come_together_and_marks_its_seconds() -> None:
    worker, master = worker_and_master()
    master.began_at(12 * 3600)
    master.label_worker("w", "3")
    busy(worker, 2, 5)
    master.merge(worker.drain(5.0))
    master.tick(6.0)
    assert master.snapshot(6.0).run.valid, "three seconds are tolerated"
    busy(worker, 5, 7)
    master.merge(worker.drain(7.0, final=True))
    master.tick(9.0)
    master.end(10.0)
    snapshot = master.snapshot(10.0)
    assert snapshot.run.invalid_because == ("the generator was the bottleneck in worker 3 from 12:00:02 to 12:00:07",)
    assert [row.start_s for row in snapshot.timeline if not row.valid] == [2, 3, 4, 5, 6]
    (generator,) = snapshot.generators
    assert (generator.worker, generator.bottleneck) == ("3", ((2, 7),))


def test_what_went_wrong_within_the_warm_up_or_before_a_reset_spoils_nothing() -> None:
    for warmup_s, reset_s in ((8.0, None), (0.0, 8.0)):
        recorder = Recorder()
        recorder.begin("r", 0.0, warmup_s)
        busy(recorder, 0, 8)
        recorder.tick(8.0)
        if reset_s is None:
            recorder.merge(recorder.end_warmup(8.0))
        else:
            recorder.reset(reset_s)
        recorder.end(10.0)
        assert recorder.snapshot(10.0).run.valid


def test_send_lateness_belongs_to_its_second() -> None:
    recorder = Recorder()
    recorder.begin("r", 0.0)
    recorder.sent_late(300)
    recorder.sent_late(500)
    recorder.generator_period(0.0, 1.0, 0, lags(1))
    recorder.sent_late(900)
    recorder.generator_period(1.0, 1.0, 0, lags(1))
    recorder.end(2.0)
    (generator,) = recorder.snapshot(2.0).generators
    assert (generator.lateness.count, generator.lateness.max_us) == (3, 900)
    assert [row.lateness_p99_us for row in generator.rows] == [500, 900]


def test_a_generators_seconds_epoch_and_warm_up_travel() -> None:
    recorder = Recorder(worker="w")
    recorder.begin("r", 0.0, 5.0)
    recorder.sent_late(70)
    recorder.generator_period(0.25, 1.0, 123_456, lags(1, 2, 300))
    ask(recorder, 1)
    recorder.reset(0.5, 4)
    ask(recorder, 1)
    sent = recorder.drain(1.25)
    (blob,) = pack(sent)
    assert unpack(blob) == sent
    assert (sent.epoch, sent.warmup, len(sent.generator)) == (4, True, 1)
    assert unpack(pack(Delta("r", "w", 0))[0]) == Delta("r", "w", 0)


def test_every_drain_is_shown_to_who_asked_for_it() -> None:
    recorder = Recorder()
    seen: list[int] = []
    recorder.on_drain = lambda delta: seen.append(sum(push.received for push in delta.pushes))
    recorder.begin("r", 0.0)
    ask(recorder, 2)
    recorder.tick(1.0)
    ask(recorder, 3)
    recorder.reset(1.5)  # what a reset forgets is shown to nobody
    ask(recorder, 4)
    recorder.end(2.0)
    assert seen == [2, 4]


def test_a_repeated_delta_adds_no_second_of_a_generator() -> None:
    worker, master = worker_and_master()
    busy(worker, 0, 1)
    delta = worker.drain(1.0)
    assert master.merge(delta)
    assert not master.merge(delta)
    assert not master.merge(replace(delta, run_id="another", seq=1))
    (generator,) = master.snapshot(2.0).generators
    assert generator.seconds == 1.0


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("work"), st.integers(0, 2), st.integers(1, 3)),
        st.tuples(st.just("drain"), st.integers(0, 1), st.just(0)),
        st.tuples(st.just("deliver"), st.integers(0, 3), st.just(0)),
        st.tuples(st.just("pass"), st.integers(0, 4), st.integers(0, 9)),
        st.tuples(st.just("reset"), st.just(0), st.just(0)),
        st.tuples(st.just("tell"), st.integers(0, 1), st.just(0)),
        st.tuples(st.just("lose"), st.integers(0, 1), st.just(0)),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=150)
@given(STEPS, st.booleans(), st.sampled_from([0.0, 3.5]))
def test_rows_add_up_to_the_totals_whatever_is_reset_late_or_lost(
    steps: list[tuple[str, int, int]], is_clock_told: bool, warmup_s: float
) -> None:
    """Two workers and the master's own counts; deltas come late and in another order, and workers learn of a reset late."""
    master = Recorder()
    master.begin("r", 0.0, warmup_s)
    workers = [Recorder(worker="w0"), Recorder(worker="w1")]
    for worker in workers:
        worker.begin("r", 0.0, warmup_s)
    under_way: list[Delta] = []
    now, epoch, told = 0.0, 0, [0, 0]
    has_warmed_up = warmup_s == 0

    def deliver(delta: Delta) -> None:
        assert master.merge(delta, now if is_clock_told else None)

    for what, which, more in steps:
        match what:
            case "work":
                ask((*workers, master)[which], more)
            case "drain":
                under_way.append(workers[which].drain(now))
            case "deliver" if under_way:
                deliver(under_way.pop(which % len(under_way)))
            case "pass":
                now += which + more / 10
                if not has_warmed_up and now >= warmup_s:
                    has_warmed_up = True
                    under_way += [worker.end_warmup(now) for worker in workers]
                    master.merge(master.end_warmup(now))
                master.tick(now)
            case "reset":
                epoch = master.reset(now)
            case "tell" if told[which] < epoch:
                workers[which].reset(now, epoch)
                told[which] = epoch
            case "lose":
                master.mark_lost(f"w{which}")
    stopped = now
    now += 0.7
    for delta in [*under_way, *(worker.drain(now, final=True) for worker in workers)]:
        deliver(delta)
    master.end(now + 0.1, stopped)
    snapshot = master.snapshot(now + 5)
    warmup = snapshot.warmup
    of_warmup = [warmup.traffic.messages_sent, sum(push.received for push in warmup.pushes)] if warmup else [0, 0]
    assert sum(row.messages_sent for row in snapshot.timeline) == snapshot.traffic.messages_sent + of_warmup[0]
    assert sum(row.pushes_received for row in snapshot.timeline) == snapshot.pushes_received + of_warmup[1]
    finished = snapshot.finished + (sum(each.finished for each in warmup.operations) if warmup else 0)
    assert sum(row.finished for row in snapshot.timeline) == finished
    starts = [row.start_s for row in snapshot.timeline]
    assert starts == list(range(starts[0], starts[0] + len(starts))) if starts else finished == 0


def test_a_reset_with_workers_leaves_no_empty_second_and_no_operation_outside_the_rows() -> None:
    worker, master = worker_and_master()
    for now in (1.0, 2.0):
        ask(worker, 300)
        master.merge(worker.drain(now), now)
        master.tick(now + 0.01)
    ask(worker, 100)
    on_its_way = worker.drain(2.5)
    epoch = master.reset(2.5)
    master.merge(on_its_way, 2.52)
    worker.reset(2.55, epoch)
    for now in (3.5, 4.5):
        ask(worker, 300)
        master.merge(worker.drain(now), now)
        master.tick(now + 0.01)
    master.merge(worker.drain(4.6, final=True), 4.6)
    master.end(4.7, stopped=4.55)
    snapshot = master.snapshot(5.0)
    assert [(row.start_s, row.finished) for row in snapshot.timeline] == [(3, 300), (4, 300)]
    assert snapshot.finished == 600
    assert snapshot.run.duration_s == pytest.approx(2.1)
