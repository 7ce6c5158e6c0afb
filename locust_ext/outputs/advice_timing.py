"""Rules of thumb about latencies and about how a run went on: each gives its sentence, with the reason, or None."""

from __future__ import annotations

from collections.abc import Sequence

from locust_ext.model import ROUND_TRIP_TYPES, OperationStats, Second, Snapshot
from locust_ext.outputs.text import count_text, ms_text, operation_text, percent_text, shown


def long_tail(snapshot: Snapshot) -> str | None:
    """The 99th percentile is ten times the median, and 50 ms more, over at least 200 samples: the worst such operation."""
    found: list[tuple[float, OperationStats, int, int]] = []
    for operation in snapshot.operations:
        p50, p99 = operation.latency.percentiles_us((50, 99))
        if p50 and p99 and operation.latency.count >= 200 and p99 >= 10 * p50 and p99 - p50 >= 50_000:
            found.append((p99 / p50, operation, p50, p99))
    if not found:
        return None
    ratio, operation, p50, p99 = max(found, key=lambda each: each[0])
    return (
        f"{shown(operation_text(operation))}: its p99 of {ms_text(p99)} is {ratio:.0f} times its p50 of {ms_text(p50)}: "
        "a few requests wait for something that most do not (a lock, a queue, garbage collection, a cold cache)"
    )


def waits_before_the_send(snapshot: Snapshot) -> str | None:
    """The corrected p99 is at least twice the service time's, and 10 ms more: requests could not go out when planned."""
    for operation in snapshot.operations:
        service = operation.service
        if service is None or min(service.count, operation.latency.count) < 100:
            continue
        corrected, served = operation.latency.percentile_us(99) or 0, service.percentile_us(99) or 0
        if corrected >= 2 * served and corrected - served >= 10_000:
            return (
                f"{shown(operation_text(operation))}: p99 is {ms_text(corrected)} from when requests were due and "
                f"{ms_text(served)} from when they were sent: the planned rate was not kept, because earlier requests "
                "took too long; what real users would see is the first figure"
            )
    return None


def too_few_samples(snapshot: Snapshot) -> str | None:
    """A 99th percentile of fewer than 100 round trips."""
    count = snapshot.latency.count
    if not snapshot.run.complete or not 0 < count < 100:
        return None
    return (
        f"{count_text(count, 'round trip')} are too few for a p99 (it is the slowest of them): run longer, or with more "
        "users, for 1,000 or more"
    )


def slow_connects(snapshot: Snapshot) -> str | None:
    """A connection takes 500 ms or more (p95 of at least 20), and five times as long as a round trip's median."""
    latency = max((each.latency for each in snapshot.of_type("CONNECT")), key=lambda each: each.count, default=None)
    if latency is None or latency.count < 20:
        return None
    p95, round_trip = latency.percentile_us(95) or 0, snapshot.latency.percentile_us(50) or 0
    if p95 < max(500_000, 5 * round_trip):
        return None
    return (
        f"connecting takes {ms_text(p95)} (p95): the upgrade, TLS or a login is the bottleneck, or the users come too "
        "fast; with a lower spawn rate (-r) the difference shows"
    )


def falls_at_the_end(snapshot: Snapshot) -> str | None:
    """Of 20 s or more, the last fifth did less than 70 % of the three fifths before it, with as many connections."""
    rows = [row for row in snapshot.timeline if not row.warmup][:-1]  # the last one is cut short by the end
    if len(rows) < 20:
        return None
    fifth = len(rows) // 5
    before, last = rows[fifth:-fifth], rows[-fifth:]
    was, is_now = _per_second(before), _per_second(last)
    if was < 1 or is_now >= 0.7 * was or _open(last) < 0.9 * _open(before):
        return None
    return (
        f"throughput fell from {was:,.1f}/s to {is_now:,.1f}/s in the last {_length(last)} s, with as many connections: "
        "the target slows down under lasting load (memory, a queue that grows, a pool that runs dry)"
    )


def fails_at_the_start(snapshot: Snapshot) -> str | None:
    """Of ten failures or more, four fifths came in the first fifth of 20 s or more, in which less was done than that."""
    rows = [row for row in snapshot.timeline if not row.warmup]
    if len(rows) < 20:
        return None
    first = rows[: len(rows) // 5]
    early, failures = sum(row.failures for row in first), sum(row.failures for row in rows)
    finished = sum(row.finished for row in rows)
    if failures < 10 or early < 0.8 * failures or sum(row.finished for row in first) > 0.5 * finished:
        return None
    return (
        f"{percent_text(early, failures)} of the failures came in the first {_length(first)} s: the target was not warm, "
        "or the users came too fast; --ext-warmup keeps that time apart, a lower spawn rate (-r) avoids it"
    )


def _per_second(rows: Sequence[Second]) -> float:
    return sum(row.finished for row in rows) / max(1, _length(rows))


def _length(rows: Sequence[Second]) -> int:
    return sum(row.length_s for row in rows)


def _open(rows: Sequence[Second]) -> float:
    known = [row.open_connections for row in rows if row.open_connections is not None]
    return sum(known) / len(known) if known else 0.0


def late_replies(snapshot: Snapshot) -> str | None:
    """At least one per cent of the round trips were answered after they had been given up."""
    late, finished = _of_round_trips(snapshot, "late"), _of_round_trips(snapshot, "finished")
    late = min(late, _of_round_trips(snapshot, "timed_out"))  # others came after their user was stopped
    if not late or late < 0.01 * finished:
        return None
    return (
        f"{count_text(late, 'reply', 'replies')} came after the request had timed out: the target did the work for nobody, "
        "and the timeouts hide its true latency; a longer timeout_s would show it"
    )


def strange_replies(snapshot: Snapshot) -> str | None:
    """Replies that came twice, or that belong to no request: at least one per cent of the round trips."""
    twice, unmatched = _of_round_trips(snapshot, "duplicate"), _of_round_trips(snapshot, "unmatched")
    if twice + unmatched < max(1, 0.01 * _of_round_trips(snapshot, "finished")):
        return None
    told = [count_text(twice, "reply came twice", "replies came twice")] if twice else []
    told += (
        [count_text(unmatched, "reply belonged to no request", "replies belonged to no request")] if unmatched else []
    )
    return (
        f"{' and '.join(told)}: the target repeats itself, or `correlate` does not fit its protocol and requests "
        "are answered by the wrong replies"
    )


def _of_round_trips(snapshot: Snapshot, count: str) -> int:
    return sum(getattr(operation, count) for operation in snapshot.of_type(*ROUND_TRIP_TYPES))
