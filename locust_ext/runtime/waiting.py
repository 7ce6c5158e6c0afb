"""`WaitingSocket`: a plain socket whose calls block the calling greenlet, for as long as a connection is being opened.

gevent's own socket makes two watchers at its birth and a timer for each call; this one makes a watcher when it has to
wait, its deadline stands in the process's wheel, and the socket below is the one that stays.
"""

from __future__ import annotations

import errno
import os
import socket
from time import monotonic
from typing import Any

from gevent.hub import Waiter

from locust_ext.runtime.deadline import Alarm
from locust_ext.runtime.process import ProcessShared

READ, WRITE = 1, 2
_UNDER_WAY = (errno.EINPROGRESS, errno.EALREADY, errno.EWOULDBLOCK, errno.EINTR)


class WaitingSocket:
    """Wraps ``plain``, which it makes non-blocking. One greenlet's at a time; killed while it waits, it leaves nothing."""

    __slots__ = ("_deadline_s", "_shared", "plain")

    def __init__(self, plain: socket.socket, shared: ProcessShared) -> None:
        plain.setblocking(False)
        self.plain = plain
        self._shared = shared
        self._deadline_s = 0.0

    def settimeout(self, timeout_s: float) -> None:
        """From now on; for all calls together, not for each."""
        self._deadline_s = monotonic() + timeout_s

    def connect(self, address: Any) -> None:
        """Raises `TimeoutError`, `OSError`."""
        error = self.plain.connect_ex(address)
        if error in _UNDER_WAY:
            error = self.plain.connect_ex(address)  # within one host it stands by now, and nothing is to be waited for
        if error in _UNDER_WAY:
            self._wait(WRITE)
            error = self.plain.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error and error != errno.EISCONN:
            raise OSError(error, os.strerror(error))

    def sendall(self, data: bytes) -> None:
        """Raises `TimeoutError`, `OSError`."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self.plain.send(rest) :]
            except BlockingIOError:
                self._wait(WRITE)

    def recv(self, size: int) -> bytes:
        """At least a byte, or none at the end. Raises `TimeoutError`, `OSError`."""
        while True:
            self._wait(READ)  # at once: an answer is never there before it is waited for
            try:
                return self.plain.recv(size)
            except BlockingIOError:
                continue

    def _wait(self, events: int) -> None:
        shared = self._shared
        if monotonic() >= self._deadline_s:
            raise TimeoutError
        waiter: Waiter[bool] = Waiter(shared.hub)
        watcher: Any = shared.loop.io(self.plain.fileno(), events)
        alarm = Alarm(shared.wheel, self._deadline_s, lambda: waiter.switch(False))
        watcher.start(waiter.switch, True)
        try:
            is_ready = waiter.get()
        finally:
            watcher.stop()
            watcher.close()
            shared.wheel.disarm(alarm)
        if not is_ready:
            raise TimeoutError

    def close(self) -> None:
        self.plain.close()
