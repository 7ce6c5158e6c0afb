"""One WebSocket connection as the server sees it, whatever it speaks: reading, writing, misbehaving, ending.

Writes go straight to the transport's buffer, which is the connection's bounded outbound queue: nobody ever waits for a
client that does not read, and one that leaves more than ``max_backlog_bytes`` of it unread is dropped. Everything here
runs in the event loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from aiohttp import WSMsgType, web
from aiohttp.abc import AbstractStreamWriter

from locust_ext.refserver.frames import close_frame
from locust_ext.refserver.lane import Lane
from locust_ext.refserver.linger import LingeringResponse, linger

if TYPE_CHECKING:
    from locust_ext.refserver.state import State

_CLOSE_DEADLINE_S: Final = 2.0
"""How long a closing handshake that we began may take."""
_DRAIN_ABOVE_BYTES: Final = 256 * 1024
"""A client that leaves more of its replies unread is not read from until it has caught up."""


class Connection:
    """An upgraded connection of ``channel``; ``forget()`` must follow when it has ended."""

    __slots__ = (
        "_closing",
        "_loop",
        "_state",
        "_writer",
        "channel",
        "lane",
        "response",
        "transport",
    )

    def __init__(
        self,
        channel: str,
        response: LingeringResponse,
        writer: AbstractStreamWriter,
        transport: asyncio.Transport,
        state: State,
    ) -> None:
        self.channel = channel
        self.response = response
        self.transport = transport
        self._writer = writer
        self._state = state
        self._loop = asyncio.get_running_loop()
        self._closing: asyncio.Task[bool] | None = None
        self.lane = Lane(state, self)

    @property
    def is_open(self) -> bool:
        """Whether a message may still be written."""
        return not self.transport.is_closing() and not self.response.closed and self._closing is None

    async def read(self) -> str | bytes | None:
        """The next text or binary message, or None when the connection has ended. Waits while the reader is slow."""
        if self.transport.get_write_buffer_size() > _DRAIN_ABOVE_BYTES:
            try:
                await self._writer.drain()
            except ConnectionError:
                return None
        if not self._state.reading.is_set():
            await self._state.reading.wait()
        if not self.is_open:
            return None
        message = await self.response.receive()
        if message.type is WSMsgType.TEXT or message.type is WSMsgType.BINARY:
            data: str | bytes = message.data
            return data
        return None

    def write(self, frame: bytes) -> bool:
        """Hand ``frame`` to the transport; False if the connection has ended, or ends because its backlog is full."""
        transport = self.transport
        if not self.is_open:
            return False
        if transport.get_write_buffer_size() > self._state.options.max_backlog_bytes:
            self.drop("backlog")
            return False
        transport.write(frame)
        return True

    def answer(self, kind: str, frame: bytes) -> None:
        """Send a reply of type ``kind`` and count it."""
        if self.write(frame):
            self._state.counters.answered(self.channel, kind)

    def push(self, kind: str, frame: bytes) -> bool:
        """Send an unasked message of type ``kind`` and count it; False if the connection has ended."""
        if not self.write(frame):
            return False
        self._state.counters.pushed(self.channel, kind)
        return True

    def drop(self, why: str) -> None:
        """End the TCP connection without a close frame; what the transport still buffers is lost."""
        if not self.transport.is_closing():
            self._state.counters.dropped_by[why] += 1
            self.transport.abort()

    def end(self, code: int, why: str) -> None:
        """Begin a closing handshake with ``code``; nothing is written after it."""
        if self.is_open:
            self._state.counters.closed_by[why] += 1
            self._closing = self._loop.create_task(self.response.close(code=code))

    def leave(self, code: int) -> None:
        """Write a close frame and end the TCP connection without awaiting the answer: for the server's own end."""
        if self.is_open:
            self.transport.write(close_frame(code))
        self.transport.close()

    async def forget(self) -> None:
        """Release what the connection holds, after its last message."""
        self._state.connections.discard(self)
        self.lane.clear()
        if self._closing is not None:
            await asyncio.wait([self._closing], timeout=_CLOSE_DEADLINE_S)
        if self.response.lingers:
            await linger(self.transport)

    def stop_reading(self) -> None:
        """Let the client's messages pile up on its own side."""
        self.transport.pause_reading()

    def start_reading(self) -> None:
        """Undo ``stop_reading()``."""
        self.transport.resume_reading()


class UpgradeAbandoned(Exception):
    """The client went while its upgrade was being answered; ``response`` is what the HTTP layer is to finish with."""

    def __init__(self, response: web.WebSocketResponse) -> None:
        super().__init__("the client went away during the upgrade")
        self.response = response


async def upgrade(request: web.Request, channel: str, max_message_bytes: int, state: State) -> Connection:
    """Answer an upgrade request and enter the connection into ``state``; raises UpgradeAbandoned, or HTTPBadRequest."""
    response = LingeringResponse(
        max_msg_size=max_message_bytes, compress=False, timeout=_CLOSE_DEADLINE_S, heartbeat=None, autoping=True
    )
    transport = request.transport
    if transport is None:
        raise UpgradeAbandoned(response)
    drip_s = state.faults.chosen.handshake_drip_ms / 1000
    try:
        if drip_s:
            state.faults.note("handshake_drip_ms")
            writer = await _prepare_dripping(request, response, transport, drip_s)
        else:
            writer = await response.prepare(request)
    except ConnectionError:
        raise UpgradeAbandoned(response) from None
    if writer is None:
        raise UpgradeAbandoned(response)
    if transport.is_closing():
        raise UpgradeAbandoned(response)
    state.counters.connected(channel)
    connection = Connection(channel, response, writer, transport, state)
    state.connections.add(connection)
    if not state.reading.is_set():
        state.faults.note("slow_reader")
        connection.stop_reading()
    return connection


class _HeldTransport:
    """The connection's transport, keeping back what is written until ``release()``."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held: bytearray | None = bytearray()

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self._held is None:
            self._transport.write(data)
        else:
            self._held += data

    def writelines(self, parts: list[bytes]) -> None:
        self.write(b"".join(parts))

    def release(self) -> Iterator[bytes]:
        """What was held back, a byte at a time; afterwards writes go through."""
        held, self._held = bytes(self._held or b""), None
        for index in range(len(held)):
            yield held[index : index + 1]


async def _prepare_dripping(
    request: web.Request, response: web.WebSocketResponse, transport: asyncio.Transport, drip_s: float
) -> AbstractStreamWriter:
    held = _HeldTransport(transport)
    request.protocol.transport = held  # type: ignore[assignment]  # the parts of a Transport that a response uses
    try:
        writer = await response.prepare(request)
    finally:
        if request.protocol.transport is held:  # type: ignore[comparison-overlap]
            request.protocol.transport = transport
    for index, byte in enumerate(held.release()):
        if index:
            await asyncio.sleep(drip_s)
        if transport.is_closing():
            raise UpgradeAbandoned(response)
        transport.write(byte)
    if writer is None:
        raise UpgradeAbandoned(response)
    return writer
