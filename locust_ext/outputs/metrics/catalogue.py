"""Every family of metrics: its name, its labels, and what a stranger has to know of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

COUNTER: Final = "counter"
HISTOGRAM: Final = "histogram"
GAUGE: Final = "gauge"


@dataclass(frozen=True, eq=False, slots=True)
class Family:
    """One family; the exposition puts `_total` behind the name of a counter. Compared by identity."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()
    scale: float = 1.0
    """A counter's count times this is its value in base units."""


_OF_OPERATION: Final = ("type", "name")

# ── counted over the run ─────────────────────────────────────────────────────────────────────────────────────────────

REQUESTS: Final = Family(
    "locust_ext_requests",
    COUNTER,
    "Operations that ended, by Locust's type (GET, WS, SIO, CONNECT, SEND, DROP, ...), name and outcome: ok; failed (the "
    "answer, or an error, is a failure); timed_out (no answer in time); lost (its connection went first); cancelled (its "
    "user was stopped: no failure). The error rate is failed + timed_out + lost over all but cancelled.",
    (*_OF_OPERATION, "outcome"),
)
ERRORS: Final = Family(
    "locust_ext_request_errors",
    COUNTER,
    "Operations that ended as a failure, by the class of the error (timeout, refused, http_503, closed_1006, ...).",
    (*_OF_OPERATION, "error_class"),
)
STRAYS: Final = Family(
    "locust_ext_stray_replies",
    COUNTER,
    "Replies that no waiting request got: late (after its deadline), duplicate, unmatched (to nothing that was asked).",
    ("type", "outcome"),
)
DURATION: Final = Family(
    "locust_ext_request_duration_seconds",
    HISTOGRAM,
    "Latency of answered operations; where the load is paced, from the moment at which the request was due, so that a "
    "slow target cannot hide behind requests that were sent late (corrected for coordinated omission). Timeouts, lost "
    "and cancelled operations are not in it.",
    _OF_OPERATION,
)
SERVICE: Final = Family(
    "locust_ext_request_service_seconds",
    HISTOGRAM,
    "Paced load only: service time of answered operations, from the moment at which the request was really sent.",
    _OF_OPERATION,
)
CONNECTS: Final = Family(
    "locust_ext_connects",
    COUNTER,
    "Attempts to open a connection (TCP, TLS and upgrade) that ended, by outcome.",
    ("outcome",),
)
DROPS: Final = Family(
    "locust_ext_drops",
    COUNTER,
    "Open connections that were lost out of order, by the class of the error.",
    ("error_class",),
)
RECONNECTS: Final = Family("locust_ext_reconnects", COUNTER, "Connections that were opened again after they were lost.")
CLOSED: Final = Family("locust_ext_connections_closed_in_order", COUNTER, "Connections that were closed in order.")
INBOX_DROPPED: Final = Family(
    "locust_ext_inbox_dropped_messages",
    COUNTER,
    "Received messages thrown away because their user did not read them fast enough.",
)
CALLS_DROPPED: Final = Family(
    "locust_ext_handler_calls_dropped",
    COUNTER,
    "Pushes that no handler was called for, because the handlers of their connection were too slow.",
)
MESSAGES: Final = Family(
    "locust_ext_messages",
    COUNTER,
    "Application messages over real-time connections, as the load generator sees them: sent or received. Control frames "
    "are none.",
    ("direction",),
)
BYTES: Final = Family(
    "locust_ext_message_bytes",
    COUNTER,
    "Payload of those messages before compression.",
    ("direction",),
)
PUSHES: Final = Family(
    "locust_ext_pushes", COUNTER, "Messages that the server sent without being asked, by event.", ("event",)
)
PUSH_LAG: Final = Family(
    "locust_ext_push_lag_seconds",
    HISTOGRAM,
    "Delivery lag of pushes: from the moment that their message tells to their arrival.",
    ("event",),
)
EXPECTED: Final = Family(
    "locust_ext_fanout_expected",
    COUNTER,
    "Deliveries that fan-outs should have made: one for each connection that was open for them.",
    ("event",),
)
REACHED: Final = Family(
    "locust_ext_fanout_reached",
    COUNTER,
    "Deliveries that those fan-outs made in time. The reach is this over expected.",
    ("event",),
)
CPU: Final = Family(
    "locust_ext_generator_cpu_seconds",
    COUNTER,
    "CPU time that a process of the load generator has used during the run.",
    ("worker",),
    1e-6,
)
LAG: Final = Family(
    "locust_ext_generator_loop_lag_seconds",
    HISTOGRAM,
    "How late due timers fired in a process of the load generator. When it is large, latencies measure the generator "
    "and not the target.",
    ("worker",),
)

