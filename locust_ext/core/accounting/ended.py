"""What each connection came to by its end, as distributions: never a row for each."""

from __future__ import annotations

from typing import Final, Protocol

from locust_ext.core.accounting.histogram import Histogram
from locust_ext.model import NO_CONNECTIONS, ConnectionTotals

FIGURES: Final = ("lifetime_ms", "messages_sent", "messages_received", "bytes_sent", "bytes_received")
"""The fields of `ConnectionTotals`."""


class CountedConnection(Protocol):
    """A connection, as far as its totals go."""

    messages_sent: int
    messages_received: int
    bytes_sent: int
    bytes_received: int

    @property
    def lifetime_s(self) -> float | None: ...


class EndedConnections:
    """Mutable twin of `ConnectionTotals`."""

    __slots__ = ("_histograms",)

    def __init__(self) -> None:
        self._histograms: tuple[Histogram, ...] = ()

    def _opened(self) -> tuple[Histogram, ...]:
        if not self._histograms:  # made at first use: most seconds of a run end no connection
            self._histograms = tuple(Histogram() for _ in FIGURES)
        return self._histograms

    def record(self, connection: CountedConnection) -> None:
        """One sample in each distribution."""
        lifetime_ms, messages_sent, messages_received, bytes_sent, bytes_received = self._opened()
        lifetime_ms.record(round((connection.lifetime_s or 0.0) * 1000))
        messages_sent.record(connection.messages_sent)
        messages_received.record(connection.messages_received)
        bytes_sent.record(connection.bytes_sent)
        bytes_received.record(connection.bytes_received)

    def merge(self, totals: ConnectionTotals) -> None:
        """Add another period or process."""
        if totals.lifetime_ms.count:
            for figure, histogram in zip(FIGURES, self._opened(), strict=True):
                histogram.merge(getattr(totals, figure))

    def subtract(self, totals: ConnectionTotals) -> None:
        """Take out what was merged before."""
        if totals.lifetime_ms.count:
            for figure, histogram in zip(FIGURES, self._opened(), strict=True):
                histogram.subtract(getattr(totals, figure))

    def freeze(self) -> ConnectionTotals:
        """What it holds now, which does not change any more."""
        if not self._histograms:
            return NO_CONNECTIONS
        return ConnectionTotals(*(histogram.freeze() for histogram in self._histograms))
