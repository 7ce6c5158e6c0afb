"""What stands out in a run: where the most was done, what was fastest and slowest, what failed least and most."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from locust_ext.model import PUSH, OperationStats, Second, Snapshot
from locust_ext.outputs.text import count_text, ms, ms_text, operation_text, percent_text, rate_text, shown

ENOUGH: Final = 20
"""Samples that an operation needs: with fewer its 95th percentile is simply its slowest one."""
_NOT_COMPARED: Final = (PUSH, "DROP")


@dataclass(frozen=True, slots=True)
class Highlights:
    """Each is None where it would say nothing: no data, too few samples, or only one operation to choose from."""

    best_throughput: OperationStats | None = None
    """The most finished operations a second."""
    best_second: Second | None = None
    """The row of the timeline in which the most operations finished a second."""
    fastest: OperationStats | None = None
    """The lowest 95th percentile."""
    slowest: OperationStats | None = None
    most_reliable: OperationStats | None = None
    """The lowest error rate, of several the one with the most operations; None where nothing has failed."""
    least_reliable: OperationStats | None = None


def highlights(snapshot: Snapshot) -> Highlights:
    """Of the operations with at least `ENOUGH` samples, without the warm-up. Pushes and drops are no operations here.

    Of a search for the limit only the best second: the rest would mix steps that held with steps that broke.
    """
    busy = [each for each in snapshot.operations if each.finished >= ENOUGH and each.type not in _NOT_COMPARED]
    timed = [each for each in busy if each.latency.count >= ENOUGH]
    rows = [row for row in snapshot.timeline if row.finished and row.length_s and not row.warmup]
    by_rate = sorted(busy, key=lambda each: each.finished)
    by_p95 = sorted(timed, key=lambda each: each.latency.percentile_us(95) or 0)
    by_errors = sorted(busy, key=lambda each: (each.error_rate or 0.0, -each.finished))
    if snapshot.search is not None:
        busy, by_rate, by_p95, by_errors = [], [], [], []
    if not any(each.failures for each in busy):
        by_errors = []
    return Highlights(
        best_throughput=by_rate[-1] if len(by_rate) > 1 else None,
        best_second=max(rows, key=lambda row: row.finished / row.length_s) if len(rows) > 1 else None,
        fastest=by_p95[0] if len(by_p95) > 1 else None,
        slowest=by_p95[-1] if len(by_p95) > 1 else None,
        most_reliable=by_errors[0] if len(by_errors) > 1 else None,
        least_reliable=by_errors[-1] if len(by_errors) > 1 else None,
    )


def highlight_rows(snapshot: Snapshot, width: int = 60) -> Iterator[tuple[str, str]]:
    """(label, text) of each; names are cut to ``width`` and safe to show on a console."""
    found, seconds = highlights(snapshot), snapshot.run.duration_s

    def name(operation: OperationStats) -> str:
        return shown(operation_text(operation), width)

    most = []
    if found.best_throughput is not None and seconds > 0:
        rate = rate_text(found.best_throughput.finished, seconds)
        most.append(f"{rate} {name(found.best_throughput)}")
    if found.best_second is not None:
        row = found.best_second
        most.append(f"{rate_text(row.finished, row.length_s)} of all at {row.start_s} s")
    if most:
        yield "Top throughput", "; ".join(most)
    for label, operation in (("Fastest", found.fastest), ("Slowest", found.slowest)):
        if operation is not None:
            yield label, f"{name(operation)}, p95 {ms_text(operation.latency.percentile_us(95))}"
    for label, operation in (("Most reliable", found.most_reliable), ("Least reliable", found.least_reliable)):
        if operation is not None:
            yield label, f"{name(operation)}, {_failed(operation)}"


def _failed(operation: OperationStats) -> str:
    if not operation.failures:
        return f"none of {count_text(operation.finished)} failed"
    share = percent_text(operation.failures, operation.finished)
    return f"{operation.failures:,} of {count_text(operation.finished)} failed ({share})"


def highlights_dict(snapshot: Snapshot) -> dict[str, Any]:
    """The same for ``summary.json``; what is None is absent."""
    found, seconds = highlights(snapshot), snapshot.run.duration_s
    told: dict[str, Any] = {}
    if found.best_throughput is not None and seconds > 0:
        told["best_throughput"] = _named(found.best_throughput) | {
            "per_second": round(found.best_throughput.finished / seconds, 3)
        }
    if found.best_second is not None:
        row = found.best_second
        told["best_second"] = {"start_s": row.start_s, "per_second": round(row.finished / row.length_s, 3)}
    for key, operation in (("fastest", found.fastest), ("slowest", found.slowest)):
        if operation is not None:
            told[key] = _named(operation) | {"p95_ms": ms(operation.latency.percentile_us(95) or 0)}
    for key, operation in (("most_reliable", found.most_reliable), ("least_reliable", found.least_reliable)):
        if operation is not None:
            told[key] = _named(operation) | {"error_rate": round(operation.error_rate or 0.0, 9)}
    return told


def _named(operation: OperationStats) -> dict[str, Any]:
    named: dict[str, Any] = {"type": operation.type, "name": operation.name}
    return named | {"tags": list(operation.tags)} if operation.tags else named
