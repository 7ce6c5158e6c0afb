"""`Realistic`: a visit from its beginning to its end, as the clients of the agent channel make them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from locust_ext.core.messages.event import BoundEvent, Event
from locust_ext.core.messages.message import ALL, BoundGenerator, Message
from locust_ext.core.messages.metadata import WithMetadata
from locust_ext.core.messages.mixed import BoundMixed, Mixed
from locust_ext.core.messages.monitoring import BoundMonitoring, Monitoring
from locust_ext.core.messages.payload import sizer
from locust_ext.errors import ConfigError

STEADY_MIX: Final = {"command": 3.0, "query": 2.0, "event": 3.0, "monitoring": 0.5, "ping": 1.0}


@dataclass(frozen=True)
class Realistic(WithMetadata):
    """Startup, steady state, shutdown, and again: subscribe, start monitoring, query, then the mix, then take back.

    It stops only the session that it started and unsubscribes only from what it has subscribed to: the ``event`` and
    ``monitoring`` parts of the mix share the subscriptions and the session with startup and shutdown. A reconnect
    begins with the startup. Some messages go to the ``monitor`` channel, unless ``monitors`` is False and the mix has
    no ``monitoring``.
    """

    mix: Mapping[Any, float] = field(default_factory=lambda: dict(STEADY_MIX))
    """Weights of the steady state, as for `Mixed`."""
    steady: int | tuple[int, int] | None = (50, 200)
    """Messages of the steady state before the shutdown; None: it never ends."""
    queries: int = 2
    """Queries of the startup."""
    monitors: bool = True
    """False: no monitoring session at the startup."""
    events: Event = field(default_factory=Event)
    monitoring: Monitoring = field(default_factory=Monitoring)

    def __post_init__(self) -> None:
        super().__post_init__()
        Mixed(self.mix)
        if self.steady is not None:
            sizer_error = "expected a whole number, a pair (low, high) of them, or None for no end"
            try:
                sizer("steady", self.steady)
            except ConfigError:
                raise ConfigError(sizer_error, key="steady", value=self.steady) from None
        if not isinstance(self.queries, int) or isinstance(self.queries, bool) or self.queries < 0:
            raise ConfigError("expected a whole number of at least 0", key="queries", value=self.queries)
        if not isinstance(self.events, Event):
            raise ConfigError("expected an Event generator", key="events", value=self.events)
        if not isinstance(self.monitoring, Monitoring):
            raise ConfigError("expected a Monitoring generator", key="monitoring", value=self.monitoring)

    def bind(self, rng: random.Random, client_id: str) -> BoundGenerator:
        from locust_ext.core.messages.custom import bind

        events, session = self.events.subscriptions(rng), self.monitoring.session(rng)
        shared: dict[Any, BoundGenerator] = {"event": events, "monitoring": session}
        parts = Mixed(self.mix).parts
        mix = BoundMixed(
            rng,
            [
                shared[part] if isinstance(part, str) and part in shared else bind(part, rng, client_id)
                for part, _ in parts
            ],
            [weight for _, weight in parts],
        )
        query = bind("query", rng, client_id)
        return self.with_metadata(BoundRealistic(rng, self, events, session, query, mix), rng)


class BoundRealistic:
    """One user's visit."""

    __slots__ = ("_events", "_mix", "_options", "_query", "_rng", "_session", "_size", "_visit")

    def __init__(
        self,
        rng: random.Random,
        options: Realistic,
        events: BoundEvent,
        session: BoundMonitoring,
        query: BoundGenerator,
        mix: BoundMixed,
    ) -> None:
        self._rng = rng
        self._options = options
        self._events = events
        self._session = session
        self._query = query
        self._mix = mix
        self._size: Callable[[random.Random], int] | None = None
        if options.steady is not None:
            self._size = sizer("steady", options.steady)
        self._visit = self._visits()

    def disconnected(self, channel: str | None = ALL) -> None:
        for part in (self._events, self._session, self._mix, self._query):
            part.disconnected(channel)
        if channel in (None, ALL):
            self._visit = self._visits()

    def generate(self) -> Message:
        return next(self._visit)

    def farewell(self) -> list[Message]:
        """What takes back all that is open, for a user that is about to leave. The next message begins a new visit."""
        messages = []
        if (unsubscribe := self._events.unsubscribe_all()) is not None:
            messages.append(unsubscribe)
        if self._session.is_started:
            messages.append(self._session.stop())
        self._visit = self._visits()
        return messages

    def _visits(self) -> Iterator[Message]:
        while True:
            yield self._events.subscribe()
            if self._options.monitors and not self._session.is_started:
                yield self._session.start()
            for _ in range(self._options.queries):
                yield self._query.generate()
            left = self._size(self._rng) if self._size is not None else -1
            while left:
                yield self._mix.generate()
                left -= 1
            if (unsubscribe := self._events.unsubscribe_all()) is not None:
                yield unsubscribe
            if self._session.is_started:
                yield self._session.stop()
