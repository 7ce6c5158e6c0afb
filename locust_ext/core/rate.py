"""`Arrivals`: when the messages of an open loop are due whose rate may change at any time, for many users together.

The schedule asks nobody whether replies have come (Schroeder, Wierman, Harchol-Balter, "Open versus closed", NSDI 2006):
what was not sent in time stays due, at the time at which it was due.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

RateOf = Callable[[float], float]
"""Seconds since the start of the run -> messages a second."""


class Arrivals:
    """One endless schedule; `take` gives the times one by one, and runs behind the clock as long as nobody takes them.

    Times are monotonic seconds. The rate is constant between two calls of `change`.
    """

    def __init__(self, rng: random.Random, is_poisson: bool = False) -> None:
        self._rng = rng
        self._is_poisson = is_poisson
        self._rates: deque[tuple[float, float]] = deque()
        """(from when on, messages a second), ascending; the first begins before the next message is due."""
        self._from_s = 0.0
        self._need = 1.0
        self.due_s = math.inf
        """When the next message is due; in the past, if nobody has taken it. Infinite while the rate is 0."""

    @property
    def rate(self) -> float:
        """Messages a second as of now."""
        return self._rates[-1][1] if self._rates else 0.0

    def change(self, now_s: float, rate: float) -> None:
        """From now on, ``rate`` messages a second (0: none). What became due before stays so."""
        if not self._rates:
            self._from_s = now_s
            self._need = self._rng.random()  # so that several processes do not send in step
        elif rate == self._rates[-1][1]:
            return
        self._rates.append((now_s, rate))
        if self.due_s > now_s:
            self.due_s = self._after(self._from_s, self._need)

    def take(self) -> float:
        """The time of the next message; the one after it is due then."""
        due_s = self.due_s
        self._begin_after(due_s)
        return due_s

    def backlog(self, now_s: float) -> int:
        """How many messages are due and were not taken; of Poisson gaps, how many on average."""
        if self.due_s > now_s:
            return 0
        waiting = 1
        for number, (begin_s, rate) in enumerate(self._rates):
            end_s = self._rates[number + 1][0] if number + 1 < len(self._rates) else now_s
            waiting += int(max(0.0, min(end_s, now_s) - max(begin_s, self.due_s)) * rate)
        return waiting

    def behind(self, now_s: float) -> float:
        """Seconds for which the oldest message that nobody has taken has been due; 0: there is none."""
        return max(0.0, now_s - self.due_s)

    def _begin_after(self, due_s: float) -> None:
        self._from_s = due_s
        self._need = self._rng.expovariate(1.0) if self._is_poisson else 1.0
        while len(self._rates) > 1 and self._rates[1][0] <= due_s:
            self._rates.popleft()
        self.due_s = self._after(due_s, self._need)

    def _after(self, from_s: float, need: float) -> float:
        """When so many messages (or so much of one) have passed since ``from_s``."""
        if len(self._rates) == 1:
            rate = self._rates[0][1]
            return from_s + need / rate if rate > 0 else math.inf
        for number, (begin_s, rate) in enumerate(self._rates):
            end_s = self._rates[number + 1][0] if number + 1 < len(self._rates) else math.inf
            begin_s = max(begin_s, from_s)
            if end_s <= begin_s or rate <= 0:
                continue
            if begin_s + need / rate <= end_s:
                return begin_s + need / rate
            need -= (end_s - begin_s) * rate
        return math.inf


class Integral:
    """What a level that changes at any time adds up to: connected users to user-seconds, a rate to messages."""

    def __init__(self) -> None:
        self.level = 0.0
        self._sum = 0.0
        self._since_s = 0.0

    def change(self, now_s: float, by: float) -> None:
        """From now on, the level is higher by so much; times are monotonic seconds."""
        self._sum, self._since_s = self.total(now_s), now_s
        self.level += by

    def total(self, now_s: float) -> float:
        """Level times seconds until now."""
        return self._sum + self.level * (now_s - self._since_s)


def shares(users: Mapping[str, int]) -> dict[str, float]:
    """Worker -> its part of the whole rate, by the users that it has; they add up to 1, or there are no users at all."""
    total = sum(users.values())
    return {worker: count / total if total else 0.0 for worker, count in users.items()}


@dataclass(frozen=True, slots=True)
class RateStage:
    """A part of a plan: ``rate`` messages a second for ``for_s`` seconds, or evenly from ``rate`` to ``to``."""

    for_s: float
    rate: float
    to: float | None = None


@dataclass(frozen=True)
class StagedRate:
    """The rate of a plan of stages at any time; after the last one, its end is kept. A `RateOf`."""

    stages: Sequence[RateStage]

    def __call__(self, elapsed_s: float) -> float:
        ends_s = accumulate(stage.for_s for stage in self.stages)
        for stage, end_s in zip(self.stages, ends_s, strict=True):
            if elapsed_s < end_s:
                if stage.to is None:
                    return stage.rate
                done = 1.0 - (end_s - elapsed_s) / stage.for_s
                return stage.rate + (stage.to - stage.rate) * max(0.0, done)
        last = self.stages[-1]
        return last.rate if last.to is None else last.to


def mean_rate(rate_of: RateOf, from_s: float, to_s: float, steps: int = 8) -> float:
    """The average rate between two times of a run: what makes as many messages, if it is kept all the time."""
    width_s = (to_s - from_s) / steps
    return sum(max(0.0, rate_of(from_s + (number + 0.5) * width_s)) for number in range(steps)) / steps
