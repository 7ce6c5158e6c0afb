"""`Search`: the search for the limit as a machine that is looked at once a second.

    up ─ good ─► up …            bad ─► recover ─► bisect … ─► confirm ─► over
                 └ most users allowed ─► confirm ─► over         └ bad ─► recover ─► bisect …

After a bad step the load falls to `initial` users, or to fewer that are known to be sustained (a single one where none
are). A step that measured the generator is made once more; the second time it ends the way up: the last good one is
confirmed, and that is the answer. Where users have given up connecting, who would stay and do nothing, all are exchanged
before the next load.
"""

from __future__ import annotations

from math import inf
from typing import Final

from locust_ext.core.schedules.plan import Piece
from locust_ext.core.schedules.stress import Stress
from locust_ext.core.search.climb import Climb
from locust_ext.core.search.criteria import Breaks, Broken
from locust_ext.core.search.figures import made_step
from locust_ext.core.search.recovery import Recovery
from locust_ext.core.search.seen import Seen
from locust_ext.core.search.trial import STILL_SHARE, Trial
from locust_ext.model import LimitSearch, LoadStep
from locust_ext.model.search import (
    BAD,
    CUT_SHORT,
    GENERATOR_LIMIT,
    GOOD,
    INTERRUPTED,
    NO_DATA,
    NOT_RECOVERED,
    RECOVER,
    SEARCHING,
)

PERIOD_S: Final = 1.0
"""Generators report so often how busy they were: what one was in the last second of a step may be of the next step."""
AGAIN: Final = "once more"
"""Note at a step that the generator has spoiled, and that comes again."""
MOMENT_S: Final = 1e-6
"""A change takes place at its moment, also where the arithmetic of floats comes to a little less."""


class Search:
    """One search, of one run. Times are seconds since the start of the run. Any one greenlet."""

    def __init__(
        self,
        wanted: Stress,
        breaks: Breaks,
        *,
        unit: str = "messages",
        criteria: tuple[str, ...] = (),
        longest_request_s: float | None = None,
    ) -> None:
        """`breaks` judges a stretch (`Criteria`); `criteria` are its texts; `unit` is what finishes, for people.

        `longest_request_s`: the timeout of the users' requests, if it is known.
        """
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
        self._longest_request_s = longest_request_s
        self._recovery: Recovery | None = None
        self._exchanging_since_s: float | None = None
        """All users are to go before those that are wanted next come."""
        self._next_users = 0
        self._in_spite: set[int] = set()
        """Places of steps that were bad although the generator was at its limit."""
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
        if self._exchanging_since_s is not None:
            return self._exchange(seen)
        if self._recovery is not None:
            is_fresh = self._recovery.look(seen)
            if self._recovery.is_over:
                self._finish_recovery(self._recovery, seen)
                return True
            return is_fresh
        is_fresh = self._trial.look(seen)
        if self._trial.is_over:
            self._finish_trial(self._trial, seen)
            return True
        return is_fresh

    @property
    def connects_from_s(self) -> float:
        """From when the connects count that are `Seen`."""
        return self._trial.connects_from_s

    def _begin_trial(self, now_s: float) -> Trial:
        before = self.planned(now_s)
        users = self._climb.users
        self._ask_for(users, now_s)
        self._trial = Trial(self._wanted, self._breaks, self._climb.kind, users, before, now_s, self._longest_request_s)
        return self._trial

    def _finish_trial(self, trial: Trial, seen: Seen) -> None:
        outcome = self._judge(trial)
        self._climb.made(outcome)
        if outcome == BAD and self._wanted.recovery_s and self._climb.bad != 1:
            self._fall(seen)
        else:
            self._go_on(seen)

    def _exchange_users(self, seen: Seen) -> None:
        """Ask for none, where too many have given up to be part of the next load."""
        if self.is_over or seen.failed <= (STILL_SHARE * self._users if self._users >= seen.users else 0):
            return
        self._exchanging_since_s, self._next_users = seen.now_s, self._users
        self._ask_for(0, seen.now_s)

    def _exchange(self, seen: Seen) -> bool:
        assert self._exchanging_since_s is not None
        if seen.users and seen.now_s - self._exchanging_since_s < self._wanted.arrive_s:
            return False
        self._exchanging_since_s = None
        if self._recovery is None:
            self._begin_trial(seen.now_s)
        else:
            self._ask_for(self._next_users, seen.now_s)
        return True

    def _judge(self, trial: Trial) -> str:
        """The outcome of the step, which is kept."""
        broken = trial.broken
        if trial.is_bottleneck or (broken is not None and broken.is_generator):
            sure = None if broken is None else broken.targets_own
            if sure is not None:
                self._in_spite.add(len(self._steps))
                return self._keep(trial, BAD, sure, "the generator was at its limit too")
            again = AGAIN if self._climb.may_repeat else ""
            if broken is None or broken.is_generator:
                return self._keep(trial, GENERATOR_LIMIT, broken, again)
            return self._keep(trial, GENERATOR_LIMIT, None, broken.as_note, *broken.also, again)
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
        also = () if broken is None else (trial.missing, *broken.also)
        step = made_step(
            trial.kind,
            trial.users,
            trial.start_s,
            trial.length_s,
            outcome,
            () if trial.stretch is None else (trial.stretch,),
            connects=trial.connects,
            because=trial.missing if broken is None else broken.text,
            value="" if broken is None else broken.value,
            notes=tuple(note for note in (*trial.notes, *also, *notes) if note),
        )
        self._steps.append(step)
        return outcome

    def _fall(self, seen: Seen) -> None:
        """To a load that was sustained, or to the smallest there is."""
        users = min(self._wanted.initial, self._climb.good) or 1
        self._ask_for(users, seen.now_s)
        self._recovery = Recovery(users, seen.now_s, self._wanted.recovery_s, self._breaks)
        self._exchange_users(seen)

    def _finish_recovery(self, recovery: Recovery, seen: Seen) -> None:
        self._steps.append(recovery.step())
        self._recovery = None
        if recovery.has_failed and self._climb.good:
            self._finish(NOT_RECOVERED, seen.now_s)
            return
        if recovery.has_failed:
            self._climb.try_one()
        self._go_on(seen)

    def _go_on(self, seen: Seen) -> None:
        if self._climb.outcome is None:
            self._begin_trial(seen.now_s)
            self._exchange_users(seen)
        else:
            self._finish(self._climb.outcome, seen.now_s)

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

    @property
    def measured(self) -> tuple[tuple[float, float], ...]:
        """When those steps were measured that the answer stands on, and that a slow generator would spoil: (from, to)."""
        result = self.result()
        stands_on = [step for step in (result.sustained, result.breaks_at) if step is not None]
        sure = [self._steps[place] for place in self._in_spite]
        steps = [step for step in stands_on if all(step is not each for each in sure)]
        return tuple((step.start_s, step.start_s + max(0.0, step.length_s - PERIOD_S)) for step in steps)

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
        if self._exchanging_since_s is not None:
            return f"{RECOVER if self._recovery is not None else self._trial.kind}: users who gave up connecting go"
        if self._recovery is not None:
            return f"recover: {self._recovery.text}"
        return f"{self._trial.kind}: {self._trial.text}"
