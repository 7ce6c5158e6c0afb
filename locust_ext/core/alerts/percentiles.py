"""Percentiles of many distributions as one: those of `EMPTY.plus(*parts)`, in a third of the time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from math import ceil

from locust_ext.model import BUCKETS, Distribution, bucket_bounds_us


class Percentiles:
    """Adds the parts up once; each percentile is then a search."""

    __slots__ = ("_below", "_buckets", "_highest", "_lowest")

    def __init__(self, parts: Sequence[Distribution]) -> None:
        """`parts` all have samples."""
        self._buckets: Sequence[int]
        if len(parts) == 1:
            counts = parts[0].buckets
            self._buckets = sorted(counts)
            self._below = list(accumulate(map(counts.__getitem__, self._buckets)))
        else:
            self._buckets = range(BUCKETS)
            sums = [0] * BUCKETS
            for part in parts:
                for bucket, count in part.buckets.items():
                    sums[bucket] += count
            self._below = list(accumulate(sums))
        self._lowest = min((part.min_us for part in parts if part.min_us is not None), default=0)
        self._highest = max((part.max_us for part in parts if part.max_us is not None), default=0)

    def us(self, q: float) -> int | None:
        """The time that `q` per cent of the samples do not exceed, by nearest rank; None without samples."""
        total = self._below[-1]
        if not total:
            return None
        rank = ceil(round(q * total / 100, 6))  # 99.9 % of 1000 is 999.0000000000001 in floating point
        if rank <= 1:
            return self._lowest
        if rank >= total:
            return self._highest
        low, high = bucket_bounds_us(self._buckets[bisect_left(self._below, rank)])
        return min(max((low + high + 1) // 2, self._lowest), self._highest)
