"""What the monitor read of each source: its figures over the run, a bounded history, and its course (`trends`, `leaks`).

A source is one process that makes load, the master, or one view of the target. Figures over the run are exact, but for
the median, which is that of the history. Beyond its bound the older half of a history is joined two and two, those
first that stand for the least time: averages are weighted, and the newer half stays as it was read.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from math import isfinite
from operator import add
from statistics import median
from typing import Final

from locust_ext.core.accounting.blob import LARGEST
from locust_ext.core.accounting.leaks import leak_of
from locust_ext.core.accounting.names import clean
from locust_ext.core.accounting.trends import trend_of
from locust_ext.model import GENERATOR, MASTER, Leak, ResourceFigures, ResourceSample, ResourceStats, Trend

MEMORY: Final = "memory_bytes"
MAX_SOURCES: Final = 1000
MAX_METRICS: Final = 64
"""Of one source."""
MAX_SAMPLES: Final = 20_000
"""Of all sources together, about 1 KB each; each source has its share, but at least `MIN_SAMPLES_EACH`."""
MIN_SAMPLES_EACH: Final = 50
_STEPS_A_CALL: Final = 3
_LEAK: Final = ""
_PATIENCE: Final = 2.5
"""A value is current for so many times the interval at which its source is read."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How much of the samples is kept, and what a leak verdict leaves out."""

    history: int = 1000
    """Samples of one source."""
    max_age_s: float | None = None
    """Samples that are older than the newest by more than this leave the history; None: none does."""
    leak_warmup_s: float | None = None
    """Seconds at the start of the run that a leak verdict leaves out; None: see `leaks.leak_of`."""


def clean_values(values: Mapping[str, float]) -> dict[str, float]:
    """What can be kept of `values`: finite numbers, and at most `MAX_METRICS` of them."""
    found: dict[str, float] = {}
    for metric, value in values.items():
        if len(found) < MAX_METRICS and isinstance(value, int | float) and abs(value) <= LARGEST:
            found[clean(metric)] = float(value)
    return found


@dataclass(slots=True)
class _Running:
    """Of one metric over the run."""

    count: int = 0
    total: float = 0.0
    low: float = float("inf")
    high: float = float("-inf")
    current: float = 0.0
    current_at_s: float = -1.0

    def add(self, value: float, at_s: float) -> None:
        self.count += 1
        self.total += value
        self.low = min(self.low, value)
        self.high = max(self.high, value)
        if at_s >= self.current_at_s:
            self.current, self.current_at_s = value, at_s


