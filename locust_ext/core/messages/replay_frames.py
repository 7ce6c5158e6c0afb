"""What a capture holds, whatever file it came from: connections and their frames; and the messages that frames carry.

Socket.IO is recognised by the connection's query (``EIO=``) or by its first packets. Its control packets (open, ping, pong,
upgrade, the connect and disconnect of a namespace) are the client's own business: they are no messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from locust_ext.core.protocols import socketio as sio
from locust_ext.errors import ConfigError

KINDS: Final = ("type", "event", "method", "action", "op", "command", "kind")
"""Fields that say what a message is, in the order in which they are looked for."""

MAX_DEPTH: Final = 100
"""Objects and lists inside each other: what is walked by functions that call themselves must end."""

_PACKET: Final = re.compile(r"4[2356](?:\d+-)?(?:/[^,\[]*,)?\d*\[")
_CONTROL: Final = ("0", "1", "2", "3", "5", "6", "40", "41")
_OPENED: Final = '0{"sid":"-","pingInterval":25000,"pingTimeout":20000}'


@dataclass(frozen=True, slots=True)
class Frame:
    """One WebSocket message as it was seen."""

    t_s: float
    """Seconds from the connection's opening."""
    is_sent: bool
    data: str | bytes
    where: str = ""
    """Its place in the file, for errors."""


@dataclass(slots=True)
class Connection:
    """One WebSocket from its opening to its end (or the recording's)."""

    path: str = ""
    """Of the URL, without the query, which may hold secrets; empty if the capture does not say."""
    client: str = ""
    """The name that the recorded client had; empty: unknown."""
    is_socketio: bool | None = None
    """None: its frames tell."""
    frames: list[Frame] = field(default_factory=list)
    secrets: frozenset[str] = frozenset()
    """Values from its headers, cookies and query that may not be sent or shown again."""


@dataclass(slots=True)
class Said:
    """One message of the application."""

    t_s: float
    is_sent: bool
    kind: str
    """Its type or event; ``message``, ``text`` or ``binary`` if it names none."""
    body: Any
    """Decoded JSON (objects and lists), else text or bytes as it was; of Socket.IO, the list of arguments."""
    where: str = ""
    ack: Any = None
    """Socket.IO: what an ack and the event that asked for it have in common."""
    is_ack: bool = False


def kind_of(body: Any) -> str:
    """What a message says it is."""
    if isinstance(body, dict):
        for name in KINDS:
            value = body.get(name)
            if isinstance(value, str) and value:
                return value
        return "message"
    return "binary" if isinstance(body, bytes) else "message" if isinstance(body, list) else "text"


def speaks_socketio(connection: Connection) -> bool:
    """Whether the frames are Engine.IO's: they begin with an open packet, or all of its texts are packets."""
    if connection.is_socketio is not None:
        return connection.is_socketio
    texts = [frame.data for frame in connection.frames if isinstance(frame.data, str)]
    if not texts:
        return False
    if texts[0].startswith('0{"sid"'):
        return True
    return all(_is_packet(text) for text in texts) and any(_PACKET.match(text) for text in texts)


def _is_packet(text: str) -> bool:
    return (
        _PACKET.match(text) is not None or text[:2] in ("40", "41") or text in ("2", "3", "2probe", "3probe", "5", "6")
    )


def said_on(connection: Connection, source: str) -> list[Said]:
    """The messages of a connection, in order. Raises ``ConfigError`` for a broken packet, and for nesting without end."""
    if speaks_socketio(connection):
        said = list(_said_by_socketio(connection, source))
    else:
        said = [_said(frame) for frame in connection.frames]
    for each in said:
        if not _is_shallow(each.body):
            raise ConfigError(f"expected at most {MAX_DEPTH} levels of nesting", source=source, key=each.where)
    return said


def _is_shallow(body: Any) -> bool:
    level = [body]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for one in level
            if isinstance(one, dict | list)
            for item in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return True
    return not any(isinstance(one, dict | list) for one in level)


def _said(frame: Frame) -> Said:
    body: Any = frame.data
    if isinstance(body, str) and body.lstrip()[:1] in ("{", "["):  # numbers and words stay the texts that they are
        try:
            body = orjson.loads(body)
        except ValueError:
            pass  # no JSON: a text of the application's own
    return Said(frame.t_s, frame.is_sent, kind_of(body), body, frame.where)


def _said_by_socketio(connection: Connection, source: str) -> Iterable[Said]:
    codecs = {}
    for is_sent in (True, False):  # each direction has attachments of its own to wait for
        codecs[is_sent] = sio.SocketIOCodec()
        codecs[is_sent].receive_text(_OPENED)
    for frame in connection.frames:
        codec, data = codecs[frame.is_sent], frame.data
        if isinstance(data, str) and (data[:1] in _CONTROL or data[:2] in _CONTROL):
            continue
        events = codec.receive_text(data) if isinstance(data, str) else codec.receive_binary(data)
        for event in events:
            if event[0] == sio.EVENT:
                _, namespace, name, args, ack_id = event
                ack = None if ack_id is None else (frame.is_sent, namespace, ack_id)
                yield Said(frame.t_s, frame.is_sent, name, args, frame.where, ack)
            elif event[0] == sio.ACK:
                _, namespace, ack_id, args = event
                yield Said(
                    frame.t_s, frame.is_sent, "ack", args, frame.where, (not frame.is_sent, namespace, ack_id), True
                )
            elif event[0] == sio.FAIL:
                raise ConfigError("expected a Socket.IO packet", source=source, key=frame.where)
