"""`Delta` as byte blobs that a master can trust after it has looked: orjson, zlib level 1, some 50 operations each.

A blob is one part of a delta and says so itself (run, worker, sequence number, part i of n, final), so that parts may
come repeated or in another order; `Recorder.merge` takes each once. `parts` and `unpack` do one blob a call: a loop
that lets others run between two of them is never held up for long.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from locust_ext.core.accounting.ledger import MAX_ERROR_CLASSES
from locust_ext.core.accounting.names import MAX_LENGTH, MAX_TAGS
from locust_ext.errors import LocustExtError
from locust_ext.model import (
    BUCKETS,
    EMPTY,
    ConnectionStats,
    Delta,
    Distribution,
    OperationStats,
    PushStats,
    TrafficStats,
)

VERSION: Final = 1
OPERATIONS_A_PART: Final = 50
BUCKETS_A_PART: Final = 8_000
"""A part ends early when its histograms hold this many buckets."""
_MAX_NUMBER: Final = 2**53


class WireError(LocustExtError):
    """A blob is not a delta of ours; the text says what is wrong and never repeats its content."""

    code = "wire"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a blob may hold; a part that `parts` wrote stays far below."""

    blob_bytes: int = 1_000_000
    text_bytes: int = 8_000_000
    """After decompression."""
    operations: int = 200
    """Operations and push events."""


DEFAULT_LIMITS: Final = Limits()


def pack(delta: Delta) -> list[bytes]:
    """The blobs of a delta; at least one."""
    return list(parts(delta))


def parts(delta: Delta) -> Iterator[bytes]:
    """`pack`, a blob at a time."""
    chunks = _chunks(delta)
    for number, (operations, pushes) in enumerate(chunks):
        connections = delta.connections if number == 0 else None
        traffic = delta.traffic if number == 0 else TrafficStats()
        content = {
            "v": VERSION,
            "run": delta.run_id,
            "worker": delta.worker,
            "seq": delta.seq,
            "part": number,
            "parts": len(chunks),
            "final": delta.final,
            "from": delta.from_s,
            "to": delta.to_s,
            "ops": [_operation_out(stats) for stats in operations],
            "pushes": [_push_out(stats) for stats in pushes],
            "traffic": [
                traffic.messages_sent,
                traffic.messages_received,
                traffic.bytes_sent,
                traffic.bytes_received,
            ],
            "connections": None
            if connections is None
            else [
                dict(connections.states),
                connections.peak_open,
                connections.reconnects,
                connections.closed_in_order,
                connections.inbox_dropped,
            ],
        }
        yield zlib.compress(orjson.dumps(content), 1)


def _chunks(delta: Delta) -> list[tuple[list[OperationStats], list[PushStats]]]:
    chunks: list[tuple[list[OperationStats], list[PushStats]]] = [([], [])]
    size = buckets = 0

    def room_for(*distributions: Distribution | None) -> tuple[list[OperationStats], list[PushStats]]:
        nonlocal size, buckets
        more = sum(len(distribution.buckets) for distribution in distributions if distribution is not None)
        if size and (size >= OPERATIONS_A_PART or buckets + more > BUCKETS_A_PART):
            chunks.append(([], []))
            size = buckets = 0
        size += 1
        buckets += more
        return chunks[-1]

    for operation in delta.operations:
        room_for(operation.latency, operation.service)[0].append(operation)
    for push in delta.pushes:
        room_for(push.lag, push.spread)[1].append(push)
    return chunks


def _histogram_out(distribution: Distribution | None) -> list[Any] | None:
    if distribution is None:
        return None
    if not distribution.count:
        return []
    return [
        distribution.sum_us,
        distribution.min_us,
        distribution.max_us,
        list(distribution.buckets),
        list(distribution.buckets.values()),
    ]


def _operation_out(stats: OperationStats) -> list[Any]:
    return [
        stats.type,
        stats.name,
        stats.tags,
        [
            stats.ok,
            stats.failed,
            stats.timed_out,
            stats.lost,
            stats.cancelled,
            stats.in_flight,
            stats.late,
            stats.duplicate,
            stats.unmatched,
            stats.bytes_received,
        ],
        stats.errors,
        _histogram_out(stats.latency),
        _histogram_out(stats.service),
    ]


def _push_out(stats: PushStats) -> list[Any]:
    return [
        stats.event,
        [stats.received, stats.bytes_received, stats.expected or 0, stats.reached or 0],
        _histogram_out(stats.lag),
        _histogram_out(stats.spread),
    ]


