"""`Recovery`: whether the target comes back once the load has fallen, and after how many seconds."""

from __future__ import annotations

from typing import Final

from locust_ext.core.schedules.plan import users_text
from locust_ext.core.search.criteria import Breaks, Broken
from locust_ext.core.search.figures import Figures, made_step
from locust_ext.core.search.seen import Seen
from locust_ext.model import LoadStep, Snapshot
from locust_ext.model.search import BAD, CUT_SHORT, GOOD, NO_DATA, RECOVER

HOLDS_S: Final = 3.0
"""For how long in a row every criterion must hold; a second by itself may be luck."""
GRACE_S: Final = 10.0
"""How much longer than `longest_s` it looks at a target on which every criterion holds by then."""
_FLOAT_S: Final = 1e-6


class Recovery:
    """Stretch after stretch of a second or so, from the fall of the load on.

    A second in which nothing ended neither holds nor breaks: the target may be idle, or stand still.
    """

    def __init__(self, users: int, fell_s: float, longest_s: float, breaks: Breaks) -> None:
        """`users` are those after the fall, which was at `fell_s`; it waits for `longest_s` at most."""
        self.users = users
        self.is_over = False
        self.recovered_s: float | None = None
        """Seconds from the fall until every criterion held, and went on to; None: not (yet)."""
        self._fell_s = fell_s
        self._longest_s = longest_s
        self._breaks = breaks
        self._held: list[Snapshot] = []
        self._held_from_s: float | None = None
        self._last_break: Broken | None = None
        self._is_waiting = False
        """Operations were in flight when nothing ended."""
        self._now_s = fell_s

    def look(self, seen: Seen) -> bool:
        """One second later; True: begin a fresh stretch."""
        self._now_s = seen.now_s
        if seen.stretch is not None and seen.from_s >= self._fell_s:
            self._judge(seen, seen.stretch)
        late_s = seen.now_s - self._fell_s - self._longest_s
        if late_s >= (GRACE_S if self._held_from_s is not None else 0.0) - _FLOAT_S:
            self.is_over = True
        return seen.stretch is not None

    def _judge(self, seen: Seen, stretch: Snapshot) -> None:
        figures = Figures.of(stretch)
        broken = self._breaks(stretch)
        if broken is not None and not broken.is_generator:
            self._last_break, self._held_from_s = broken, None
            self._held.clear()
        elif figures.samples:
            self._held.append(stretch)
            if self._held_from_s is None:
                self._held_from_s = seen.from_s
            if seen.to_s - self._held_from_s >= HOLDS_S - _FLOAT_S:
                self.recovered_s = self._held_from_s - self._fell_s
                self.is_over = True
        else:
            self._is_waiting = figures.in_flight > 0

    @property
    def has_failed(self) -> bool:
        """It is over, and the target did not come back; one that was idle all the time may have."""
        return self.is_over and self.recovered_s is None and (self._last_break is not None or self._is_waiting)

    def step(self, *, is_cut_short: bool = False) -> LoadStep:
        """What it came to; its figures are of the seconds in which every criterion held."""
        outcome, because, value = NO_DATA, "", ""
        if self.recovered_s is not None:
            outcome = GOOD
        elif is_cut_short:
            outcome = CUT_SHORT
        elif self.has_failed:
            outcome = BAD
            because = "nothing finished" if self._last_break is None else self._last_break.text
            value = "" if self._last_break is None else self._last_break.value
        length_s = self._now_s - self._fell_s
        held = self._held[-int(HOLDS_S) :]
        return made_step(
            RECOVER,
            self.users,
            self._fell_s,
            length_s,
            outcome,
            held,
            because=because,
            value=value,
            recovered_s=self.recovered_s,
        )

    @property
    def text(self) -> str:
        """What it waits for, for people: ``10 users, the target has had 4 s to come back``."""
        return f"{users_text(self.users)}, the target has had {self._now_s - self._fell_s:.0f} of {self._longest_s:g} s"
