"""The settings of the whole rate: a number, a plan of stages, or so much for each user."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from locust_ext.settings.types import Above0, Weight, exactly_one, wrong


class RateStageSettings(BaseModel):
    """A part of the plan."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    for_s: Above0
    """How long it lasts, in seconds."""
    rate: Weight
    """Messages a second over all users and workers, at its start."""
    to: Weight | None = None
    """Messages a second at its end, which the rate goes to evenly; null: it stays."""


class RateSettings(BaseModel):
    """Messages a second over all users and workers; one of the three ways to say it."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra=exactly_one("per_s", "stages", "per_user"))

    per_s: Above0 | None = None
    """All the time. ``rate: 2000`` says the same as ``rate: {per_s: 2000}``; ``--ext-rate`` wins."""
    stages: list[RateStageSettings] | None = None
    """One after the other; the end of the last one is kept."""
    per_user: Above0 | None = None
    """So many for each user that is connected: the rate follows the users, and so their shape."""
    poisson: bool = False
    """Exponentially distributed gaps, as of independent people, instead of even ones."""

    @model_validator(mode="after")
    def _one_of_three(self) -> RateSettings:
        if [self.per_s, self.stages, self.per_user].count(None) != 2:
            raise wrong("expected one of per_s, stages and per_user")
        if self.stages is not None and not self.stages:
            raise wrong("expected at least one stage")
        return self


def _from_number(value: Any) -> Any:
    """``2000`` (or the text of an environment variable) means ``{per_s: 2000}``."""
    return value if value is None or isinstance(value, dict | RateSettings) else {"per_s": value}


Rate = Annotated[
    RateSettings | None, BeforeValidator(_from_number, json_schema_input_type=Above0 | RateSettings | None)
]
