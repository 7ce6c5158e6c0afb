"""The open packet, read strictly."""

from __future__ import annotations

import json
from typing import Any

import pytest
from engineio.packet import Packet
from hypothesis import given, strategies as st

from locust_ext.core.protocols import engineio
from locust_ext.core.protocols.engineio import OpenInfo, ProtocolViolation, parse_open

GOOD: dict[str, Any] = {
    "sid": "lv_VI97HAXpY6yYWAAAC",
    "upgrades": ["websocket"],
    "pingInterval": 25000,
    "pingTimeout": 20000,
    "maxPayload": 1000000,
}


def test_an_open_packet_gives_seconds_bytes_and_names() -> None:
    assert parse_open(json.dumps(GOOD)) == OpenInfo("lv_VI97HAXpY6yYWAAAC", 25.0, 20.0, 1000000, ("websocket",))


def test_servers_may_leave_out_the_payload_limit_and_the_upgrades() -> None:
    assert parse_open('{"sid":"a","pingInterval":250.5,"pingTimeout":1}') == OpenInfo("a", 0.2505, 0.001, None, ())


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("sid", [None, "", 7, ["a"]]),
        ("pingInterval", [None, 0, -1, True, "25000", 2**31, 1e400, [], {}]),
        ("pingTimeout", [None, 0, -0.5, False, "20000", 2**64]),
        ("maxPayload", [0, -1, 1.5, True, "1000000"]),
        ("upgrades", [None, "websocket", [1], {}]),
    ],
)
def test_each_odd_field_is_a_bad_handshake(key: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(ProtocolViolation) as caught:
            parse_open(json.dumps({**GOOD, key: value}))
        assert caught.value.error_class == "bad_handshake"
        assert str(caught.value).startswith("bad_handshake: ")


@pytest.mark.parametrize("text", ["", "[]", "null", "1", '"x"', "{", "\0", "{}", "[" * 5000])
def test_what_is_no_open_packet_is_a_bad_handshake(text: str) -> None:
    with pytest.raises(ProtocolViolation):
        parse_open(text)


odd_packets = st.dictionaries(st.sampled_from(sorted(GOOD)), st.none() | st.integers() | st.text()).map(json.dumps)


@given(st.text() | odd_packets)
def test_any_text_is_either_read_or_a_violation(text: str) -> None:
    try:
        info = parse_open(text)
    except ProtocolViolation:
        return
    assert info.sid
    assert info.ping_interval_s > 0
    assert info.ping_timeout_s > 0


def test_the_types_are_those_of_python_engineio() -> None:
    ours = [
        engineio.OPEN,
        engineio.CLOSE,
        engineio.PING,
        engineio.PONG,
        engineio.MESSAGE,
        engineio.UPGRADE,
        engineio.NOOP,
    ]
    assert [Packet(number, data="x").encode() for number in range(7)] == [f"{kind}x" for kind in ours]
    assert parse_open(Packet(0, data=GOOD).encode()[1:]).sid == GOOD["sid"]
