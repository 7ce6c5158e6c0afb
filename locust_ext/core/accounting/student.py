"""Student's distribution: how likely a value is, and which value is as unlikely as that. No more than `math` is needed."""

from __future__ import annotations

from math import exp, inf, lgamma, log, log1p, pi


def student_p(t: float, degrees: float) -> float:
    """How likely |t| or more is, by Student's distribution with so many degrees of freedom (any number above 0)."""
    return incomplete_beta(degrees / (degrees + t * t), degrees / 2, 0.5)


def student_quantile(p: float, degrees: float) -> float:
    """The t that is exceeded, to both sides, with the probability `p` (0 to 1, both excluded)."""
    low, high = 0.0, 2.0
    while student_p(high, degrees) > p:
        low, high = high, 2 * high
        if high > 1e12:
            return inf
    t = (low + high) / 2
    for _ in range(60):
        difference = student_p(t, degrees) - p
        if difference > 0:
            low = t
        else:
            high = t
        density = exp(
            lgamma((degrees + 1) / 2)
            - lgamma(degrees / 2)
            - log(pi * degrees) / 2
            - (degrees + 1) / 2 * log1p(t * t / degrees)
        )
        after = t + difference / (2 * density) if density else high
        after = after if low < after < high else (low + high) / 2
        if abs(after - t) < 1e-9 * t:
            break
        t = after
    return t


def incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b), 0 ≤ x ≤ 1 (Abramowitz and Stegun, 26.5.8; Lentz's method)."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(1 - x, b, a)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)) / a
    tiny = 1e-300
    c, d = 1.0, 1 / _nonzero(1 - (a + b) * x / (a + 1), tiny)
    result = d
    for m in range(1, 300):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _nonzero(1 + term * d, tiny)
            c = _nonzero(1 + term / c, tiny)
            result *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return min(1.0, front * result)


def _nonzero(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny
