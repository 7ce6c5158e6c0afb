"""What a connection is told and what it tells: its settings, and the recorder as it sees it."""

from __future__ import annotations

from typing import Protocol

from locust_ext.core.accounting.ended import CountedConnection
from locust_ext.core.accounting.fanout import FanOuts


class TransportSettings:
    """Limits and keep-alive of a user class's connections; one object for all of them."""

    __slots__ = ("max_message_bytes", "ping_interval_s", "ping_timeout_s")

    def __init__(
        self, *, max_message_bytes: int = 16 * 2**20, ping_interval_s: float = 20.0, ping_timeout_s: float = 20.0
    ) -> None:
        self.max_message_bytes = max_message_bytes
        self.ping_interval_s = ping_interval_s
        """Seconds between keep-alive pings; 0: none are sent."""
        self.ping_timeout_s = ping_timeout_s


class Traffic(Protocol):
    """The process's counters of messages and payload bytes; the recorder owns them."""

    messages_sent: int
    messages_received: int
    bytes_sent: int
    bytes_received: int


class Facts(Protocol):
    """What a connection tells the recorder (`core.accounting.recorder`): the facts that Locust has no event for."""

    @property
    def traffic(self) -> Traffic: ...

    def connection_state(self, old: str | None, new: str | None) -> None: ...

    def started(self, type: str, name: str, tags: tuple[str, ...] = ()) -> None: ...

    def cancelled(self, type: str, name: str, tags: tuple[str, ...] = ()) -> None: ...

    def withdrawn(self, type: str, name: str, tags: tuple[str, ...] = ()) -> None: ...

    def late(self, type: str, name: str) -> None: ...

    def duplicate(self, type: str, name: str) -> None: ...

    def unmatched(self, type: str, name: str) -> None: ...

    def push(self, event: str, length: int, lag_us: int | None = None) -> None: ...

    def inbox_dropped(self) -> None: ...

    def handler_call_dropped(self) -> None: ...

    @property
    def fan_outs(self) -> FanOuts: ...

    def connection_opened(self, connection: CountedConnection) -> None: ...

    def connection_ended(self, connection: CountedConnection) -> None: ...
