"""Metadata on request: `id`, `timestamp` and `sequence` in each message of a generator."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from locust_ext.core.messages.message import ALL, BoundGenerator, Message
from locust_ext.errors import ConfigError


def uuid_text(rng: random.Random) -> str:
    """A version 4 UUID (RFC 9562 §5.4) from ``rng``, so that the same seed gives the same ids."""
    digits = f"{rng.getrandbits(128):032x}"
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def iso_time(epoch_s: float) -> str:
    """ISO 8601 in UTC with milliseconds, as browsers write it."""
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, kw_only=True)
class WithMetadata:
    """What the generators have in common that can add metadata to their messages."""

    metadata: bool = False
    """True: each body that is an object gets ``id``, ``timestamp`` and ``sequence`` (from 1, counted for each user)."""
    now: Callable[[], float] | None = None
    """Where ``timestamp`` comes from: a function that gives the seconds since 1970, such as ``time.time``."""

    def __post_init__(self) -> None:
        if self.metadata and not callable(self.now):
            raise ConfigError("metadata needs a clock, such as now=time.time", key="now", value=self.now)

    def with_metadata(self, bound: BoundGenerator, rng: random.Random) -> BoundGenerator:
        """``bound``, or if metadata is asked for, a generator that adds it to what ``bound`` generates."""
        if self.metadata and self.now is not None:
            return BoundMetadata(bound, rng, self.now)
        return bound


class BoundMetadata:
    """One user's generator whose messages get metadata. What a body has already is kept."""

    __slots__ = ("_bound", "_now", "_rng", "_sequence")

    def __init__(self, bound: BoundGenerator, rng: random.Random, now: Callable[[], float]) -> None:
        self._bound = bound
        self._rng = rng
        self._now = now
        self._sequence = 0

    def generate(self) -> Message:
        message = self._bound.generate()
        body = message.body
        self._sequence += 1
        if isinstance(body, dict):
            body.setdefault("id", uuid_text(self._rng))
            body.setdefault("timestamp", iso_time(self._now()))
            body.setdefault("sequence", self._sequence)
        return message

    def disconnected(self, channel: str | None = ALL) -> None:
        self._bound.disconnected(channel)
