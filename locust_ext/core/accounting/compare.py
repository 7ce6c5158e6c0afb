"""A run against a baseline: which figures changed by more than a tolerance and by more than chance.

A change counts when both hold:

* it is larger than the tolerance (relative; for error rates an absolute difference), and
* it is distinguishable: less likely than `alpha` under "nothing changed", where `alpha` is divided by the number of
  figures compared (Bonferroni), so that a whole report of unchanged figures says "worse" at most once in a hundred.

The tests, all two-sided on counts that the histograms give:

* error rate: Fisher's exact test, or the two-proportion z test where counts are large.
* percentile q: samples above a threshold, in both runs, by the same test of two proportions (a quantile test). Two
  thresholds are tried, the q-th bucket of either run: twice the smaller p value counts. A percentile needs ten samples
  above it in each run. Its power is low in a long tail, so a second way counts too: Mann-Whitney (with ties) over the
  whole histograms, if the quantile test agrees at 0.05.
* throughput: operations that finished, as Poisson counts over the two durations (conditional binomial, z).
* users sustained, of two searches for the limit: no test; the fewer users must have been found too many by the one
  search and few enough by the other, so that the ranges in which the two limits lie have nothing in common. Their other
  figures are not compared: they mix steps of load that differ from search to search.

Assumptions: samples are independent, and the runs differ in nothing but the system under test. Neither is quite true
(a slow moment slows many requests; another neighbour on the machine slows them all), which no test on two histograms
can see: the tolerance is what allows for it, so it should not be smaller than what two equal runs differ by.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import erfc, exp, lgamma, sqrt
from typing import Final

from locust_ext.model import ComparedFigure, Comparison, Distribution, LimitSearch, OperationStats, Snapshot
from locust_ext.model.search import NEVER_GOOD, SEARCHING

PERCENTILES: Final = {"p50_ms": 50.0, "p95_ms": 95.0, "p99_ms": 99.0}
LEAST_ABOVE: Final = 10
"""Samples above a percentile that each run needs."""
_FISHER_UP_TO: Final = 2000
_SUPPORTING_ALPHA: Final = 0.05


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What does not count as a change."""

    relative: float = 0.10
    """Of latencies and throughput."""
    error_rate: float = 0.001
    """Difference of two error rates (0.001: a tenth of a per cent)."""
    latency_us: int = 0
    """Differences of latencies up to this never count."""
    alpha: float = 0.01
    """Chance that a report over unchanged figures calls any of them changed."""


def compare(baseline: Snapshot, current: Snapshot, tolerance: Tolerance | None = None) -> Comparison:
    """Figure by figure: the run as a whole, then each operation of either run."""
    tolerance = tolerance or Tolerance()
    if baseline.search is not None and current.search is not None:
        only = _sustained(baseline.search, current.search, tolerance)
        beside = tuple(_caveats(baseline, current))
        return Comparison(baseline.run.id, (only,), tolerance.relative, beside, baseline.run.valid)
    before = {(each.type, each.name, each.tags): each for each in baseline.operations if each.finished}
    after = {(each.type, each.name, each.tags): each for each in current.operations if each.finished}
    tests = max(1, 2 + 5 * len(before.keys() & after.keys()))
    judge = _Judge(tolerance, tolerance.alpha / tests, baseline.run.duration_s, current.run.duration_s)
    figures = [
        judge.throughput("", baseline.finished, current.finished),
        judge.error_rate("", baseline.failures, baseline.finished, current.failures, current.finished),
    ]
    for key in sorted(before.keys() | after.keys()):
        label = " ".join([*key[:2], *(f"[{tag}]" for tag in key[2])])
        if key not in before or key not in after:
            figures.append(judge.only_once(label, before.get(key), after.get(key)))
        else:
            figures += judge.operation(label, before[key], after[key])
    gone = [" ".join(key[:2]) for key in sorted(before.keys() - after.keys())]
    caveats = (*_caveats(baseline, current), *_gone(gone))
    return Comparison(baseline.run.id, tuple(figures), tolerance.relative, caveats, baseline.run.valid)


