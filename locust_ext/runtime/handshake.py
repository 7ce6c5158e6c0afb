"""Opens a connection: DNS, TCP, a proxy's tunnel, TLS and the upgrade, all under one deadline.

The upgrade is written by hand: websocket-client, which did it before, costs 2.5 times as much (it asks for single bytes,
129 calls a handshake; over a buffered socket still 1.5 times as much), its cookie jar is one for the process, and it
reads error bodies. What came behind the answer is kept here: it is the beginning of the stream of frames.
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
from typing import Any

from gevent.monkey import get_original

from locust_ext.core.protocols.deflate import DeflateOffer, PerMessageDeflate, ProtocolViolation
from locust_ext.errors import ConnectFailed
from locust_ext.runtime.address import Endpoint, resolve
from locust_ext.runtime.answer import HandshakeSocket, left_s, refusal, retry_after_s, status_of
from locust_ext.runtime.process import ProcessShared
from locust_ext.runtime.proxy import NAMES_RESOLVED_BY_PROXY, Proxy, open_socks
from locust_ext.runtime.tls import TlsLayer
from locust_ext.runtime.waiting import WaitingSocket

PlainSocket: Any = get_original("socket", "socket")
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

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    subprotocols: tuple[str, ...] = field(default=(), repr=False)
    origin: str | None = None
    cookie: str | None = field(default=None, repr=False)
    verify_tls: bool = True
    tls_context: ssl.SSLContext | None = None
    """None: the process's own, verifying or not."""
    source_address: str | None = None
    deflate: DeflateOffer | None = None
    proxy: Proxy | None = None


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


def open_websocket(target: Endpoint, options: HandshakeOptions, deadline_s: float, shared: ProcessShared) -> Opened:
    """Open ``target`` by monotonic ``deadline_s``, in the calling greenlet.

    Raises `ConnectFailed` with its error class; leaves no descriptor behind, also if the greenlet is killed.
    """
    sock = None
    try:
        early_bytes = b""
        if options.proxy is None:
            sock = _connect(target.hostname, target.port, options, deadline_s, shared)
        else:
            sock = _connect_to_proxy(options.proxy, options, deadline_s, shared)
            early_bytes = _open_tunnel(sock, options.proxy, target, deadline_s)
        if not target.is_secure:
            return _upgrade(sock, None, target, options, deadline_s, early_bytes)
        tls = _start_tls(sock, target, options, deadline_s, shared, early_bytes)
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
    if isinstance(error, TimeoutError):
        return ConnectFailed("connect_timeout")
    return ConnectFailed(error_class_of(error)) if isinstance(error, OSError) else None


def _connect(
    hostname: str, port: int, options: HandshakeOptions, deadline_s: float, shared: ProcessShared
) -> WaitingSocket:
    failure: OSError | None = None
    for family, kind, protocol, address in list(resolve(hostname, port, deadline_s)):
        # Python's own class, not gevent's: its reads and writes are C, and it keeps no watchers of its own.
        plain = PlainSocket(family, kind, protocol)
        try:
            sock = WaitingSocket(plain, shared)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if options.source_address is not None:
                plain.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
                plain.bind((options.source_address, 0))
            sock.settimeout(left_s(deadline_s))
            sock.connect(address)
            return sock
        except TimeoutError:
            plain.close()
            raise
        except OSError as error:
            plain.close()
            failure = error
        except BaseException:
            plain.close()
            raise
    assert failure is not None
    raise failure


_OF_PROXY = {
    "refused": "the proxy refused the TCP connection",
    "dns": "the proxy's host name could not be resolved",
}


def _connect_to_proxy(
    proxy: Proxy, options: HandshakeOptions, deadline_s: float, shared: ProcessShared
) -> WaitingSocket:
    try:
        return _connect(proxy.hostname, proxy.port, options, deadline_s, shared)
    except (ConnectFailed, OSError) as error:
        failure = _as_failure(error)
        if failure is None or failure.error_class not in _OF_PROXY:
            raise
        raise ConnectFailed(failure.error_class, _OF_PROXY[failure.error_class]) from error


