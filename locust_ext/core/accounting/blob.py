"""What blobs are made of: numbers, texts and histograms, to JSON and, looked at closely, back again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from locust_ext.core.accounting.names import MAX_LENGTH
from locust_ext.errors import LocustExtError
from locust_ext.model import BUCKETS, EMPTY, Distribution

MAX_NUMBER: Final = 2**53
LARGEST: Final = 1e18
"""Of what a resource monitor reads."""


class WireError(LocustExtError):
    """A blob is not a delta of ours; the text says what is wrong and never repeats its content."""

    code = "wire"


def histogram_out(distribution: Distribution | None) -> list[Any] | None:
    """None: there is none; an empty list: it is empty."""
    if distribution is None:
        return None
    if not distribution.count:
        return []
    return [
        distribution.sum_us,
        distribution.min_us,
        distribution.max_us,
        list(distribution.buckets),
        list(distribution.buckets.values()),
    ]


def text_in(value: object) -> str:
    """A name."""
    if type(value) is not str or len(value) > MAX_LENGTH:
        raise WireError("a name that is no text or too long")
    return value


def list_in(value: object) -> list[Any]:
    """A list of anything."""
    if type(value) is not list:
        raise WireError("a list is missing")
    return value


def numbers_in(value: object, count: int | None = None) -> list[int]:
    """Whole numbers from 0 to 2**53; so many, if `count` is given."""
    numbers = list_in(value)
    if count is not None and len(numbers) != count:
        raise WireError("the wrong number of counts")
    # Set and min run in C: a part may hold 20,000 of these.
    if numbers and (set(map(type, numbers)) != {int} or min(numbers) < 0 or max(numbers) > MAX_NUMBER):
        raise WireError("a count that is no number, negative or too large")
    return numbers


def seconds_in(value: object) -> float | None:
    """A time within a run, or none."""
    if value is None:
        return None
    if type(value) not in (int, float) or not 0 <= value < 1e9:  # type: ignore[operator]
        raise WireError("a time that is no number or out of range")
    return float(value)  # type: ignore[arg-type]


def values_in(value: object, most: int) -> Mapping[str, float]:
    """Readings by name, at most so many; each a number up to `LARGEST` to either side."""
    if type(value) is not dict or len(value) > most:
        raise WireError("readings by name that are none, or too many")
    for name, number in value.items():
        text_in(name)
        if type(number) not in (int, float) or not -LARGEST <= number <= LARGEST:
            raise WireError("a reading that is no number or out of range")
    return value


def counts_in(value: object, largest: int) -> Mapping[str, int]:
    """Counts by name, at most `largest` names."""
    if type(value) is not dict or len(value) > largest:
        raise WireError("counts by name that are none, or too many")
    numbers_in(list(value.values()))
    for name in value:
        text_in(name)
    return value


def histogram_in(value: object) -> Distribution | None:
    """What `histogram_out` gave."""
    if value is None:
        return None
    fields = list_in(value)
    if not fields:
        return EMPTY
    total, low, high = numbers_in(fields[:3], 3)
    indices, counts = numbers_in(fields[3]), numbers_in(fields[4])
    buckets = dict(zip(indices, counts, strict=True))
    if len(buckets) != len(indices) or len(fields) != 5 or max(indices) >= BUCKETS:
        raise WireError("a histogram with buckets that do not exist or come twice")
    return Distribution.checked(total, low, high, buckets)
