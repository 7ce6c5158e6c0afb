"""`Peer`: a scripted TCP server. It runs a list of steps for each connection, and records what it got, and when.

A step is a function of a `PeerConnection`; the functions below make them. Frames that are sent are built by hand
(`websocket_frames`) and frames that come are decoded by ``wsproto``: nothing here uses the codec under test. Sockets
are real ones on a free port of 127.0.0.1; under Locust's monkey patching each connection is a greenlet.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from types import TracebackType
from typing import Any

import gevent
import gevent.event
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.utilities import RemoteProtocolError

from tests.core.protocols.websocket_frames import BINARY, CLOSE, PING, PONG, TEXT, frame

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
WAIT_S = 5.0
"""The longest that a step or a test waits for something that has to come."""

Step = Callable[["PeerConnection"], object]


def eventually(condition: Callable[[], Any], within_s: float = WAIT_S, what: str = "") -> Any:
    """What ``condition()`` gives as soon as it is true; fails the test if it is not within ``within_s`` seconds."""
    until_s = monotonic() + within_s
    while not (found := condition()):
        assert monotonic() < until_s, f"not within {within_s} s: {what or condition}"
        gevent.sleep(0.002)
    return found


@dataclass
class Got:
    """One frame or message from the client."""

    kind: str
    """``text``, ``binary``, ``ping``, ``pong`` or ``close``."""
    data: Any
    at_s: float

    @property
    def json(self) -> Any:
        return json.loads(self.data)


@dataclass
class PeerConnection:
    """One accepted connection, as the peer sees it."""

    sock: Any
    number: int
    accepted_s: float = field(default_factory=monotonic)
    head: bytes = b""
    """The upgrade request as it came."""
    raw_bytes: int = 0
    """How many bytes came behind the upgrade request."""
    got: list[Got] = field(default_factory=list)
    protocol_error: str | None = None
    """What wsproto had against the client's bytes; None: nothing."""
    ended: str | None = None
    """How the client ended TCP: ``fin`` or ``reset``; None: not yet."""
    ended_s: float = 0.0
    error: BaseException | None = None
    """What a step raised."""
    is_finished: bool = False
    """Whether all steps have run."""
    _reader: Any = None
    _codec: Connection = field(default_factory=lambda: Connection(ConnectionType.SERVER))
    _text: str = ""
    _binary: bytes = b""
    _change: gevent.event.Event = field(default_factory=gevent.event.Event)

    @property
    def headers(self) -> dict[str, str]:
        """Of the upgrade request, names in lower case."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}

    @property
    def request_line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode()

    def of_kind(self, *kinds: str) -> list[Got]:
        return [each for each in self.got if each.kind in kinds]

    @property
    def messages(self) -> list[Any]:
        """Text messages of the client, decoded as JSON."""
        return [each.json for each in self.of_kind("text")]

    @property
    def close_code(self) -> int | None:
        """Of the client's close frame; None: there was none."""
        closes = self.of_kind("close")
        return closes[0].data[0] if closes else None

    def read_on(self) -> None:
        """Read and decode from now on, in a greenlet."""
        if self._reader is None:
            self._reader = gevent.spawn(self._read)

    def _read(self) -> None:
        try:
            while data := self.sock.recv(65536):
                self.raw_bytes += len(data)
                self._decode(data)
                self._changed()
            self.ended = "fin"
        except OSError:
            self.ended = self.ended or "reset"
        except RemoteProtocolError as error:
            self.protocol_error = str(error)
        self.ended_s = monotonic()
        self._changed()

    def _decode(self, data: bytes) -> None:
        now_s = monotonic()
        self._codec.receive_data(data)
        for event in self._codec.events():
            if isinstance(event, TextMessage):
                self._text += event.data
                if event.message_finished:
                    self.got.append(Got("text", self._text, now_s))
                    self._text = ""
            elif isinstance(event, BytesMessage):
                self._binary += bytes(event.data)
                if event.message_finished:
                    self.got.append(Got("binary", self._binary, now_s))
                    self._binary = b""
            elif isinstance(event, Ping):
                self.got.append(Got("ping", bytes(event.payload), now_s))
            elif isinstance(event, Pong):
                self.got.append(Got("pong", bytes(event.payload), now_s))
            elif isinstance(event, CloseConnection):
                self.got.append(Got("close", (event.code, event.reason), now_s))

    def _changed(self) -> None:
        self._change.set()
        self._change.clear()

    def until(self, condition: Callable[[PeerConnection], Any], within_s: float = WAIT_S) -> Any:
        until_s = monotonic() + within_s
        while not (found := condition(self)):
            if monotonic() >= until_s:
                raise AssertionError("the client did not send what the script waits for")
            self._change.wait(0.05)
        return found

    def reset_now(self) -> None:
        """Close with an RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_now()

    def close_now(self) -> None:
        if self._reader is not None and self._reader is not gevent.getcurrent():
            self._reader.kill(block=False)
        self.sock.close()


class Peer:
    """``Peer(step, …)`` runs these steps for every connection; ``Peer([…], […])`` a list for each."""

    def __init__(
        self,
        *script: Any,
        tls: ssl.SSLContext | None = None,
        receive_buffer: int | None = None,
        port: int = 0,
        host: str = "127.0.0.1",
    ) -> None:
        scripts = [list(each) for each in script] if script and isinstance(script[0], list | tuple) else [list(script)]
        self.scripts: list[list[Step]] = scripts
        self.tls = tls
        self.connections: list[PeerConnection] = []
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if receive_buffer is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._listener.bind((host, port))
        self._listener.listen(1024)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}"
        self._greenlets = [gevent.spawn(self._accept)]

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = PeerConnection(sock, len(self.connections))
            self.connections.append(connection)
            self._greenlets.append(gevent.spawn(self._serve, connection))

    def _serve(self, connection: PeerConnection) -> None:
        script = self.scripts[min(connection.number, len(self.scripts) - 1)]
        try:
            if self.tls is not None:
                connection.sock = self.tls.wrap_socket(connection.sock, server_side=True, do_handshake_on_connect=False)
                connection.sock.do_handshake()
            for step in script:
                step(connection)
        except (OSError, AssertionError) as error:
            connection.error = error
        connection.is_finished = True

    @property
    def last(self) -> PeerConnection:
        return self.connections[-1]

    def connection(self, number: int = 0, within_s: float = WAIT_S) -> PeerConnection:
        """The connection ``number``, waited for."""
        eventually(lambda: len(self.connections) > number, within_s, f"connection {number}")
        return self.connections[number]

    def close(self) -> None:
        """Ends everything at once."""
        self._listener.close()
        gevent.killall(self._greenlets)
        for connection in self.connections:
            connection.close_now()

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


# ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def read_request() -> Step:
    """Read the head of the upgrade request, and not a byte more."""

    def step(peer: PeerConnection) -> None:
        head = b""
        peer.sock.settimeout(WAIT_S)
        while not head.endswith(b"\r\n\r\n"):
            byte = peer.sock.recv(1)
            if not byte:
                raise AssertionError("the client went before its upgrade request was whole")
            head += byte
        peer.sock.settimeout(None)
        peer.head = head

    return step


def accept_key(key: str) -> str:
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


def switching_protocols(peer: PeerConnection, *more: str, accept: str | None = None) -> bytes:
    """The 101 answer to what the peer has read."""
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept_key(peer.headers['sec-websocket-key']) if accept is None else accept}",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def upgrade(
    *more: str, accept: str | None = None, behind: bytes = b"", reads: bool = True, drip_s: float | None = None
) -> Step:
    """Answer the upgrade with 101 (``more``: header lines; ``behind``: bytes in the same write) and read on.

    ``drip_s``: the answer goes out byte by byte, so many seconds apart.
    """
    request = read_request()

    def step(peer: PeerConnection) -> None:
        request(peer)
        answer = switching_protocols(peer, *more, accept=accept) + behind
        if drip_s is None:
            peer.sock.sendall(answer)
        else:
            for byte in answer:
                peer.sock.sendall(bytes((byte,)))
                gevent.sleep(drip_s)
        if reads:
            peer.read_on()

    return step


def answer(status: str, *headers: str, body: bytes = b"") -> Step:
    """Answer the upgrade with another status line than 101, and close."""
    request = read_request()

    def step(peer: PeerConnection) -> None:
        request(peer)
        lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
        peer.sock.sendall("\r\n".join(lines).encode("latin-1") + body)
        peer.read_on()
        peer.until(lambda each: each.ended)
        peer.close_now()

    return step


def send(data: bytes | Callable[[PeerConnection], bytes]) -> Step:
    """Send these bytes; a function makes them of what the peer has got."""
    return lambda peer: peer.sock.sendall(data(peer) if callable(data) else data)


def drip(data: bytes, size: int = 1) -> Step:
    """Send these bytes in pieces of ``size``, each a packet of its own."""

    def step(peer: PeerConnection) -> None:
        for start in range(0, len(data), size):
            peer.sock.sendall(data[start : start + size])
            gevent.sleep(0.0002)

    return step


def wait_messages(count: int = 1, within_s: float = WAIT_S) -> Step:
    """Wait until so many messages have come, over the whole connection."""
    return lambda peer: peer.until(lambda each: len(each.of_kind("text", "binary")) >= count, within_s)


def wait_kind(kind: str, count: int = 1, within_s: float = WAIT_S) -> Step:
    return lambda peer: peer.until(lambda each: len(each.of_kind(kind)) >= count, within_s)


def wait_close(within_s: float = WAIT_S) -> Step:
    """Wait for the client's close frame, then answer with the same code and close TCP."""

    def step(peer: PeerConnection) -> None:
        peer.until(lambda each: each.close_code is not None, within_s)
        code = peer.close_code or 1000
        try:
            peer.sock.sendall(frame(CLOSE, b"" if code == 1005 else code.to_bytes(2, "big")))
            if not isinstance(peer.sock, ssl.SSLSocket):  # which then reads no TLS any more
                peer.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the client has gone already
        peer.until(lambda each: each.ended, within_s)
        peer.close_now()

    return step


