"""`Stress`: a search for the most users that the target sustains; `core.search` carries it out.

Unlike the other schedules it has no plan: how many users there are depends on how the target fares.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, inf

from locust_ext.core.lifecycle.ranges import check_count
from locust_ext.core.schedules.plan import SHORTEST_S, check_rate, check_seconds, seconds_text, users_text
from locust_ext.errors import ConfigError

DEFAULT_FACTOR = 2.0
DEFAULT_P95_MS = 500.0
"""Where nothing says how fast the answers must be: no `p95_ms`, no `average_ms`, no rule."""
DEFAULT_FAILED_RATIO = 0.05
MAX_UP_STEPS = 1000
"""Steps on the way up to `max_users`."""


@dataclass(frozen=True, slots=True)
class Stress:
    """Step up until a criterion breaks, see whether the target recovers, bisect below the break, confirm what held."""

    max_users: int
    """More are never tried."""
    initial: int = 10
    """Users of the first step, and of the load after it fell."""
    factor: float | None = None
    """By which the users grow from step to step; None: 2, or `increment`."""
    increment: int | None = None
    """So many users more from step to step."""
    step_s: float = 10.0
    """Seconds that a step is measured for, once its users are there and what was before has drained."""
    min_samples: int = 100
    """Finished operations that a step needs; with fewer it goes on, up to `max_step_s`."""
    max_step_s: float | None = None
    """None: six times `step_s`."""
    p95_ms: float | None = None
    """A step breaks where 95 % of the answers do not keep to this; None: 500, or `average_ms`, or the rules."""
    average_ms: float | None = None
    error_ratio: float | None = DEFAULT_FAILED_RATIO
    """Failed share of the operations, 0 to 1; None: they may fail, but a step in which none was answered breaks."""
    connect_failure_ratio: float | None = DEFAULT_FAILED_RATIO
    """Failed share of the connects, from when the step's users were asked for, 0 to 1; None: they may fail."""
    rules: bool = True
    """The critical limits of the run's rules are criteria too."""
    precision: int | None = None
    """Bisect until good and bad are no more than so many users apart; None: 5 % of the first bad, at least 1."""
    confirm_s: float = 30.0
    """Seconds for which the good one is measured once more; 0: it is not."""
    recovery_s: float = 60.0
    """Longest wait for the target to recover after a bad step, in seconds; 0: nobody looks."""
    settle_s: float = 2.0
    """Seconds, at the least, between the users being there and the measuring."""
    drain_s: float = 30.0
    """Longest wait for the answers to what was asked before the users were there, in seconds."""
    arrive_s: float = 30.0
    """Longest wait for a step's users, beyond the time that they take at `rate`, in seconds."""
    rate: float | None = None
    """Users a second that come or go; None: all at once."""

    def __post_init__(self) -> None:
        check_count("max_users", self.max_users, at_least=1)
        check_count("initial", self.initial, at_least=1)
        if self.initial > self.max_users:
            raise ConfigError(
                f"expected no more users than max_users ({self.max_users:,})", key="initial", value=self.initial
            )
        self._check_growth()
        self._check_times()
        check_count("min_samples", self.min_samples, at_least=1)
        self._check_criteria()
        _check_count_or_none("precision", self.precision, "5 % of the first bad")
        check_rate("rate", self.rate)

    def _check_growth(self) -> None:
        if self.factor is not None:
            if self.increment is not None:
                raise ConfigError("expected either factor or increment", key="increment", value=self.increment)
            if not _is_number(self.factor) or not 1 < self.factor < inf:
                raise ConfigError("expected a number above 1", key="factor", value=self.factor)
        _check_count_or_none("increment", self.increment, "a factor")
        if self.up_steps > MAX_UP_STEPS:
            key = "increment" if self.factor is None else "factor"
            raise ConfigError(
                f"expected at most {MAX_UP_STEPS:,} steps from initial ({self.initial:,}) to max_users "
                f"({self.max_users:,})",
                key=key,
                value=getattr(self, key),
            )

    def _check_times(self) -> None:
        check_seconds("step_s", self.step_s)
        if self.max_step_s is not None:
            check_seconds("max_step_s", self.max_step_s)
            if self.max_step_s < self.step_s:
                raise ConfigError(
                    f"expected no less than step_s ({self.step_s:g} s)", key="max_step_s", value=self.max_step_s
                )
        for name in ("confirm_s", "recovery_s"):
            value = getattr(self, name)
            if not _is_number(value) or not (value == 0 or SHORTEST_S <= value < inf):
                raise ConfigError("expected seconds, 1 or more, or 0 for none", key=name, value=value)
        for name in ("settle_s", "drain_s"):
            check_seconds(name, getattr(self, name), at_least=0.0)
        check_seconds("arrive_s", self.arrive_s)

    def _check_criteria(self) -> None:
        for name in ("p95_ms", "average_ms"):
            value = getattr(self, name)
            if value is not None and (not _is_number(value) or not 0 < value < inf):
                raise ConfigError("expected milliseconds, more than 0", key=name, value=value)
        for name in ("error_ratio", "connect_failure_ratio"):
            value = getattr(self, name)
            if value is not None and (not _is_number(value) or not 0 <= value < 1):
                raise ConfigError("expected a share from 0 to less than 1 (5 % is 0.05)", key=name, value=value)
        if not isinstance(self.rules, bool):
            raise ConfigError("expected true or false", key="rules", value=self.rules)

    @property
    def longest_step_s(self) -> float:
        """Seconds that a step is measured for at most."""
        return 6 * self.step_s if self.max_step_s is None else self.max_step_s

    @property
    def up_steps(self) -> int:
        """Steps from `initial` to `max_users`, both included, where all are good; no further than one above the most."""
        users, steps = self.initial, 1
        while users < self.max_users and steps <= MAX_UP_STEPS:
            users, steps = self.after(users), steps + 1
        return steps

    def after(self, users: int) -> int:
        """The users of the step after a good one: more of them, `max_users` at most."""
        if self.increment is not None:
            grown = users + self.increment
        else:
            grown = max(floor(users * (self.factor or DEFAULT_FACTOR) + 0.5), users + 1)
        return min(grown, self.max_users)

    @property
    def text(self) -> str:
        if self.increment is not None:
            how = f"+ {self.increment:,}"
        else:
            how = f"× {self.factor or DEFAULT_FACTOR:g}"
        span = f"{self.initial:,} to {users_text(self.max_users)}"
        return f"search for the limit, {span} in steps of {seconds_text(self.step_s)}, {how} each"


def _check_count_or_none(name: str, value: int | None, none: str) -> None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise ConfigError(f"expected a whole number of at least 1, or None for {none}", key=name, value=value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
