"""What those look at who judge a run while it goes on: sliding windows, and the stretch of a step of load."""

from __future__ import annotations

from collections.abc import Sequence

from locust_ext.core.accounting.own_counts import OwnCounts
from locust_ext.core.accounting.reading import Reading
from locust_ext.core.accounting.seconds import Seconds
from locust_ext.core.accounting.stretch import StretchSoFar
from locust_ext.core.accounting.validity import Spell
from locust_ext.model import Snapshot


class Watched(OwnCounts):
    """The part of a `Recorder` that reads its closed seconds; whoever ticks it may call this."""

    _seconds: Seconds
    _reading: Reading

    def watch(self, length_s: int | None, by_worker: bool = False) -> None:
        """Keep a sliding window of so many whole seconds, for `window`; in the middle of a run it begins empty.

        `by_worker`: of each worker alone as well, and the whole run of each (at most 100 workers); that alone is what a
        `length_s` of None asks for.
        """
        self._seconds.watch(length_s, by_worker)

    def window(self, length_s: int | None, worker: str | None = None) -> Snapshot:
        """The last `length_s` closed seconds (fewer at the start: see `run.duration_s`); `watch` asked for it.

        None: the whole run, which is `snapshot` as of the last tick. With `worker` (a label of `worker_labels`) what
        that worker alone did, without timeline; of a worker that never reported, or beyond the hundredth, nothing.
        KeyError for a length that nobody watches.
        """
        return self._reading.window(length_s, worker)

    def begin_stretch(self) -> None:
        """Add up the seconds that close from now on, apart from all others, for `stretch`; a new run has none."""
        self._seconds.begin_stretch()

    def begin_connects(self) -> None:
        """The same for `stretch().connects`, which may go back further than the stretch."""
        self._seconds.begin_connects()

    def stretch(self) -> StretchSoFar:
        """What ended since `begin_stretch`, in whole closed seconds of all processes, with histograms of its own."""
        return self._reading.stretch()

    def validate_only(self, times: Sequence[Spell] | None) -> None:
        """A generator that was the bottleneck speaks against the run only at these times; None: at any, as at the start."""
        self._reading.answering = times

    def slide(self) -> bool:
        """Do one piece, a millisecond or so, of the work that a `tick` left to the windows; False: nothing was left.

        For loops that must not stand still while hundreds of operations slide; `window` does what nobody has done.
        """
        return self._seconds.windows.work()

    @property
    def worker_labels(self) -> tuple[str, ...]:
        """What people call the workers that have reported, in order; ``("",)`` where there are none."""
        return self._reading.worker_labels()
