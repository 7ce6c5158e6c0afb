"""`InTurn`: several generators, one after the other, round and round."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Final

from locust_ext.core.messages.custom import bind, check
from locust_ext.core.messages.message import ALL, BoundGenerator, Message
from locust_ext.core.messages.metadata import WithMetadata
from locust_ext.errors import ConfigError

_DEFAULT: Final = ("ping", "heartbeat", "command", "query", "event")


@dataclass(frozen=True)
class InTurn(WithMetadata):
    """A message from each of its steps in turn: nothing of the order is left to chance, as it is in `Mixed`.

    A step is a name of the table ``GENERATORS``, a generator, or whatever else may be a user's generator; a name that
    stands twice is two steps with one memory each. Each user begins with the first step; after a reconnect it goes on.
    """

    steps: Sequence[Any] = _DEFAULT

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.steps, (str, bytes)) or not isinstance(self.steps, Sequence) or not self.steps:
            raise ConfigError("expected a list of generators, such as ['ping', 'query']", key="steps", value=self.steps)
        checked = []
        for index, step in enumerate(self.steps):
            try:
                checked.append(check(step))
            except ConfigError as error:
                key = f"steps[{index}]" if error.key == "generator" else f"steps[{index}].{error.key}"
                raise ConfigError(error.expected, key=key, value=error.value, nearest=error.nearest) from None
        object.__setattr__(self, "steps", tuple(checked))

    def bind(self, rng: random.Random, client_id: str) -> BoundGenerator:
        return self.with_metadata(BoundInTurn([bind(step, rng, client_id) for step in self.steps]), rng)


class BoundInTurn:
    """One user's steps, over generators that are bound already."""

    __slots__ = ("_next", "_steps")

    def __init__(self, steps: Sequence[BoundGenerator]) -> None:
        self._steps = steps
        self._next = cycle([step.generate for step in steps]).__next__

    def generate(self) -> Message:
        return self._next()()

    def disconnected(self, channel: str | None = ALL) -> None:
        for step in self._steps:
            step.disconnected(channel)
