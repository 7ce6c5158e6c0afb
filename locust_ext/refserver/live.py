"""The context server's event side: Socket.IO at ``/socket.io/`` (CONTRACTS, section 1), by python-socketio.

The order on connect is python-socketio's own: what the connect handler emits (``context_snapshot``, ``client_stats``)
leaves before the ``40{"sid"}`` that confirms the namespace. Handlers run in the order in which a client's events came.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import orjson
import socketio
from aiohttp import web
from engineio.packet import MESSAGE, Packet as EnginePacket
from socketio import packet as sio_packet

from locust_ext.refserver.clock import iso_now
from locust_ext.refserver.engine import Json, LiveEngine, LiveSocket, packet_frame
from locust_ext.refserver.lane import Answer
from locust_ext.refserver.options import MAX_PAYLOAD_BYTES
from locust_ext.refserver.state import State

_NAMESPACE = "/"

Emit = Callable[[str, object], None]
"""Sends an event to the client whose event is being handled."""


class _SocketIoServer(socketio.AsyncServer):  # type: ignore[misc]  # socketio ships no types
    """python-socketio's server, whose events go to a LiveChannel instead of its own table of handlers."""

    channel: LiveChannel

    def _engineio_server_class(self) -> type[LiveEngine]:
        return LiveEngine

    async def _handle_event(self, eio_sid: str, namespace: str | None, id: int | None, data: list[Any]) -> None:
        sid = self.manager.sid_from_eio_sid(eio_sid, namespace or _NAMESPACE)
        confirmed = sid if self.manager.is_connected(sid, namespace or _NAMESPACE) else None
        self.channel.receive(eio_sid, confirmed, id, data)

    async def _handle_ack(self, eio_sid: str, namespace: str | None, id: int | None, data: list[Any]) -> None:
        self.channel.receive_ack()


