"""The server's own extras over HTTP: ``/faults``, ``/counters``, ``/metrics`` and ``/events``."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from locust_ext.errors import ConfigError
from locust_ext.refserver.agent import PUSH_CHANNELS, AgentChannel
from locust_ext.refserver.faults import parse_faults
from locust_ext.refserver.metrics import Metrics
from locust_ext.refserver.responses import complaint, json_response
from locust_ext.refserver.state import State

CONTROL_PATHS = frozenset({"/faults", "/counters", "/metrics"})
"""Paths that no fault touches and that are not counted."""


class ControlApi:
    """The handlers; ``agents`` is made to push events."""

    def __init__(self, state: State, agents: AgentChannel) -> None:
        self._state = state
        self._agents = agents
        self._metrics = Metrics(state)

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.get("/faults", self.get_faults),
            web.put("/faults", self.put_faults),
            web.get("/counters", self.get_counters),
            web.delete("/counters", self.reset_counters),
            web.get("/metrics", self.get_metrics),
            web.post("/events", self.post_event),
        ]

    async def get_faults(self, request: web.Request) -> web.Response:
        """The faults in force."""
        return json_response(self._state.faults.as_json())

    async def put_faults(self, request: web.Request) -> web.Response:
        """Replace the whole set; answers with the new one, or 400 with the key that is wrong and what was expected."""
        try:
            chosen = parse_faults(orjson.loads(await request.read()))
        except orjson.JSONDecodeError:
            return _rejection(ConfigError("a JSON object of faults is expected"))
        except ConfigError as problem:
            return _rejection(problem)
        self._state.put_faults(chosen)
        return json_response(self._state.faults.as_json())

    async def get_counters(self, request: web.Request) -> web.Response:
        """What the server saw."""
        return json_response(self._state.counters.as_json(self._state.open_by_channel()))

    async def reset_counters(self, request: web.Request) -> web.Response:
        """Start counting at zero; answers with what had been counted."""
        counted = self._state.counters.as_json(self._state.open_by_channel())
        self._state.counters.reset()
        return json_response(counted)

    async def get_metrics(self, request: web.Request) -> web.Response:
        """The same for Prometheus, and the process's own figures."""
        return web.Response(body=self._metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def post_event(self, request: web.Request) -> web.Response:
        """Push an event of the agent channel; answers with the number of receivers."""
        try:
            body: Any = orjson.loads(await request.read())
        except orjson.JSONDecodeError:
            body = None
        if not isinstance(body, dict):
            return complaint("a JSON object {channel, event_type, data, agent_id?} is expected")
        channel, event_type, agent_id = body.get("channel"), body.get("event_type"), body.get("agent_id")
        if channel not in PUSH_CHANNELS:
            return complaint("channel must be one of " + ", ".join(PUSH_CHANNELS))
        if not isinstance(event_type, str) or not event_type:
            return complaint("event_type must be a name")
        if agent_id is not None and not isinstance(agent_id, str):
            return complaint("agent_id must be a name")
        receivers = self._agents.push_event(channel, event_type, body.get("data", {}), agent_id)
        return json_response(
            {"status": "success", "channel": channel, "event_type": event_type, "receivers": receivers}
        )


def _rejection(problem: ConfigError) -> web.Response:
    return json_response(
        {
            "status": "error",
            "error": str(problem),
            "key": problem.key,
            "value": problem.value,
            "expected": problem.expected,
            "nearest": problem.nearest,
        },
        400,
    )
