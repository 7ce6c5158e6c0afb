"""One request and its outcome, the verdicts on arrivals, and what a rule of correlation has to be."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Final, Protocol, runtime_checkable

REPLY: Final = 0
"""The arrival answers the exchange given with it."""
ERROR: Final = 1
"""The arrival is an error that answers the exchange given with it: a failed request (``error_reply``)."""
PUSH: Final = 2
"""The server sent it unasked."""
LATE: Final = 3
"""It answers a request that has expired or was cancelled before; that exchange is given with it where it is known."""
DUPLICATE: Final = 4
"""It answers a request that was answered before."""
UNMATCHED: Final = 5
"""It can only be a reply, and no request is open that it could answer."""

OPEN: Final = 0
ANSWERED: Final = 1
FAILED: Final = 2
"""Answered by an error."""
EXPIRED: Final = 3
CANCELLED: Final = 4
LOST: Final = 5
"""The connection went first."""


class Exchange:
    """One request and its outcome; the runtime subclasses it and adds slots of its own (waiter, size, tags)."""

    __slots__ = ("deadline_s", "key", "name", "sent_s", "serial", "state", "type")

    def __init__(self, key: Hashable, type: str, name: str, sent_s: float, deadline_s: float) -> None:
        self.key = key
        self.type = type
        self.name = name
        self.sent_s = sent_s
        """Monotonic seconds of the actual send."""
        self.deadline_s = deadline_s
        """Monotonic seconds; fixed from ``add`` on."""
        self.state = OPEN
        self.serial = 0
        """Place in the order of sending on this connection; set by ``PendingTable.add``."""

    def __repr__(self) -> str:
        return f"Exchange({self.key!r}, {self.type!r}, {self.name!r}, state={self.state})"


Match = tuple[int, Exchange | None]
"""A verdict (``REPLY`` … ``UNMATCHED``) and the exchange that it concerns."""


@runtime_checkable
class Correlation(Protocol):
    """How requests and replies of a protocol are told to belong together.

    Stateless: a user class names one, and all its connections share it. Optional attributes refine what happens to an
    arrival whose key has no open request: ``unasked`` (default ``PUSH``) is its verdict if that key was not answered
    before on this connection; ``remembers`` (default True): otherwise it is a ``DUPLICATE``; ``unique_keys`` (default
    False): no key is used for a second request, so that nothing is kept in order; ``numbers_are_ids`` (default False):
    that holds for the keys that are integers.
    """

    in_order: bool
    """True: the replies carry no id and come in the order of the requests, whatever their keys."""

    def outgoing(self, message: Any, next_id: Callable[[], int]) -> tuple[Any, Hashable]:
        """The message to send (a copy, if an id had to be put in) and the key to wait for.

        Key None: no reply will ever come, send it one-way. ``next_id`` gives integers that are unique, also over connections.
        Raises ``ConfigError`` for a message that cannot be a request of this protocol.
        """
        ...

    def incoming(self, reply: Any) -> Hashable | None:
        """The key that this arrival answers, ``OLDEST``, an ``ErrorFor``, or None: no reply but a push.

        Called in the event loop for whatever the server sends: it may not raise.
        """
        ...


class _Oldest:
    __slots__ = ()

    def __repr__(self) -> str:
        return "OLDEST"


OLDEST: Final = _Oldest()
"""Key of an error that names no cause: it answers the oldest open request of the connection, whatever its key."""

WITHOUT_REPLY: Final = ("without reply",)
"""Key of a request that only an error can answer."""


class ErrorFor:
    """Key of an error that names its cause; if that request was answered before, the error is a push about it."""

    __slots__ = ("key",)

    def __init__(self, key: Hashable) -> None:
        self.key = key
