"""CONTRACTS.md, sections 1 and 2, as a judge of messages and of their order; written apart from the generators."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from locust_ext.core.messages import Message

KNOWN_COMMANDS = {"start", "stop", "restart", "status", "update", "create", "delete"}
KNOWN_QUERIES = {"agent_status", "world_state"}
REPLIES = {
    "ping": ("pong",),
    "heartbeat": ("heartbeat_ack",),
    "subscribe": ("subscription_confirmed",),
    "unsubscribe": ("unsubscription_confirmed",),
    "agent_command": ("agent_command_result",),
    "query": ("query_result",),
    "start_monitoring": ("monitoring_started",),
    "stop_monitoring": ("monitoring_stopped",),
    "get_summary": ("metric_summary",),
    "update_monitoring": (),
}
MONITOR = {"start_monitoring", "stop_monitoring", "get_summary", "update_monitoring"}
CONTEXT_KEYS = {
    "get": {"op", "key"},
    "set": {"op", "key", "value"},
    "all": {"op"},
    "history": {"op", "key"},
    "dump": {"op", "format", "filename"},
}


class Judge:
    """The server's view of one user: asserts that each message fits the contract and what came before."""

    def __init__(self) -> None:
        self.subscribed: set[str] = set()
        self.is_monitoring = False

    def accepts(self, message: Message) -> None:
        body = message.body
        assert isinstance(body, dict)
        assert orjson.loads(orjson.dumps(body)) == body
        if "op" in body:
            self._context(message, body)
            return
        kind = body["type"]
        assert message.name == kind
        assert message.reply == REPLIES[kind]
        assert message.one_way == (kind == "update_monitoring")
        assert message.channel == ("monitor" if kind in MONITOR else None)
        data = body.get("data", {})
        assert isinstance(data, dict)
        assert len(json.dumps(data)) <= 100_000
        getattr(self, f"_{kind}", lambda body: None)(body)

    def _subscribe(self, body: dict[str, Any]) -> None:
        assert body["event_types"]
        assert all(re.fullmatch(r"[A-Za-z0-9:_-]+", one) for one in body["event_types"])
        self.subscribed |= set(body["event_types"])

    def _unsubscribe(self, body: dict[str, Any]) -> None:
        assert body["event_types"]
        assert set(body["event_types"]) <= self.subscribed
        self.subscribed -= set(body["event_types"])

    def _agent_command(self, body: dict[str, Any]) -> None:
        assert set(body["data"]) == {"agent_id", "command", "params"}
        assert body["data"]["command"] in KNOWN_COMMANDS
        assert re.fullmatch(r"[A-Za-z0-9_-]+", body["data"]["agent_id"])
        assert isinstance(body["data"]["params"], dict)

    def _query(self, body: dict[str, Any]) -> None:
        assert body["data"]["query_type"] in KNOWN_QUERIES

    def _start_monitoring(self, body: dict[str, Any]) -> None:
        assert not self.is_monitoring, "a second start doubles the stream"
        self.is_monitoring = True
        assert set(body["config"]) == {"metrics", "agents", "sample_rate", "buffer_size"}

    def _stop_monitoring(self, body: dict[str, Any]) -> None:
        assert self.is_monitoring, "stops what it has not started"
        self.is_monitoring = False

    def _get_summary(self, body: dict[str, Any]) -> None:
        assert self.is_monitoring
        assert set(body) - {"id", "timestamp", "sequence"} == {"type", "metric_type", "duration"}

    def _update_monitoring(self, body: dict[str, Any]) -> None:
        assert self.is_monitoring

    def _context(self, message: Message, body: dict[str, Any]) -> None:
        assert message.name == body["op"]
        assert set(body) == CONTEXT_KEYS[body["op"]]
        is_live = message.channel == "live"
        assert is_live or message.channel == "http"
        assert not is_live or body["op"] == "set"
        assert message.reply == (("context_set_confirmed",) if is_live else ())
        assert not message.one_way
        if body["op"] == "dump":
            assert body["format"] in ("json", "pretty", "csv", "txt")
            assert "/" not in body["filename"]
