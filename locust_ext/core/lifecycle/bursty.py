"""`Bursty`: many messages at once, then silence."""

from __future__ import annotations

import random
from dataclasses import dataclass

from locust_ext.core.lifecycle.actions import Actions, Connected, Disconnect, Pause, Send
from locust_ext.core.lifecycle.backoff import Reconnecting, connect, is_gone
from locust_ext.core.lifecycle.ranges import Count, Span, check_limit, counts, draw, draw_count, span


@dataclass(frozen=True)
class Bursty(Reconnecting):
    """Bursts of ``messages`` messages, ``interval_s`` apart, with ``idle_s`` seconds of silence between the bursts.

    A burst keeps its own interval, whatever the user's pacing says. After a loss the rest of the burst, or of the
    silence, follows on the new connection; the message that was under way counts as sent.
    """

    messages: Count = 10
    interval_s: Span = 0.05
    idle_s: Span = (5.0, 30.0)
    cycles: int | None = None
    """How many bursts; None: without end. After the last one the user leaves in order and the pattern ends."""
    stays_connected: bool = True
    """False: close the connection for the silence, and connect anew for each burst."""

    def __post_init__(self) -> None:
        super().__post_init__()
        counts("messages", self.messages)
        span("interval_s", self.interval_s)
        span("idle_s", self.idle_s)
        check_limit("cycles", self.cycles)

    def actions(self, rng: random.Random, now_s: float) -> Actions:
        """A fresh conversation for one user."""
        reconnection = self.reconnection(rng)
        messages = counts("messages", self.messages)
        interval_s, idle_s = span("interval_s", self.interval_s), span("idle_s", self.idle_s)
        bursts = 0
        opened: Connected | None = None
        while True:
            if opened is None:
                opened = yield from connect(reconnection)
            left = draw_count(rng, messages)
            while left and opened is not None:
                outcome = yield Send(paced=False)
                left -= 1
                wait_s = draw(rng, interval_s)
                if left and wait_s > 0 and not is_gone(outcome):
                    outcome = yield Pause(wait_s)
                if is_gone(outcome):
                    opened = yield from connect(reconnection, after=outcome)
            if opened is None:
                return
            bursts += 1
            if bursts == self.cycles:
                yield Disconnect()
                return
            rest_s = draw(rng, idle_s)
            if not self.stays_connected:
                yield Disconnect()
                reconnection.left()
                opened = None
                yield Pause(rest_s)
                continue
            now_s = max(outcome.now_s, opened.now_s)
            end_s = now_s + rest_s
            while now_s < end_s:
                outcome = yield Pause(end_s - now_s)
                if not is_gone(outcome):
                    break
                opened = yield from connect(reconnection, after=outcome)
                if opened is None:
                    return
                now_s = opened.now_s
