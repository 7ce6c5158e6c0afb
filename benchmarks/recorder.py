"""What recording costs: CPU a call (median of several rounds, the empty loop taken off), longest step, and memory.

Run: `python -m benchmarks.recorder`; ends with 1 if a limit is missed.
"""

from __future__ import annotations

import gc
import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import psutil

from locust_ext.core.accounting import Recorder, wire
from locust_ext.model import Delta

CALLS = 100_000
ROUNDS = 7
BUDGET_NS = {
    "operation": 2000,
    "operation, both latencies": 3000,
    "operation over the cap on names": 2000,
    "started": 300,
}
BUDGET_MS = 10.0
SAMPLES = 10_000_000
BUDGET_GROWTH_MB = 1.0
"""Of the process, from one fifth of the samples on: one row of the timeline a second is some 1.5 KB."""


def _ns_per_call(loop: Callable[[], object], calls: int = CALLS, rounds: int = ROUNDS) -> float:
    times = []
    for _ in range(rounds):
        start = time.process_time_ns()
        loop()
        times.append((time.process_time_ns() - start) / calls)
    return statistics.median(times)


def _samples(seed: int = 1) -> list[int]:
    rng = random.Random(seed)
    return [int(rng.lognormvariate(8.5, 1.0)) for _ in range(CALLS)]


def calls_ns() -> dict[str, float]:
    """What each method of the hot path costs, in nanoseconds."""
    samples = _samples()
    recorder = Recorder()
    recorder.begin("bench", 0.0)

    def nothing() -> None:
        for _ in samples:
            pass

    def operation() -> None:
        record = recorder.operation
        for latency_us in samples:
            record("WS", "query", latency_us, 100)

    def both() -> None:
        record = recorder.operation
        for latency_us in samples:
            record("WS", "query", latency_us, 100, "ok", None, latency_us, (), True)

    def failed() -> None:
        record = recorder.operation
        for _ in samples:
            record("WS", "query", None, 0, "timed_out", "timeout")

    def started() -> None:
        start = recorder.started
        for _ in samples:
            start("WS", "query")

    def push() -> None:
        record = recorder.push
        for lag_us in samples:
            record("update", 100, lag_us)

    def connection_state() -> None:
        change = recorder.connection_state
        for _ in samples:
            change("open", "open")

    def traffic() -> None:
        counts = recorder.traffic
        for _ in samples:
            counts.messages_sent += 1

    def over_the_cap() -> None:
        record = recorder.operation
        for number in range(CALLS):
            record("GET", f"/item/{number}", 1000, 100)

    empty = _ns_per_call(nothing)
    loops = {
        "started": started,
        "operation": operation,
        "operation, both latencies": both,
        "operation, failed": failed,
        "push with lag": push,
        "connection_state": connection_state,
        "traffic += 1": traffic,
        "operation over the cap on names": over_the_cap,
    }
    return {name: _ns_per_call(loop) - empty for name, loop in loops.items()}


