"""`resources.csv`: what the monitor read of each process, and how those that made the load fared; a row a sample."""

from __future__ import annotations

import csv
import io
from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

from locust_ext.model import GENERATOR, GeneratorRow, ResourceSample, Snapshot
from locust_ext.outputs.text import cell, ms

BEFORE: Final = ("side", "source", "at_s", "start_s", "length_s")
METRICS: Final = (
    "cpu_percent",
    "memory_bytes",
    "memory_percent",
    "descriptors",
    "descriptors_percent",
    "threads",
    "processes",
    "greenlets",
    "loop_lag_p99_ms",
    "loop_lag_max_ms",
    "sent_bytes_per_second",
    "received_bytes_per_second",
    "ports_left",
    "context_keys",
    "connected_clients",
)
AFTER: Final = ("send_lateness_p99_ms", "over_limit")
COLUMNS: Final = (*BEFORE, *METRICS, *AFTER)
"""Further metrics of the target follow, in the order of their names."""
MAX_FURTHER: Final = 200


def resources_csv(snapshot: Snapshot) -> str:
    """RFC 4180 with a header; a cell is empty where nothing was measured.

    `side` is generator, master or target; `source` the worker (empty in one process) or what is watched. A sample has
    `at_s`, when it was read. A period of a process that made load has `start_s` and `length_s`, its send lateness, and
    `over_limit`, which is 1 where its loop lag or CPU was over the limit; it stands beside its last sample, or alone.
    """
    further = sorted({metric for stats in snapshot.resources for sample in stats.samples for metric in sample.values})
    further = [metric for metric in further if metric not in COLUMNS][:MAX_FURTHER]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*COLUMNS, *map(cell, further)])
    for side, source, period, sample in _rows(snapshot):
        values = dict(sample.values) if sample is not None else {}
        row: list[object] = [side, cell(source), "" if sample is None else round(sample.at_s, 3)]
        if period is None:
            row += ["", "", *(_number(values.get(metric)) for metric in METRICS), "", ""]
        else:
            values |= _of_period(period)  # of the same time as `over_limit`
            row += [round(period.start_s, 3), round(period.length_s, 3)]
            row += (_number(values.get(metric)) for metric in METRICS)
            row += ["" if period.lateness_p99_us is None else ms(period.lateness_p99_us), int(period.over_limit)]
        writer.writerow([*row, *(_number(values.get(metric)) for metric in further)])
    return out.getvalue()


def _rows(snapshot: Snapshot) -> Iterator[tuple[str, str, GeneratorRow | None, ResourceSample | None]]:
    samples = {(stats.side, stats.source): stats.samples for stats in snapshot.resources}
    for generator in snapshot.generators:
        yield from _of_one(generator.worker, generator.rows, samples.pop((GENERATOR, generator.worker), ()))
    for (side, source), of_source in samples.items():
        for sample in of_source:
            yield side, source, None, sample


def _of_one(
    worker: str, periods: tuple[GeneratorRow, ...], samples: tuple[ResourceSample, ...]
) -> Iterator[tuple[str, str, GeneratorRow | None, ResourceSample | None]]:
    """In the order of time; a period with the last sample that was read in it."""
    ends = [round(period.start_s + period.length_s, 3) for period in periods]
    last: dict[int, ResourceSample] = {}
    rows: list[tuple[float, GeneratorRow | None, ResourceSample | None]] = []
    for sample in sorted(samples, key=lambda each: each.at_s):
        at_s = round(sample.at_s, 3)
        period = bisect_left(ends, at_s)
        if period == len(ends) or at_s <= round(periods[period].start_s, 3):
            rows.append((at_s, None, sample))
            continue
        if period in last:
            rows.append((round(last[period].at_s, 3), None, last[period]))
        last[period] = sample
    for number, row in enumerate(periods):
        rows.append((ends[number], row, last.get(number)))
    rows.sort(key=lambda each: each[0])
    for _, row_of_period, read in rows:
        yield GENERATOR, worker, row_of_period, read


def _of_period(period: GeneratorRow) -> dict[str, float]:
    """What it says itself, of its own time."""
    lag = {"loop_lag_p99_ms": period.lag_p99_us, "loop_lag_max_ms": period.lag_max_us}
    return {"cpu_percent": round(period.cpu_percent, 1)} | {
        metric: ms(value) for metric, value in lag.items() if value is not None
    }


def _number(value: float | None) -> object:
    if value is None:
        return ""
    return int(value) if value == int(value) and abs(value) < 1e15 else round(value, 6)
