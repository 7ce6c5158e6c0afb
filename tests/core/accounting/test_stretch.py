"""The stretch: closed seconds from a moment on, of all processes, apart from what was before."""

from __future__ import annotations

import random

from hypothesis import given, settings, strategies as st

from locust_ext.core.accounting import Recorder
from locust_ext.core.accounting.stretch import StretchSoFar
from locust_ext.model import GENERATOR, TARGET, Distribution


def local() -> Recorder:
    recorder = Recorder()
    recorder.begin("r", 100.0)
    return recorder


def asks(recorder: Recorder, count: int, latency_us: int = 1000, outcome: str = "ok") -> None:
    for _ in range(count):
        recorder.operation("WS", "ask", latency_us, 7, outcome)


def finished(stretch: StretchSoFar) -> int | None:
    return None if stretch.snapshot is None else stretch.snapshot.finished


def between(stretch: StretchSoFar) -> tuple[float, float]:
    return stretch.from_s, stretch.to_s


def lag(latency_us: int, count: int = 40) -> Distribution:
    recorder = Recorder()
    asks(recorder, count, latency_us)
    return recorder.snapshot(0.0).operations[0].latency


def test_it_has_what_ended_since_it_began_and_nothing_of_what_was_before() -> None:
    recorder = local()
    assert recorder.stretch() == StretchSoFar(0.0, {})
    asks(recorder, 50, 900_000)
    recorder.tick(101.0)
    recorder.begin_stretch()
    assert recorder.stretch() == StretchSoFar(1.0, {})
    asks(recorder, 3, 2_000)
    recorder.tick(102.0)
    asks(recorder, 4, 4_000, "timed_out")
    asks(recorder, 2, 8_000)
    recorder.started("WS", "ask")
    recorder.connection_state(None, "connecting")
    recorder.tick(103.0)
    stretch = recorder.stretch()
    assert (finished(stretch), between(stretch), stretch.now_s) == (9, (1.0, 3.0), 3.0)
    assert stretch.states == {"connecting": 1}
    assert stretch.snapshot is not None
    (ask,) = stretch.snapshot.operations
    assert (ask.ok, ask.timed_out, ask.in_flight, ask.latency.count, ask.latency.max_us) == (5, 4, 1, 5, 8_000)
    assert stretch.snapshot.run.duration_s == 2.0
    assert [(row.start_s, row.finished) for row in stretch.snapshot.timeline] == [(1, 3), (2, 6)]
    recorder.begin_stretch()
    asks(recorder, 1, 1_500)
    recorder.tick(104.0)
    assert (finished(recorder.stretch()), between(recorder.stretch())) == (1, (3.0, 4.0))
    assert recorder.snapshot(104.0).finished == 60, "what was counted elsewhere is not touched"


def test_its_connects_may_go_back_further_and_have_nothing_else() -> None:
    recorder = local()
    recorder.operation("CONNECT", "/ws", 5_000, 0)
    recorder.tick(101.0)
    recorder.begin_connects()
    assert recorder.stretch().connects is None
    for now in (102.0, 103.0, 104.0):
        recorder.begin_stretch()
        asks(recorder, 7, 2_000)
        recorder.operation("CONNECT", "/ws", 5_000, 0)
        recorder.operation("CONNECT", "/ws", None, 0, "failed", "refused")
        recorder.tick(now)
    stretch = recorder.stretch()
    assert stretch.connects is not None
    (connect,) = stretch.connects.operations
    assert (connect.type, connect.ok, connect.failed, dict(connect.errors)) == ("CONNECT", 3, 3, {"refused": 3})
    assert stretch.connects.run.duration_s == 3.0
    assert (finished(stretch), between(stretch)) == (9, (3.0, 4.0))
    recorder.begin_connects()
    assert recorder.stretch().connects is None


def test_a_second_that_is_more_than_half_over_is_not_its_first() -> None:
    """Of a process on its own what ends between two ticks is counted in the second that has the most of it."""
    for late_s, first in ((0.003, 1), (0.4, 1), (0.6, 2), (0.9, 2)):
        recorder = local()
        asks(recorder, 100)
        recorder.tick(101.0 + late_s)
        recorder.begin_stretch()
        for second in range(2, 5):
            asks(recorder, 1)
            recorder.tick(100.0 + second)
        stretch = recorder.stretch()
        assert between(stretch) == (first, 4.0), late_s
        assert finished(stretch) == (3 if first == 1 else 2), late_s


def test_it_waits_for_the_slowest_worker() -> None:
    master = Recorder()
    master.begin("r", 0.0)
    one, two = workers = [Recorder(worker=name) for name in ("w1", "w2")]
    for worker in workers:
        worker.begin("r", 0.0)
        master.merge(worker.drain(0.0), 0.0)
    master.begin_stretch()
    for now in (1.0, 2.0, 3.0):
        for worker in workers:
            asks(worker, 5)
        master.merge(one.drain(now), now)
        if now < 3.0:
            master.merge(two.drain(now), now)
        master.tick(now + 0.01)
    assert (finished(master.stretch()), between(master.stretch())) == (20, (0.0, 2.0))
    master.merge(two.drain(3.0), 3.1)
    master.tick(4.0)
    assert (finished(master.stretch()), between(master.stretch())) == (30, (0.0, 3.0))


