"""The settings of user classes: which lifecycle pattern, which message generator, at which pace.

A pattern or generator stands by its name, or as the one key of a mapping of its parameters. Names and
parameters are looked at where the patterns and generators are made (`plugin.users.rules`), by the tables that hold them.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator

from locust_ext.settings.types import Above0, wrong


def _chosen(value: Any) -> Any:
    """A check of ``intermittent`` or ``{intermittent: {connected_s: [60, 300]}}``."""
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, dict) or len(value) != 1:
        raise wrong("expected a name, or a mapping with one name over its parameters")
    return _parameters(value)


def _parameters(value: dict[str, Any]) -> dict[str, Any]:
    """A check of parameters by name."""
    for name, parameters in value.items():
        if not isinstance(parameters, dict) or not all(isinstance(key, str) for key in parameters):
            raise wrong(f"expected a mapping of parameters under {name}")
    return value


def _think_time(value: Any) -> Any:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")):
        return value
    if isinstance(value, list | tuple) and len(value) == 2:
        low, high = (_think_time(each) for each in value)
        if not isinstance(low, list) and not isinstance(high, list) and low <= high:
            return [low, high]
    raise wrong("expected seconds, or a pair [low, high] of them")


class PacingSettings(BaseModel):
    """How often a user speaks; one of the two models."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    closed_loop: Annotated[Any, AfterValidator(_think_time)] = None
    """Seconds of think time after a reply, or [low, high] to draw them from."""
    open_loop: Above0 | None = None
    """Messages a second of each user, whether or not the replies have come."""
    poisson: bool = False
    """Of an open loop: exponentially distributed gaps, instead of even ones."""

    @model_validator(mode="after")
    def _one_of_two(self) -> PacingSettings:
        if (self.closed_loop is None) == (self.open_loop is None):
            raise wrong("expected either closed_loop or open_loop")
        if self.poisson and self.open_loop is None:
            raise wrong("expected poisson beside open_loop only")
        return self


class UserSettings(BaseModel):
    """What one user class does, instead of what its code says; what is left out stays as it is there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pattern: Annotated[Any, AfterValidator(_chosen)] = None
    generator: Annotated[Any, AfterValidator(_chosen)] = None
    pacing: PacingSettings | None = None


Lifecycle = Annotated[dict[str, Any], AfterValidator(_parameters)]
"""Parameters of patterns that are given by their name alone."""
Messages = Annotated[dict[str, Any], AfterValidator(_parameters)]
"""Parameters of generators that are given by their name alone."""
