"""`HandshakeSocket`: the head of an HTTP answer, read in blocks and by a deadline."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from time import monotonic, time
from typing import Any

from locust_ext.errors import ConnectFailed
from locust_ext.runtime.tls import TlsLayer

MAX_HEADER_BYTES = 64 * 1024
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")


class HandshakeSocket:
    """What an upgrade and a proxy's tunnel talk to until the answer's head is whole."""

    __slots__ = (
        "_buffer",
        "_received",
        "_sock",
        "_tls",
        "deadline_s",
        "headers",
        "is_done",
        "set_cookies",
        "status",
    )

    def __init__(self, sock: Any, tls: TlsLayer | None, deadline_s: float, early_bytes: bytes = b"") -> None:
        self._sock = sock
        self._tls = tls
        self._buffer = early_bytes
        self._received = 0
        self.deadline_s = deadline_s
        self.status = ""
        self.headers: dict[str, str] = {}
        self.set_cookies: list[str] = []
        self.is_done = False

    def send(self, data: bytes) -> int:
        self._sock.settimeout(left_s(self.deadline_s))
        self._sock.sendall(data if self._tls is None else self._tls.encrypt(data))
        return len(data)

    def read_head(self) -> None:
        """Read to the empty line; status and headers are known then. Raises `ConnectFailed`."""
        while not self.is_done:
            end = self._buffer.find(b"\n")
            if end < 0:
                self._buffer += self._receive()
                continue
            line, self._buffer = self._buffer[:end], self._buffer[end + 1 :]
            self._note(line.decode("latin-1").strip())

    def _receive(self) -> bytes:
        self._sock.settimeout(left_s(self.deadline_s))
        data: bytes = self._sock.recv(16384)
        if not data:
            raise ConnectFailed("bad_handshake" if self.status or self._buffer else "reset")
        self._received += len(data)
        if self._received > MAX_HEADER_BYTES:
            raise ConnectFailed("bad_handshake")
        return data if self._tls is None else self._tls.decrypt(data)

    def _note(self, line: str) -> None:
        if not self.status:
            self.status = line
            if status_of(self) is None:
                raise ConnectFailed("bad_handshake")  # no HTTP: the end of this head may never come
        elif not line:
            self.is_done = True
        else:
            name, colon, value = line.partition(":")
            if not colon:
                raise refusal(self)
            name, value = name.strip().lower(), value.strip()
            if name == "set-cookie":
                self.set_cookies.append(value)
            else:
                self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value

    def take_rest(self) -> bytes:
        rest, self._buffer = self._buffer, b""
        return rest


def left_s(deadline_s: float) -> float:
    """Seconds from now to monotonic ``deadline_s``, more than 0. Raises `ConnectFailed` (``connect_timeout``)."""
    seconds = deadline_s - monotonic()
    if seconds <= 0:
        raise ConnectFailed("connect_timeout")
    return seconds


def status_of(stream: HandshakeSocket) -> int | None:
    """The status that the peer answered with; None: what it said was not HTTP."""
    parts = stream.status.split(" ", 2)
    if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or not (len(parts[1]) == 3 and parts[1].isdigit()):
        return None
    return int(parts[1])


def refusal(stream: HandshakeSocket) -> ConnectFailed:
    """The failure that an answer other than the wanted one is."""
    status = status_of(stream)
    if status is None or status == 101:
        return ConnectFailed("bad_handshake")
    return ConnectFailed(f"http_{status}", retry_after_s=retry_after_s(stream.headers.get("retry-after")))


def retry_after_s(value: str | None) -> float | None:
    """Seconds from now of a ``Retry-After`` header (RFC 9110, 10.2.3: seconds or a date); None: none, or not valid.

    Fractions of a second are no part of the RFC, and sent all the same.
    """
    if not value:
        return None
    if _SECONDS.fullmatch(value):
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time())
    except (ValueError, TypeError, OverflowError):
        return None
