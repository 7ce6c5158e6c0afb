"""Spans of seconds and counts, as patterns take them: one number, or a pair ``(low, high)`` to draw from."""

from __future__ import annotations

import math
import random
from typing import Any

from locust_ext.errors import ConfigError

Span = float | tuple[float, float]
"""Seconds: always the same, or drawn evenly from ``(low, high)``."""

Count = int | tuple[int, int]
"""A number of things: always the same, or drawn evenly from ``(low, high)``, both included."""


def check_number(name: str, value: Any, *, above: float | None = None, at_least: float | None = None) -> float:
    """``value`` as a float, if it is a finite number within the bound; else ``ConfigError``."""
    expected = "a number"
    if above is not None:
        expected = f"a number above {above:g}"
    elif at_least is not None:
        expected = f"a number of at least {at_least:g}"
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not good or (above is not None and value <= above) or (at_least is not None and value < at_least):
        raise ConfigError(f"expected {expected}", key=name, value=value)
    return float(value)


def check_count(name: str, value: Any, *, at_least: int) -> int:
    """``value``, if it is a whole number of at least ``at_least``; else ``ConfigError``."""
    if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
        raise ConfigError(f"expected a whole number of at least {at_least}", key=name, value=value)
    return value


def check_limit(name: str, value: Any) -> None:
    """Pass None (no limit) or a whole number of at least 1; else ``ConfigError``."""
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise ConfigError("expected a whole number of at least 1, or None for no limit", key=name, value=value)


def span(name: str, value: Any) -> tuple[float, float]:
    """``(low, high)`` in seconds, from a :data:`Span`; ``ConfigError`` unless ``0 <= low <= high``, both finite."""
    pair = value if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) == 2 and all(
        isinstance(end, (int, float)) and not isinstance(end, bool) and math.isfinite(end) for end in pair
    ):
        low, high = float(pair[0]), float(pair[1])
        if 0.0 <= low <= high:
            return low, high
    raise ConfigError("expected seconds, or a pair (low, high) with 0 <= low <= high", key=name, value=value)


def counts(name: str, value: Any) -> tuple[int, int]:
    """``(low, high)``, from a :data:`Count`; ``ConfigError`` unless ``1 <= low <= high``, both whole numbers."""
    pair = value if isinstance(value, (tuple, list)) else (value, value)
    if (
        len(pair) == 2
        and all(isinstance(end, int) and not isinstance(end, bool) for end in pair)
        and 1 <= pair[0] <= pair[1]
    ):
        return pair[0], pair[1]
    raise ConfigError("expected a whole number, or a pair (low, high) with 1 <= low <= high", key=name, value=value)


def draw(rng: random.Random, ends: tuple[float, float]) -> float:
    """A number drawn evenly from ``ends``."""
    low, high = ends
    return low + (high - low) * rng.random()


def draw_count(rng: random.Random, ends: tuple[int, int]) -> int:
    """A whole number drawn evenly from ``ends``, both included."""
    low, high = ends
    return low + int((high - low + 1) * rng.random())
