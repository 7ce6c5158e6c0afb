"""The sections of a settings file that are about measuring: what is watched, kept, told and compared."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from locust_ext.settings.types import Above0, Share, Weight, number, wrong


class Part(BaseModel):
    """A part of the file: fixed once it is read, and without keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class GeneratorSettings(Part):
    """Up to where a process that makes load is trusted with its own latencies; beyond it the run is not valid."""

    max_loop_lag_ms: Above0 = 50.0
    """How late a due timer may fire, of the 99th percentile of a second."""
    max_cpu_percent: Above0 = 90.0
    """100: one core."""


class BaselineSettings(Part):
    """What does not count as a change against ``--ext-baseline``."""

    tolerance: Weight = 0.10
    """Relative change of a latency or a throughput."""
    error_rate_tolerance: Share = 0.001
    """Difference of two error rates."""
    latency_tolerance_ms: Weight = 0.0
    """Differences of latencies up to this never count."""
    alpha: Annotated[float, BeforeValidator(number), Field(gt=0, le=0.5)] = 0.01
    """Chance that a comparison of two equal runs calls any figure changed."""


class LogSettings(Part):
    """What a run without web UI says while it goes on."""

    summary_every_s: Weight = 10.0
    """Seconds between two lines of live figures; 0: none."""


class StatisticsSettings(Part):
    """Locust's own statistics."""

    fine_percentiles: bool = True
    """Percentiles below 100 ms finer than Locust's whole milliseconds."""


class RecordSettings(Part):
    """What ``--ext-record`` writes."""

    max_bytes: Annotated[int, BeforeValidator(number), Field(ge=1)] = 100_000_000
    """Size of a process's file at which the recording ends; the run goes on."""


class MonitorSettings(Part):
    """The resource monitor: how often it looks, and how much of that is kept."""

    interval_s: Annotated[float, BeforeValidator(number), Field(ge=0.1, le=60)] = 1.0
    """Seconds between two samples."""
    history: Annotated[int, BeforeValidator(number), Field(ge=10, le=20_000)] = 1000
    """Samples kept of each source (20,000 of all); beyond it the oldest are joined two and two."""
    max_age_s: Above0 | None = None
    """Samples older than this leave the history; null: none does."""
    target_metrics: list[str] = Field(default_factory=list)
    """Names of the target's Prometheus metrics that are sampled beside those of its process."""
    warmup_s: Weight | None = None
    """Seconds at the start that a leak verdict leaves out; null: a quarter of the run, at least 10 s."""


def _ascending(buckets_s: tuple[float, ...]) -> tuple[float, ...]:
    if not 1 <= len(buckets_s) <= 40 or any(low >= high for low, high in pairwise(buckets_s)):
        raise wrong("expected 1 to 40 seconds in ascending order")
    return buckets_s


class ExporterSettings(Part):
    """The Prometheus metrics of ``--ext-metrics-port``."""

    buckets_s: Annotated[
        tuple[Annotated[float, BeforeValidator(number), Field(gt=0, le=3600)], ...], AfterValidator(_ascending)
    ] = (
        *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
        *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
    )
    """Upper bounds of the histograms, in seconds, ascending."""
    max_series: Annotated[int, BeforeValidator(number), Field(ge=1000, le=1_000_000)] = 10_000
    """So many at most; names beyond fall under ``__other__``."""
    max_names: Annotated[int, BeforeValidator(number), Field(ge=1, le=500)] = 200
    """So many names of operations have series of their own, the busiest first."""
    linger_s: Weight = 20.0
    """Where somebody scrapes: how long the process waits at its end for the final figures to be scraped, too; 0: not."""
