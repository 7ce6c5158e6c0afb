"""Snapshots for the tests of the outputs."""

from __future__ import annotations

from dataclasses import dataclass

from locust_ext.core.accounting import Recorder
from locust_ext.core.accounting.histogram import Histogram
from locust_ext.model import (
    GENERATOR,
    MASTER,
    TARGET,
    Alert,
    AlertEvent,
    Check,
    ComparedFigure,
    Comparison,
    Snapshot,
)

HOSTILE = "=1+1|<script>`x`\n\r\t\x1b[31m\u202e\"'&,;[a](http://b)*_é😀"


def good() -> Snapshot:
    """A run of 10 s without a failure, with every kind of figure."""
    recorder = Recorder()
    recorder.begin("20260101T120000-abc", 100.0)
    recorder.describe(
        started_at="2026-01-01T12:00:00.000+00:00",
        host="http://127.0.0.1:8000",
        scenario="realistic",
        seed=7,
        users=50,
        versions={"locust": "2.47.0"},
    )
    for _ in range(50):
        recorder.connection_state(None, "open")
        recorder.operation("CONNECT", "/ws", 2500, 0)
    for number in range(1000):
        recorder.operation("WS", "query", 1000 + number, 100, service_us=1000)
        recorder.operation("SIO", "set", 5000, 10, tags=("eu", "beta"))
    for _ in range(200):
        recorder.operation("GET", "/api/context", 3200, 50)
        recorder.operation("SEND", "event", None, 0)
        recorder.push("context_changed", 80, 700)
    recorder.fan_out("context_changed", expected=200, reached=190, spread_us=900)
    recorder.push("heartbeat", 2)
    recorder.traffic.messages_sent = 2200
    recorder.traffic.messages_received = 2201
    recorder.traffic.bytes_sent = 150_000
    recorder.traffic.bytes_received = 126_002
    recorder.reconnected()
    recorder.tick(101.0)
    recorder.end(110.0)
    return recorder.snapshot(111.0)


def bad() -> Snapshot:
    """A short run with failures of several classes, cancelled operations, hostile names, rules, alerts and a baseline."""
    recorder = Recorder()
    recorder.begin("r", 0.0)
    recorder.describe(scenario=HOSTILE, host="http://h/" + HOSTILE)
    recorder.operation("CONNECT", "/ws", 1000, 0)
    recorder.operation("CONNECT", "/ws", None, 0, "failed", "refused")
    recorder.operation("DROP", "/ws", None, 0, "lost", "closed_1006")
    for _ in range(990):
        recorder.operation("WS", HOSTILE, 250_000, 0, tags=(HOSTILE,))
    for _ in range(10):
        recorder.operation("WS", HOSTILE, None, 0, "timed_out", "timeout", tags=(HOSTILE,))
    recorder.operation("GET", "/", 5, 0, "failed", HOSTILE)
    recorder.started("WS", "left")
    recorder.cancelled("WS", "left")
    recorder.push(HOSTILE, 1)
    recorder.inbox_dropped()
    recorder.handler_call_dropped()
    recorder.end(2.0)
    taken = recorder.snapshot(2.0)
    figures = (
        ComparedFigure("", "per_second", 500.0, 501.5, "same", 0.9),
        ComparedFigure(f"WS {HOSTILE}", "p95_ms", 200.0, 250.0, "worse", 1e-9),
        ComparedFigure(f"WS {HOSTILE}", "error_rate", 0.0, 0.01, "worse", 1e-5),
        ComparedFigure("GET /", "p99_ms", None, 0.005, "no_data"),
    )
    return Snapshot(
        run=taken.run,
        operations=taken.operations,
        connections=taken.connections,
        traffic=taken.traffic,
        pushes=taken.pushes,
        timeline=taken.timeline,
        rules=(
            Check("error_rate", "passed", "0.012"),
            Check(HOSTILE, "no_data", HOSTILE),
            Check("p95 below 200 ms", "failed", "250 ms, wanted < 200 ms; fired at 1 s", "250 ms", "> 200 ms"),
            Check("CPU of the target", "warned", "above 70 % for 3 s", "80 %", "warning > 70 %, critical > 90 %"),
        ),
        alerts=(
            Alert(1, HOSTILE, "error_rate", "warning", "resolved", HOSTILE, -1.5, 3.0, HOSTILE, 0.2, 0.5, 0.6, 1.5),
            Alert(2, "p95 below 200 ms", "latency_p95", "critical", "firing", "", 250.0, 260.0, "> 200 ms", 0.5, 1.0),
            Alert(3, "lag", "loop_lag", "critical", "resolved", "1", 3.0, 80.0, "> 50 ms", 1.2, 1.4, None, 1.9),
        ),
        alert_events=(
            AlertEvent(0.5, 1, HOSTILE, "warning", "firing", 3.0, HOSTILE, HOSTILE, HOSTILE),
            AlertEvent(1.0, 2, "p95 below 200 ms", "critical", "firing", 250.0, "> 200 ms"),
        ),
        comparison=Comparison("earlier", figures, 0.1, ("users: 5 then, 6 now",)),
    )


