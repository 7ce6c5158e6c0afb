"""`Trial`: one step of load, from the moment its users are asked for until it can be judged."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Final

from locust_ext.core.alerts.view import CONNECT
from locust_ext.core.schedules.plan import users_text
from locust_ext.core.schedules.stress import Stress
from locust_ext.core.search.criteria import Breaks, Broken
from locust_ext.core.search.figures import Figures, answers
from locust_ext.core.search.seen import Seen
from locust_ext.model import OperationStats, Snapshot
from locust_ext.model.search import CONFIRM

STILL_SHARE: Final = 0.05
"""Users whose pattern is to come and go are always opening a few connections: so few hold nobody up."""
STILL_S: Final = 5.0
"""How long it must have been so few; or not any fewer, where those that are missing cannot save the step any more."""
MAX_ANEW: Final = 2
"""How often a step is begun anew because users went within it."""
STANDS: Final = 2
"""So many stretches in a row that are not faster than the one before: what was before is not why they are slow."""
FASTER: Final = 0.995
"""Of the time before: what takes no less is not faster, but differs as any two seconds do."""
LOOKS_LATE_S: Final = 0.1
"""How long after the end of a second it is looked at, at the most; what was there then was there before."""
PATIENCE_S: Final = 30.0
"""How much longer than it should take a step waits for seconds that do not close."""
_FLOAT_S: Final = 1e-6


class Trial:
    """Arriving, draining, measuring; then `is_over`, and `broken` and `missing` say what came of it.

    What is measured shall be the step's own: its users are there with their connections, and nothing that ends was begun
    before that. For this, stretches of a second or so are looked at and thrown away, until the slowest answer in one took
    less time than the users have been there; and where a criterion would break, until the times no longer fall: a queue
    that the step before has left behind makes the answers of this one late too. The connects themselves are judged from
    when the users were asked for: most of them are over when they are there.
    """

    def __init__(
        self,
        wanted: Stress,
        breaks: Breaks,
        kind: str,
        users: int,
        before: int,
        now_s: float,
        longest_request_s: float | None = None,
    ) -> None:
        """`before`: the users that are there now; `breaks` judges a stretch; after `longest_request_s` a request has its
        answer or has timed out, as far as that is known.
        """
        self.kind = kind
        self.users = users
        self.missing = ""
        """Why there was nothing to measure: ``only 412 of 430 users came``."""
        self.is_over = False
        self.is_bottleneck = False
        """A generator was its own limit while it was measured, or while users that were missing should have come."""
        self.start_s = now_s
        self.stretch: Snapshot | None = None
        """What was measured, so far."""
        self.connects: Snapshot | None = None
        """The connects of the whole step, so far."""
        self.connects_from_s = now_s
        """From when they count: its users were asked for or, where some had to go first, only they are left."""
        self.length_s = 0.0
        self.notes: tuple[str, ...] = ()
        self._wanted = wanted
        self._breaks = breaks
        self._wanted_s = wanted.confirm_s if kind == CONFIRM else wanted.step_s
        self._longest_s = max(wanted.longest_step_s, self._wanted_s)
        self._travel_s = abs(users - before) / wanted.rate if wanted.rate else 0.0
        self._longest_request_s = longest_request_s
        self._is_fall = users < before
        self._anew = 0
        self._present, self._missing = before, 0
        self._begins(now_s)

    def _begins(self, now_s: float) -> None:
        self._state = "arriving"
        self._asked_s = now_s
        self._few_since_s: float | None = None
        self._has_room = not self._is_fall
        """No more users are there than were asked for."""
        self._fewest_missing: float = inf
        self._fewest_since_s = now_s
        self.connects, self.connects_from_s = None, now_s
        self._average_us = inf
        """Of the answers in the stretch before; while it drains."""
        self._stands = 0
        """Stretches in a row that were not faster than the one before."""
        self._fence_s = now_s
        """Seconds before this one say nothing of what is waited for."""

    def look(self, seen: Seen) -> bool:
        """One second later; True: begin a fresh stretch."""
        self._present, self._missing = seen.users, seen.missing
        if self._has_room:
            self.connects = seen.connects
        if self._state == "arriving":
            return self._arrive(seen)
        if seen.users < self.users:
            return self._lost_users(seen)
        return self._drain(seen) if self._state == "draining" else self._measure(seen)

    def _lost_users(self, seen: Seen) -> bool:
        if self._anew == MAX_ANEW:
            self._miss(f"only {seen.users:,} of {users_text(self.users)} stayed", seen)
            return False
        self._anew += 1
        self._note(f"begun anew: {users_text(self.users - seen.users)} had gone")
        self.stretch, self.length_s, self._travel_s = None, 0.0, 0.0
        self._is_fall = False
        self._begins(seen.now_s)
        self._arrive(seen)
        return True

    def _miss(self, why: str, seen: Seen) -> None:
        """There is nothing to measure."""
        self.missing, self.is_over = why, True
        self.stretch, self.length_s, self.start_s = None, 0.0, seen.now_s
        self.is_bottleneck = seen.is_bottleneck

    # ── the users come ─────────────────────────────────────────────────────────────────────────────────────────────

    def _arrive(self, seen: Seen) -> bool:
        is_late = seen.now_s - self._asked_s >= self._wanted.arrive_s + self._travel_s - _FLOAT_S
        are_there = seen.users == self.users or (is_late and seen.users > self.users)
        if are_there and not self._has_room:
            self._has_room, self.connects_from_s = True, seen.now_s
        few = are_there and seen.missing <= STILL_SHARE * self.users
        self._few_since_s = (seen.now_s if self._few_since_s is None else self._few_since_s) if few else None
        settled = self._few_since_s is not None and seen.now_s - self._few_since_s >= STILL_S
        if are_there and (not seen.missing or settled or (few and is_late)):
            if seen.users > self.users:
                self._note(f"{users_text(seen.users - self.users)} too many had not gone")
            if seen.missing:
                self._note(self._missing_text(seen))
            self._state = "draining"
            self._fence_s = self._there_s = seen.now_s
            return True
        if is_late:
            if seen.users < self.users:
                self._miss(f"only {seen.users:,} of {users_text(self.users)} came", seen)
            else:
                self._miss(f"{seen.missing:,} connections of {users_text(self.users)} were not open in time", seen)
        elif are_there and self._is_lost(seen):
            self._note(self._missing_text(seen))
            self._miss("", seen)
        return False

    def _is_lost(self, seen: Seen) -> bool:
        """Whether it would be bad even if the next attempt of each missing connection were good; and none comes."""
        if seen.missing < self._fewest_missing:
            self._fewest_missing, self._fewest_since_s = seen.missing, seen.now_s
        if self.connects is None or seen.now_s - self._fewest_since_s < STILL_S:
            return False
        good = OperationStats(CONNECT, "", ok=seen.missing)
        at_best = replace(self.connects, operations=(*self.connects.operations, good))
        return self._breaks(Snapshot(), at_best) is not None

    @staticmethod
    def _missing_text(seen: Seen) -> str:
        were = "connection was" if seen.missing == 1 else "connections were"
        return f"{seen.missing:,} {were} {'still being opened' if seen.missing == seen.connecting else 'not open'}"

    # ── what was before drains ─────────────────────────────────────────────────────────────────────────────────────

    def _drain(self, seen: Seen) -> bool:
        waited_s = seen.now_s - self._there_s
        missing = seen.missing if waited_s <= STILL_S else seen.waiting + seen.failed
        if missing > STILL_SHARE * self.users:
            self._state = "arriving"  # what was known of the connections came late, or they have not lasted
            return self._arrive(seen)
        is_late = waited_s >= max(self._wanted.drain_s, self._wanted.settle_s) - _FLOAT_S
        is_fresh = seen.stretch is not None and seen.from_s >= self._fence_s
        if seen.stretch is None:
            is_drained, is_idle = False, True
        else:
            figures = Figures.of(seen.stretch)
            is_drained = is_fresh and self._is_own(figures, seen.from_s) and not self._is_falling(seen.stretch)
            is_idle = is_fresh and not figures.finished
        if is_drained and seen.to_s - self._there_s >= self._wanted.settle_s - LOOKS_LATE_S:
            self._begin_measuring(seen)
            return True
        if is_late and not is_drained:
            if self._wanted.drain_s:
                self._note(f"what was before had not drained after {self._wanted.drain_s:g} s")
            self._begin_measuring(seen)
            return True
        return not is_idle  # an answer that is waited for may come in a later second of this stretch

    def _is_own(self, figures: Figures, from_s: float) -> bool:
        """Whether all that ended in a stretch from this second on was begun when the users were there."""
        there_for_s = from_s - self._there_s
        if figures.timed_out or (figures.in_flight and not figures.finished):
            return self._longest_request_s is not None and there_for_s >= self._longest_request_s
        return figures.slowest_us is None or figures.slowest_us / 1e6 <= there_for_s

    def _is_falling(self, stretch: Snapshot) -> bool:
        """Whether a criterion would break of which the step before may be the reason."""
        if self._breaks(stretch) is None:
            return False
        answered = answers(stretch)
        average_us = answered.sum_us / answered.count if answered.count else inf
        self._stands = self._stands + 1 if average_us >= FASTER * self._average_us else 0
        self._average_us = average_us
        return answered.count > 0 and self._stands < STANDS

    def _begin_measuring(self, seen: Seen) -> None:
        self._state = "measuring"
        self.stretch, self.length_s, self.start_s = None, 0.0, seen.now_s
        self._fence_s = max(self._there_s, seen.to_s if seen.stretch is not None else 0.0)
        self._measures_s = seen.now_s

    # ── the measuring ──────────────────────────────────────────────────────────────────────────────────────────────

    def _measure(self, seen: Seen) -> bool:
        is_stale = seen.stretch is not None and seen.from_s < self._fence_s - _FLOAT_S
        if seen.stretch is not None and not is_stale:
            self.stretch, self.start_s, self.length_s = seen.stretch, seen.from_s, seen.to_s - seen.from_s
            self.is_bottleneck = seen.is_bottleneck
        is_stuck = seen.now_s - self._measures_s > self._longest_s + PATIENCE_S
        if self.length_s < self._wanted_s - _FLOAT_S and not is_stuck:
            return is_stale
        samples = self.samples
        is_enough = samples >= self._wanted.min_samples
        if not is_enough and self.length_s < self._longest_s - _FLOAT_S and not is_stuck:
            return False
        if not is_enough:
            self._note(f"only {samples:,} samples in {self.length_s:.0f} s")
        elif self.length_s >= self._wanted_s + 1:
            self._note(f"extended to {self.length_s:.0f} s for {self._wanted.min_samples:,} samples")
        self.is_over = True
        return False

    @property
    def broken(self) -> Broken | None:
        """The criterion that did not hold over what was measured, or over the connects; None: all held."""
        return self._breaks(self.stretch or Snapshot(), self.connects)

    @property
    def samples(self) -> int:
        """So far."""
        return 0 if self.stretch is None else Figures.of(self.stretch).samples

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes += (text,)

    @property
    def is_stalled(self) -> bool:
        """Operations wait for their answer, and nothing has ended."""
        return self.stretch is not None and not self.samples and Figures.of(self.stretch).in_flight > 0

    @property
    def unfinished(self) -> str:
        """How far it had come, for a step that was cut short; empty: it was being measured."""
        if self._state == "arriving":
            return "its users were still coming"
        return "what was before was still draining" if self._state == "draining" else ""

    @property
    def text(self) -> str:
        """What it waits for, for people: ``430 users, measured for 6 of 10 s``."""
        users = users_text(self.users)
        if self._state == "arriving":
            if self._present != self.users:
                return (
                    f"{users}, {self._present:,} of them are there"
                    if self._present < self.users
                    else (f"{users}, {self._present - self.users:,} more have not gone yet")
                )
            return f"{users}, {self._missing:,} connections are being opened"
        if self._state == "draining":
            return f"{users}, waiting for what was before to drain"
        if self.length_s < self._wanted_s - _FLOAT_S:
            return f"{users}, measured for {self.length_s:.0f} of {self._wanted_s:g} s"
        return f"{users}, extended to {self.length_s:.0f} s: {self.samples:,} of {self._wanted.min_samples:,} samples"