def _full_recorder(names: int, samples_a_name: int, seed: int) -> Recorder:
    recorder = Recorder(max_names=1000, worker=f"w{seed}")
    recorder.begin("bench", 0.0)
    rng = random.Random(seed)
    for name in range(names):
        for _ in range(samples_a_name):
            latency_us = int(rng.lognormvariate(8.5, 1.0))
            recorder.operation("WS", f"name {name}", latency_us, 100, service_us=latency_us // 2)
    return recorder


def stalls_ms(names: int = 600, samples_a_name: int = 500) -> dict[str, float]:
    """The longest single step of a worker's and of the master's work on deltas of many names, in milliseconds.

    The master has merged one of each name before, so that nothing is new to it any more.
    """
    master = Recorder(max_names=1000)
    master.begin("bench", 0.0)
    found = {}
    for seed in (1, 2):
        worker = _full_recorder(names, samples_a_name, seed)
        gc.collect()
        deltas: list[Delta] = []
        found["drain"] = _ms(partial(_append, deltas, partial(worker.drain, 1.0)))
        blobs: list[bytes] = []
        parts = wire.parts(deltas[0])
        count = len(wire.pack(deltas[0]))
        found["pack, longest blob"] = max(_ms(partial(_append, blobs, partial(next, parts))) for _ in range(count))
        found["unpack and merge, longest blob"] = max(
            _ms(partial(lambda blob: master.merge(wire.unpack(blob)), blob)) for blob in blobs
        )
    found["a second closed by the master"] = _ms(lambda: master.tick(1.0))
    found["snapshot of the master"] = _ms(lambda: master.snapshot(1.0))
    found["blobs"] = len(blobs)
    found["kilobytes"] = sum(map(len, blobs)) / 1000
    return found


WINDOWS_S = (10, 30, 60)


def windows_ms(names: int = 600, samples_a_name: int = 500) -> dict[str, float]:
    """The longest single step of the master where rules look at windows, all of them full, and what a second costs.

    Each second holds so many samples of so many operations: 300,000 a second, beyond what any process or master sees.
    The collector of garbage, whose time is that of the whole process's objects, is set aside.
    """
    master = Recorder(max_names=1000)
    for length_s in WINDOWS_S:
        master.watch(length_s)
    master.begin("bench", 0.0)
    worker = _full_recorder(names, samples_a_name, 1)
    second = worker.drain(1.0)
    found = {"windows: close a second": 0.0, "windows: longest piece of sliding": 0.0, "windows: read one": 0.0}
    whole = 0.0
    for number in range(WINDOWS_S[-1] + 5):
        for part in wire.pack(second) if number == 0 else ():
            master.merge(wire.unpack(part))
        if number:
            master.merge(replace(second, seq=number, from_s=float(number), to_s=number + 1.0))
        longest = dict.fromkeys(found, 0.0)
        if number >= WINDOWS_S[-1]:
            gc.collect()
        longest["windows: close a second"] = _ms(partial(master.tick, number + 1.0))
        pieces = []
        is_left: list[bool] = [True]
        while is_left[-1]:
            pieces.append(_ms(partial(_append, is_left, master.slide)))
        longest["windows: longest piece of sliding"] = max(pieces)
        longest["windows: read one"] = _ms(partial(master.window, WINDOWS_S[-1]))
        if number >= WINDOWS_S[-1]:
            found = {key: max(value, longest[key]) for key, value in found.items()}
            whole = max(whole, sum(pieces))
    gc.collect()
    found["windows: whole run, as a window"] = _ms(partial(master.window, None))
    found["windows: all sliding of a second, in pieces"] = whole
    return found


def _append(found: list[Any], make: Callable[[], Any]) -> None:
    found.append(make())


def _ms(step: Callable[[], object]) -> float:
    start = time.process_time_ns()
    step()
    return (time.process_time_ns() - start) / 1e6


def growth_mb(samples: int = SAMPLES, names: int = 600) -> float:
    """How much the process grows over the last four fifths of so many samples of so many names, all counted in 200 s."""
    latencies = _samples()
    recorder = Recorder(max_names=1000)
    recorder.begin("bench", 0.0)
    record = recorder.operation
    me = psutil.Process()
    keys = [f"name {number}" for number in range(names)]
    seconds = 200
    before_bytes = 0
    for second in range(seconds):
        if second == seconds // 5:
            gc.collect()
            before_bytes = me.memory_info().rss
        for number in range(second * (samples // seconds), (second + 1) * (samples // seconds)):
            latency_us = latencies[number % CALLS]
            record("WS", keys[number % names], latency_us, 100, "ok", None, latency_us)
        recorder.tick(second + 1.0)
    gc.collect()
    assert recorder.snapshot(seconds).finished == samples
    return (me.memory_info().rss - before_bytes) / 1e6


def main() -> None:
    missed = []

    def show(what: str, value: float, unit: str, limit: float | None) -> None:
        is_met = limit is None or value <= limit
        words = "" if limit is None else f"  (at most {limit:,g}){'' if is_met else '  MISSED'}"
        print(f"{what:<56}{value:>8,.1f} {unit}{words}")
        if not is_met:
            missed.append(what)

    for name, cost in calls_ns().items():
        show(name, cost, "ns", BUDGET_NS.get(name))
    for name, value in stalls_ms().items():
        unit = {"blobs": "", "kilobytes": "KB"}.get(name, "ms")
        show(f"600 names x 2 x 500: {name}", value, unit, BUDGET_MS if unit == "ms" else None)
    for name, value in windows_ms().items():
        show(name, value, "ms", None if "in pieces" in name else BUDGET_MS)
    show(f"{SAMPLES:,} samples, 600 names: memory grows by", growth_mb(), "MB", BUDGET_GROWTH_MB)
    if missed:
        sys.exit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
