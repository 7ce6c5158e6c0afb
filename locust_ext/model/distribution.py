"""`Distribution`: latencies as counts in log-linear buckets; a part of the model (`locust_ext.model`).

The layout is the contract: what one process counts, another merges, and a report of today is a baseline of tomorrow.
Units stand in the names: `_us` is whole microseconds. Sums are integers, so that any order gives the same number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Final

EXACT_BELOW_US: Final = 256
"""Below this every microsecond has a bucket of its own."""
LARGEST_US: Final = 3_600_000_000
"""One hour; longer samples share the last bucket (count, sum, min and max stay exact)."""


def bucket_of(value_us: int) -> int:
    """The index of the bucket that `value_us` (>= 0) falls into: log-linear, 128 buckets for each power of two.

    The layout is that of HdrHistogram (http://hdrhistogram.org) with 8 significant bits: a bucket is at most 1/128
    (0.8 %) wide, so that its midpoint is at most 0.4 % off.
    """
    if value_us < EXACT_BELOW_US:
        return value_us
    if value_us > LARGEST_US:
        value_us = LARGEST_US
    shift = value_us.bit_length() - 8
    return (shift << 7) + (value_us >> shift)


BUCKETS: Final = bucket_of(LARGEST_US) + 1


def bucket_bounds_us(bucket: int) -> tuple[int, int]:
    """The smallest and the largest value of a bucket."""
    if bucket < EXACT_BELOW_US:
        return bucket, bucket
    shift = (bucket >> 7) - 1
    low = (bucket - (shift << 7)) << shift
    return low, low + (1 << shift) - 1


@dataclass(frozen=True, slots=True)
class Distribution:
    """How many samples fell into which bucket; count, sum, min and max are exact.

    `min_us` and `max_us` are None where there is no sample. After `minus` they are the bounds of the outermost buckets.
    """

    count: int = 0
    sum_us: int = 0
    min_us: int | None = None
    max_us: int | None = None
    buckets: Mapping[int, int] = field(default_factory=dict)
    """Bucket index -> number of samples (> 0); in no particular order."""

    @property
    def average_us(self) -> float | None:
        return self.sum_us / self.count if self.count else None

    def percentile_us(self, q: float) -> int | None:
        """The latency that `q` per cent (0 to 100) of the samples do not exceed, by nearest rank; None without samples.

        At most 0.4 % off; exact for the first and the last rank.
        """
        return self.percentiles_us((q,))[0]

    def percentiles_us(self, qs: Iterable[float]) -> list[int | None]:
        """`percentile_us` of several `qs` at the price of one."""
        qs = list(qs)
        if any(not 0 <= q <= 100 for q in qs):
            raise ValueError(f"percentiles lie between 0 and 100, got {qs}")
        if self.min_us is None or self.max_us is None:
            return [None] * len(qs)
        # Rounded first: 99.9 % of 1000 is 999.0000000000001 in floating point, which is rank 999.
        ranks = [ceil(round(q * self.count / 100, 6)) for q in qs]
        found: list[int | None] = [None] * len(qs)
        waiting = sorted(range(len(qs)), key=ranks.__getitem__)
        below = position = 0
        for bucket in sorted(self.buckets):
            below += self.buckets[bucket]
            while position < len(waiting) and ranks[waiting[position]] <= below:
                which = waiting[position]
                found[which] = self._value_us(bucket, ranks[which])
                position += 1
        return found

    def _value_us(self, bucket: int, rank: int) -> int:
        assert self.min_us is not None
        assert self.max_us is not None
        if rank <= 1:
            return self.min_us
        if rank >= self.count:
            return self.max_us
        low, high = bucket_bounds_us(bucket)
        return min(max((low + high + 1) // 2, self.min_us), self.max_us)

    def plus(self, *others: Distribution) -> Distribution:
        """This and the others as one: associative and commutative."""
        parts = [part for part in (self, *others) if part.count]
        if len(parts) < 2:
            return parts[0] if parts else EMPTY
        buckets = dict(parts[0].buckets)
        for part in parts[1:]:
            for bucket, count in part.buckets.items():
                buckets[bucket] = buckets.get(bucket, 0) + count
        return Distribution(
            sum(part.count for part in parts),
            sum(part.sum_us for part in parts),
            min(part.min_us for part in parts if part.min_us is not None),
            max(part.max_us for part in parts if part.max_us is not None),
            buckets,
        )

    def minus(self, earlier: Distribution) -> Distribution:
        """What came after `earlier`, which must be an older state of the same distribution (else ValueError)."""
        buckets = dict(self.buckets)
        for bucket, count in earlier.buckets.items():
            left = buckets.get(bucket, 0) - count
            if left < 0:
                raise ValueError("not an earlier state of this distribution")
            if left:
                buckets[bucket] = left
            else:
                del buckets[bucket]
        if not buckets or self.min_us is None or self.max_us is None:
            return EMPTY
        low, high = bucket_bounds_us(min(buckets))[0], bucket_bounds_us(max(buckets))[1]
        return Distribution(
            self.count - earlier.count,
            self.sum_us - earlier.sum_us,
            max(low, self.min_us),
            self.max_us if max(buckets) == BUCKETS - 1 else min(high, self.max_us),
            buckets,
        )

    def to_text(self) -> str:
        """`1;sum;min;max;` and the buckets in order, as steps from one to the next, `*count` unless it is one."""
        if not self.count:
            return "1;0;;;"
        steps, before = [], 0
        for bucket in sorted(self.buckets):
            count = self.buckets[bucket]
            steps.append(f"{bucket - before}*{count}" if count > 1 else str(bucket - before))
            before = bucket
        return f"1;{self.sum_us};{self.min_us};{self.max_us};{','.join(steps)}"

    @classmethod
    def from_text(cls, text: str) -> Distribution:
        """What `to_text` wrote; ValueError for anything else, in bounded time and memory."""
        try:
            version, total, low, high, steps = text.split(";")
            if version != "1" or not text.isascii():
                raise ValueError
            if text == EMPTY.to_text():
                return EMPTY
            buckets: dict[int, int] = {}
            bucket = 0
            for step in steps.split(",", BUCKETS):
                distance, _, count = step.partition("*")
                bucket += int(distance)
                if bucket in buckets:
                    raise ValueError
                buckets[bucket] = int(count or 1)
            return cls.checked(int(total), int(low), int(high), buckets)
        except (ValueError, AttributeError):
            raise ValueError("not the text of a histogram") from None

    @classmethod
    def checked(cls, sum_us: int, min_us: int, max_us: int, buckets: Mapping[int, int]) -> Distribution:
        """A distribution from numbers that came from outside; ValueError unless they can belong together."""
        if not buckets:
            raise ValueError("a histogram without buckets")
        count = sum(buckets.values())
        if (
            min(buckets.values()) < 1
            or not 0 <= min_us <= max_us
            or not count < 2**63
            or bucket_of(min_us) != min(buckets)
            or bucket_of(max_us) != max(buckets)
            or not min_us * count <= sum_us <= max_us * count
        ):
            raise ValueError("numbers of a histogram that cannot belong together")
        return cls(count, sum_us, min_us, max_us, buckets)


EMPTY: Final = Distribution()