def _open_tunnel(sock: Any, proxy: Proxy, target: Endpoint, deadline_s: float) -> bytes:
    """Have the proxy connect to ``target``; gives what came behind its answer."""
    if proxy.scheme != "http":
        hostname = target.hostname
        if proxy.scheme not in NAMES_RESOLVED_BY_PROXY:
            hostname = _address_of(target, deadline_s, is_ipv4=proxy.scheme == "socks4")
        open_socks(sock, proxy, hostname, target.port, deadline_s)
        return b""
    stream = HandshakeSocket(sock, None, deadline_s)
    stream.send(proxy.connect_request(target))
    stream.read_head()
    status = status_of(stream)
    if status is None or not 200 <= status < 300:
        failure = refusal(stream)
        detail = f"the proxy answered with HTTP status {status}" if status else "the proxy's answer was not HTTP"
        raise ConnectFailed(failure.error_class, detail, retry_after_s=failure.retry_after_s)
    return stream.take_rest()


def _address_of(target: Endpoint, deadline_s: float, *, is_ipv4: bool) -> str:
    for family, _, _, address in resolve(target.hostname, target.port, deadline_s):
        if family == socket.AF_INET or not is_ipv4:
            return str(address[0])
    raise ConnectFailed("dns")


def _start_tls(
    sock: Any,
    target: Endpoint,
    options: HandshakeOptions,
    deadline_s: float,
    shared: ProcessShared,
    early_bytes: bytes,
) -> TlsLayer:
    tls = TlsLayer(options.tls_context or shared.tls_context(options.verify_tls), target.hostname)
    if early_bytes:
        tls.feed(early_bytes)
    while not tls.handshake():
        sock.settimeout(left_s(deadline_s))
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
    sock: Any,
    tls: TlsLayer | None,
    target: Endpoint,
    options: HandshakeOptions,
    deadline_s: float,
    early_bytes: bytes = b"",
) -> Opened:
    key = base64.b64encode(os.urandom(16)).decode()
    stream = HandshakeSocket(sock, tls, deadline_s, early_bytes)
    stream.send(_request(target, options, key))
    stream.read_head()
    if status_of(stream) != 101 or not _is_upgraded(stream.headers):
        raise refusal(stream)
    expected = base64.b64encode(hashlib.sha1(key.encode() + ACCEPT_GUID).digest()).decode()
    subprotocol = stream.headers.get("sec-websocket-protocol")
    if stream.headers.get("sec-websocket-accept") != expected:
        raise ConnectFailed("bad_handshake")
    if (subprotocol is not None or options.subprotocols) and subprotocol not in options.subprotocols:
        raise ConnectFailed("bad_handshake")
    deflate = _negotiated(stream.headers.get("sec-websocket-extensions"), options.deflate)
    return Opened(sock.plain, tls, stream.take_rest(), subprotocol, deflate, tuple(stream.set_cookies))


def _request(target: Endpoint, options: HandshakeOptions, key: str) -> bytes:
    """The upgrade request (RFC 6455, section 4.1)."""
    hostname = f"[{target.hostname}]" if ":" in target.hostname else target.hostname
    lines = [
        f"GET {target.resource} HTTP/1.1",
        f"Host: {hostname}" if target.port in (80, 443) else f"Host: {hostname}:{target.port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
    ]
    if options.origin is not None:
        lines.append(f"Origin: {options.origin}")
    if options.subprotocols:
        lines.append(f"Sec-WebSocket-Protocol: {', '.join(options.subprotocols)}")
    if options.deflate is not None:
        lines.append(f"Sec-WebSocket-Extensions: {options.deflate.header_value()}")
    lines += [f"{name}: {value}" for name, value in options.headers.items() if value is not None]
    if options.cookie:
        lines.append(f"Cookie: {options.cookie}")
    return "\r\n".join([*lines, "", ""]).encode()


def _is_upgraded(headers: Mapping[str, str]) -> bool:
    """Whether a 101 means a WebSocket (RFC 6455, section 4.1); both headers are lists of words in any case."""
    return "websocket" in _words(headers.get("upgrade", "")) and "upgrade" in _words(headers.get("connection", ""))


def _words(value: str) -> list[str]:
    return [word.strip() for word in value.lower().split(",")]


def _negotiated(answer: str | None, offer: DeflateOffer | None) -> PerMessageDeflate | None:
    if not answer:
        return None
    if offer is None:
        raise ConnectFailed("bad_handshake")
    try:
        return offer.accept(answer)
    except ProtocolViolation as error:
        raise ConnectFailed("bad_handshake") from error


__all__ = ["HandshakeOptions", "Opened", "error_class_of", "open_websocket", "retry_after_s"]
