"""The sink ``jsonl``: a run as lines of JSON, for whatever can read a file that grows (jq, a log shipper, a notebook).

Each line is one object; ``kind`` says which:

* ``run``: the first line of a run: its id, start, target, scenario, seed, versions.
* ``second``: a row of ``timeline.csv``, once it is final (a worker may be some seconds late): counts, rates' parts,
  percentiles of the round trips in milliseconds.
* ``operation``: what one operation came to since the line before it (about a second): the lines of a run add up to its
  ledger in ``summary.json``. Latencies are of that time alone. An operation that did nothing has no line.
* ``alert``: an alert changed its state: rule, severity, new state, value, limit, worker.
* ``end``: the verdict, and the totals.

What was not measured is absent, never 0 and never null. The number of lines a second is bounded by that of the names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from typing import Any

from locust_ext.model import EMPTY, AlertEvent, Distribution, OperationStats, Second, Snapshot
from locust_ext.outputs.text import ms
from locust_ext.outputs.verdict import verdict

_COUNTS = ("ok", "failed", "timed_out", "lost", "cancelled", "late", "duplicate", "unmatched", "bytes_received")
_Key = tuple[str, str, tuple[str, ...]]


class JsonLines:
    """One run's lines; see the module."""

    def __init__(self) -> None:
        self._run_id: str | None = None
        self._to_s = 0
        """The timeline is written up to this second of the run."""
        self._at_s = 0.0
        """Age of the counts (`duration_s`) at the last feed."""
        self._finished = 0
        self._before: dict[_Key, OperationStats] = {}
        self._event: AlertEvent | None = None
        """The last that was written."""

    def feed(self, snapshot: Snapshot) -> Iterator[str]:
        """What is new since the last call, a line each; to be taken to its end before the next call."""
        run = snapshot.run
        if self._run_id is None:
            self._run_id = run.id
            facts = ("started_at", "host", "scenario", "seed", "users", "versions")
            known = {fact: value for fact in facts if (value := getattr(run, fact)) is not None}
            yield _line({"kind": "run", "run_id": run.id} | known)
        for row in snapshot.timeline[_first_after(snapshot.timeline, self._to_s) :]:
            self._to_s = row.start_s + row.length_s
            yield _line(self._second(row))
        for event in _events_after(snapshot.alert_events, self._event):
            self._event = event
            told = {key: value for key, value in asdict(event).items() if value != ""}
            yield _line({"kind": "alert", "run_id": run.id} | told)
        if run.duration_s < self._at_s or snapshot.finished < self._finished:
            self._before.clear()  # the counts began anew: Locust's reset
        self._at_s, self._finished = run.duration_s, snapshot.finished
        for operation in snapshot.operations:
            key = operation.type, operation.name, operation.tags
            before = self._before.get(key)
            if before is None or operation != before:
                self._before[key] = operation
                line = self._operation(operation, before or OperationStats(*key), run.duration_s)
                if line is not None:
                    yield _line(line)

    def end(self, snapshot: Snapshot) -> Iterator[str]:
        """What is new, and the last line."""
        yield from self.feed(snapshot)
        run, traffic = snapshot.run, snapshot.traffic
        yield _line(
            {
                "kind": "end",
                "run_id": run.id,
                "duration_s": round(run.duration_s, 3),
                "finished": snapshot.finished,
                "failures": snapshot.failures,
                "messages_sent": traffic.messages_sent,
                "messages_received": traffic.messages_received,
                "pushes_received": snapshot.pushes_received,
                "valid": run.valid,
                "verdict": verdict(snapshot),
            }
        )

    def _second(self, row: Second) -> dict[str, Any]:
        line: dict[str, Any] = {"kind": "second", "run_id": self._run_id}
        for each in fields(row):
            value = getattr(row, each.name)
            if value is not None:
                is_time = each.name.endswith("_us")
                line[each.name[:-3] + "_ms" if is_time else each.name] = ms(value) if is_time else value
        return line

    def _operation(self, now: OperationStats, before: OperationStats, at_s: float) -> dict[str, Any] | None:
        counts = {count: getattr(now, count) - getattr(before, count) for count in _COUNTS}
        if not any(counts.values()) and now.in_flight == before.in_flight:
            return None
        line: dict[str, Any] = {
            "kind": "operation",
            "run_id": self._run_id,
            "to_s": round(at_s, 3),
            "type": now.type,
            "name": now.name,
        }
        if now.tags:
            line["tags"] = list(now.tags)
        line |= {count: value for count, value in counts.items() if value} | {"in_flight": now.in_flight}
        errors = {name: count - before.errors.get(name, 0) for name, count in now.errors.items()}
        if any(errors.values()):
            line["errors"] = {name: count for name, count in errors.items() if count}
        line |= _times("", _since(now.latency, before.latency))
        if now.service is not None:
            line |= _times("service_", _since(now.service, before.service or EMPTY))
        return line


def _line(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n"


def _first_after(rows: Sequence[Second], to_s: int) -> int:
    """Position of the first row that holds a second from ``to_s`` on; there are few, and they are the last."""
    position = len(rows)
    while position and rows[position - 1].start_s + rows[position - 1].length_s > to_s:
        position -= 1
    return position


def _events_after(events: Sequence[AlertEvent], last: AlertEvent | None) -> Sequence[AlertEvent]:
    """Those behind the last that was written; all, if it has left the list."""
    position = len(events)
    while position and events[position - 1] != last:
        position -= 1
    return events[position:]


def _since(now: Distribution, before: Distribution) -> Distribution:
    if not before.count:
        return now
    try:
        return now.minus(before)
    except ValueError:  # the counts began anew without a sign of it
        return now


def _times(prefix: str, latency: Distribution) -> dict[str, float]:
    if not latency.count or latency.max_us is None or latency.average_us is None:
        return {}
    p50, p95, p99 = latency.percentiles_us((50, 95, 99))
    named = {"avg": latency.average_us, "p50": p50, "p95": p95, "p99": p99, "max": latency.max_us}
    return {f"{prefix}{key}_ms": ms(value) for key, value in named.items() if value is not None}
