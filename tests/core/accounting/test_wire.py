"""Blobs: what goes in comes out, and nothing hostile gets through."""

from __future__ import annotations

import zlib
from typing import Any

import orjson
import pytest
from hypothesis import given, settings, strategies as st

from locust_ext.core.accounting import Recorder, wire
from locust_ext.core.accounting.wire import Limits, WireError
from locust_ext.errors import LocustExtError
from locust_ext.model import Delta, FanOutDelta


def worker(names: int = 3, samples: int = 4) -> Recorder:
    recorder = Recorder(worker="w1", max_names=10_000)
    recorder.begin("run", 0.0)
    for name in range(names):
        for sample in range(samples):
            recorder.operation("WS", f"name {name}", 1000 * (sample + 1) ** 2, 10, service_us=sample, tags=("t",))
        recorder.operation("WS", f"name {name}", None, 0, "lost", "reset", tags=("t",))
    recorder.push("set", 5, 1000)
    recorder.push("clear", 5)
    recorder.fan_out("set", 3, 2, 100)
    recorder.connection_state(None, "open")
    recorder.reconnected()
    recorder.inbox_dropped()
    recorder.traffic.messages_sent += 9
    recorder.resource("generator", "", 1.0, {"cpu_percent": 12.5, "memory_bytes": 5e7}, {"descriptors_limit": 1024})
    recorder.connection_opened(Connection())
    ended = Connection()
    recorder.connection_opened(ended)
    recorder.connection_ended(ended)
    told = recorder.fan_outs
    old, early, late = (told.join("room", at_us) for at_us in (10, 5_000_000, 6_000_000))
    told.settle(told.send("room", "set", "t", 5_500_000, early), True)
    for member in (old, late):
        for tie in ("t", "heard only"):
            told.receive(member, tie, 6_500_000)
    told.leave(early, 7_000_000)
    return recorder


class Connection:
    """One that has ended."""

    messages_sent = 1
    messages_received = 22
    bytes_sent = 333
    bytes_received = 4444
    lifetime_s = 5.555


def content() -> dict[str, Any]:
    """The decoded content of a good blob, to be spoilt."""
    (blob,) = wire.pack(worker(names=1).drain(1.5))
    decoded: dict[str, Any] = orjson.loads(zlib.decompress(blob))
    return decoded


def blob_of(decoded: object) -> bytes:
    return zlib.compress(orjson.dumps(decoded))


def test_a_delta_comes_out_as_it_went_in() -> None:
    sent = worker().drain(1.5, final=True)
    (blob,) = wire.pack(sent)
    assert wire.unpack(blob) == sent
    assert wire.unpack(bytearray(blob)) == wire.unpack(memoryview(blob)) == sent


def test_many_fan_outs_go_into_several_blobs_and_each_comes_out_once() -> None:
    recorder = Recorder(worker="w1")
    recorder.begin("run", 0.0)
    members = [recorder.fan_outs.join("room", 1) for _ in range(3)]
    for number in range(1200):
        recorder.fan_outs.settle(recorder.fan_outs.send("room", "set", number, 1000), True)
        recorder.fan_outs.receive(members[number % 3], number, 2000)
    sent = recorder.drain(9.0, final=True).fan_outs
    assert sent is not None
    parts = [wire.unpack(blob).fan_outs for blob in wire.pack(recorder_delta(sent))]
    assert len(parts) == 3
    assert [part for each in parts if each is not None for part in each.parts] == list(sent.parts)
    assert [len(each.audiences) for each in parts if each is not None] == [1, 0, 0]


def recorder_delta(fan_outs: FanOutDelta) -> Delta:
    return Delta("run", "w1", 0, fan_outs=fan_outs)


def test_an_empty_delta_is_one_blob_that_still_tells_of_its_worker() -> None:
    recorder = Recorder(worker="w1")
    recorder.begin("run", 0.0)
    sent = recorder.drain(final=True)
    (blob,) = wire.pack(sent)
    assert wire.unpack(blob) == sent


def test_some_50_operations_go_into_a_blob_and_each_says_which_part_it_is() -> None:
    sent = worker(names=120).drain(1.0)
    parts = [wire.unpack(blob) for blob in wire.pack(sent)]
    assert [(part.part, part.parts, len(part.operations), len(part.pushes)) for part in parts] == [
        (0, 3, 50, 0),
        (1, 3, 50, 0),
        (2, 3, 20, 2),
    ]
    assert {(part.run_id, part.worker, part.seq, part.final) for part in parts} == {("run", "w1", 0, False)}
    assert [stats for part in parts for stats in part.operations] == list(sent.operations)
    # What is not by name travels once.
    assert [part.traffic.messages_sent for part in parts] == [9, 0, 0]
    assert [part.connections is None for part in parts] == [False, True, True]


