"""A web UI that listens nowhere, and rules and a monitor that are played by hand."""

from __future__ import annotations

from locust.env import Environment
from locust.event import Events
from locust.web import WebUI

from dataclasses import replace
from typing import Any

from locust_ext.core.accounting.recorder import Recorder
from locust_ext.core.alerts.rules import Rule, Rules
from locust_ext.core.alerts.units import parse_limit
from locust_ext.model import (
    CRITICAL,
    FIRING,
    GENERATOR,
    MASTER,
    TARGET,
    WARNING,
    Alert,
    ConnectionStats,
    Distribution,
    Leak,
    OperationStats,
    PushStats,
    ResourceFigures,
    ResourceStats,
    RunInfo,
    Snapshot,
    bucket_of,
)
from locust_ext.plugin.alerting import Alerting
from tests.outputs.examples import HOSTILE


def web_ui(base_path: str | None = None) -> WebUI:
    """Of a runner that never starts; it listens nowhere."""
    environment = Environment(events=Events())
    environment.create_local_runner()
    return WebUI(environment, "127.0.0.1", 0, delayed_start=True, web_base_path=base_path)


def rule(name: str, metric: str, **limits: str) -> Rule:
    made = Rule(name, metric)
    for key, text in limits.items():
        made = replace(made, **{key: parse_limit(text, made.of.unit, default="<" if key.startswith("low") else ">")})
    return made


class Played:
    """Real rules at work, over latencies and CPU that the test gives, second by second."""

    def __init__(self, *rules: Rule) -> None:
        environment = Environment(events=Events())
        recorder = Recorder()
        recorder.watch(10)
        self.alerting = Alerting(environment, recorder, Rules(rules) if rules else None, lambda _: Snapshot())
        self.alerting.begin()
        self.now_s = 0.0

    def second(self, latency_ms: int | None = None, seconds: int = 1, **cpu_percent: float) -> None:
        """All answers took ``latency_ms``; ``w2=97.0``: the CPU of worker 2."""
        operations: tuple[OperationStats, ...] = ()
        if latency_ms is not None:
            us = latency_ms * 1000
            operations = (
                OperationStats("WS", "ask", ok=5, latency=Distribution(5, 5 * us, us, us, {bucket_of(us): 5})),
            )
        resources = tuple(
            ResourceStats(GENERATOR, worker[1:], (figures("cpu_percent", cpu),)) for worker, cpu in cpu_percent.items()
        )
        window = Snapshot(RunInfo(duration_s=10.0, users=5), operations, resources=resources)
        labels = tuple(worker[1:] for worker in cpu_percent) or ("",)
        for _ in range(seconds):
            self.now_s += 1
            self.alerting.evaluator.evaluate(self.now_s, lambda length_s, worker: window, labels)


class FakeMonitor:
    """Says what it is told to say."""

    def __init__(self, *read: ResourceStats) -> None:
        self.is_running = True
        self.read = read

    def stats(self) -> tuple[ResourceStats, ...]:
        return self.read

    def start(self) -> None:
        self.is_running = True

    def stop(self) -> None:
        self.is_running = False


def alert(id: int, rule: str, severity: str = CRITICAL, state: str = FIRING, **more: Any) -> Alert:
    facts: dict[str, Any] = {
        "metric": "latency_p95", "subject": "", "value": 812.4, "worst": 1210.0, "limit": "> 500 ms", "since_s": 35.0,
    }  # fmt: skip
    return Alert(id=id, rule=rule, severity=severity, state=state, **{**facts, **more})


def figures(metric: str, current: float, average: float | None = None, most: float | None = None) -> ResourceFigures:
    average = current if average is None else average
    return ResourceFigures(metric, 10, current, average, average / 2, current if most is None else most, average)


def busy() -> Snapshot:
    """A run with something in each of the tabs, hostile names among it."""
    worker = (
        figures("cpu_percent", 83.25, 61.0, 97.0),
        figures("memory_bytes", 182_400_000, 160_000_000, 182_400_000),
        figures("descriptors", 531),
        figures("descriptors_percent", 51.9),
        figures("threads", 11),
        figures("greenlets", 1024),
        figures("loop_lag_p99_ms", 12.345, 8.0, 61.0),
        figures("loop_lag_max_ms", 61.0),
        figures("sent_bytes_per_second", 120_400),
        figures("received_bytes_per_second", 2_400_300),
        figures("ports_left", 27_703),
    )
    target = (figures("cpu_percent", 140), figures("memory_bytes", 612e6), figures("queue_depth", 17))
    leak = Leak("leak likely", "grows 1.2 MiB/min ± 0.1 (r² 0.98): leak likely", 1.2e6, 1e5, 0.98)
    flat = Leak("flat", "flat (0.01 MiB/min ± 0.03)", 1e4, 3e4, 0.1)
    return Snapshot(
        run=RunInfo(id="20260101T120000-abc", duration_s=100.2, users=50, host="http://127.0.0.1:8000"),
        connections=ConnectionStats(
            states={"open": 45, "connecting": 2, "waiting": 3}, peak_open=50, reconnects=7, closed_in_order=12
        ),
        pushes=(
            PushStats("a", received=3),
            PushStats(HOSTILE, received=200, expected=200, reached=190),
            PushStats("b", received=3),
        ),
        resources=(
            ResourceStats(GENERATOR, "1", worker, leak=flat, limits={"descriptors_limit": 1024, "cpu_limit_cores": 2}),
            ResourceStats(GENERATOR, "2", worker[:3]),
            ResourceStats(MASTER, "", worker[:2], leak=flat),
            ResourceStats(TARGET, "metrics", target, leak=leak),
        ),
        alerts=(
            alert(1, "slow", state="resolved"),
            alert(2, "errors", WARNING, metric="error_ratio", value=0.07, limit="> 5 %"),
            alert(3, HOSTILE, subject="2", metric="generator.cpu_percent", value=97.0, limit="> 90 %", since_s=3700),
            alert(4, "slow", WARNING, "acknowledged"),
            alert(5, "slow"),
        ),
    )
