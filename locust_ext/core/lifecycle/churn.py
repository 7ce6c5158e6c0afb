"""`Churn`: connect, one exchange, leave; for tests of the rate of connections."""

from __future__ import annotations

import random
from dataclasses import dataclass

from locust_ext.core.lifecycle.actions import Actions, Disconnect, Pause, Send
from locust_ext.core.lifecycle.backoff import Reconnecting, connect, is_gone
from locust_ext.core.lifecycle.ranges import Count, Span, check_limit, counts, draw, draw_count, span


@dataclass(frozen=True)
class Churn(Reconnecting):
    """Connect, say ``exchanges`` messages at once, close in order, wait ``pause_s`` seconds, again and again."""

    exchanges: Count = 1
    pause_s: Span = 0.0
    cycles: int | None = None
    """How many connections; None: without end."""

    def __post_init__(self) -> None:
        super().__post_init__()
        counts("exchanges", self.exchanges)
        span("pause_s", self.pause_s)
        check_limit("cycles", self.cycles)

    def actions(self, rng: random.Random, now_s: float) -> Actions:
        """A fresh conversation for one user."""
        reconnection = self.reconnection(rng)
        exchanges, pause_s = counts("exchanges", self.exchanges), span("pause_s", self.pause_s)
        cycles = 0
        opened = yield from connect(reconnection)
        while opened is not None:
            for _ in range(draw_count(rng, exchanges)):
                outcome = yield Send(paced=False)
                if is_gone(outcome):
                    break
            else:
                yield Disconnect()
                reconnection.left()
            cycles += 1
            if cycles == self.cycles:
                return
            if is_gone(outcome):
                opened = yield from connect(reconnection, after=outcome)
            else:
                yield Pause(draw(rng, pause_s))
                opened = yield from connect(reconnection)
