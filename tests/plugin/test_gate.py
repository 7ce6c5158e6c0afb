"""Which exit code a run ends with."""

from __future__ import annotations

import pytest

from locust_ext.model import Check, ComparedFigure, Comparison, RunInfo, Snapshot
from locust_ext.plugin.gate import exit_code, limits_of, tolerance_of
from locust_ext.settings import Settings


def run(
    *,
    valid: bool = True,
    rules: tuple[str, ...] = (),
    figures: tuple[str, ...] | None = None,
    baseline_valid: bool = True,
) -> Snapshot:
    return Snapshot(
        run=RunInfo(invalid_because=() if valid else ("why",)),
        rules=tuple(Check(f"rule {outcome}", outcome) for outcome in rules),
        comparison=None
        if figures is None
        else Comparison(
            "b",
            tuple(ComparedFigure("WS a", "p95_ms", 1, 2, outcome) for outcome in figures),
            0.1,
            baseline_valid=baseline_valid,
        ),
    )


@pytest.mark.parametrize(
    ("snapshot", "has_raised", "has_errors", "code"),
    [
        (run(), False, False, None),
        (run(), False, True, None),
        (run(valid=False), False, False, None),
        (run(valid=False), False, True, None),
        (run(), True, True, 2),
        (run(figures=("same",)), False, False, None),
        (run(figures=("same",)), False, True, None),
        (run(figures=("same", "worse")), False, False, 5),
        (run(figures=("worse",)), False, True, 5),
        (run(figures=("worse",), valid=False), False, False, 4),
        (run(figures=("same",), valid=False), False, False, 4),
        (run(figures=("worse",), valid=False), True, True, 2),
        (run(figures=("no_data",)), False, False, 4),  # nothing was compared
        (run(figures=()), False, True, 4),
        (run(figures=("same",), baseline_valid=False), False, False, 4),
        (run(rules=("passed",)), False, True, 0),
        (run(rules=("passed", "failed")), False, False, 3),
        (run(rules=("failed",), figures=("worse",)), False, True, 3),
        (run(rules=("failed",), figures=("worse",), valid=False), False, True, 4),
        (run(rules=("passed",), figures=("worse",)), False, True, 5),
        (run(rules=("no_data", "no_data")), False, True, 4),  # nothing was judged
        (run(rules=("no_data", "passed")), False, True, 0),
        (run(rules=("no_data",), figures=("same",)), False, False, 0),
    ],
)
def test_several_at_once_come_in_their_order(
    snapshot: Snapshot, has_raised: bool, has_errors: bool, code: int | None
) -> None:
    assert exit_code(snapshot, has_raised, has_errors) == code


def test_limits_and_tolerances_come_from_the_settings() -> None:
    settings = Settings.model_validate(
        {
            "generator": {"max_loop_lag_ms": 20, "max_cpu_percent": 70},
            "baseline": {"tolerance": 0.2, "latency_tolerance_ms": 1.5, "error_rate_tolerance": 0.01, "alpha": 0.05},
        }
    )
    limits, tolerance = limits_of(settings), tolerance_of(settings)
    assert (limits.max_loop_lag_ms, limits.max_cpu_percent) == (20, 70)
    assert (tolerance.relative, tolerance.latency_us, tolerance.error_rate, tolerance.alpha) == (0.2, 1500, 0.01, 0.05)
