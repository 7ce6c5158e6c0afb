"""`Search`: the search for the limit as a machine that is looked at once a second.

    up ─ good ─► up …            bad ─► recover ─► bisect … ─► confirm ─► over
                 └ most users allowed ─► confirm ─► over         └ bad ─► recover ─► bisect …

After a bad step the load falls to `initial` users, or to fewer that are known to be sustained (a single one where none
are). A step that measured the generator ends the way up: the last good one is confirmed, and that is the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final

from locust_ext.core.schedules.plan import Piece
from locust_ext.core.schedules.stress import Stress
from locust_ext.core.search.climb import Climb
from locust_ext.core.search.criteria import Broken
from locust_ext.core.search.figures import made_step
from locust_ext.core.search.recovery import Recovery
from locust_ext.core.search.seen import Seen
from locust_ext.core.search.trial import Trial
from locust_ext.model import LimitSearch, LoadStep, Snapshot
from locust_ext.model.search import (
    BAD,
    CUT_SHORT,
    GENERATOR_LIMIT,
    GOOD,
    INTERRUPTED,
    NO_DATA,
    NOT_RECOVERED,
    SEARCHING,
)

MOMENT_S: Final = 1e-6
"""A change takes place at its moment, also where the arithmetic of floats comes to a little less."""


class Search:
    """One search, of one run. Times are seconds since the start of the run. Any one greenlet."""

    def __init__(
        self,
        wanted: Stress,
        breaks: Callable[[Snapshot], Broken | None],
        *,
        unit: str = "messages",
        criteria: tuple[str, ...] = (),
    ) -> None:
        """`breaks` judges a stretch (`Criteria`); `criteria` are its texts; `unit` is what finishes, for people."""
        self._wanted = wanted
        self._breaks = breaks
        self._unit = unit
        self._criteria = criteria
        self._climb = Climb(wanted)
        self._steps: list[LoadStep] = []
        self._outcome = SEARCHING
        self._users = 0
        self._on_the_way = Piece.level(inf, 0)
        self._changed_s = 0.0
        self._recovery: Recovery | None = None
        self._trial = self._begin_trial(0.0)

    # ── how many users ─────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def users(self) -> int:
        """How many there shall be; 0 once it is over."""
        return self._users

    def planned(self, now_s: float) -> int:
        """How many there shall be at this moment: `users`, or with `rate` fewer or more on the way there."""
        return self._on_the_way.target(now_s - self._changed_s + MOMENT_S).users

    def next_change_s(self, now_s: float) -> float:
        """When `planned` says another number next, as far as is known; `inf`: not before the next `look`."""
        return self._changed_s + self._on_the_way.next_change_s(now_s - self._changed_s + MOMENT_S)

    def _ask_for(self, users: int, now_s: float) -> None:
        before, self._users = self.planned(now_s), users
        rate, self._changed_s = self._wanted.rate, now_s
        if rate and users and before != users:
            self._on_the_way = Piece(abs(users - before) / rate, before, users)
        else:
            self._on_the_way = Piece.level(inf, users)

    # ── second by second ───────────────────────────────────────────────────────────────────────────────────────────

    @property
    def is_over(self) -> bool:
        """There is an answer, or there will be none."""
        return self._outcome != SEARCHING

    def look(self, seen: Seen) -> bool:
        """Take in what is known now; True: begin a fresh stretch at once."""
        if self.is_over:
            return False
        if self._recovery is not None:
            is_fresh = self._recovery.look(seen)
            if self._recovery.is_over:
                self._finish_recovery(self._recovery, seen.now_s)
                return True
            return is_fresh
        is_fresh = self._trial.look(seen)
        if self._trial.is_over:
            self._finish_trial(self._trial, seen.now_s)
            return True
        return is_fresh

    def _begin_trial(self, now_s: float) -> Trial:
        before = self.planned(now_s)
        self._ask_for(self._climb.users, now_s)
        self._trial = Trial(self._wanted, self._breaks, self._climb.kind, self._climb.users, before, now_s)
        return self._trial

    def _finish_trial(self, trial: Trial, now_s: float) -> None:
        outcome = self._judge(trial)
        self._climb.made(outcome)
        if outcome == BAD and self._wanted.recovery_s and self._climb.bad != 1:
            self._fall(now_s)
        else:
            self._go_on(now_s)

    def _judge(self, trial: Trial) -> str:
        """The outcome of the step, which is kept."""
        broken = None if trial.stretch is None else self._breaks(trial.stretch)
        if trial.is_bottleneck or (broken is not None and broken.is_generator):
            if broken is None or broken.is_generator:
                return self._keep(trial, GENERATOR_LIMIT, broken)
            return self._keep(trial, GENERATOR_LIMIT, None, f"{broken.text} too: {broken.value}")
        if broken is not None or trial.missing:
            return self._keep(trial, BAD, broken)
        if trial.samples:
            return self._keep(trial, GOOD, None)
        nothing = Broken("nothing finished", "")
        return self._keep(trial, BAD if self._is_mute(trial) else NO_DATA, nothing)

    def _is_mute(self, trial: Trial) -> bool:
        """Whether it is the target that gives no answers any more, and not the users who ask nothing."""
        has_answered = any(step.finished for step in self._steps)
        return self._climb.good > 0 or (has_answered and trial.is_stalled)

    def _keep(self, trial: Trial, outcome: str, broken: Broken | None, *notes: str) -> str:
        also = () if broken is None else broken.also
        step = made_step(
            trial.kind,
            trial.users,
            trial.start_s,
            trial.length_s,
            outcome,
            () if trial.stretch is None else (trial.stretch,),
            because=trial.missing if broken is None else broken.text,
            value="" if broken is None else broken.value,
            notes=(*trial.notes, *also, *(note for note in notes if note)),
        )
        self._steps.append(step)
        return outcome

    def _fall(self, now_s: float) -> None:
        """To a load that was sustained, or to the smallest there is."""
        users = min(self._wanted.initial, self._climb.good) or 1
        self._ask_for(users, now_s)
        self._recovery = Recovery(users, now_s, self._wanted.recovery_s, self._breaks)

    def _finish_recovery(self, recovery: Recovery, now_s: float) -> None:
        self._steps.append(recovery.step())
        self._recovery = None
        if recovery.has_failed and self._climb.good:
            self._finish(NOT_RECOVERED, now_s)
            return
        if recovery.has_failed:
            self._climb.try_one()
        self._go_on(now_s)

    def _go_on(self, now_s: float) -> None:
        if self._climb.outcome is None:
            self._begin_trial(now_s)
        else:
            self._finish(self._climb.outcome, now_s)

    def _finish(self, outcome: str, now_s: float) -> None:
        self._outcome = outcome
        self._ask_for(0, now_s)

    def end(self, now_s: float) -> None:
        """The run ended from outside; nothing where the search was over."""
        if self.is_over:
            return
        if self._recovery is not None:
            self._steps.append(self._recovery.step(is_cut_short=True))
        else:
            self._keep(self._trial, CUT_SHORT, None, self._trial.unfinished)
        self._finish(INTERRUPTED, now_s)

    # ── what came of it ────────────────────────────────────────────────────────────────────────────────────────────

    def result(self) -> LimitSearch:
        """The answer, or what is known so far."""
        return LimitSearch(
            outcome=self._outcome,
            criteria=self._criteria,
            max_users=self._wanted.max_users,
            unit=self._unit,
            steps=tuple(self._steps),
            phase=self._phase,
        )

    @property
    def _phase(self) -> str:
        if self.is_over:
            return ""
        if self._recovery is not None:
            return f"recover: {self._recovery.text}"
        return f"{self._trial.kind}: {self._trial.text}"
