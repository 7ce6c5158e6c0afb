"""Samples of the resource monitor: figures, bounded history, windows, merge, and when they count."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st

from locust_ext.core.accounting import Recorder, wire
from locust_ext.core.accounting.resources import MAX_METRICS, MAX_SAMPLES, MAX_SOURCES, Keeping, Resources
from locust_ext.model import GENERATOR, MASTER, TARGET, ResourceFigures, ResourceSample, ResourceStats, Snapshot


def begun(**keeping: float | None) -> Recorder:
    recorder = Recorder()
    recorder.keep_resources(Keeping(**keeping))  # type: ignore[arg-type]
    recorder.begin("run", 100.0)
    return recorder


def of(snapshot: Snapshot, side: str = TARGET, source: str = "pid 1") -> ResourceStats:
    return next(stats for stats in snapshot.resources if (stats.side, stats.source) == (side, source))


def test_figures_are_those_of_all_samples_of_the_run() -> None:
    recorder = begun()
    for number, value in enumerate([5.0, -1.0, 8.0, 4.0]):
        recorder.resource(TARGET, "pid 1", 101.0 + number, {"cpu_percent": value})
    (figures,) = of(recorder.snapshot(110.0)).figures
    recorder.end(110.0)
    assert figures.count == 4
    assert of(recorder.snapshot(110.0)).figures == (ResourceFigures("cpu_percent", 4, 4.0, 4.0, -1.0, 8.0, 4.5),)
    assert [sample.at_s for sample in of(recorder.snapshot(110.0)).samples] == [1.0, 2.0, 3.0, 4.0]


def test_what_could_not_be_read_is_absent_and_what_is_no_number_is_left_out() -> None:
    recorder = begun()
    recorder.resource(TARGET, "pid 1", 101.0, {"a": 1.0, "b": float("nan"), "c": float("inf"), "d": 1e300})
    recorder.resource(TARGET, "pid 1", 102.0, {"b": 2.0})
    assert {each.metric: each.count for each in of(recorder.snapshot(103.0)).figures} == {"a": 1, "b": 1}


def test_sources_come_in_the_order_of_workers_then_the_master_then_the_target() -> None:
    recorder = begun()
    for side, source in ((TARGET, "port 80"), (GENERATOR, "w10"), (TARGET, "pid 1"), (MASTER, ""), (GENERATOR, "w9")):
        recorder.resource(side, source, 101.0, {"cpu_percent": 1.0})
    recorder.label_worker("w9", "9")
    recorder.label_worker("w10", "10")
    assert [(each.side, each.source) for each in recorder.snapshot(102.0).resources] == [
        *((GENERATOR, "9"), (GENERATOR, "10"), (MASTER, ""), (TARGET, "pid 1"), (TARGET, "port 80")),
    ]


def test_samples_count_only_while_the_run_is_on_and_a_reset_keeps_them() -> None:
    recorder = begun()
    recorder.resource(TARGET, "pid 1", 101.0, {"cpu_percent": 1.0}, {"cpu_limit_cores": 2.0})
    recorder.reset(102.0)
    recorder.resource(TARGET, "pid 1", 103.0, {"cpu_percent": 3.0})
    recorder.end(104.0)
    recorder.resource(TARGET, "pid 1", 105.0, {"cpu_percent": 99.0})
    stats = of(recorder.snapshot(106.0))
    assert (stats.figures[0].count, stats.figures[0].max, stats.limits) == (2, 3.0, {"cpu_limit_cores": 2.0})
    recorder.begin("next", 200.0)
    assert recorder.snapshot(201.0).resources == ()


def test_what_is_read_before_the_end_of_the_warm_up_is_in_the_history_and_in_no_figure() -> None:
    recorder = Recorder()
    recorder.begin("run", 100.0, 5.0)
    for now in range(101, 110):
        recorder.resource(TARGET, "pid 1", float(now), {"cpu_percent": float(now)})
    stats = of(recorder.snapshot(110.0))
    assert (stats.figures[0].count, stats.figures[0].min, len(stats.samples)) == (5, 105.0, 9)


def test_a_side_that_there_is_not_is_refused() -> None:
    for recorder in (Recorder(), Recorder(worker="w")):
        with pytest.raises(ValueError, match="expected a side of generator, master, target"):
            recorder.resource("elsewhere", "", 1.0, {"cpu_percent": 1.0})


def test_a_workers_samples_reach_the_master_by_its_name_and_only_what_it_says_of_itself() -> None:
    master, worker = begun(), Recorder(worker="host_1")
    worker.begin("run", 50.0)
    worker.resource(GENERATOR, "", 51.5, {"cpu_percent": 30.0}, {"descriptors_limit": 1024})
    worker.resource(TARGET, "pid 1", 51.5, {"cpu_percent": 99.0})
    delta = worker.drain(52.0)
    assert worker.drain(53.0).samples == ()
    (blob,) = wire.pack(delta)
    assert wire.unpack(blob) == delta
    assert master.merge(wire.unpack(blob))
    assert not master.merge(delta)  # once only
    master.label_worker("host_1", "1")
    (stats,) = master.snapshot(102.0).resources
    assert (stats.side, stats.source, stats.limits) == (GENERATOR, "1", {"descriptors_limit": 1024.0})
    assert stats.figures == (ResourceFigures("cpu_percent", 1, 30.0, 30.0, 30.0, 30.0, 30.0),)


def test_a_worker_that_is_not_drained_keeps_the_latest_samples_only() -> None:
    worker = Recorder(worker="w")
    worker.begin("run", 0.0)
    for number in range(500):
        worker.resource(GENERATOR, "", number / 10, {"n": float(number)})
    samples = worker.drain(50.0).samples
    assert (len(samples), samples[-1].values["n"]) == (200, 499.0)


def test_windows_hold_what_was_read_in_their_seconds() -> None:
    recorder = Recorder()
    recorder.watch(5)
    recorder.begin("run", 100.0)
    for now in range(100, 120):
        recorder.resource(TARGET, "pid 1", now + 0.5, {"cpu_percent": float(now)})
        recorder.tick(now + 1.0)
    stats = of(recorder.window(5))
    assert stats.figures == (ResourceFigures("cpu_percent", 5, 119.0, 117.0, 115.0, 119.0, 117.0),)
    assert (stats.samples, stats.trends, stats.leak) == ((), (), None)
    assert of(recorder.window(None)).figures[0].count == 20


def test_a_source_that_is_read_seldom_is_current_until_its_next_sample_is_overdue() -> None:
    recorder = Recorder()
    recorder.watch(5)
    recorder.begin("run", 100.0)
    values = []
    for now in range(100, 190):
        if now in (110, 130):
            recorder.resource(TARGET, "pid 1", float(now), {"cpu_percent": float(now)})
        recorder.tick(now + 0.5)
        stats = recorder.window(5).resources
        values.append(stats[0].value("cpu_percent") if stats else None)
    assert values[20] is None  # the interval is not known yet
    assert values[31] == values[60] == values[83] == 130.0
    assert values[86] is None


def test_a_window_of_one_worker_holds_its_samples_alone() -> None:
    recorder = Recorder()
    recorder.watch(5, by_worker=True)
    recorder.begin("run", 100.0)
    for name, value in (("a", 10.0), ("b", 90.0)):
        worker = Recorder(worker=name)
        worker.begin("run", 100.0)
        worker.resource(GENERATOR, "", 100.5, {"cpu_percent": value})
        recorder.merge(worker.drain(101.0))
        recorder.label_worker(name, f"{name}!")
    recorder.resource(TARGET, "pid 1", 100.5, {"cpu_percent": 50.0})
    recorder.tick(101.0)
    for label, value in (("a!", 10.0), ("b!", 90.0)):
        for length_s in (5, None):
            (stats,) = recorder.window(length_s, label).resources
            assert (stats.source, stats.value("cpu_percent")) == (label, value)


def test_the_history_is_bounded_and_joins_the_oldest_while_extremes_and_averages_stay() -> None:
    recorder = begun(history=100)
    for number in range(5000):
        recorder.resource(
            TARGET, "pid 1", 100 + number * 0.1, {"n": float(number), "odd": -1e6 if number == 7 else 1.0}
        )
    recorder.end(700.0)
    stats = of(recorder.snapshot(700.0))
    figures = {each.metric: each for each in stats.figures}
    assert len(stats.samples) == 100
    times = [sample.at_s for sample in stats.samples]
    assert times == sorted(times)
    assert (figures["n"].count, figures["n"].min, figures["n"].max, figures["n"].average) == (5000, 0.0, 4999.0, 2499.5)
    assert figures["odd"].min == -1e6
    # The newer half is as it was read; the older one is even over the whole run.
    assert [sample.values["n"] for sample in stats.samples[50:]] == [float(number) for number in range(4950, 5000)]
    gaps = [after - before for before, after in pairwise(times[:50])]
    assert max(gaps) < 3 * 495 / 50
    assert stats.samples[0].values["n"] == pytest.approx(stats.samples[0].at_s * 10)
    trend = next(trend for trend in stats.trends if trend.metric == "n")
    assert (trend.verdict, trend.slope_per_min) == ("increasing", pytest.approx(600.0, rel=0.01))


def test_samples_that_are_too_old_leave_the_history_and_stay_in_the_figures() -> None:
    recorder = begun(max_age_s=10.0)
    for now in range(100, 160):
        recorder.resource(TARGET, "pid 1", float(now), {"n": 1.0})
    stats = of(recorder.snapshot(160.0))
    assert (len(stats.samples), stats.samples[0].at_s, stats.figures[0].count) == (11, 49.0, 60)


def test_the_number_of_sources_metrics_and_samples_is_bounded_with_one_warning() -> None:
    warnings: list[str] = []
    resources = Resources(warnings.append)
    resources.clear(Keeping(), 0.0)
    for number in range(MAX_SOURCES + 5):
        for second in range(60):
            resources.add(ResourceSample(GENERATOR, f"w{number}", float(second), {"cpu_percent": 1.0}))
    assert len(warnings) == 1
    stats = resources.stats({}, False)
    assert len(stats) == MAX_SOURCES
    assert sum(len(each.samples) for each in stats) <= 3 * MAX_SAMPLES
    recorder = begun()
    for start in (0, 50):
        recorder.resource(TARGET, "pid 1", 101.0, {f"m{start + number}": 1.0 for number in range(200)})
    assert len(of(recorder.snapshot(102.0)).figures) == MAX_METRICS


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4))
def test_any_order_of_the_same_samples_gives_the_same_figures(seed: int, sources: int) -> None:
    rng = random.Random(seed)
    samples = [
        ResourceSample(GENERATOR, f"w{rng.randrange(sources)}", float(at), {"a": float(rng.randrange(100)), "b": 2.0})
        for at in range(60)
    ]
    shuffled = samples[:]
    rng.shuffle(shuffled)
    told = []
    for order in (samples, shuffled):
        resources = Resources(lambda _: None)
        resources.clear(Keeping(), 0.0)
        for sample in order:
            resources.add(sample)
        told.append(resources.stats({}, True))
    assert told[0] == told[1]


def test_figures_of_any_period_can_be_had() -> None:
    resources = Resources(lambda _: None)
    resources.clear(Keeping(), 0.0)
    for at in range(20):
        resources.add(ResourceSample(TARGET, "pid 1", float(at), {"n": float(at)}))
    (stats,) = resources.figures(5.0, 9.0, {})
    assert stats.figures == (ResourceFigures("n", 5, 9.0, 7.0, 5.0, 9.0, 7.0),)


def test_trends_and_the_leak_verdict_of_a_live_run_follow_soon_and_are_exact_at_its_end() -> None:
    recorder = begun()
    for now in range(100, 170):
        for source in ("pid 1", "pid 2"):
            memory = 5e7 + (1e5 * (now - 100) if source == "pid 2" else 0)
            recorder.resource(TARGET, source, float(now), {"memory_bytes": memory})
        live = recorder.snapshot(float(now))
    assert of(live, source="pid 2").trends[0].verdict == "increasing"
    recorder.end(170.0)
    ended = recorder.snapshot(171.0)
    leaks = {stats.source: stats.leak.verdict for stats in ended.resources if stats.leak is not None}
    assert leaks == {"pid 1": "flat", "pid 2": "leak likely"}
    assert of(ended).figures[0].median == 5e7
