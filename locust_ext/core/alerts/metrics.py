"""What a rule can be about: `METRICS`, one entry each, and the metrics of the target that only its endpoint knows.

Over a window, rates are counts by the window's real length, counts are those of the window, gauges (connections, users,
CPU, memory, …) the average over it, and percentiles those of all its samples together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from locust_ext.core.alerts import reads
from locust_ext.core.alerts.view import View
from locust_ext.core.alerts.where import EVERYTHING, Where
from locust_ext.model import Snapshot

OPERATIONS: Final = ("type", "name", "tags", "worker")
FAILURES: Final = (*OPERATIONS, "class")
CONNECTS: Final = ("name", "tags", "worker")
PUSHES: Final = ("name", "worker")
WORKERS: Final = ("worker",)
PERCENTILES: Final = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p999": 99.9}


@dataclass(frozen=True, slots=True)
class Metric:
    """One thing that is measured."""

    unit: str
    """A key of `units.UNITS`."""
    title: str
    """What it is called in an alert's text."""
    help: str
    """One line for a stranger."""
    read: reads.Read
    scopes: tuple[str, ...] = ()
    """The keys of `where` that narrow it."""
    is_by_worker: bool = False
    """Its subjects are the workers themselves; others are one value, or are asked of each worker alone."""
    at_most: float | None = None
    """The largest value that it can have."""
    at_least: float | None = 0.0
    """The smallest; None: it may be negative."""
    is_tally: bool = False
    """Nothing of it in a window is 0, once there was something in the run."""
    judges_run: bool = True
    """Whether its value over a whole run means the same as over a window: not that of a count, nor of a gauge that
    follows the users up and down. Those fail by the alerts that fired, unless the rule's window is the run."""

    def value(self, snapshot: Snapshot, where: Where = EVERYTHING) -> reads.Values:
        """Its value for each subject; `where.worker` matters to the metrics of generators only."""
        return self.read(View(snapshot), where)


def _time(kind: str, figure: str, title: str, help: str, scopes: tuple[str, ...]) -> Metric:
    makers = {"average": reads.average, "min": reads.minimum, "max": reads.maximum}
    read = makers[figure](kind) if figure in makers else reads.percentile(kind, PERCENTILES[figure])
    return Metric("ms", f"{title} {figure}", help, read, scopes)


def _latency(figure: str, help: str) -> Metric:
    return _time("latency", figure, "response time", help, OPERATIONS)


def _service(figure: str, help: str) -> Metric:
    return _time("service", figure, "service time", help, OPERATIONS)


def _connect(figure: str, help: str) -> Metric:
    return _time("connect", figure, "connect time", help, CONNECTS)


def _lag(figure: str, help: str) -> Metric:
    return _time("push_lag", figure, "push lag", help, PUSHES)


def _usage(unit: str, title: str, metric: str, help: str) -> Metric:
    return Metric(unit, f"generator's {title}", help, reads.generator(metric), WORKERS, is_by_worker=True)


