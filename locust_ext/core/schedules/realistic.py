"""`Realistic`: the users of a day, from night to noon and back, in a "day" of any length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from locust_ext.core.lifecycle.ranges import check_count, check_limit, check_number
from locust_ext.core.schedules.plan import Piece, Plan, check_seconds, seconds_text, users_text
from locust_ext.errors import ConfigError

_MORNING, _NOON, _AFTERNOON, _NIGHT = 6.0, 11.0, 14.0, 22.0
"""Hours of the day: they begin to come, all are there, they begin to go, only those of the night are left."""


@dataclass(frozen=True, slots=True)
class Realistic:
    """Night until 6, the morning's rise until 11, the noon's peak until 14, the decline until 22, and night again."""

    peak_users: int
    night_users: int = 0
    day_s: float = 3600.0
    """Seconds that stand for 24 hours."""
    start_hour: float = _MORNING
    """Hour of the day, 0 to 24, at which the run begins."""
    days: int | None = None
    """None: until ``--run-time`` is over, or the run is stopped."""
    profiles: Mapping[str, float] | None = None
    """Shares of the user profiles of `RealisticUser`; None: those of the settings. ``--ext-profiles`` wins."""

    def __post_init__(self) -> None:
        check_count("peak_users", self.peak_users, at_least=1)
        check_count("night_users", self.night_users, at_least=0)
        if self.night_users >= self.peak_users:
            raise ConfigError("expected fewer users than peak_users", key="night_users", value=self.night_users)
        check_seconds("day_s", self.day_s, at_least=24.0)
        if check_number("start_hour", self.start_hour, at_least=0) > 24:
            raise ConfigError("expected an hour from 0 to 24", key="start_hour", value=self.start_hour)
        check_limit("days", self.days)

    def plan(self) -> Plan:
        hour_s, low, high = self.day_s / 24, self.night_users, self.peak_users
        return Plan(
            [
                Piece.level(_MORNING * hour_s, low),
                Piece((_NOON - _MORNING) * hour_s, low, high, is_wave=True),
                Piece.level((_AFTERNOON - _NOON) * hour_s, high),
                Piece((_NIGHT - _AFTERNOON) * hour_s, high, low, is_wave=True),
                Piece.level((24 - _NIGHT) * hour_s, low),
            ],
            repeats=True,
            ends_s=inf if self.days is None else self.days * self.day_s,
            offset_s=self.start_hour * hour_s,
        )

    @property
    def text(self) -> str:
        return f"daily wave, {self.night_users:,} to {users_text(self.peak_users)}, a day of {seconds_text(self.day_s)}"
