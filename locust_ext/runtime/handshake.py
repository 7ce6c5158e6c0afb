"""Opens a connection: DNS, TCP, TLS and the upgrade, all under one deadline.

The upgrade itself is websocket-client's, over a socket of ours: it reads the answer in blocks but hands it out line by
line (websocket-client asks for single bytes: 129 calls a handshake), keeps what came behind the answer, gives each user
its own cookies (websocket-client's jar is one for the process), and lets no error body be read.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from time import monotonic, time
from typing import Any

import gevent.socket
from gevent.monkey import get_original
from websocket import WebSocket, WebSocketException, WebSocketTimeoutException

from locust_ext.core.protocols.deflate import DeflateOffer, PerMessageDeflate, ProtocolViolation
from locust_ext.errors import ConnectFailed
from locust_ext.runtime.address import Endpoint, resolve
from locust_ext.runtime.process import ProcessShared
from locust_ext.runtime.tls import TlsLayer

PlainSocket: Any = get_original("socket", "socket")
MAX_HEADER_BYTES = 64 * 1024
ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h: the port is chosen at connect, so that a port may serve several targets

_ERRNO_CLASSES = {
    errno.ECONNREFUSED: "refused",
    errno.ENETUNREACH: "refused",
    errno.EHOSTUNREACH: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ECONNABORTED: "reset",
    errno.ETIMEDOUT: "connect_timeout",
    errno.EADDRNOTAVAIL: "no_ports",
    errno.EADDRINUSE: "no_ports",
    errno.EMFILE: "fd_limit",
    errno.ENFILE: "fd_limit",
}


_ADVICE = {
    "no_ports": "no local port is left for connections to this target (about 28,000 a source address): give more source"
    " addresses with --ext-source-addresses, widen net.ipv4.ip_local_port_range, or use more machines",
    "fd_limit": "no file descriptor is left, and each connection needs one: raise the limit with ulimit -n, or use more"
    " workers",
}


def error_class_of(error: OSError) -> str:
    """The closed vocabulary's word for an error of the socket layer."""
    if isinstance(error, ssl.SSLError):
        return "tls"
    return _ERRNO_CLASSES.get(error.errno or 0, "reset")


@dataclass(frozen=True, slots=True)
class HandshakeOptions:
    """What the upgrade request carries beside the URL. Values may be secrets: they are never shown."""

    headers: Mapping[str, str] = field(default_factory=dict)
    subprotocols: tuple[str, ...] = ()
    origin: str | None = None
    cookie: str | None = None
    verify_tls: bool = True
    source_address: str | None = None
    deflate: DeflateOffer | None = None


@dataclass(slots=True)
class Opened:
    """An upgraded connection, ready to be read and written without a greenlet."""

    sock: socket.socket
    tls: TlsLayer | None
    early_bytes: bytes
    """What the server sent right behind its answer: the beginning of the stream of frames."""
    subprotocol: str | None
    deflate: PerMessageDeflate | None
    set_cookies: tuple[str, ...]


class HandshakeSocket:
    """The connected object that websocket-client talks to while the upgrade goes on."""

    __slots__ = (
        "_buffer",
        "_line_end_pending",
        "_received",
        "_sock",
        "_tls",
        "deadline_s",
        "headers",
        "is_done",
        "set_cookies",
        "status",
    )

    def __init__(self, sock: Any, tls: TlsLayer | None, deadline_s: float) -> None:
        self._sock = sock
        self._tls = tls
        self._buffer = b""
        self._line_end_pending = False
        self._received = 0
        self.deadline_s = deadline_s
        self.status = ""
        self.headers: dict[str, str] = {}
        self.set_cookies: list[str] = []
        self.is_done = False

    def gettimeout(self) -> float:
        return 0.0  # websocket-client then makes exactly one call for each read and write; ours wait themselves

    def settimeout(self, timeout: float | None) -> None:
        pass

    def close(self) -> None:
        pass  # whoever made this object closes what is below it

    def send(self, data: bytes) -> int:
        self._sock.settimeout(_left(self.deadline_s))
        self._sock.sendall(data if self._tls is None else self._tls.encrypt(data))
        return len(data)

    def recv(self, size: int) -> bytes:
        """A whole header line without its line end, then the line end: what `recv_line` joins again."""
        if self._line_end_pending:
            self._line_end_pending = False
            return b"\n"
        while True:
            end = self._buffer.find(b"\n")
            if end < 0:
                self._buffer += self._receive()
                continue
            line, self._buffer = self._buffer[:end], self._buffer[end + 1 :]
            if self._wants(line.strip()):
                if not line.strip():
                    self.is_done = True
                if not line:
                    return b"\n"
                self._line_end_pending = True
                return line

    def _receive(self) -> bytes:
        self._sock.settimeout(_left(self.deadline_s))
        data: bytes = self._sock.recv(16384)
        if not data:
            raise ConnectFailed("bad_handshake" if self.status or self._buffer else "reset")
        self._received += len(data)
        if self._received > MAX_HEADER_BYTES:
            raise ConnectFailed("bad_handshake")
        return data if self._tls is None else self._tls.decrypt(data)

    def _wants(self, line: bytes) -> bool:
        """Note the line; False: websocket-client must not see it."""
        if not self.status:
            self.status = line.decode("latin-1")
            return True
        name, _, value = line.decode("latin-1").partition(":")
        name = name.strip().lower()
        if not name:
            return True
        self.headers[name] = f"{self.headers[name]}, {value.strip()}" if name in self.headers else value.strip()
        if name == "set-cookie":
            self.set_cookies.append(value.strip())
            return False
        return name not in ("content-length", "location")

    def take_rest(self) -> bytes:
        rest, self._buffer = self._buffer, b""
        return rest


