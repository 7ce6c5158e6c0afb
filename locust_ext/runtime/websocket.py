"""`WebSocketConnection`: application messages over a plain WebSocket."""

from __future__ import annotations

from time import monotonic
from typing import Any

from orjson import JSONDecodeError

from locust_ext.core.protocols.correlation import ERROR, PUSH, REPLY
from locust_ext.errors import ConfigError, ErrorReply
from locust_ext.runtime.call import Call
from locust_ext.runtime.messaging import MessagingConnection


class WebSocketConnection(MessagingConnection):
    """JSON by default; any encoding by ``encode`` and ``decode`` (``str`` goes out as text, ``bytes`` of JSON too)."""

    __slots__ = ()

    def begin(
        self,
        message: Any,
        name: str,
        timeout_s: float,
        tags: tuple[str, ...] = (),
        intended_s: float | None = None,
        deadline_s: float | None = None,
        is_waited_for: bool = False,
    ) -> Call:
        """Send a request and give its `Call`, which has ended already if the connection is lost. Does not block.

        Raises `ConfigError` if the correlation cannot tell what would answer ``message``, and what ``encode`` raises.
        """
        now_s = monotonic()
        message, key = self.profile.correlation.outgoing(message, self._shared.next_message_id)
        if key is None:
            raise ConfigError("a message that has a reply: use send() for one that has none", key=name)
        codec, profile = self._codec, self.profile
        if type(message) is dict and codec is not None and not profile.is_binary:
            encoded = profile.encode(message)  # as `frame_of` does it, without the call
            frame = codec.encode_text(encoded)
            size = len(encoded if isinstance(encoded, bytes) else encoded.encode())
        else:
            frame, size = self.frame_of(message)
        call = Call(key, "WS", name, now_s, now_s + timeout_s if deadline_s is None else deadline_s, tags, intended_s)
        self.start(call, frame, size, is_waited_for)
        return call

    def send_one_way(self, message: Any) -> int:
        """Send without expecting a reply; gives the payload's bytes. Raises `ConnectionLost`. Does not block."""
        frame, size = self.frame_of(message)
        self.send_frame(frame, size)
        return size

    def frame_of(self, message: Any) -> tuple[bytes, int]:
        """The frame that carries ``message``, and its payload's bytes before compression."""
        codec = self._codec
        encoded = message if isinstance(message, str | bytes) else self.profile.encode(message)
        if codec is None:
            return b"", 0
        if isinstance(encoded, str):
            encoded = encoded.encode()
        elif self.profile.is_binary or isinstance(message, bytes):
            return codec.encode_binary(encoded), len(encoded)
        return codec.encode_text(encoded), len(encoded)

    def _on_text(self, payload: str | bytes, now_s: float) -> None:
        length = len(payload)
        if isinstance(payload, str) and not payload.isascii():
            length = len(payload.encode())
        self.messages_received += 1
        self.bytes_received += length
        traffic = self._traffic
        traffic.messages_received += 1
        traffic.bytes_received += length
        try:
            message = self.profile.decode(payload)
        except Exception as error:  # noqa: BLE001 – what the locustfile's decoder cannot read is handed on as it came
            message = payload
            if not isinstance(error, JSONDecodeError):  # of the default decoder: texts that are no JSON are no mistake
                self._told("decode", error)
        exchange: Any  # a `Call`; not by `cast`, which is a call
        verdict, exchange = self.pending.match(message, now_s)
        if verdict == REPLY:
            self._answer(exchange, message, length, now_s, None)
        elif verdict == PUSH:
            name = self._push_name(message)
            fan_out = self.profile.fan_out
            if fan_out is None or fan_out.event != name:
                self._pushed(name, message, length)
            else:
                self._pushed(name, message, length, self._lag_us(fan_out, payload, message, now_s))
        elif verdict == ERROR:
            self._answer(exchange, message, length, now_s, ErrorReply(error_text(message), message))
        else:
            self._astray(verdict, exchange, "WS", self._push_name(message))

    def _push_name(self, message: Any) -> str:
        try:
            return self.profile.push_name(message)
        except Exception as error:  # noqa: BLE001 – the locustfile's own: told, and the push is counted all the same
            self._told("push_name", error)
            return "message"

    def _told(self, what: str, error: Exception) -> None:
        """An exception of the locustfile's own code, which the hub has met: told once, however many pushes raise it."""
        key = f"{what} {type(error).__name__} {self.target.label}"
        if key not in self._shared.warned:
            self._shared.warned.add(key)
            self._shared.dispatcher.report(self._shared.dispatcher.on_error, error)

    def _on_binary(self, data: bytes, now_s: float) -> None:
        self._on_text(data, now_s)

    def send_heartbeat(self) -> None:
        message = self.profile.heartbeat_message
        call = self.begin(message, self.profile.push_name(message), self.profile.heartbeat_timeout_s)
        self.watch(call)


def error_text(message: Any) -> str:
    """A bounded word for a server's error message: its code, if it has one that looks like a constant."""
    code = message.get("code") if isinstance(message, dict) else None
    if isinstance(code, str) and code.isascii() and code.replace("_", "").isalnum() and len(code) <= 60:
        return code
    return "the server answered with an error"
