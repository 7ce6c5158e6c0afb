"""`resources.csv`: how the processes that made the load fared, a row a second and process."""

from __future__ import annotations

import csv
import io
from typing import Final

from locust_ext.model import Snapshot
from locust_ext.outputs.text import cell, ms

COLUMNS: Final = (
    "worker",
    "start_s",
    "length_s",
    "cpu_percent",
    "loop_lag_p99_ms",
    "loop_lag_max_ms",
    "send_lateness_p99_ms",
    "over_limit",
)


def resources_csv(snapshot: Snapshot) -> str:
    """RFC 4180 with a header; a cell is empty where nothing was measured.

    `worker` is empty for a run in one process. `over_limit` is 1 where loop lag or CPU was over its limit.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for generator in snapshot.generators:
        for row in generator.rows:
            times = (row.lag_p99_us, row.lag_max_us, row.lateness_p99_us)
            writer.writerow(
                [
                    cell(generator.worker),
                    round(row.start_s, 3),
                    round(row.length_s, 3),
                    round(row.cpu_percent, 1),
                    *("" if value is None else ms(value) for value in times),
                    int(row.over_limit),
                ]
            )
    return out.getvalue()
