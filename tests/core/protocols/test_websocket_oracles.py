"""The codec against two others, wsproto and websockets: frames both ways, cut anywhere, compressed in every agreement.

An encoder and a decoder of one hand can share a mistake; these cannot.
"""

from __future__ import annotations

import random
from itertools import cycle
from typing import Any, Protocol

import pytest
import wsproto.connection
import wsproto.events
import wsproto.extensions
from hypothesis import assume, given, settings, strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate as WebsocketsDeflate
from websockets.frames import Opcode
from websockets.protocol import CLIENT, SERVER, Protocol as WebsocketsProtocol

from locust_ext.core.protocols.deflate import PerMessageDeflate
from locust_ext.core.protocols.websocket import BINARY, CLOSE, FAIL, PING, PONG, TEXT, Event, WebSocketCodec
from tests.core.protocols.websocket_frames import chunks, frame

few = settings(max_examples=25, deadline=None)
Agreement = tuple[bool, bool, int, int]
"""Whether the client and the server forget their context, and the window bits of the client and of the server."""

AGREEMENTS: list[Agreement | None] = [
    None,
    *[(client, server, 15, 15) for client in (False, True) for server in (False, True)],
    (False, False, 9, 12),
    (False, False, 12, 9),
    (True, False, 9, 9),
    (False, True, 10, 11),
]


class Oracle(Protocol):
    """Another implementation's end of the connection."""

    def encode(self, message: Event, fragment_bytes: int) -> bytes: ...
    def receive(self, wire: bytes) -> list[Event]: ...


class Wsproto:
    def __init__(self, agreed: Agreement | None, *, is_client: bool) -> None:
        extensions: list[Any] = []
        if agreed is not None:
            extension = wsproto.extensions.PerMessageDeflate(
                client_no_context_takeover=agreed[0],
                server_no_context_takeover=agreed[1],
                client_max_window_bits=agreed[2],
                server_max_window_bits=agreed[3],
            )
            extension._enabled = True  # what its handshake would set
            extensions = [extension]
        kind = wsproto.connection.ConnectionType
        self._connection = wsproto.connection.Connection(kind.CLIENT if is_client else kind.SERVER, extensions)
        self._parts: list[Any] = []

    def encode(self, message: Event, fragment_bytes: int) -> bytes:
        kind, value = message
        send = self._connection.send
        if kind == PING:
            return send(wsproto.events.Ping(payload=value))
        if kind == PONG:
            return send(wsproto.events.Pong(payload=value))
        if kind == CLOSE:
            return send(wsproto.events.CloseConnection(code=value[0], reason=value[1]))
        event: Any = wsproto.events.TextMessage if kind == TEXT else wsproto.events.BytesMessage
        step = fragment_bytes or len(value) or 1
        last = max(0, len(value) - 1) // step * step
        return b"".join(
            send(event(data=value[start : start + step], message_finished=start == last))
            for start in range(0, last + 1, step)
        )

    def receive(self, wire: bytes) -> list[Event]:
        self._connection.receive_data(wire)
        events: list[Event] = []
        for event in self._connection.events():
            if isinstance(event, wsproto.events.Ping):
                events.append((PING, bytes(event.payload)))
            elif isinstance(event, wsproto.events.Pong):
                events.append((PONG, bytes(event.payload)))
            elif isinstance(event, wsproto.events.CloseConnection):
                events.append((CLOSE, (int(event.code), event.reason or "")))
            elif isinstance(event, wsproto.events.Message):
                self._parts.append(event.data)
                if event.message_finished:
                    whole: Any = "" if isinstance(event.data, str) else b""
                    events.append((TEXT if whole == "" else BINARY, whole.join(self._parts)))
                    self._parts = []
        return events


class Websockets:
    def __init__(self, agreed: Agreement | None, *, is_client: bool) -> None:
        self._protocol = WebsocketsProtocol(CLIENT if is_client else SERVER, max_size=None)
        if agreed is not None:
            local, remote = (0, 1) if is_client else (1, 0)
            self._protocol.extensions = [
                WebsocketsDeflate(
                    remote_no_context_takeover=bool(agreed[remote]),
                    local_no_context_takeover=bool(agreed[local]),
                    remote_max_window_bits=int(agreed[2 + remote]),
                    local_max_window_bits=int(agreed[2 + local]),
                )
            ]
        self._opcode = 0
        self._message = b""

    def encode(self, message: Event, fragment_bytes: int) -> bytes:
        kind, value = message
        protocol = self._protocol
        if kind == PING:
            protocol.send_ping(value)
        elif kind == PONG:
            protocol.send_pong(value)
        elif kind == CLOSE:
            protocol.send_close(*value)
        else:
            payload = value.encode() if kind == TEXT else value
            step = fragment_bytes or len(payload) or 1
            last = max(0, len(payload) - 1) // step * step
            for start in range(0, last + 1, step):
                part, fin = payload[start : start + step], start == last
                if start:
                    protocol.send_continuation(part, fin)
                elif kind == TEXT:
                    protocol.send_text(part, fin)
                else:
                    protocol.send_binary(part, fin)
        return b"".join(protocol.data_to_send())

    def receive(self, wire: bytes) -> list[Event]:
        self._protocol.receive_data(wire)
        events: list[Event] = []
        for received in self._protocol.events_received():
            opcode = received.opcode  # type: ignore[union-attr]
            data = bytes(received.data)  # type: ignore[union-attr]
            if opcode in (Opcode.PING, Opcode.PONG):
                events.append((int(opcode), data))
            elif opcode is Opcode.CLOSE:
                close = self._protocol.close_rcvd
                assert close is not None
                events.append((CLOSE, (int(close.code), close.reason)))
            else:
                self._opcode = int(opcode) or self._opcode
                self._message += data
                if received.fin:  # type: ignore[union-attr]
                    whole = self._message.decode() if self._opcode == TEXT else self._message
                    events.append((self._opcode, whole))
                    self._message = b""
        return events


