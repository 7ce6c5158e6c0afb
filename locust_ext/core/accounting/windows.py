"""Sliding windows for the rules: the last closed seconds of all processes and, where asked for, of each worker alone;
and the stretches that a search for the limit looks at.

A window is a sum to which each second that closes is added, and from which the one that is now too old is taken out.
With hundreds of operations that takes longer than a loop may stand still: it is work in pieces, which `work` does one
at a time and whoever reads does to its end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final

from locust_ext.core.accounting.names import Names
from locust_ext.core.accounting.stretch import Stretch
from locust_ext.core.accounting.sums import Sums
from locust_ext.core.alerts.view import CONNECT
from locust_ext.model import Delta

MAX_WORKERS: Final = 100
"""Workers that have windows of their own; those that report later have none."""


class Window:
    """The sum of the last `length_s` closed seconds."""

    __slots__ = ("_seconds", "length_s", "sums")

    def __init__(self, length_s: int) -> None:
        self.length_s = length_s
        self.sums = Sums()
        self._seconds: deque[Sums] = deque()

    @property
    def duration_s(self) -> float:
        """Seconds that are in it: fewer than its length at the start."""
        return float(len(self._seconds))

    def slide(self, second: Sums) -> Iterator[None]:
        """One more second has closed; the one that is now too old leaves. Piece by piece: use it to its end."""
        self._seconds.append(second)
        yield from self.sums.merging(second)
        if len(self._seconds) > self.length_s:
            yield from self.sums.subtracting(self._seconds.popleft())


class Windows:
    """All windows that are watched. What is watched stays so over runs; what is in them belongs to one run."""

    def __init__(self) -> None:
        self._lengths: set[int] = set()
        self._worker_lengths: set[int] = set()
        self.is_by_worker = False
        """Whether the seconds must be told apart by worker."""
        self.stretch = Stretch()
        self.connects = Stretch(only=CONNECT)
        self.clear()

    def clear(self) -> None:
        """From nothing: a new run, or a reset."""
        self._windows = {length_s: Window(length_s) for length_s in self._lengths}
        self._workers: dict[str, dict[int, Window]] = {}
        self._whole: dict[str, Sums] = {}
        self._pieces: Iterator[None] = iter(())
        self.stretch.restart()
        self.connects.restart()

    def watch(self, length_s: int | None, by_worker: bool) -> None:
        """Keep a window of this many seconds from now on; it begins empty. `by_worker`: one for each worker as well.

        None: the whole run, which is kept anyway, but by worker only if asked for.
        """
        self.finish()
        self.is_by_worker |= by_worker
        if length_s is None:
            return
        self._lengths.add(length_s)
        self._windows.setdefault(length_s, Window(length_s))
        if by_worker:
            self._worker_lengths.add(length_s)
            for windows in self._workers.values():
                windows.setdefault(length_s, Window(length_s))

    @property
    def longest_s(self) -> int:
        return max(self._lengths, default=0)

    def has_room_for(self, worker: str) -> bool:
        """Whether this worker has windows of its own, or may still have."""
        return self.is_by_worker and (worker in self._whole or len(self._whole) < MAX_WORKERS)

    def count(self, delta: Delta, names: Names) -> None:
        """Add a delta to the whole run of its worker, for which there is room; what is of the warm-up does not count."""
        whole = self._whole.get(delta.worker)
        if whole is None:
            whole = self._whole[delta.worker] = Sums()
        if not delta.warmup:
            whole.add(delta, names)

    def close(self, start_s: int, second: Sums, by_worker: Mapping[str, Sums]) -> None:
        """The second that began then is closed: what it holds, of all and of each worker, is now `work`.

        The work of the second before is done first if nobody did it, so that it never piles up.
        """
        self.finish()
        self._pieces = self._slide(start_s, second, by_worker)

    def _slide(self, start_s: int, second: Sums, by_worker: Mapping[str, Sums]) -> Iterator[None]:
        yield from self.stretch.growing(start_s, second)
        yield from self.connects.growing(start_s, second)
        for worker in by_worker:
            if worker not in self._workers:
                self._workers[worker] = {length_s: Window(length_s) for length_s in self._worker_lengths}
        for window in list(self._windows.values()):
            yield from window.slide(second)
        for worker, windows in self._workers.items():
            its_second = by_worker.get(worker) or Sums()
            for window in list(windows.values()):
                yield from window.slide(its_second)
            yield

    def work(self) -> bool:
        """Do one piece (a millisecond or so) of what closed seconds left to do; False: nothing was left."""
        return next(self._pieces, self) is None

    def finish(self) -> None:
        """Do all that is left."""
        for _ in self._pieces:
            pass

    def of(self, length_s: int) -> Window:
        """The window over all processes; KeyError if nobody watches it."""
        self.finish()
        return self._windows[length_s]

    def of_worker(self, worker: str, length_s: int) -> Window:
        """The window of one worker, empty if it has not reported; KeyError if nobody watches it."""
        self.finish()
        if length_s not in self._worker_lengths:
            raise KeyError(length_s)
        windows = self._workers.get(worker)
        return Window(length_s) if windows is None else windows[length_s]

    def whole(self, worker: str) -> Sums:
        """The whole run of one worker; empty if it has not reported, or if nobody watches workers."""
        return self._whole.get(worker) or Sums()
