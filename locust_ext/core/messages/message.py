"""`Message`, the unit that generators produce and users perform, and the two forms a generator may have."""

from __future__ import annotations

import random
from typing import Any, Final, Protocol, runtime_checkable

ALL: Final = "*"
"""Stands for all channels of a user."""

JSON = dict[str, Any] | list[Any]


class Message:
    """One thing to say: its statistics name, its body, and what is expected back.

    ``body`` is encoded by the user's ``encode``, unless it is ``str`` or ``bytes``, which go out as they are.
    """

    __slots__ = ("body", "channel", "name", "one_way", "reply")

    def __init__(
        self,
        name: str,
        body: JSON | str | bytes,
        *,
        reply: tuple[str, ...] = (),
        one_way: bool = False,
        channel: str | None = None,
    ) -> None:
        self.name = name
        self.body = body
        self.reply = reply
        """Types (or events) of the replies that answer it; empty: the user's correlation decides."""
        self.one_way = one_way
        """True: no reply is expected; it is recorded as ``SEND``."""
        self.channel = channel
        """Which of the user's channels carries it (``agent``, ``monitor``, ``live``, ``http``); None: the main one."""

    def __repr__(self) -> str:
        return f"Message({self.name!r}, {self.body!r}, channel={self.channel!r}, one_way={self.one_way})"


@runtime_checkable
class BoundGenerator(Protocol):
    """A generator that belongs to one user: it has that user's state (sequence, subscriptions) and random numbers."""

    def generate(self) -> Message: ...

    def disconnected(self, channel: str | None = ALL) -> None:
        """The connection of ``channel`` is gone (None: the main one, `ALL`: all), and with it what the server knew."""
        ...


class TimedGenerator(BoundGenerator, Protocol):
    """A bound generator that says itself when its next message is due; its `MessageGenerator` has ``is_timed = True``."""

    def next_due_s(self, due_s: float, ended_s: float) -> float:
        """Monotonic seconds, after a message that was due at ``due_s`` and has ended at ``ended_s``; infinite: never.

        Before the first message of a connection: that opened at ``ended_s``.
        """
        ...


@runtime_checkable
class MessageGenerator(Protocol):
    """What a user class names as its ``generator``; shared by all its instances, so it keeps no state."""

    def bind(self, rng: random.Random, client_id: str) -> BoundGenerator: ...
