"""`timeline.csv` and `resources.csv` back into the rows that they were made of: what `summary.json` does not hold."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import isfinite

from locust_ext.errors import ConfigError
from locust_ext.model import GeneratorRow, GeneratorStats, Second
from locust_ext.outputs.resources_csv import COLUMNS as RESOURCES_COLUMNS
from locust_ext.outputs.text import uncelled
from locust_ext.outputs.timeline_csv import COLUMNS as TIMELINE_COLUMNS

_FLAGS = ("complete", "valid", "warmup")
_TIMES = {"loop_lag_p99_ms": "lag_p99_us", "loop_lag_max_ms": "lag_max_us", "send_lateness_p99_ms": "lateness_p99_us"}


def read_timeline(text: str, source: str = "timeline.csv") -> tuple[Second, ...]:
    """What `timeline_csv` wrote. `ConfigError` names the line and the column that is wrong."""
    rows = []
    for line, row in _rows(text, source, TIMELINE_COLUMNS):
        values: dict[str, int | None] = {}
        for column in TIMELINE_COLUMNS:
            number = _number(row[column], source, f"line {line}, {column}")
            if column.endswith("_ms"):
                values[column[:-3] + "_us"] = None if number is None else round(number * 1000)
            elif number is not None:
                values[column] = round(number)
        flags = {flag: bool(values.pop(flag, None)) for flag in _FLAGS}
        if "start_s" not in values:
            raise ConfigError("expected a number", source=source, key=f"line {line}, start_s")
        rows.append(Second(**values, **flags))  # type: ignore[arg-type]
    return tuple(rows)


def read_resources(
    text: str, generators: tuple[GeneratorStats, ...], source: str = "resources.csv"
) -> tuple[GeneratorStats, ...]:
    """``generators`` with the rows that `resources_csv` wrote of them. `ConfigError` as `read_timeline`."""
    rows: dict[str, list[GeneratorRow]] = {}
    for line, row in _rows(text, source, RESOURCES_COLUMNS):
        numbers = {column: _number(row[column], source, f"line {line}, {column}") for column in RESOURCES_COLUMNS[1:]}
        times = {_TIMES[column]: None if (ms := numbers[column]) is None else round(ms * 1000) for column in _TIMES}
        rows.setdefault(uncelled(row["worker"]), []).append(
            GeneratorRow(
                start_s=numbers["start_s"] or 0.0,
                length_s=numbers["length_s"] or 0.0,
                cpu_percent=numbers["cpu_percent"] or 0.0,
                over_limit=bool(numbers["over_limit"]),
                **times,
            )
        )
    return tuple(replace(each, rows=tuple(rows.get(each.worker, ()))) for each in generators)


def _rows(text: str, source: str, columns: tuple[str, ...]) -> Iterator[tuple[int, Mapping[str, str]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        if tuple(reader.fieldnames or ()) != columns:
            raise ConfigError(f"expected the columns {','.join(columns)}", source=source, key="line 1")
        for row in reader:
            if None in row or None in row.values():
                raise ConfigError(f"expected {len(columns)} cells", source=source, key=f"line {reader.line_num}")
            yield reader.line_num, row
    except csv.Error as error:
        raise ConfigError("expected a CSV file", source=source) from error


def _number(cell: str, source: str, key: str) -> float | None:
    if not cell:
        return None
    try:
        number = float(cell)
    except ValueError:
        number = -1.0
    if not isfinite(number) or number < 0:
        raise ConfigError("expected a number that is not negative", source=source, key=key, value=cell)
    return number
