"""What the resource monitor read, of the processes that make the load and of the target; a part of the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

GENERATOR: Final = "generator"
MASTER: Final = "master"
TARGET: Final = "target"
SIDES: Final = (GENERATOR, MASTER, TARGET)


@dataclass(frozen=True, slots=True)
class ResourceSample:
    """What was read of one source at one moment."""

    side: str
    """One of `SIDES`."""
    source: str
    """Which of that side: the worker (empty: the one process of the run), or what is watched: `pid 123`, `port 8080`."""
    at_s: float
    """Seconds since its process began the run."""
    values: Mapping[str, float]
    """Metric -> value, in the unit that its name tells; what could not be read is absent."""


@dataclass(frozen=True, slots=True)
class ResourceFigures:
    """One metric of one source over a period."""

    metric: str
    count: int
    current: float
    """The latest."""
    average: float
    min: float
    max: float
    median: float


@dataclass(frozen=True, slots=True)
class Trend:
    """Whether one metric of one source rises or falls, by linear regression with a test of significance."""

    metric: str
    verdict: str
    """`increasing`, `decreasing`, `stable` or `too little data`."""
    slope_per_min: float | None = None
    """Change a minute, in the metric's unit."""
    slope_error_per_min: float | None = None
    """Half the width of the slope's 95 % confidence interval."""
    r_squared: float | None = None
    p_value: float | None = None


@dataclass(frozen=True, slots=True)
class Leak:
    """Whether the memory of one source grows without end."""

    verdict: str
    """`leak likely`, `flat` or `too short to say`."""
    text: str
    """For people: `grows 1.2 MiB/min ± 0.1 (r² 0.98): leak likely`."""
    slope_bytes_per_min: float | None = None
    slope_error_bytes_per_min: float | None = None
    r_squared: float | None = None


@dataclass(frozen=True, slots=True)
class ResourceStats:
    """One source over the run (or over a window)."""

    side: str
    source: str
    """As people call it: a worker's number."""
    figures: tuple[ResourceFigures, ...] = ()
    """In the order of metrics."""
    trends: tuple[Trend, ...] = ()
    """Of the metrics for which one says something; empty in a window."""
    leak: Leak | None = None
    """None: its memory is not read, or this is a window."""
    samples: tuple[ResourceSample, ...] = ()
    """Bounded: beyond the bound the oldest are joined two and two. In the order of time."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """What it may use: `descriptors_limit`, `memory_limit_bytes`, `cpu_limit_cores`; what is not limited is absent."""

    def value(self, metric: str) -> float | None:
        """The average over the period; None where it was not read."""
        return next((figures.average for figures in self.figures if figures.metric == metric), None)
