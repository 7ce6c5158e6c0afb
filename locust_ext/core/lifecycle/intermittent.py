"""`Intermittent`: people who come, stay a while, go away and come back."""

from __future__ import annotations

import random
from dataclasses import dataclass

from locust_ext.core.lifecycle.actions import Action, Actions, Connected, Disconnect, Pause, Send
from locust_ext.core.lifecycle.backoff import Reconnecting, connect, is_gone
from locust_ext.core.lifecycle.ranges import Span, check_limit, draw, span


@dataclass(frozen=True)
class Intermittent(Reconnecting):
    """Connected for ``connected_s`` seconds, then away for ``away_s`` seconds, again and again.

    A stay is counted from the moment the connection first opened. A connection lost in the middle is opened again for
    the rest of the stay, unless the backoff outlasts it.
    """

    connected_s: Span = (60.0, 300.0)
    away_s: Span = (5.0, 30.0)
    cycles: int | None = None
    """How many stays; None: without end. After the last one the user leaves in order and the pattern ends."""
    talks: bool = True
    """False: only listen while connected."""

    def __post_init__(self) -> None:
        super().__post_init__()
        span("connected_s", self.connected_s)
        span("away_s", self.away_s)
        check_limit("cycles", self.cycles)

    def actions(self, rng: random.Random, now_s: float) -> Actions:
        """A fresh conversation for one user."""
        reconnection = self.reconnection(rng)
        connected_s, away_s = span("connected_s", self.connected_s), span("away_s", self.away_s)
        stays = 0
        while True:
            opened = yield from connect(reconnection)
            if opened is None:
                return
            now_s = opened.now_s
            end_s = now_s + draw(rng, connected_s)
            while opened is not None and now_s < end_s:
                action: Action = Send(until_s=end_s) if self.talks else Pause(end_s - now_s)
                outcome = yield action
                now_s = outcome.now_s
                if is_gone(outcome):
                    opened = yield from connect(reconnection, after=outcome, until_s=end_s)
                    now_s = opened.now_s if isinstance(opened, Connected) else end_s
            if reconnection.gave_up:
                return
            if opened is not None:
                yield Disconnect()
                reconnection.left()
            stays += 1
            if stays == self.cycles:
                return
            yield Pause(draw(rng, away_s))
