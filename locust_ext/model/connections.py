"""What became of connections; a part of the model (`locust_ext.model`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from locust_ext.model.distribution import EMPTY, Distribution


@dataclass(frozen=True, slots=True)
class ConnectionTotals:
    """What each connection came to by its end (or by the end of the run), a sample a connection.

    Plain numbers: where a `Distribution` says `_us`, it means the unit in the name of the field.
    """

    lifetime_ms: Distribution = EMPTY
    messages_sent: Distribution = EMPTY
    messages_received: Distribution = EMPTY
    bytes_sent: Distribution = EMPTY
    bytes_received: Distribution = EMPTY


NO_CONNECTIONS: Final = ConnectionTotals()


@dataclass(frozen=True, slots=True)
class RecoveryStats:
    """How long the connections of one channel were gone, each from its loss (or failed health check) to open again; of one
    that its first host refused, from the first try to open on another host.
    """

    user: str
    """Name of the user class."""
    channel: str
    """As in its CONNECTs: the path template."""
    time: Distribution = EMPTY
    """A sample for each connection that came back."""
    failovers: int = 0
    """How many of them came back on another host."""


@dataclass(frozen=True, slots=True)
class ConnectionStats:
    """Connections now. How many were opened, failed and dropped follows from the CONNECT and DROP operations."""

    states: Mapping[str, int] = field(default_factory=dict)
    """idle, connecting, open, closing, waiting (backoff), closed, failed -> connections; empty states are left out."""
    peak_open: int = 0
    """Most that were open at once; over several workers the sum of their peaks, an upper bound."""
    reconnects: int = 0
    closed_in_order: int = 0
    inbox_dropped: int = 0
    """Messages thrown away because a connection's inbox was full: its user read too slowly."""
    ended: ConnectionTotals = NO_CONNECTIONS
    handler_calls_dropped: int = 0
    """Pushes that a handler was never called for, because the handlers of their connection were too slow."""
    recoveries: tuple[RecoveryStats, ...] = ()
    """In the order of user classes and channels."""

    @property
    def recovery(self) -> Distribution:
        """The times to recover of all channels as one distribution."""
        return EMPTY.plus(*(each.time for each in self.recoveries))

    @property
    def failovers(self) -> int:
        return sum(each.failovers for each in self.recoveries)
