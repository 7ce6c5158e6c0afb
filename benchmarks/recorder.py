"""What recording costs: nanoseconds of CPU a call, median of several rounds, the empty loop taken off.

Run: `python -m benchmarks.recorder`
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from functools import partial

from locust_ext.core.accounting import Recorder, wire
from locust_ext.model import Delta

CALLS = 100_000
ROUNDS = 7
BUDGET_NS = {"operation": 2000, "operation, both latencies": 3000, "started": 300}


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
    """The longest single step of a worker's and of the master's work on a delta of many names, in milliseconds."""
    worker = _full_recorder(names, samples_a_name, 1)
    master = Recorder(max_names=1000)
    master.begin("bench", 0.0)
    deltas: list[Delta] = []
    found = {"drain": _ms(lambda: deltas.append(worker.drain(1.0)))}
    blobs: list[bytes] = []
    parts = wire.parts(deltas[0])
    count = len(wire.pack(deltas[0]))
    found["pack, longest blob"] = max(_ms(lambda: blobs.append(next(parts))) for _ in range(count))
    found["unpack and merge, longest blob"] = max(
        _ms(partial(lambda blob: master.merge(wire.unpack(blob)), blob)) for blob in blobs
    )
    found["snapshot of the master"] = _ms(lambda: master.snapshot(1.0))
    found["blobs"] = len(blobs)
    found["kilobytes"] = sum(map(len, blobs)) / 1000
    return found


def _ms(step: Callable[[], object]) -> float:
    start = time.process_time_ns()
    step()
    return (time.process_time_ns() - start) / 1e6


def main() -> None:
    for name, cost in calls_ns().items():
        budget = f"  (budget {BUDGET_NS[name]:,})" if name in BUDGET_NS else ""
        print(f"{name:<34}{cost:>8.0f} ns{budget}")
    for name, value in stalls_ms().items():
        unit = "" if name in ("blobs", "kilobytes") else " ms  (budget 10)" if "snapshot" not in name else " ms"
        print(f"600 names x 2 x 500: {name:<32}{value:>8.1f}{unit}")


if __name__ == "__main__":
    main()
