"""Socket.IO packets: by table, against python-socketio in both directions, and with anything at all."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from engineio.packet import Packet as EnginePacket
from hypothesis import given, strategies as st
from socketio.packet import Packet

from locust_ext.core.protocols import socketio
from locust_ext.core.protocols.engineio import OpenInfo
from locust_ext.core.protocols.socketio import (
    ACK,
    CLOSE,
    CONNECT_ERROR,
    CONNECTED,
    DISCONNECT,
    EVENT,
    FAIL,
    NOOP,
    OPEN,
    PING,
    RESERVED_EVENTS,
    Event,
    SocketIOCodec,
)
from locust_ext.errors import ConfigError

OPEN_PACKET = '0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'
PROTOCOL = [(FAIL, "protocol")]


def opened(**options: Any) -> SocketIOCodec:
    codec = SocketIOCodec(**options)
    assert codec.receive_text(OPEN_PACKET) == [(OPEN, OpenInfo("s", 25.0, 20.0, 1000000, ()))]
    return codec


def receive(codec: SocketIOCodec, *messages: str | bytes) -> list[Event]:
    events: list[Event] = []
    for message in messages:
        events += codec.receive_text(message) if isinstance(message, str) else codec.receive_binary(message)
    return events


# -- received packets by table


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('42["tick"]', (EVENT, "/", "tick", [], None)),
        ('42["chat",{"a":[1,null]},"é"]', (EVENT, "/", "chat", [{"a": [1, None]}, "é"], None)),
        ('4217["ask",1]', (EVENT, "/", "ask", [1], 17)),
        ('420["ask"]', (EVENT, "/", "ask", [], 0)),
        ('42/chat,["say","a,b"]', (EVENT, "/chat", "say", ["a,b"], None)),
        ('42/chat?room=1&x=/y,5["say"]', (EVENT, "/chat", "say", [], 5)),
        ('42/,["say"]', (EVENT, "/", "say", [], None)),
        ('42[7,"x"]', (EVENT, "/", "7", ["x"], None)),
        ('42/n,[7,"x"]', (EVENT, "/n", "7", ["x"], None)),
        ('4217[7,"x"]', (EVENT, "/", "7", ["x"], 17)),
        ("4317[]", (ACK, "/", 17, [])),
        ("430[1]", (ACK, "/", 0, [1])),
        ("439007199254740991[]", (ACK, "/", 2**53 - 1, [])),
        ('43/chat,3["ok"]', (ACK, "/chat", 3, ["ok"])),
        ('450-["plain"]', (EVENT, "/", "plain", [], None)),
        ('460-/n,4["plain"]', (ACK, "/n", 4, ["plain"])),
        ('40{"sid":"abc"}', (CONNECTED, "/", "abc")),
        ('40/chat,{"sid":"abc","pid":"x"}', (CONNECTED, "/chat", "abc")),
        ('40/chat?x=1,{"sid":"abc"}', (CONNECTED, "/chat", "abc")),
        (
            '44{"message":"no","data":{"code":3}}',
            (CONNECT_ERROR, "/", "no", {"code": 3}),
        ),
        ('44/chat,"Unable to connect"', (CONNECT_ERROR, "/chat", "Unable to connect", None)),
        ("44/chat,", (CONNECT_ERROR, "/chat", "", None)),
        ('44{"message":7}', (CONNECT_ERROR, "/", "", None)),
        ("41", (DISCONNECT, "/")),
        ("41/chat,", (DISCONNECT, "/chat")),
        ("41/chat", (DISCONNECT, "/chat")),
        ("2", (PING, "")),
        ("2probe", (PING, "probe")),
        ("1", (CLOSE,)),
        ("6", (NOOP,)),
        ("3", (NOOP,)),
        ("5", (NOOP,)),
    ],
)
def test_a_packet_is_one_event(text: str, expected: Event) -> None:
    assert opened().receive_text(text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        *("", "7", "x", "b4aGk=", "4", "47", "4x", "0{}", OPEN_PACKET, " 2", "²"),
        *("42", "42[]", "42{}", '42"x"', '42["x"', '42["x"]]', "42[NaN]", "42[null]", "42[1.5]", "42[true]", "42[[1]]"),
        *('42-["x"]', '421-["x"]', '42/chat["x"]', "42/chat", "42/chat,", '42/chat,{"a":1}', "42" + "[" * 3000),
        *('429007199254740992["x"]', f'42{"9" * 17}["x"]', f'42{"9" * 5000}["x"]', '42٣["x"]', '42²["x"]'),
        *(
            "43[]",
            "43",
            "43/chat,[]",
            "4317",
            "4317{}",
            '4317"x"',
            "43-1[]",
            "439007199254740992[]",
            "43٣[]",
            "431.5[]",
        ),
        *("40", "40{}", '40{"sid":""}', '40{"sid":7}', "40[]", '401{"sid":"a"}', '40"a"', "4017"),
        *("44[]", "447", "44true", "44{", '443{"message":"x"}', "41{}", "411", "41/chat,[]"),
        *(
            '45["x"]',
            '45-["x"]',
            '4565-["x"]',
            '45-1-["x"]',
            '451["x"]',
            '45²-["x"]',
            '4599999999999999-["x"]',
            "450-[]",
        ),
        *("461-[]", '450-["x",{"_placeholder":true,"num":0}]', "45", "46", "451-", '451-{"a":1}', "461-7{}"),
    ],
)
def test_a_malformed_packet_fails_the_connection_once(text: str) -> None:
    codec = opened()
    assert codec.receive_text(text) == PROTOCOL
    assert receive(codec, '42["x"]', "4317[]", "2", b"x", OPEN_PACKET) == []


@pytest.mark.parametrize("name", sorted(RESERVED_EVENTS))
def test_a_reserved_event_name_is_refused_in_both_directions(name: str) -> None:
    for text in (f'42["{name}"]', f'42/n,["{name}"]', f'427["{name}"]', f'451-["{name}"]'):
        assert opened().receive_text(text) == PROTOCOL
    with pytest.raises(ConfigError):
        opened().encode_event(name, [])


@pytest.mark.parametrize("first", ["", "2", "40", '42["x"]', "4317[]", "6", "0", "0{}", '00{"sid":"a"}', "x"])
def test_a_connection_that_does_not_begin_with_a_good_open_packet_is_a_bad_handshake(first: str) -> None:
    codec = SocketIOCodec()
    assert codec.receive_text(first) == [(FAIL, "bad_handshake")]
    assert receive(codec, OPEN_PACKET, b"x") == []
    assert SocketIOCodec().receive_binary(b"x") == [(FAIL, "bad_handshake")]


def test_a_server_may_close_before_it_opens() -> None:
    assert receive(SocketIOCodec(), "1", OPEN_PACKET) == [(CLOSE,)]


def test_events_may_come_before_the_namespace_is_confirmed_or_after() -> None:
    early = ['42["context_snapshot",{"context":{}}]', '42["client_stats",{"count":1}]', '40{"sid":"x"}']
    kinds = [event[0] for event in receive(opened(), *early)]
    assert kinds == [EVENT, EVENT, CONNECTED]
    kinds = [event[0] for event in receive(opened(), *reversed(early))]
    assert kinds == [CONNECTED, EVENT, EVENT]


# -- binary packets


def test_attachments_take_the_places_of_their_placeholders_wherever_these_are() -> None:
    place = [{"_placeholder": True, "num": number} for number in range(2)]
    text = "452-/n,9" + json.dumps(["up", {"a": [place[1], {"b": place[0]}]}, place[0], {"_placeholder": False}])
    codec = opened()
    assert receive(codec, text, b"zero") == []
    expected = (EVENT, "/n", "up", [{"a": [b"one", {"b": b"zero"}]}, b"zero", {"_placeholder": False}], 9)
    assert codec.receive_binary(b"one") == [expected]
    assert receive(codec, '42["next"]') == [(EVENT, "/", "next", [], None)]


def test_a_binary_ack_is_an_ack() -> None:
    text = '461-17[{"_placeholder":true,"num":0}]'
    assert receive(opened(), text, b"") == [(ACK, "/", 17, [b""])]


def test_placeholders_nested_as_deep_as_the_parser_allows_are_filled() -> None:
    depth = 900
    text = '451-["x",' + "[" * depth + '{"_placeholder":true,"num":0}' + "]" * depth + "]"
    [(_, _, _, [value], _)] = receive(opened(), text, b"deep")
    for _ in range(depth):
        [value] = value
    assert value == b"deep"


@pytest.mark.parametrize("num", ["1", "-1", "0.0", "true", '"0"', "null", "18446744073709551616"])
def test_a_placeholder_for_an_attachment_that_is_not_there_fails(num: str) -> None:
    assert receive(opened(), f'451-["x",{{"_placeholder":true,"num":{num}}}]', b"x") == PROTOCOL


def test_attachments_nobody_asks_for_are_dropped_as_node_does() -> None:
    assert receive(opened(), '452-["x"]', b"a", b"b") == [(EVENT, "/", "x", [], None)]


@pytest.mark.parametrize("between", ['42["x"]', "4317[]", '40{"sid":"x"}', '451-["x"]', OPEN_PACKET, "", "x"])
def test_a_packet_between_a_packet_and_its_attachments_fails(between: str) -> None:
    codec = opened()
    assert receive(codec, '452-["x"]', b"a", between) == PROTOCOL
    assert receive(codec, b"b") == []


def test_an_engineio_ping_between_attachments_is_of_the_layer_below() -> None:
    events = receive(opened(), '452-["x"]', "2", b"a", "6", b"b")
    assert events == [(PING, ""), (NOOP,), (EVENT, "/", "x", [], None)]


def test_a_binary_message_without_its_packet_fails() -> None:
    assert receive(opened(), b"x") == PROTOCOL
    assert receive(opened(), '451-["x"]', b"a", b"b")[-1] == (FAIL, "protocol")


def test_the_limit_on_attachments_can_be_set() -> None:
    assert receive(opened(max_attachments=2), '452-["x"]', b"a", b"b") == [(EVENT, "/", "x", [], None)]
    assert receive(opened(max_attachments=2), '453-["x"]') == PROTOCOL
    assert receive(opened(), '4564-["x"]') == []


def test_loads_that_raises_or_gives_no_list_fails_the_connection() -> None:
    def burst(text: str) -> Any:
        raise RuntimeError(text)

    for text in ('42["x"]', "4317[]", '42/n,["x"]'):
        assert opened(loads=burst).receive_text(text) == PROTOCOL
        assert opened(loads=lambda text: None).receive_text(text) == PROTOCOL


# -- sent packets by table


@pytest.mark.parametrize(
    ("options", "connect", "disconnect", "event", "ack"),
    [
        ({}, "40", "41", '42["e",1]', "437[]"),
        ({"auth": {}}, "40{}", "41", '42["e",1]', "437[]"),
        ({"auth": {"token": "é"}}, '40{"token":"é"}', "41", '42["e",1]', "437[]"),
        ({"namespace": "/chat"}, "40/chat,", "41/chat,", '42/chat,["e",1]', "43/chat,7[]"),
        (
            {"namespace": "/chat?a=1", "auth": {"t": 1}},
            '40/chat?a=1,{"t":1}',
            "41/chat,",
            '42/chat,["e",1]',
            "43/chat,7[]",
        ),
        ({"dumps": json.dumps}, "40", "41", '42["e", 1]', "437[]"),
    ],
)
def test_each_packet_has_its_text(options: dict[str, Any], connect: str, disconnect: str, event: str, ack: str) -> None:
    codec = SocketIOCodec(**options)
    assert codec.encode_connect() == connect
    assert codec.encode_disconnect() == disconnect
    assert codec.encode_event("e", [1]) == [event]
    assert codec.encode_event("e", (1,), 17) == [event.replace("[", "17[", 1)]
    assert codec.encode_ack(7, ()) == [ack]


def test_a_pong_repeats_the_payload() -> None:
    assert [SocketIOCodec().encode_pong(), SocketIOCodec().encode_pong("probe")] == ["3", "3probe"]


def test_bytes_anywhere_make_a_binary_packet_and_leave_the_arguments_as_they_were() -> None:
    args = [{"a": [b"one", bytearray(b"two")]}, memoryview(b"three"), ("x", b"")]
    codec = SocketIOCodec(namespace="/n")
    text, *attachments = codec.encode_event("up", args, 3)
    holes = [f'{{"_placeholder":true,"num":{number}}}' for number in range(4)]
    assert text == f'454-/n,3["up",{{"a":[{holes[0]},{holes[1]}]}},{holes[2]},["x",{holes[3]}]]'
    assert attachments == [b"one", b"two", b"three", b""]
    assert args[0] == {"a": [b"one", bytearray(b"two")]}
    assert codec.encode_ack(5, [b"x"]) == [f"461-/n,5[{holes[0]}]", b"x"]


@pytest.mark.parametrize("value", [object(), {1: 2}, {1, 2}, 2**64, [b"x", object()]])
def test_what_json_cannot_hold_raises_to_the_sender(value: object) -> None:
    with pytest.raises(TypeError):
        SocketIOCodec().encode_event("e", [value])


@pytest.mark.parametrize("namespace", ["", "chat", "/a,b", "/a?x=1,2"])
def test_a_namespace_that_cannot_be_written_is_refused(namespace: str) -> None:
    with pytest.raises(ConfigError):
        SocketIOCodec(namespace=namespace)


# -- against python-socketio

names = st.text(max_size=8).filter(lambda name: name not in RESERVED_EVENTS)
namespaces = st.sampled_from(["/", "/chat", "/a/b-1", "/é"])
ack_ids = st.integers(0, 2**53 - 1)
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
keys = st.text(max_size=5).filter(lambda key: key not in ("_placeholder", "num"))


def values(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaf | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
        max_leaves=8,
    )


args_lists = st.lists(values(scalars | st.binary(max_size=8)), max_size=4)


def theirs(kind: int, data: Any, namespace: str, ack_id: int | None = None) -> list[str | bytes]:
    """What a python-socketio peer sends."""
    encoded = Packet(kind, data=data, namespace=namespace, id=ack_id).encode()
    parts = encoded if isinstance(encoded, list) else [encoded]
    return [EnginePacket(4, data=part).encode() for part in parts]


def understood(messages: list[str | bytes]) -> Packet:
    """What a python-socketio peer makes of ours."""
    text, *attachments = [EnginePacket(encoded_packet=message).data for message in messages]
    packet = Packet(encoded_packet=text if isinstance(text, str) else json.dumps(text))
    assert [packet.add_attachment(attachment) for attachment in attachments] == [False] * (len(attachments) - 1) + [
        True
    ] * bool(attachments)
    return packet


@given(names, args_lists, namespaces, st.none() | ack_ids)
def test_events_of_python_socketio_are_read(name: str, args: list[Any], namespace: str, ack_id: int | None) -> None:
    messages = theirs(2, [name, *args], namespace, ack_id)
    assert receive(opened(), *messages) == [(EVENT, namespace, name, args, ack_id)]


@given(args_lists, namespaces, ack_ids)
def test_acks_of_python_socketio_are_read(args: list[Any], namespace: str, ack_id: int) -> None:
    assert receive(opened(), *theirs(3, args, namespace, ack_id)) == [(ACK, namespace, ack_id, args)]


@given(names, args_lists, namespaces, st.none() | ack_ids)
def test_python_socketio_reads_our_events(name: str, args: list[Any], namespace: str, ack_id: int | None) -> None:
    packet = understood(SocketIOCodec(namespace=namespace).encode_event(name, args, ack_id))
    assert packet.packet_type == (5 if packet.attachments else 2)
    assert (packet.data, packet.namespace or "/", packet.id) == ([name, *args], namespace, ack_id)


@given(args_lists, namespaces, ack_ids)
def test_python_socketio_reads_our_acks(args: list[Any], namespace: str, ack_id: int) -> None:
    packet = understood(SocketIOCodec(namespace=namespace).encode_ack(ack_id, args))
    assert packet.packet_type == (6 if packet.attachments else 3)
    assert (packet.data, packet.namespace or "/", packet.id) == (args, namespace, ack_id)


@given(namespaces, st.dictionaries(keys, values(scalars), max_size=3), st.text(max_size=8))
def test_the_handshake_and_the_leaving_agree_with_python_socketio(
    namespace: str, auth: dict[str, Any], text: str
) -> None:
    ours = SocketIOCodec(namespace=namespace, auth=auth)
    packet = understood([ours.encode_connect()])
    assert (packet.packet_type, packet.namespace or "/", packet.data) == (0, namespace, auth)
    packet = understood([ours.encode_disconnect()])
    assert (packet.packet_type, packet.namespace or "/", packet.data) == (1, namespace, None)
    assert receive(opened(), *theirs(0, {"sid": "x" + text}, namespace)) == [(CONNECTED, namespace, "x" + text)]
    refusal = {"message": text, "data": auth}
    assert receive(opened(), *theirs(4, refusal, namespace)) == [(CONNECT_ERROR, namespace, text, auth)]
    assert receive(opened(), *theirs(4, text, namespace)) == [(CONNECT_ERROR, namespace, text, None)]
    assert receive(opened(), *theirs(1, None, namespace)) == [(DISCONNECT, namespace)]


@given(names, args_lists, namespaces, st.none() | ack_ids)
def test_what_we_write_we_read(name: str, args: list[Any], namespace: str, ack_id: int | None) -> None:
    codec = opened(namespace=namespace)
    assert receive(codec, *codec.encode_event(name, args, ack_id)) == [(EVENT, namespace, name, args, ack_id)]


# -- anything at all

fragments = st.sampled_from(
    (
        *("0", "1", "2", "3", "4", "5", "6", "42", "45", "1-", "-", "/", ",", "?", "[", "]", "{", "}", '"a"', "9" * 20),
        *('"connect"', "null", '{"_placeholder":true,"num":0}', '["e"]', OPEN_PACKET, "²", "\ud800", "\0"),
    )
)
anything = st.lists(fragments, max_size=6).map("".join) | st.text(max_size=10) | st.binary(max_size=4)


@given(st.lists(anything, max_size=12), st.booleans())
def test_no_sequence_of_messages_raises_and_nothing_follows_a_failure(messages: list[str | bytes], ready: bool) -> None:
    codec = opened() if ready else SocketIOCodec()
    events = receive(codec, *messages)
    over = [number for number, event in enumerate(events) if event[0] in (FAIL, CLOSE)]
    assert over in ([], [len(events) - 1])
    for event in events:
        assert len(event) == {OPEN: 2, PING: 2, CONNECTED: 3, CONNECT_ERROR: 4, EVENT: 5, ACK: 4, DISCONNECT: 2}.get(
            event[0], 2 if event[0] == FAIL else 1
        )
        if event[0] == EVENT:
            assert isinstance(event[2], str)
            assert event[2] not in RESERVED_EVENTS
            assert isinstance(event[3], list)


def test_the_kinds_differ() -> None:
    kinds = (OPEN, PING, CONNECTED, CONNECT_ERROR, EVENT, ACK, DISCONNECT, CLOSE, NOOP, FAIL)
    assert kinds == tuple(range(10))
    assert socketio.SocketIOCodec().namespace == "/"
    assert orjson.loads(SocketIOCodec(auth={"a": 1}).encode_connect()[2:]) == {"a": 1}
