"""`Query`: questions about agents and the world."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from locust_ext.core.messages.command import DATA_LIMIT_BYTES, Draw, agent_ids
from locust_ext.core.messages.message import ALL, BoundGenerator, Message
from locust_ext.core.messages.metadata import WithMetadata
from locust_ext.core.messages.payload import Sizes, sizer, text
from locust_ext.core.messages.weights import unknown
from locust_ext.errors import ConfigError

Details = Callable[[Draw, str], dict[str, Any]]

QUERY_TYPES: Final[dict[str, Details]] = {
    "agent_status": lambda draw, agent_id: {"agent_id": agent_id},
    "world_state": lambda draw, agent_id: {"detail": "full" if draw() < 0.2 else "summary"},
    "coalition_status": lambda draw, agent_id: {"coalition_id": f"coalition_{int(draw() * 10)}"},
    "system_metrics": lambda draw, agent_id: {"window_s": (60, 300, 3600)[int(draw() * 3)]},
    "agent_history": lambda draw, agent_id: {"agent_id": agent_id, "limit": (10, 50, 100)[int(draw() * 3)]},
}
"""Query type -> its further keys. The channel knows the first two; it answers the others by an error without a code."""

_REPLY = ("query_result",)


@dataclass(frozen=True)
class Query(WithMetadata):
    """``query`` messages, evenly over its query types and over the agents."""

    query_types: tuple[str, ...] = ("agent_status", "world_state")
    """Of :data:`QUERY_TYPES`."""
    agents: int | tuple[str, ...] = 100
    payload_bytes: Sizes | None = None
    """Size of a text put into ``data.payload``; None: no such text."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.query_types, str) or not self.query_types:
            raise ConfigError(
                "expected a tuple of query types, such as ('agent_status',)", key="query_types", value=self.query_types
            )
        for query_type in self.query_types:
            if query_type not in QUERY_TYPES:
                raise unknown("query_types", query_type, QUERY_TYPES)
        agent_ids(self.agents)
        if self.payload_bytes is not None:
            sizer("payload_bytes", self.payload_bytes, limit=DATA_LIMIT_BYTES)

    def bind(self, rng: random.Random, client_id: str) -> BoundGenerator:
        queries = [(query_type, QUERY_TYPES[query_type]) for query_type in self.query_types]
        size = None
        if self.payload_bytes is not None:
            size = sizer("payload_bytes", self.payload_bytes, limit=DATA_LIMIT_BYTES)
        return self.with_metadata(BoundQuery(rng, queries, agent_ids(self.agents), size), rng)


class BoundQuery:
    """One user's queries."""

    __slots__ = ("_agents", "_queries", "_random", "_rng", "_size")

    def __init__(
        self,
        rng: random.Random,
        queries: list[tuple[str, Details]],
        agents: tuple[str, ...],
        size: Callable[[random.Random], int] | None,
    ) -> None:
        self._rng = rng
        self._random = rng.random
        self._queries = queries
        self._agents = agents
        self._size = size

    def disconnected(self, channel: str | None = ALL) -> None:
        pass

    def generate(self) -> Message:
        draw = self._random
        query_type, details = self._queries[int(draw() * len(self._queries))]
        data = {"query_type": query_type, **details(draw, self._agents[int(draw() * len(self._agents))])}
        if self._size is not None:
            data["payload"] = text(self._rng, self._size(self._rng))
        return Message("query", {"type": "query", "data": data}, reply=_REPLY)
