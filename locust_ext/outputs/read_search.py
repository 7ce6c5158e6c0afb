"""The part of `summary.json` about a search for the limit, read back."""

from __future__ import annotations

from typing import Any

from locust_ext.model import LimitSearch, LoadStep
from locust_ext.model.search import SEARCH_OUTCOMES, STEP_KINDS, STEP_OUTCOMES
from locust_ext.outputs.read_monitor import Takes
from locust_ext.outputs.summary_search import LATENCIES


def search_in(reader: Takes, document: dict[str, Any]) -> LimitSearch | None:
    """None: the run was no search. What can be had from the steps is not read. `ConfigError` names the key that is wrong."""
    search = reader.maybe(document, "search", dict)
    if search is None:
        return None
    path = "search."
    return LimitSearch(
        reader.one_of(search, "outcome", SEARCH_OUTCOMES, path),
        tuple(map(str, reader.get(search, "criteria", list, path))),
        reader.get(search, "max_users", int, path),
        reader.get(search, "unit", str, path),
        tuple(
            _step(reader, step, f"{path}steps[{number}].")
            for number, step in enumerate(reader.get(search, "steps", list, path))
        ),
        reader.maybe(search, "phase", str, path) or "",
    )


def _step(reader: Takes, step: Any, path: str) -> LoadStep:
    latencies = {}
    for name in LATENCIES:
        value = reader.maybe(step, f"{name}_ms", float, path)
        latencies[f"{name}_us"] = None if value is None else round(value * 1000)
    recovered_s = reader.maybe(step, "recovered_s", float, path)
    return LoadStep(
        kind=reader.one_of(step, "kind", STEP_KINDS, path),
        users=reader.get(step, "users", int, path),
        start_s=float(reader.get(step, "start_s", float, path)),
        length_s=float(reader.get(step, "length_s", float, path)),
        outcome=reader.one_of(step, "outcome", STEP_OUTCOMES, path),
        because=reader.maybe(step, "because", str, path) or "",
        value=reader.maybe(step, "value", str, path) or "",
        finished=reader.get(step, "finished", int, path),
        failures=reader.get(step, "failures", int, path),
        per_s=float(reader.get(step, "per_second", float, path)),
        connects=reader.get(step, "connects", int, path),
        connect_failures=reader.get(step, "connect_failures", int, path),
        notes=tuple(map(str, reader.maybe(step, "notes", list, path) or ())),
        recovered_s=None if recovered_s is None else float(recovered_s),
        **latencies,
    )
