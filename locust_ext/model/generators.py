"""How the processes that make the load fared; a part of the model (`locust_ext.model`)."""

from __future__ import annotations

from dataclasses import dataclass

from locust_ext.model.distribution import EMPTY, Distribution


@dataclass(frozen=True, slots=True)
class GeneratorPeriod:
    """How one process that makes load fared for some time, usually a second: what it says about its own latencies."""

    start_s: float
    """Since this process began the run."""
    length_s: float
    cpu_us: int = 0
    """CPU time that the process used, all its threads."""
    lag: Distribution = EMPTY
    """How late due timers fired; a loop that stood still counts for every moment at which one would have been due."""
    lateness: Distribution = EMPTY
    """Paced modes: from the intended to the actual send."""

    @property
    def end_s(self) -> float:
        return self.start_s + self.length_s

    @property
    def cpu_percent(self) -> float:
        """100: one core."""
        return self.cpu_us / self.length_s / 10_000 if self.length_s else 0.0


@dataclass(frozen=True, slots=True)
class GeneratorRow:
    """A `GeneratorPeriod` without its histograms, as it is kept for `resources.csv`."""

    start_s: float
    length_s: float
    cpu_percent: float
    lag_p99_us: int | None = None
    lag_max_us: int | None = None
    lateness_p99_us: int | None = None
    over_limit: bool = False
    """Loop lag or CPU was over its limit."""


@dataclass(frozen=True, slots=True)
class GeneratorStats:
    """One process that makes load, over the run."""

    worker: str
    """Empty: the one process of the run."""
    cpu_us: int = 0
    seconds: float = 0.0
    cpu_max_percent: float = 0.0
    lag: Distribution = EMPTY
    lateness: Distribution = EMPTY
    rows: tuple[GeneratorRow, ...] = ()
    """A second each; longer ones where the run is long or the workers are many."""
    bottleneck: tuple[tuple[float, float], ...] = ()
    """From when to when (seconds of the run) latencies measure the generator and not the target."""

    @property
    def cpu_percent(self) -> float:
        """Average; 100: one core."""
        return self.cpu_us / self.seconds / 10_000 if self.seconds else 0.0