def _sustained(baseline: LimitSearch, current: LimitSearch, tolerance: Tolerance) -> ComparedFigure:
    old, new = _users(baseline), _users(current)
    if old is None or new is None:
        return ComparedFigure("", "sustained_users", old, new, "no_data")
    change = (new - old) / (old or 1.0)
    of_fewer, more = (current, old) if new < old else (baseline, new)
    broken = of_fewer.breaks_at
    is_apart = broken is not None and broken.users <= more
    counts = abs(change) > tolerance.relative and is_apart
    return ComparedFigure(
        "", "sustained_users", old, new, "same" if not counts else "better" if change > 0 else "worse"
    )


def _users(search: LimitSearch) -> float | None:
    """0 where no load was good; None where the search does not say how many."""
    if search.outcome == SEARCHING:
        return None
    step = search.sustained
    return float(step.users) if step is not None else 0.0 if search.outcome == NEVER_GOOD else None


def _gone(labels: list[str]) -> Iterator[str]:
    if labels:
        more = f" and {len(labels) - 5} more" if len(labels) > 5 else ""
        yield f"in the baseline only: {', '.join(labels[:5])}{more}"


def _caveats(baseline: Snapshot, current: Snapshot) -> Iterator[str]:
    for fact in ("scenario", "host", "users", "workers"):
        before, after = getattr(baseline.run, fact), getattr(current.run, fact)
        if before != after and before is not None and after is not None:
            yield f"{fact}: {before} then, {after} now"
    if (baseline.search is None) != (current.search is None):
        yield "one of the two was a search for the limit, which goes beyond it"
    if not baseline.run.valid:
        yield "the baseline was not valid: " + "; ".join(baseline.run.invalid_because)
    if not current.run.valid:
        yield "this run is not valid: " + "; ".join(current.run.invalid_because)


@dataclass(frozen=True, slots=True)
class _Judge:
    tolerance: Tolerance
    alpha: float
    """For one figure."""
    before_s: float
    after_s: float

    def operation(self, label: str, before: OperationStats, after: OperationStats) -> Iterator[ComparedFigure]:
        yield self.throughput(label, before.finished, after.finished)
        yield self.error_rate(label, before.failures, before.finished, after.failures, after.finished)
        shift = mann_whitney(before.latency, after.latency)
        for figure, q in PERCENTILES.items():
            yield self._percentile(label, figure, q, before.latency, after.latency, shift)

    def only_once(self, label: str, before: OperationStats | None, after: OperationStats | None) -> ComparedFigure:
        return ComparedFigure(
            label,
            "per_second",
            before.finished / self.before_s if before and self.before_s else None,
            after.finished / self.after_s if after and self.after_s else None,
            "no_data",
        )

    def throughput(self, label: str, before: int, after: int) -> ComparedFigure:
        if not (self.before_s and self.after_s and before and after):
            return ComparedFigure(label, "per_second", None, None, "no_data")
        share = self.after_s / (self.before_s + self.after_s)
        both = before + after
        p_value = _two_sided((after - both * share) / sqrt(both * share * (1 - share)))
        rate_before, rate_after = before / self.before_s, after / self.after_s
        change = rate_after / rate_before - 1
        counts = abs(change) > self.tolerance.relative and p_value < self.alpha
        outcome = "same" if not counts else "better" if change > 0 else "worse"
        return ComparedFigure(label, "per_second", rate_before, rate_after, outcome, p_value)

    def error_rate(self, label: str, x1: int, n1: int, x2: int, n2: int) -> ComparedFigure:
        if not (n1 and n2):
            return ComparedFigure(label, "error_rate", None, None, "no_data")
        before, after = x1 / n1, x2 / n2
        p_value = two_proportions(x1, n1, x2, n2)
        counts = abs(after - before) > self.tolerance.error_rate and p_value < self.alpha
        outcome = "same" if not counts else "worse" if after > before else "better"
        return ComparedFigure(label, "error_rate", before, after, outcome, p_value)

    def _percentile(
        self, label: str, figure: str, q: float, before: Distribution, after: Distribution, shift: tuple[float, float]
    ) -> ComparedFigure:
        old, new = before.percentile_us(q), after.percentile_us(q)
        if old is None or new is None or min(before.count, after.count) * (100 - q) / 100 < LEAST_ABOVE:
            before_ms, after_ms = (None if value is None else value / 1000 for value in (old, new))
            return ComparedFigure(label, figure, before_ms, after_ms, "no_data")
        p_value = min(
            two_proportions(_above(before, threshold), before.count, _above(after, threshold), after.count)
            for threshold in (_bucket_of_rank(before, q), _bucket_of_rank(after, q))
        )
        z, shift_p = shift
        if p_value < _SUPPORTING_ALPHA and (z > 0) == (new > old):
            p_value = min(p_value, shift_p)
        change = new - old
        counts = abs(change) > max(self.tolerance.relative * old, self.tolerance.latency_us)
        outcome = "same" if not counts or p_value >= self.alpha / 2 else "worse" if change > 0 else "better"
        return ComparedFigure(label, figure, old / 1000, new / 1000, outcome, min(1.0, 2 * p_value))


