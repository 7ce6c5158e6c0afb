"""When a measurement is not valid: the process that makes the load was so slow that it measured itself.

A period in which the 99th percentile of the loop's lag, or the CPU of the process, is over its limit is *over*. Where
such periods follow one another for more than three seconds, the latencies of that time say more about the generator
than about the target. A shorter spell (a garbage collection, a neighbour on the machine) is tolerated.

How long a spell was is known to less than a period (a second): of its first and its last period, where it began and
ended, the lag tells the part. There the loop stood still in pieces as long as the worst lag, and the moments at which a
timer was late by more than the limit are as many as the parts of those pieces beyond it. Of the CPU only the average of
a period is known: there a spell has whole ones, and what it had of the periods before and after does not count.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from locust_ext.model import GeneratorPeriod, bucket_bounds_us

Spell = tuple[float, float]
"""From when to when, in seconds of the run."""

TOLERATED_S: Final = 3.0
_ROUNDING_S: Final = 0.5
"""Periods are about a second long: less than this is no gap between two of them, and too short for a rate."""
_FLOATING_S: Final = 1e-6
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

    def over_s(self, period: GeneratorPeriod) -> float:
        """How long it was over its limit within the period; 0 unless the period `is_over`."""
        if not self.is_over(period):
            return 0.0
        if period.length_s >= _ROUNDING_S and period.cpu_percent > self.max_cpu_percent:
            return period.length_s
        lag, limit_us = period.lag, self.max_loop_lag_ms * 1000
        late = sum(count for bucket, count in lag.buckets.items() if bucket_bounds_us(bucket)[1] > limit_us)
        # A loop that stands still for 200 ms at a time makes a timer late by more than 50 ms in three quarters of them.
        all_the_time = max(1 - limit_us / max(lag.max_us or 0, 1), 1 / lag.count)
        return period.length_s * min(1.0, late / lag.count / all_the_time)


DEFAULT_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Periods that were over and follow one another."""

    start_s: float
    end_s: float
    from_s: float
    """Where it began within its first period."""
    to_s: float
    """Where it ended within its last."""
    is_one: bool
    """It is a single period: the time that it was over is the end of it, because a loop that stands still cannot end one."""

    @property
    def spell(self) -> Spell:
        return self.from_s, self.end_s if self.is_one else self.to_s

    @property
    def length_s(self) -> float:
        from_s, to_s = self.spell
        return to_s - from_s


class Spells:
    """The times for which a process was over a limit; periods may be added in any order. Bounded."""

    def __init__(self) -> None:
        self._stretches: list[_Stretch] = []

    def add(self, start_s: float, end_s: float, over_s: float | None = None) -> None:
        """One period that was over a limit, for so long (all of it, if not told); neighbours become one spell."""
        over_s = end_s - start_s if over_s is None else over_s
        new = _Stretch(start_s, end_s, end_s - over_s, start_s + over_s, is_one=True)
        touching = [
            each
            for each in self._stretches
            if each.start_s < end_s + _ROUNDING_S and start_s - _ROUNDING_S < each.end_s
        ]
        for each in touching:
            self._stretches.remove(each)
        if touching:
            first = min((new, *touching), key=lambda each: each.start_s)
            last = max((new, *touching), key=lambda each: each.end_s)
            new = _Stretch(first.start_s, last.end_s, first.from_s, last.to_s, is_one=False)
        insort(self._stretches, new, key=lambda each: each.start_s)
        if len(self._stretches) > MAX_SPELLS:
            self._stretches.remove(min(self._stretches, key=lambda each: each.length_s))

    def intolerable(self, since_s: float = 0.0) -> tuple[Spell, ...]:
        """Those of more than three seconds, in order; what was before `since_s` is left out."""
        clipped = ((max(each.spell[0], since_s), each.spell[1]) for each in self._stretches)
        return tuple(spell for spell in clipped if spell[1] - spell[0] > TOLERATED_S + _FLOATING_S)

    def within(self, from_s: float, to_s: float) -> float:
        """For how many seconds of this time it was over a limit in one go, at the longest."""
        parts = (min(each.spell[1], to_s) - max(each.spell[0], from_s) for each in self._stretches)
        return max(0.0, max(parts, default=0.0))


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
