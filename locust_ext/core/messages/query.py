"""`Query`: questions about agents and the world."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from locust_ext.core.messages.command import DATA_LIMIT_BYTES, Asking, Draw, agent_ids
from locust_ext.core.messages.message import BoundGenerator, Message
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
        return self.with_metadata(BoundQuery(rng, queries, self.agents, self.payload_bytes), rng)


class BoundQuery(Asking):
    """One user's queries."""

    __slots__ = ()

    def generate(self) -> Message:
        draw = self._random
        query_type, details = self._kinds[int(draw() * len(self._kinds))]
        data = {"query_type": query_type, **details(draw, self._agents[int(draw() * len(self._agents))])}
        if self._size is not None:
            data["payload"] = text(self._rng, self._size(self._rng))
        return Message("query", {"type": "query", "data": data}, reply=_REPLY)