def test_on_a_master_it_has_no_second_that_had_begun_long_before_it() -> None:
    """Seconds close there when the last worker has reported: the next one that closes may be over already."""
    master, worker = Recorder(), Recorder(worker="w")
    for recorder in (master, worker):
        recorder.begin("r", 0.0)
    for now in (1.0, 2.0, 3.0):
        asks(worker, 100)
        delta = worker.drain(now)
        master.tick(now + 0.01)
        if now == 3.0:
            master.begin_stretch()  # of the worker's third second nothing has come
        master.merge(delta, now + 0.02)
    asks(worker, 1)
    master.merge(worker.drain(4.0), 4.0)
    master.tick(4.01)
    assert (finished(master.stretch()), between(master.stretch())) == (1, (3.0, 4.0))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(0, 8))
def test_any_split_over_workers_gives_the_same_stretch(seed: int, workers: int, begin: int) -> None:
    rng = random.Random(seed)
    master, whole = Recorder(), Recorder()
    split = [Recorder(worker=f"w{number}") for number in range(workers)]
    for recorder in (master, whole, *split):
        recorder.begin("r", 0.0)
    for second in range(10):
        if second == begin:
            master.begin_stretch()
            whole.begin_stretch()
        for _ in range(rng.randrange(6)):
            sample = ("WS", rng.choice("ab"), rng.randrange(5_000_000), 9, rng.choice(["ok", "failed", "timed_out"]))
            rng.choice(split).operation(*sample)
            whole.operation(*sample)
        deltas = [worker.drain(second + 1.0) for worker in split]
        rng.shuffle(deltas)
        assert all(master.merge(delta) for delta in deltas)
        whole.tick(second + 1.0)
        master.tick(second + 1.0)
    merged, alone = master.stretch(), whole.stretch()
    assert between(merged) == between(alone) == (begin, 10.0)
    assert merged.snapshot is not None
    assert alone.snapshot is not None
    assert merged.snapshot.operations == alone.snapshot.operations


def test_a_reset_restarts_it_and_a_new_run_has_none() -> None:
    recorder = local()
    recorder.begin_stretch()
    asks(recorder, 5)
    recorder.tick(101.0)
    recorder.reset(101.5)
    assert recorder.stretch().snapshot is None
    asks(recorder, 7)
    recorder.tick(102.0)
    asks(recorder, 2)
    recorder.tick(103.0)
    assert (finished(recorder.stretch()), between(recorder.stretch())) == (2, (2.0, 3.0))
    recorder.begin("s", 200.0)
    asks(recorder, 1)
    recorder.tick(201.0)
    assert recorder.stretch() == StretchSoFar(1.0, {})


def test_the_warm_up_is_in_none() -> None:
    recorder = Recorder()
    recorder.begin("r", 0.0, warmup_s=2.0)
    recorder.begin_stretch()
    for now in (1.0, 2.0, 3.0, 4.0):
        asks(recorder, int(now))
        if now == 2.0:
            recorder.merge(recorder.end_warmup(now))
        recorder.tick(now)
    assert (finished(recorder.stretch()), between(recorder.stretch())) == (7, (2.0, 4.0))


def test_it_has_the_resources_of_its_own_time() -> None:
    recorder = local()
    for second in range(1, 7):
        recorder.resource(TARGET, "pid 1", 100.0 + second - 0.5, {"cpu_percent": 10.0 * second})
        recorder.tick(100.0 + second)
        if second == 3:
            recorder.begin_stretch()
    snapshot = recorder.stretch().snapshot
    assert snapshot is not None
    (target,) = snapshot.resources
    (cpu,) = target.figures
    assert (cpu.count, cpu.average, cpu.max) == (3, 50.0, 60.0)
    assert GENERATOR not in [each.side for each in snapshot.resources]


def test_it_says_whether_a_generator_was_its_own_limit_within_it() -> None:
    recorder = local()

    def second(number: int, lag_us: int) -> None:
        recorder.generator_period(number, 1.0, 10_000, lag(lag_us))
        recorder.tick(101.0 + number)

    recorder.begin_stretch()
    for number in range(3):
        second(number, 1_000)
    assert not recorder.stretch().is_bottleneck
    second(3, 400_000)
    assert not recorder.stretch().is_bottleneck, "a second in four is tolerated"
    for number in range(4, 7):
        second(number, 400_000)
    assert recorder.stretch().is_bottleneck
    recorder.begin_stretch()
    second(7, 1_000)
    second(8, 1_000)
    assert not recorder.stretch().is_bottleneck, "it was over before the stretch began"
    recorder.begin_stretch()
    second(9, 400_000)
    second(10, 400_000)
    assert recorder.stretch().is_bottleneck, "of two seconds both"
