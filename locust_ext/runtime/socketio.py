"""`SocketIOConnection`: Socket.IO 5 over Engine.IO 4 over a WebSocket; one connection, one namespace."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from time import monotonic
from typing import Any, cast

from gevent.hub import Waiter

from locust_ext.core.protocols import socketio as sio
from locust_ext.core.protocols.correlation import ERROR, PUSH, REPLY
from locust_ext.errors import ConfigError, ConnectFailed, ConnectionLost, ErrorReply
from locust_ext.runtime.call import Call
from locust_ext.runtime.deadline import Alarm
from locust_ext.runtime.messaging import MessagingConnection
from locust_ext.runtime.websocket import error_text


class SocketIOConnection(MessagingConnection):
    """A call is answered by its ack (key: the ack id) or, where the correlation says so, by a confirming event.

    An arriving event is handed on as ``(event, args)``.
    """

    __slots__ = (
        "_auth",
        "_bytes_so_far",
        "_connect_waiter",
        "_hello",
        "_last_id",
        "_packets",
        "_ping_limit_s",
        "_ping_patience_s",
        "_refusal",
        "_refusal_detail",
        "_refusal_rule",
        "namespace",
        "sid",
    )

    OPENS_WITH_UPGRADE = False

    def __init__(self, *args: Any, namespace: str = "/", auth: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.namespace = namespace
        self._auth = auth
        self._bytes_so_far = 0
        """Of the message whose attachments are still coming."""
        self._hello = ""
        """The CONNECT of the namespace."""
        self._last_id = 0
        self._packets: sio.SocketIOCodec | None = None
        self._connect_waiter: Waiter[None] | None = None
        self._refusal: str | None = None
        self._refusal_detail = ""
        self._refusal_rule: str | None = None
        self._ping_limit_s = math.inf
        self._ping_patience_s = math.inf
        self.sid: str | None = None
        """The session id of the namespace; None until it is confirmed."""

    # ── opening ────────────────────────────────────────────────────────────────────────────────────────────────────

    def connect(self, deadline_s: float) -> tuple[str, ...]:
        """As `Transport.connect`, and wait until the namespace is confirmed. Raises `ConnectFailed`, `ConfigError`."""
        self._packets = sio.SocketIOCodec(namespace=self.namespace, auth=self._auth)
        try:
            self._hello = self._packets.encode_connect()
        except (TypeError, ValueError) as error:  # not its value: it may be secret
            raise ConfigError("expected a mapping of what JSON can hold", key="auth") from error
        # Until the namespace stands, whatever ends the connection is a failed connect, and no drop.
        on_gone, self.on_gone = self.on_gone, _nobody
        try:
            cookies = super().connect(deadline_s)
            self._wait_for_namespace(deadline_s)
        except BaseException:
            self.is_close_ours = True
            self._gone(self.error_class or "lost")
            raise
        finally:
            self.on_gone = on_gone
        self.connected_s = monotonic()
        return cookies

    def _wait_for_namespace(self, deadline_s: float) -> None:
        waiter: Waiter[None] = Waiter(self._shared.hub)
        self._connect_waiter = waiter
        alarm = Alarm(self._shared.wheel, deadline_s, self._wake_connect)
        try:
            while self.sid is None and self._refusal is None and self._sock is not None:
                if monotonic() >= deadline_s:
                    self._refusal = "connect_timeout"
                    break
                waiter.get()
                self._connect_waiter = waiter = Waiter(self._shared.hub)
        finally:
            self._connect_waiter = None
            self._shared.wheel.disarm(alarm)
        if self.sid is None or self._sock is None:
            refusal = self._refusal or self.error_class or "bad_handshake"
            self._gone(refusal)
            self.error_class = refusal
            raise ConnectFailed(refusal, self._refusal_detail, rule=self._refusal_rule)

    def _woken(self) -> None:
        if self._connect_waiter is not None:
            self._shared.loop.run_callback(self._wake_connect)

    def _wake_connect(self) -> None:
        waiter, self._connect_waiter = self._connect_waiter, None
        if waiter is not None:
            waiter.switch(None)

    # ── talking ────────────────────────────────────────────────────────────────────────────────────────────────────

    def begin(
        self,
        event: str,
        args: Sequence[Any],
        name: str,
        timeout_s: float,
        tags: tuple[str, ...] = (),
        intended_s: float | None = None,
        deadline_s: float | None = None,
        is_waited_for: bool = False,
    ) -> Call:
        """Emit ``event`` and give its `Call`, which has ended already if the connection is lost. Does not block."""
        now_s = monotonic()
        _, key = self.profile.correlation.outgoing((event, args), self._next_id)
        ack_id = None
        if key is None:
            key = ack_id = self._next_id()
        frame, size = self._frames(event, args, ack_id)
        call = Call(key, "SIO", name, now_s, now_s + timeout_s if deadline_s is None else deadline_s, tags, intended_s)
        self.start(call, frame, size, is_waited_for)
        return call

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def emit(self, event: str, args: Sequence[Any]) -> int:
        """Emit without expecting an answer; gives the payload's bytes. Raises `ConnectionLost`. Does not block."""
        frame, size = self._frames(event, args, None)
        self.send_frame(frame, size)
        return size

    def _frames(self, event: str, args: Sequence[Any], ack_id: int | None) -> tuple[bytes, int]:
        packets = self._packets
        if packets is None or self._codec is None:
            return b"", 0
        return self._framed(packets.encode_event(event, args, ack_id))

    def _framed(self, parts: Sequence[str | bytes]) -> tuple[bytes, int]:
        """The frames of one message (a packet, and its attachments if it has any), and its payload's bytes."""
        codec = self._codec
        if len(parts) == 1:
            text = cast(str, parts[0]).encode()
            return codec.encode_text(text), len(text)
        frames: list[bytes] = []
        size = 0
        for part in parts:  # one write: nothing may come between a packet and its attachments
            if isinstance(part, str):
                text = part.encode()
                frames.append(codec.encode_text(text))
                size += len(text)
            else:
                frames.append(codec.encode_binary(part))
                size += len(part)
        return b"".join(frames), size

    # ── arrivals ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _on_text(self, text: str, now_s: float) -> None:
        packets = self._packets
        if packets is None:
            return
        events = packets.receive_text(text)
        if not events:  # the head of a message whose attachments follow
            self._bytes_so_far = len(text) if text.isascii() else len(text.encode())
        for event in events:
            kind = event[0]
            if kind == sio.EVENT or kind == sio.ACK:
                self._arrived(event, len(text) if text.isascii() else len(text.encode()), now_s, text)
            else:
                self._on_packet(event, now_s)

    def _on_binary(self, data: bytes, now_s: float) -> None:
        packets = self._packets
        if packets is None:
            return
        self._bytes_so_far += len(data)
        for event in packets.receive_binary(data):
            kind = event[0]
            if kind == sio.EVENT or kind == sio.ACK:
                self._arrived(event, self._bytes_so_far, now_s)
            else:
                self._on_packet(event, now_s)

    def _arrived(self, event: tuple[Any, ...], length: int, now_s: float, text: str = "") -> None:
        """An application message: an event or an ack; ``text`` is its packet, where it has no attachments."""
        self._count_received(length)
        if event[0] == sio.ACK:
            _, _, ack_id, args = event
            verdict, exchange = self.pending.match_key(ack_id, now_s)
            if verdict == REPLY:
                self._answer(cast(Call, exchange), args, length, now_s, None)
            else:
                self._astray(verdict, exchange, "SIO", "ack")
            return
        _, namespace, name, args, ack_id = event
        if namespace != self.namespace_path:
            return
        answer = None if ack_id is None else partial(self._acknowledge, ack_id)
        verdict, exchange = self.pending.match((name, args), now_s)
        if verdict == REPLY:
            self._answer(cast(Call, exchange), args, length, now_s, None)
        elif verdict == PUSH:
            fan_out = self.profile.fan_out
            lag_us = None
            if fan_out is not None and fan_out.event == name:
                lag_us = self._lag_us(fan_out, text, (name, args), now_s)
            self._pushed(name, (name, args), length, lag_us, answer)
            return
        elif verdict == ERROR:
            self._answer(
                cast(Call, exchange), args, length, now_s, ErrorReply(error_text(args[0] if args else None), args)
            )
        else:
            self._astray(verdict, exchange, "SIO", name)
        if answer is not None:
            answer(None)

    @property
    def namespace_path(self) -> str:
        return self.namespace.partition("?")[0]

    def _acknowledge(self, ack_id: int, value: Any) -> None:
        """The server asked for an ack of its event; it counts as a message.

        ``value`` as python-socketio has it: None is no argument, a tuple several, anything else one. At once where no
        handler is to be asked. Raises `TypeError` for what JSON cannot hold.
        """
        packets = self._packets
        if packets is None or self.state != "open":
            return
        args = () if value is None else value if isinstance(value, tuple) else (value,)
        frame, size = self._framed(packets.encode_ack(ack_id, args))
        try:
            self.send_frame(frame, size)
        except ConnectionLost:
            return

    def _on_packet(self, event: tuple[Any, ...], now_s: float) -> None:
        kind = event[0]
        packets = self._packets
        assert packets is not None
        if kind == sio.PING:
            self._ping_limit_s = self._ping_limit_s if self._ping_limit_s == math.inf else now_s + self._ping_patience_s
            self._put(self._codec.encode_text(packets.encode_pong(event[1])), 0, 0)
        elif kind == sio.OPEN:
            info = event[1]
            self._ping_patience_s = info.ping_interval_s + info.ping_timeout_s
            self._ping_limit_s = now_s + self._ping_patience_s
            self._put(self._codec.encode_text(self._hello), 0, 0)
            self.rearm()
        elif kind == sio.CONNECTED:
            if event[1] == self.namespace_path:
                self.sid = event[2]
                if self.state == "connecting":
                    self.become("open")
                self._woken()
        elif kind == sio.CONNECT_ERROR:
            self._refusal, self._refusal_detail = "bad_handshake", "the server refused the namespace"
            self._refusal_rule = "namespace_refused"
            self._woken()
        elif kind == sio.DISCONNECT or kind == sio.CLOSE:
            self._server_left()
        elif kind == sio.FAIL:
            self._fail(1002, event[1])

    def _server_left(self) -> None:
        """The server disconnected the namespace: for the user the connection is gone, as if closed with 1000."""
        if self._shared.outbox:  # while the state lets it go out
            self._shared.flush()
        if self.state == "open":
            self.error_class = "closed_1000"
            self.become("closing")
            self._put(self._codec.encode_close(1000), 0, 0)
            self._gone("closed_1000", lingers=True)
        elif self.sid is None:
            self._refusal, self._refusal_detail = "bad_handshake", "the server left before the namespace stood"
            self._woken()

    # ── the end, and silence ───────────────────────────────────────────────────────────────────────────────────────

    def begin_close(self, code: int = 1000, reason: str = "") -> None:
        if self.state == "open" and self._packets is not None and self.sid is not None:
            self._put(self._codec.encode_text(self._packets.encode_disconnect()), 0, 0)
        super().begin_close(code, reason)

    def _gone(self, error_class: str, lingers: bool = False) -> None:
        super()._gone(error_class, lingers)
        self._packets = None
        self._woken()

    def _next_deadline(self) -> float:
        return min(super()._next_deadline(), self._ping_limit_s)

    def _on_due(self, now_s: float) -> None:
        super()._on_due(now_s)
        if self.state == "open" and now_s >= self._ping_limit_s:
            if now_s < self.last_received_s + self._ping_patience_s:
                self._ping_limit_s = self.last_received_s + self._ping_patience_s
            else:
                self._fail(1011, "ping_timeout")


def _nobody(connection: Any, error_class: str, is_orderly: bool) -> None:
    """Told of an end that is told otherwise."""
