"""The agent channel, ``/api/v1/ws/{client_id}``: a plain WebSocket with JSON text (CONTRACTS, section 2).

Connections are known by their ``client_id`` alone, as in the real server: a second connection of the same id takes the
first one's place, replies to the first go to the second, and when either leaves, the other is not found any more.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import orjson
from aiohttp import web

from locust_ext.refserver.clock import iso_now
from locust_ext.refserver.connection import Connection, upgrade
from locust_ext.refserver.frames import json_frame
from locust_ext.refserver.gate import Gate
from locust_ext.refserver.lane import Answer
from locust_ext.refserver.limits import MessageRate
from locust_ext.refserver.options import MAX_MESSAGE_BYTES
from locust_ext.refserver.replies import error, reply
from locust_ext.refserver.state import State
from locust_ext.refserver.tokens import ALL_RIGHTS, Client

COMMANDS: Final = frozenset({"start", "stop", "restart", "status", "update", "create", "delete"})
PUSH_CHANNELS: Final = ("agent", "world", "system")
_TYPE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_AGENT_ID: Final = re.compile(r"[A-Za-z0-9_-]+")
_EVENT_NAME: Final = re.compile(r"[A-Za-z0-9:_-]+")
_DATA_MAX_CHARACTERS: Final = 100_000
_AGENT_CREATED_AFTER_S: Final = 0.05
_AGENTS: Final = (
    {"agent_id": "agent-1", "status": "running", "type": "analyst"},
    {"agent_id": "agent-2", "status": "idle", "type": "writer"},
    {"agent_id": "agent-3", "status": "running", "type": "reviewer"},
)
_NOT_JSON: Final = object()

Message = dict[str, Any]


class AgentChannel:
    """All connections of the agent channel, by client id, and who subscribed to what."""

    def __init__(self, state: State, gate: Gate) -> None:
        self._state = state
        self._gate = gate
        self._loop = asyncio.get_running_loop()
        self._by_id: dict[str, Connection] = {}
        self._subscribers: dict[str, set[str]] = {}
        """Event name -> client ids; a name that was ever subscribed to stays."""
        self._handlers: dict[str, Callable[[str, Message, Answer], None]] = {
            "ping": self._on_ping,
            "subscribe": self._on_subscribe,
            "unsubscribe": self._on_unsubscribe,
            "agent_command": self._on_agent_command,
            "query": self._on_query,
            "heartbeat": self._on_heartbeat,
            "prompt_submitted": self._on_prompt_submitted,
            "clear_conversation": self._on_clear_conversation,
        }

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One connection, from the upgrade to its end."""
        with self._gate.enter(request) as client:
            connection = await upgrade(request, "agent", MAX_MESSAGE_BYTES, self._state)
            client_id = request.match_info["client_id"]
            self._by_id[client_id] = connection
            try:
                await _Talk(self, client_id, connection, client).run()
            finally:
                self._by_id.pop(client_id, None)
                for subscribers in self._subscribers.values():
                    subscribers.discard(client_id)
                await connection.forget()
            return connection.response

    def push_event(self, channel: str, event_type: str, data: object, agent_id: str | None = None) -> int:
        """Push an event of ``channel`` (agent, world or system) to whom it concerns; returns the number of receivers.

        System events go to everybody; others to the subscribers of ``channel:event_type``, or to everybody as long as
        nobody ever subscribed to it.
        """
        kind = f"{channel}_event"
        message: Message = {"type": kind, "event_type": event_type, "data": data, "timestamp": iso_now()}
        if agent_id is not None:
            message["agent_id"] = agent_id
        frame = json_frame(message)
        ids = None if channel == "system" else self._subscribers.get(f"{channel}:{event_type}")
        receivers = list(self._by_id.values()) if ids is None else [self._by_id[i] for i in ids if i in self._by_id]
        written = sum(connection.write(frame) for connection in receivers)
        if written:
            self._state.counters.pushed("agent", kind, written)
        return written

    def push_to(self, client_id: str, kind: str, frame: bytes) -> None:
        """Push to whoever is known as ``client_id``."""
        connection = self._by_id.get(client_id)
        if connection is not None:
            connection.push(kind, frame)

    def answer_to(self, client_id: str, kind: str, frame: bytes) -> None:
        """Reply to whoever is known as ``client_id``."""
        connection = self._by_id.get(client_id)
        if connection is not None:
            connection.answer(kind, frame)

    def _on_ping(self, client_id: str, message: Message, answer: Answer) -> None:
        reply(answer, "pong", timestamp=iso_now())

    def _on_heartbeat(self, client_id: str, message: Message, answer: Answer) -> None:
        reply(answer, "heartbeat_ack", timestamp=iso_now())

    def _on_subscribe(self, client_id: str, message: Message, answer: Answer) -> None:
        names = [n for n in _event_types(message) if isinstance(n, str) and _EVENT_NAME.fullmatch(n)]
        for name in names:
            self._subscribers.setdefault(name, set()).add(client_id)
        reply(answer, "subscription_confirmed", event_types=names)

    def _on_unsubscribe(self, client_id: str, message: Message, answer: Answer) -> None:
        names = _event_types(message)
        for name in names:
            if isinstance(name, str) and name in self._subscribers:
                self._subscribers[name].discard(client_id)
        reply(answer, "unsubscription_confirmed", event_types=names)

    def _on_agent_command(self, client_id: str, message: Message, answer: Answer) -> None:
        data = message.get("data", {})
        agent_id, command = data.get("agent_id"), data.get("command")
        if not isinstance(command, str) or command not in COMMANDS:
            error(answer, "INVALID_COMMAND", "the command is not known")
        elif not isinstance(agent_id, str) or not _AGENT_ID.fullmatch(agent_id):
            error(answer, "INVALID_AGENT_ID", "agent_id must be letters, digits, '_' and '-'")
        else:
            reply(
                answer,
                "agent_command_result",
                agent_id=agent_id,
                command=command,
                status="acknowledged",
                timestamp=iso_now(),
            )

    def _on_query(self, client_id: str, message: Message, answer: Answer) -> None:
        asked = message.get("data", {})
        query_type = asked.get("query_type")
        data: Message
        if query_type == "agent_status":
            wanted = asked.get("agent_id")
            data = {"agents": [agent for agent in _AGENTS if wanted in (None, agent["agent_id"])]}
        elif query_type == "world_state":
            data = {"world": {"agents": len(_AGENTS), "connections": len(self._by_id)}, "agents": list(_AGENTS)}
        else:
            error(answer, None, "the query_type is not known")
            return
        reply(answer, "query_result", query_type=query_type, data={**data, "timestamp": iso_now()})

    def _on_prompt_submitted(self, client_id: str, message: Message, answer: Answer) -> None:
        prompt_id, conversation_id = message.get("prompt_id"), message.get("conversation_id")
        named = {"prompt_id": prompt_id, "conversation_id": conversation_id}
        reply(answer, "prompt_acknowledged", **named, timestamp=iso_now())
        prompt = message.get("prompt")
        if not isinstance(prompt, str) or not prompt:
            later = partial(error, answer, "INVALID_PROMPT", "the prompt is empty", prompt_id=prompt_id)
        else:
            made = f"agent-{prompt_id}"
            later = partial(reply, answer, "agent_created", **named, agent_id=made, timestamp=iso_now())
        self._loop.call_later(_AGENT_CREATED_AFTER_S, later)

    def _on_clear_conversation(self, client_id: str, message: Message, answer: Answer) -> None:
        conversation_id = message.get("data", {}).get("conversationId")
        reply(answer, "conversation_cleared", conversation_id=conversation_id, timestamp=iso_now())
        self.push_event("system", "conversation_cleared", {"conversation_id": conversation_id})


