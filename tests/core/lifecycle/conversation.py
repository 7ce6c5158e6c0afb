"""A pattern's conversation as a list of pairs: the action expected, and the outcome that is sent back."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from locust_ext.core.lifecycle import (
    Action,
    Connect,
    Connected,
    Disconnect,
    Disconnected,
    GiveUp,
    LifecyclePattern,
    Lost,
    Outcome,
    Pause,
    Refused,
    Rested,
    Send,
    Sent,
)

END = "the generator ended"


class Half(random.Random):
    """Chance that always lands in the middle: ``uniform(a, b)`` is their mean."""

    def random(self) -> float:
        return 0.5


def converse(pattern: LifecyclePattern, pairs: Sequence[tuple[Action | str, Outcome | None]]) -> None:
    """Assert that the pattern asks for exactly the actions of the pairs, in their order."""
    actions = pattern.actions(Half(), 0.0)
    action: Any = next(actions)
    for number, (expected, outcome) in enumerate(pairs):
        assert action == expected, f"pair {number}"
        if outcome is not None:
            try:
                action = actions.send(outcome)
            except StopIteration:
                action = END
    actions.close()


class World:
    """A fake clock and a scripted server: performs actions, and keeps what was asked and when."""

    def __init__(self, rng: random.Random, *, refuses: float = 0.0, loses: float = 0.0, error_class: str = "refused"):
        self.rng = rng
        self.refuses = refuses
        self.loses = loses
        self.error_class = error_class
        self.now_s = 0.0
        self.log: list[tuple[float, Action, Outcome]] = []
        self.is_open = False

    def perform(self, action: Action) -> Outcome:
        outcome = self._outcome(action)
        self.log.append((self.now_s, action, outcome))
        return outcome

    def _outcome(self, action: Action) -> Outcome:
        self.now_s += 0.001
        if isinstance(action, Connect):
            assert not self.is_open, "connects twice"
            if self.rng.random() < self.refuses:
                return Refused(self.now_s, self.error_class)
            self.is_open = True
            return Connected(self.now_s)
        if isinstance(action, Disconnect):
            assert self.is_open, "disconnects without a connection"
            self.is_open = False
            return Disconnected(self.now_s)
        if isinstance(action, GiveUp):
            self.is_open = False
            return Rested(self.now_s)
        if isinstance(action, Send):
            assert self.is_open, "sends without a connection"
        if self.is_open and self.rng.random() < self.loses:
            self.is_open = False
            return Lost(self.now_s, "reset")
        if isinstance(action, Send):
            self.now_s += self.rng.random()
            if action.until_s is not None and self.now_s >= action.until_s:
                return Rested(self.now_s)
            return Sent(self.now_s, good=self.rng.random() < 0.9)
        assert isinstance(action, Pause)
        self.now_s += 3600.0 if action.for_s is None else action.for_s
        return Rested(self.now_s)

    def run(self, pattern: LifecyclePattern, steps: int) -> None:
        actions = pattern.actions(self.rng, self.now_s)
        try:
            action = next(actions)
            for _ in range(steps):
                action = actions.send(self.perform(action))
        except StopIteration:
            pass
        actions.close()
