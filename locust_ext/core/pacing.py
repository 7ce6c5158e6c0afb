"""When the next message is due: the closed model (after the reply and a think time) and the open model (on a schedule).

Schroeder, Wierman, Harchol-Balter, "Open versus closed: a cautionary tale" (NSDI 2006) names the two.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from locust_ext.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ClosedLoop:
    """The next message is due a think time after the reply to the last one."""

    think_time: Callable[[Any], float] | float
    """Seconds, or one of Locust's wait times (``between(1, 3)``, …), which is called with the user."""

    def __post_init__(self) -> None:
        if callable(self.think_time):
            return
        if isinstance(self.think_time, bool) or not isinstance(self.think_time, int | float) or self.think_time < 0:
            raise ConfigError(
                "expected seconds or a Locust wait time", key="ClosedLoop.think_time", value=self.think_time
            )

    def seconds(self, user: Any) -> float:
        return float(self.think_time(user)) if callable(self.think_time) else float(self.think_time)


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """Messages are due on a schedule of their own, whether or not the replies have come."""

    rate: float
    """Messages per second of each user."""
    is_poisson: bool = False
    """True: exponentially distributed gaps with the same mean; False: evenly spread."""

    def __post_init__(self) -> None:
        if isinstance(self.rate, bool) or not isinstance(self.rate, int | float) or self.rate <= 0:
            raise ConfigError("expected messages per second, more than 0", key="OpenLoop.rate", value=self.rate)

    def first_s(self, now_s: float, rng: random.Random) -> float:
        """When the first message is due: at a random point of one interval, so that users do not send in step."""
        return now_s + rng.random() / self.rate

    def next_s(self, due_s: float, rng: random.Random) -> float:
        """When the message after the one that was due at ``due_s`` is due; not when that one was really sent."""
        return due_s + (rng.expovariate(self.rate) if self.is_poisson else 1.0 / self.rate)


Pacing = ClosedLoop | OpenLoop
