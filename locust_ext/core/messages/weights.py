"""Shares and weights: checked once, then looked up by one random number."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

from locust_ext.errors import ConfigError


def check_share(name: str, value: Any) -> float:
    """``value`` as a float, if it is a number from 0 to 1; else ``ConfigError``."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= 1:
        raise ConfigError("expected a share from 0 to 1", key=name, value=value)
    return float(value)


def check_weight(name: str, value: Any) -> float:
    """``value`` as a float, if it is a finite number of at least 0; else ``ConfigError``."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value) or value < 0:
        raise ConfigError("expected a weight, a number of at least 0", key=name, value=value)
    return float(value)


def bounds(weights: Sequence[float]) -> list[float]:
    """The upper bounds of all but the last weight's part of 0..1: ``bisect(bounds, rng.random())`` is the choice.

    ``ConfigError`` if the weights add up to nothing.
    """
    total = sum(weights)
    if total <= 0:
        raise ConfigError("expected at least one weight above 0", value=list(weights))
    last = max(index for index, weight in enumerate(weights) if weight > 0)
    steps = [step / total for step in accumulate(weights)]
    # Rounding must not leave a sliver of 0..1 to a weight of 0 at the end.
    return steps[:last] + [math.inf] * (len(steps) > last + 1)


def unknown(key: str, value: object, valid: Iterable[str]) -> ConfigError:
    """The error for a name that is not in ``valid``, with the nearest one that is."""
    names = list(valid)
    near = difflib.get_close_matches(str(value), names, n=1)
    return ConfigError(
        f"unknown name, expected one of {', '.join(names)}", key=key, value=value, nearest=near[0] if near else None
    )
