"""`Call`: one request from its sending to its outcome."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from gevent.hub import Waiter

from locust_ext.core.protocols.correlation import OPEN, Exchange
from locust_ext.errors import OperationError


class Call(Exchange):
    """One request from its sending to its outcome. ``error`` is None for a good one; ``reply`` is decoded."""

    __slots__ = ("ended_s", "error", "has_ended", "intended_s", "length", "on_done", "reply", "tags", "waiter")

    def __init__(
        self,
        key: Hashable,
        type_: str,
        name: str,
        sent_s: float,
        deadline_s: float,
        tags: tuple[str, ...] = (),
        intended_s: float | None = None,
    ) -> None:
        # As `Exchange.__init__` does it, without the call: one of these is made for each request.
        self.key = key
        self.type = type_
        self.name = name
        self.sent_s = sent_s
        self.deadline_s = deadline_s
        self.state = OPEN
        self.serial = 0
        self.intended_s: float | None = intended_s
        """When an open-loop schedule wanted it sent; None: unpaced."""
        self.tags = tags
        self.waiter: Waiter[None] | None = None
        self.on_done: Callable[[Call], None] | None = None
        self.reply: Any = None
        self.length = 0
        self.ended_s = 0.0
        self.error: OperationError | None = None
        self.has_ended = False

    @property
    def latency_us(self) -> int:
        """From the intended send (where there is one) to the reply, in microseconds."""
        return round((self.ended_s - (self.sent_s if self.intended_s is None else self.intended_s)) * 1e6)

    @property
    def service_us(self) -> int | None:
        """From the actual send to the reply; None for an unpaced request, where it is the same as `latency_us`."""
        return None if self.intended_s is None else round((self.ended_s - self.sent_s) * 1e6)
