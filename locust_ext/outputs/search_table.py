"""The steps of a search for the limit, in the order of time: as a table for the console, and as its rows."""

from __future__ import annotations

import textwrap
from typing import Final

from locust_ext.model import LimitSearch, LoadStep
from locust_ext.model.search import BAD, RECOVER
from locust_ext.outputs.search_text import OUTCOMES, length_text, per_s_text, recovery_text
from locust_ext.outputs.text import percent_text, shown

WIDTH: Final = 80
_INDENT: Final = 9


def step_rows(search: LimitSearch) -> list[tuple[str, ...]]:
    """A header and a row for each step: kind, users, seconds, rate, p50, p95, p99 in ms, failed share, outcome."""
    header = ("Step", "Users", "s", f"{shown(search.unit, 12)}/s", "p50 ms", "p95 ms", "p99 ms", "failed", "outcome")
    return [header, *(_row(step) for step in search.steps)]


def _row(step: LoadStep) -> tuple[str, ...]:
    if step.kind == RECOVER and not step.finished:
        rate, *figures = [""] * 5
    else:
        rate = per_s_text(step.per_s) if step.finished else "-"
        figures = [*(_ms(value) for value in (step.p50_us, step.p95_us, step.p99_us)), _failed(step)]
    outcome = outcome_text(step)
    return (shown(step.kind, 8), f"{step.users:,}", length_text(step.length_s)[:-2], rate, *figures, outcome)


def outcome_text(step: LoadStep) -> str:
    """``good``, ``BREAKS``, …; of a `RECOVER` step whether the target came back."""
    if step.kind == RECOVER:
        if step.recovered_s is not None:
            return f"back after {length_text(step.recovered_s)}"
        return "NOT BACK" if step.outcome == BAD else "cut short"
    return OUTCOMES.get(step.outcome, shown(step.outcome, 12))


def _ms(microseconds: int | None) -> str:
    if microseconds is None:
        return "-"
    milliseconds = microseconds / 1000
    return f"{milliseconds:,.{0 if milliseconds >= 100 else 1 if milliseconds >= 10 else 2}f}"


def _failed(step: LoadStep) -> str:
    return percent_text(step.failures, step.finished) if step.finished else "-"


def remarks(step: LoadStep) -> list[str]:
    """What there is to say of a step beside its figures: the criterion that broke with its value, recovery, notes."""
    said = []
    if step.kind == RECOVER and step.recovered_s is None:
        said.append(recovery_text(step))
    if step.because:
        value = f": {shown(step.value, 40)}" if step.value else ""
        said.append(f"{shown(step.because, 160)}{value}")
    if step.connect_failures:
        said.append(f"{step.connect_failures:,} of {step.connects:,} connects failed")
    return said + [shown(note, 160) for note in step.notes]


def steps_table(search: LimitSearch) -> list[str]:
    """Lines of at most 80 columns; what is to be said of a step stands below its row."""
    rows = step_rows(search)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for number, row in enumerate(rows):
        cells = [f"{row[0]:<{widths[0]}}"]
        cells += [f"{cell:>{width}}" for cell, width in zip(row[1:-1], widths[1:-1], strict=True)]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
        if number:
            for remark in remarks(search.steps[number - 1]):
                indent = " " * _INDENT
                lines += textwrap.wrap(remark, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ")
    return lines
