"""A search for the limit: the steps of load that were tried, and what they came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

UP: Final = "up"
BISECT: Final = "bisect"
CONFIRM: Final = "confirm"
RECOVER: Final = "recover"
STEP_KINDS: Final = (UP, BISECT, CONFIRM, RECOVER)
"""More users than ever before; between the last good and the first bad; the answer once more; after the load fell."""

GOOD: Final = "good"
BAD: Final = "bad"
GENERATOR_LIMIT: Final = "generator"
NO_DATA: Final = "no_data"
CUT_SHORT: Final = "cut_short"
STEP_OUTCOMES: Final = (GOOD, BAD, GENERATOR_LIMIT, NO_DATA, CUT_SHORT)
"""Every criterion held; one broke; the generator was the bottleneck, so that it says nothing of the target; nothing was
measured; the run ended within it."""

SEARCHING: Final = "searching"
FOUND: Final = "found"
NOT_REACHED: Final = "not_reached"
NEVER_GOOD: Final = "never_good"
INTERRUPTED: Final = "interrupted"
NOT_RECOVERED: Final = "not_recovered"
SEARCH_OUTCOMES: Final = (
    SEARCHING,
    FOUND,
    NOT_REACHED,
    GENERATOR_LIMIT,
    NEVER_GOOD,
    NOT_RECOVERED,
    NO_DATA,
    INTERRUPTED,
)
"""It goes on; the limit lies between `sustained` and `breaks_at`; the most users that were allowed were sustained; the
generator broke before the target did; the first step was bad already, and no smaller one good; the target did not come
back after the load fell; nothing could be measured; the run ended before there was an answer."""


@dataclass(frozen=True, slots=True)
class LoadStep:
    """One step of load: what was measured from `start_s` on, with histograms of its own."""

    kind: str
    """One of `STEP_KINDS`."""
    users: int
    start_s: float
    """Seconds after the start of the run at which the measuring began: the users were there, what was left of the step
    before had drained."""
    length_s: float
    """Seconds that were measured; of a `RECOVER` step, from the fall of the load until it was over."""
    outcome: str
    """One of `STEP_OUTCOMES`."""
    because: str = ""
    """The criterion that broke, with its limit, and the value: ``p95 > 100 ms``; empty where all held."""
    value: str = ""
    """What that criterion's value was, for people: ``143 ms``."""
    finished: int = 0
    """Operations that ended with a result, without CONNECT, DROP and POOL."""
    failures: int = 0
    """Of those."""
    per_s: float = 0.0
    """`finished` a second."""
    average_us: int | None = None
    """Of the latencies, those of CONNECT and POOL left out; None: nothing was answered."""
    p50_us: int | None = None
    p95_us: int | None = None
    p99_us: int | None = None
    connects: int = 0
    connect_failures: int = 0
    notes: tuple[str, ...] = ()
    """What is worth knowing of the way it was measured: ``extended to 32 s for 100 samples``."""
    recovered_s: float | None = None
    """Of a `RECOVER` step: seconds from the fall of the load until every criterion held again; None: they never did."""

    @property
    def error_ratio(self) -> float | None:
        """0 to 1; None where nothing finished."""
        return self.failures / self.finished if self.finished else None


@dataclass(frozen=True, slots=True)
class LimitSearch:
    """What the search came to, or what is known so far."""

    outcome: str
    """One of `SEARCH_OUTCOMES`."""
    criteria: tuple[str, ...] = ()
    """What had to hold, as their breach is written: ``p95 > 100 ms``, ``rule errors: error ratio > 5 %``."""
    max_users: int = 0
    unit: str = "messages"
    """What `LoadStep.per_s` counts, for people: ``messages``, ``requests``."""
    steps: tuple[LoadStep, ...] = ()
    """In the order of time."""
    phase: str = ""
    """What it is doing, for people who watch: ``up: 430 users, measured for 6 of 10 s``; empty when it is over."""

    @property
    def sustained(self) -> LoadStep | None:
        """The step of the most users that were sustained: confirmed where there was time to; None: no step was good.

        A step is no answer where as many users or fewer were found bad later.
        """
        breaks = min((step.users for step in self._loaded if step.outcome == BAD), default=None)
        good = [step for step in self._loaded if step.outcome == GOOD and (breaks is None or step.users < breaks)]
        return max(good, key=lambda step: (step.users, step.kind == CONFIRM, step.start_s), default=None)

    @property
    def is_confirmed(self) -> bool:
        """Whether `sustained` was measured once more, for longer."""
        return self.sustained is not None and self.sustained.kind == CONFIRM

    @property
    def breaks_at(self) -> LoadStep | None:
        """The bad step of the fewest users; None: none was bad."""
        bad = [step for step in self._loaded if step.outcome == BAD]
        return min(bad, key=lambda step: (step.users, step.start_s), default=None)

    @property
    def recovery(self) -> LoadStep | None:
        """The `RECOVER` step after `breaks_at`; None: there was none."""
        broken = self.breaks_at
        if broken is None:
            return None
        after = [step for step in self.steps if step.kind == RECOVER and step.start_s >= broken.start_s]
        return min(after, key=lambda step: step.start_s, default=None)

    @property
    def _loaded(self) -> tuple[LoadStep, ...]:
        return tuple(step for step in self.steps if step.kind != RECOVER)
