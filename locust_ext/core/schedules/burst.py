"""`Burst`: a base load, and on top of it again and again many users for a short time."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from locust_ext.core.lifecycle.ranges import check_count, check_limit
from locust_ext.core.schedules.plan import Piece, Plan, check_rate, check_seconds, seconds_text, users_text
from locust_ext.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Burst:
    """The base load alone for `idle_s`, then a burst, and so on; after the last burst the base load is alone once more."""

    burst_users: int
    """That come on top of the base load."""
    base_users: int = 0
    burst_s: float = 10.0
    """Seconds from the beginning of a burst until its users begin to leave."""
    idle_s: float = 20.0
    """Seconds between two bursts, before the first and after the last."""
    bursts: int | None = None
    """None: until ``--run-time`` is over, or the run is stopped."""
    rate: float | None = None
    """Users a second that come or go; None: all at once."""

    def __post_init__(self) -> None:
        check_count("burst_users", self.burst_users, at_least=1)
        check_count("base_users", self.base_users, at_least=0)
        check_seconds("burst_s", self.burst_s)
        check_seconds("idle_s", self.idle_s)
        check_limit("bursts", self.bursts)
        check_rate("rate", self.rate)
        if self._move_s(self.burst_users) > self.burst_s:
            raise ConfigError(
                f"expected a rate at which {self.burst_users} users have come within burst_s ({self.burst_s:g} s)",
                key="rate",
                value=self.rate,
            )

    def _move_s(self, users: int) -> float:
        return users / self.rate if self.rate else 0.0

    def plan(self) -> Plan:
        base, top = self.base_users, self.base_users + self.burst_users
        move_s, begin_s = self._move_s(self.burst_users), self._move_s(base)
        ends_s = inf
        if self.bursts is not None:
            ends_s = begin_s + self.bursts * (self.idle_s + self.burst_s + move_s) + self.idle_s
        return Plan(
            [
                Piece.level(self.idle_s, base),
                Piece(move_s, base, top),
                Piece.level(self.burst_s - move_s, top),
                Piece(move_s, top, base),
            ],
            lead=[Piece(begin_s, 0, base)],
            repeats=True,
            ends_s=ends_s,
        )

    @property
    def text(self) -> str:
        times = "" if self.bursts is None else f", {self.bursts:,} times"
        return (
            f"burst, {users_text(self.base_users)} and {self.burst_users:,} more for {seconds_text(self.burst_s)} "
            f"after each {seconds_text(self.idle_s)}{times}"
        )
