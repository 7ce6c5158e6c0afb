"""Socket.IO protocol 5 over Engine.IO 4: whole WebSocket messages in, event tuples out, and packets to text and frames.

Fed by the WebSocket codec, so sizes are limited and UTF-8 is checked already. Accepts what ``socket.io-parser`` 4
(Node) and ``python-socketio`` 5 send, in both orders of the handshake: events may come before the namespace's CONNECT.
Source: https://socket.io/docs/v4/socket-io-protocol/.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from locust_ext.core.protocols import engineio
from locust_ext.core.protocols.engineio import OpenInfo, ProtocolViolation
from locust_ext.errors import ConfigError

Event = tuple[Any, ...]
"""What a received message means; the first element is one of the kinds below."""

OPEN: Final = 0
"""``(OPEN, OpenInfo)``: the Engine.IO session is open; answer with ``encode_connect()``."""
PING: Final = 1
"""``(PING, payload)``: answer with ``encode_pong(payload)``."""
CONNECTED: Final = 2
"""``(CONNECTED, namespace, sid)``"""
CONNECT_ERROR: Final = 3
"""``(CONNECT_ERROR, namespace, message, data)``: the server refused the namespace; the texts are the server's."""
EVENT: Final = 4
"""``(EVENT, namespace, event_name, args, ack_id | None)``; an ``ack_id`` asks for ``encode_ack(ack_id, …)``."""
ACK: Final = 5
"""``(ACK, namespace, ack_id, args)``"""
DISCONNECT: Final = 6
"""``(DISCONNECT, namespace)``: the server closed the namespace."""
CLOSE: Final = 7
"""``(CLOSE,)``: the server closes the Engine.IO session; nothing after it is delivered."""
NOOP: Final = 8
"""``(NOOP,)``: a well-formed packet that means nothing to a client (noop, pong, upgrade)."""
FAIL: Final = 9
"""``(FAIL, error_class)``: the server broke the protocol; nothing after it is delivered, close the connection."""

RESERVED_EVENTS: Final = frozenset(
    ("connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener")
)
MAX_ACK_ID: Final = 2**53 - 1
"""Largest integer that a JavaScript peer counts exactly."""

_BINARY: Final = (bytes, bytearray, memoryview)
_HEADER: Final = re.compile(r"(?:(/[^,]*)(?:,|\Z))?([0-9]{0,17})")


