"""`Edges`: the upper bounds of a classic histogram, and `Bins`: samples sorted between them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

from prometheus_client.utils import floatToGoString

from locust_ext.model import BUCKETS, Distribution, bucket_bounds_us
from locust_ext.settings import ExporterSettings

DEFAULT_EDGES_S: Final = ExporterSettings().buckets_s
LAG_EDGES_S: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class Edges:
    """Upper bounds in seconds, ascending; ours, in microseconds, are much finer and fall between two of them each.

    One of our buckets that an edge cuts counts where its midpoint lies, as for the percentiles of `summary.json`: an
    edge is at most 0.4 % off, and exact below 256 µs.
    """

    def __init__(self, edges_s: Iterable[float] = DEFAULT_EDGES_S) -> None:
        """At most 255 of them."""
        self.edges_s = tuple(edges_s)
        self.texts = (*(_text(edge_s) for edge_s in self.edges_s), "+Inf")
        """As label values."""
        edges_us = [edge_s * 1e6 for edge_s in self.edges_s]
        self.place = bytes(bisect_left(edges_us, _midpoint_us(bucket)) for bucket in range(BUCKETS))
        """Our bucket -> the position of the first edge that it does not exceed."""

    @property
    def series(self) -> int:
        """Of one histogram: the edges, infinity, sum and count."""
        return len(self.texts) + 2


def _text(edge_s: float) -> str:
    text: str = floatToGoString(edge_s)  # type: ignore[no-untyped-call]  # its module has no types
    return text


def _midpoint_us(bucket: int) -> int:
    low, high = bucket_bounds_us(bucket)
    return (low + high + 1) // 2


class Bins:
    """How many samples lie up to each edge and beyond the one before it; their sum in microseconds is exact."""

    __slots__ = ("counts", "sum_us")

    def __init__(self, edges: Edges) -> None:
        self.counts = [0] * len(edges.texts)
        self.sum_us = 0

    def add(self, samples: Distribution, edges: Edges) -> None:
        counts, place = self.counts, edges.place
        for bucket, count in samples.buckets.items():
            counts[place[bucket]] += count
        self.sum_us += samples.sum_us

    def merge(self, other: Bins) -> None:
        """With the same edges."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.sum_us += other.sum_us

    def cumulative(self, edges: Edges) -> list[tuple[str, float]]:
        """(edge, samples up to it), as prometheus-client takes them."""
        found, below = [], 0
        for text, count in zip(edges.texts, self.counts, strict=True):
            below += count
            found.append((text, float(below)))
        return found
