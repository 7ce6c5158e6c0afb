"""The codec against RFC 6455: every violation with its close code, every event with its value, and what it costs."""

from __future__ import annotations

import random
import sys
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from locust_ext.core.protocols.deflate import PerMessageDeflate
from locust_ext.core.protocols.websocket import (
    BINARY,
    CLOSE,
    FAIL,
    PING,
    PONG,
    TEXT,
    Event,
    WebSocketCodec,
    apply_mask,
    is_wire_code,
)
from tests.core.protocols.websocket_frames import CONTINUATION, chunks, fragments, frame

KEY = b"\x37\xfa\x21\x3d"
PROTOCOL = (FAIL, (1002, "protocol"))
BAD_UTF8 = (FAIL, (1007, "bad_utf8"))
TOO_BIG = (FAIL, (1009, "too_big"))


def client(**options: Any) -> WebSocketCodec:
    return WebSocketCodec(random=random.Random(7), **options)


def server(**options: Any) -> WebSocketCodec:
    return WebSocketCodec(random=random.Random(7), is_client=False, **options)


def receive(codec: WebSocketCodec, data: bytes, sizes: tuple[int, ...] = (2**30,)) -> list[Event]:
    return [event for chunk in chunks(data, sizes) for event in codec.receive_data(chunk)]


# -- receiving


@pytest.mark.parametrize(
    ("wire", "events"),
    [
        # RFC 6455, 5.7
        (bytes.fromhex("810548656c6c6f"), [(TEXT, "Hello")]),
        (bytes.fromhex("010348656c80026c6f"), [(TEXT, "Hello")]),
        (bytes.fromhex("890548656c6c6f"), [(PING, b"Hello")]),
        (bytes.fromhex("8a0548656c6c6f"), [(PONG, b"Hello")]),
        (bytes.fromhex("827e0100") + bytes(256), [(BINARY, bytes(256))]),
        (bytes.fromhex("827f0000000000010000") + bytes(65536), [(BINARY, bytes(65536))]),
        # edges
        (frame(TEXT), [(TEXT, "")]),
        (frame(BINARY), [(BINARY, b"")]),
        (frame(PING), [(PING, b"")]),
        (frame(PONG, b"p" * 125), [(PONG, b"p" * 125)]),
        (frame(TEXT, "€😀".encode()), [(TEXT, "€😀")]),
        (frame(TEXT, b"\x00\xef\xbf\xbf"), [(TEXT, "\x00\uffff")]),
        (frame(TEXT, fin=False) + frame(CONTINUATION), [(TEXT, "")]),
        (frame(BINARY, b"a", fin=False) + frame(CONTINUATION, fin=False) + frame(CONTINUATION, b"b"),
         [(BINARY, b"ab")]),
        (frame(TEXT, b"1") + frame(TEXT, b"2") + frame(PING) + frame(TEXT, b"3"),
         [(TEXT, "1"), (TEXT, "2"), (PING, b""), (TEXT, "3")]),
        (frame(CLOSE), [(CLOSE, (1005, ""))]),
        (frame(CLOSE, b"\x03\xe8"), [(CLOSE, (1000, ""))]),
        (frame(CLOSE, b"\x0f\xa1" + "Grüße".encode()), [(CLOSE, (4001, "Grüße"))]),
        (frame(CLOSE, b"\x03\xe8" + b"r" * 123), [(CLOSE, (1000, "r" * 123))]),
    ],
)  # fmt: skip
def test_valid_frames_become_these_events_whole_and_byte_by_byte(wire: bytes, events: list[Event]) -> None:
    assert receive(client(), wire) == events
    assert receive(client(), wire, (1,)) == events


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70000])
def test_a_message_of_any_length_form_arrives_whole_however_it_is_cut(size: int) -> None:
    text = "x" * size
    for cut in (1, 2, 3, 4, 10, 11, 4096, size + 1, size + 20):
        if size // cut > 5000:
            continue
        codec = client()
        assert receive(codec, frame(TEXT, text.encode()) * 2, (cut,)) == [(TEXT, text)] * 2
        assert codec.bytes_buffered == 0
        assert not codec.is_in_message


def test_the_masked_example_of_the_rfc_is_understood_by_the_server_side() -> None:
    assert receive(server(), bytes.fromhex("818537fa213d7f9f4d5158")) == [(TEXT, "Hello")]