class SocketIOCodec:
    """The packets of one connection. Not shared: it remembers a binary packet that waits for its attachments.

    ``namespace`` is the one that the ``encode_…`` methods speak for; a query (``/chat?room=1``) goes out with the
    CONNECT alone. All namespaces are decoded; to speak in a second one, take a second codec for its ``encode_…``.
    ``loads`` takes text; ``dumps`` gives text or UTF-8 bytes and raises ``TypeError`` on bytes inside.
    """

    __slots__ = (
        "_ack_prefix",
        "_auth",
        "_connect_prefix",
        "_disconnect",
        "_dumps",
        "_event_prefix",
        "_loads",
        "_max_attachments",
        "_opened",
        "_over",
        "_ready",
        "_suffix",
        "_waiting",
        "namespace",
    )

    def __init__(
        self,
        *,
        namespace: str = "/",
        auth: Mapping[str, Any] | None = None,
        loads: Callable[[str], Any] = orjson.loads,
        dumps: Callable[[Any], str | bytes] = orjson.dumps,
        max_attachments: int = 64,
    ) -> None:
        if not namespace.startswith("/") or "," in namespace:
            raise ConfigError("a namespace that starts with '/' and has no comma", key="namespace", value=namespace)
        self.namespace: str = namespace.partition("?")[0]
        """Without its query, as the server names it."""
        suffix = "" if self.namespace == "/" else f"{self.namespace},"
        self._connect_prefix = "40" if namespace == "/" else f"40{namespace},"
        self._disconnect = f"41{suffix}"
        self._event_prefix = f"42{suffix}"
        self._ack_prefix = f"43{suffix}"
        self._suffix = suffix
        self._auth = auth
        self._loads = loads
        self._dumps = dumps
        self._max_attachments = max_attachments
        self._opened = False
        self._over = False
        # One test on the fast path: open, not over, and no attachment outstanding.
        self._ready = False
        self._waiting: _Incomplete | None = None

    # -- receiving ------------------------------------------------------------------------------------------------

    def receive_text(self, text: str) -> list[Event]:
        """Events of one whole text message: one, or none while attachments are outstanding. Never raises."""
        if self._ready:
            try:
                head = text[:3]
                if head == "42[":
                    args = self._loads(text[2:])
                    name = args.pop(0)
                    if type(name) is str and name not in RESERVED_EVENTS:
                        return [(EVENT, "/", name, args, None)]
                    return self._named(name, args)
                if head[:2] == "43":
                    start = text.find("[", 3, 20)
                    digits = text[2:start]
                    if start > 0 and digits.isdecimal() and digits.isascii():
                        ack_id = int(digits)
                        args = self._loads(text[start:])
                        if type(args) is list and ack_id <= MAX_ACK_ID:
                            return [(ACK, "/", ack_id, args)]
            # ``loads`` may be the locustfile's own, and nothing may raise into the event loop.
            except Exception:  # noqa: BLE001
                return self._fail("protocol")
        return self._receive_rare(text)

    def receive_binary(self, data: bytes) -> list[Event]:
        """Events of one whole binary message: that of its packet if this was the last attachment. Never raises."""
        waiting = self._waiting
        if waiting is None:
            if self._over:
                return []
            return self._fail("protocol" if self._opened else "bad_handshake")
        waiting.attachments.append(data)
        if len(waiting.attachments) < waiting.count:
            return []
        self._waiting = None
        self._ready = True
        if not _fill_placeholders(waiting.args, waiting.attachments):
            return self._fail("protocol")
        return [waiting.event]

    def _named(self, name: object, args: list[Any]) -> list[Event]:
        """An event whose name is no usable string: Node's may be numbers, which are given as text."""
        return [(EVENT, "/", str(name), args, None)] if type(name) is int else self._fail("protocol")

    def _receive_rare(self, text: str) -> list[Event]:
        """All but plain events and acks of the root namespace."""
        if self._over:
            return []
        kind = text[:1]
        if not self._opened:
            return self._receive_first(kind, text)
        if kind == engineio.MESSAGE:
            if self._waiting is not None:
                return self._fail("protocol")
            try:
                return self._packet(text)
            except Exception:  # noqa: BLE001 - as above
                return self._fail("protocol")
        # These belong to the layer below: a threaded server may put one between a packet and its attachments.
        if kind == engineio.PING:
            return [(PING, text[1:])]
        if kind in (engineio.NOOP, engineio.PONG, engineio.UPGRADE):
            return [(NOOP,)]
        if kind == engineio.CLOSE:
            self._end()
            return [(CLOSE,)]
        return self._fail("protocol")

    def _receive_first(self, kind: str, text: str) -> list[Event]:
        if kind == engineio.CLOSE:
            self._end()
            return [(CLOSE,)]
        if kind != engineio.OPEN:
            return self._fail("bad_handshake")
        try:
            info: OpenInfo = engineio.parse_open(text[1:])
        except ProtocolViolation as violation:
            return self._fail(violation.error_class)
        self._opened = self._ready = True
        return [(OPEN, info)]

    def _packet(self, text: str) -> list[Event]:
        """One Socket.IO packet: ``<type>[<attachments>-][<namespace>,][<ack id>][<JSON>]`` after the ``4``."""
        kind = text[1:2]
        position = 2
        count = 0
        is_binary = kind in ("5", "6")
        if is_binary:
            dash = text.find("-", 2, 13)
            digits = text[2:dash]
            if dash < 3 or not (digits.isdecimal() and digits.isascii()) or int(digits) > self._max_attachments:
                return self._fail("protocol")
            count = int(digits)
            position = dash + 1
        header = _HEADER.match(text, position)
        assert header is not None  # every part of it is optional
        namespace = (header[1] or "/").partition("?")[0]
        ack_id = int(header[2]) if header[2] else None
        if ack_id is not None and ack_id > MAX_ACK_ID:
            return self._fail("protocol")
        body = text[header.end() :]
        payload = self._loads(body) if body else None

        if kind in ("2", "5"):
            if type(payload) is not list or not payload:
                return self._fail("protocol")
            name = payload.pop(0)
            if type(name) is int:
                name = str(name)
            elif type(name) is not str or name in RESERVED_EVENTS:
                return self._fail("protocol")
            return self._complete((EVENT, namespace, name, payload, ack_id), payload, count, is_binary)
        if kind in ("3", "6"):
            if type(payload) is not list or ack_id is None:
                return self._fail("protocol")
            return self._complete((ACK, namespace, ack_id, payload), payload, count, is_binary)
        if ack_id is not None:
            return self._fail("protocol")
        if kind == "0":
            sid = payload.get("sid") if type(payload) is dict else None
            return [(CONNECTED, namespace, sid)] if type(sid) is str and sid else self._fail("protocol")
        if kind == "4":
            return self._refusal(namespace, payload, bool(body))
        if kind == "1" and not body:
            return [(DISCONNECT, namespace)]
        return self._fail("protocol")

    def _refusal(self, namespace: str, payload: Any, has_body: bool) -> list[Event]:
        if type(payload) is dict:
            message = payload.get("message")
            return [(CONNECT_ERROR, namespace, message if type(message) is str else "", payload.get("data"))]
        if type(payload) is str or not has_body:
            return [(CONNECT_ERROR, namespace, payload or "", None)]
        return self._fail("protocol")

    def _complete(self, event: Event, args: list[Any], count: int, is_binary: bool) -> list[Event]:
        if count:
            self._waiting = _Incomplete(event, args, count)
            self._ready = False
            return []
        if is_binary and not _fill_placeholders(args, []):
            return self._fail("protocol")
        return [event]

    def _fail(self, error_class: str) -> list[Event]:
        self._end()
        return [(FAIL, error_class)]

    def _end(self) -> None:
        self._over = True
        self._ready = False
        self._waiting = None

    # -- sending --------------------------------------------------------------------------------------------------

    def encode_connect(self) -> str:
        """The CONNECT of the namespace, with its query and ``auth``."""
        return self._connect_prefix if self._auth is None else self._connect_prefix + self._json(dict(self._auth))

    def encode_disconnect(self) -> str:
        return self._disconnect

    def encode_pong(self, payload: str = "") -> str:
        return engineio.PONG + payload

    def encode_event(self, event: str, args: Sequence[Any], ack_id: int | None = None) -> list[str | bytes]:
        """Messages to send one after the other, nothing between: a text, and a binary one for each bytes in ``args``.

        Raises ``ConfigError`` for a reserved name and ``TypeError`` for what JSON cannot hold; ``args`` is not changed.
        """
        if event in RESERVED_EVENTS:
            raise ConfigError("an event name that Socket.IO does not reserve", key="event", value=event)
        payload = [event, *args]
        try:
            body = self._dumps(payload)
        except TypeError as error:
            return self._with_attachments("5", ack_id, payload, error)
        if ack_id is None:
            return [self._event_prefix + (body if isinstance(body, str) else body.decode())]
        return [f"{self._event_prefix}{ack_id}{body if isinstance(body, str) else body.decode()}"]

    def encode_ack(self, ack_id: int, args: Sequence[Any]) -> list[str | bytes]:
        """As ``encode_event``: the answer to a received event that asked for an ack."""
        payload = list(args)
        try:
            body = self._dumps(payload)
        except TypeError as error:
            return self._with_attachments("6", ack_id, payload, error)
        return [f"{self._ack_prefix}{ack_id}{body if isinstance(body, str) else body.decode()}"]

    def _json(self, value: Any) -> str:
        body = self._dumps(value)
        return body if isinstance(body, str) else body.decode()

    def _with_attachments(self, kind: str, ack_id: int | None, payload: Any, error: TypeError) -> list[str | bytes]:
        attachments: list[str | bytes] = []
        payload = _take_attachments(payload, attachments)
        if not attachments:
            raise error
        number = "" if ack_id is None else ack_id
        return [f"4{kind}{len(attachments)}-{self._suffix}{number}{self._json(payload)}", *attachments]


