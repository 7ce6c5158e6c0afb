"""`summary.json` back into a `Snapshot`: a baseline, or a report to render again."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn, TypeVar, cast

from locust_ext.errors import ConfigError
from locust_ext.model import (
    EMPTY,
    ConnectionStats,
    Distribution,
    OperationStats,
    PushStats,
    RunInfo,
    Snapshot,
    TrafficStats,
)
from locust_ext.outputs.summary_json import SCHEMA

T = TypeVar("T")
_EXPECTED: Final[dict[type, str]] = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    dict: "an object",
    list: "a list",
}


def read_summary(text: str | bytes, source: str = "summary.json") -> Snapshot:
    """What `summary_json` wrote. `ConfigError` names the key that is missing or wrong.

    Left out are what the machines used and the warm-up; the file does not hold the timeline, nor the histograms of
    service times and push delays: they are absent.
    """
    try:
        document = json.loads(text, parse_constant=_refuse)
    except ValueError:
        raise ConfigError("a JSON file, as written by --ext-report-dir", source=source) from None
    reader = _Reader(source)
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ConfigError(f"a summary.json with schema {SCHEMA}", source=source, key="schema")
    return Snapshot(
        run=reader.run(reader.get(document, "run", dict)),
        operations=tuple(
            reader.operation(operation, f"operations[{number}]")
            for number, operation in enumerate(reader.get(document, "operations", list))
        ),
        connections=reader.connections(reader.get(document, "connection_metrics", dict)),
        traffic=reader.traffic(reader.get(document, "message_metrics", dict)),
        pushes=tuple(
            reader.push(event, push, f"push_metrics.{event}")
            for event, push in reader.get(document, "push_metrics", dict).items()
        ),
    )


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


class _Reader:
    """Takes values out by type; knows the file, for the errors."""

    def __init__(self, source: str) -> None:
        self._source = source

    def get(self, where: Any, key: str, kind: type[T], path: str = "") -> T:
        value = where.get(key) if isinstance(where, dict) else None
        allowed: tuple[type, ...] = (int, float) if kind is float else (kind,)
        if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
            raise ConfigError(_EXPECTED[kind], source=self._source, key=f"{path}{key}", value=value)
        if isinstance(value, int | float) and value < 0 and key != "seed":
            raise ConfigError("a number that is not negative", source=self._source, key=f"{path}{key}", value=value)
        return cast(T, value)

    def maybe(self, where: dict[str, Any], key: str, kind: type[T], path: str = "") -> T | None:
        return self.get(where, key, kind, path) if key in where else None

    def run(self, run: dict[str, Any]) -> RunInfo:
        path = "run."
        return RunInfo(
            id=self.maybe(run, "id", str, path) or "",
            started_at=self.maybe(run, "started_at", str, path),
            duration_s=float(self.get(run, "duration_s", float, path)),
            host=self.maybe(run, "host", str, path),
            scenario=self.maybe(run, "scenario", str, path),
            seed=self.maybe(run, "seed", int, path),
            users=self.maybe(run, "users", int, path),
            workers=self.get(run, "workers", int, path),
            versions={str(name): str(version) for name, version in self.get(run, "versions", dict, path).items()},
            invalid_because=tuple(map(str, self.get(run, "invalid_because", list, path))),
            complete=self.get(run, "complete", bool, path),
        )

    def operation(self, operation: Any, path: str) -> OperationStats:
        path += "."

        def count(column: str) -> int:
            return self.get(operation, column, int, path)

        latency = EMPTY
        if "histogram" in (operation if isinstance(operation, dict) else {}):
            try:
                latency = Distribution.from_text(self.get(operation, "histogram", str, path))
            except ValueError:
                raise ConfigError(
                    "the text of a histogram", source=self._source, key=f"{path}histogram", shows_value=False
                ) from None
        errors = self.get(operation, "errors", dict, path)
        return OperationStats(
            type=self.get(operation, "type", str, path),
            name=self.get(operation, "name", str, path),
            tags=tuple(map(str, self.maybe(operation, "tags", list, path) or ())),
            ok=count("ok"),
            failed=count("failed"),
            timed_out=count("timed_out"),
            lost=count("lost"),
            cancelled=count("cancelled"),
            in_flight=count("in_flight"),
            late=count("late"),
            duplicate=count("duplicate"),
            unmatched=count("unmatched"),
            bytes_received=count("bytes_received"),
            errors={str(name): self.get(errors, name, int, f"{path}errors.") for name in errors},
            latency=latency,
        )

    def connections(self, metrics: dict[str, Any]) -> ConnectionStats:
        path = "connection_metrics."
        return ConnectionStats(
            peak_open=self.get(metrics, "peak_open", int, path),
            reconnects=self.get(metrics, "reconnects", int, path),
            inbox_dropped=self.maybe(metrics, "inbox_dropped", int, path) or 0,
        )

    def traffic(self, metrics: dict[str, Any]) -> TrafficStats:
        counts = ("messages_sent", "messages_received", "bytes_sent", "bytes_received")
        return TrafficStats(*(self.get(metrics, count, int, "message_metrics.") for count in counts))

    def push(self, event: str, push: Any, path: str) -> PushStats:
        path += "."
        received, size = self.get(push, "received", int, path), self.get(push, "bytes_received", int, path)
        expected, reached = self.maybe(push, "expected", int, path), self.maybe(push, "reached", int, path)
        return PushStats(event, received, size, expected=expected, reached=reached)