def open_websocket(target: Endpoint, options: HandshakeOptions, deadline_s: float, shared: ProcessShared) -> Opened:
    """Open ``target`` by monotonic ``deadline_s``, in the calling greenlet.

    Raises `ConnectFailed` with its error class; leaves no descriptor behind, also if the greenlet is killed.
    """
    sock = None
    try:
        sock = _connect(target, options, deadline_s)
        tls = _start_tls(sock, target, options, deadline_s, shared) if target.is_secure else None
        return _upgrade(sock, tls, target, options, deadline_s)
    except BaseException as error:
        if sock is not None:
            sock.close()
        failure = _as_failure(error)
        if failure is None:
            raise
        if failure.error_class in _ADVICE:
            shared.warn_once(failure.error_class, _ADVICE[failure.error_class])
        if failure is error:
            raise
        raise failure from error


def _as_failure(error: BaseException) -> ConnectFailed | None:
    if isinstance(error, ConnectFailed):
        return error
    if isinstance(error, TimeoutError | WebSocketTimeoutException):
        return ConnectFailed("connect_timeout")
    return ConnectFailed(error_class_of(error)) if isinstance(error, OSError) else None


def _left(deadline_s: float) -> float:
    left_s = deadline_s - monotonic()
    if left_s <= 0:
        raise ConnectFailed("connect_timeout")
    return left_s


def _connect(target: Endpoint, options: HandshakeOptions, deadline_s: float) -> Any:
    failure: OSError | None = None
    for family, kind, protocol, address in list(resolve(target.hostname, target.port, deadline_s)):
        sock = gevent.socket.socket(family, kind, protocol)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if options.source_address is not None:
                sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
                sock.bind((options.source_address, 0))
            sock.settimeout(_left(deadline_s))
            sock.connect(address)
            return sock
        except TimeoutError:
            sock.close()
            raise
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
    assert failure is not None
    raise failure


def _start_tls(
    sock: Any, target: Endpoint, options: HandshakeOptions, deadline_s: float, shared: ProcessShared
) -> TlsLayer:
    tls = TlsLayer(shared.tls_context(options.verify_tls), target.hostname)
    while not tls.handshake():
        sock.settimeout(_left(deadline_s))
        if pending := tls.outgoing():
            sock.sendall(pending)
        data = sock.recv(16384)
        if not data:
            raise ConnectFailed("tls")
        tls.feed(data)
    if pending := tls.outgoing():
        sock.sendall(pending)
    return tls


def _upgrade(
    sock: Any, tls: TlsLayer | None, target: Endpoint, options: HandshakeOptions, deadline_s: float
) -> Opened:
    key = base64.b64encode(os.urandom(16)).decode()
    headers = {**options.headers, "Sec-WebSocket-Key": key}
    if options.deflate is not None:
        headers["Sec-WebSocket-Extensions"] = options.deflate.header_value()
    if options.subprotocols:  # not by its argument: websocket-client would log them, and some people's hold a token
        headers["Sec-WebSocket-Protocol"] = ", ".join(options.subprotocols)
    stream = HandshakeSocket(sock, tls, deadline_s)
    try:
        WebSocket().connect(
            target.url,
            socket=stream,
            header=headers,
            origin=options.origin,
            cookie=options.cookie,
            redirect_limit=0,
            suppress_origin=options.origin is None,
        )
    except (WebSocketException, ValueError, KeyError) as error:
        if isinstance(error, WebSocketTimeoutException):
            raise
        raise _refusal(stream) from error
    status = _status_of(stream)
    if status != 101:
        raise _refusal(stream)
    expected = base64.b64encode(hashlib.sha1(key.encode() + ACCEPT_GUID).digest()).decode()
    subprotocol = stream.headers.get("sec-websocket-protocol")
    if stream.headers.get("sec-websocket-accept") != expected:  # websocket-client ignores the case
        raise ConnectFailed("bad_handshake")
    if (subprotocol is not None or options.subprotocols) and subprotocol not in options.subprotocols:
        raise ConnectFailed("bad_handshake")
    # Python's own class, not gevent's: its reads and writes are C, and it keeps no watchers of its own.
    raw: socket.socket = PlainSocket(sock.family, sock.type, sock.proto, fileno=sock.detach())
    raw.setblocking(False)
    try:
        deflate = _negotiated(stream.headers.get("sec-websocket-extensions"), options.deflate)
    except ConnectFailed:
        raw.close()
        raise
    return Opened(raw, tls, stream.take_rest(), subprotocol, deflate, tuple(stream.set_cookies))


def _negotiated(answer: str | None, offer: DeflateOffer | None) -> PerMessageDeflate | None:
    if not answer:
        return None
    if offer is None:
        raise ConnectFailed("bad_handshake")
    try:
        return offer.accept(answer)
    except ProtocolViolation as error:
        raise ConnectFailed("bad_handshake") from error


def _status_of(stream: HandshakeSocket) -> int | None:
    parts = stream.status.split(" ", 2)
    if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or not (len(parts[1]) == 3 and parts[1].isdigit()):
        return None
    return int(parts[1])


def _refusal(stream: HandshakeSocket) -> ConnectFailed:
    status = _status_of(stream)
    if status is None or status == 101:
        return ConnectFailed("bad_handshake")
    return ConnectFailed(f"http_{status}", retry_after_s=retry_after_s(stream.headers.get("retry-after")))


def retry_after_s(value: str | None) -> float | None:
    """Seconds from now of a ``Retry-After`` header (RFC 9110, section 10.2.3: seconds or a date); None: none, or not valid."""
    if not value:
        return None
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time())
    except (ValueError, TypeError, OverflowError):
        return None


__all__ = ["HandshakeOptions", "Opened", "error_class_of", "open_websocket", "retry_after_s"]