COUNTED: Final = (
    *(REQUESTS, ERRORS, STRAYS, DURATION, SERVICE, CONNECTS, DROPS, RECONNECTS, CLOSED, INBOX_DROPPED),
    *(CALLS_DROPPED, MESSAGES, BYTES, PUSHES, PUSH_LAG, EXPECTED, REACHED, CPU, LAG),
)
"""In the order of the exposition."""

# ── as it stands ─────────────────────────────────────────────────────────────────────────────────────────────────────

RUN: Final = Family(
    "locust_ext_run",
    "info",
    "The run that these figures are of: always 1, the labels tell which. A new run has a new id, and its counters begin "
    "at zero.",
)
VALID: Final = Family(
    "locust_ext_run_valid",
    GAUGE,
    "1: the run's figures measure the target; 0: they do not (the load generator was the bottleneck, or a worker was "
    "lost).",
)
COMPLETE: Final = Family(
    "locust_ext_run_complete", GAUGE, "1: the run has ended and all its figures are in; 0: not yet."
)
RUN_DURATION: Final = Family(
    "locust_ext_run_duration_seconds", GAUGE, "How long the run has lasted, without warm-up, since the last reset."
)
WORKERS: Final = Family("locust_ext_workers", GAUGE, "Workers that take part in the run; 0: it runs in one process.")
USERS_WANTED: Final = Family("locust_ext_users_wanted", GAUGE, "Simulated users that were asked for.")
USERS_PRESENT: Final = Family("locust_ext_users_present", GAUGE, "Simulated users that there are.")
RATE_WANTED: Final = Family(
    "locust_ext_target_rate_per_second",
    GAUGE,
    "Operations a second that were asked for; absent where no rate was given.",
)
RATE: Final = Family(
    "locust_ext_achieved_rate_per_second",
    GAUGE,
    "Operations that ended a second, over the last five seconds that all workers have reported.",
)
IN_FLIGHT: Final = Family(
    "locust_ext_requests_in_flight", GAUGE, "Operations that have begun and not ended.", ("type",)
)
CONNECTIONS: Final = Family(
    "locust_ext_connections",
    GAUGE,
    "Real-time connections by state; waiting: until the next attempt after a failure.",
    ("state",),
)
ALERTS: Final = Family(
    "locust_ext_alerts",
    GAUGE,
    "Alerts of this run by rule, severity and state; one that has fired stays, resolved in the end.",
    ("rule", "severity", "state"),
)
FOLDED: Final = Family(
    "locust_ext_exporter_folded",
    GAUGE,
    "Names, events, workers and the like that have no series of their own here, because there would be too many: their "
    "counts are under __other__.",
)
_GENERATOR: Final = "of a process of the load generator (worker: its number, master, or local)."
_TARGET: Final = "of the target's process, where it is watched."
GENERATOR_GAUGES: Final = {
    "cpu_percent": Family(
        "locust_ext_generator_cpu_ratio", GAUGE, f"CPU use {_GENERATOR} 1: one core.", ("worker",), 0.01
    ),
    "memory_bytes": Family("locust_ext_generator_memory_bytes", GAUGE, f"Resident memory {_GENERATOR}", ("worker",)),
    "descriptors": Family(
        "locust_ext_generator_open_descriptors", GAUGE, f"Open file descriptors {_GENERATOR}", ("worker",)
    ),
    "threads": Family("locust_ext_generator_threads", GAUGE, f"Threads {_GENERATOR}", ("worker",)),
    "greenlets": Family("locust_ext_generator_greenlets", GAUGE, f"Greenlets {_GENERATOR}", ("worker",)),
    "ports_left": Family(
        "locust_ext_generator_ports_left",
        GAUGE,
        "Local ports that further connections to the target can still be opened from.",
        ("worker",),
    ),
}
"""Metric of the resource monitor -> its family."""
DESCRIPTORS_LIMIT: Final = Family(
    "locust_ext_generator_descriptors_limit", GAUGE, f"Most file descriptors {_GENERATOR}", ("worker",)
)
TARGET_GAUGES: Final = {
    "cpu_percent": Family("locust_ext_target_cpu_ratio", GAUGE, f"CPU use {_TARGET} 1: one core.", ("source",), 0.01),
    "memory_bytes": Family("locust_ext_target_memory_bytes", GAUGE, f"Resident memory {_TARGET}", ("source",)),
    "descriptors": Family("locust_ext_target_open_descriptors", GAUGE, f"Open file descriptors {_TARGET}", ("source",)),
    "threads": Family("locust_ext_target_threads", GAUGE, f"Threads {_TARGET}", ("source",)),
}
TARGET_SAMPLE: Final = Family(
    "locust_ext_target_sample",
    GAUGE,
    "What else was read of the target, by the name of the metric and in the unit that this name tells.",
    ("source", "metric"),
)
