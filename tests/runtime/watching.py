"""What the monitor's tests watch: processes that do as they are told, and an endpoint that answers as it is told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import gevent.server
import psutil
from gevent.pool import Pool

CHILD = """
import json, os, socket, subprocess, sys, threading, time
kept, children = [], []
for line in sys.stdin:
    word, *more = json.loads(line)
    answer = None
    if word == "burn":
        until_s = time.process_time() + more[0]
        while time.process_time() < until_s:
            pass
    elif word == "allocate":
        kept.append(bytearray(os.urandom(1) * more[0]))
    elif word == "open":
        kept.extend(open(os.devnull) for _ in range(more[0]))
    elif word == "threads":
        for _ in range(more[0]):
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    elif word == "listen":
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", more[0]))
        sock.listen()
        kept.append(sock)
        answer = sock.getsockname()[1]
    elif word == "unlisten":
        for each in [each for each in kept if isinstance(each, socket.socket)]:
            each.close()
            kept.remove(each)
    elif word == "fork":  # a child that burns CPU, if it is told how much, and then sleeps
        pid = os.fork()
        if not pid:
            until_s = time.process_time() + more[0]
            while time.process_time() < until_s:
                pass
            time.sleep(more[1])
            os._exit(0)
        answer = pid
    elif word == "reap":
        os.waitpid(more[0], 0)
    print(json.dumps(answer), flush=True)
"""


class Obedient:
    """A process that does what it is asked, and ends with the block."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.pid = process.pid

    def ask(self, *words: object) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@contextmanager
def obedient(**more: Any) -> Iterator[Obedient]:
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **more
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        asked = Obedient(process)
        asked.ask("burn", 0)  # it has begun
        yield asked
    finally:
        family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        for each in family:
            each.kill()
        process.kill()
        process.wait(10)
        process.stdin.close()
        process.stdout.close()


Answer = Callable[[Any, bytes], object]


@contextmanager
def answering(answer: Answer, **options: Any) -> Iterator[tuple[int, list[bytes]]]:
    """An endpoint for which ``answer(sock, head)`` says what is sent; its port, and the heads of the requests so far."""
    heads: list[bytes] = []

    def serve(sock: Any, _: object) -> None:
        head = b""
        try:
            while b"\r\n\r\n" not in head:
                data = sock.recv(65536)
                if not data:
                    return
                head += data
            heads.append(head)
            answer(sock, head)
        except OSError:
            return
        finally:
            sock.close()

    server = gevent.server.StreamServer(("127.0.0.1", 0), serve, spawn=Pool(), **options)
    server.start()
    try:
        yield server.server_port, heads
    finally:
        server.stop(0.1)


def http(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def sending(*parts: bytes, pause_s: float = 0.0) -> Answer:
    def answer(sock: Any, _: bytes) -> None:
        for part in parts:
            sock.sendall(part)
            gevent.sleep(pause_s)

    return answer