class _Source:
    """The samples of one source."""

    def __init__(self) -> None:
        self.limits: dict[str, float] = {}
        self._samples: list[ResourceSample] = []
        self._times: list[float] = []
        self._weights: list[int] = []
        """How many samples each stands for."""
        self._running: dict[str, _Running] = {}
        self._added = 0
        self._windows: dict[float, tuple[ResourceFigures, ...]] = {}
        self._medians: dict[str, float] = {}
        self._trends: dict[str, Trend] = {}
        self._leak: Leak | None = None
        self._worked_out: dict[str, int] = {}
        """After how many samples a metric's median and trend were worked out, and (`_LEAK`) the leak verdict."""

    def add(self, sample: ResourceSample, counts: bool, most: int, max_age_s: float | None) -> None:
        """In any order of time. With `counts` it is a part of the run's figures."""
        position = bisect_right(self._times, sample.at_s)
        self._samples.insert(position, sample)
        self._times.insert(position, sample.at_s)
        self._weights.insert(position, 1)
        self._added += 1
        self._windows.clear()
        if counts:
            for metric, value in sample.values.items():
                running = self._running.get(metric)
                if running is None:
                    if len(self._running) >= MAX_METRICS:
                        continue
                    running = self._running[metric] = _Running()
                running.add(value, sample.at_s)
        if max_age_s is not None:
            old = bisect_left(self._times, self._times[-1] - max_age_s)
            del self._samples[:old], self._times[:old], self._weights[:old]
        while len(self._samples) > most:
            self._join()

    def _join(self) -> None:
        """Two neighbours of the older half as one."""
        weights = self._weights[: max(2, len(self._weights) // 2)]
        sums = list(map(add, weights, weights[1:]))
        position = sums.index(min(sums))
        first, second = self._samples[position], self._samples.pop(position + 1)
        first_weight, second_weight = self._weights[position], self._weights.pop(position + 1)
        weight = first_weight + second_weight
        values = {**first.values, **second.values}
        for metric in first.values.keys() & second.values.keys():
            values[metric] = (first.values[metric] * first_weight + second.values[metric] * second_weight) / weight
        at_s = (first.at_s * first_weight + second.at_s * second_weight) / weight
        self._samples[position] = ResourceSample(first.side, first.source, at_s, values)
        self._weights[position] = weight
        del self._times[position + 1]
        self._times[position] = at_s

    def window(self, since_s: float) -> tuple[ResourceFigures, ...]:
        """Of what was read from `since_s` on; of a source that is read more seldom, its latest for as long as it holds."""
        found = self._windows.get(since_s)
        if found is None:
            begin = bisect_left(self._times, since_s)
            if begin == len(self._times) >= 2:
                interval_s = self._times[-1] - self._times[-2]
                if self._times[-1] + _PATIENCE * interval_s >= since_s:
                    begin -= 1
            found = self._windows[since_s] = self._between(begin, len(self._times))
        return found

    def figures(self, since_s: float, until_s: float) -> tuple[ResourceFigures, ...]:
        return self._between(bisect_left(self._times, since_s), bisect_right(self._times, until_s))

    def _between(self, begin: int, end: int) -> tuple[ResourceFigures, ...]:
        samples, weights = self._samples[begin:end], self._weights[begin:end]
        found = []
        for metric in sorted({metric for sample in samples for metric in sample.values}):
            values = [sample.values[metric] for sample in samples if metric in sample.values]
            counts = [weight for sample, weight in zip(samples, weights, strict=True) if metric in sample.values]
            count = sum(counts)
            average = sum(value * weight for value, weight in zip(values, counts, strict=True)) / count
            found.append(ResourceFigures(metric, count, values[-1], average, min(values), max(values), median(values)))
        return tuple(found)

    def look(self, warmup_s: float, leak_warmup_s: float | None, is_over: bool) -> Iterator[None]:
        """Work out medians, trends and the leak verdict, one a step: a millisecond, or a few for the verdict.

        While the run goes on only those for which there is a tenth more samples than last time.
        """
        for key in (*sorted(self._running), _LEAK):
            before = self._worked_out.get(key, 0)
            if self._added == before or (not is_over and self._added <= 1.1 * before):
                continue
            self._worked_out[key] = self._added
            if key != _LEAK:
                points = self._points(key, warmup_s)
                self._trends[key] = trend_of(key, points)
                if points:
                    self._medians[key] = median(value for _, value in points)
            elif MEMORY in self._running:
                self._leak = leak_of(self._points(MEMORY, warmup_s), warmup_s, leak_warmup_s)
            yield

    def _points(self, metric: str, since_s: float) -> list[tuple[float, float]]:
        return [
            (sample.at_s, sample.values[metric])
            for sample in self._samples
            if sample.at_s >= since_s and metric in sample.values
        ]

    def freeze(self, side: str, label: str) -> ResourceStats:
        figures = tuple(
            ResourceFigures(
                metric,
                each.count,
                each.current,
                min(max(each.total / each.count, each.low), each.high),
                each.low,
                each.high,
                min(max(self._medians.get(metric, each.current), each.low), each.high),
            )
            for metric, each in sorted(self._running.items())
        )
        trends = tuple(trend for _, trend in sorted(self._trends.items()))
        return ResourceStats(side, label, figures, trends, self._leak, tuple(self._samples), dict(self.limits))


class Resources:
    """All sources of a run. Times are seconds of the run."""

    def __init__(self, on_warning: Callable[[str], None]) -> None:
        self._on_warning = on_warning
        self.clear(Keeping(), 0.0)

    def clear(self, keeping: Keeping, warmup_s: float) -> None:
        """A new run: nothing was read yet. What is read before `warmup_s` is in the history, but in no figure."""
        self._keeping = keeping
        self._warmup_s = warmup_s
        self._sources: dict[tuple[str, str], _Source] = {}
        self._warned = False

    def add(self, sample: ResourceSample) -> None:
        """One more, in any order; each once. Its values are `clean_values`."""
        source = self._source(sample.side, sample.source)
        if source is not None and sample.values and isfinite(sample.at_s):
            share = max(MIN_SAMPLES_EACH, MAX_SAMPLES // len(self._sources))
            most = max(2, min(self._keeping.history, share))
            source.add(sample, sample.at_s >= self._warmup_s, most, self._keeping.max_age_s)

    def limit(self, side: str, source: str, limits: Mapping[str, float]) -> None:
        """What that source may use."""
        if limits and (found := self._source(side, source)) is not None:
            found.limits = clean_values(limits)

    def _source(self, side: str, source: str) -> _Source | None:
        key = side, clean(source)
        found = self._sources.get(key)
        if found is None:
            if len(self._sources) >= MAX_SOURCES:
                if not self._warned:
                    self._warned = True
                    self._on_warning(f"the resources of more than {MAX_SOURCES} processes: further ones are left out")
                return None
            found = self._sources[key] = _Source()
        return found

    def stats(self, labels: Mapping[str, str], is_over: bool) -> tuple[ResourceStats, ...]:
        """The run so far, as `Snapshot.resources`.

        Medians, trends and leak verdicts are those of some samples ago while the run goes on, and exact once it
        `is_over`: a snapshot of a live run has no time for all of them.
        """
        self._look(is_over)
        return tuple(source.freeze(side, label) for side, label, source in self._ordered(labels))

    def stats_of(self, worker: str, labels: Mapping[str, str], is_over: bool) -> tuple[ResourceStats, ...]:
        """`stats` of one process that makes load, by its own name; empty: nothing was read of it."""
        self._look(is_over)
        source = self._sources.get((GENERATOR, clean(worker)))
        return () if source is None else (source.freeze(GENERATOR, labels.get(worker, worker)),)

    def _look(self, is_over: bool) -> None:
        """At everything once the run is over; before, at a few things a call: the loop is not held up."""
        steps = chain.from_iterable(
            source.look(self._warmup_s, self._keeping.leak_warmup_s, is_over) for source in self._sources.values()
        )
        for _ in steps if is_over else islice(steps, _STEPS_A_CALL):
            pass

    def window(self, since_s: float, labels: Mapping[str, str], worker: str | None = None) -> tuple[ResourceStats, ...]:
        """Figures of what was read from `since_s` on; with `worker` (its own name, no label) of that one alone."""
        if worker is not None:
            source = self._sources.get((GENERATOR, clean(worker)))
            figures = () if source is None else source.window(since_s)
            label = labels.get(worker, worker)
            return (ResourceStats(GENERATOR, label, figures, limits=dict(source.limits)),) if source and figures else ()
        return tuple(
            ResourceStats(side, label, figures, limits=dict(source.limits))
            for side, label, source in self._ordered(labels)
            if (figures := source.window(since_s))
        )

    def figures(self, since_s: float, until_s: float, labels: Mapping[str, str]) -> tuple[ResourceStats, ...]:
        """Figures of any period; where the history is thinned, extremes and medians are those of joined samples."""
        return tuple(
            ResourceStats(side, label, figures, limits=dict(source.limits))
            for side, label, source in self._ordered(labels)
            if (figures := source.figures(since_s, until_s))
        )

    def _ordered(self, labels: Mapping[str, str]) -> list[tuple[str, str, _Source]]:
        """Generators in the order of workers (10 after 9), the master, the target's sources."""
        named = [
            (side, labels.get(source, source) if side == GENERATOR else source, found)
            for (side, source), found in self._sources.items()
        ]
        order = {GENERATOR: 0, MASTER: 1}
        named.sort(key=lambda each: (order.get(each[0], 2), len(each[1]) if each[0] == GENERATOR else 0, each[1]))
        return named