def test_control_frames_between_fragments_come_first_and_leave_the_message_whole() -> None:
    parts = fragments(TEXT, "aé€😀".encode(), (1,))
    wire = b"".join(part + frame(PING, bytes((index,))) for index, part in enumerate(parts[:-1])) + parts[-1]
    expected: list[Event] = [(PING, bytes((index,))) for index in range(len(parts) - 1)]
    assert receive(client(), wire) == [*expected, (TEXT, "aé€😀")]
    assert receive(client(), wire, (1,)) == [*expected, (TEXT, "aé€😀")]


def test_a_close_inside_a_fragmented_message_is_delivered_and_the_partial_message_is_not() -> None:
    codec = client()
    assert receive(codec, frame(TEXT, b"part", fin=False) + frame(CLOSE, b"\x03\xe9")) == [(CLOSE, (1001, ""))]
    assert codec.bytes_buffered == 0


def test_a_message_arrives_with_its_last_fragment_and_not_before() -> None:
    codec = client()
    assert codec.receive_data(frame(TEXT, b"a", fin=False)) == []
    assert codec.is_in_message
    assert codec.bytes_buffered == 1
    assert codec.receive_data(frame(CONTINUATION, b"b")) == [(TEXT, "ab")]
    assert not codec.is_in_message


@pytest.mark.parametrize("last", [frame(CLOSE, b"\x03\xe8"), frame(3)])
def test_nothing_is_said_after_a_close_or_a_failure(last: bytes) -> None:
    codec = client()
    assert len(codec.receive_data(last + frame(TEXT, b"late"))) == 1
    assert codec.receive_data(frame(TEXT, b"later")) == []
    assert codec.receive_data(b"\x81") == []
    assert codec.bytes_buffered == 0
    assert not codec.is_in_message


def test_an_empty_chunk_changes_nothing() -> None:
    codec = client()
    assert codec.receive_data(b"") == []
    assert codec.receive_data(frame(TEXT, b"whole")[:3]) == []
    assert codec.receive_data(b"") == []
    assert codec.receive_data(frame(TEXT, b"whole")[3:]) == [(TEXT, "whole")]


def test_end_of_data_says_whether_something_was_cut_off_and_frees_it() -> None:
    for wire, was_in_message in [
        (b"", False),
        (frame(TEXT, b"whole"), False),
        (b"\x81", True),
        (frame(TEXT, b"whole")[:-1], True),
        (frame(TEXT, b"part", fin=False), True),
        (frame(CLOSE), False),
    ]:
        codec = client()
        codec.receive_data(wire)
        assert codec.end_of_data() is was_in_message, wire
        assert codec.bytes_buffered == 0
        assert codec.receive_data(frame(TEXT, b"late")) == []


# -- violations

TEXT_OPEN = frame(TEXT, b"a", fin=False)

