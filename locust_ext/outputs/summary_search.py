"""The part of `summary.json` about a search for the limit. What was not measured is absent."""

from __future__ import annotations

from typing import Any, Final

from locust_ext.model import LimitSearch, LoadStep
from locust_ext.outputs.search_text import answer
from locust_ext.outputs.summary_monitor import tidy
from locust_ext.outputs.text import ms

LATENCIES: Final = ("average", "p50", "p95", "p99")


def search_part(search: LimitSearch) -> dict[str, Any]:
    """`search`: the answer, what it was judged by, and every step. Users are counts, `_s` seconds, `_ms` milliseconds."""
    part: dict[str, Any] = {
        "outcome": search.outcome,
        "answer": answer(search),
        "criteria": list(search.criteria),
        "max_users": search.max_users,
        "unit": search.unit,
    }
    if search.phase:
        part["phase"] = search.phase
    if (good := search.sustained) is not None:
        part["sustained"] = {
            "users": good.users,
            "confirmed": search.is_confirmed,
            "per_second": tidy(good.per_s),
            **_latencies(good),
        }
    if (bad := search.breaks_at) is not None:
        part["breaks_at"] = {"users": bad.users, "length_s": tidy(bad.length_s)} | _told(bad)
    if (recovery := search.recovery) is not None:
        part["recovery"] = {"recovered": recovery.recovered_s is not None, "users": recovery.users}
        part["recovery"]["seconds"] = tidy(recovery.length_s if recovery.recovered_s is None else recovery.recovered_s)
    part["steps"] = [_step(step) for step in search.steps]
    return part


def _step(step: LoadStep) -> dict[str, Any]:
    found: dict[str, Any] = {
        "kind": step.kind,
        "users": step.users,
        "start_s": tidy(step.start_s),
        "length_s": tidy(step.length_s),
        "outcome": step.outcome,
        **_told(step),
        "finished": step.finished,
        "failures": step.failures,
    }
    if step.error_ratio is not None:
        found["error_rate"] = round(step.error_ratio, 9)
    found |= {"per_second": tidy(step.per_s), **_latencies(step)}
    found |= {"connects": step.connects, "connect_failures": step.connect_failures}
    if step.notes:
        found["notes"] = list(step.notes)
    if step.recovered_s is not None:
        found["recovered_s"] = tidy(step.recovered_s)
    return found


def _told(step: LoadStep) -> dict[str, str]:
    return {key: text for key, text in (("because", step.because), ("value", step.value)) if text}


def _latencies(step: LoadStep) -> dict[str, float]:
    values = {name: getattr(step, f"{name}_us") for name in LATENCIES}
    return {f"{name}_ms": ms(value) for name, value in values.items() if value is not None}