def test_a_blob_of_wide_histograms_ends_earlier() -> None:
    recorder = Recorder(worker="w1")
    recorder.begin("run", 0.0)
    for name in range(10):
        for sample in range(2500):
            recorder.operation("WS", str(name), int(1.008**sample) if sample < 2000 else sample, 1)
    sent = recorder.drain()
    parts = [wire.unpack(blob) for blob in wire.pack(sent)]
    assert len(parts) > 1
    assert all(sum(len(stats.latency.buckets) for stats in part.operations) <= wire.BUCKETS_A_PART for part in parts)
    assert [stats for part in parts for stats in part.operations] == list(sent.operations)


@pytest.mark.parametrize(
    "blob", [None, "text", 5, [], b"", b"x", b"\x78\x01", zlib.compress(b"{"), zlib.compress(b"[]")]
)
def test_what_is_no_blob_is_refused(blob: object) -> None:
    with pytest.raises(WireError):
        wire.unpack(blob)


def test_a_bomb_is_refused_before_it_expands() -> None:
    bomb = zlib.compress(b" " * 50_000_000)
    assert len(bomb) < 100_000
    with pytest.raises(WireError, match="over the size limit"):
        wire.unpack(bomb)


def test_limits_are_settable() -> None:
    (blob,) = wire.pack(worker(names=10).drain())
    for limits in (Limits(blob_bytes=10), Limits(text_bytes=10), Limits(operations=5)):
        with pytest.raises(WireError):
            wire.unpack(blob, limits)