METRICS: Final[Mapping[str, Metric]] = {
    # response times: all operations that have one, but CONNECT, POOL and PUSH
    "latency_average": _latency("average", "average response time, without CONNECT, POOL and PUSH"),
    "latency_p50": _latency("p50", "response time that half of the answers keep to (median)"),
    "latency_p90": _latency("p90", "response time that 90 % of the answers keep to"),
    "latency_p95": _latency("p95", "response time that 95 % of the answers keep to"),
    "latency_p99": _latency("p99", "response time that 99 % of the answers keep to"),
    "latency_p999": _latency("p999", "response time that 99.9 % of the answers keep to"),
    "latency_min": _latency("min", "fastest answer"),
    "latency_max": _latency("max", "slowest answer"),
    "service_average": _service("average", "average time from the actual send, not the intended one"),
    "service_p50": _service("p50", "time from the actual send: median"),
    "service_p90": _service("p90", "time from the actual send: 90 % keep to it"),
    "service_p95": _service("p95", "time from the actual send: 95 % keep to it"),
    "service_p99": _service("p99", "time from the actual send: 99 % keep to it"),
    "service_p999": _service("p999", "time from the actual send: 99.9 % keep to it"),
    "service_min": _service("min", "fastest answer, from the actual send"),
    "service_max": _service("max", "slowest answer, from the actual send"),
    # how much, and how much of it failed
    "rate": Metric(
        "/s", "rate", "finished operations a second, failed ones too; no pushes", reads.rate, OPERATIONS, is_tally=True
    ),
    "rate_ratio": Metric(
        "share", "rate by target rate", "operations a second by the rate aimed at; 1: as many", reads.rate_ratio
    ),
    "error_ratio": Metric(
        "share", "error ratio", "failed share of the finished operations", reads.error_ratio, FAILURES, at_most=1.0
    ),
    "success_ratio": Metric(
        "share",
        "success ratio",
        "share of the finished operations without failure",
        reads.success_ratio,
        OPERATIONS,
        at_most=1.0,
    ),
    "errors": Metric(
        "", "errors", "failed operations in the window", reads.errors, FAILURES, is_tally=True, judges_run=False
    ),
    "errors_rate": Metric("/s", "errors", "failed operations a second", reads.errors_rate, FAILURES, is_tally=True),
    "in_flight": Metric(
        "",
        "operations in flight",
        "operations that wait for their answer",
        reads.in_flight,
        OPERATIONS,
        judges_run=False,
    ),
    "users": Metric("", "users", "simulated users", reads.users, judges_run=False),
    # a search for the limit (shape: stress); they have no value before its end
    "search.sustained_users": Metric(
        "", "sustained users", "users that a search for the limit found sustained; 0: none", reads.sustained_users
    ),
    "search.recovery_s": Metric(
        "ms", "time to recover after the limit", "from the fall of the load until all criteria held", reads.recovery
    ),
    # connections
    "connections_open": Metric(
        "", "open connections", "connections that are open", reads.connections_open, WORKERS, judges_run=False
    ),
    "connected_ratio": Metric(
        "share",
        "connected users",
        "open connections by users; 100 %: each user has one, 200 %: two",
        reads.connected_ratio,
    ),
    "connect_average": _connect("average", "average time to open a connection"),
    "connect_p50": _connect("p50", "time to open a connection: median"),
    "connect_p95": _connect("p95", "time to open a connection: 95 % keep to it"),
    "connect_p99": _connect("p99", "time to open a connection: 99 % keep to it"),
    "connect_max": _connect("max", "slowest opening of a connection"),
    "connect_rate": Metric(
        "/s", "opened connections", "connections opened a second", reads.connect_rate, CONNECTS, is_tally=True
    ),
    "connect_failures": Metric(
        "",
        "failed connects",
        "connections that could not be opened, in the window",
        reads.connect_failures,
        (*CONNECTS, "class"),
        is_tally=True,
        judges_run=False,
    ),
    "connect_failure_ratio": Metric(
        "share",
        "failed share of connects",
        "share of the connects that failed",
        reads.connect_failure_ratio,
        (*CONNECTS, "class"),
        at_most=1.0,
    ),
    "drops": Metric(
        "",
        "dropped connections",
        "connections lost out of order, in the window",
        reads.drops,
        (*CONNECTS, "class"),
        is_tally=True,
        judges_run=False,
    ),
    "reconnects": Metric(
        "",
        "reconnects",
        "connections opened again after a loss, in the window",
        reads.connections_count("reconnects"),
        WORKERS,
        judges_run=False,
    ),
    "failovers": Metric(
        "",
        "failovers",
        "connections opened on another host than before, or than tried first, in window",
        reads.connections_count("failovers"),
        judges_run=False,
    ),
    "recovery_p50": _time("recovery", "p50", "time to recover", "time from loss to open again: median", WORKERS),
    "recovery_p95": _time("recovery", "p95", "time to recover", "time from loss to open again: 95 %", WORKERS),
    "recovery_max": _time("recovery", "max", "time to recover", "longest time from loss to open again", WORKERS),
    # pushes: messages that the server sends unasked
    "push_rate": Metric("/s", "pushes", "pushes received a second", reads.push_rate, PUSHES, is_tally=True),
    "push_reach": Metric(
        "share", "push reach", "share of a fan-out's deliveries that arrived", reads.push_reach, PUSHES, at_most=1.0
    ),
    "push_lag_average": _lag("average", "average time from send to receipt of a push"),
    "push_lag_p50": _lag("p50", "time from send to receipt of a push: median"),
    "push_lag_p95": _lag("p95", "time from send to receipt of a push: 95 %"),
    "push_lag_p99": _lag("p99", "time from send to receipt of a push: 99 %"),
    "push_lag_max": _lag("max", "longest time from send to receipt of a push"),
    "push_spread_p95": _time(
        "push_spread", "p95", "push spread", "fan-out, first receiver to last: 95 % keep to it", PUSHES
    ),
    # messages and payload bytes, before compression
    "messages_sent_rate": Metric(
        "/s", "messages sent", "messages sent a second", reads.traffic("messages_sent"), WORKERS
    ),
    "messages_received_rate": Metric(
        "/s", "messages received", "messages received a second", reads.traffic("messages_received"), WORKERS
    ),
    "bytes_sent_rate": Metric("B/s", "bytes sent", "payload sent a second", reads.traffic("bytes_sent"), WORKERS),
    "bytes_received_rate": Metric(
        "B/s", "bytes received", "payload received a second", reads.traffic("bytes_received"), WORKERS
    ),
    "inbox_dropped": Metric(
        "",
        "messages thrown away",
        "messages that a user was too slow to read, in the window",
        reads.connections_count("inbox_dropped"),
        WORKERS,
        judges_run=False,
    ),
    # the processes that make the load, each worker by itself
    "loop_lag_p99": Metric(
        "ms",
        "loop lag p99",
        "how late timers fire in a load generator: 99 %",
        reads.loop("loop_lag_p99_ms", lambda lag: lag.percentile_us(99)),
        WORKERS,
        is_by_worker=True,
    ),
    "loop_lag_max": Metric(
        "ms",
        "loop lag max",
        "latest timer of a load generator",
        reads.loop("loop_lag_max_ms", lambda lag: lag.max_us),
        WORKERS,
        is_by_worker=True,
    ),
    "send_lateness_p99": Metric(
        "ms",
        "send lateness p99",
        "paced modes, intended to actual send: 99 %",
        reads.lateness_p99,
        WORKERS,
        is_by_worker=True,
    ),
    "generator.cpu_percent": _usage("%", "CPU", "cpu_percent", "CPU of a load generator; 100 %: one core"),
    "generator.memory_bytes": _usage("B", "memory", "memory_bytes", "resident memory of a load generator"),
    "generator.memory_percent": _usage("%", "memory", "memory_percent", "its memory, of the limit that it has"),
    "generator.descriptors": _usage("", "descriptors", "descriptors", "open files and sockets"),
    "generator.descriptors_percent": _usage("%", "descriptors", "descriptors_percent", "of those that it may open"),
    "generator.threads": _usage("", "threads", "threads", "threads of a load generator"),
    "generator.greenlets": _usage("", "greenlets", "greenlets", "greenlets of a load generator"),
    "generator.loop_lag_p99_ms": _usage("ms", "loop lag p99", "loop_lag_p99_ms", "loop lag as the monitor samples it"),
    "generator.loop_lag_max_ms": _usage("ms", "loop lag max", "loop_lag_max_ms", "longest loop lag of a sample"),
    "generator.sent_bytes_per_second": _usage(
        "B/s", "network out", "sent_bytes_per_second", "sent by its machine's network interfaces"
    ),
    "generator.received_bytes_per_second": _usage(
        "B/s", "network in", "received_bytes_per_second", "received by its machine's network interfaces"
    ),
    "generator.ports_left": _usage("", "ports left", "ports_left", "local ports left for connections to the target"),
    "master.cpu_percent": Metric(
        "%", "master's CPU", "CPU of the master; 100 %: one core", reads.master("cpu_percent")
    ),
    "master.memory_bytes": Metric(
        "B", "master's memory", "resident memory of the master", reads.master("memory_bytes")
    ),
    "master.loop_lag_p99_ms": Metric(
        "ms", "master's loop lag p99", "how late timers fire in the master", reads.master("loop_lag_p99_ms")
    ),
    # the target, where it is watched; of several sources the highest
    "target.cpu_percent": Metric(
        "%", "target's CPU", "CPU of the target, its children too; 100 %: one core", reads.target("cpu_percent")
    ),
    "target.memory_bytes": Metric(
        "B", "target's memory", "resident memory of the target", reads.target("memory_bytes")
    ),
    "target.descriptors": Metric("", "target's descriptors", "its open files and sockets", reads.target("descriptors")),
    "target.threads": Metric("", "target's threads", "its threads", reads.target("threads")),
    "target.processes": Metric("", "target's processes", "it and its children", reads.target("processes")),
    "target.context_keys": Metric("", "context keys", "keys in the context server", reads.target("context_keys")),
    "target.connected_clients": Metric(
        "", "connected clients", "clients that the context server says it has", reads.target("connected_clients")
    ),
}
"""Name in a rule -> metric. Further ones: `target.<name>`, as the target's own endpoint calls it (`metric_named`)."""

