"""Whether a series of samples rises or falls: linear regression with a test of significance.

At most 60 points, averages over equal times, are fitted by least squares. Samples that follow one another
are alike (memory, CPU and lag all are autocorrelated), so that the usual error of the slope is far too small. It is
therefore taken with the *effective* number of samples, ``n (1 - r) / (1 + r)``, where ``r`` is the autocorrelation of
the residuals at lag one, corrected for its bias in short series; Student's t with that many samples less two gives p
(Santer et al. 2000, J. Geophys. Res. 105, 7337, "AdjSE + AdjDF"). Assumptions: the residuals are an autoregressive
process of the first order about a straight line, with one variance. A change counts when p is below `ALPHA` *and* it
is, over the whole time, at least `LEAST_CHANGE` of the average: a tiny slope is `stable`, however sure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt
from typing import Final

from locust_ext.core.accounting.student import student_p, student_quantile
from locust_ext.model import Trend

Points = Sequence[tuple[float, float]]
"""(seconds, value), in the order of time."""

MAX_POINTS: Final = 60
LEAST_POINTS: Final = 10
ALPHA: Final = 0.001
LEAST_CHANGE: Final = 0.05
MIB: Final = 2**20
LEAST_BY_METRIC: Final = {"memory_bytes": float(MIB)}
"""Changes that count whatever share of the average they are."""

INCREASING: Final = "increasing"
DECREASING: Final = "decreasing"
STABLE: Final = "stable"
TOO_LITTLE: Final = "too little data"


@dataclass(frozen=True, slots=True)
class Fit:
    """A straight line through points, and how sure its slope is."""

    slope: float
    """Per second."""
    error: float
    """Standard error of the slope, with the autocorrelation of the residuals."""
    r_squared: float
    degrees: float
    """Of freedom, by the effective number of samples."""
    residual: float
    """Sum of the squares of what the line does not explain."""
    alike: float = 0.0
    """Autocorrelation of the residuals at lag one, 0 to 1."""

    @property
    def p_value(self) -> float:
        """How likely a slope as steep is if there is none."""
        if not self.slope or self.degrees <= 0:
            return 1.0
        return student_p(abs(self.slope) / self.error, self.degrees) if self.error else 0.0

    @property
    def half_width(self) -> float:
        """Half of the slope's 95 % confidence interval."""
        return self.error * student_quantile(0.05, self.degrees) if self.degrees > 0 else inf


def averaged(points: Points, most: int = MAX_POINTS) -> list[tuple[float, float]]:
    """At most so many points: the averages over equal times; as they are if they are few enough."""
    if len(points) <= most:
        return list(points)
    begin, span = points[0][0], points[-1][0] - points[0][0]
    sums: dict[int, list[float]] = {}
    for at_s, value in points:
        block = min(most - 1, int((at_s - begin) / span * most)) if span else 0
        of_block = sums.setdefault(block, [0.0, 0.0, 0.0])
        of_block[0] += 1
        of_block[1] += at_s
        of_block[2] += value
    return [(at_s / count, value / count) for _, (count, at_s, value) in sorted(sums.items())]


def fit(points: Points) -> Fit:
    """The line of least squares through at least three points that are not all at one time."""
    n = len(points)
    middle = sum(at_s for at_s, _ in points) / n
    level = sum(value for _, value in points) / n
    times = [at_s - middle for at_s, _ in points]
    values = [value - level for _, value in points]
    spread = sum(at_s * at_s for at_s in times)
    total = sum(value * value for value in values)
    if not spread:
        return Fit(0.0, inf, 0.0, 0.0, total)
    slope = sum(map(_product, times, values)) / spread
    residuals = [value - slope * at_s for at_s, value in zip(times, values, strict=True)]
    residual = sum(each * each for each in residuals)
    if residual <= 1e-18 * total:
        return Fit(slope, 0.0, 1.0 if total else 0.0, n - 2, 0.0)
    alike = sum(map(_product, residuals, residuals[1:])) / residual
    alike = min(0.99, max(0.0, (n * alike + 1) / (n - 4))) if n > 4 else 0.99
    effective = n * (1 - alike) / (1 + alike)
    degrees = effective - 2
    error = sqrt(residual / degrees / spread) if degrees > 0 else inf
    return Fit(slope, error, 1 - residual / total, degrees, residual, alike)


def _product(first: float, second: float) -> float:
    return first * second


def trend_of(metric: str, points: Points) -> Trend:
    """Whether the metric rises or falls over the time of these points."""
    points = averaged(points)
    if len(points) < LEAST_POINTS or points[-1][0] <= points[0][0]:
        return Trend(metric, TOO_LITTLE)
    line = fit(points)
    change = abs(line.slope) * (points[-1][0] - points[0][0])
    level = sum(abs(value) for _, value in points) / len(points)
    least = min(LEAST_CHANGE * level, LEAST_BY_METRIC.get(metric, inf))
    counts = line.p_value < ALPHA and change >= least
    return Trend(
        metric,
        (INCREASING if line.slope > 0 else DECREASING) if counts else STABLE,
        60 * line.slope,
        60 * line.half_width if line.half_width < inf else None,
        line.r_squared,
        line.p_value,
    )