VIOLATIONS: list[tuple[str, bytes, Event]] = [
    *[(f"RSV {rsv:03b} on a text frame", frame(TEXT, b"a", rsv=rsv), PROTOCOL) for rsv in range(1, 8)],
    *[(f"RSV {rsv:03b} on a ping", frame(PING, b"a", rsv=rsv), PROTOCOL) for rsv in range(1, 8)],
    ("RSV1 on a continuation", TEXT_OPEN + frame(CONTINUATION, b"b", rsv=4), PROTOCOL),
    *[(f"opcode {opcode}", frame(opcode, b"a"), PROTOCOL) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)],
    ("a masked frame from the server", frame(TEXT, b"a", key=KEY), PROTOCOL),
    ("a masked ping from the server", frame(PING, b"a", key=KEY), PROTOCOL),
    *[(f"fragmented control frame {opcode}", frame(opcode, fin=False), PROTOCOL) for opcode in (CLOSE, PING, PONG)],
    *[(f"control frame {opcode} of 126 bytes", frame(opcode, bytes(126)), PROTOCOL) for opcode in (CLOSE, PING, PONG)],
    ("control frame with a 16-bit length", frame(PING, b"a", length_bytes=2), PROTOCOL),
    ("control frame with a 64-bit length", frame(PING, b"a", length_bytes=8), PROTOCOL),
    ("a continuation of nothing", frame(CONTINUATION, b"a"), PROTOCOL),
    ("a last continuation of nothing", frame(CONTINUATION, b"a", fin=False), PROTOCOL),
    ("a continuation after a whole message", frame(CONTINUATION, b"a"), PROTOCOL),
    ("a text inside a text", TEXT_OPEN + frame(TEXT, b"b"), PROTOCOL),
    ("a binary inside a text", TEXT_OPEN + frame(BINARY, b"b"), PROTOCOL),
    ("a fragmented text inside a text", TEXT_OPEN + TEXT_OPEN, PROTOCOL),
    ("125 bytes with a 16-bit length", frame(TEXT, bytes(125), length_bytes=2), PROTOCOL),
    ("0 bytes with a 16-bit length", frame(TEXT, b"", length_bytes=2), PROTOCOL),
    ("65,535 bytes with a 64-bit length", frame(BINARY, bytes(65535), length_bytes=8), PROTOCOL),
    ("5 bytes with a 64-bit length", frame(TEXT, b"Hello", length_bytes=8), PROTOCOL),
    ("the top bit of a 64-bit length", b"\x82\x7f\x80" + bytes(7), PROTOCOL),
    ("all bits of a 64-bit length", b"\x82\x7f" + b"\xff" * 8, PROTOCOL),
    ("a close payload of one byte", frame(CLOSE, b"\x03"), PROTOCOL),
    *[
        (f"close code {code}", frame(CLOSE, code.to_bytes(2, "big")), PROTOCOL)
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    ],
    ("a close reason that is no UTF-8", frame(CLOSE, b"\x03\xe8\xff"), BAD_UTF8),
    ("a close reason that is cut short", frame(CLOSE, b"\x03\xe8" + "€".encode()[:2]), BAD_UTF8),
    ("a text that is no UTF-8", frame(TEXT, b"ok\xff"), BAD_UTF8),
    ("a long text that is no UTF-8", frame(TEXT, b"x" * 200 + b"\xff"), BAD_UTF8),
    ("a very long text that is no UTF-8", frame(TEXT, b"x" * 70000 + b"\xff"), BAD_UTF8),
    ("a text that is cut short", frame(TEXT, "€".encode()[:2]), BAD_UTF8),
    ("an overlong encoding", frame(TEXT, b"\xc0\xaf"), BAD_UTF8),
    ("a surrogate", frame(TEXT, b"\xed\xa0\x80"), BAD_UTF8),
    ("a code point over U+10FFFF", frame(TEXT, b"\xf4\x90\x80\x80"), BAD_UTF8),
    ("a second fragment that breaks a character", b"".join(fragments(TEXT, b"\xe2\x82x", (2,))), BAD_UTF8),
    ("a fragmented text that is cut short", frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"\xe2"), BAD_UTF8),
    ("a text cut short before an empty fragment", frame(TEXT, b"\xe2", fin=False) + frame(CONTINUATION), BAD_UTF8),
]  # fmt: skip


@pytest.mark.parametrize(("wire", "failure"), [row[1:] for row in VIOLATIONS], ids=[row[0] for row in VIOLATIONS])
def test_each_violation_fails_with_its_code_and_class_after_what_came_before_it(wire: bytes, failure: Event) -> None:
    before = frame(TEXT, b"before") + frame(BINARY, b"\x00") + frame(PONG, b"p")
    events: list[Event] = [(TEXT, "before"), (BINARY, b"\x00"), (PONG, b"p"), failure]
    assert receive(client(), wire) == [failure]
    assert receive(client(), frame(TEXT, b"1") + wire) == [(TEXT, "1"), failure]
    assert receive(client(), before + wire + frame(TEXT, b"after")) == events
    assert receive(client(), before + wire + frame(TEXT, b"after"), (1,) if len(wire) < 1000 else (999,)) == events


@pytest.mark.parametrize("code", [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999])
def test_each_close_code_of_the_registry_and_of_the_open_ranges_is_delivered(code: int) -> None:
    assert receive(client(), frame(CLOSE, code.to_bytes(2, "big"))) == [(CLOSE, (code, ""))]
    assert is_wire_code(code)


@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE])
def test_the_server_side_refuses_unmasked_frames(opcode: int) -> None:
    assert receive(server(), frame(opcode)) == [PROTOCOL]


def test_a_violation_in_the_header_is_found_before_the_payload_comes() -> None:
    assert client().receive_data(frame(3, length=60000)) == [PROTOCOL]
    assert client().receive_data(b"\x82\x7e\x00\x05") == [PROTOCOL]
    assert client().receive_data(frame(PING, length=126)[:2]) == [PROTOCOL]


