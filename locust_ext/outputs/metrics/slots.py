"""`Slots`: who has series of its own. What it once gave it never takes back, so that no counter falls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from locust_ext.model import OTHER
from locust_ext.outputs.metrics.bins import LAG_EDGES_S
from locust_ext.outputs.metrics.catalogue import (
    ALERTS,
    CPU,
    DROPS,
    DURATION,
    ERRORS,
    IN_FLIGHT,
    PUSH_LAG,
    PUSHES,
    REQUESTS,
    SERVICE,
    STRAYS,
    TARGET_SAMPLE,
    Family,
)

Labels = tuple[str, ...]
OUTCOMES: Final = ("ok", "failed", "timed_out", "lost", "cancelled")
_MAX_KNOWN: Final = 20_000
_CLEANED: Final = 5_000


def limits_of(max_series: int, max_names: int, histogram_series: int) -> dict[Family, int]:
    """How many label sets each family may have, so that all series together stay below `max_series`.

    Seven tenths are for histograms (latency first), a sixth for counters by name, a tenth for workers, the rest for
    the target, alerts and what has no names. That of `IN_FLIGHT` is also how many types have an `__other__` of their own.
    """
    others = min(10, max_series // 1000)
    histograms = int(max_series * 0.70) // histogram_series - 3 * (others + 1)
    durations = max(1, min(max_names, int(histograms * 0.9)))
    left = max(2, histograms - durations)
    lags = max(1, left // 4)
    named = int(max_series * 0.16)
    requests = max(1, min(max_names, int(named * 0.65) // len(OUTCOMES)))
    return {
        REQUESTS: requests,
        DURATION: durations,
        SERVICE: left - lags,
        PUSH_LAG: lags,
        PUSHES: max(1, int(named * 0.08) // 3),
        ERRORS: max(1, int(named * 0.2)),
        CPU: max(1, int(max_series * 0.10) // (len(LAG_EDGES_S) + 12)),
        ALERTS: max(1, max_series // 400),
        TARGET_SAMPLE: max(1, max_series // 400),
        DROPS: max(1, max_series // 400),
        STRAYS: others,
        IN_FLIGHT: others,
    }


class Slots:
    """The label sets of one run. `place` gives what is counted under which labels, always the same for the same."""

    def __init__(self, limits: Mapping[Family, int]) -> None:
        self._limits = limits
        self._placed: dict[tuple[Family, Labels], Labels] = {}
        self._used: dict[tuple[Family, bool], set[Labels]] = {}
        self._cleaned: dict[str, str] = {}
        self.folded: set[tuple[Family, Labels]] = set()
        """What has no series of its own."""

    def knows(self, family: Family, labels: Labels) -> bool:
        """Whether they have been placed."""
        return (family, labels) in self._placed

    def place(self, family: Family, labels: Labels, *instead: Labels) -> Labels:
        """`labels` where there is room, else the first of `instead` that has room; the last one always has."""
        key = family, labels
        found = self._placed.get(key)
        if found is None:
            found = self._admit(family, labels, *instead)
            if len(self._placed) < _MAX_KNOWN:
                self._placed[key] = found
                if found != labels and OTHER not in labels:
                    self.folded.add(key)
        return found

    def _admit(self, family: Family, *candidates: Labels) -> Labels:
        for labels in candidates[:-1]:
            is_other = OTHER in labels
            used = self._used.setdefault((family, is_other), set())
            if labels in used:
                return labels
            if len(used) < (self._limits[IN_FLIGHT] if is_other else self._limits[family]):
                used.add(labels)
                return labels
        return candidates[-1]

    def text(self, value: str) -> str:
        """As a label value: what no reader of the format can be trusted with becomes a replacement character."""
        found = self._cleaned.get(value)
        if found is None:
            found = clean(value)
            if len(self._cleaned) < _CLEANED:
                self._cleaned[value] = found
        return found


def clean(value: str) -> str:
    """Without control characters (but line feeds, which the format can escape) and without lone surrogates."""
    if not value.isprintable():
        value = "".join(
            letter if letter.isprintable() or letter == "\n" or ord(letter) > 0x9F else "\N{REPLACEMENT CHARACTER}"
            for letter in value
        )
    return value.encode(errors="replace").decode()
