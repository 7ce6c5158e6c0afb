"""Real reference servers in processes of their own, and independent clients for them."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

DEADLINE_S = 10.0
SOCKET_IO = "/socket.io/?EIO=4&transport=websocket"


def eventually(ask: Callable[[], Any], deadline_s: float = DEADLINE_S) -> Any:
    """The first true answer of ``ask``; fails the test after the deadline."""
    ends = time.monotonic() + deadline_s
    while not (answer := ask()):
        assert time.monotonic() < ends, "it did not become true in time"
        time.sleep(0.005)
    return answer


class Talk:
    """A client on websockets' sans-I/O core, in the calling thread: gevent, which other tests load, has no part."""

    def __init__(self, url: str, max_size: int | None = 2**25) -> None:
        uri = parse_uri(url)
        self._protocol = ClientProtocol(uri, max_size=max_size)
        self._parts: list[bytes] = []
        self._is_text = True
        self._messages: deque[str | bytes] = deque()
        self.response: Response | None = None
        self.pongs = 0
        self._socket = socket.create_connection((uri.host, uri.port), timeout=DEADLINE_S)
        try:
            request = self._protocol.connect()
            self._protocol.send_request(request)
            self._flush()
            while self._protocol.state is State.CONNECTING and self._protocol.handshake_exc is None:
                self._pump(time.monotonic() + DEADLINE_S)
            if self._protocol.handshake_exc is not None:
                raise self._protocol.handshake_exc
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def close_code(self) -> int | None:
        """The code of the close frame that came; 1006: none did."""
        return self._protocol.close_code

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            try:
                if data:
                    self._socket.sendall(data)
                else:
                    self._socket.shutdown(socket.SHUT_WR)
            except OSError:
                return  # what was received before says why

    def _pump(self, ends: float) -> None:
        """Take what the socket has; TimeoutError at the monotonic time ``ends``."""
        self._socket.settimeout(max(0.001, ends - time.monotonic()))
        try:
            data = self._socket.recv(1 << 20)
        except TimeoutError:
            raise
        except OSError:
            data = b""
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self.response = event
            elif isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                if event.opcode is not Opcode.CONT:
                    self._is_text = event.opcode is Opcode.TEXT
                self._parts.append(bytes(event.data))
                if event.fin:
                    whole = b"".join(self._parts)
                    self._parts.clear()
                    self._messages.append(whole.decode() if self._is_text else whole)
            elif isinstance(event, Frame) and event.opcode is Opcode.PONG:
                self.pongs += 1
        self._flush()

    def recv(self, timeout: float = DEADLINE_S) -> str | bytes:
        """The next message; TimeoutError, or websockets' ConnectionClosed."""
        ends = time.monotonic() + timeout
        while not self._messages:
            if self._protocol.state is State.CLOSED or self._protocol.eof_sent:
                raise self._protocol.close_exc
            self._pump(ends)
        return self._messages.popleft()

    def ping(self) -> None:
        """Send a ping and await its pong."""
        pongs = self.pongs
        self._protocol.send_ping(b"")
        self._flush()
        while self.pongs == pongs:
            self._pump(time.monotonic() + DEADLINE_S)

    def send(self, message: Any) -> None:
        if isinstance(message, bytes):
            self._protocol.send_binary(message)
        else:
            text = message if isinstance(message, str) else json.dumps(message)
            self._protocol.send_text(text.encode())
        self._flush()

    def send_invalid_text(self, data: bytes) -> None:
        self._protocol.send_text(data)
        self._flush()

    def close(self) -> None:
        """A closing handshake in order, up to the end of the TCP connection."""
        try:
            if self._protocol.state is State.OPEN:
                self._protocol.send_close(1000)
                self._flush()
            while self._protocol.state is not State.CLOSED:
                self._pump(time.monotonic() + DEADLINE_S)
        finally:
            self._socket.close()

    def receive(self, timeout: float = DEADLINE_S) -> Any:
        return json.loads(self.recv(timeout))

    def text(self, timeout: float = DEADLINE_S) -> str:
        received = self.recv(timeout)
        assert isinstance(received, str)
        return received

    def ask(self, message: Any) -> Any:
        self.send(message)
        return self.receive()

    def event(self, *names: str) -> list[Any]:
        """The next Socket.IO event, or the next one of these names."""
        while True:
            text = self.text()
            if text.startswith("42["):
                event: list[Any] = json.loads(text[2:])
                if not names or event[0] in names:
                    return event


class Server:
    """One server process."""

    def __init__(self, *flags: str, **popen: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "locust_ext.refserver", *flags],
            stdin=popen.pop("stdin", subprocess.PIPE),
            stdout=subprocess.PIPE,
            text=True,
            **popen,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("READY http://127.0.0.1:"), line
        self.url = line.split()[1]
        self.ws_url = self.url.replace("http://", "ws://")
        self.port = int(self.url.rsplit(":", 1)[1])
        self.http = requests.Session()

    def get(self, path: str, **more: Any) -> requests.Response:
        return self.http.get(self.url + path, timeout=DEADLINE_S, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> requests.Response:
        return self.http.post(self.url + path, json=body, timeout=DEADLINE_S, **more)

    def put_faults(self, **faults: Any) -> requests.Response:
        return self.http.put(self.url + "/faults", json=faults, timeout=DEADLINE_S)

    def counters(self) -> Any:
        return self.get("/counters").json()

    def reset(self) -> None:
        self.put_faults()
        eventually(lambda: self.counters()["open_connections"] == 0)
        self.http.delete(self.url + "/counters", timeout=DEADLINE_S)

    def connect(self, path: str) -> Talk:
        return Talk(self.ws_url + path)

    @contextmanager
    def agent(self, client_id: str = "one") -> Iterator[Talk]:
        """A connection of the agent channel that has read its greeting."""
        with self.connect(f"/api/v1/ws/{client_id}") as talk:
            assert talk.receive()["type"] == "connection_established"
            yield talk

    @contextmanager
    def live(self) -> Iterator[Talk]:
        """A Socket.IO client that is confirmed; ``client_stats`` of later clients may still arrive."""
        with self.connect(SOCKET_IO) as talk:
            assert talk.text().startswith("0{")
            talk.send("40")
            while not talk.text().startswith("40{"):
                pass
            yield talk

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        self.http.close()
        return self.process.wait(DEADLINE_S)


@pytest.fixture(scope="session")
def _shared() -> Iterator[Server]:
    running = Server()
    yield running
    running.stop()


@pytest.fixture
def server(_shared: Server) -> Server:
    """An open server without faults, whose counters are at zero; its context is shared by all tests."""
    _shared.reset()
    return _shared


@pytest.fixture
def start() -> Iterator[Callable[..., Server]]:
    """Starts servers with flags of their own."""
    running: list[Server] = []

    def run(*flags: str, **popen: Any) -> Server:
        running.append(Server(*flags, **popen))
        return running[-1]

    yield run
    for each in running:
        each.stop()