def test_a_fragment_that_breaks_the_text_fails_before_the_message_ends() -> None:
    codec = client()
    assert codec.receive_data(frame(TEXT, "€".encode()[:2], fin=False)) == []
    assert codec.receive_data(frame(CONTINUATION, b"x", fin=False)) == [BAD_UTF8]
    codec = client()
    assert codec.receive_data(frame(TEXT, b"\xff", fin=False)) == [BAD_UTF8]


def test_each_fragmented_text_is_checked_from_its_own_start() -> None:
    codec = client()
    assert receive(codec, b"".join(fragments(TEXT, b"twelve bytes", (5,)))) == [(TEXT, "twelve bytes")]
    assert codec.receive_data(frame(TEXT, b"\xff", fin=False)) == [BAD_UTF8]


@pytest.mark.parametrize("size", [5, 200])
def test_a_whole_text_in_a_chunk_of_its_own_is_still_a_violation_inside_an_open_message(size: int) -> None:
    codec = client()
    assert codec.receive_data(frame(TEXT, b"open", fin=False)) == []
    assert codec.receive_data(frame(TEXT, b"x" * size)) == [PROTOCOL]


def test_binary_messages_are_not_checked_for_utf8() -> None:
    wire = b"".join(fragments(BINARY, b"\xff\xfe\xc0", (1,))) + frame(BINARY, b"\xff")
    assert receive(client(), wire) == [(BINARY, b"\xff\xfe\xc0"), (BINARY, b"\xff")]


# -- limits


