"""Courses of memory, a sample a second for a minute, in bytes above some level: leaks, and what is none."""

from __future__ import annotations

from collections.abc import Callable
from math import exp
from random import Random
from typing import Final

SECONDS: Final = 60
MB: Final = 1e6
PAGE: Final = 4096
Course = Callable[[Random], list[float]]


def wandering(rng: Random, count: int, alike: float, spread: float) -> list[float]:
    """An autoregressive series of the first order with this autocorrelation and standard deviation."""
    value, values = rng.gauss(0, spread), []
    for _ in range(count):
        values.append(value)
        value = alike * value + rng.gauss(0, spread * (1 - alike * alike) ** 0.5)
    return values


def noise(alike: float, spread_mb: float = 0.3) -> Course:
    """An allocator's: memory comes and goes."""
    return lambda rng: wandering(rng, SECONDS, alike, spread_mb * MB)


def jumps(count: int) -> Course:
    """So many jumps to a higher level, at any time."""

    def course(rng: Random) -> list[float]:
        at = [(rng.randrange(SECONDS), rng.uniform(0.2, 10) * MB) for _ in range(count)]
        around = wandering(rng, SECONDS, rng.choice((0, 0.5, 0.8)), rng.choice((0, 0.01, 0.05, 0.3)) * MB)
        return [around[now] + sum(size for when, size in at if now >= when) for now in range(SECONDS)]

    return course


def warm_up(constant_s: float) -> Course:
    """Growth to a level: caches that fill."""

    def course(rng: Random) -> list[float]:
        size, constant = rng.uniform(2, 40) * MB, constant_s * rng.uniform(0.8, 1.2)
        around = wandering(rng, SECONDS, rng.choice((0, 0.5)), rng.choice((0, 0.01, 0.05, 0.3)) * MB)
        return [size * (1 - exp(-now / constant)) + around[now] for now in range(SECONDS)]

    return course


def arenas(rng: Random) -> list[float]:
    """A staircase at the start, pages that come and go later."""
    level, values = 0.0, []
    for now in range(SECONDS):
        if rng.random() < exp(-now / 6):
            level += rng.choice((0.25, 1)) * MB
        values.append(level + rng.choice((0, 0, 0, PAGE, 2 * PAGE)))
    return values


def collected(rng: Random) -> list[float]:
    """Garbage that piles up and is collected every 3 to 20 seconds."""
    every_s, size = rng.uniform(3, 20), rng.uniform(0.5, 20) * MB
    phase = rng.uniform(0, every_s)
    return [size * ((now + phase) % every_s) / every_s + rng.gauss(0, 0.02 * MB) for now in range(SECONDS)]


def leak(mb_per_min: float, noise_mb: float = 0.0, warm_up_mb: float = 0.0) -> Course:
    """What each message leaves behind, at an uneven rate, in whole pages."""

    def course(rng: Random) -> list[float]:
        around = wandering(rng, SECONDS, 0, noise_mb * MB)
        left, values = 0.0, []
        for now in range(SECONDS):
            left += mb_per_min * MB / 60 * rng.uniform(0.5, 1.5)
            values.append((left + around[now] + warm_up_mb * MB * (1 - exp(-now / 3))) // PAGE * PAGE)
        return values

    return course
