"""For every stream of messages, every fragmentation and every way to cut the bytes: what went in comes out."""

from __future__ import annotations

import random
from itertools import cycle

from hypothesis import given, settings, strategies as st

from locust_ext.core.protocols.deflate import PerMessageDeflate
from locust_ext.core.protocols.websocket import BINARY, CLOSE, FAIL, PING, PONG, TEXT, Event, WebSocketCodec
from tests.core.protocols.websocket_frames import chunks, fragments, frame

few = settings(max_examples=60, deadline=None)

texts = st.builds(lambda text, times: text * times, st.text(max_size=30), st.sampled_from([1, 1, 1, 5, 40, 3000]))
blobs = st.builds(lambda blob, times: blob * times, st.binary(max_size=30), st.sampled_from([1, 1, 1, 5, 40, 3000]))
controls = st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=125))
messages = st.one_of(st.tuples(st.just(TEXT), texts), st.tuples(st.just(BINARY), blobs))
sizes = st.lists(st.integers(1, 9000), min_size=1, max_size=5) | st.lists(st.integers(1, 4), min_size=1, max_size=5)
part_sizes = st.lists(st.integers(0, 40), min_size=1, max_size=5).filter(any)
seeds = st.integers(0, 2**32)


def sides(seed: int, deflates: tuple[PerMessageDeflate, PerMessageDeflate] | None = None) -> tuple[WebSocketCodec, ...]:
    one, other = deflates or (None, None)
    return (
        WebSocketCodec(random=random.Random(seed), deflate=one),
        WebSocketCodec(random=random.Random(seed), is_client=False, deflate=other),
    )


def receive(codec: WebSocketCodec, wire: bytes, cut: list[int]) -> list[Event]:
    # A long stream in tiny pieces only costs time.
    cut = cut if len(wire) < 20_000 or sum(cut) / len(cut) > 100 else [997]
    return [event for chunk in chunks(wire, cut) for event in codec.receive_data(chunk)]


def encode(codec: WebSocketCodec, event: Event, fragment_bytes: int) -> bytes:
    kind, value = event
    if kind == PING:
        return codec.encode_ping(value)
    if kind == PONG:
        return codec.encode_pong(value)
    if fragment_bytes:
        return codec.encode_fragments(kind, value.encode() if kind == TEXT else value, fragment_bytes)
    return codec.encode_text(value) if kind == TEXT else codec.encode_binary(value)


@few
@given(st.lists(messages | controls, max_size=8), st.lists(st.integers(0, 300), min_size=1, max_size=4), sizes, seeds)
def test_any_stream_in_any_chunks_comes_out_as_it_went_in_both_ways(
    events: list[Event], fragmentation: list[int], cut: list[int], seed: int
) -> None:
    client, server = sides(seed)
    for sender, receiver in ((client, server), (server, client)):
        wire = b"".join(encode(sender, *row) for row in zip(events, cycle(fragmentation), strict=False))
        assert receive(receiver, wire, cut) == events
        assert receiver.bytes_buffered == 0
        assert not receiver.is_in_message


@few
@given(
    st.lists(messages | controls, max_size=8),
    st.lists(st.integers(0, 300), min_size=1, max_size=4),
    sizes,
    st.tuples(st.booleans(), st.booleans(), st.integers(8, 15), st.integers(8, 15)),
    st.sampled_from([0, 20]),
)
def test_any_stream_survives_compression_in_every_agreement(
    events: list[Event], fragmentation: list[int], cut: list[int], agreed: tuple[bool, bool, int, int], min_bytes: int
) -> None:
    forgets, peer_forgets, bits, peer_bits = agreed
    client, server = sides(
        1,
        (
            PerMessageDeflate(
                local_no_context_takeover=forgets,
                remote_no_context_takeover=peer_forgets,
                local_max_window_bits=bits,
                remote_max_window_bits=peer_bits,
                min_bytes=min_bytes,
            ),
            PerMessageDeflate(
                local_no_context_takeover=peer_forgets,
                remote_no_context_takeover=forgets,
                local_max_window_bits=peer_bits,
                remote_max_window_bits=bits,
                level=6,
            ),
        ),
    )
    for sender, receiver in ((client, server), (server, client)):
        wire = b"".join(encode(sender, *row) for row in zip(events, cycle(fragmentation), strict=False))
        assert receive(receiver, wire, cut) == events


@few
@given(messages, part_sizes, st.lists(controls, min_size=1, max_size=5), sizes)
def test_control_frames_between_any_fragments_come_out_in_their_place(
    message: Event, fragmentation: list[int], between: list[Event], cut: list[int]
) -> None:
    kind, value = message
    payload = (value.encode() if kind == TEXT else value)[:400]
    if kind == TEXT:
        value = payload.decode(errors="ignore")
        payload = value.encode()
    else:
        value = payload
    parts = fragments(kind, payload, fragmentation)
    inserted = [control for _, control in zip(parts[1:], cycle(between), strict=False)]
    pairs = zip(parts[:-1], inserted, strict=True)
    wire = b"".join(part + frame(*control) for part, control in pairs) + parts[-1]
    assert receive(sides(1)[0], wire, cut) == [*inserted, (kind, value)]


@few
@given(st.lists(messages | controls, max_size=5), st.binary(max_size=60), sizes)
def test_the_cuts_never_change_what_a_stream_means_not_even_of_a_broken_one(
    events: list[Event], noise: bytes, cut: list[int]
) -> None:
    sender = sides(1)[1]
    wire = b"".join(encode(sender, event, 0) for event in events) + noise
    whole = sides(1)[0]
    pieces = sides(1)[0]
    expected = whole.receive_data(wire)
    assert expected[: len(events)] == events
    assert receive(pieces, wire, cut) == expected
    assert pieces.bytes_buffered == whole.bytes_buffered
    assert all(kind not in (CLOSE, FAIL) for kind, _ in expected[:-1])


@few
@given(st.binary(max_size=80) | st.text(max_size=30).map(str.encode), part_sizes)
def test_a_text_is_valid_in_fragments_just_when_python_says_so_of_the_whole(
    payload: bytes, fragmentation: list[int]
) -> None:
    try:
        expected: Event = (TEXT, payload.decode())
    except UnicodeDecodeError:
        expected = (FAIL, (1007, "bad_utf8"))
    assert sides(1)[0].receive_data(frame(TEXT, payload)) == [expected]
    assert sides(1)[0].receive_data(b"".join(fragments(TEXT, payload, fragmentation))) == [expected]


@few
@given(st.integers(0, 65535), st.text(max_size=30))
def test_a_close_frame_passes_just_when_its_code_may_be_sent(code: int, reason: str) -> None:
    client, server = sides(1)
    events = client.receive_data(frame(CLOSE, code.to_bytes(2, "big") + reason.encode()))
    try:
        wire = server.encode_close(code, reason)
    except ValueError:
        assert events == [(FAIL, (1002, "protocol"))]
    else:
        assert events == [(CLOSE, (code, reason))]
        assert wire == frame(CLOSE, code.to_bytes(2, "big") + reason.encode())
