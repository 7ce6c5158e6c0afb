"""When a run began, warmed up, was reset and ended: what durations are taken from."""

from __future__ import annotations


class RunTimes:
    """Times are monotonic seconds; those of the run are seconds (or microseconds) since it began."""

    def __init__(self) -> None:
        self.began: float | None = None
        """None: no run has begun, but whatever comes is counted."""
        self.ended: float | None = None
        self.warmup_s = 0.0
        self.is_warming_up = False
        self._counts_began: float | None = None

    def begin(self, now: float, warmup_s: float) -> None:
        """A new run."""
        self.began = self._counts_began = now
        self.ended = None
        self.warmup_s, self.is_warming_up = warmup_s, warmup_s > 0

    def reset(self, now: float) -> None:
        """What counts begins now."""
        self._counts_began = now
        if self.ended is not None:
            self.ended = now  # after the run: nothing is left, and nothing more comes

    def lasts_until(self, end_s: float | None, now: float) -> None:
        """After its end, figures of the run came in at this time that reach up to `end_s`."""
        if self.ended is not None and self.began is not None and end_s is not None:
            self.ended = max(self.ended, min(now, self.began + end_s))

    @property
    def ended_s(self) -> float | None:
        """How late in the run its end was; None: it goes on."""
        return None if self.ended is None else self.run_s(self.ended)

    @property
    def counts_from_s(self) -> float:
        """Since when in the run its figures count: the end of the warm-up, or the last reset."""
        return max(self.warmup_s, (self._counts_began or 0.0) - (self.began or 0.0))

    def run_s(self, now: float) -> float:
        """So late is it in the run; 0 before it has begun."""
        return 0.0 if self.began is None else now - self.began

    def run_us(self, now: float | None) -> int | None:
        """So late is it in the run."""
        return None if now is None or self.began is None else round((now - self.began) * 1e6)

    def lasted_s(self, now: float) -> float:
        """The run, with its warm-up."""
        return (now if self.ended is None else self.ended) - (self.began or 0.0)

    def duration_s(self, now: float) -> float:
        """What counts, without the warm-up."""
        return 0.0 if self.began is None else max(0.0, self.lasted_s(now) - self.counts_from_s)

    def warmup_lasted_s(self, now: float) -> float:
        """At most as long as was asked for."""
        return max(0.0, min(self.warmup_s, self.lasted_s(now)))