def codec(agreed: Agreement | None, *, is_client: bool) -> WebSocketCodec:
    deflate = None
    if agreed is not None:
        local, remote = (0, 1) if is_client else (1, 0)
        deflate = PerMessageDeflate(
            local_no_context_takeover=bool(agreed[local]),
            remote_no_context_takeover=bool(agreed[remote]),
            local_max_window_bits=int(agreed[2 + local]),
            remote_max_window_bits=int(agreed[2 + remote]),
        )
    return WebSocketCodec(random=random.Random(3), is_client=is_client, deflate=deflate)


def encode(sender: WebSocketCodec, message: Event, fragment_bytes: int) -> bytes:
    kind, value = message
    if kind == PING:
        return sender.encode_ping(value)
    if kind == PONG:
        return sender.encode_pong(value)
    if kind == CLOSE:
        return sender.encode_close(*value)
    if fragment_bytes:
        return sender.encode_fragments(kind, value.encode() if kind == TEXT else value, fragment_bytes)
    return sender.encode_text(value) if kind == TEXT else sender.encode_binary(value)


texts = st.builds(lambda text, times: text * times, st.text(max_size=30), st.sampled_from([1, 1, 5, 40, 3000]))
blobs = st.builds(lambda blob, times: blob * times, st.binary(max_size=30), st.sampled_from([1, 1, 5, 40, 3000]))
messages = st.one_of(
    st.tuples(st.just(TEXT), texts),
    st.tuples(st.just(BINARY), blobs),
    st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=125)),
)
streams = st.lists(messages, max_size=6)
closes = st.tuples(
    st.just(CLOSE),
    st.tuples(st.sampled_from([1000, 1001, 1011, 3000, 4999]), st.text(alphabet="aé€😀", max_size=30)),
)
fragmentations = st.lists(st.sampled_from([0, 0, 100, 5000]), min_size=1, max_size=3)
sizes = st.lists(st.integers(1, 9000), min_size=1, max_size=5) | st.just([1])


def cut(wire: bytes, pieces: list[int]) -> list[bytes]:
    return list(chunks(wire, pieces if len(wire) < 5000 or pieces != [1] else [499]))


@pytest.mark.parametrize("agreed", AGREEMENTS)
@pytest.mark.parametrize("oracle", [Wsproto, Websockets])
def test_both_sides_understand_the_other_implementation_and_are_understood(
    oracle: type[Wsproto] | type[Websockets], agreed: Agreement | None
) -> None:
    @few
    @given(streams, closes, fragmentations, sizes)
    def property_(stream: list[Event], close: Event, fragmentation: list[int], pieces: list[int]) -> None:
        for is_client in (True, False):
            ours = codec(agreed, is_client=is_client)
            theirs: Oracle = oracle(agreed, is_client=not is_client)
            plan = [*zip(stream, cycle(fragmentation), strict=False), (close, 0)]
            said = b"".join(encode(ours, *step) for step in plan)
            heard = [event for chunk in cut(said, pieces) for event in theirs.receive(chunk)]
            assert heard == [*stream, close]

            theirs = oracle(agreed, is_client=not is_client)
            ours = codec(agreed, is_client=is_client)
            said = b"".join(theirs.encode(*step) for step in plan)
            heard = [event for chunk in cut(said, pieces) for event in ours.receive_data(chunk)]
            assert heard == [*stream, close]

    property_()


frames = st.builds(
    frame,
    st.sampled_from([0, 0, 1, 1, 1, 2, 9, 10, 8, 3, 11]),
    st.one_of(
        st.text(max_size=8).map(str.encode),
        st.binary(max_size=4),
        st.just(b"x" * 126),
        st.builds(lambda code: code.to_bytes(2, "big"), st.integers(990, 1020) | st.integers(2990, 5010)),
    ),
    fin=st.sampled_from([True, True, False]),
    rsv=st.sampled_from([0] * 20 + [1, 2, 4]),
    key=st.sampled_from([None] * 20 + [b"\1\2\3\4"]),
    length_bytes=st.sampled_from([None] * 20 + [2, 8]),
)


BAD_GATEWAY = (1014).to_bytes(2, "big")
"""Registered at IANA in 2016, and unknown to wsproto."""


@settings(max_examples=500, deadline=None)
@given(st.lists(frames, max_size=5))
def test_wsproto_gives_the_same_verdict_on_any_frames_right_or_wrong(wires: list[bytes]) -> None:
    assume(not any(wire[2:4] == BAD_GATEWAY for wire in wires))
    ours = codec(None, is_client=True).receive_data(b"".join(wires))
    theirs = []
    for event in Wsproto(None, is_client=True).receive(b"".join(wires)):
        theirs.append(event)
        if event[0] == CLOSE:
            break
    # wsproto reports a violation as a close with the code to answer and a text of its own.
    if ours and ours[-1][0] == FAIL:
        assert theirs[-1][0] == CLOSE
        assert theirs[-1][1][0] == ours[-1][1][0]
        assert theirs[:-1] == ours[:-1]
    else:
        assert theirs == ours
