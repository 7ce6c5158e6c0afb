"""Counts of the messages of one event that the server sent unasked, while they are being written."""

from __future__ import annotations

from locust_ext.core.accounting.fanout import Joined
from locust_ext.core.accounting.histogram import Histogram
from locust_ext.model import PushStats


class PushCount:
    """Mutable twin of `PushStats`."""

    __slots__ = ("bytes_received", "event", "expected", "lag", "reached", "received", "spread")

    def __init__(self, event: str) -> None:
        self.event = event
        self.received = 0
        self.bytes_received = 0
        self.expected = 0
        self.reached = 0
        self.lag = Histogram()
        self.spread = Histogram()

    def add(self, fan_out: Joined) -> None:
        """One fan-out is over."""
        self.expected += fan_out.expected
        self.reached += fan_out.reached
        self.lag.merge(fan_out.lag)
        if fan_out.spread_us is not None:
            self.spread.record(fan_out.spread_us)

    def merge(self, stats: PushStats) -> None:
        self.received += stats.received
        self.bytes_received += stats.bytes_received
        self.expected += stats.expected or 0
        self.reached += stats.reached or 0
        if stats.lag is not None:
            self.lag.merge(stats.lag)
        if stats.spread is not None:
            self.spread.merge(stats.spread)

    def subtract(self, stats: PushStats) -> None:
        """Take out counts that were merged before."""
        self.received -= stats.received
        self.bytes_received -= stats.bytes_received
        self.expected -= stats.expected or 0
        self.reached -= stats.reached or 0
        if stats.lag is not None:
            self.lag.subtract(stats.lag)
        if stats.spread is not None:
            self.spread.subtract(stats.spread)

    @property
    def size(self) -> int:
        """How much work it is to add it somewhere, in buckets."""
        return 20 + len(self.lag.buckets) + len(self.spread.buckets)

    @property
    def is_empty(self) -> bool:
        return not (self.received or self.expected or self.spread.count or self.lag.count)

    def freeze(self) -> PushStats:
        """What it holds now, which does not change any more; what was never known is None."""
        expected, reached = (self.expected, self.reached) if self.expected else (None, None)
        return PushStats(
            self.event,
            self.received,
            self.bytes_received,
            self.lag.freeze() if self.lag.count else None,
            expected,
            reached,
            self.spread.freeze() if self.spread.count else None,
        )