def wait_end(within_s: float = WAIT_S) -> Step:
    """Wait until the client has ended TCP."""
    return lambda peer: peer.until(lambda each: each.ended, within_s)


def wait_for(event: gevent.event.Event, within_s: float = WAIT_S) -> Step:
    """Wait until the test says so."""

    def step(peer: PeerConnection) -> None:
        if not event.wait(within_s):
            raise AssertionError("the test did not say so")

    return step


def read_on() -> Step:
    return lambda peer: peer.read_on()


def stop_reading() -> Step:
    def step(peer: PeerConnection) -> None:
        if peer._reader is not None:
            peer._reader.kill()
            peer._reader = None

    return step


def wait(seconds: float) -> Step:
    return lambda peer: gevent.sleep(seconds)


def fin() -> Step:
    """Half-close: a FIN, and the client's bytes are read on."""
    return lambda peer: peer.sock.shutdown(socket.SHUT_WR)


def reset() -> Step:
    return lambda peer: peer.reset_now()


def close() -> Step:
    """Close TCP in both directions."""
    return lambda peer: peer.close_now()


def stall() -> Step:
    """Do nothing until the peer is closed."""
    return lambda peer: gevent.sleep(3600)


def echo(*, but: Callable[[Any], bytes | None] | None = None) -> Step:
    """Answer each JSON message with itself until the client closes, then close in order.

    ``but(message)`` may give other bytes to send (``b""``: nothing); None: the echo.
    """

    def step(peer: PeerConnection) -> None:
        done = 0
        while True:
            peer.until(lambda each, done=done: len(each.got) > done or each.ended, 3600)
            if len(peer.got) <= done:
                peer.close_now()
                return
            for each in peer.got[done:]:
                done += 1
                if each.kind == "text":
                    special = but(each.json) if but is not None else None
                    peer.sock.sendall(text(each.data) if special is None else special)
                elif each.kind == "binary":
                    peer.sock.sendall(frame(BINARY, each.data))
                elif each.kind == "ping":
                    peer.sock.sendall(frame(PONG, each.data))
                elif each.kind == "close":
                    wait_close()(peer)
                    return

    return step


# ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def text(message: Any) -> bytes:
    """A text frame; anything but str and bytes as JSON."""
    if not isinstance(message, str | bytes):
        message = json.dumps(message)
    return frame(TEXT, message.encode() if isinstance(message, str) else message)


def close_frame(code: int | None = 1000, reason: bytes = b"") -> bytes:
    return frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason)


def ping_frame(payload: bytes = b"") -> bytes:
    return frame(PING, payload)


# ── addresses without a working server ───────────────────────────────────────────────────────────────────────────────


def refused_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def full_backlog() -> Iterator[str]:
    """The address of a listener that accepts nobody, and whose queue is full: a SYN gets no answer."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = []
        for _ in range(4):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(address)
            waiting.append(sock)
        gevent.sleep(0.05)
        try:
            yield f"http://127.0.0.1:{address[1]}"
        finally:
            for sock in waiting:
                sock.close()
