"""What the rules cost: one evaluation of 100 rules over windows of 50 operations, once a second in the master.

Run: `python -m benchmarks.rules`; ends with 1 if a limit is missed. CPU time, median of several rounds; the windows are
given, what it costs to keep them is `benchmarks.recorder`'s.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

from locust_ext.core.accounting.histogram import Histogram
from locust_ext.core.alerts.evaluator import MAX_ALERTS, Evaluator
from locust_ext.core.alerts.rules import Rule
from locust_ext.core.alerts.where import Where
from locust_ext.model import (
    GENERATOR,
    ConnectionStats,
    OperationStats,
    ResourceFigures,
    ResourceStats,
    RunInfo,
    Second,
    Snapshot,
)

ROUNDS = 15
OPERATIONS = 50
SAMPLES = {"1,000 operations a second": 200, "5,000 operations a second": 1000}
"""Of each operation in a window, at about that rate in a window of ten seconds."""
WORKERS = tuple(str(number) for number in range(1, 9))
BUDGET_MS = {"1,000 operations a second": 5.0}
"""At five times the load the cost is shown: no process of Locust's makes it, many workers do."""
WINDOWS_S = (10, 30)


def window(length_s: int, samples: int) -> Snapshot:
    """What a busy run leaves in a window: each operation with some hundred buckets."""
    rng = random.Random(length_s)
    operations = []
    for number in range(OPERATIONS):
        histogram = Histogram()
        for _ in range(samples):
            histogram.record(int(rng.lognormvariate(8.5, 1.0)))
        operations.append(
            OperationStats(
                "WS", f"name {number:02}", ok=samples, timed_out=3, errors={"timeout": 3}, latency=histogram.freeze()
            )
        )
    figures = {"cpu_percent": 40.0, "memory_bytes": 2e8, "descriptors": 500.0, "loop_lag_p99_ms": 2.0}
    return Snapshot(
        run=RunInfo(duration_s=float(length_s), users=100),
        operations=tuple(operations),
        connections=ConnectionStats({"open": 100}),
        timeline=tuple(Second(second, open_connections=100, in_flight=7) for second in range(length_s)),
        resources=tuple(
            ResourceStats(
                GENERATOR, worker, tuple(ResourceFigures(name, 10, *[value] * 5) for name, value in figures.items())
            )
            for worker in WORKERS
        ),
    )


def rules() -> list[Rule]:
    """A hundred: percentiles and errors of single operations and of all, rates, gauges, and each worker's resources."""
    whole = {
        "latency_p50": "50ms",
        "latency_p95": "100ms",
        "latency_p99": "200ms",
        "latency_average": "50ms",
        "latency_max": "2s",
        "service_p95": "100ms",
        "error_ratio": "5 %",
        "errors": "1000",
        "rate": "1000000/s",
        "connections_open": "500",
        "in_flight": "100",
        "messages_received_rate": "100000/s",
        "generator.cpu_percent": "70 %",
        "generator.memory_bytes": "500MB",
        "generator.descriptors": "1000",
        "loop_lag_p99": "50ms",
    }
    made = [
        Rule(f"{metric} in {length_s} s", metric, window_s=length_s).with_limit("critical", limit)
        for length_s in WINDOWS_S
        for metric, limit in whole.items()
    ]
    for number in range((100 - len(made)) // 2 + 1):
        where = Where(types=("WS",), name=f"name {number:02}")
        made.append(Rule(f"p95 of {number}", "latency_p95", where).with_limit("critical", "100ms"))
        made.append(Rule(f"errors of {number}", "error_ratio", where).with_limit("critical", "5 %"))
    return made[:100]


def median_ms(step: Callable[[int], object]) -> float:
    times = []
    for number in range(ROUNDS):
        start = time.process_time_ns()
        step(number)
        times.append((time.process_time_ns() - start) / 1e6)
    return statistics.median(times)


def evaluations_ms(samples: int) -> dict[str, float]:
    """What one evaluation costs while all is well, and while every limit is broken."""
    windows = {length_s: window(length_s, samples) for length_s in WINDOWS_S}
    found = {}
    for name, chosen in (("all is well", rules()), ("every limit is broken", [_broken(rule) for rule in rules()])):
        evaluator = Evaluator(chosen)
        asked: list[int | None] = []

        def of(length_s: int | None, worker: str | None, asked: list[int | None] = asked) -> Snapshot:
            asked.append(length_s)
            assert length_s is not None
            return windows[length_s]

        found[name] = median_ms(partial(_evaluate, evaluator, of))
        assert len(asked) == ROUNDS * len(WINDOWS_S)
    return found


def _evaluate(evaluator: Evaluator, of: Callable[[int | None, str | None], Snapshot], second: int) -> None:
    evaluator.evaluate(float(second), of, WORKERS)


def alerts_ms() -> float:
    """What it costs to tell a thousand alerts that fire."""
    evaluator = Evaluator([Rule("many", "generator.descriptors").with_limit("critical", 1)])
    crowd = Snapshot(
        resources=tuple(
            ResourceStats(GENERATOR, str(number), (ResourceFigures("descriptors", 1, *[9.0] * 5),))
            for number in range(MAX_ALERTS)
        )
    )
    evaluator.evaluate(0.0, lambda length_s, worker: crowd, WORKERS)
    assert len(evaluator.alerts) == MAX_ALERTS
    return median_ms(lambda _: evaluator.alerts)


def _broken(rule: Rule) -> Rule:
    return rule.with_limit("critical", 0) if not rule.metric.startswith("messages") else rule


def main() -> None:
    missed = []

    def show(what: str, cost: float, limit: float | None) -> None:
        is_met = limit is None or cost <= limit
        words = "" if limit is None else f"  (at most {limit:g}){'' if is_met else '  MISSED'}"
        print(f"{what:<56}{cost:>8.2f} ms{words}")
        if not is_met:
            missed.append(what)

    print(f"100 rules over windows of {' and '.join(map(str, WINDOWS_S))} s with {OPERATIONS} operations")
    for load, samples in SAMPLES.items():
        for name, cost in evaluations_ms(samples).items():
            show(f"{load}, {name}", cost, BUDGET_MS.get(load))
    show("1,000 alerts that fire, as data", alerts_ms(), None)
    if missed:
        sys.exit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
