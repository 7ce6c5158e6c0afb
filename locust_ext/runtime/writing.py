"""`FrameWriter`: the write path of a connection: whole frames, sent at once or queued, never blocking.

The queue owns the bytes: a killed or late writer leaves a whole frame on the wire.
"""

from __future__ import annotations

import socket
import ssl
from collections import deque
from time import monotonic
from typing import Any

from gevent.hub import Waiter

from locust_ext.errors import ConnectionLost, RequestTimeout
from locust_ext.runtime.deadline import Alarm
from locust_ext.runtime.facts import Facts
from locust_ext.runtime.handshake import error_class_of
from locust_ext.runtime.process import ProcessShared

WRITES_A_TURN = 64
MAX_QUEUED_BYTES = 16 * 2**20


class FrameWriter:
    """Writes to an open socket, with TLS where it has it. How a connection ends is the subclass's."""

    __slots__ = (
        "_codec",
        "_queue",
        "_queued_bytes",
        "_queued_pong",
        "_shared",
        "_sock",
        "_tls",
        "_traffic",
        "_write_watcher",
        "_writers",
        "bytes_sent",
        "error_class",
        "is_close_ours",
        "last_sent_s",
        "messages_sent",
        "state",
    )

    def __init__(self, shared: ProcessShared, facts: Facts, state: str | None) -> None:
        self._shared = shared
        self._traffic = facts.traffic
        self._sock: socket.socket | None = None
        self._tls: Any = None
        self._codec: Any = None
        self._write_watcher: Any = None
        self._queue: deque[tuple[memoryview | bytes, int, int]] | None = None
        self._queued_bytes = 0
        self._queued_pong: bytes | None = None
        self._writers: list[Waiter[None]] | None = None
        self.state = state
        """The state of the user's connection, whose earlier transport this one succeeds."""
        self.error_class: str | None = None
        self.is_close_ours = False
        self.last_sent_s = 0.0
        self.messages_sent = 0
        self.bytes_sent = 0

    # ── how it ends ────────────────────────────────────────────────────────────────────────────────────────────────

    def _fail(self, close_code: int, error_class: str) -> None:
        raise NotImplementedError  # each connection's own

    def _gone(self, error_class: str, lingers: bool = False) -> None:
        raise NotImplementedError  # each connection's own

    def _gone_soon(self, error_class: str) -> None:
        raise NotImplementedError  # each connection's own

    def _read_last(self, error_class: str) -> None:
        raise NotImplementedError  # each connection's own

    # ── sending ────────────────────────────────────────────────────────────────────────────────────────────────────

    def send_frame(self, frame: bytes, payload_bytes: int) -> None:
        """Send one message, whose frame(s) are ``frame``. Does not block; what the kernel does not take is queued.

        Raises `ConnectionLost` if the connection is not open, or if over 16 MiB are waiting to be taken.
        """
        if self._shared.outbox:
            self._shared.flush()
        if self.state != "open":
            raise ConnectionLost(self.error_class or "lost")
        if self._queued_bytes > MAX_QUEUED_BYTES:
            self._fail(1011, "lost")
            raise ConnectionLost("lost", "the peer does not read")
        self.last_sent_s = monotonic()
        if self._tls is not None or self._queue:
            self._put(frame, 1, payload_bytes)
            return
        # What nearly every message meets, without three more calls: `_put`, `_put_raw` and `_count_sent`.
        try:
            sent = self._sock.send(frame)  # type: ignore[union-attr]  # it is open
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self._gone_soon(error_class_of(error))
            return
        if sent != len(frame):
            self._queue_rest(frame, sent, 1, payload_bytes)
            return
        self.messages_sent += 1
        self.bytes_sent += payload_bytes
        traffic = self._traffic
        traffic.messages_sent += 1
        traffic.bytes_sent += payload_bytes

    def wait_written(self, deadline_s: float) -> None:
        """Block the calling greenlet until the kernel has taken every message that has been sent so far.

        So a sender goes no faster than its peer reads. Raises `RequestTimeout` at monotonic ``deadline_s`` and
        `ConnectionLost`; a message that is queued may go out all the same.
        """
        if not self._queue:
            return
        until = self.messages_sent + sum(messages for _, messages, _ in self._queue)
        while self.messages_sent < until:
            if self._sock is None:
                raise ConnectionLost("lost", "the connection went before the message was out")
            if monotonic() >= deadline_s:
                raise RequestTimeout("timeout", "the peer does not read")
            waiter: Waiter[None] = Waiter(self._shared.hub)
            if self._writers is None:
                self._writers = []
            self._writers.append(waiter)
            alarm = Alarm(self._shared.wheel, deadline_s, lambda waiter=waiter: waiter.switch(None))
            try:
                waiter.get()
            finally:
                self._shared.wheel.disarm(alarm)
                if self._writers and waiter in self._writers:
                    self._writers.remove(waiter)

    def _wake_writers(self) -> None:
        """Some of them may go on; each looks for itself."""
        writers, self._writers = self._writers, None
        for waiter in writers or ():
            self._shared.loop.run_callback(waiter.switch, None)

    def _put(self, frame: bytes, messages: int, payload_bytes: int) -> None:
        if self._shared.outbox:
            self._shared.flush()
        if self._tls is not None:
            try:
                frame = self._tls.encrypt(frame)
            except ssl.SSLError:
                self._gone_soon("tls")
                return
        self._put_raw(frame, messages, payload_bytes)

    def _put_raw(self, frame: bytes, messages: int, payload_bytes: int) -> None:
        sock = self._sock
        if sock is None:
            return
        if self._queue:
            self._queue.append((frame, messages, payload_bytes))
            self._queued_bytes += len(frame)
            return
        try:
            sent = sock.send(frame)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self._gone_soon(error_class_of(error))
            return
        if sent == len(frame):
            if messages:
                self._count_sent(messages, payload_bytes)
            return
        self._queue_rest(frame, sent, messages, payload_bytes)

    def _queue_rest(self, frame: bytes, sent: int, messages: int, payload_bytes: int) -> None:
        """Queue what the kernel has not taken of the first frame of an empty queue."""
        assert self._sock is not None
        if self._queue is None:
            self._queue = deque()
        self._queue.append((memoryview(frame)[sent:], messages, payload_bytes))  # a view: the rest is not copied
        self._queued_bytes += len(frame) - sent
        if self._write_watcher is None:
            self._write_watcher = self._shared.loop.io(self._sock.fileno(), 2)
        self._write_watcher.start(self._on_writable)

    def _put_pong(self, frame: bytes) -> None:
        """Only the newest pong waits (RFC 6455, section 5.5.3 allows it): a flood of pings queues one frame."""
        if self._queue:
            self._queued_pong = frame
        else:
            self._put(frame, 0, 0)

    def _count_sent(self, messages: int, payload_bytes: int) -> None:
        self.messages_sent += messages
        self.bytes_sent += payload_bytes
        traffic = self._traffic
        traffic.messages_sent += messages
        traffic.bytes_sent += payload_bytes

    def _on_writable(self) -> None:
        sock, queue = self._sock, self._queue
        if sock is None or queue is None:
            return
        try:
            for _ in range(min(len(queue), WRITES_A_TURN)):
                frame, messages, payload_bytes = queue[0]
                try:
                    sent = sock.send(frame)
                except (BlockingIOError, InterruptedError):
                    return
                self._queued_bytes -= sent
                if sent < len(frame):
                    queue[0] = (memoryview(frame)[sent:], messages, payload_bytes)
                    return
                queue.popleft()
                if messages:
                    self._count_sent(messages, payload_bytes)
                    if self._writers:
                        self._wake_writers()
        except OSError as error:
            self._read_last(error_class_of(error))
            return
        if queue:
            return
        self._write_watcher.stop()
        if self.state == "open":
            if self._queued_pong is not None:
                pong, self._queued_pong = self._queued_pong, None
                self._put(pong, 0, 0)
        elif not self.is_close_ours:  # the answer to the peer's close frame is out
            self._gone(self.error_class or "closed_1000")
