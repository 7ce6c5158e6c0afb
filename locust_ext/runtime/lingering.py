"""`Lingering`: the last moments of a connection that we have ended ourselves, after its last frame."""

from __future__ import annotations

import socket
from time import monotonic
from typing import Any

from locust_ext.runtime.deadline import Alarm
from locust_ext.runtime.process import ProcessShared

LINGER_S = 0.8


class Lingering:
    """Sends ``rest``, ends our direction, and throws away what comes, until the peer ends its own or 0.8 s are over.

    A socket that is closed with bytes unread answers with a reset, and that can overtake the last frame that we sent.
    """

    __slots__ = ("_alarm", "_rest", "_shared", "_sock", "_watcher")

    def __init__(self, sock: socket.socket, shared: ProcessShared, rest: bytes) -> None:
        self._sock = sock
        self._shared = shared
        self._rest: bytes | memoryview = rest
        self._watcher: Any = None
        if not self._flush():
            sock.close()
            return
        self._watcher = shared.loop.io(sock.fileno(), 3 if self._rest else 1)
        self._watcher.start(self._on_ready)
        self._alarm = Alarm(shared.wheel, monotonic() + LINGER_S, self._end)

    def _flush(self) -> bool:
        try:
            if self._rest:
                self._rest = memoryview(self._rest)[self._sock.send(self._rest) :]
            if not self._rest:
                self._sock.shutdown(socket.SHUT_WR)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        return True

    def _on_ready(self) -> None:
        if self._rest:
            if not self._flush():
                self._end()
                return
            if not self._rest:
                self._watcher.stop()
                self._watcher.close()
                self._watcher = self._shared.loop.io(self._sock.fileno(), 1)
                self._watcher.start(self._on_ready)
        try:
            if not self._sock.recv(65536):
                self._end()
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._end()

    def _end(self) -> None:
        self._shared.wheel.disarm(self._alarm)
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
            self._sock.close()
