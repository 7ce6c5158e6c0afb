"""Sizes drawn from a distribution, and text of a given size."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from typing import Any

from locust_ext.errors import ConfigError

Sizes = int | tuple[int, int] | Callable[[random.Random], int]
"""Bytes: always the same, drawn evenly from ``(low, high)`` (both included), or drawn by a callable."""

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_POOL_CHARS = 8192


@cache
def _pool() -> str:
    """Text to cut from: the same in every process; 6 bits of entropy a character, so that it hardly deflates."""
    return "".join(random.Random(0).choices(_ALPHABET, k=_POOL_CHARS))


def text(rng: random.Random, size: int) -> str:
    """ASCII text of ``size`` characters (and bytes), safe in JSON and in URLs."""
    pool = _pool()
    while size > len(pool) // 2:
        pool += pool
    start = int(rng.random() * (len(pool) - size + 1))
    return pool[start : start + size]


def sizer(name: str, spec: Any, *, limit: int | None = None) -> Callable[[random.Random], int]:
    """A function that draws a size, from :data:`Sizes`. ``ConfigError`` if ``spec`` is none, or goes over ``limit``.

    What a callable draws is cut to the limit, and is never under 0.
    """
    if callable(spec):
        top = limit if limit is not None else 1 << 40
        return lambda rng: min(max(int(spec(rng)), 0), top)
    pair = spec if isinstance(spec, (tuple, list)) else (spec, spec)
    if (
        len(pair) != 2
        or not all(isinstance(end, int) and not isinstance(end, bool) for end in pair)
        or not 0 <= pair[0] <= pair[1]
    ):
        raise ConfigError(
            "expected bytes, a pair (low, high) with 0 <= low <= high, or a callable of a random.Random",
            key=name,
            value=spec,
        )
    if limit is not None and pair[1] > limit:
        raise ConfigError(f"expected at most {limit} bytes, the channel takes no more", key=name, value=spec)
    low, spread = pair[0], pair[1] - pair[0] + 1
    if spread == 1:
        return lambda rng: low
    return lambda rng: low + int(rng.random() * spread)