@pytest.mark.parametrize("limit", [0, 1, 50, 125, 126, 1000, 65535, 65536, 100_000])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_at_the_limit_passes_and_one_byte_more_does_not(limit: int, opcode: int) -> None:
    payload = b"x" * limit
    message: Event = (opcode, "x" * limit if opcode == TEXT else payload)
    pieces = (max(1, limit // 3),)
    for wire, events in [
        (frame(opcode, payload), [message]),
        (frame(opcode, payload) * 2, [message] * 2),
        (b"".join(fragments(opcode, payload, pieces)), [message]),
        (frame(opcode, payload + b"x"), [TOO_BIG]),
        (frame(PONG) + frame(opcode, payload + b"x"), [(PONG, b""), TOO_BIG]),
        (b"".join(fragments(opcode, payload + b"x", pieces)), [TOO_BIG]),
    ]:
        assert receive(client(max_message_bytes=limit), wire) == events


def test_the_limit_is_known_from_the_header_and_nothing_of_the_payload_is_kept() -> None:
    for header in (
        frame(BINARY, length=2**63 - 1),
        frame(TEXT, length=65536),
        frame(TEXT, length=65536, fin=False),
        frame(TEXT, length=1001),
    ):
        codec = client(max_message_bytes=1000)
        assert codec.receive_data(header + b"x" * 100) == [TOO_BIG]
        assert codec.bytes_buffered == 0


def test_a_fragment_that_would_go_over_the_limit_fails_at_its_header() -> None:
    codec = client(max_message_bytes=10)
    assert codec.receive_data(frame(TEXT, b"123456", fin=False)) == []
    assert codec.receive_data(frame(CONTINUATION, length=5)) == [TOO_BIG]


@pytest.mark.parametrize("limit", [3, 125, 126, 1000, 65536])
def test_the_limit_of_a_frame_holds_apart_from_that_of_a_message(limit: int) -> None:
    fits = b"".join(fragments(BINARY, b"x" * (3 * limit), (limit,)))
    assert receive(client(max_frame_bytes=limit), fits) == [(BINARY, b"x" * (3 * limit))]
    assert receive(client(max_frame_bytes=limit), frame(TEXT, b"x" * limit) * 2) == [(TEXT, "x" * limit)] * 2
    too_long = b"x" * (limit + 1)
    for wire in (frame(TEXT, too_long), frame(TEXT, b"x", fin=False) + frame(CONTINUATION, too_long)):
        assert receive(client(max_frame_bytes=limit), wire) == [TOO_BIG]


def test_control_frames_are_outside_the_limits() -> None:
    assert receive(client(max_message_bytes=3), frame(PING, b"p" * 125)) == [(PING, b"p" * 125)]


def test_memory_stays_near_the_limit_while_a_message_at_the_limit_arrives() -> None:
    limit = 2 * 2**20
    for wire in (frame(TEXT, b"x" * limit), b"".join(fragments(TEXT, b"x" * limit, (16384,)))):
        codec = client(max_message_bytes=limit)
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            events = 0
            for start in range(0, len(wire), 8192):
                events += len(codec.receive_data(wire[start : start + 8192]))
            peak = tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()
        assert events == 1
        assert peak < 2.5 * limit  # the bytes with their reserve, and the text made of them


def test_endless_empty_fragments_take_no_memory() -> None:
    codec = client()
    codec.receive_data(frame(TEXT, fin=False))
    for _ in range(100):
        assert codec.receive_data(frame(CONTINUATION, fin=False) * 1000) == []
    assert codec.bytes_buffered == 0
    assert codec.receive_data(frame(CONTINUATION, b"end")) == [(TEXT, "end")]


# -- work


def calls_made(action: Callable[[], object]) -> int:
    """Calls of Python and C functions during ``action``: the same on every machine."""
    calls = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(None)
    return calls


def test_fragments_cost_the_same_however_many_there_are() -> None:
    def cost(count: int) -> int:
        wire = b"".join(fragments(TEXT, b"x" * count, (1,)))
        codec = client()
        return calls_made(lambda: receive(codec, wire, (8192,)))

    assert cost(8192) < 1.1 * 8 * cost(1024)


def test_a_chunk_of_whole_texts_takes_three_calls_a_frame() -> None:
    wire = frame(TEXT, b"x" * 100) * 50
    codec = client()
    assert calls_made(lambda: codec.receive_data(wire)) <= 50 * 3 + 5


@pytest.mark.parametrize("form", ["one frame", "fragments of 16 KiB", "tiny fragments"])
def test_eight_times_the_bytes_in_small_chunks_take_about_eight_times_as_long(form: str) -> None:
    """Quadratic work would take 64 times as long; the bound lies where neither noise nor a cache reaches."""

    def cpu_s(size: int) -> float:
        if form == "one frame":
            wire = frame(TEXT, b"x" * size)
        else:
            wire = b"".join(fragments(TEXT, b"x" * size, (16384 if form == "fragments of 16 KiB" else 64,)))
        best = 1e9
        for _ in range(3):
            codec = client()
            started = time.process_time()
            events = receive(codec, wire, (8192,))
            best = min(best, time.process_time() - started)
            assert len(events) == 1
        return best

    small, large = (2**16, 2**19) if form == "tiny fragments" else (2**21, 2**24)
    assert cpu_s(large) < 28 * cpu_s(small)


def test_a_frame_that_drips_in_byte_by_byte_is_not_copied_each_time() -> None:
    def cost(size: int) -> int:
        codec = client()
        wire = frame(BINARY, b"x" * size)
        return calls_made(lambda: receive(codec, wire, (1,)))

    assert cost(40_000) < 1.1 * 8 * cost(5_000)


# -- sending


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 124, 125, 126, 127, 200, 4095, 4096, 4097, 65535, 65536, 100_001])
def test_what_a_client_sends_is_minimal_masked_and_understood_by_a_server(size: int) -> None:
    text = "é" * (size // 2) + "x" * (size % 2)
    payload = text.encode()
    header_bytes = 6 if size < 126 else 8 if size < 65536 else 14
    wires = [
        (client().encode_text(text), (TEXT, text)),
        (client().encode_text(payload), (TEXT, text)),
        (client().encode_binary(payload), (BINARY, payload)),
    ]
    if size <= 125:
        wires += [(client().encode_ping(payload), (PING, payload)), (client().encode_pong(payload), (PONG, payload))]
    for wire, event in wires:
        assert len(wire) == header_bytes + size
        assert wire[0] == 0x80 | event[0]
        key = wire[header_bytes - 4 : header_bytes]
        assert wire == frame(event[0], payload, key=key)
        assert receive(server(), wire) == [event]


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_what_a_server_sends_is_minimal_and_unmasked(size: int) -> None:
    payload = b"x" * size
    assert server().encode_text(payload) == frame(TEXT, payload)
    assert server().encode_binary(payload) == frame(BINARY, payload)


def test_every_frame_has_a_key_of_its_own_from_the_generator_that_was_passed_in() -> None:
    codec, twin = client(), random.Random(7)
    keys = [codec.encode_text(b"a" * 10)[2:6] for _ in range(100)]
    keys += [codec.encode_binary(b"a" * 10)[2:6] for _ in range(100)]
    assert len(set(keys)) == 200
    assert keys[:100] == [twin.getrandbits(32).to_bytes(4, "little") for _ in range(100)]


def test_several_texts_make_one_write() -> None:
    codec = client()
    wire = codec.encode_texts(["a", b"b", "ü" * 100])
    assert receive(server(), wire) == [(TEXT, "a"), (TEXT, "b"), (TEXT, "ü" * 100)]
    assert codec.encode_texts([]) == b""


@pytest.mark.parametrize(
    ("code", "reason", "payload"),
    [
        (1000, "", b"\x03\xe8"),
        (1001, "away", b"\x03\xe9away"),
        (4999, "r" * 123, b"\x13\x87" + b"r" * 123),
        (None, "", b""),
    ],
)
def test_a_close_frame_carries_its_code_and_reason(code: int | None, reason: str, payload: bytes) -> None:
    assert server().encode_close(code, reason) == frame(CLOSE, payload)
    assert receive(server(), client().encode_close(code, reason)) == [(CLOSE, (code or 1005, reason))]


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000])
def test_a_close_code_that_may_not_be_sent_is_refused(code: int) -> None:
    with pytest.raises(ValueError, match=f"close code {code} may not be sent"):
        client().encode_close(code)