class _Incomplete:
    """A binary packet whose attachments are still to come."""

    __slots__ = ("args", "attachments", "count", "event")

    def __init__(self, event: Event, args: list[Any], count: int) -> None:
        self.event = event
        self.args = args
        self.count = count
        self.attachments: list[bytes] = []


def _take_attachments(value: Any, attachments: list[str | bytes]) -> Any:
    """A copy of ``value`` with a placeholder for each bytes, which are appended to ``attachments`` depth first."""
    if isinstance(value, _BINARY):
        attachments.append(bytes(value))
        return {"_placeholder": True, "num": len(attachments) - 1}
    if isinstance(value, (list, tuple)):
        return [_take_attachments(item, attachments) for item in value]
    if isinstance(value, dict):
        return {key: _take_attachments(item, attachments) for key, item in value.items()}
    return value


def _fill_placeholders(args: list[Any], attachments: list[bytes]) -> bool:
    """Puts the attachments where the placeholders are, in place; False if one asks for an attachment that is not there.

    Without recursion: the JSON parser allows deeper nesting than Python's stack.
    """
    containers: list[Any] = [args]
    while containers:
        container = containers.pop()
        for key, item in enumerate(container) if type(container) is list else container.items():
            if type(item) is dict:
                if item.get("_placeholder") is not True:
                    containers.append(item)
                    continue
                number = item.get("num")
                if type(number) is not int or not 0 <= number < len(attachments):
                    return False
                container[key] = attachments[number]
            elif type(item) is list:
                containers.append(item)
    return True
