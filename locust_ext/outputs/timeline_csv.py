"""`timeline.csv`: a row a second (a longer period after an hour), for spreadsheets and plots."""

from __future__ import annotations

import csv
import io
from typing import Final

from locust_ext.model import Second, Snapshot
from locust_ext.outputs.text import ms

COLUMNS: Final = (
    "start_s",
    "length_s",
    "finished",
    "failures",
    "messages_sent",
    "messages_received",
    "bytes_sent",
    "bytes_received",
    "pushes_received",
    "open_connections",
    "in_flight",
    "users",
    "planned_users",
    "round_trips",
    "min_ms",
    "p50_ms",
    "p95_ms",
    "p99_ms",
    "max_ms",
    "worst_failures",
    "least_finished",
    "complete",
    "valid",
    "warmup",
)


def timeline_csv(snapshot: Snapshot) -> str:
    """RFC 4180 with a header; numbers only, a cell is empty where nothing was measured.

    `complete` is 1, or 0 if a worker had not reported when the row was closed; `valid` is 0 where a generator was the
    bottleneck, `warmup` 1 in the rows that are in no other figure.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows([_cell(row, column) for column in COLUMNS] for row in snapshot.timeline)
    return out.getvalue()


def _cell(row: Second, column: str) -> object:
    if column.endswith("_ms"):
        value = getattr(row, column[:-3] + "_us")
        return "" if value is None else ms(value)
    value = getattr(row, column)
    return "" if value is None else int(value)
