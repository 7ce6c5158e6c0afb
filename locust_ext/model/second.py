"""A row of the timeline."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Second:
    """A row of the timeline: what ended in the `length_s` seconds from `start_s` after the start of the run."""

    start_s: int
    length_s: int = 1
    finished: int = 0
    failures: int = 0
    messages_sent: int = 0
    messages_received: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    pushes_received: int = 0
    open_connections: int | None = None
    """At the end of the row; None where no worker said."""
    in_flight: int | None = None
    users: int | None = None
    """At the end of the row; None where nobody looked."""
    planned_users: int | None = None
    """At the end of the row, by the run's shape; None where there was none."""
    round_trips: int = 0
    min_us: int | None = None
    p50_us: int | None = None
    p95_us: int | None = None
    p99_us: int | None = None
    max_us: int | None = None
    worst_failures: int = 0
    """Most failures in one second of the row."""
    least_finished: int = 0
    """Fewest finished operations in one second of the row."""
    complete: bool = True
    """False: a worker had not reported when the row was closed."""
    valid: bool = True
    """False: a generator was the bottleneck, so that latencies measure it and not the target."""
    warmup: bool = False
    """Before the end of the warm-up: in no other figure."""
