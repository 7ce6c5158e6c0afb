"""What a lifecycle pattern asks for, and what it is told: the two alphabets of the conversation with the driver.

A pattern's ``actions(rng, now_s)`` is a generator: it yields an action, the driver performs it and sends the outcome
back. Every outcome carries ``now_s`` (monotonic seconds), so that a pattern needs no clock and its test no socket.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Connect:
    """Open the user's connection. Outcomes: ``Connected``, ``Refused``."""

    host: str | None = None
    """Another base address than the user's own (failover); None: the user's own."""


@dataclass(frozen=True, slots=True)
class Send:
    """Perform the generator's next message when the pacing says that it is due.

    Outcomes: ``Sent`` (also if the operation failed: that is recorded elsewhere), ``Rested`` if nothing was due before
    ``until_s``, ``Lost`` if the connection went.
    """

    until_s: float | None = None
    """Monotonic seconds after which no new message starts; None: no such end."""
    paced: bool = True
    """False: send at once, whatever the user's pacing says (a burst keeps its own interval)."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing for ``for_s`` seconds; None: until the connection is lost or the user stopped.

    Outcomes: ``Rested``, or ``Lost`` if an open connection went meanwhile.
    """

    for_s: float | None
    backoff: bool = False
    """True: a backoff after a failure (connection state ``waiting``); False: the user's own rest (``idle``)."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close the connection in order. Outcome: ``Disconnected``."""

    code: int = 1000


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Connect no more: the connection's state becomes ``failed``, the user stays. Nothing may follow it."""

    error_class: str


Action = Connect | Send | Pause | Disconnect | GiveUp


@dataclass(frozen=True, slots=True)
class Connected:
    now_s: float


@dataclass(frozen=True, slots=True)
class Refused:
    """The connection could not be opened."""

    now_s: float
    error_class: str
    retry_after_s: float | None = None
    """What the server asked for (``Retry-After``), in seconds from now."""
    rule: str | None = None
    """The rule that it falls under where its class does not say enough, such as ``tls_verification``; None: its class's."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The open connection went; ``error_class`` is ``closed_1000`` and the like for an orderly close by the server."""

    now_s: float
    error_class: str


@dataclass(slots=True, unsafe_hash=True)  # not frozen: one is made for each message, and freezing costs 1 µs
class Sent:
    now_s: float
    good: bool = True


@dataclass(frozen=True, slots=True)
class Rested:
    now_s: float


@dataclass(frozen=True, slots=True)
class Disconnected:
    now_s: float


Outcome = Connected | Refused | Lost | Sent | Rested | Disconnected
Actions = Generator[Action, Outcome, None]


@runtime_checkable
class LifecyclePattern(Protocol):
    """When to connect, talk, fall silent and return. One instance serves many users: it keeps no state of its own."""

    def actions(self, rng: random.Random, now_s: float) -> Actions:
        """A fresh conversation for one user; ``rng`` is that user's own."""
        ...
