"""When a measurement is not valid: the process that makes the load was so slow that it measured itself.

A period in which the 99th percentile of the loop's lag, or the CPU of the process, is over its limit is *over*. Where
such periods follow one another for more than three seconds, the latencies of that time say more about the generator
than about the target. A shorter spell (a garbage collection, a neighbour on the machine) is tolerated.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from locust_ext.model import GeneratorPeriod

Spell = tuple[float, float]
"""From when to when, in seconds of the run."""

TOLERATED_S: Final = 3.0
_ROUNDING_S: Final = 0.5
"""Periods are about a second long: less than this is neither a gap between two of them nor an excess over three."""
MAX_SPELLS: Final = 1000


@dataclass(frozen=True, slots=True)
class Limits:
    """Up to where a process that makes load can be trusted with its own latencies."""

    max_loop_lag_ms: float = 50.0
    """Of the 99th percentile."""
    max_cpu_percent: float = 90.0
    """100: one core."""

    def is_over(self, period: GeneratorPeriod) -> bool:
        lag_us = period.lag.percentile_us(99) or 0
        # The rest of a second, at the end of a run, is too short for a rate.
        cpu_percent = period.cpu_percent if period.length_s >= _ROUNDING_S else 0.0
        return lag_us > self.max_loop_lag_ms * 1000 or cpu_percent > self.max_cpu_percent


DEFAULT_LIMITS: Final = Limits()


class Spells:
    """The times for which a process was over a limit; periods may be added in any order. Bounded."""

    def __init__(self) -> None:
        self._spells: list[Spell] = []

    def add(self, start_s: float, end_s: float) -> None:
        """One period that was over a limit; neighbours become one spell."""
        touching = [
            spell for spell in self._spells if spell[0] < end_s + _ROUNDING_S and start_s - _ROUNDING_S < spell[1]
        ]
        for spell in touching:
            self._spells.remove(spell)
        insort(
            self._spells,
            (min([start_s, *(each[0] for each in touching)]), max([end_s, *(each[1] for each in touching)])),
        )
        if len(self._spells) > MAX_SPELLS:
            self._spells.remove(min(self._spells, key=_length))

    def intolerable(self, since_s: float = 0.0) -> tuple[Spell, ...]:
        """Those of more than three seconds, in order; what was before `since_s` is left out."""
        clipped = ((max(start_s, since_s), end_s) for start_s, end_s in self._spells)
        return tuple(spell for spell in clipped if _length(spell) >= TOLERATED_S + _ROUNDING_S)


def _length(spell: Spell) -> float:
    return spell[1] - spell[0]


def overlaps(spells: Iterable[Spell], start_s: float, end_s: float) -> bool:
    """Whether any of the spells has a part in the time from `start_s` to `end_s`."""
    return any(spell[0] < end_s and start_s < spell[1] for spell in spells)


def sentence(worker: str, spells: Sequence[Spell], began_s: float) -> str:
    """`the generator was the bottleneck in worker 3 from 12:01:10 to 12:01:40`.

    `worker` is empty for a process on its own; `began_s` is the time of day, in seconds after midnight, at which the
    run began.
    """
    where = f" in worker {worker}" if worker else ""
    times = [f"from {time_of_day(began_s + start_s)} to {time_of_day(began_s + end_s)}" for start_s, end_s in spells]
    if len(times) > 3:
        times[2:] = [f"{len(times) - 2} more times until {time_of_day(began_s + spells[-1][1])}"]
    listed = ", ".join(times[:-1]) + (" and " if len(times) > 1 else "") + times[-1]
    return f"the generator was the bottleneck{where} {listed}"


def time_of_day(seconds: float) -> str:
    """Seconds after midnight as `12:01:10`; the next day begins anew."""
    whole = int(seconds) % 86_400
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"
