"""Streams of what can happen to an operation, and a model that counts them the slow and obvious way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hypothesis import strategies as st

from locust_ext.core.accounting import Recorder
from locust_ext.model import Delta, Snapshot

KEYS = [("WS", "ping", ()), ("WS", "ping", ("eu",)), ("SIO", "set", ()), ("CONNECT", "/ws", ()), ("GET", "/", ())]
OUTCOMES = [
    ("ok", None),
    ("failed", "error_reply"),
    ("failed", "http_503"),
    ("failed", "protocol"),
    ("timed_out", "timeout"),
    ("lost", "reset"),
]
Key = tuple[str, str, tuple[str, ...]]


@dataclass(frozen=True)
class Event:
    """One call of the recorder; `what` is its method."""

    what: str
    key: Key
    outcome: tuple[str, str | None] = ("ok", None)
    latency_us: int | None = None
    service_us: int | None = None
    length: int = 0


keys = st.sampled_from(KEYS)
latencies = st.one_of(st.none(), st.integers(0, 5_000_000_000))
finished = st.builds(
    Event,
    st.sampled_from(["end", "operation"]),
    keys,
    st.sampled_from(OUTCOMES),
    latencies,
    latencies,
    st.integers(0, 10_000),
)
others = st.builds(
    Event,
    st.sampled_from(["started", "started", "cancel", "late", "duplicate", "unmatched", "push", "sent", "beside"]),
    keys,
    latency_us=latencies,
    length=st.integers(0, 10_000),
)
events = st.lists(st.one_of(finished, others), max_size=60)


def perform(recorder: Recorder, event: Event, in_flight: Counter[Key]) -> None:
    """Make the call; what was not started is not ended, as in the runtime."""
    kind, name, tags = event.key
    outcome, error_class = event.outcome
    match event.what:
        case "started":
            recorder.started(kind, name, tags)
            in_flight[event.key] += 1
        case "end" | "operation":
            ends = event.what == "end" and in_flight[event.key] > 0
            in_flight[event.key] -= ends
            recorder.operation(
                kind,
                name,
                event.latency_us,
                event.length,
                outcome,
                error_class,
                event.service_us,
                tags,
                ends,
            )
        case "cancel":
            ends = in_flight[event.key] > 0
            in_flight[event.key] -= ends
            recorder.cancelled(kind, name, tags, ends)
        case "late":
            recorder.late(kind, name, tags)
        case "duplicate":
            recorder.duplicate(kind, name, tags)
        case "unmatched":
            recorder.unmatched(kind, name, tags)
        case "push":
            recorder.push(name, event.length, event.latency_us)
        case "sent":
            recorder.traffic.messages_sent += 1
            recorder.traffic.bytes_sent += event.length
        case "beside":
            recorder.reconnected()
            recorder.closed_in_order()
            recorder.inbox_dropped()
            recorder.handler_call_dropped()
            recorder.handler_call_dropped()


def counted(snapshot: Snapshot) -> tuple[object, ...]:
    """What must not depend on how a stream was split over processes."""
    operations = [operation for operation in snapshot.operations if operation.started or operation.late]
    operations += [
        operation
        for operation in snapshot.operations
        if not (operation.started or operation.late) and (operation.duplicate or operation.unmatched)
    ]
    return (
        sorted(operations, key=lambda operation: (operation.type, operation.name, operation.tags)),
        snapshot.traffic,
        snapshot.pushes,
        snapshot.connections.reconnects,
        snapshot.connections.closed_in_order,
        snapshot.connections.inbox_dropped,
        snapshot.connections.handler_calls_dropped,
    )


def delta(worker: str = "w1", seq: int = 0, run_id: str = "r", ok: int = 1, final: bool = False) -> Delta:
    """The delta of a worker that did `ok` operations, as its `seq`th."""
    recorder = Recorder(worker=worker)
    recorder.begin(run_id, 0.0)
    for _ in range(seq):
        recorder.drain()
    for _ in range(ok):
        recorder.operation("WS", "ping", 1000, 10)
    return recorder.drain(final=final)
