"""Several runs in one text: each beside the first, and all one after the other. What `locust-ext report A B…` shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from locust_ext.model import Snapshot
from locust_ext.outputs.console import console
from locust_ext.outputs.junit import junit_of
from locust_ext.outputs.summary_md import escaped, summary_md
from locust_ext.outputs.tables import comparison_table, operations_table, trend_rows, trend_table
from locust_ext.outputs.text import shown
from locust_ext.outputs.verdict import verdict

Runs = Sequence[tuple[str, Snapshot]]
"""(name, run): the first is the baseline, the others hold their comparison with it."""


def one_console(snapshot: Snapshot) -> str:
    """One run as at its end, with its operations, which Locust's own table showed then."""
    table = operations_table(snapshot)
    return f"{table}\n{console(snapshot)}" if table else console(snapshot)


def several_console(runs: Runs) -> str:
    """A table for each run beside the first; of more than two, the figures of all."""
    parts = []
    for name, snapshot in runs[1:]:
        assert snapshot.comparison is not None
        parts.append(
            f"{shown(runs[0][0], 200)} -> {shown(name, 200)}\n"
            f"  before: {verdict(runs[0][1])}\n  now:    {verdict(snapshot)}\n"
            f"{comparison_table(snapshot.comparison)}"
        )
    if len(runs) > 2:
        parts.append(f"All runs\n{trend_table(runs)}")
    return "\n".join(parts)


def several_md(runs: Runs) -> str:
    """`summary.md` of each run but the first; before them, of more than two, the figures of all."""
    parts = []
    if len(runs) > 2:
        header, *rows = trend_rows(runs)
        lines = ["## All runs", "", _md_row(header), "|---|" + "--:|" * (len(header) - 2) + "---|"]
        parts.append("\n".join([*lines, *map(_md_row, rows)]) + "\n")
    parts += (summary_md(snapshot, has_files=False) for _, snapshot in runs[1:])
    return "\n".join(parts)


def _md_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(escaped(cell) for cell in cells)} |"


def several_junit(runs: Runs) -> str:
    """The suites of each run but the first, named after it where there are several."""
    return junit_of([("" if len(runs) == 2 else name, snapshot) for name, snapshot in runs[1:]])


SEVERAL: Final[dict[str, Callable[[Runs], str]]] = {
    "console": several_console,
    "summary.md": several_md,
    "junit.xml": several_junit,
}
"""The formats that can hold more than one run."""
