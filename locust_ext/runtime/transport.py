"""`Transport`: one open WebSocket, read in a hub callback and written without blocking; no greenlet of its own.

Subclasses say what a message means (`_on_text`, `_on_binary`), what an end means (`_on_gone`) and which deadlines they
have (`_next_deadline`). Every method may be called from any greenlet of the process; none of them switches, except
`connect`, `drain` and `close`.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from time import monotonic
from typing import Any

from gevent.hub import Waiter

from locust_ext.core.protocols.websocket import BINARY, CLOSE, FAIL, PING, PONG, TEXT, WebSocketCodec
from locust_ext.errors import ConnectFailed
from locust_ext.runtime.address import Endpoint
from locust_ext.runtime.deadline import Alarm
from locust_ext.runtime.facts import Facts, TransportSettings
from locust_ext.runtime.handshake import HandshakeOptions, error_class_of, open_websocket
from locust_ext.runtime.keepalive import KeepAlive
from locust_ext.runtime.lingering import Lingering
from locust_ext.runtime.process import ProcessShared

logger = logging.getLogger("locust_ext")

READ_BYTES = 8192
READS_AT_THE_END = 64
CLOSE_TIMEOUT_S = 0.8
SERVER_ENDS_WITHIN_S = 0.2
ORDERLY = ("closed_1000", "closed_1001", "closed_1005")


class Transport(KeepAlive):
    """Its part of a connection's states: ``connecting``, ``open``, ``closing``, ``closed``."""

    __slots__ = (
        "_close_waiter",
        "_facts",
        "_fd_watcher",
        "_has_both_close_frames",
        "bytes_received",
        "close_code",
        "close_reason",
        "connected_s",
        "lost_s",
        "messages_received",
        "on_gone",
        "on_state",
        "options",
        "subprotocol",
        "target",
    )

    OPENS_WITH_UPGRADE = True
    """False: the protocol has a handshake of its own, and becomes ``open`` behind it."""

    def __init__(
        self,
        target: Endpoint,
        *,
        shared: ProcessShared,
        facts: Facts,
        options: HandshakeOptions,
        settings: TransportSettings,
        on_gone: Callable[[Any, str, bool], None],
        state: str | None = None,
    ) -> None:
        super().__init__(shared, facts, settings, state)
        self.target = target
        self.options = options
        self.on_gone = on_gone
        """``on_gone(transport, error_class, is_orderly)`` is called once, in the hub or in the closing greenlet."""
        self.on_state: Callable[[str | None, str | None], None] | None = None
        """``on_state(old, new)`` is called at each change of the state, in the hub or any greenlet; it must not block."""
        self._facts = facts
        self._fd_watcher: Any = None
        self._close_waiter: Waiter[None] | None = None
        self._has_both_close_frames = False
        self.close_code: int | None = None
        self.close_reason = ""
        self.connected_s: float | None = None
        """Monotonic seconds at which the connection was open; None: never yet."""
        self.lost_s: float | None = None
        self.messages_received = 0
        self.bytes_received = 0
        self.subprotocol: str | None = None

    # ── state ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def is_open(self) -> bool:
        return self.state == "open"

    @property
    def lifetime_s(self) -> float | None:
        """Seconds from open to lost, or to now; None: it was never open."""
        if self.connected_s is None:
            return None
        return (self.lost_s if self.lost_s is not None else monotonic()) - self.connected_s

    def become(self, state: str | None) -> None:
        """A step in the life of the user's connection; None: it exists no more."""
        was_open = self.state == "open"
        old, self.state = self.state, state
        self._facts.connection_state(old, state)
        if self.on_state is not None:
            self.on_state(old, state)
        if state == "open":
            self._on_open()
        elif was_open:
            self._on_leaving()

    def _on_open(self) -> None:
        """The connection is one that counts."""
        self._facts.connection_opened(self)

    def _on_leaving(self) -> None:
        """It is lost, or begins to close: nothing more is expected of it."""

    # ── opening ────────────────────────────────────────────────────────────────────────────────────────────────────

    def connect(self, deadline_s: float) -> tuple[str, ...]:
        """Open the connection by monotonic ``deadline_s``; blocks the calling greenlet. Gives the ``Set-Cookie`` lines.

        Raises `ConnectFailed`. A killed greenlet leaves no descriptor behind.
        """
        self.become("connecting")
        try:
            opened = open_websocket(self.target, self.options, deadline_s, self._shared)
        except ConnectFailed as error:
            self.error_class = error.error_class
            self.become("closed")
            raise
        except BaseException:
            self.become("closed")
            raise
        self._sock = opened.sock
        self._tls = opened.tls
        self.subprotocol = opened.subprotocol
        recording = self._shared.recording
        new_codec = WebSocketCodec if recording is None else recording.codec_of(self)
        self._codec = new_codec(
            random=self._shared.random, max_message_bytes=self.settings.max_message_bytes, deflate=opened.deflate
        )
        now_s = monotonic()
        self.connected_s = self.last_sent_s = self.last_received_s = now_s
        if self.settings.ping_interval_s:
            # The first ping comes at a random part of the interval: connections opened together do not ping together.
            self.ping_due_s = now_s + self.settings.ping_interval_s * (0.5 + 0.5 * self._shared.random.random())
        if self.OPENS_WITH_UPGRADE:
            self.become("open")
        self._fd_watcher = self._shared.loop.io(self._sock.fileno(), 1)
        if opened.early_bytes:  # in the hub, as all that comes later
            self._shared.loop.run_callback(self._on_early_bytes, opened.early_bytes)
        else:
            self._fd_watcher.start(self._on_readable)
        self.rearm()
        return opened.set_cookies

    def _on_early_bytes(self, data: bytes) -> None:
        if self._sock is not None:
            self._on_readable(data)
            if self._tls is not None and self._tls.is_closed_by_peer:
                self._gone("closed_1006")
            if self._fd_watcher is not None:
                self._fd_watcher.start(self._on_readable)

    # ── reading: in the hub, never blocks, never raises ────────────────────────────────────────────────────────────

    def _on_readable(self, data: bytes = b"") -> bool:
        """Read once, or take ``data`` (decrypted) as read; True: something came, and there may be more."""
        sock = self._sock
        if sock is None:
            return False
        if not data:
            try:
                data = sock.recv(READ_BYTES)
            except (BlockingIOError, InterruptedError):
                return False
            except OSError as error:
                self._gone(error_class_of(error))
                return False
            if not data:
                self._gone("closed_1006")
                return False
            if self._tls is not None:
                return self._on_records(data)
        now_s = monotonic()
        self.last_received_s = now_s
        try:
            for kind, payload in self._codec.receive_data(data):
                if kind == TEXT:
                    self._on_text(payload, now_s)
                elif kind == BINARY:
                    self._on_binary(payload, now_s)
                else:
                    self._on_control(kind, payload)
                if self._sock is None:
                    break  # a woken user has closed the connection
        except Exception as error:
            logger.exception("internal error while reading from %s", self.target.label)
            self._fail(1011, "protocol")
            self._shared.dispatcher.on_error(error)
        return True

    def _on_records(self, records: bytes) -> bool:
        tls = self._tls
        try:
            data = tls.decrypt(records)
        except ssl.SSLError:
            self._gone("tls")
            return False
        if pending := tls.outgoing():
            self._put_raw(pending, 0, 0)
        if data:
            self._on_readable(data)
        if tls.is_closed_by_peer:
            self._gone("closed_1006")
        return True

    def _on_control(self, kind: int, payload: Any) -> None:
        if kind == PING:
            if self.state == "open":  # nothing may follow a close frame
                self._put_pong(self._codec.encode_pong(payload))
        elif kind == PONG:
            self._on_pong(payload)
        elif kind == CLOSE:
            self.close_code, self.close_reason = payload
            if self._shared.outbox:
                self._shared.flush()
            if self.state == "open":
                code = self.close_code
                self.become("closing")
                self._put(self._codec.encode_close(None if code == 1005 else code), 0, 0)
                self.error_class = f"closed_{code}"
                self._after_close_frames()
            else:
                if self.error_class is None:  # before the protocol's own handshake was done
                    self.error_class = f"closed_{self.close_code}"
                self._after_close_frames()
        elif kind == FAIL:
            self._fail(*payload)

    def _on_text(self, text: str, now_s: float) -> None:
        """A whole text message; the subclass counts it, if it is one of the application."""

    def _on_binary(self, data: bytes, now_s: float) -> None:
        """A whole binary message; the subclass counts it, if it is one of the application."""

    def _count_received(self, payload_bytes: int) -> None:
        self.messages_received += 1
        self.bytes_received += payload_bytes
        traffic = self._traffic
        traffic.messages_received += 1
        traffic.bytes_received += payload_bytes

    def _on_pong(self, payload: bytes) -> None:
        """A pong came; it counts as a sign of life, as every byte does."""

    # ── ending ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def close(self, code: int = 1000, reason: str = "", timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Close in order: what is queued, then the close frame, then wait for the peer's, at most ``timeout_s``.

        Blocks the calling greenlet. Idempotent. However it ends, the descriptor and the watchers are gone after it.
        """
        try:
            self.begin_close(code, reason)
            if self._sock is not None and timeout_s > 0:
                self._wait_until_gone(monotonic() + timeout_s)
        finally:
            self._gone(self.error_class or "lost")

    def begin_close(self, code: int = 1000, reason: str = "") -> None:
        """Send the close frame, behind all that is queued; does not block. `close` waits for the rest."""
        if self._shared.outbox:  # while the state lets it go out
            self._shared.flush()
        if self.state == "open":
            frame = self._codec.encode_close(code, reason)
            self.become("closing")
            self.is_close_ours = True
            self.error_class = f"closed_{code}"
            self._put(frame, 0, 0)

    def _wait_until_gone(self, until_s: float) -> None:
        waiter: Waiter[None] = Waiter()
        self._close_waiter = waiter
        alarm = Alarm(self._shared.wheel, until_s, lambda: waiter.switch(None))
        try:
            waiter.get()
        finally:
            self._close_waiter = None
            self._shared.wheel.disarm(alarm)

    def _after_close_frames(self) -> None:
        """The peer's close frame is in. If ours came first, the peer ends TCP (RFC 6455, section 7.1.1), for a moment at
        the most: who ends it keeps the port in TIME_WAIT, and a generator that opens many connections needs its ports.
        """
        if self.is_close_ours and self._sock is not None:
            self._has_both_close_frames = True
            self._shared.wheel.disarm(self)
            self._shared.wheel.arm(self, monotonic() + SERVER_ENDS_WITHIN_S)
        elif not self._queue:
            self._gone(self.error_class or "closed_1000")
        else:
            self._shared.wheel.arm(self, monotonic() + CLOSE_TIMEOUT_S)

    def _fail(self, close_code: int, error_class: str) -> None:
        """The peer broke a rule (or a limit): say so with ``close_code``, and end.

        The descriptor lives on for a moment, unread bytes thrown away: closed at once, the kernel would send a reset,
        which can overtake the close frame.
        """
        if self._shared.outbox:  # while the state lets it go out
            self._shared.flush()
        if self.state == "open" and self._sock is not None:
            self.become("closing")
            self._put(self._codec.encode_close(close_code), 0, 0)
            self._gone(error_class, lingers=True)
        else:
            self._gone(error_class)

    def abort(self, error_class: str = "lost") -> None:
        """End at once, without a close frame. Idempotent."""
        self._gone(error_class)

    def _gone_soon(self, error_class: str) -> None:
        """As `_gone`, for callers inside a send: the end must not run before they have registered what they sent."""
        self._shared.loop.run_callback(self._read_last, error_class)

    def _read_last(self, error_class: str) -> None:
        """A send has failed: end, but read first what the peer had sent before it went, such as its close frame."""
        for _ in range(READS_AT_THE_END):
            if not self._on_readable():
                break
        self._gone(error_class)

    def _gone(self, error_class: str, lingers: bool = False) -> None:
        if self._shared.outbox:
            self._shared.flush()
        sock = self._sock
        if sock is None:
            return
        self._sock = None
        for watcher in (self._fd_watcher, self._write_watcher):
            if watcher is not None:  # before the descriptor: its number may be somebody else's at once
                watcher.stop()
                watcher.close()
        self._fd_watcher = self._write_watcher = None
        self._shared.wheel.disarm(self)
        goodbye = self._tls.close_notify() if self._tls is not None and self.state == "closing" else b""
        if lingers:
            Lingering(sock, self._shared, b"".join([*(frame for frame, _, _ in self._queue or ()), goodbye]))
        else:
            if goodbye and not self._queue:  # behind half a record it would only be noise
                try:
                    sock.send(goodbye)
                except OSError:
                    pass  # the peer has gone first: there is nobody left to tell
            sock.close()
        self.lost_s = monotonic()
        is_orderly = self.is_close_ours or (self.error_class in ORDERLY and not self._has_open_work())
        if self.error_class is None or not self.error_class.startswith("closed_"):
            self.error_class = error_class
        self.become("closed")
        self._facts.connection_ended(self)
        self._queue = None
        self._codec = None
        self._tls = None
        if self._close_waiter is not None:
            self._shared.loop.run_callback(self._close_waiter.switch, None)
            self._close_waiter = None
        if self._writers:
            self._wake_writers()
        self.on_gone(self, self.error_class, is_orderly)

    def _waits_in_vain(self) -> bool:
        is_closing = self.state == "closing" and self._sock is not None
        return is_closing and (self._close_waiter is None or self._has_both_close_frames)

    def _has_open_work(self) -> bool:
        """Whether somebody still waits for the peer: an orderly close is then a loss all the same."""
        return False
