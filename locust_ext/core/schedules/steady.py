"""`Steady`: so many users, from the start to the end."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from locust_ext.core.lifecycle.ranges import check_count
from locust_ext.core.schedules.plan import Piece, Plan, check_rate, check_seconds, seconds_text, users_text


@dataclass(frozen=True, slots=True)
class Steady:
    """The same number of users all the time, after they have come."""

    users: int
    rate: float | None = None
    """Users a second that come at the start; None: all at once."""
    time_s: float | None = None
    """Seconds that they stay once all have come; None: until ``--run-time`` is over, or the run is stopped."""

    def __post_init__(self) -> None:
        check_count("users", self.users, at_least=1)
        check_rate("rate", self.rate)
        if self.time_s is not None:
            check_seconds("time_s", self.time_s)

    def plan(self) -> Plan:
        coming_s = self.users / self.rate if self.rate else 0.0
        stays_s = inf if self.time_s is None else self.time_s
        return Plan([Piece(coming_s, 0, self.users), Piece.level(stays_s, self.users)])

    @property
    def text(self) -> str:
        coming = f", {self.rate:g} a second at the start" if self.rate else ""
        stays = "" if self.time_s is None else f" for {seconds_text(self.time_s)}"
        return f"steady, {users_text(self.users)}{stays}{coming}"
