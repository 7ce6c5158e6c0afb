"""Rules of thumb about what the target and the generators use: where one is at its limit, and where memory grows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from locust_ext.model import GENERATOR, TARGET, ResourceStats, Snapshot
from locust_ext.outputs.monitor_text import leaks, source_text

_NEAR: Final = 0.9
"""Of a limit."""


def target_has_no_cpu_left(snapshot: Snapshot) -> str | None:
    """A quota that is used up, or one core: what a process with a single busy thread can use."""
    for stats in _of(snapshot, TARGET):
        cpu = stats.value("cpu_percent")
        cores = stats.limits.get("cpu_limit_cores")
        if cpu is not None and cores and cpu >= _NEAR * 100 * cores:
            return f"the {source_text(stats)} uses {cpu:,.0f} % of the {cores:,.3g} cores that it may use: its CPU is the limit"
        if cpu is not None and not cores and 95 <= cpu <= 110:
            return (
                f"the {source_text(stats)} uses one whole core ({cpu:,.0f} % on average): if it works in one thread, "
                "that is its limit"
            )
    return None


def target_memory_is_short(snapshot: Snapshot) -> str | None:
    """Its largest against its limit."""
    for stats in _of(snapshot, TARGET):
        limit = stats.limits.get("memory_limit_bytes")
        largest = _largest(stats, "memory_bytes")
        share = None if largest is None or not limit else 100 * largest / limit
        share = share if share is not None else _largest(stats, "memory_percent")
        if share is not None and share >= 100 * _NEAR:
            return f"the {source_text(stats)} had {share:,.0f} % of its memory limit in use: it may be killed for it"
    return None


def target_leaks(snapshot: Snapshot) -> str | None:
    """Its memory grows without end."""
    for whose, text in leaks(snapshot, TARGET):
        return f"memory of the {whose} {text}; a longer run at the same load would make it sure"
    return None


def descriptors_run_out(snapshot: Snapshot) -> str | None:
    """Of the target or of a generator, before there are failures of it."""
    for stats in (*_of(snapshot, TARGET), *_of(snapshot, GENERATOR)):
        share = _largest(stats, "descriptors_percent")
        if share is not None and share >= 100 * _NEAR:
            return f"{share:,.0f} % of the file descriptors of the {source_text(stats)} were in use: raise `ulimit -n`"
    return None


def _of(snapshot: Snapshot, side: str) -> Iterator[ResourceStats]:
    return (stats for stats in snapshot.resources if stats.side == side)


def _largest(stats: ResourceStats, metric: str) -> float | None:
    return next((figures.max for figures in stats.figures if figures.metric == metric), None)