class _Talk:
    """One connection's conversation: its greeting, its messages, its two clocks."""

    def __init__(self, channel: AgentChannel, client_id: str, connection: Connection, client: Client) -> None:
        self._channel = channel
        self._id = client_id
        self._connection = connection
        self._client = client
        self._options = channel._state.options
        self._loop = channel._loop
        self._answer: Answer = partial(channel.answer_to, client_id)
        self._last_text = self._loop.time()
        self._rate = MessageRate(self._options.rate_limit_per_s, self._last_text)
        self._silence = self._loop.call_later(self._options.silence_s, self._check_silence)
        self._heartbeat = self._loop.call_later(self._options.heartbeat_s, self._beat)

    async def run(self) -> None:
        greeting = {
            "type": "connection_established",
            "client_id": self._id,
            "timestamp": iso_now(),
            "authenticated": self._client.is_authenticated,
            "user": self._client.user,
            "role": self._client.role,
        }
        self._connection.push("connection_established", json_frame(greeting))
        try:
            while (data := await self._connection.read()) is not None:
                if isinstance(data, str):
                    self._last_text = self._loop.time()
                self._receive(data)
        finally:
            self._silence.cancel()
            self._heartbeat.cancel()

    def _receive(self, data: str | bytes) -> None:
        try:
            message = orjson.loads(data) if isinstance(data, str) else _NOT_JSON
        except orjson.JSONDecodeError:
            message = _NOT_JSON
        kind = message.get("type") if isinstance(message, dict) else None
        counted = kind if isinstance(kind, str) else "__invalid__"
        self._channel._state.counters.received("agent", counted)
        self._connection.lane.admit(partial(self._handle, message, len(data)), _injected_error, self._answer)

    def _handle(self, message: Any, length: int, answer: Answer) -> None:
        if not self._rate.admits(self._loop.time()):
            error(answer, "MESSAGE_RATE_LIMIT_EXCEEDED", "too many messages")
            error(answer, "RATE_LIMIT_EXCEEDED", "too many messages")
            return
        if message is _NOT_JSON:
            error(answer, "INVALID_JSON", "the message is not JSON")
            return
        complaint = _complaint(message, length)
        if complaint:
            error(answer, "VALIDATION_ERROR", complaint)
            return
        kind = message["type"]
        handler = self._channel._handlers.get(kind)
        if handler is None:
            error(answer, "UNKNOWN_MESSAGE_TYPE", "the type is not known")
        elif kind in ALL_RIGHTS and kind not in self._client.rights:
            error(answer, "PERMISSION_DENIED", "the role does not allow this")
        else:
            try:
                handler(self._id, message, answer)
            except Exception:  # noqa: BLE001 - whatever is wrong inside is answered so, by contract
                error(answer, "INTERNAL_ERROR", "internal error")
                self._connection.end(1011, "internal_error")

    def _check_silence(self) -> None:
        due = self._last_text + self._options.silence_s
        self._silence.cancel()
        if due <= self._loop.time() + 0.002:  # timers may fire a little early
            self._connection.drop("silence")
        else:
            self._silence = self._loop.call_at(due, self._check_silence)

    def _beat(self) -> None:
        self._check_silence()  # at the same moment the silence comes first
        message = {"type": "heartbeat", "timestamp": iso_now(), "require_response": True}
        self._channel.push_to(self._id, "heartbeat", json_frame(message))
        self._heartbeat = self._loop.call_later(self._options.heartbeat_s, self._beat)


def _injected_error(answer: Answer) -> None:
    error(answer, "INJECTED_FAULT", "the fault error_ratio struck")


def _event_types(message: Message) -> list[Any]:
    """The list as sent. Anything but a list is the fault inside that the real server has too (INTERNAL_ERROR)."""
    names = message.get("event_types", [])
    if not isinstance(names, list):
        raise TypeError("event_types is not a list")
    return names


def _complaint(message: Any, length: int) -> str | None:
    """What is wrong with a message that was JSON of ``length`` characters, or None."""
    if not isinstance(message, dict):
        return "the message must be a JSON object"
    kind = message.get("type")
    if not isinstance(kind, str) or not _TYPE.fullmatch(kind):
        return "type must be a name of letters, digits and '_'"
    if "data" in message:
        data = message["data"]
        if not isinstance(data, dict):
            return "data must be an object"
        if length > _DATA_MAX_CHARACTERS and len(orjson.dumps(data).decode()) > _DATA_MAX_CHARACTERS:
            return f"data is over {_DATA_MAX_CHARACTERS} characters"
    return None
