"""`Interleaved`: an endless sequence in which each name comes in its share, as evenly spread as can be."""

from __future__ import annotations

from collections.abc import Mapping


class Interleaved:
    """``sequence[i]`` is the name at place ``i``: of any first ``n`` places, each name has its share, but for less than one.

    The highest-quota rule: the next place is the name's that lags behind its share most; ties go to the name given first.
    """

    def __init__(self, shares: Mapping[str, float]) -> None:
        """``shares``: name -> weight, at least one above 0; they need not add up to 1."""
        total = sum(shares.values())
        if total <= 0:
            raise ValueError("expected at least one share above 0")
        self._shares = [(name, share / total) for name, share in shares.items() if share > 0]
        self._counts = dict.fromkeys((name for name, _ in self._shares), 0)
        self._names: list[str] = []

    def __getitem__(self, place: int) -> str:
        while len(self._names) <= place:
            due = len(self._names) + 1
            name = max(self._shares, key=lambda each: each[1] * due - self._counts[each[0]])[0]
            self._counts[name] += 1
            self._names.append(name)
        return self._names[place]