def test_control_frames_over_125_bytes_are_refused() -> None:
    codec = client()
    for attempt in (
        partial(codec.encode_ping, b"x" * 126),
        partial(codec.encode_pong, b"x" * 126),
        partial(codec.encode_close, 1000, "x" * 124),
    ):
        with pytest.raises(ValueError, match="at most 125 bytes, got 126"):
            attempt()
    with pytest.raises(ValueError, match="a close reason needs a close code"):
        codec.encode_close(None, "why")


@pytest.mark.parametrize(
    ("payload", "fragment_bytes", "parts"),
    [
        (b"", 5, [b""]),
        (b"abc", 5, [b"abc"]),
        (b"abcde", 5, [b"abcde"]),
        (b"abcdef", 5, [b"abcde", b"f"]),
        (b"abcdefghij", 5, [b"abcde", b"fghij"]),
    ],
)
def test_a_message_is_sent_in_fragments_of_the_size_asked_for(
    payload: bytes, fragment_bytes: int, parts: list[bytes]
) -> None:
    expected = [
        frame(TEXT if index == 0 else CONTINUATION, part, fin=index == len(parts) - 1)
        for index, part in enumerate(parts)
    ]
    assert server().encode_fragments(TEXT, payload, fragment_bytes) == b"".join(expected)
    assert receive(server(), client().encode_fragments(TEXT, payload, fragment_bytes)) == [(TEXT, payload.decode())]


def test_a_fragment_has_at_least_one_byte() -> None:
    with pytest.raises(ValueError, match="fragment_bytes must be at least 1, got 0"):
        client().encode_fragments(TEXT, b"a", 0)


@pytest.mark.parametrize("size", [0, 1, 3, 4, 7, 4095, 4096, 4097, 8192, 10_001, 65537])
def test_masking_is_the_rfcs_xor_byte_for_byte_and_its_own_inverse(size: int) -> None:
    payload = random.Random(size).randbytes(size)
    masked = apply_mask(payload, KEY)
    assert masked == bytes(byte ^ KEY[index % 4] for index, byte in enumerate(payload))
    assert apply_mask(bytearray(masked), KEY) == payload


# -- with compression


def pair(**options: Any) -> tuple[WebSocketCodec, WebSocketCodec]:
    """A client and a server that agreed to compress with context takeover."""
    return (
        client(deflate=PerMessageDeflate(**options), max_message_bytes=100_000),
        server(deflate=PerMessageDeflate(**options), max_message_bytes=100_000),
    )


def test_compressed_messages_are_marked_by_rsv1_on_their_first_frame_only() -> None:
    _, sender = pair()
    assert sender.encode_text("Hello")[0] == 0xC1
    wire = sender.encode_fragments(BINARY, b"other bytes", 3)
    assert [wire[0], wire[5], wire[10]] == [0x42, 0x00, 0x00]
    assert sender.encode_ping(b"p")[0] == 0x89
    assert sender.encode_close()[0] == 0x88


