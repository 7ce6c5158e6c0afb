"""A stretch of the run: the closed seconds from a moment on, added up, for whoever judges a step of load by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from locust_ext.core.accounting.sums import Sums
from locust_ext.model import Snapshot


class Stretch:
    """Grows by each second that closes, from the one on that it was begun for. Histograms of its own: nothing leaves it."""

    def __init__(self, only: str | None = None) -> None:
        """`only`: the type of the operations that are in it, which has nothing else then."""
        self._only = only
        self.end()

    def begin(self, second: int) -> None:
        """From nothing, with this second of the run as the first that may be in it."""
        self._first: int | None = second
        self.restart()

    def restart(self) -> None:
        """A reset of the counts: from nothing, with the next second that closes."""
        self.sums = Sums()
        self.from_s: int | None = None
        """Start of its first second; None: none has closed."""
        self.to_s = 0
        """End of its last one."""

    def end(self) -> None:
        """Nobody wants one any more."""
        self._first = None
        self.restart()

    def growing(self, start_s: int, second: Sums) -> Iterator[None]:
        """The second that began then has closed. Piece by piece: use it to its end, and read nothing before."""
        if self._first is None or start_s < self._first:
            return
        if self.from_s is None:
            self.from_s = start_s
        self.to_s = start_s + 1
        yield from self.sums.merging(second if self._only is None else self._part_of(second))

    def _part_of(self, second: Sums) -> Sums:
        part = Sums()
        part.ledgers = {key: ledger for key, ledger in second.ledgers.items() if key[0] == self._only}
        return part


@dataclass(frozen=True, slots=True)
class StretchSoFar:
    """A look at the stretch, and at what stands beside it; times are seconds since the start of the run."""

    now_s: float
    """As of the last tick."""
    states: Mapping[str, int]
    """State -> connections, in all processes."""
    snapshot: Snapshot | None = None
    """What ended from `from_s` to `to_s`, with the resources of that time; gauges are of now. None: no second closed."""
    from_s: float = 0.0
    to_s: float = 0.0
    is_bottleneck: bool = False
    """A generator was its own limit within that time; see `Generators.were_bottleneck`."""
    connects: Snapshot | None = None
    """The CONNECT operations that ended since `begin_connects`. None: no second closed."""
