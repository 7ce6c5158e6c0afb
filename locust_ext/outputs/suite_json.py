"""`suite.json`: what the scenarios of a suite came to, for programs."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Final

from locust_ext.model.suite import ScenarioResult, SuiteResult
from locust_ext.outputs.suite_text import sentence
from locust_ext.outputs.text import PERCENTILES, ms

SCHEMA: Final = 1
"""Raised when a key is removed or means something else."""


def suite_json(suite: SuiteResult) -> str:
    """`{schema, name, started_at, duration_s, exit_code, ended_by, complete, scenarios}`; what is not known is null.

    ``report_dir`` is relative to the folder of this file; rates are operations a second, latencies milliseconds.
    """
    document = {
        "schema": SCHEMA,
        "name": suite.name,
        "started_at": suite.started_at,
        "duration_s": round(suite.took_s, 3),
        "exit_code": suite.exit_code,
        "ended_by": suite.ended_by,
        "complete": suite.complete,
        "scenarios": [_scenario(each) for each in suite.scenarios],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _scenario(result: ScenarioResult) -> dict[str, Any]:
    snapshot = result.snapshot
    told: dict[str, Any] = {
        "name": result.name,
        "outcome": result.outcome,
        "passed": result.has_passed,
        "exit_code": result.exit_code,
        "verdict": sentence(result),
        "started_at": result.started_at,
        "duration_s": round(result.took_s, 3),
        "report_dir": result.folder or None,
    }
    if snapshot is None:
        return told | dict.fromkeys(("operations", "per_second", "failures", "error_rate", "latency_ms", "rules"))
    latency, found = result.latency, Counter(rule.outcome for rule in snapshot.rules)
    told |= {
        "operations": snapshot.finished,
        "per_second": None if result.per_s is None else round(result.per_s, 3),
        "failures": snapshot.failures,
        "error_rate": None if snapshot.error_rate is None else round(snapshot.error_rate, 9),
        "latency_ms": {
            key: None if value is None else ms(value)
            for key, value in zip(PERCENTILES, latency.percentiles_us(tuple(PERCENTILES.values())), strict=True)
        },
        "rules": {outcome: found[outcome] for outcome in ("passed", "warned", "failed", "no_data")},
        "failed_rules": [rule.name for rule in snapshot.rules if rule.outcome == "failed"],
    }
    if snapshot.search is not None:
        told["sustained_users"] = None if result.sustained is None else result.sustained.users
    return told