_TARGET: Final = "target."
_SUFFIXES: Final = {
    "_bytes_per_second": ("B/s", 1.0),
    "_per_second": ("/s", 1.0),
    "_bytes": ("B", 1.0),
    "_percent": ("%", 1.0),
    "_ratio": ("share", 1.0),
    "_milliseconds": ("ms", 1.0),
    "_ms": ("ms", 1.0),
    "_seconds": ("ms", 1000.0),
}
"""How a name of the target's own endpoint ends -> its unit, and how many of that unit one is."""


_PROCESS: Final = {
    "process_cpu_seconds_total": "cpu_percent",
    "process_cpu_seconds_per_second": "cpu_percent",
    "process_resident_memory_bytes": "memory_bytes",
    "process_open_fds": "descriptors",
}
"""What the endpoint calls a figure that every target has -> what it is called here."""
_COUNTER: Final = "_total"
_RATE: Final = "_per_second"


def metric_named(name: str) -> Metric | None:
    """The metric that a rule means; None: there is none. The unit of a target's own is told by its name's end."""
    if name in METRICS:
        return METRICS[name]
    own = name.removeprefix(_TARGET)
    if own == name or not own or any(char.isspace() for char in own) or meant_by(name) is not None:
        return None
    base = own.partition("{")[0]
    unit, factor = next((found for end, found in _SUFFIXES.items() if base.endswith(end)), ("", 1.0))
    at_least = 0.0 if base.endswith(_RATE) else None
    return Metric(
        unit, f"target's {own}", "read from the target's own endpoint", reads.target(own, factor), at_least=at_least
    )


def meant_by(name: str) -> str | None:
    """What is called otherwise here than by the target's endpoint: `target.jobs_total` -> `target.jobs_per_second`.

    Counters are read as their increase a second. None: the name is right, or no such one.
    """
    own = name.removeprefix(_TARGET)
    base, brace, labels = own.partition("{")
    if own == name:
        return None
    if own in _PROCESS:
        return _TARGET + _PROCESS[own]
    return f"{_TARGET}{base.removesuffix(_COUNTER)}{_RATE}{brace}{labels}" if base.endswith(_COUNTER) else None


def endpoint_series(name: str) -> tuple[str, ...]:
    """The series of the target's endpoint that a rule on this metric may mean; empty: none, it is not of an endpoint.

    `target.queue_depth` is `queue_depth`; `target.jobs_per_second` is the counter `jobs_total`, or a gauge of that name.
    """
    own = name.removeprefix(_TARGET)
    if own == name or name in METRICS or not own:
        return ()
    base, brace, labels = own.partition("{")
    counter = (f"{base.removesuffix(_RATE)}{_COUNTER}{brace}{labels}",) if base.endswith(_RATE) else ()
    return (*counter, own)