def unpack(blob: object, limits: Limits = DEFAULT_LIMITS) -> Delta:
    """One part of a delta, out of bytes from anywhere; `WireError` for whatever is not exactly that."""
    content = _decode(blob, limits)
    try:
        if content["v"] != VERSION:
            raise WireError("a blob of another version: master and workers must run the same locust_ext")
        operations, pushes = _list(content["ops"]), _list(content["pushes"])
        if len(operations) + len(pushes) > limits.operations:
            raise WireError("too many operations in one blob")
        part, count = _numbers([content["part"], content["parts"]], 2)
        if part >= count or type(content["final"]) is not bool:
            raise WireError("a part that says it is beyond the last")
        from_s, to_s = _seconds(content["from"]), _seconds(content["to"])
        return Delta(
            run_id=_text(content["run"]),
            worker=_text(content["worker"]),
            seq=_numbers([content["seq"]], 1)[0],
            part=part,
            parts=count,
            final=content["final"],
            from_s=from_s,
            to_s=to_s,
            operations=tuple(_operation_in(item) for item in operations),
            pushes=tuple(_push_in(item) for item in pushes),
            connections=None if content["connections"] is None else _connections_in(content["connections"]),
            traffic=TrafficStats(*_numbers(content["traffic"], 4)),
        )
    except WireError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError):
        raise WireError("a blob with fields that are missing or of the wrong form") from None


def _decode(blob: object, limits: Limits) -> dict[str, Any]:
    if not isinstance(blob, bytes | bytearray | memoryview):
        raise WireError("a blob that is not bytes")
    if len(blob) > limits.blob_bytes:
        raise WireError("a blob over the size limit")
    expander = zlib.decompressobj()
    try:
        text = expander.decompress(blob, limits.text_bytes)
        if not expander.eof or expander.unused_data:
            raise WireError("a blob that is cut short, too long or over the size limit when expanded")
        content = orjson.loads(text)
    except (zlib.error, orjson.JSONDecodeError):
        raise WireError("a blob that cannot be decoded") from None
    if type(content) is not dict:
        raise WireError("a blob that holds no object")
    return content


def _text(value: object) -> str:
    if type(value) is not str or len(value) > MAX_LENGTH:
        raise WireError("a name that is no text or too long")
    return value


def _list(value: object) -> list[Any]:
    if type(value) is not list:
        raise WireError("a list is missing")
    return value


def _numbers(value: object, count: int | None = None) -> list[int]:
    numbers = _list(value)
    if count is not None and len(numbers) != count:
        raise WireError("the wrong number of counts")
    # Set and min run in C: a part may hold 20,000 of these.
    if numbers and (set(map(type, numbers)) != {int} or min(numbers) < 0 or max(numbers) > _MAX_NUMBER):
        raise WireError("a count that is no number, negative or too large")
    return numbers


def _seconds(value: object) -> float | None:
    if value is None:
        return None
    if type(value) not in (int, float) or not 0 <= value < 1e9:  # type: ignore[operator]
        raise WireError("a time that is no number or out of range")
    return float(value)  # type: ignore[arg-type]


def _counts(value: object, largest: int) -> Mapping[str, int]:
    if type(value) is not dict or len(value) > largest:
        raise WireError("counts by name that are none, or too many")
    _numbers(list(value.values()))
    for name in value:
        _text(name)
    return value


def _histogram_in(value: object) -> Distribution | None:
    if value is None:
        return None
    fields = _list(value)
    if not fields:
        return EMPTY
    total, low, high = _numbers(fields[:3], 3)
    indices, counts = _numbers(fields[3]), _numbers(fields[4])
    buckets = dict(zip(indices, counts, strict=True))
    if len(buckets) != len(indices) or len(fields) != 5 or max(indices) >= BUCKETS:
        raise WireError("a histogram with buckets that do not exist or come twice")
    return Distribution.checked(total, low, high, buckets)


def _operation_in(value: object) -> OperationStats:
    type_, name, tags, counts, errors, latency, service = _list(value)
    if len(_list(tags)) > MAX_TAGS:
        raise WireError("too many tags")
    ok, failed, timed_out, lost, cancelled, in_flight, late, duplicate, unmatched, received = _numbers(counts, 10)
    stats = OperationStats(
        _text(type_),
        _text(name),
        tuple(_text(tag) for tag in tags),
        ok,
        failed,
        timed_out,
        lost,
        cancelled,
        in_flight,
        late,
        duplicate,
        unmatched,
        received,
        _counts(errors, MAX_ERROR_CLASSES + 1),
        _histogram_in(latency) or EMPTY,
        _histogram_in(service),
    )
    if sum(stats.errors.values()) != stats.failures:
        raise WireError("failures whose classes do not add up")
    if stats.latency.count > ok + failed:
        raise WireError("more latencies than answers")
    return stats


def _push_in(value: object) -> PushStats:
    event, counts, lag, spread = _list(value)
    received, bytes_received, expected, reached = _numbers(counts, 4)
    return PushStats(
        _text(event),
        received,
        bytes_received,
        _histogram_in(lag),
        expected or None,
        reached if expected else None,
        _histogram_in(spread),
    )


def _connections_in(value: object) -> ConnectionStats:
    states, *numbers = _list(value)
    return ConnectionStats(dict(_counts(states, 32)), *_numbers(numbers, 4))
