"""How long connections were gone before they were open again, by user class and channel, while it is being counted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from locust_ext.core.accounting.histogram import Histogram
from locust_ext.core.accounting.names import clean
from locust_ext.model import OTHER, RecoveryStats

MAX_CHANNELS: Final = 100
"""Pairs of user class and channel that are kept apart; what comes later counts as `OTHER`."""


class Recoveries:
    """Mutable twin of `ConnectionStats.recoveries`."""

    __slots__ = ("_failovers", "_times")

    def __init__(self) -> None:
        self._times: dict[tuple[str, str], Histogram] = {}
        self._failovers: dict[tuple[str, str], int] = {}

    def record(self, user: str, channel: str, took_us: int, is_failover: bool) -> None:
        """A channel is open again, `took_us` after its loss; `is_failover`: on another host than before."""
        key = self._key((clean(user), clean(channel)))
        self._times[key].record(took_us)
        self._failovers[key] += is_failover

    def _key(self, key: tuple[str, str]) -> tuple[str, str]:
        if key not in self._times:
            if len(self._times) >= MAX_CHANNELS:
                key = (OTHER, OTHER)
            self._times.setdefault(key, Histogram())
            self._failovers.setdefault(key, 0)
        return key

    def merge(self, found: Iterable[RecoveryStats]) -> None:
        """Add another period or process."""
        for each in found:
            key = self._key((each.user, each.channel))
            self._times[key].merge(each.time)
            self._failovers[key] += each.failovers

    def subtract(self, found: Iterable[RecoveryStats]) -> None:
        """Take out what was merged before."""
        for each in found:
            key = self._key((each.user, each.channel))
            self._times[key].subtract(each.time)
            self._failovers[key] -= each.failovers  # the key stays: what went to `OTHER` must be found there again

    def freeze(self) -> tuple[RecoveryStats, ...]:
        """What it holds now, in the order of names; it does not change any more."""
        return tuple(
            RecoveryStats(*key, self._times[key].freeze(), self._failovers[key])
            for key in sorted(self._times)
            if self._times[key].count
        )

    @property
    def is_empty(self) -> bool:
        return not any(histogram.count for histogram in self._times.values())
