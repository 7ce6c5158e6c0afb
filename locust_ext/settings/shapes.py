"""The settings of the run's shape: how many users there are at which moment. One of them stands under ``shape:``.

What each key means, and what goes together, is said where the schedules are made (`core.schedules`).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from locust_ext.settings.types import Above0, Weight, number, wrong

Users = Annotated[int, BeforeValidator(number), Field(ge=0)]
Count = Annotated[int, BeforeValidator(number), Field(ge=1)]
Held = Annotated[float, BeforeValidator(number), Field(ge=1, allow_inf_nan=False)]
"""Seconds of a level: Locust looks at a shape once a second."""


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

    steady: SteadySettings | None = None
    burst: BurstSettings | None = None
    ramp: RampSettings | None = None
    realistic: DailySettings | None = None
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
