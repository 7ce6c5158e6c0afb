"""`Plan`: the users of a run over time, put together from pieces in which their number only rises, falls or stands.

Times are seconds since the start of the run. Nothing here looks at a clock.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import acos, cos, floor, inf, pi
from typing import Protocol

from locust_ext.errors import ConfigError

SHORTEST_S = 1.0
"""No level may be planned for less: Locust looks at a shape once a second."""
_MOMENT_S = 1e-6
"""A change takes place at its moment, also where the arithmetic of floats comes to a little less."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is planned for one moment."""

    users: int
    user_classes: tuple[str, ...] | None = None
    """Names of the classes that users are started of; None: of all."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a plan, in which the number of users goes one way."""

    length_s: float
    """`inf`: for ever."""
    from_users: float
    to_users: float
    is_wave: bool = False
    """Along half a wave of the cosine, so that it begins and ends level; False: along a straight line."""
    user_classes: tuple[str, ...] | None = None

    @classmethod
    def level(cls, length_s: float, users: float, user_classes: tuple[str, ...] | None = None) -> Piece:
        """The same number all the time."""
        return cls(length_s, users, users, user_classes=user_classes)

    @property
    def is_level(self) -> bool:
        return self.from_users == self.to_users

    def target(self, at_s: float) -> Target:
        """At so many seconds from the beginning of the piece; halves count as whole users."""
        if self.is_level:
            users = self.from_users
        else:
            part = min(max(at_s / self.length_s, 0.0), 1.0)
            moved = (1.0 - cos(pi * part)) / 2 if self.is_wave else part
            users = self.from_users + (self.to_users - self.from_users) * moved
        return Target(floor(users + 0.5), self.user_classes)

    def next_change_s(self, at_s: float) -> float:
        """When the number of users changes next, from the beginning of the piece; `inf`: not within it."""
        if self.is_level:
            return inf
        rises = self.to_users > self.from_users
        crossed = self.target(at_s).users + (0.5 if rises else -0.5)
        moved = (crossed - self.from_users) / (self.to_users - self.from_users)
        if moved > 1.0:
            return inf
        part = acos(min(max(1.0 - 2.0 * moved, -1.0), 1.0)) / pi if self.is_wave else moved
        return part * self.length_s


class Plan:
    """`lead` once, then `pieces` once or, with `repeats`, over and over; it is over at `ends_s` at the latest.

    `offset_s` is where in `lead` and `pieces` the run begins.
    """

    def __init__(
        self,
        pieces: Sequence[Piece],
        *,
        lead: Sequence[Piece] = (),
        repeats: bool = False,
        ends_s: float = inf,
        offset_s: float = 0.0,
    ) -> None:
        self._pieces = tuple(piece for piece in (*lead, *pieces) if piece.length_s > 0)
        self._first = sum(1 for piece in lead if piece.length_s > 0)
        """Position of the first piece that is repeated."""
        self._starts = [0.0, *accumulate(piece.length_s for piece in self._pieces)]
        self._repeats = repeats
        self._offset_s = offset_s
        whole_s = inf if repeats else self._starts[-1] - offset_s
        self.length_s = min(ends_s, whole_s)
        """Seconds until the plan is over; `inf`: never."""

    def at(self, elapsed_s: float) -> Target | None:
        """What is planned for this moment; None: the plan is over."""
        if elapsed_s + _MOMENT_S >= self.length_s:
            return None
        position, at_s = self._locate(elapsed_s)
        return self._pieces[position].target(at_s)

    def next_change_s(self, elapsed_s: float) -> float:
        """The first moment after this one at which something else is planned, or the plan is over; `inf`: never."""
        now = self.at(elapsed_s)
        if now is None:
            return inf
        position, at_s = self._locate(elapsed_s)
        begins_s = elapsed_s + _MOMENT_S - at_s
        for _ in range(len(self._pieces) + 1):
            piece = self._pieces[position]
            change_s = piece.next_change_s(at_s)
            if change_s < inf:
                return min(max(begins_s + change_s, elapsed_s + _MOMENT_S), self.length_s)
            begins_s += piece.length_s
            following = self._after(position)
            if following is None or begins_s >= self.length_s:
                break
            position, at_s = following, _MOMENT_S
            if self._pieces[position].target(at_s) != now:
                return begins_s
        return self.length_s

    @property
    def peak_users(self) -> int:
        """The most that are ever planned; those of a plan that ends before its peak included."""
        return max((floor(max(piece.from_users, piece.to_users) + 0.5) for piece in self._pieces), default=0)

    @property
    def user_classes(self) -> tuple[str, ...]:
        """Every class that is named."""
        named = (name for piece in self._pieces for name in piece.user_classes or ())
        return tuple(dict.fromkeys(named))

    def _after(self, position: int) -> int | None:
        if position + 1 < len(self._pieces):
            return position + 1
        return self._first if self._repeats else None

    def _locate(self, elapsed_s: float) -> tuple[int, float]:
        """Which piece it is, and how many seconds into it."""
        at_s = elapsed_s + _MOMENT_S + self._offset_s
        if self._repeats and at_s >= self._starts[-1]:
            cycle_s = self._starts[-1] - self._starts[self._first]
            at_s = self._starts[self._first] + (at_s - self._starts[self._first]) % cycle_s
        position = min(bisect_right(self._starts, at_s) - 1, len(self._pieces) - 1)
        return position, at_s - self._starts[position]


class Schedule(Protocol):
    """Parameters that a plan is made of; checked when they are given. `ConfigError` names the wrong one."""

    def plan(self) -> Plan:
        """The users over time."""
        ...

    @property
    def text(self) -> str:
        """What it is, for a report's line."""
        ...


def check_seconds(name: str, value: object, at_least: float = SHORTEST_S) -> None:
    """Pass seconds of at least so many; else `ConfigError`."""
    if not _is_number(value) or not at_least <= value < inf:  # type: ignore[operator]
        raise ConfigError(f"expected seconds, {at_least:g} or more", key=name, value=value)


def check_rate(name: str, value: object) -> None:
    """Pass None or users a second above 0; else `ConfigError`."""
    if value is not None and (not _is_number(value) or not 0 < value < inf):  # type: ignore[operator]
        raise ConfigError("expected users a second, more than 0", key=name, value=value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def seconds_text(seconds: float) -> str:
    """``90 s``, ``15 min``, ``2 h``."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length and seconds % length == 0:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} s"


def users_text(users: int) -> str:
    """``1 user``, ``2,000 users``."""
    return f"{users:,} user{'' if users == 1 else 's'}"
