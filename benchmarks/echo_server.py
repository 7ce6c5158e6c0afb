"""The peer of the benchmarks: a compiled WebSocket server (picows) that answers, in a process of its own.

Run: ``python -m benchmarks.echo_server [--woken]``. It says its ports on its first line of output, as JSON, and ends when its
standard input does. One port is WebSocket, by path:

* ``/echo``: every message comes back.
* ``/pushes``: 100 times a second one text message of 200 bytes JSON to each connection, together for all of them.
* ``/flood``: such messages as fast as they are read.
* ``/socket.io/``: as much of Engine.IO 4 and Socket.IO 5 as a client needs: each event that asks for an ack gets its
  arguments back.

The other is HTTP: ``GET /ctx`` gives what a context server gives. This is no parser for the open world.
"""

from __future__ import annotations

import asyncio
import json
import selectors
import sys
import time
from typing import Any

from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

PUSH_INTERVAL_S = 0.01
FLOOD_INTERVAL_S = 0.001
FLOOD_MESSAGES = 20
PUSH_BYTES = 200
HANDSHAKE = b'0{"sid":"bench","upgrades":[],"pingInterval":3600000,"pingTimeout":3600000,"maxPayload":1000000}'
CONTEXT = json.dumps(
    {
        "key": "bench",
        "value": {"count": 17, "words": ["one", "two"]},
        "timestamp": "2026-01-01T00:00:00",
        "status": "success",
    }
).encode()
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(CONTEXT),
    CONTEXT,
)

POLL_INTERVAL_S = 0.0005

_listening: set[WSTransport] = set()
_flooded: set[WSTransport] = set()


class Polling(selectors.EpollSelector):
    """Looks for work at an interval, instead of being woken by it.

    On one machine the sender of a packet pays for waking its receiver (on a virtual one: an exit to the hypervisor, of
    tens of microseconds), which between two machines it does not. Clients are compared without that; ``--woken`` is the
    other way.
    """

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout > 0:
            time.sleep(POLL_INTERVAL_S if timeout is None else min(timeout, POLL_INTERVAL_S))
        return super().select(0)


class Closing(WSListener):  # type: ignore[misc]  # picows is compiled, its classes arrive as Any
    """Answers a close frame, as a server does."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """In the loop, for each frame."""
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        else:
            self.on_message(transport, frame)

    def on_message(self, transport: WSTransport, frame: WSFrame) -> None:
        """A data frame."""


class Echo(Closing):
    def on_message(self, transport: WSTransport, frame: WSFrame) -> None:
        transport.send(frame.msg_type, frame.get_payload_as_memoryview())


class Pushes(Closing):
    def on_ws_connected(self, transport: WSTransport) -> None:
        _listening.add(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        _listening.discard(transport)


class Flood(Closing):
    def on_ws_connected(self, transport: WSTransport) -> None:
        _flooded.add(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        _flooded.discard(transport)


class SocketIO(Closing):
    def on_ws_connected(self, transport: WSTransport) -> None:
        transport.send(WSMsgType.TEXT, HANDSHAKE)

    def on_message(self, transport: WSTransport, frame: WSFrame) -> None:
        packet = frame.get_payload_as_bytes()
        if packet[:2] == b"42":
            start = packet.index(b"[")
            if start > 2:  # an ack is asked for
                arguments = packet.index(b",", start) + 1
                transport.send(WSMsgType.TEXT, b"43" + packet[2:start] + b"[" + packet[arguments:])
        elif packet[:2] == b"40":
            transport.send(WSMsgType.TEXT, b'40{"sid":"bench"}')
        elif packet[:1] == b"2":
            transport.send(WSMsgType.TEXT, b"3" + packet[1:])


class Http(asyncio.Protocol):
    """Answers each request without a body; keep-alive."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        *requests, self.buffer = self.buffer.split(b"\r\n\r\n")
        if requests:
            self.transport.write(RESPONSE * len(requests))


def listener_of(request: WSUpgradeRequest) -> WSListener:
    """The listener that the path asks for."""
    path = request.path.split(b"?")[0]
    return LISTENERS.get(path, Echo)()


LISTENERS: dict[bytes, type[Closing]] = {b"/socket.io/": SocketIO, b"/pushes": Pushes, b"/flood": Flood}


def push_message(number: int) -> bytes:
    """200 bytes of JSON."""
    start, end = b'{"type":"update","data":{"number":%d,"text":"' % number, b'"}}'
    return start + b"x" * (PUSH_BYTES - len(start) - len(end)) + end


async def push() -> None:
    """Send to all that listen, at a steady pace."""
    loop = asyncio.get_running_loop()
    number = 0
    due_s = loop.time()
    while True:
        due_s = max(due_s + PUSH_INTERVAL_S, loop.time())
        await asyncio.sleep(due_s - loop.time())
        number += 1
        message = push_message(number)
        for transport in _listening:
            if not transport.underlying_transport.get_write_buffer_size():  # one that sleeps is not filled up
                transport.send(WSMsgType.TEXT, message)


async def flood() -> None:
    """Send to all whose earlier messages are read, or in the kernel's buffers."""
    payload = push_message(0)
    frames = (b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload) * FLOOD_MESSAGES
    while True:
        await asyncio.sleep(FLOOD_INTERVAL_S)
        for transport in _flooded:
            if not transport.underlying_transport.get_write_buffer_size():
                transport.underlying_transport.write(frames)


async def serve() -> None:
    """Until standard input ends."""
    loop = asyncio.get_running_loop()
    websocket = await ws_create_server(listener_of, "127.0.0.1", 0, backlog=4096, enable_auto_pong=True)
    http = await loop.create_server(Http, "127.0.0.1", 0, backlog=4096)
    ports = {name: each.sockets[0].getsockname()[1] for name, each in (("websocket", websocket), ("http", http))}
    print(json.dumps(ports), flush=True)
    tasks = [asyncio.create_task(each()) for each in (push, flood)]
    await loop.run_in_executor(None, sys.stdin.read)
    for each in tasks:
        each.cancel()


if __name__ == "__main__":
    with asyncio.Runner(
        loop_factory=lambda: asyncio.SelectorEventLoop(None if "--woken" in sys.argv else Polling())
    ) as runner:
        runner.run(serve())
