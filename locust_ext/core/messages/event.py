"""`Event`: subscriptions to the agent channel's events; `Ping` and `Heartbeat`: its two messages without content."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Final

from locust_ext.core.messages.message import ALL, BoundGenerator, Message
from locust_ext.core.messages.metadata import WithMetadata
from locust_ext.core.messages.weights import check_share
from locust_ext.errors import ConfigError

EVENT_TYPES: Final = (
    "agent:created",
    "agent:started",
    "agent:stopped",
    "agent:action",
    "agent:error",
    "world:updated",
    "world:agent_moved",
    "coalition:formed",
    "coalition:dissolved",
    "inference:started",
    "inference:completed",
)

_EVENT_TYPE = re.compile(r"[A-Za-z0-9:_-]+")
_PONG = ("pong",)
_HEARTBEAT_ACK = ("heartbeat_ack",)
_SUBSCRIBED = ("subscription_confirmed",)
_UNSUBSCRIBED = ("unsubscription_confirmed",)


def ping() -> Message:
    """``{type: "ping"}``, answered by ``pong``."""
    return Message("ping", {"type": "ping"}, reply=_PONG)


def heartbeat() -> Message:
    """``{type: "heartbeat"}``, answered by ``heartbeat_ack``."""
    return Message("heartbeat", {"type": "heartbeat"}, reply=_HEARTBEAT_ACK)


class BoundPing:
    """Pings, or heartbeats, without any state."""

    __slots__ = ("generate",)

    def __init__(self, *, beats: bool) -> None:
        self.generate = heartbeat if beats else ping

    def disconnected(self, channel: str | None = ALL) -> None:
        pass


@dataclass(frozen=True)
class Ping(WithMetadata):
    """Nothing but pings of the application (not WebSocket pings)."""

    def bind(self, rng: random.Random, client_id: str) -> BoundGenerator:
        return self.with_metadata(BoundPing(beats=False), rng)


@dataclass(frozen=True)
class Heartbeat(WithMetadata):
    """Nothing but heartbeats, which keep the connection of a listener alive (the channel drops it after 30 s)."""

    def bind(self, rng: random.Random, client_id: str) -> BoundGenerator:
        return self.with_metadata(BoundPing(beats=True), rng)


@dataclass(frozen=True)
class Event(WithMetadata):
    """Subscribe, unsubscribe and ping; it never unsubscribes from what it has not subscribed to on this connection."""

    event_types: tuple[str, ...] = EVENT_TYPES
    pings: float = 0.2
    """Share of pings among its messages."""
    unsubscribes: float = 0.3
    """Share of unsubscriptions among the rest, while there is something to unsubscribe from."""
    at_once: int = 3
    """The most event types that one message names."""

    def __post_init__(self) -> None:
        super().__post_init__()
        types = self.event_types
        if isinstance(types, str) or not types or not all(_is_event_type(one) for one in types):
            raise ConfigError(
                "expected a tuple of event types made of letters, digits, ':', '_' and '-'",
                key="event_types",
                value=types,
            )
        check_share("pings", self.pings)
        check_share("unsubscribes", self.unsubscribes)
        if not isinstance(self.at_once, int) or isinstance(self.at_once, bool) or self.at_once < 1:
            raise ConfigError("expected a whole number of at least 1", key="at_once", value=self.at_once)

    def bind(self, rng: random.Random, client_id: str) -> BoundGenerator:
        return self.with_metadata(self.subscriptions(rng), rng)

    def subscriptions(self, rng: random.Random) -> BoundEvent:
        """One user's subscriptions, without metadata, with their single steps open to other generators."""
        return BoundEvent(rng, list(dict.fromkeys(self.event_types)), self.pings, self.unsubscribes, self.at_once)


class BoundEvent:
    """One user's subscriptions: what it has asked for on this connection, and what it has not."""

    __slots__ = ("_all", "_at_once", "_pings", "_random", "_subscribed", "_unsubscribes", "_unused")

    def __init__(
        self, rng: random.Random, event_types: list[str], pings: float, unsubscribes: float, at_once: int
    ) -> None:
        self._random = rng.random
        self._all = event_types
        self._pings = pings
        self._unsubscribes = unsubscribes
        self._at_once = at_once
        self._forget()

    def disconnected(self, channel: str | None = ALL) -> None:
        if channel in (None, ALL):
            self._forget()

    def _forget(self) -> None:
        self._unused = self._all.copy()
        self._subscribed: list[str] = []

    def generate(self) -> Message:
        if self._random() < self._pings:
            return ping()
        if not self._unused or (self._subscribed and self._random() < self._unsubscribes):
            return self._unsubscribe(self._taken(self._subscribed))
        return self.subscribe()

    def subscribe(self) -> Message:
        """Subscribe to some types not yet subscribed to; to all of them again if there is none."""
        types = self._taken(self._unused) if self._unused else self._subscribed.copy()
        self._subscribed += [one for one in types if one not in self._subscribed]
        return Message("subscribe", {"type": "subscribe", "event_types": types}, reply=_SUBSCRIBED)

    def unsubscribe_all(self) -> Message | None:
        """Unsubscribe from everything subscribed to; None if there is nothing."""
        types, self._subscribed = self._subscribed, []
        return self._unsubscribe(types) if types else None

    def _unsubscribe(self, types: list[str]) -> Message:
        self._unused += types
        return Message("unsubscribe", {"type": "unsubscribe", "event_types": types.copy()}, reply=_UNSUBSCRIBED)

    def _taken(self, types: list[str]) -> list[str]:
        """One to ``at_once`` entries, drawn and removed from ``types``, which is not empty."""
        number = 1 + int(self._random() * min(self._at_once, len(types)))
        return [types.pop(int(self._random() * len(types))) for _ in range(number)]


def _is_event_type(value: object) -> bool:
    return isinstance(value, str) and _EVENT_TYPE.fullmatch(value) is not None
