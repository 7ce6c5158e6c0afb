"""`Mixed`: several generators by weight."""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from locust_ext.core.messages.custom import bind, check
from locust_ext.core.messages.message import ALL, BoundGenerator, Message
from locust_ext.core.messages.metadata import WithMetadata
from locust_ext.core.messages.payload import Sizes
from locust_ext.core.messages.weights import bounds, check_weight
from locust_ext.errors import ConfigError

_DEFAULT: Final = {"event": 3, "command": 3, "query": 2, "ping": 1}


@dataclass(frozen=True)
class Mixed(WithMetadata):
    """Each message from one of its parts, chosen by weight.

    ``weights`` is a mapping, or pairs: a part is a name of the table ``GENERATORS``, a generator, or whatever else may
    be a user's generator; a weight is a number of at least 0.
    """

    weights: Mapping[Any, float] | Iterable[tuple[Any, float]] = field(default_factory=lambda: dict(_DEFAULT))
    payload_bytes: Sizes | None = None
    """Size of a payload text in the parts given by the names ``command`` and ``query``; None: no such text."""
    parts: tuple[tuple[Any, float], ...] = field(init=False, repr=False)
    """The parts that can be chosen, with their weights."""

    def __post_init__(self) -> None:
        super().__post_init__()
        expected = "expected weights by name or generator, such as {'event': 3, 'ping': 1}"
        if isinstance(self.weights, (str, bytes)) or not isinstance(self.weights, (Mapping, Iterable)):
            raise ConfigError(expected, key="weights", value=self.weights)
        pairs = list(self.weights.items() if isinstance(self.weights, Mapping) else self.weights)
        parts: list[tuple[Any, float]] = []
        for pair in pairs:
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise ConfigError(expected, key="weights", value=pair)
            part, weight = pair
            key = f"weights.{part}" if isinstance(part, str) else "weights"
            checked = _checked(part, key)
            if check_weight(key, weight) > 0:
                parts.append((self._with_payload(checked), float(weight)))
        if not parts:
            raise ConfigError("expected at least one weight above 0", key="weights", value=self.weights)
        object.__setattr__(self, "parts", tuple(parts))

    def _with_payload(self, part: Any) -> Any:
        from locust_ext.core.messages.command import Command
        from locust_ext.core.messages.query import Query

        if self.payload_bytes is not None and part in ("command", "query"):
            return (Command if part == "command" else Query)(payload_bytes=self.payload_bytes)
        return part

    def bind(self, rng: random.Random, client_id: str) -> BoundGenerator:
        bound = [bind(part, rng, client_id) for part, _ in self.parts]
        return self.with_metadata(BoundMixed(rng, bound, [weight for _, weight in self.parts]), rng)


def _checked(part: Any, key: str) -> Any:
    """``part`` as a generator; ``ConfigError`` names the part of the mix that is wrong."""
    try:
        return check(part)
    except ConfigError as error:
        raise ConfigError(
            error.expected,
            key=key if error.key == "generator" else f"{key}.{error.key}",
            value=error.value,
            nearest=error.nearest,
        ) from None


class BoundMixed:
    """One user's mix, over generators that are bound already."""

    __slots__ = ("_bounds", "_generates", "_parts", "_random")

    def __init__(self, rng: random.Random, parts: Sequence[BoundGenerator], weights: Sequence[float]) -> None:
        self._random = rng.random
        self._parts = parts
        self._bounds = bounds(weights)
        self._generates = [part.generate for part in parts]

    def generate(self) -> Message:
        return self._generates[bisect(self._bounds, self._random())]()

    def disconnected(self, channel: str | None = ALL) -> None:
        for part in self._parts:
            part.disconnected(channel)
