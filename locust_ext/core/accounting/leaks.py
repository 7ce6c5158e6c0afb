"""Whether memory leaks: growth that goes on, told from warm-ups, jumps, collectors and chance."""

from __future__ import annotations

from itertools import pairwise
from math import exp, inf, log, sqrt
from typing import Final

from locust_ext.core.accounting.student import student_p, student_quantile
from locust_ext.core.accounting.trends import MIB, Fit, Points, averaged, fit
from locust_ext.model import Leak

LEAK_LIKELY: Final = "leak likely"
FLAT: Final = "flat"
TOO_SHORT: Final = "too short to say"

LEAST_POINTS: Final = 15
LEAST_S: Final = 20.0
LEAST_GROWTH: Final = 200_000.0
"""Bytes, over all the time: pages and arenas come in pieces."""
ENOUGH_GROWTH: Final = 2 * MIB
ENOUGH_SHARE: Final = 0.03
"""Of the memory. A healthy process of Python gathers 1 or 2 MiB in its first minutes, as steadily as a small leak does:
only what adds up to more says anything (measured: benchmarks/leak_verdicts.py).
"""
LEAK_ALPHA: Final = 0.0002
WANDERS: Final = 0.6
"""Autocorrelation of the residuals from which on their line says nothing."""
FADING: Final = (0.05, 0.1, 0.17, 0.25, 0.35, 0.5)
"""Time constants of growth to a level, as parts of the time."""
BESIDE: Final = (0.05, 0.1, 0.15)
"""Those of the rest of a warm-up."""
BETTER: Final = 4.5
"""Twice the logarithm of the likelihood ratio from which on growth is without end."""
PIECE: Final = 8_192.0
"""Bytes: no model can be nearer than memory is given out."""
GOLDEN: Final = (3 - sqrt(5)) / 2


def leak_of(points: Points, warmup_s: float = 0.0, leave_out_s: float | None = None) -> Leak:
    """Whether memory (bytes over seconds of the run) grows without end.

    Left out is what was read before `warmup_s`, and the first quarter of the rest, at least 10 s (or `leave_out_s`):
    caches fill, pools and arenas are made. So is the last sample: the end of a run is no part of its course. Of what is
    left, at most 60 averages, a leak is *likely* if all of it holds:

    * The line of least squares rises, with p below `LEAK_ALPHA` (see `trends`: the error allows for autocorrelation;
      where the residuals wander like a random walk, the steps from point to point are tested instead), and by at least
      `LEAST_GROWTH` bytes in all.
    * It goes on: the line explains the values better than growth that slows down does, be it to a level (an exponential
      with any time constant up to half of the time) or all the time (the logarithm of the time since the start). The
      measure is a likelihood ratio with the effective number of points. Beside all of them a short exponential may
      stand, which is the rest of the warm-up.
    * It is gradual: one or two jumps do not explain the values better (Bayesian information criterion).
    * It is not given back: no later average is below an earlier one by more than half of the growth, as it would be
      where a collector runs now and then.

    * It has added up to more than what a healthy process gathers in its first minutes: `ENOUGH_GROWTH`, or `ENOUGH_SHARE`
      of the memory where that is more. Steady growth by less is `too short to say`, and told with its size.

    `too short to say` is also what is left of less than 20 s or 15 points. Assumptions: the load is steady after the
    warm-up (memory that rises with the number of connections looks like a leak), and a collector's cycle is shorter
    than half of the run. So a leak of 3 MiB/min is found within a minute, one of 0.5 MiB/min within six.
    """
    end_s = points[-1][0] if points else warmup_s
    begin_s = warmup_s + (max(10.0, (end_s - warmup_s) / 4) if leave_out_s is None else leave_out_s)
    points = averaged([point for point in points if point[0] >= begin_s][:-1])
    if len(points) < LEAST_POINTS or points[-1][0] - points[0][0] < LEAST_S:
        return Leak(TOO_SHORT, TOO_SHORT)
    line = fit(points)
    growth = line.slope * (points[-1][0] - points[0][0])
    p_value, half_width = _certainty(points, line)
    grows = growth >= LEAST_GROWTH and p_value < LEAK_ALPHA
    leaks = grows and _goes_on(points, line, warmup_s) and not _is_given_back(points, growth)
    per_min, half = 60 * line.slope, 60 * half_width
    digits = 1 if per_min >= MIB else 2
    rate = f"grows {per_min / MIB:,.{digits}f} MiB/min ± {half / MIB:,.{digits}f} (r² {line.r_squared:.2f})"
    if not grows:
        verdict, text = FLAT, FLAT
    elif not leaks:
        verdict, text = FLAT, f"{rate}, but slows down, jumps or falls back: {FLAT}"
    elif growth < max(ENOUGH_GROWTH, ENOUGH_SHARE * points[0][1]):
        verdict, text = TOO_SHORT, f"{rate}, {growth / MIB:,.1f} MiB in all: {TOO_SHORT}"
    else:
        verdict, text = LEAK_LIKELY, f"{rate}: {LEAK_LIKELY}"
    return Leak(verdict, text, per_min, half, line.r_squared)


