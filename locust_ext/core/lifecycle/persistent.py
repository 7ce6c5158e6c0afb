"""`Persistent`: connected for as long as the user lives; the default."""

from __future__ import annotations

import random
from dataclasses import dataclass

from locust_ext.core.lifecycle.actions import Action, Actions, Pause, Send, Sent
from locust_ext.core.lifecycle.backoff import Reconnecting, connect, is_gone


@dataclass(frozen=True)
class Persistent(Reconnecting):
    """Connect, talk without end, and reconnect with full jitter after a loss."""

    talks: bool = True
    """False: say nothing of its own and only keep the connection open; tasks, pings and heartbeats use it."""

    def actions(self, rng: random.Random, now_s: float) -> Actions:
        """A fresh conversation for one user."""
        reconnection = self.reconnection(rng)
        stay: Action = Send() if self.talks else Pause(None)
        opened = yield from connect(reconnection)
        while opened is not None:
            outcome = yield stay
            if type(outcome) is not Sent and is_gone(outcome):  # the first question saves the call, for each message
                opened = yield from connect(reconnection, after=outcome)