def test_messages_under_min_bytes_go_as_they_are_and_both_kinds_mix() -> None:
    sender, receiver = pair(min_bytes=10)
    assert receive(server(), sender.encode_text("short")) == [(TEXT, "short")]
    wire = sender.encode_text("short") + sender.encode_text("long " * 50) + sender.encode_fragments(TEXT, b"short", 2)
    assert receive(receiver, wire) == [(TEXT, "short"), (TEXT, "long " * 50), (TEXT, "short")]
    assert sender.encode_text("x" * 9)[0] == 0x81
    assert sender.encode_text("x" * 10)[0] == 0xC1


def test_compressed_fragments_with_control_frames_between_arrive_whole() -> None:
    receiver, sender = pair()
    parts = []
    wire = sender.encode_fragments(TEXT, "Größe ".encode() * 30, 2)
    while wire:
        parts.append(wire[: 2 + wire[1]])
        wire = wire[2 + wire[1] :]
    assert len(parts) > 5
    expected: list[Event] = [(PING, b"")] * (len(parts) - 1)
    assert receive(receiver, frame(PING).join(parts), (1,)) == [*expected, (TEXT, "Größe " * 30)]


@pytest.mark.parametrize(
    ("wire", "failure"),
    [
        (frame(PING, b"a", rsv=4), PROTOCOL),
        (frame(CLOSE, b"\x03\xe8", rsv=4), PROTOCOL),
        (frame(TEXT, b"a", rsv=2), PROTOCOL),
        (frame(TEXT, b"a", rsv=1), PROTOCOL),
        (frame(TEXT, b"a", rsv=6), PROTOCOL),
        (frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b", rsv=4), PROTOCOL),
        (frame(TEXT, b"\xff\xff\xff", rsv=4), PROTOCOL),  # no deflate stream
        (frame(TEXT, PerMessageDeflate().compress(b"\xff"), rsv=4), BAD_UTF8),
        (frame(TEXT, PerMessageDeflate().compress(b"x" * 100_001), rsv=4), TOO_BIG),
        (frame(TEXT, length=200_000, rsv=4), TOO_BIG),
    ],
)
def test_each_violation_of_the_compression_fails_with_its_code_and_class(wire: bytes, failure: Event) -> None:
    for sizes in ((2**20,), (1,)):
        receiver, _ = pair()
        whole = frame(TEXT, b"before") + wire + frame(TEXT, b"after")
        assert receive(receiver, whole, sizes) == [(TEXT, "before"), failure]


def test_the_limit_counts_what_all_fragments_of_a_message_inflate_to() -> None:
    _, sender = pair()
    fits, goes_over = (sender.encode_fragments(BINARY, bytes(size), 40) for size in (100_000, 100_001))
    assert len(fits) > 80  # at least two frames
    receiver, _ = pair()
    assert receive(receiver, fits) == [(BINARY, bytes(100_000))]
    assert receive(receiver, goes_over) == [TOO_BIG]


def test_a_bomb_is_stopped_at_the_limit_of_a_message() -> None:
    bomb = PerMessageDeflate().compress(bytes(64 * 2**20))
    assert len(bomb) < 400_000
    limit = 500_000
    for sizes in ((len(bomb),), (1000,)):
        codec = client(deflate=PerMessageDeflate(), max_message_bytes=limit)
        parts = fragments(BINARY, bomb, sizes)
        parts[0] = bytes((parts[0][0] | 0x40,)) + parts[0][1:]
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            events = [event for part in parts for event in codec.receive_data(part)]
            peak = tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()
        assert events == [TOO_BIG]
        assert codec.bytes_buffered == 0
        assert peak < 4 * limit


@pytest.mark.parametrize("mem_level", [1, 8])
def test_a_message_at_the_limit_that_does_not_shrink_passes_compressed(mem_level: int) -> None:
    for size in (0, 1, 100, 3000, 100_000):
        payload = random.Random(1).randbytes(size)
        wire = server(deflate=PerMessageDeflate(mem_level=mem_level)).encode_binary(payload)
        receiver = client(deflate=PerMessageDeflate(), max_message_bytes=size)
        assert receive(receiver, wire) == [(BINARY, payload)]