def _certainty(points: Points, line: Fit) -> tuple[float, float]:
    """p of the slope, and half of its 95 % confidence interval a second.

    Where the residuals wander, as those of a random walk do, by the steps from point to point instead.
    """
    if line.alike < WANDERS:
        return line.p_value, line.half_width
    rates = [
        (after[1] - before[1]) / (after[0] - before[0]) for before, after in pairwise(points) if after[0] > before[0]
    ]
    n = len(rates)
    average = sum(rates) / n
    error = sqrt(sum((rate - average) ** 2 for rate in rates) / (n - 1) / n)
    if not error:
        return (0.0 if average else 1.0), 0.0
    return student_p(abs(average) / error, n - 1), error * student_quantile(0.05, n - 1)


def _goes_on(points: Points, line: Fit, began_s: float) -> bool:
    """Whether growth without end explains the values better than growth that slows down, or jumps, do."""
    span = points[-1][0] - points[0][0]
    slowing = [(log(max(1e-3, at_s - began_s)), value) for at_s, value in points]
    ending = min(_fading(points), fit(slowing).residual)
    # (without end, with an end): the growth alone, and beside a warm-up that is soon over.
    rivals = [(line, ending)]
    for part in BESIDE:
        decays = _decays(points, part)
        both = _beside(decays, points)
        if both.slope * span >= LEAST_GROWTH and both.p_value < LEAK_ALPHA:
            rivals.append((both, min(ending, _beside(decays, slowing).residual)))
    floor, n = len(points) * PIECE**2, len(points)
    jumps = _residual_of_jumps(points)
    return any(
        max(5.0, endless.degrees + 2) * log((end + floor) / (endless.residual + floor)) > BETTER
        and n * log((jumps + floor) / (endless.residual + floor)) > -3 * log(n)
        for endless, end in rivals
    )


def _beside(decays: Points, points: Points) -> Fit:
    """A line (of whatever the first column is) with a decay beside it, as the line that is left (Frisch and Waugh)."""
    of_values = fit(decays).slope
    of_times = fit([(decay, at) for (decay, _), (at, _) in zip(decays, points, strict=True)]).slope
    return fit(
        [
            (at - of_times * decay, value - of_values * decay)
            for (decay, _), (at, value) in zip(decays, points, strict=True)
        ]
    )


def _fading(points: Points) -> float:
    """Sum of squares about the best curve that rises to a level: over the times of `FADING`, and between them."""

    def left(part: float) -> float:
        decay = fit(_decays(points, part))
        return decay.residual if decay.slope < 0 else inf

    best = min(range(len(FADING)), key=lambda at: left(FADING[at]))
    low, high = FADING[max(0, best - 1)], FADING[min(len(FADING) - 1, best + 1)]
    first, second = low + (high - low) * GOLDEN, high - (high - low) * GOLDEN
    of_first, of_second = left(first), left(second)
    for _ in range(7):
        if of_first < of_second:
            high, second, of_second = second, first, of_first
            first = low + (high - low) * GOLDEN
            of_first = left(first)
        else:
            low, first, of_first = first, second, of_second
            second = high - (high - low) * GOLDEN
            of_second = left(second)
    return min(of_first, of_second)


def _decays(points: Points, part: float) -> list[tuple[float, float]]:
    """The values over a decay that has the time constant of this part of the whole time."""
    begin, span = points[0][0], points[-1][0] - points[0][0]
    return [(exp((begin - at_s) / (part * span)), value) for at_s, value in points]


def _residual_of_jumps(points: Points) -> float:
    """Sum of squares about three constant levels: the best jump, and the best further one."""
    n = len(points)
    sums, squares = [0.0], [0.0]
    level = points[0][1]
    for _, value in points:
        sums.append(sums[-1] + value - level)
        squares.append(squares[-1] + (value - level) ** 2)

    def rest(begin: int, end: int) -> float:
        return max(0.0, squares[end] - squares[begin] - (sums[end] - sums[begin]) ** 2 / (end - begin))

    first = min(range(1, n), key=lambda at: rest(0, at) + rest(at, n))
    return min(
        rest(0, begin) + rest(begin, end) + rest(end, n)
        for begin, end in [(at, first) for at in range(1, first)] + [(first, at) for at in range(first + 1, n)]
    )


def _is_given_back(points: Points, growth: float) -> bool:
    """Whether any average over a tenth of the time is below an earlier one by more than half of the growth."""
    highest = -inf
    for _, value in averaged(points, 10):
        if highest - value > growth / 2:
            return True
        highest = max(highest, value)
    return False
