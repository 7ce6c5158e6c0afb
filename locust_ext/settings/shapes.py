"""The settings of the run's shape: how many users there are at which moment. One of them stands under ``shape:``.

What each key means, and what goes together, is said where the schedules are made (`core.schedules`).
"""

from __future__ import annotations

from math import inf
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from locust_ext.settings.types import MOST_S, MOST_USERS, Above0, Weight, exactly_one, number, wrong


def held_or_0(seconds: float) -> float:
    """0, or 1 and more."""
    if seconds != 0 and not 1 <= seconds < inf:
        raise wrong("expected seconds, 1 or more, or 0 for none")
    return seconds


def less_than_all(share: float) -> float:
    """0 to less than 1: no share is above 1."""
    if not 0 <= share < 1:
        raise wrong("expected a share from 0 to less than 1 (5 % is 0.05)")
    return share


Users = Annotated[int, BeforeValidator(number), Field(ge=0, le=MOST_USERS)]
Count = Annotated[int, BeforeValidator(number), Field(ge=1, le=MOST_USERS)]
Held = Annotated[float, BeforeValidator(number), Field(ge=1, le=MOST_S, allow_inf_nan=False)]
"""Seconds of a level: Locust looks at a shape once a second."""
HeldOr0 = Annotated[float, BeforeValidator(number), AfterValidator(held_or_0)]
"""The same, or 0 for not at all."""
Ratio = Annotated[float, BeforeValidator(number), AfterValidator(less_than_all)]


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SteadySettings(_Shape):
    """The same number of users all the time, after they have come."""

    users: Count
    rate: Above0 | None = None
    """Users a second that come at the start; null: all at once."""
    time_s: Held | None = None
    """Seconds that they stay once all have come; null: until ``--run-time`` is over."""


class BurstSettings(_Shape):
    """A base load, and on top of it again and again many users for a short time."""

    burst_users: Count
    """That come on top of the base load."""
    base_users: Users = 0
    burst_s: Held = 10.0
    """Seconds from the beginning of a burst until its users begin to leave."""
    idle_s: Held = 20.0
    """Seconds between two bursts, before the first and after the last."""
    bursts: Count | None = None
    """null: until ``--run-time`` is over."""
    rate: Above0 | None = None
    """Users a second that come or go; null: all at once."""


class RampSettings(_Shape):
    """From `initial` users to `users`: in `steps` of `step_s`, or in a straight line over `linear_s`."""

    users: Users
    initial: Users = 0
    steps: Count | None = None
    step_s: Held | None = None
    """Seconds of each level, the initial one and the last included."""
    linear_s: Held | None = None
    hold_s: Weight | None = 0.0
    """Seconds that the last level lasts beyond that; null: until ``--run-time`` is over."""


class StressSettings(_Shape):
    """A search for the most users that the target sustains: up until a criterion breaks, then between good and bad.

    A step breaks where more than 5 % of the operations or of the connects fail, unless said otherwise; where none of the
    operations was answered; and, without `p95_ms`, `average_ms` and a rule that can serve, where p95 is above 500 ms.
    """

    max_users: Count
    """More are never tried ("max clients")."""
    initial: Count = 10
    """Users of the first step ("initial clients"), and of the load after it fell."""
    factor: Annotated[float, BeforeValidator(number), Field(gt=1, allow_inf_nan=False)] | None = None
    """By which the users grow from step to step; null: 2, or `increment`."""
    increment: Count | None = None
    """So many users more from step to step."""
    step_s: Held = 10.0
    """Seconds that a step is measured for, once its users are there and what was before has drained."""
    min_samples: Count = 100
    """Finished operations that a step needs; with fewer it goes on, up to `max_step_s`."""
    max_step_s: Held | None = None
    """null: six times `step_s`."""
    p95_ms: Above0 | None = None
    """A step breaks where 95 % of the answers do not keep to so many milliseconds ("target latency"); null: to 500, or to
    `average_ms`, or to the rules."""
    average_ms: Above0 | None = None
    """Milliseconds that the answers may take on average."""
    error_ratio: Ratio | None = 0.05
    """Failed share of the operations, 0 to 1 ("error threshold"); null: they may fail."""
    connect_failure_ratio: Ratio | None = 0.05
    """Failed share of the connects, from when the step's users were asked for, 0 to 1; null: they may fail."""
    rules: Annotated[bool, Field(strict=True)] = True
    """The critical limits of the run's rules are criteria too."""
    precision: Count | None = None
    """Bisect until good and bad are no more than so many users apart; null: 5 % of the first bad, at least 1."""
    confirm_s: HeldOr0 = 30.0
    """Seconds for which the good one is measured once more; 0: it is not."""
    recovery_s: HeldOr0 = 60.0
    """Longest wait for the target to recover after a bad step, in seconds; 0: nobody looks."""
    settle_s: Weight = 2.0
    """Seconds, at the least, between the users being there and the measuring."""
    drain_s: Weight = 30.0
    """Longest wait for the answers to what was asked before the users were there, in seconds."""
    arrive_s: Held = 30.0
    """Longest wait for a step's users, beyond the time that they take at `rate`, in seconds."""
    rate: Above0 | None = None
    """Users a second that come or go; null: all at once."""


class DailySettings(_Shape):
    """The users of a day: night until 6, the morning's rise until 11, noon until 14, the decline until 22, night."""

    peak_users: Count
    night_users: Users = 0
    day_s: Annotated[float, BeforeValidator(number), Field(ge=24, allow_inf_nan=False)] = 3600.0
    """Seconds that stand for 24 hours."""
    start_hour: Annotated[float, BeforeValidator(number), Field(ge=0, le=24)] = 6.0
    """Hour of the day at which the run begins."""
    days: Count | None = None
    """null: until ``--run-time`` is over."""
    profiles: dict[str, Above0] | None = None
    """Shares of the user profiles; null: those of ``realistic.profiles``. ``--ext-profiles`` wins."""


class StageSettings(_Shape):
    """So many users for a time."""

    users: Users
    time_s: Held | None = None
    """Seconds, those in which users come or go included; null, in the last stage only: until ``--run-time`` is over."""
    rate: Above0 | None = None
    """Users a second that come or go; null: all at once."""
    user_classes: list[str] | None = None
    """Names of the classes that users are started of in this stage; null: of all."""


class ShapeSettings(_Shape):
    """Exactly one of them."""

    model_config = ConfigDict(json_schema_extra=exactly_one("steady", "burst", "ramp", "realistic", "stress", "stages"))

    steady: SteadySettings | None = None
    burst: BurstSettings | None = None
    ramp: RampSettings | None = None
    realistic: DailySettings | None = None
    stress: StressSettings | None = None
    stages: list[StageSettings] | None = None
    """One after the other, from no users on."""

    @model_validator(mode="after")
    def _one_of_them(self) -> ShapeSettings:
        names = list(type(self).model_fields)
        if sum(getattr(self, name) is not None for name in names) != 1:
            raise wrong(f"expected one of {', '.join(names)}")
        return self

    @property
    def name(self) -> str:
        """Which one it is: its key."""
        return next(name for name in type(self).model_fields if getattr(self, name) is not None)

    @property
    def parameters(self) -> dict[str, object]:
        """Those of its schedule, by name."""
        if self.stages is not None:
            return {"stages": tuple(stage.model_dump() for stage in self.stages)}
        dumped: dict[str, object] = getattr(self, self.name).model_dump()
        return dumped