@dataclass(eq=False)
class Connection:
    """What the recorder asks of one that has ended."""

    lifetime_s: float = 4.0
    messages_sent: int = 3
    messages_received: int = 7
    bytes_sent: int = 30
    bytes_received: int = 70


def full() -> Snapshot:
    """A run of 10 s after 2 s of warm-up, with everything that a `summary.json` can hold but rules, alerts, a baseline."""
    recorder = Recorder()
    recorder.begin("20260101T120000-f", 100.0, 2.0)
    recorder.describe(started_at="2026-01-01T12:00:00.000+00:00", scenario="full", users=5)
    for _ in range(30):
        recorder.operation("WS", "query", 9000, 100, service_us=8000)
    recorder.push("warm", 3)
    recorder.traffic.messages_sent = 30
    recorder.merge(recorder.end_warmup(102.0))
    lag = Histogram()
    lag.record(80_000)
    for second in range(2, 12):
        recorder.generator_period(float(second), 1.0, 950_000, lag.freeze())
    recorder.sent_late(700)
    connection = Connection()
    recorder.connection_opened(connection)
    recorder.connection_ended(connection)
    recorder.tick(103.0)
    for _ in range(1000):
        recorder.operation("WS", "query", 3000, 100, service_us=2000)
    recorder.tick(104.0)
    for _ in range(300):
        recorder.operation("WS", "set", 400_000, 10, tags=("eu",))
        recorder.operation("GET", "/api", 1000, 5)
    for _ in range(100):
        recorder.operation("WS", "set", None, 0, "timed_out", "timeout", tags=("eu",))
    recorder.recovered("Crowd", "/ws", 250_000, True)
    recorder.recovered("Crowd", "/ws", 1_250_000, False)
    recorder.recovered("Other", HOSTILE, 50_000, False)
    recorder.connection_state(None, "waiting")
    recorder.push("changed", 80, 700)
    recorder.fan_out("changed", expected=20, reached=19, spread_us=900)
    recorder.tick(105.0)
    monitor(recorder)
    recorder.end(112.0)
    return recorder.snapshot(112.0)


def monitor(recorder: Recorder) -> None:
    """Samples of every side for a run that began at 100 s: in the middle of each second, and some of a hostile target."""
    for number in range(12):
        now = 100.5 + number
        own = {"cpu_percent": 90.0 + number, "memory_bytes": 50e6, "greenlets": 55, "loop_lag_p99_ms": 80.0}
        recorder.resource(GENERATOR, "", now, own, {"descriptors_limit": 1024, "memory_limit_bytes": 1e9})
        recorder.resource(MASTER, "", now, {"cpu_percent": 3.5})
        recorder.resource(TARGET, "pid 123", now, {"cpu_percent": 10.0 * number, "memory_bytes": 100e6, "processes": 2})
    recorder.resource(TARGET, HOSTILE, 103.0, {HOSTILE: -5.25, "queue_depth": 7, "side": 1.0})
