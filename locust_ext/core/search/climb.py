"""`Climb`: which number of users comes next, from what came of those before, until there is an answer."""

from __future__ import annotations

from typing import Final

from locust_ext.core.schedules.stress import Stress
from locust_ext.model.search import (
    BAD,
    BISECT,
    CONFIRM,
    FOUND,
    GENERATOR_LIMIT,
    GOOD,
    NEVER_GOOD,
    NO_DATA,
    NOT_REACHED,
    UP,
)

MAX_FURTHER: Final = 60
"""Steps that are not on the way up; a target that is good and bad by turns must not be searched for ever."""
_PART: Final = 0.05


class Climb:
    """Up until a step is bad, then between the most users that were good and the fewest that were bad.

    `kind` and `users` are the step to make; `outcome` is what the search came to, None while it goes on. What was good
    counts only below everything that was bad: a number that was sustained once and not the second time is bad. A step that
    the generator has spoiled is made once more: it is the limit only where it spoils that one too.
    """

    def __init__(self, wanted: Stress) -> None:
        self._wanted = wanted
        self._good: set[int] = set()
        """Fewer than `bad`."""
        self.bad: int | None = None
        """The fewest users that were bad."""
        self._precision = 1
        self._generator_at: int | None = None
        """Where the generator was the limit, and the target has not been bad below."""
        self._is_spoiled = False
        """The generator has spoiled this step once, and it is being made once more."""
        self._further = 0
        self.kind = UP
        self.users = wanted.initial
        self.outcome: str | None = None

    @property
    def good(self) -> int:
        """The most users that are known to be sustained; 0: none."""
        return max(self._good, default=0)

    @property
    def may_repeat(self) -> bool:
        """Whether this step is made once more if the generator spoils it."""
        return not self._is_spoiled and self._further < MAX_FURTHER

    def made(self, outcome: str) -> None:
        """The step was made; one of `STEP_OUTCOMES`."""
        repeats = outcome == GENERATOR_LIMIT and self.may_repeat
        self._is_spoiled = repeats
        if repeats:
            self._further += 1
            return
        if outcome == NO_DATA:
            self.outcome = NO_DATA
        elif outcome == GENERATOR_LIMIT:
            self._generator_at = self.users
            if self.kind == CONFIRM:
                self.outcome = GENERATOR_LIMIT
        elif outcome == BAD:
            self._broke()
        elif outcome == GOOD:
            self._good.add(self.users)
            if self.kind == CONFIRM:
                self.outcome = self._answer()
        if self.outcome is None:
            self._choose()

    def try_one(self) -> None:
        """Nothing was good so far, and the target has not recovered: the next step is a single user."""
        if self.outcome is None and not self._good:
            self.users = 1

    def _broke(self) -> None:
        if self.bad is None:
            self._precision = self._wanted.precision or max(1, int(self.users * _PART))
        self.bad = self.users if self.bad is None else min(self.bad, self.users)
        self._good = {users for users in self._good if users < self.bad}
        if self._generator_at is not None and self.users < self._generator_at:
            self._generator_at = None  # the target's own limit is below

    def _choose(self) -> None:
        good, bad = self.good, self.bad
        if self._generator_at is not None:
            self._confirm(good)
        elif bad is None:
            if good < self._wanted.max_users:
                self.users = self._wanted.after(good)
            else:
                self._confirm(good)
        elif not good:
            if bad == 1:
                self.outcome = NEVER_GOOD
            else:
                self._go(BISECT, max(1, bad // 2))
        elif bad - good > self._precision:
            self._go(BISECT, (good + bad) // 2)
        else:
            self._confirm(good)

    def _confirm(self, users: int) -> None:
        if users and self._wanted.confirm_s:
            self._go(CONFIRM, users)
        else:
            self.outcome = self._answer()

    def _go(self, kind: str, users: int) -> None:
        self._further += 1
        if self._further > MAX_FURTHER:
            self.outcome = self._answer()
        else:
            self.kind, self.users = kind, users

    def _answer(self) -> str:
        if self._generator_at is not None:
            return GENERATOR_LIMIT
        if not self._good:
            return NEVER_GOOD
        return NOT_REACHED if self.bad is None else FOUND
