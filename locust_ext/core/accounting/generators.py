"""How the processes that make the load fared, kept beside what they measured."""

from __future__ import annotations

from typing import Final

from locust_ext.core.accounting.histogram import Histogram
from locust_ext.core.accounting.validity import DEFAULT_LIMITS, TOLERATED_S, Limits, Spell, Spells, overlaps
from locust_ext.model import GeneratorPeriod, GeneratorRow, GeneratorStats

MAX_ROWS: Final = 36_000
"""Of all processes; beyond its share of them, a process's oldest rows are joined two and two."""
MIN_ROWS_EACH: Final = 100


class Generator:
    """One process."""

    def __init__(self) -> None:
        self._rows: list[GeneratorRow] = []
        self._spells = Spells()
        self._lag = Histogram()
        self._lateness = Histogram()
        self._cpu_us = 0
        self._seconds = 0.0
        self._cpu_max_percent = 0.0
        self._cursor = 0

    def add(self, period: GeneratorPeriod, over_s: float, max_rows: int) -> None:
        """`over_s`: for how long of it a limit was passed; 0: the period was not over."""
        if over_s:
            self._spells.add(period.start_s, period.end_s, over_s)
        self._lag.merge(period.lag)
        self._lateness.merge(period.lateness)
        self._cpu_us += period.cpu_us
        self._seconds += period.length_s
        if period.length_s >= 0.5:  # the rest of a second is no rate
            self._cpu_max_percent = max(self._cpu_max_percent, period.cpu_percent)
        self._rows.append(
            GeneratorRow(
                period.start_s,
                period.length_s,
                period.cpu_percent,
                period.lag.percentile_us(99),
                period.lag.max_us,
                period.lateness.percentile_us(99),
                over_s > 0,
            )
        )
        while len(self._rows) > max_rows:
            if self._cursor >= len(self._rows) - 1:
                self._cursor = 0
            self._rows[self._cursor] = _joined(self._rows[self._cursor], self._rows.pop(self._cursor + 1))
            self._cursor += 1

    def bottleneck(self, since_s: float) -> tuple[Spell, ...]:
        return self._spells.intolerable(since_s)

    def was_bottleneck(self, from_s: float, to_s: float) -> bool:
        """Whether a spell that is not tolerated has a part in this time, or half of a short one was over a limit."""
        tolerated_s = min(TOLERATED_S, (to_s - from_s) / 2)
        return overlaps(self._spells.intolerable(), from_s, to_s) or self._spells.within(from_s, to_s) > tolerated_s

    def freeze(self, worker: str, since_s: float) -> GeneratorStats:
        return GeneratorStats(
            worker,
            self._cpu_us,
            self._seconds,
            self._cpu_max_percent,
            self._lag.freeze(),
            self._lateness.freeze(),
            tuple(sorted(self._rows, key=lambda row: row.start_s)),
            self.bottleneck(since_s),
        )


def _joined(first: GeneratorRow, second: GeneratorRow) -> GeneratorRow:
    """Two rows as one: the CPU's average, of lag and lateness the larger one (an upper bound)."""
    length_s = first.length_s + second.length_s
    cpu = first.cpu_percent * first.length_s + second.cpu_percent * second.length_s
    return GeneratorRow(
        min(first.start_s, second.start_s),
        length_s,
        cpu / length_s if length_s else 0.0,
        _larger(first.lag_p99_us, second.lag_p99_us),
        _larger(first.lag_max_us, second.lag_max_us),
        _larger(first.lateness_p99_us, second.lateness_p99_us),
        first.over_limit or second.over_limit,
    )


def _larger(first: int | None, second: int | None) -> int | None:
    return max((value for value in (first, second) if value is not None), default=None)


class Generators:
    """All processes of a run, by worker."""

    def __init__(self) -> None:
        self.clear(DEFAULT_LIMITS)

    def clear(self, limits: Limits) -> None:
        """A new run, with these limits."""
        self.limits = limits
        self._generators: dict[str, Generator] = {}

    def add(self, worker: str, periods: tuple[GeneratorPeriod, ...]) -> None:
        """What one of them says of itself; in any order, each period once."""
        if not periods:
            return
        generator = self._generators.get(worker)
        if generator is None:
            generator = self._generators[worker] = Generator()
        max_rows = max(MIN_ROWS_EACH, MAX_ROWS // len(self._generators))
        for period in periods:
            generator.add(period, self.limits.over_s(period), max_rows)

    def bottlenecks(self, since_s: float) -> dict[str, tuple[Spell, ...]]:
        """Worker -> when it was the bottleneck, for those that were."""
        found = {worker: each.bottleneck(since_s) for worker, each in sorted(self._generators.items())}
        return {worker: spells for worker, spells in found.items() if spells}

    def were_bottleneck(self, from_s: float, to_s: float) -> bool:
        """Whether any of them was, at some time between these seconds of the run; by what they have told so far."""
        return any(each.was_bottleneck(from_s, to_s) for each in self._generators.values())

    def stats(self, labels: dict[str, str], since_s: float) -> tuple[GeneratorStats, ...]:
        """In the order of the workers' labels (their own names where they have none)."""
        named = [(labels.get(worker, worker), each) for worker, each in self._generators.items()]
        named.sort(key=lambda pair: (len(pair[0]), pair[0]))  # worker 10 after worker 9
        return tuple(each.freeze(label, since_s) for label, each in named)
