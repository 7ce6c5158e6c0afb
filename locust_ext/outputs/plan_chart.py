"""A shape's plan beside the users that there were, as a small chart of characters over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from locust_ext.model import Second, Snapshot

ROWS: Final = 10
WIDTH: Final = 72
LEGEND: Final = "#: users as planned; -: planned, but not there; +: there, but not planned"
_MARKS: Final = {(True, True): "#", (False, True): "-", (True, False): "+", (False, False): " "}
"""(there, planned) -> character."""


def plan_chart(snapshot: Snapshot) -> list[str]:
    """Ten rows of users over a line of seconds, at most 72 columns wide, ASCII only; empty where no plan moved."""
    rows = [row for row in snapshot.timeline if row.planned_users is not None and row.users is not None]
    if len({row.planned_users for row in rows}) < 2:
        return []
    most = max(max(row.users or 0, row.planned_users or 0) for row in rows)
    label = len(f"{most:,}")
    columns = _columns(rows, WIDTH - label - 2)
    lines = []
    for level in range(ROWS, 0, -1):
        least = (level - 0.5) * most / ROWS  # a line stands for the users from half a line below it on
        cells = "".join(_MARKS[users >= least, planned >= least] for users, planned in columns)
        name = f"{most:,}" if level == ROWS else f"{most // 2:,}" if level == ROWS // 2 and not most % 2 else ""
        lines.append(f"{name:>{label}} |{cells}".rstrip())
    lines.append(f"{'0':>{label}} +{'-' * len(columns)}")
    start, end = f"{rows[0].start_s:,}", f"{rows[-1].start_s + rows[-1].length_s:,} s"
    lines.append(f"{'':>{label}}  {start}{end:>{max(len(end) + 1, len(columns) - len(start))}}")
    return lines


def _columns(rows: Sequence[Second], width: int) -> list[tuple[int, int]]:
    """(users, planned users) for each column, the most of both in its time; a second may be some columns wide."""
    from_s = rows[0].start_s
    seconds = rows[-1].start_s + rows[-1].length_s - from_s
    count = width // seconds * seconds if seconds <= width else width
    columns = [(0, 0)] * count
    for row in rows:
        first = (row.start_s - from_s) * count // seconds
        after = -(-(row.start_s + row.length_s - from_s) * count // seconds)
        for number in range(first, min(count, max(after, first + 1))):
            users, planned = columns[number]
            columns[number] = max(users, row.users or 0), max(planned, row.planned_users or 0)
    return columns
