"""Snapshots and rules for the tests of alerts, and windows that can be set to any value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from locust_ext.core.accounting.histogram import Histogram
from locust_ext.core.alerts.evaluator import Evaluator
from locust_ext.core.alerts.rules import Rule
from locust_ext.core.alerts.where import Where
from locust_ext.model import (
    GENERATOR,
    MASTER,
    TARGET,
    AlertEvent,
    ConnectionStats,
    Distribution,
    GeneratorStats,
    OperationStats,
    PushStats,
    RecoveryStats,
    ResourceFigures,
    ResourceStats,
    RunInfo,
    Second,
    Snapshot,
    TrafficStats,
)
from locust_ext.model.search import BAD, FOUND, GOOD, RECOVER, UP, LimitSearch, LoadStep


def times(*samples_us: int) -> Distribution:
    histogram = Histogram()
    for sample_us in samples_us:
        histogram.record(sample_us)
    return histogram.freeze()


def read(side: str, source: str, **averages: float) -> ResourceStats:
    figures = (ResourceFigures(name, 3, value, value, value, value, value) for name, value in averages.items())
    return ResourceStats(side, source, tuple(figures))


def full() -> Snapshot:
    """Ten seconds with every kind of figure, such that no two metrics of a kind have the same value."""
    return Snapshot(
        run=RunInfo(duration_s=10.0, users=40),
        search=LimitSearch(
            FOUND,
            steps=(
                LoadStep(UP, 30, 0.0, 2.0, GOOD),
                LoadStep(UP, 35, 3.0, 2.0, BAD, "p95 > 100 ms"),
                LoadStep(RECOVER, 10, 5.0, 9.0, GOOD, recovered_s=6.0),
            ),
        ),
        operations=(
            OperationStats("ALERT", "cpu", failed=7, errors={"check_failed": 7}),
            OperationStats(
                "CONNECT", "/ws", ok=38, failed=2, errors={"refused": 2}, latency=times(*range(1000, 5000, 100))
            ),
            OperationStats("DROP", "/ws", lost=3, errors={"closed_1006": 3}),
            OperationStats("GET", "/a?b=[1]", ok=20, latency=times(*[90_000] * 20)),
            OperationStats("POOL", "line", ok=10, latency=times(*[9_000_000] * 10)),
            OperationStats("PUSH", "news", ok=1000),
            OperationStats("SEND", "event", ok=100),
            OperationStats(
                "WS",
                "query",
                ("eu",),
                ok=95,
                failed=2,
                timed_out=3,
                in_flight=4,
                errors={"error_reply": 2, "timeout": 3},
                latency=times(*[10_000] * 50, *[20_000] * 45, 400_000, 500_000),
                service=times(*[5_000] * 97),
            ),
        ),
        connections=ConnectionStats(
            states={"open": 30, "waiting": 2},
            reconnects=5,
            inbox_dropped=6,
            recoveries=(RecoveryStats("U", "/ws", times(100_000, 200_000, 900_000), failovers=2),),
        ),
        traffic=TrafficStats(2000, 3000, 40_000, 50_000),
        pushes=(
            PushStats("news", 1000, 9, times(*[3000] * 99, 7000), 100, 98, times(2000, 4000)),
            PushStats("weather", 500),
        ),
        timeline=(
            Second(0, open_connections=10, in_flight=2, users=20),
            Second(1, 3, open_connections=30, in_flight=6, users=40),
            Second(4, open_connections=None, users=40),
        ),
        generators=(
            GeneratorStats("1", lag=times(1000, 2000), lateness=times(300)),
            GeneratorStats("2", lag=times(60_000), lateness=times(800)),
        ),
        resources=(
            read(GENERATOR, "1", **_GENERATOR),
            read(GENERATOR, "2", **{name: 2 * value for name, value in _GENERATOR.items()}),
            read(MASTER, "", cpu_percent=12.0, memory_bytes=8e7, loop_lag_p99_ms=1.5),
            read(TARGET, "port 8080", cpu_percent=80.0, memory_bytes=4e8, descriptors=55, threads=9, processes=2),
            read(TARGET, "metrics", cpu_percent=60.0, http_requests_total_per_second=17.0, gc_pause_seconds=0.25),
            read(TARGET, "context", context_keys=100, connected_clients=30),
        ),
    )


_GENERATOR = {
    "cpu_percent": 40.0,
    "memory_bytes": 1e8,
    "memory_percent": 11.0,
    "descriptors": 120.0,
    "descriptors_percent": 3.0,
    "threads": 4.0,
    "greenlets": 90.0,
    "loop_lag_p99_ms": 2.5,
    "loop_lag_max_ms": 9.0,
    "sent_bytes_per_second": 1e6,
    "received_bytes_per_second": 2e6,
    "ports_left": 28_000.0,
}


def rule(name: str = "open", metric: str = "connections_open", **more: Any) -> Rule:
    """A rule about a number; its limits may be given as texts."""
    limits = {key: more.pop(key) for key in ("warning", "critical", "low_warning", "low_critical") if key in more}
    where = more.pop("where", Where())
    made = Rule(name, metric, where, **more)
    for key, text in limits.items():
        made = made.with_limit(key, text)
    return made


class World:
    """A run whose one number (open connections, or each worker's descriptors) is what the test says, on a fake clock."""

    def __init__(self, *rules: Rule, users: int | None = 5, duration_s: float = 1000.0) -> None:
        self.evaluator = Evaluator(rules)
        self.now_s = 0.0
        self.users = users
        self.duration_s = duration_s
        self.asked: list[tuple[int | None, str | None]] = []
        self.values: Mapping[str, float | None] = {}

    def window(self, length_s: int | None, worker: str | None) -> Snapshot:
        self.asked.append((length_s, worker))
        value = self.values.get(worker or "")
        rows = () if value is None else (Second(0, open_connections=value),)  # type: ignore[arg-type]
        workers = sorted(each for each in self.values if each)
        return Snapshot(
            run=RunInfo(users=self.users, duration_s=self.duration_s if value is not None else 0.0),
            timeline=rows,
            resources=tuple(
                read(GENERATOR, each, descriptors=number)
                for each in workers
                if (number := self.values[each]) is not None
            ),
        )

    def at(self, now_s: float, value: float | Mapping[str, float | None] | None) -> list[tuple[str, str, float]]:
        """Evaluate at this time with this value (None: no data); (severity, state, value) of each change."""
        return [(each.severity, each.state, each.value) for each in self.events_at(now_s, value)]

    def events_at(self, now_s: float, value: float | Mapping[str, float | None] | None) -> tuple[AlertEvent, ...]:
        self.now_s = now_s
        self.values = value if isinstance(value, Mapping) else {"": value}
        workers = tuple(sorted(self.values))
        return self.evaluator.evaluate(now_s, self.window, workers)