class LiveChannel:
    """All Socket.IO clients, and what they may emit."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._loop = asyncio.get_running_loop()
        self._names: dict[str, str] = {}
        """Session id of the namespace -> the name it registered with, or the id; one entry a client."""
        silent = logging.getLogger("locust_ext.refserver.live")
        silent.setLevel(logging.CRITICAL + 1)  # a client's mistakes are the client's to see
        self.server = _SocketIoServer(
            async_mode="aiohttp",
            async_handlers=False,
            cors_allowed_origins="*",
            allow_upgrades=True,
            http_compression=False,
            monitor_clients=False,  # LiveSocket has a timer of its own
            ping_interval=state.options.ping_interval_s,
            ping_timeout=state.options.ping_timeout_s,
            max_http_buffer_size=MAX_PAYLOAD_BYTES,
            json=Json,
            logger=silent,
            engineio_logger=silent,
        )
        self.server.channel = self
        self._engine: LiveEngine = self.server.eio
        self._engine.state = state
        self.server.on("connect", self._on_connect)
        self.server.on("disconnect", self._on_disconnect)
        self._handlers: dict[str, Callable[[str, Any, Emit], None]] = {
            "client_register": self._on_client_register,
            "context_set": self._on_context_set,
        }

    def attach(self, app: web.Application) -> None:
        """Serve ``/socket.io/`` on ``app``."""
        self.server.attach(app, socketio_path="socket.io")

    @property
    def client_count(self) -> int:
        """Clients in the namespace."""
        return len(self._names)

    def push(self, event: str, data: object, *, skip: str | None = None) -> int:
        """Emit to every client but the one with session id ``skip``; encoded once. Returns the number of receivers."""
        packet = _event_packet(event, data)
        frame = packet_frame(packet)
        room: dict[str, str] = self.server.manager.rooms.get(_NAMESPACE, {}).get(None, {})
        sockets: dict[str, LiveSocket] = self._engine.sockets
        written = 0
        for sid, eio_sid in list(room.items()):
            if sid != skip and (socket := sockets.get(eio_sid)) is not None:
                written += socket.post(packet, frame)
        if written:
            self._state.counters.pushed("live", event, written)
        return written

    def _push_to(self, sid: str, event: str, data: object) -> None:
        socket = self._socket_of(sid)
        if socket is not None and socket.post(_event_packet(event, data)):
            self._state.counters.pushed("live", event)

    def _socket_of(self, sid: str) -> LiveSocket | None:
        socket: LiveSocket | None = self._engine.sockets.get(self.server.manager.eio_sid_from_sid(sid, _NAMESPACE))
        return socket

    def _on_connect(self, sid: str, environ: object, auth: object = None) -> None:
        self._names[sid] = sid
        snapshot = {"context": self._state.context.values, "timestamp": iso_now(), "client_id": sid}
        self._push_to(sid, "context_snapshot", snapshot)
        self.push("client_stats", {"count": self.client_count})

    def _on_disconnect(self, sid: str, reason: object = None) -> None:
        self._names.pop(sid, None)
        self.push("client_stats", {"count": self.client_count})

    def receive_ack(self) -> None:
        """A client acknowledged an event; none is asked for, so it is counted only."""
        self._state.counters.received("live", "__ack__")

    def receive(self, eio_sid: str, sid: str | None, ack_id: int | None, data: list[Any]) -> None:
        """Handle one event of a client; ``sid`` is None before the namespace is confirmed, when events are ignored."""
        event = data[0] if data and isinstance(data[0], str) else "__invalid__"
        self._state.counters.received("live", event)
        socket: LiveSocket | None = self._engine.sockets.get(eio_sid)
        if sid is None or socket is None:
            return
        client = sid
        handler = self._handlers.get(event)

        def acknowledge(answer: Answer) -> None:
            if handler is not None and ack_id is not None:
                acked = sio_packet.Packet(sio_packet.ACK, namespace=_NAMESPACE, id=ack_id, data=[]).encode()
                answer("__ack__", EnginePacket(MESSAGE, acked))

        def handle(answer: Answer) -> None:
            if handler is not None:
                argument = data[1] if len(data) > 1 else None
                handler(client, argument, lambda e, d: answer(e, _event_packet(e, d)))
                acknowledge(answer)

        def fail(answer: Answer) -> None:
            answer("error", _event_packet("error", {"message": "the fault error_ratio struck"}))
            acknowledge(answer)

        def deliver(kind: str, packet: EnginePacket) -> None:
            if socket.post(packet):
                self._state.counters.answered("live", kind)

        socket.lane.admit(handle, fail, deliver)

    def _on_client_register(self, sid: str, data: Any, emit: Emit) -> None:
        kind = data.get("type") if isinstance(data, dict) else None
        name = data.get("name") if isinstance(data, dict) else None
        confirmed = {"client_id": sid, "type": kind, "name": name, "status": "registered"}
        if not _is_json(confirmed):
            emit("error", {"message": "type and name must be JSON"})
            return
        if isinstance(name, str) and name and sid in self._names:
            self._names[sid] = name
        emit("registration_confirmed", confirmed)

    def _on_context_set(self, sid: str, data: Any, emit: Emit) -> None:
        key = data.get("key") if isinstance(data, dict) else None
        value = data.get("value") if isinstance(data, dict) else None
        if not isinstance(key, str) or not key or value is None:
            emit("error", {"message": "key and value are required"})
            return
        who = data.get("who") or self._names.get(sid, sid)
        timestamp = iso_now()
        updated = {"key": key, "value": value, "who": who, "timestamp": timestamp}
        if not _is_json(updated):
            emit("error", {"message": "the value must be JSON"})
            return
        self._state.context.set(key, value, who, timestamp)
        emit("context_set_confirmed", {"key": key, "value": value, "status": "success"})
        self.push("context_updated", updated, skip=sid)


def _is_json(value: object) -> bool:
    """False if there is a binary attachment in it: the context holds JSON only."""
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


def _event_packet(event: str, data: object) -> EnginePacket:
    encoded = sio_packet.Packet(sio_packet.EVENT, namespace=_NAMESPACE, data=[event, data]).encode()
    return EnginePacket(MESSAGE, encoded)
