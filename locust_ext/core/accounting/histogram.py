"""A histogram that counts: one dict increment a sample, exact count, sum, minimum and maximum."""

from __future__ import annotations

from typing import Final

from locust_ext.model import BUCKETS, EMPTY, LARGEST_US, Distribution, bucket_bounds_us, bucket_of

_LAST: Final = BUCKETS - 1


class Histogram:
    """Mutable twin of `Distribution`; the bucket layout is the model's.

    Not safe for threads; greenlets share it freely, because nothing in it switches.
    """

    __slots__ = ("_is_shared", "buckets", "count", "max_us", "min_us", "sum_us")

    def __init__(self) -> None:
        self.count = 0
        self.sum_us = 0
        self.min_us = -1  # below every sample: no sample yet
        self.max_us = -1
        self.buckets: dict[int, int] = {}
        self._is_shared = False  # a frozen copy reads `buckets`: the next change makes its own first

    def record(self, value_us: int) -> None:
        """Count one sample of whole microseconds; a negative one counts as 0."""
        if value_us < 256:
            if value_us < 0:
                value_us = 0
            bucket = value_us
        elif value_us <= LARGEST_US:
            shift = value_us.bit_length() - 8
            bucket = (shift << 7) + (value_us >> shift)
        else:
            bucket = _LAST
        self.count += 1
        self.sum_us += value_us
        if value_us > self.max_us:
            self.max_us = value_us
            if self.min_us < 0:
                self.min_us = value_us
        elif value_us < self.min_us:
            self.min_us = value_us
        if self._is_shared:
            self._unshare()
        buckets = self.buckets
        if bucket in buckets:
            buckets[bucket] += 1
        else:
            buckets[bucket] = 1

    def merge(self, other: Distribution) -> None:
        """Add the samples of `other`; the order of merges does not matter."""
        if other.min_us is None or other.max_us is None:
            return
        self.min_us = min(self.min_us, other.min_us) if self.count else other.min_us
        self.max_us = max(self.max_us, other.max_us)
        self.sum_us += other.sum_us
        self.count += other.count
        if not self.buckets and type(other.buckets) is dict:
            self.buckets, self._is_shared = other.buckets, True
            return
        if self._is_shared:
            self._unshare()
        buckets = self.buckets
        have = buckets.get
        for bucket, count in other.buckets.items():
            buckets[bucket] = have(bucket, 0) + count

    def subtract(self, other: Distribution) -> None:
        """Take out samples that were merged before (a period that leaves a window); ValueError if they were not.

        Minimum and maximum then are the bounds of the outermost buckets that are left.
        """
        buckets = self.buckets.copy()
        have = buckets.get
        for bucket, count in other.buckets.items():
            left = have(bucket, 0) - count
            if left > 0:
                buckets[bucket] = left
            elif left == 0:
                del buckets[bucket]
            else:
                raise ValueError("these samples were never merged")
        self.buckets, self._is_shared = buckets, False
        self.count -= other.count
        self.sum_us -= other.sum_us
        if not self.count:
            self.min_us = self.max_us = -1
            return
        if bucket_of(self.min_us) not in buckets:
            self.min_us = bucket_bounds_us(min(buckets))[0]
        if bucket_of(self.max_us) not in buckets:
            self.max_us = bucket_bounds_us(max(buckets))[1]

    def freeze(self) -> Distribution:
        """What it holds now, which does not change any more; free until the next change, which then costs a copy."""
        if not self.count:
            return EMPTY
        self._is_shared = True
        return Distribution(self.count, self.sum_us, self.min_us, self.max_us, self.buckets)

    def _unshare(self) -> None:
        self.buckets = self.buckets.copy()
        self._is_shared = False
