"""Engine.IO as python-engineio speaks it, with the WebSocket transport written straight through.

python-engineio gives each connection a queue, a writer task and a task for each wait. Here a packet goes to the
transport's buffer at once, as one frame that all receivers of a fan-out share; polling clients keep python-engineio's
own way. The packets are encoded and decoded by python-engineio throughout.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import engineio
import orjson
from aiohttp import web
from engineio import async_socket, exceptions
from engineio.packet import MESSAGE, NOOP, OPEN, PING, PONG, UPGRADE, Packet

from locust_ext.refserver.connection import Connection, upgrade
from locust_ext.refserver.frames import binary_frame, text_frame
from locust_ext.refserver.lane import Lane
from locust_ext.refserver.state import State

_MALFORMED = (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError)
"""What python-engineio and python-socketio raise on packets that are none."""
_POLLING_BACKLOG_PACKETS = 10_000


class Json:
    """orjson in the shape that python-socketio asks for."""

    @staticmethod
    def dumps(value: object, **_ignored: object) -> str:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()

    @staticmethod
    def loads(text: str | bytes, **_ignored: object) -> Any:
        return orjson.loads(text)


def packet_frame(packet: Packet) -> bytes:
    """The packet as one WebSocket frame."""
    encoded = packet.encode()
    return text_frame(encoded) if isinstance(encoded, str) else binary_frame(encoded)


class LiveSocket(async_socket.AsyncSocket):  # type: ignore[misc]  # engineio ships no types
    """One Engine.IO session; ``connection`` is its WebSocket, None as long as it polls."""

    def __init__(self, server: LiveEngine, sid: str) -> None:
        super().__init__(server, sid)
        self.last_ping: float | None = self.last_ping
        self.connection: Connection | None = None
        self.lane = Lane(server.state, self)
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        """Whether a packet may still be sent."""
        return not self.closed and (self.connection is None or self.connection.is_open)

    def drop(self, why: str) -> None:
        """Abort the WebSocket; a polling session, which has no connection of its own, is forgotten instead."""
        if self.connection is not None:
            self.connection.drop(why)
        else:
            self.server.state.counters.dropped_by[why] += 1
            self._end_session(abort=True)

    def end(self, code: int, why: str) -> None:
        """Close the WebSocket with ``code``; a polling session gets Engine.IO's own close packet."""
        if self.connection is not None:
            self.connection.end(code, why)
        else:
            self.server.state.counters.closed_by[why] += 1
            self._end_session(abort=False)

    def _end_session(self, abort: bool) -> None:
        reason = self.server.reason.SERVER_DISCONNECT
        self.server.start_background_task(self.close, wait=False, abort=abort, reason=reason)

    def post(self, packet: Packet, frame: bytes | None = None) -> bool:
        """Hand ``packet`` to the transport (``frame``: its encoding, if known); False if the session has ended."""
        if self.closed:
            return False
        if self.connection is not None:
            return self.connection.write(frame or packet_frame(packet))
        if self.queue.qsize() >= _POLLING_BACKLOG_PACKETS:
            return False
        self.queue.put_nowait(packet)
        return True

    async def send(self, pkt: Packet) -> None:
        self.post(pkt)

    def schedule_ping(self) -> None:
        if self.last_ping and not self.closed:
            self.last_ping = None
            self._cancel_timer()
            self._timer = asyncio.get_running_loop().call_later(self.server.ping_interval, self._ping)

    def _ping(self) -> None:
        self.last_ping = time.time()
        self.post(Packet(PING))
        self._timer = asyncio.get_running_loop().call_later(self.server.ping_timeout, self._expire)

    def _expire(self) -> None:
        reason = self.server.reason.PING_TIMEOUT
        self.server.start_background_task(self.close, wait=False, abort=False, reason=reason)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def close(self, wait: bool = True, abort: bool = False, reason: str | None = None) -> None:
        was_open = not self.closed and not self.closing
        await super().close(wait=False, abort=abort, reason=reason)
        self._cancel_timer()
        self.lane.clear()
        if was_open:
            if self.connection is not None:
                why = "engineio_ping_timeout" if reason == self.server.reason.PING_TIMEOUT else "engineio_close"
                self.connection.end(1000, why)
            else:
                self.queue.put_nowait(None)  # ends a poll that waits
                self.server.sockets.pop(self.sid, None)

    async def _upgrade_websocket(self, environ: dict[str, Any]) -> web.StreamResponse:
        if self.upgraded:
            raise OSError("the session has been upgraded already")
        request: web.Request = environ["aiohttp.request"]
        connection = await upgrade(request, "live", self.server.max_http_buffer_size, self.server.state)
        try:
            if not self.connected or await self._probe(connection):
                await self._talk(connection)
        finally:
            await connection.forget()
        return connection.response

    async def _probe(self, connection: Connection) -> bool:
        """A polling session changes its transport: ``2probe`` and ``3probe``, then ``5``."""
        self.upgrading = True
        try:
            if await connection.read() != f"{PING}probe":
                return False
            connection.write(text_frame(f"{PONG}probe"))
            self.queue.put_nowait(Packet(NOOP))  # ends a poll that waits
            return await connection.read() == f"{UPGRADE}"
        finally:
            self.upgrading = False

    async def _talk(self, connection: Connection) -> None:
        self.connected = self.upgraded = True
        while not self.queue.empty():
            waiting = self.queue.get_nowait()
            if waiting is not None and waiting.packet_type != NOOP:
                connection.write(packet_frame(waiting))
        self.connection = connection
        try:
            while (data := await connection.read()) is not None:
                try:
                    packet = Packet(encoded_packet=data)
                    if packet.packet_type == MESSAGE:
                        await self.server.on_message(self.sid, packet.data)
                    else:
                        await self.receive(packet)
                except exceptions.SocketIsClosedError:
                    break
                except (exceptions.UnknownPacketError, *_MALFORMED):
                    continue  # what is no packet is passed over, as python-engineio does
        finally:
            await self.close(wait=False, abort=True, reason=self.server.reason.TRANSPORT_CLOSE)


class LiveEngine(engineio.AsyncServer):  # type: ignore[misc]  # engineio ships no types
    """python-engineio's server with our sessions. ``state`` and ``on_message`` must be set before the first request."""

    state: State

    async def on_message(self, sid: str, data: str | bytes) -> None:
        """Take one Engine.IO message."""
        await self.handlers["message"](sid, data)

    async def _handle_connect(self, environ: dict[str, Any], transport: str, jsonp_index: int | None = None) -> Any:
        sid = self.generate_id()
        socket = LiveSocket(self, sid)
        self.sockets[sid] = socket
        opening = {
            "sid": sid,
            "upgrades": self._upgrades(sid, transport),
            "pingInterval": int(self.ping_interval * 1000),
            "pingTimeout": int(self.ping_timeout * 1000),
            "maxPayload": self.max_http_buffer_size,
        }
        socket.post(Packet(OPEN, opening))
        await self._trigger_event("connect", sid, environ, run_async=False)
        socket.schedule_ping()
        if transport == "websocket":
            try:
                return await socket.handle_get_request(environ)
            finally:
                await socket.close(abort=True, reason=self.reason.TRANSPORT_CLOSE)  # if the upgrade did not come about
                self.sockets.pop(sid, None)
        self.state.counters.polling_sessions += 1
        socket.connected = True
        return self._ok(await socket.poll(), jsonp_index=jsonp_index)
