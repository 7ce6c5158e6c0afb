"""Tables for a terminal: the operations of a run, two runs side by side, and the figures of several runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from locust_ext.model import Comparison, OperationStats, Snapshot
from locust_ext.outputs.text import change_text, count_text, ms_text, operation_text, percent_text, shown

NAME: Final = 48
"""Longest name of an operation or a run; longer ones are cut."""
_OUTCOMES: Final = {"same": "", "worse": "WORSE", "better": "better", "no_data": "too few samples"}


def operations_table(snapshot: Snapshot) -> str:
    """A line for each operation, with its tags; empty where there is none."""
    if not snapshot.operations:
        return ""
    rows: list[tuple[str, ...]] = [("Operation", "ok", "failures", "per s", "p50", "p95", "p99", "max")]
    rows += (_operation(operation, snapshot.run.duration_s) for operation in snapshot.operations)
    return _aligned(rows, left=1)


def _operation(operation: OperationStats, seconds: float) -> tuple[str, ...]:
    latency = operation.latency
    return (
        shown(operation_text(operation), NAME),
        f"{operation.ok:,}",
        f"{operation.failures:,}",
        f"{operation.finished / seconds:,.1f}" if seconds > 0 else "-",
        *(ms_text(value) for value in (*latency.percentiles_us((50, 95, 99)), latency.max_us)),
    )


def comparison_table(comparison: Comparison) -> str:
    """Figure by figure: the baseline's and this run's. What was not to be compared has no outcome but that."""
    rows = [("Operation", "Figure", "before", "now", "change", "")]
    rows += (
        (
            shown(each.operation or "all operations", NAME),
            each.figure,
            _value(each.before),
            _value(each.after),
            change_text(each),
            _only_once(each.before, each.after) or _OUTCOMES[each.outcome],
        )
        for each in comparison.figures
    )
    lines = [f"Not quite comparable: {shown(caveat, 200)}\n" for caveat in comparison.caveats]
    worse = len(comparison.regressions)
    said = count_text(worse, "regression") if worse else "no regression"
    return (
        f"{''.join(lines)}{_aligned(rows, left=2, last_left=True)}{said} against {shown(comparison.baseline, NAME)}\n"
    )


def _only_once(before: float | None, after: float | None) -> str:
    if before is None and after is not None:
        return "new"
    return "gone" if after is None and before is not None else ""


def _value(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g}"


_TREND: Final = ("Run", "users", "operations/s", "failures", "p50", "p95", "p99", "dropped", "reach", "")


def trend_rows(runs: Sequence[tuple[str, Snapshot]]) -> list[tuple[str, ...]]:
    """(name, run) -> a header and a row for each: users, throughput, share of failures, round trips, drops, fan-out.

    Where one of them was a search for the limit, also the users that were sustained.
    """
    rows = [_TREND, *(_trend(name, snapshot) for name, snapshot in runs)]
    if all(snapshot.search is None for _, snapshot in runs):
        return rows
    sustained = ["sustained", *(_sustained(snapshot) for _, snapshot in runs)]
    return [(*row[:2], cell, *row[2:]) for row, cell in zip(rows, sustained, strict=True)]


def trend_table(runs: Sequence[tuple[str, Snapshot]]) -> str:
    """`trend_rows` as lines, in the order given."""
    return _aligned(trend_rows(runs), left=1, last_left=True)


def _sustained(snapshot: Snapshot) -> str:
    good = None if snapshot.search is None else snapshot.search.sustained
    return "-" if good is None else f"{good.users:,}"


def _trend(name: str, snapshot: Snapshot) -> tuple[str, ...]:
    run, seconds = snapshot.run, snapshot.run.duration_s
    expected = sum(push.expected or 0 for push in snapshot.pushes)
    reached = sum(push.reached or 0 for push in snapshot.pushes)
    return (
        shown(name, NAME),
        "-" if run.users is None else f"{run.users:,}",
        f"{snapshot.finished / seconds:,.1f}" if seconds > 0 else "-",
        percent_text(snapshot.failures, snapshot.finished) if snapshot.finished else "-",
        *(ms_text(value) for value in snapshot.latency.percentiles_us((50, 95, 99))),
        f"{snapshot.dropped:,}",
        percent_text(reached, expected) if expected else "-",
        "" if run.valid else "not valid",
    )


def _aligned(rows: Sequence[Sequence[str]], left: int, *, last_left: bool = False) -> str:
    """Columns two blanks apart: the first ``left`` (and the last, if so said) to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    last = len(widths) - 1

    def line(row: Sequence[str]) -> str:
        cells = [
            f"{cell:<{width}}" if number < left or (last_left and number == last) else f"{cell:>{width}}"
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip() + "\n"

    return "".join(map(line, rows))
