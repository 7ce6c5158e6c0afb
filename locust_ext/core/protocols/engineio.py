"""Engine.IO protocol 4 over WebSocket: packet types and the open packet.

Over WebSocket each message is one packet: a text message is its type's character and the payload, a binary message is a
MESSAGE of bytes without a type (https://socket.io/docs/v4/engine-io-protocol/). Polling, upgrades
and base64 are not done.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import orjson

from locust_ext.errors import LocustExtError

OPEN: Final = "0"
CLOSE: Final = "1"
PING: Final = "2"
PONG: Final = "3"
MESSAGE: Final = "4"
UPGRADE: Final = "5"
NOOP: Final = "6"

QUERY: Final = "EIO=4&transport=websocket"
"""Query of the opening request; the path before it ends in a slash (``/socket.io/``)."""

MAX_MILLISECONDS: Final = 2**31 - 1
"""Longest ping interval or timeout believed: what a JavaScript timer can hold, 24.8 days."""


class ProtocolViolation(LocustExtError):
    """The peer sent what the protocol does not allow; ``error_class`` is of the closed vocabulary, ``what`` ours."""

    code = "protocol_violation"

    def __init__(self, error_class: str, what: str) -> None:
        super().__init__(error_class, what)
        self.error_class = error_class
        self.what = what

    def __str__(self) -> str:
        return f"{self.error_class}: {self.what}"


class OpenInfo(NamedTuple):
    """What the server's open packet says."""

    sid: str
    """The Engine.IO session; each Socket.IO namespace has a ``sid`` of its own."""
    ping_interval_s: float
    ping_timeout_s: float
    """No packet for ``ping_interval_s + ping_timeout_s``: the server is gone."""
    max_payload_bytes: int | None
    """Largest message the server takes; None from servers that do not say (before Engine.IO 6.2)."""
    upgrades: tuple[str, ...]


def parse_open(text_payload: str) -> OpenInfo:
    """The open packet's JSON, without its leading ``0``.

    Raises ``ProtocolViolation`` with class ``bad_handshake`` on anything odd: no object, no session, a time that is no
    positive number of milliseconds, a payload limit below 1, upgrades that are not names.
    """
    try:
        fields = orjson.loads(text_payload)
    except ValueError as error:
        raise ProtocolViolation("bad_handshake", "the open packet is not JSON") from error
    if type(fields) is not dict:
        raise ProtocolViolation("bad_handshake", "the open packet is not an object")
    sid = fields.get("sid")
    if type(sid) is not str or not sid:
        raise ProtocolViolation("bad_handshake", "the open packet has no sid")
    max_payload = fields.get("maxPayload")
    if max_payload is not None and (type(max_payload) is not int or max_payload < 1):
        raise ProtocolViolation("bad_handshake", "maxPayload of the open packet is not a positive integer")
    upgrades = fields.get("upgrades", [])
    if type(upgrades) is not list or any(type(name) is not str for name in upgrades):
        raise ProtocolViolation("bad_handshake", "upgrades of the open packet is not a list of names")
    return OpenInfo(
        sid, _seconds(fields, "pingInterval"), _seconds(fields, "pingTimeout"), max_payload, tuple(upgrades)
    )


def _seconds(fields: dict[str, Any], key: str) -> float:
    milliseconds: Any = fields.get(key)
    if type(milliseconds) not in (int, float) or not 0 < milliseconds <= MAX_MILLISECONDS:
        raise ProtocolViolation("bad_handshake", f"{key} of the open packet is not a positive number of milliseconds")
    return float(milliseconds) / 1000.0
