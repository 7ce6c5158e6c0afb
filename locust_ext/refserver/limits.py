"""Limits of the agent and monitor channels: on an address's connects, an account's connections, a connection's rate."""

from __future__ import annotations

from collections import Counter, deque


class ConnectLimit:
    """At most ``per_minute`` connects of one address within any 60 s; None: any number. Refused ones count too."""

    def __init__(self, per_minute: int | None) -> None:
        self._per_minute = per_minute
        self._times: dict[str, deque[float]] = {}

    def admits(self, address: str, now: float) -> bool:
        """Count one connect at ``now`` (monotonic seconds); False if it is one too many."""
        if self._per_minute is None:
            return True
        times = self._times.setdefault(address, deque(maxlen=self._per_minute + 1))
        times.append(now)
        return len(times) <= self._per_minute or now - times[0] > 60


class AccountLimit:
    """At most ``per_account`` connections of one account at a time; clients without an account are unlimited."""

    def __init__(self, per_account: int) -> None:
        self._per_account = per_account
        self._open: Counter[str] = Counter()

    def enter(self, account: str | None) -> bool:
        """Take a place; False if none is free. Each True is given back by one ``leave()``."""
        if account is None:
            return True
        if self._open[account] >= self._per_account:
            return False
        self._open[account] += 1
        return True

    def leave(self, account: str | None) -> None:
        """Give a place back."""
        if account is not None:
            self._open[account] -= 1
            if not self._open[account]:
                del self._open[account]


class MessageRate:
    """A token bucket: ``per_s`` messages a second on average, one second's worth (at least one) at once; None: any."""

    __slots__ = ("_burst", "_filled_at", "_level", "_per_s")

    def __init__(self, per_s: float | None, now: float) -> None:
        self._per_s = per_s
        self._burst = max(1.0, per_s or 0.0)
        self._level = self._burst
        self._filled_at = now

    def admits(self, now: float) -> bool:
        """Count one message at ``now`` (monotonic seconds); False if it came too fast."""
        if self._per_s is None:
            return True
        self._level = min(self._burst, self._level + (now - self._filled_at) * self._per_s)
        self._filled_at = now
        if self._level < 1:
            return False
        self._level -= 1
        return True
