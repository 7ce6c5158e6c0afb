"""`Ramp`: more and more users, in steps or steadily."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from locust_ext.core.lifecycle.ranges import check_count
from locust_ext.core.schedules.plan import Piece, Plan, check_seconds, seconds_text, users_text
from locust_ext.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Ramp:
    """From `initial` users to `users`: in `steps` of `step_s`, or in a straight line over `linear_s`.

    In steps, each level lasts `step_s`, the initial one and the last included. It may also lead down.
    """

    users: int
    initial: int = 0
    steps: int | None = None
    step_s: float | None = None
    linear_s: float | None = None
    hold_s: float | None = 0.0
    """Seconds that the last level lasts beyond that; None: until ``--run-time`` is over, or the run is stopped."""

    def __post_init__(self) -> None:
        check_count("users", self.users, at_least=0)
        check_count("initial", self.initial, at_least=0)
        if self.users == self.initial:
            raise ConfigError("expected another number of users than initial", key="users", value=self.users)
        if self.linear_s is not None:
            if self.steps is not None or self.step_s is not None:
                raise ConfigError("expected either linear_s, or steps and step_s", key="linear_s", value=self.linear_s)
            check_seconds("linear_s", self.linear_s)
        elif self.steps is None or self.step_s is None:
            raise ConfigError("expected steps and step_s, or linear_s", key="steps", value=self.steps)
        else:
            check_count("steps", self.steps, at_least=1)
            check_seconds("step_s", self.step_s)
        if self.hold_s is not None:
            check_seconds("hold_s", self.hold_s, at_least=0.0)

    def plan(self) -> Plan:
        hold_s = inf if self.hold_s is None else self.hold_s
        if self.linear_s is not None:
            return Plan([Piece(self.linear_s, self.initial, self.users), Piece.level(hold_s, self.users)])
        assert self.steps is not None
        assert self.step_s is not None
        rise = self.users - self.initial
        levels = [self.initial + rise * step / self.steps for step in range(self.steps + 1)]
        return Plan([*(Piece.level(self.step_s, level) for level in levels), Piece.level(hold_s, self.users)])

    @property
    def text(self) -> str:
        if self.linear_s is not None:
            how = f"over {seconds_text(self.linear_s)}"
        else:
            count = self.steps or 0
            how = f"in {count:,} step{'' if count == 1 else 's'} of {seconds_text(self.step_s or 0)}"
        return f"ramp, {self.initial:,} to {users_text(self.users)} {how}"
