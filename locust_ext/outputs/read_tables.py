"""`timeline.csv` and `resources.csv` back into the rows that they were made of: what `summary.json` does not hold."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import isfinite, nan

from locust_ext.errors import ConfigError
from locust_ext.model import GENERATOR, SIDES, GeneratorRow, ResourceSample, ResourceStats, Second, Snapshot
from locust_ext.outputs.resources_csv import AFTER, BEFORE, COLUMNS as RESOURCES_COLUMNS
from locust_ext.outputs.text import cell, uncelled
from locust_ext.outputs.timeline_csv import COLUMNS as TIMELINE_COLUMNS

_FLAGS = ("complete", "valid", "warmup")
_TIMES = {"loop_lag_p99_ms": "lag_p99_us", "loop_lag_max_ms": "lag_max_us", "send_lateness_p99_ms": "lateness_p99_us"}

_EARLIER_TIMELINE = tuple(column for column in TIMELINE_COLUMNS if column not in ("users", "planned_users"))
EARLIER_COLUMNS = ("worker", "start_s", "length_s", "cpu_percent", *_TIMES, "over_limit")
_TIMES_OF_RUN = ("at_s", "start_s", "length_s", *AFTER)
_NOT_SAMPLED = (*BEFORE, *AFTER)


def read_timeline(text: str, source: str = "timeline.csv") -> tuple[Second, ...]:
    """What `timeline_csv` wrote, also in an earlier version. `ConfigError` names the line and the column that is wrong."""
    rows = []
    for line, row in _rows(text, source, TIMELINE_COLUMNS, _EARLIER_TIMELINE):
        values: dict[str, int | None] = {}
        for column in TIMELINE_COLUMNS:
            number = _number(row.get(column, ""), source, f"line {line}, {column}")
            if column.endswith("_ms"):
                values[column[:-3] + "_us"] = None if number is None else round(number * 1000)
            elif number is not None:
                values[column] = round(number)
        flags = {flag: bool(values.pop(flag, None)) for flag in _FLAGS}
        if "start_s" not in values:
            raise ConfigError("expected a number", source=source, key=f"line {line}, start_s")
        rows.append(Second(**values, **flags))  # type: ignore[arg-type]
    return tuple(rows)


def read_resources(text: str, snapshot: Snapshot, source: str = "resources.csv") -> Snapshot:
    """``snapshot`` with the samples, and the generators' periods, that `resources_csv` wrote. Raises as `read_timeline`.

    A table of an earlier version, which has the generators' periods only, is read too.
    """
    periods: dict[str, list[GeneratorRow]] = {}
    samples: dict[tuple[str, str], list[ResourceSample]] = {}
    for line, row in _rows(text, source, RESOURCES_COLUMNS, EARLIER_COLUMNS):
        numbers = {
            column: _number(text, source, f"line {line}, {column}", column not in _TIMES_OF_RUN)
            for column, text in row.items()
            if column not in ("side", "source", "worker")
        }
        # A cell is a name made harmless: it is found by what the names that are known become.
        side, of = row.get("side", GENERATOR), row.get("source", row.get("worker", ""))
        if side not in SIDES:
            raise ConfigError(
                f"expected one of {', '.join(SIDES)}", source=source, key=f"line {line}, side", value=side
            )
        if numbers["length_s"] is not None:
            periods.setdefault(of, []).append(_period(numbers))
        if (at_s := numbers.get("at_s")) is not None:
            values = {
                uncelled(column): value
                for column, value in numbers.items()
                if column not in _NOT_SAMPLED and value is not None
            }
            samples.setdefault((side, of), []).append(ResourceSample(side, uncelled(of), at_s, values))
    known = {(stats.side, cell(stats.source)) for stats in snapshot.resources}
    unknown = tuple(ResourceStats(side, uncelled(of)) for side, of in samples if (side, of) not in known)
    return replace(
        snapshot,
        generators=tuple(replace(each, rows=tuple(periods.get(cell(each.worker), ()))) for each in snapshot.generators),
        resources=tuple(
            replace(each, samples=tuple(samples.get((each.side, cell(each.source)), ())))
            for each in (*snapshot.resources, *unknown)
        ),
    )


def _period(numbers: Mapping[str, float | None]) -> GeneratorRow:
    times = {_TIMES[column]: None if (ms := numbers[column]) is None else round(ms * 1000) for column in _TIMES}
    return GeneratorRow(
        start_s=numbers["start_s"] or 0.0,
        length_s=numbers["length_s"] or 0.0,
        cpu_percent=numbers["cpu_percent"] or 0.0,
        over_limit=bool(numbers["over_limit"]),
        **times,
    )


def _rows(
    text: str, source: str, columns: tuple[str, ...], earlier: tuple[str, ...] = ()
) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Rows by column; with ``earlier``, the columns of an earlier version, further columns may follow the new ones."""
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        names = tuple(reader.fieldnames or ())
        if names != columns and not (earlier and (names == earlier or names[: len(columns)] == columns)):
            raise ConfigError(f"expected the columns {','.join(columns)}", source=source, key="line 1")
        for row in reader:
            if None in row or None in row.values():
                raise ConfigError(f"expected {len(names)} cells", source=source, key=f"line {reader.line_num}")
            yield reader.line_num, row
    except csv.Error as error:
        raise ConfigError("expected a CSV file", source=source) from error


def _number(cell: str, source: str, key: str, may_be_negative: bool = False) -> float | None:
    if not cell:
        return None
    try:
        number = float(cell)
    except ValueError:
        number = nan
    if not isfinite(number) or (number < 0 and not may_be_negative):
        expected = "expected a number" if may_be_negative else "expected a number that is not negative"
        raise ConfigError(expected, source=source, key=key, value=cell)
    return number
