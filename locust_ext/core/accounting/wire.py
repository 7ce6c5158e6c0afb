"""`Delta` as byte blobs that a master can trust after it has looked: orjson, zlib level 1, some 50 operations each.

A blob is one part of a delta and says so itself (run, worker, sequence number, part i of n, final), so that parts may
come repeated or in another order; `Recorder.merge` takes each once. `parts` and `unpack` do one blob a call: a loop
that lets others run between two of them is never held up for long.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from locust_ext.core.accounting.blob import (
    WireError,
    counts_in,
    histogram_in,
    histogram_out,
    list_in,
    numbers_in,
    seconds_in,
    text_in,
    values_in,
)
from locust_ext.core.accounting.ended import FIGURES
from locust_ext.core.accounting.fanout_wire import PARTS_A_BLOB, fan_outs_in, fan_outs_out
from locust_ext.core.accounting.ledger import MAX_ERROR_CLASSES
from locust_ext.core.accounting.names import MAX_TAGS
from locust_ext.core.accounting.recoveries import MAX_CHANNELS
from locust_ext.core.accounting.resources import MAX_METRICS
from locust_ext.model import (
    EMPTY,
    SIDES,
    ConnectionStats,
    ConnectionTotals,
    Delta,
    Distribution,
    FanOutPart,
    GeneratorPeriod,
    OperationStats,
    PushStats,
    RecoveryStats,
    ResourceSample,
    TrafficStats,
)

__all__ = ["DEFAULT_LIMITS", "Limits", "WireError", "pack", "parts", "unpack"]

VERSION: Final = 3
OPERATIONS_A_PART: Final = 50
BUCKETS_A_PART: Final = 5_000
"""A part ends early when its histograms hold this many buckets."""
_MAX_PERIODS: Final = 200
_MAX_SAMPLES: Final = 200


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
    for number, (operations, pushes, fan_outs) in enumerate(chunks):
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
            "epoch": delta.epoch,
            "warmup": delta.warmup,
            "generator": [_period_out(period) for period in delta.generator] if number == 0 else [],
            "samples": [_sample_out(sample) for sample in delta.samples] if number == 0 else [],
            "limits": dict(delta.limits) if number == 0 else {},
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
                [histogram_out(getattr(connections.ended, figure)) for figure in FIGURES],
                connections.handler_calls_dropped,
                [
                    [each.user, each.channel, histogram_out(each.time), each.failovers]
                    for each in connections.recoveries
                ],
            ],
            "fan_outs": fan_outs_out(delta.fan_outs, fan_outs, number == 0),
        }
        yield zlib.compress(orjson.dumps(content), 1)


_Chunk = tuple[list[OperationStats], list[PushStats], list[FanOutPart]]


def _chunks(delta: Delta) -> list[_Chunk]:
    chunks: list[_Chunk] = [([], [], [])]
    size = 0.0
    buckets = 0

    def room_for(*distributions: Distribution | None, weight: float = 1.0) -> _Chunk:
        nonlocal size, buckets
        more = sum(len(distribution.buckets) for distribution in distributions if distribution is not None)
        if size and (size >= OPERATIONS_A_PART or buckets + more > BUCKETS_A_PART):
            chunks.append(([], [], []))
            size, buckets = 0.0, 0
        size += weight
        buckets += more
        return chunks[-1]

    for operation in delta.operations:
        room_for(operation.latency, operation.service)[0].append(operation)
    for push in delta.pushes:
        room_for(push.lag, push.spread)[1].append(push)
    for part in delta.fan_outs.parts if delta.fan_outs is not None else ():
        # A tenth of an operation, or more for one that carries figures of single receivers.
        weight = max(OPERATIONS_A_PART / PARTS_A_BLOB, len(part.unsure) / 50)
        room_for(part.offsets, weight=weight)[2].append(part)
    return chunks


def _period_out(period: GeneratorPeriod) -> list[Any]:
    return [
        period.start_s,
        period.length_s,
        period.cpu_us,
        histogram_out(period.lag),
        histogram_out(period.lateness),
    ]


def _sample_out(sample: ResourceSample) -> list[Any]:
    return [sample.side, sample.source, sample.at_s, dict(sample.values)]


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
        histogram_out(stats.latency),
        histogram_out(stats.service),
    ]


def _push_out(stats: PushStats) -> list[Any]:
    return [
        stats.event,
        [stats.received, stats.bytes_received, stats.expected or 0, stats.reached or 0],
        histogram_out(stats.lag),
        histogram_out(stats.spread),
    ]


def unpack(blob: object, limits: Limits = DEFAULT_LIMITS) -> Delta:
    """One part of a delta, out of bytes from anywhere; `WireError` for whatever is not exactly that."""
    content = _decode(blob, limits)
    try:
        if content["v"] != VERSION:
            raise WireError("a blob of another version: master and workers must run the same locust_ext")
        operations, pushes = list_in(content["ops"]), list_in(content["pushes"])
        if len(operations) + len(pushes) > limits.operations:
            raise WireError("too many operations in one blob")
        part, count = numbers_in([content["part"], content["parts"]], 2)
        if part >= count or type(content["final"]) is not bool or type(content["warmup"]) is not bool:
            raise WireError("a part that says it is beyond the last")
        from_s, to_s = seconds_in(content["from"]), seconds_in(content["to"])
        return Delta(
            run_id=text_in(content["run"]),
            worker=text_in(content["worker"]),
            seq=numbers_in([content["seq"]], 1)[0],
            part=part,
            parts=count,
            final=content["final"],
            from_s=from_s,
            to_s=to_s,
            operations=tuple(_operation_in(item) for item in operations),
            pushes=tuple(_push_in(item) for item in pushes),
            connections=None if content["connections"] is None else _connections_in(content["connections"]),
            traffic=TrafficStats(*numbers_in(content["traffic"], 4)),
            generator=_generator_in(content["generator"]),
            samples=_samples_in(content["samples"]),
            limits=values_in(content["limits"], MAX_METRICS),
            epoch=numbers_in([content["epoch"]], 1)[0],
            warmup=content["warmup"],
            fan_outs=fan_outs_in(content["fan_outs"]),
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


def _generator_in(value: object) -> tuple[GeneratorPeriod, ...]:
    periods = list_in(value)
    if len(periods) > _MAX_PERIODS:
        raise WireError("too many seconds of the generator's own figures")
    return tuple(_period_in(period) for period in periods)


def _period_in(value: object) -> GeneratorPeriod:
    start_s, length_s, cpu_us, lag, lateness = list_in(value)
    start, length = seconds_in(start_s), seconds_in(length_s)
    if start is None or not length:
        raise WireError("a period without its time")
    return GeneratorPeriod(
        start, length, numbers_in([cpu_us], 1)[0], histogram_in(lag) or EMPTY, histogram_in(lateness) or EMPTY
    )


def _samples_in(value: object) -> tuple[ResourceSample, ...]:
    samples = list_in(value)
    if len(samples) > _MAX_SAMPLES:
        raise WireError("too many samples of resources")
    return tuple(_sample_in(sample) for sample in samples)


def _sample_in(value: object) -> ResourceSample:
    side, source, at_s, values = list_in(value)
    at = seconds_in(at_s)
    if side not in SIDES or at is None:
        raise WireError("a sample of resources of no side or no time")
    return ResourceSample(side, text_in(source), at, values_in(values, MAX_METRICS))


def _operation_in(value: object) -> OperationStats:
    type_, name, tags, counts, errors, latency, service = list_in(value)
    if len(list_in(tags)) > MAX_TAGS:
        raise WireError("too many tags")
    ok, failed, timed_out, lost, cancelled, in_flight, late, duplicate, unmatched, received = numbers_in(counts, 10)
    stats = OperationStats(
        text_in(type_),
        text_in(name),
        tuple(text_in(tag) for tag in tags),
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
        counts_in(errors, MAX_ERROR_CLASSES + 1),
        histogram_in(latency) or EMPTY,
        histogram_in(service),
    )
    if sum(stats.errors.values()) != stats.failures:
        raise WireError("failures whose classes do not add up")
    if stats.latency.count > ok + failed:
        raise WireError("more latencies than answers")
    return stats


def _push_in(value: object) -> PushStats:
    event, counts, lag, spread = list_in(value)
    received, bytes_received, expected, reached = numbers_in(counts, 4)
    return PushStats(
        text_in(event),
        received,
        bytes_received,
        histogram_in(lag),
        expected or None,
        reached if expected else None,
        histogram_in(spread),
    )


def _connections_in(value: object) -> ConnectionStats:
    states, peak_open, reconnects, in_order, dropped, ended, calls_dropped, recoveries = list_in(value)
    histograms = [histogram_in(figure) or EMPTY for figure in list_in(ended)]
    if len(histograms) != len(FIGURES) or len({histogram.count for histogram in histograms}) != 1:
        raise WireError("figures of ended connections that do not add up")
    numbers_in([peak_open, reconnects, in_order, dropped, calls_dropped])
    if len(list_in(recoveries)) > MAX_CHANNELS + 1:
        raise WireError("recoveries of too many channels")
    return ConnectionStats(
        dict(counts_in(states, 32)),
        peak_open,
        reconnects,
        in_order,
        dropped,
        ConnectionTotals(*histograms),
        calls_dropped,
        tuple(_recovery_in(each) for each in recoveries),
    )


def _recovery_in(value: object) -> RecoveryStats:
    user, channel, time, failovers = list_in(value)
    stats = RecoveryStats(text_in(user), text_in(channel), histogram_in(time) or EMPTY, numbers_in([failovers], 1)[0])
    if stats.failovers > stats.time.count:
        raise WireError("more failovers than recoveries")
    return stats
