"""`summary.json` back into a `Snapshot`: a baseline, or a report to render again."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any, Final, NoReturn, TypeVar, cast

from locust_ext.errors import ConfigError
from locust_ext.model import (
    EMPTY,
    ComparedFigure,
    Comparison,
    ConnectionStats,
    ConnectionTotals,
    Distribution,
    GeneratorStats,
    OperationStats,
    PushStats,
    RecoveryStats,
    RunInfo,
    Snapshot,
    TrafficStats,
    Warmup,
)
from locust_ext.outputs.read_monitor import alerts_in, resources_in, rules_in
from locust_ext.outputs.read_search import search_in
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


_CONNECTION_TOTALS: Final = ("lifetime_ms", "messages_sent", "messages_received", "bytes_sent", "bytes_received")
_MESSAGES: Final = ("messages_sent", "messages_received", "bytes_sent", "bytes_received")
_FIGURE_OUTCOMES: Final = ("same", "worse", "better", "no_data")


def read_summary(text: str | bytes, source: str = "summary.json") -> Snapshot:
    """What `summary_json` wrote. `ConfigError` names the key that is missing or wrong.

    The file does not hold the rows of the timeline and of `resources.csv` (see `read_tables`); what a file of an
    earlier version lacks is absent.
    """
    try:
        document = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise ConfigError("expected a JSON file, as written by --ext-report-dir", source=source) from None
    reader = _Reader(source)
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ConfigError(f"expected a summary.json with schema {SCHEMA}", source=source, key="schema")
    resources = reader.maybe(document, "resources", dict) or {}
    warmup, comparison = reader.maybe(document, "warmup", dict), reader.maybe(document, "comparison", dict)
    alerts, alert_events = alerts_in(reader, document)
    return Snapshot(
        run=reader.run(reader.get(document, "run", dict)),
        operations=reader.operations(document, ""),
        connections=reader.connections(reader.get(document, "connection_metrics", dict)),
        traffic=reader.traffic(reader.get(document, "message_metrics", dict), "message_metrics."),
        pushes=tuple(
            reader.push(event, push, f"push_metrics.{event}.")
            for event, push in reader.get(document, "push_metrics", dict).items()
        ),
        generators=tuple(
            reader.generator(generator, f"resources.generator[{number}].")
            for number, generator in enumerate(reader.maybe(resources, "generator", list, "resources.") or ())
            if isinstance(generator, dict) and "seconds" in generator
        ),
        warmup=None if warmup is None else reader.warmup(warmup),
        resources=resources_in(reader, document),
        rules=rules_in(reader, document),
        alerts=alerts,
        alert_events=alert_events,
        comparison=None if comparison is None else reader.comparison(comparison),
        search=search_in(reader, document),
    )


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


class _Reader:
    """Takes values out by type; knows the file, for the errors."""

    def __init__(self, source: str) -> None:
        self.source = source

    def get(self, where: Any, key: str, kind: type[T], path: str = "") -> T:
        value = where.get(key) if isinstance(where, dict) else None
        allowed: tuple[type, ...] = (int, float) if kind is float else (kind,)
        if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
            raise ConfigError(f"expected {_EXPECTED[kind]}", source=self.source, key=f"{path}{key}", value=value)
        if isinstance(value, int | float) and (not isfinite(value) or (value < 0 and key != "seed")):
            raise ConfigError(
                "expected a number that is not negative", source=self.source, key=f"{path}{key}", value=value
            )
        return cast(T, value)

    def maybe(self, where: Any, key: str, kind: type[T], path: str = "") -> T | None:
        return self.get(where, key, kind, path) if isinstance(where, dict) and key in where else None

    def one_of(self, where: Any, key: str, allowed: tuple[str, ...], path: str) -> str:
        value = self.get(where, key, str, path)
        if value not in allowed:
            raise ConfigError(
                f"expected one of {', '.join(allowed)}", source=self.source, key=f"{path}{key}", value=value
            )
        return value

    def histogram(self, where: Any, key: str, path: str) -> Distribution | None:
        text = self.maybe(where, key, str, path)
        try:
            return None if text is None else Distribution.from_text(text)
        except ValueError:
            raise ConfigError(
                "expected the text of a histogram", source=self.source, key=f"{path}{key}", shows_value=False
            ) from None

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
            shape=self.maybe(run, "shape", str, path),
            workers=self.get(run, "workers", int, path),
            versions={str(name): str(version) for name, version in self.get(run, "versions", dict, path).items()},
            invalid_because=tuple(map(str, self.get(run, "invalid_because", list, path))),
            ended_because=self.maybe(run, "ended_because", str, path),
            unfinished=self.maybe(run, "unfinished", str, path),
            target_rate_per_s=self.maybe(run, "target_rate_per_s", float, path),
            paced_s=self.maybe(run, "paced_s", float, path),
            exceptions=self.maybe(run, "exceptions", int, path) or 0,
            complete=self.get(run, "complete", bool, path),
        )

    def operations(self, where: dict[str, Any], path: str) -> tuple[OperationStats, ...]:
        return tuple(
            self.operation(operation, f"{path}operations[{number}].")
            for number, operation in enumerate(self.get(where, "operations", list, path))
        )

    def operation(self, operation: Any, path: str) -> OperationStats:
        def count(column: str) -> int:
            return self.get(operation, column, int, path)

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
            in_flight=self.maybe(operation, "in_flight", int, path) or 0,
            late=count("late"),
            duplicate=count("duplicate"),
            unmatched=count("unmatched"),
            bytes_received=count("bytes_received"),
            errors={str(name): self.get(errors, name, int, f"{path}errors.") for name in errors},
            latency=self.histogram(operation, "histogram", path) or EMPTY,
            service=self.histogram(operation, "service_histogram", path),
        )

    def connections(self, metrics: dict[str, Any]) -> ConnectionStats:
        path = "connection_metrics."
        totals = self.maybe(metrics, "histograms", dict, path) or {}
        states = self.maybe(metrics, "states", dict, path) or {}
        return ConnectionStats(
            peak_open=self.get(metrics, "peak_open", int, path),
            reconnects=self.get(metrics, "reconnects", int, path),
            inbox_dropped=self.maybe(metrics, "inbox_dropped", int, path) or 0,
            handler_calls_dropped=self.maybe(metrics, "handler_calls_dropped", int, path) or 0,
            ended=ConnectionTotals(
                *(self.histogram(totals, total, f"{path}histograms.") or EMPTY for total in _CONNECTION_TOTALS)
            ),
            states={state: self.get(states, state, int, f"{path}states.") for state in states},
            recoveries=tuple(
                self.recovery(recovery, f"{path}recoveries[{number}].")
                for number, recovery in enumerate(self.maybe(metrics, "recoveries", list, path) or ())
            ),
        )

    def recovery(self, recovery: Any, path: str) -> RecoveryStats:
        return RecoveryStats(
            self.get(recovery, "user", str, path),
            self.get(recovery, "channel", str, path),
            self.histogram(recovery, "histogram", path) or EMPTY,
            self.get(recovery, "failovers", int, path),
        )

    def traffic(self, metrics: dict[str, Any], path: str) -> TrafficStats:
        return TrafficStats(*(self.get(metrics, count, int, path) for count in _MESSAGES))

    def push(self, event: str, push: Any, path: str) -> PushStats:
        return PushStats(
            event,
            self.get(push, "received", int, path),
            self.get(push, "bytes_received", int, path),
            self.histogram(push, "lag_histogram", path),
            self.maybe(push, "expected", int, path),
            self.maybe(push, "reached", int, path),
            self.histogram(push, "spread_histogram", path),
        )

    def generator(self, generator: dict[str, Any], path: str) -> GeneratorStats:
        """Without its rows."""
        cpu = self.get(generator, "cpu_percent", dict, path)
        seconds = float(self.get(generator, "seconds", float, path))
        spells = self.maybe(generator, "bottleneck", list, path) or []
        return GeneratorStats(
            worker=self.get(generator, "worker", str, path),
            cpu_us=round(self.get(cpu, "avg", float, f"{path}cpu_percent.") * seconds * 10_000),
            seconds=seconds,
            cpu_max_percent=float(self.get(cpu, "max", float, f"{path}cpu_percent.")),
            lag=self.histogram(generator, "loop_lag_histogram", path) or EMPTY,
            lateness=self.histogram(generator, "send_lateness_histogram", path) or EMPTY,
            bottleneck=tuple(
                (
                    float(self.get(spell, "from_s", float, f"{path}bottleneck[{number}].")),
                    float(self.get(spell, "to_s", float, f"{path}bottleneck[{number}].")),
                )
                for number, spell in enumerate(spells)
            ),
        )

    def warmup(self, warmup: dict[str, Any]) -> Warmup:
        """Its pushes as one, without the names of their events: the file has only their sum."""
        path = "warmup."
        pushes = self.get(warmup, "pushes_received", int, path)
        return Warmup(
            duration_s=float(self.get(warmup, "duration_s", float, path)),
            operations=self.operations(warmup, path),
            connections=ConnectionStats(
                peak_open=self.get(warmup, "peak_open", int, path), reconnects=self.get(warmup, "reconnects", int, path)
            ),
            traffic=self.traffic(self.get(warmup, "message_metrics", dict, path), f"{path}message_metrics."),
            pushes=(PushStats("", pushes),) if pushes else (),
        )

    def comparison(self, comparison: dict[str, Any]) -> Comparison:
        path = "comparison."
        return Comparison(
            self.get(comparison, "baseline", str, path),
            tuple(
                self.figure(figure, f"{path}figures[{number}].")
                for number, figure in enumerate(self.get(comparison, "figures", list, path))
            ),
            float(self.get(comparison, "tolerance", float, path)),
            tuple(map(str, self.get(comparison, "caveats", list, path))),
        )

    def figure(self, figure: Any, path: str) -> ComparedFigure:
        outcome = self.one_of(figure, "outcome", _FIGURE_OUTCOMES, path)
        is_judged = outcome != "no_data"
        before, after = (
            self.get(figure, key, float, path) if is_judged else self.maybe(figure, key, float, path)
            for key in ("before", "after")
        )
        return ComparedFigure(
            self.get(figure, "operation", str, path),
            self.get(figure, "figure", str, path),
            before,
            after,
            outcome,
            self.maybe(figure, "p_value", float, path),
        )
