"""An axis of a chart: where a value stands, linearly or logarithmically, and which values are named at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Final

from locust_ext.outputs.search_chart import is_logarithmic

_MOST_TICKS: Final = 8
_STEPS: Final = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Axis:
    """From one value at one pixel to another at another."""

    least: float
    most: float
    from_px: float
    to_px: float
    is_log: bool
    ticks: tuple[tuple[float, str], ...]
    """(value, its text) from the least on."""

    def place(self, value: float) -> float:
        """The pixel; a value beyond an end stands at that end."""
        value = min(max(value, self.least), self.most)
        if self.is_log:
            share = log10(value / self.least) / log10(self.most / self.least)
        else:
            share = (value - self.least) / (self.most - self.least)
        return self.from_px + share * (self.to_px - self.from_px)


def axis_of(
    values: Sequence[float], from_px: float, to_px: float, *, whole: bool = False, may_be_logarithmic: bool = False
) -> Axis:
    """An axis on which all the values have room: from 0 on, or logarithmic where their spread is large and it may.

    ``whole``: no part of one is named, as of users.
    """
    positive = [value for value in values if value > 0]
    smallest, largest = min(positive, default=1.0), max(positive, default=1.0)
    if may_be_logarithmic and is_logarithmic(smallest, largest):
        ticks = _log_ticks(smallest, largest)
        least, most = min(ticks[0], smallest * 0.8), max(ticks[-1], largest * 1.3)
        return Axis(least, most, from_px, to_px, True, tuple((tick, _text(tick)) for tick in ticks))
    step = _step(largest * 1.04, whole=whole)
    count = ceil(largest * 1.04 / step)
    linear = [number * step for number in range(count + 1)]
    return Axis(0.0, linear[-1], from_px, to_px, False, tuple((tick, _text(tick)) for tick in linear))


def _step(most: float, *, whole: bool) -> float:
    """The distance of the ticks: a round number, of which there are no more than there is room for."""
    size = 10.0 ** floor(log10(most / _MOST_TICKS))
    fits = [factor * size for factor in _STEPS if most / (factor * size) <= _MOST_TICKS]
    return next((step for step in fits if step >= 1 and step == int(step)), 1.0) if whole else fits[0]


def _log_ticks(smallest: float, largest: float) -> list[float]:
    """Powers of ten, and between them 2 and 5 where there is room for them."""
    first, last = floor(log10(smallest)), ceil(log10(largest))
    factors = (1, 2, 5) if last - first <= 3 else (1,)
    ticks = [factor * 10.0**power for power in range(first, last + 1) for factor in factors]
    inside = [tick for tick in ticks if smallest * 0.8 <= tick <= largest * 1.3]
    return inside if len(inside) > 1 else [10.0**first, 10.0**last]


def _text(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:g}"
