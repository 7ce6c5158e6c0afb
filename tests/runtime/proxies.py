"""Small proxies: HTTP CONNECT (and forwarding of absolute requests), and SOCKS 4, 4a and 5. They note what they were asked."""

from __future__ import annotations

import base64
import socket
import struct
from typing import Any

import gevent


class _Proxy:
    scheme = ""

    def __init__(self, *, user: str = "", answer: bytes = b"", leads_to: int | None = None) -> None:
        self.user = user
        """``name:password`` that it wants; empty: nothing."""
        self.answer = answer
        """What it says instead of doing anything; ``b"silence"``: nothing, for ever."""
        self.leads_to = leads_to
        """A port of 127.0.0.1 that every tunnel ends at, whatever was asked for."""
        self.asked: list[tuple[str, int]] = []
        self.tunnels = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._greenlets = [gevent.spawn(self._accept)]
        self._socks: list[Any] = []

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.user + '@' if self.user else ''}127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._socks.append(sock)
            self._greenlets.append(gevent.spawn(self._serve, sock))

    def _serve(self, sock: Any) -> None:
        try:
            self.talk(sock)
        except OSError:
            pass
        finally:
            sock.close()

    def talk(self, sock: Any) -> None:
        raise NotImplementedError

    def connect(self, host: str, port: int) -> Any:
        self.asked.append((host, port))
        target = socket.create_connection(("127.0.0.1" if self.leads_to else host, self.leads_to or port), 5)
        self._socks.append(target)
        self.tunnels += 1
        return target

    def join(self, one: Any, other: Any) -> None:
        def pump(source: Any, sink: Any) -> None:
            try:
                while data := source.recv(65536):
                    sink.sendall(data)
                sink.shutdown(socket.SHUT_WR)
            except OSError:
                pass

        gevent.joinall([gevent.spawn(pump, one, other), gevent.spawn(pump, other, one)])
        other.close()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        gevent.killall(self._greenlets)
        for sock in self._socks:
            sock.close()


def read_exactly(sock: Any, size: int) -> bytes:
    data = b""
    while len(data) < size:
        if not (more := sock.recv(size - len(data))):
            raise OSError("the client went")
        data += more
    return data


class ConnectProxy(_Proxy):
    """``CONNECT host:port``; ``behind`` is sent in the same packet as the answer to it."""

    scheme = "http"

    def __init__(self, *, behind: bytes = b"", **more: Any) -> None:
        super().__init__(**more)
        self.behind = behind
        self.heads: list[str] = []

    def talk(self, sock: Any) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += read_exactly(sock, 1)
        self.heads.append(head.decode())
        if self.answer:
            if self.answer == b"silence":
                gevent.sleep(3600)
            sock.sendall(self.answer)
            return
        credentials = base64.b64encode(self.user.encode()).decode()
        if self.user and f"Proxy-Authorization: Basic {credentials}\r\n" not in self.heads[-1]:
            sock.sendall(
                b"HTTP/1.1 407 secret-reason\r\nProxy-Authenticate: Basic realm=secret-realm\r\n\r\nsecret-body"
            )
            return
        method, where, _ = self.heads[-1].split(" ", 2)
        if method != "CONNECT":  # a plain request in absolute form
            host, _, port = where.split("/")[2].rpartition(":")
            target = self.connect(host, int(port))
            target.sendall(head)
        else:
            host, _, port = where.rpartition(":")
            target = self.connect(host.strip("[]"), int(port))
            sock.sendall(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n" + self.behind)
        self.join(sock, target)


class SocksProxy(_Proxy):
    """SOCKS 5 (RFC 1928, RFC 1929), 4 and 4a; ``refuses`` is the reply that it gives instead of a connection."""

    def __init__(self, scheme: str = "socks5", *, refuses: int = 0, **more: Any) -> None:
        super().__init__(**more)
        self.scheme = scheme
        self.refuses = refuses

    def talk(self, sock: Any) -> None:
        version = read_exactly(sock, 1)[0]
        if self.answer:
            if self.answer == b"silence":
                gevent.sleep(3600)
            sock.recv(4096)  # unread bytes would make the close a reset
            sock.sendall(self.answer)
        elif version == 5:
            self._talk_5(sock)
        else:
            self._talk_4(sock)

    def _talk_5(self, sock: Any) -> None:
        methods = read_exactly(sock, read_exactly(sock, 1)[0])
        if self.user:
            if 2 not in methods:
                sock.sendall(b"\x05\xff")
                return
            sock.sendall(b"\x05\x02")
            read_exactly(sock, 1)
            name = read_exactly(sock, read_exactly(sock, 1)[0])
            password = read_exactly(sock, read_exactly(sock, 1)[0])
            is_welcome = name + b":" + password == self.user.encode()
            sock.sendall(b"\x01\x00" if is_welcome else b"\x01\x01")
            if not is_welcome:
                return
        else:
            sock.sendall(b"\x05\x00")
        kind = read_exactly(sock, 4)[3]
        if kind == 3:
            host = read_exactly(sock, read_exactly(sock, 1)[0]).decode()
        else:
            family, size = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
            host = socket.inet_ntop(family, read_exactly(sock, size))
        (port,) = struct.unpack(">H", read_exactly(sock, 2))
        if self.refuses:
            sock.sendall(bytes((5, self.refuses, 0, 1)) + bytes(6))
            return
        target = self.connect(host, port)
        sock.sendall(b"\x05\x00\x00\x01" + bytes(6))
        self.join(sock, target)

    def _talk_4(self, sock: Any) -> None:
        _, port = struct.unpack(">BH", read_exactly(sock, 3))
        address = read_exactly(sock, 4)
        name = b""
        while (byte := read_exactly(sock, 1)) != b"\0":
            name += byte
        host = socket.inet_ntoa(address)
        if address[:3] == b"\0\0\0":
            host = ""
            while (byte := read_exactly(sock, 1)) != b"\0":
                host += byte.decode()
        if self.refuses or name.decode() != self.user.partition(":")[0]:
            sock.sendall(bytes((0, self.refuses or 0x5D)) + bytes(6))
            return
        target = self.connect(host, port)
        sock.sendall(b"\x00\x5a" + bytes(6))
        self.join(sock, target)
