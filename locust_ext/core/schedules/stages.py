"""`Stages`: a list of levels, each with its time, its rate and its user classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from math import inf
from typing import Any

from locust_ext.core.lifecycle.ranges import check_count
from locust_ext.core.schedules.plan import Piece, Plan, check_rate, check_seconds, users_text
from locust_ext.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Stage:
    """So many users for a time."""

    users: int
    time_s: float | None = None
    """Seconds, those in which users come or go included; None, in the last stage only: until ``--run-time`` is over."""
    rate: float | None = None
    """Users a second that come or go; None: all at once. What is not reached in time is left to the next stage."""
    user_classes: Sequence[str] | None = None
    """Names of the classes that users are started of in this stage; None: of all. Those that are there may stay."""

    def __post_init__(self) -> None:
        check_count("users", self.users, at_least=0)
        if self.time_s is not None:
            check_seconds("time_s", self.time_s)
        check_rate("rate", self.rate)
        names = self.user_classes
        is_list = isinstance(names, Sequence) and not isinstance(names, str) and all(isinstance(n, str) for n in names)
        if names is not None and not (is_list and names):
            raise ConfigError("expected a list of names of user classes", key="user_classes", value=names)

    def pieces(self, before: float) -> list[Piece]:
        """From so many users on."""
        time_s = inf if self.time_s is None else self.time_s
        names = None if self.user_classes is None else tuple(self.user_classes)
        move_s = abs(self.users - before) / self.rate if self.rate else 0.0
        if move_s >= time_s:
            reached = before + (self.users - before) * time_s / move_s
            return [Piece(time_s, before, reached, user_classes=names)]
        return [
            Piece(move_s, before, self.users, user_classes=names),
            Piece.level(time_s - move_s, self.users, names),
        ]


@dataclass(frozen=True, slots=True)
class Stages:
    """Stage after stage, from no users on: steps, a spike, a soak, or any other list."""

    stages: Sequence[Stage | Mapping[str, Any]]
    """A mapping has the parameters of a `Stage` as its keys."""

    def __post_init__(self) -> None:
        given = self.stages
        if not isinstance(given, Sequence) or isinstance(given, str) or not given:
            raise ConfigError("expected a list of stages", key="stages", value=given)
        made = tuple(_stage(stage, f"stages.{number}") for number, stage in enumerate(given))
        for number, stage in enumerate(made[:-1]):
            if stage.time_s is None:
                raise ConfigError("expected seconds: another stage follows", key=f"stages.{number}.time_s")
        object.__setattr__(self, "stages", made)

    def plan(self) -> Plan:
        pieces: list[Piece] = []
        for stage in self.stages:
            assert isinstance(stage, Stage)
            pieces += stage.pieces(pieces[-1].to_users if pieces else 0.0)
        return Plan(pieces)

    @property
    def text(self) -> str:
        count = len(self.stages)
        return f"{count:,} stage{'' if count == 1 else 's'}, up to {users_text(self.plan().peak_users)}"


def _stage(given: object, key: str) -> Stage:
    if isinstance(given, Stage):
        return given
    if not isinstance(given, Mapping):
        raise ConfigError("expected a stage, such as {users: 10, time_s: 60}", key=key, value=given)
    names = [field.name for field in fields(Stage)]
    for name in given:
        if name not in names:
            near = get_close_matches(str(name), names, n=1)
            expected = f"unknown key, expected one of {', '.join(names)}"
            raise ConfigError(expected, key=f"{key}.{name}", nearest=near[0] if near else None)
    if "users" not in given:
        raise ConfigError("this key is required", key=f"{key}.users")
    try:
        return Stage(**given)
    except ConfigError as error:
        raise error.under(key) from None