def test_a_blob_cut_short_or_with_something_behind_is_refused() -> None:
    (blob,) = wire.pack(worker().drain())
    for spoilt in (blob[:-1], blob[: len(blob) // 2], blob + b"x"):
        with pytest.raises(WireError):
            wire.unpack(spoilt)


BAD_FIELDS: list[tuple[str, object]] = [
    ("v", 2),
    ("samples", None),
    ("samples", {}),
    ("samples", [["generator", "", 1.0, {"cpu_percent": 1.0}]] * 201),
    ("samples", [["generator", "", 1.0]]),
    ("samples", [["nowhere", "", 1.0, {}]]),
    ("samples", [[["generator"], "", 1.0, {}]]),
    ("samples", [["generator", 5, 1.0, {}]]),
    ("samples", [["generator", "x" * 301, 1.0, {}]]),
    ("samples", [["generator", "", None, {}]]),
    ("samples", [["generator", "", -1.0, {}]]),
    ("samples", [["generator", "", 1.0, []]]),
    ("samples", [["generator", "", 1.0, {"cpu_percent": "5"}]]),
    ("samples", [["generator", "", 1.0, {"cpu_percent": True}]]),
    ("samples", [["generator", "", 1.0, {"cpu_percent": 1e300}]]),
    ("samples", [["generator", "", 1.0, {"cpu_percent": None}]]),
    ("samples", [["generator", "", 1.0, {"x" * 301: 1.0}]]),
    ("samples", [["generator", "", 1.0, {f"m{number}": 1.0 for number in range(65)}]]),
    ("limits", None),
    ("limits", {"descriptors_limit": "all"}),
    ("v", 1),
    ("v", None),
    ("run", 5),
    ("run", "x" * 301),
    ("worker", None),
    ("seq", -1),
    ("seq", 1.0),
    ("seq", True),
    ("seq", "0"),
    ("seq", 2**60),
    ("part", 1),
    ("parts", 0),
    ("final", 1),
    ("from", "0"),
    ("from", -1),
    ("to", 1e300),
    ("ops", None),
    ("ops", {}),
    ("ops", [[]]),
    ("ops", [5]),
    ("ops", [["WS"] * 50]),
    ("pushes", 0),
    ("pushes", [["e", [1, 2, 3], None, None]]),
    ("pushes", [["e", [1, 2, 3, -4], None, None]]),
    ("traffic", [1, 2, 3]),
    ("traffic", [1, 2, 3, -1]),
    ("traffic", [1, 2, 3, 0.5]),
    ("connections", []),
    ("connections", [{"open": 1}, 0, 0, 0, 0]),
    ("connections", [{"open": 1}, 0, 0, 0, 0, [[], [], [], []]]),
    ("connections", [{"open": 1}, 0, 0, 0, 0, [[5, 5, 5, [5], [1]], [], [], [], []]]),
    ("fan_outs", []),
    ("fan_outs", [5, 0, None, [], []]),
    ("fan_outs", ["h", -1, None, [], []]),
    ("fan_outs", ["h", 0, -1, [], []]),
    ("fan_outs", ["h", 0, None, [["a", [1.5], []]], []]),
    ("fan_outs", ["h", 0, None, [["a", [], [[1]]]], []]),
    ("fan_outs", ["h", 0, None, [["a", [0] * 200_001, []]], []]),
    ("fan_outs", ["h", 0, None, [["a", [], []]] * 1001, []]),
    ("fan_outs", ["h", 0, None, [], [[[1, 0, 0, 0, 0, 0, 0, 0]]] * 501]),
    ("fan_outs", ["h", 0, None, [], [[[1, 0, 0, 0, 0, 0, 0]]]]),
    ("fan_outs", ["h", 0, None, [], [[[1, 4, 0, 0, 0, 0, 0, 0]]]]),
    ("fan_outs", ["h", 0, None, [], [[[1, 1, 0, 0, 0, 0, 0, 0]]]]),
    ("fan_outs", ["h", 0, None, [], [[[1, 0, 0, 2, 0, 0, 0, 0]]]]),
    ("fan_outs", ["h", 0, None, [], [[[1, 0, 0, 0, 0, 1, 0, 0]]]]),
    ("fan_outs", ["h", 0, None, [], [[[1, 0, 0, 0, 1, 0, 2, 1]]]]),
    ("fan_outs", ["h", 0, None, [], [[[2**60, 0, 0, 0, 0, 0, 0, 0]]]]),
    ("fan_outs", ["h", 0, None, [], [[[1, 0, 0, 0, 0, 0, 0, 0], "", "", [[1, 2]], None]]]),
    ("fan_outs", ["h", 0, None, [], [[[1, 0, 0, 0, 0, 0, 0, 0], "", "", [[1, 2, 3]] * 1001, None]]]),
    ("fan_outs", ["h", 0, None, [], [[[1, 0, 0, 0, 2, 0, 0, 0], "", "", [], [5, 5, 5, [5], [1]]]]]),
    ("connections", [{"open": -1}, 0, 0, 0, 0]),
    ("connections", [{"open": None}, 0, 0, 0, 0]),
    ("connections", [{str(state): 1 for state in range(33)}, 0, 0, 0, 0]),
    ("connections", [{"open": 1}, 0, 0, 0, "0"]),
    ("connections", [{"open": 1}, 0, 0, 0]),
]


@pytest.mark.parametrize(("field", "value"), BAD_FIELDS, ids=lambda value: str(value)[:40])
def test_a_field_that_is_missing_or_wrong_is_refused(field: str, value: object) -> None:
    with pytest.raises(WireError):
        wire.unpack(blob_of(content() | {field: value}))
    spoilt = content()
    del spoilt[field]
    with pytest.raises(WireError):
        wire.unpack(blob_of(spoilt))


BAD_OPERATIONS: list[tuple[int, object]] = [
    (0, 5),
    (1, None),
    (1, "x" * 301),
    (2, "tags"),
    (2, ["t"] * 17),
    (2, [5]),
    (3, [1] * 9),
    (3, [-1] + [0] * 9),
    (3, [0] * 10),  # fewer answers than latencies
    (4, {}),  # failures without a class
    (4, {"reset": "1"}),
    (4, {"reset": 2}),
    (4, []),
    (5, 5),
    (5, [1, 1, 1]),
    (5, [1, 1, 1, [1], [0]]),
    (5, [1, 1, 1, [1], [1, 1]]),
    (5, [2, 1, 1, [1, 1], [1, 1]]),
    (5, [10**10, 10**10, 10**10, [10**6], [1]]),
    (5, [1, 1, 1, [-1], [1]]),
    (5, [1, 1, 1, [1.0], [1]]),
    (5, [5, 1, 1, [1], [1]]),
    (5, [1, 2, 1, [1], [1]]),
    (5, [1, 1, 1, [], []]),
    (5, [1, 1, 1, [1], [1], 0]),
    (6, "x"),
]


@pytest.mark.parametrize(("position", "value"), BAD_OPERATIONS, ids=lambda value: str(value)[:40])
def test_an_operation_whose_numbers_cannot_be_is_refused(position: int, value: object) -> None:
    spoilt = content()
    spoilt["ops"][0][position] = value
    with pytest.raises(WireError):
        wire.unpack(blob_of(spoilt))


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.sampled_from(sorted(content())), json_values)
def test_whatever_stands_in_a_field_gives_a_delta_or_a_wire_error(field: str, value: object) -> None:
    try:
        got = wire.unpack(blob_of(content() | {field: value}))
    except WireError:
        return
    recorder = Recorder()
    recorder.begin("run", 0.0)
    recorder.merge(got)
    recorder.tick(5.0)
    recorder.snapshot(5.0)
    assert isinstance(got, Delta)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(blob: bytes) -> None:
    with pytest.raises(WireError):
        wire.unpack(blob)
    with pytest.raises(WireError):
        wire.unpack(zlib.compress(blob))


def test_an_error_never_repeats_what_was_in_the_blob() -> None:
    with pytest.raises(WireError) as caught:
        wire.unpack(blob_of(content() | {"run": "secret" * 100}))
    assert "secret" not in str(caught.value)
    assert caught.value.code == "wire"
    assert isinstance(caught.value, LocustExtError)