def _above(distribution: Distribution, threshold: int) -> int:
    return sum(count for bucket, count in distribution.buckets.items() if bucket > threshold)


def _bucket_of_rank(distribution: Distribution, q: float) -> int:
    """The bucket that holds the q-th percentile."""
    left = q / 100 * distribution.count
    bucket = 0
    for bucket in sorted(distribution.buckets):
        left -= distribution.buckets[bucket]
        if left <= 1e-6:
            break
    return bucket


def _two_sided(z: float) -> float:
    return erfc(abs(z) / sqrt(2))


def two_proportions(x1: int, n1: int, x2: int, n2: int) -> float:
    """Chance of shares that differ as much, if both runs have the same: x1 of n1 against x2 of n2, two-sided."""
    both, total = x1 + x2, n1 + n2
    if both in (0, total):
        return 1.0
    if min(both, total - both) <= _FISHER_UP_TO:
        return _fisher(x1, n1, x2, n2) if both <= total - both else _fisher(n1 - x1, n1, n2 - x2, n2)
    share = both / total
    return _two_sided((x2 / n2 - x1 / n1) / sqrt(share * (1 - share) * (1 / n1 + 1 / n2)))


def _fisher(x1: int, n1: int, x2: int, n2: int) -> float:
    """Twice the smaller tail of the hypergeometric distribution."""
    both = x1 + x2
    first, last = max(0, both - n1), min(both, n2)

    def log_choose(n: int, k: int) -> float:
        return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)

    everything = log_choose(n1 + n2, both)
    chances = [exp(log_choose(n2, k) + log_choose(n1, both - k) - everything) for k in range(first, last + 1)]
    lower, upper = sum(chances[: x2 - first + 1]), sum(chances[x2 - first :])
    return min(1.0, 2 * min(lower, upper))


def mann_whitney(before: Distribution, after: Distribution) -> tuple[float, float]:
    """z (positive: `after` is larger) and its two-sided p value, from histograms, with the correction for ties."""
    n1, n2 = before.count, after.count
    total = n1 + n2
    if not n1 or not n2:
        return 0.0, 1.0
    u = 0.0
    below = ties = 0
    for bucket in sorted(before.buckets.keys() | after.buckets.keys()):
        x1, x2 = before.buckets.get(bucket, 0), after.buckets.get(bucket, 0)
        u += x2 * (below + x1 / 2)
        below += x1
        ties += (x1 + x2) ** 3 - (x1 + x2)
    variance = n1 * n2 / 12 * (total + 1 - ties / (total * (total - 1)))
    if variance <= 0:
        return 0.0, 1.0
    z = (u - n1 * n2 / 2) / sqrt(variance)
    return z, _two_sided(z)
