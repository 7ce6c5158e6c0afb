"""Which exit code a run ends with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from locust_ext.model import Check, ComparedFigure, Comparison, LimitSearch, LoadStep, RunInfo, Snapshot
from locust_ext.model.search import (
    BAD,
    FOUND,
    GENERATOR_LIMIT,
    GOOD,
    INTERRUPTED,
    NEVER_GOOD,
    NO_DATA,
    NOT_REACHED,
    NOT_RECOVERED,
    UP,
)
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


GOOD_STEP, BAD_STEP = LoadStep(UP, 30, 0.0, 2.0, GOOD), LoadStep(UP, 40, 3.0, 2.0, BAD)


@pytest.mark.parametrize(
    ("search", "more", "code"),
    [
        (LimitSearch(FOUND, steps=(GOOD_STEP, BAD_STEP)), {}, 0),
        (LimitSearch(NOT_REACHED, steps=(GOOD_STEP,)), {}, 0),
        (LimitSearch(GENERATOR_LIMIT, steps=(GOOD_STEP,)), {}, 0),
        (LimitSearch(GENERATOR_LIMIT), {}, 4),
        (LimitSearch(NO_DATA), {}, 4),
        (LimitSearch(NO_DATA, steps=(GOOD_STEP,)), {}, 0),
        (LimitSearch(INTERRUPTED), {}, 4),
        (LimitSearch(INTERRUPTED, steps=(BAD_STEP,)), {}, 4),
        (LimitSearch(INTERRUPTED, steps=(GOOD_STEP,)), {}, 4),
        (LimitSearch(INTERRUPTED, steps=(GOOD_STEP,)), {"rules": ("failed",)}, 4),
        (LimitSearch(NEVER_GOOD, steps=(BAD_STEP,)), {}, 3),
        (LimitSearch(NOT_RECOVERED, steps=(GOOD_STEP, BAD_STEP)), {}, 3),
        (LimitSearch(FOUND, steps=(GOOD_STEP, BAD_STEP)), {"valid": False}, 4),
        (LimitSearch(FOUND, steps=(GOOD_STEP, BAD_STEP)), {"rules": ("failed", "passed")}, 3),
        (LimitSearch(FOUND, steps=(GOOD_STEP, BAD_STEP)), {"rules": ("no_data",)}, 0),
        (LimitSearch(FOUND, steps=(GOOD_STEP, BAD_STEP)), {"figures": ("worse",)}, 5),
        (LimitSearch(FOUND, steps=(GOOD_STEP, BAD_STEP)), {"figures": ("same",)}, 0),
    ],
)
def test_a_search_is_good_if_it_has_an_answer_whatever_its_steps_have_broken(
    search: LimitSearch, more: dict[str, Any], code: int
) -> None:
    snapshot = replace(run(**more), search=search)
    assert exit_code(snapshot, has_raised=False, has_errors=True) == code
    assert exit_code(snapshot, has_raised=True, has_errors=True) == 2


@pytest.mark.parametrize(
    ("search", "more", "code"),
    [
        (
            LimitSearch(FOUND, steps=(GOOD_STEP, BAD_STEP)),
            {},
            None,
        ),  # Locust's own: 1, or what --exit-code-on-error says
        (LimitSearch(FOUND, steps=(GOOD_STEP, BAD_STEP)), {"rules": ("passed",)}, 0),
        (LimitSearch(FOUND, steps=(GOOD_STEP, BAD_STEP)), {"rules": ("failed",)}, 3),
        (LimitSearch(NEVER_GOOD, steps=(BAD_STEP,)), {}, 3),
        (LimitSearch(INTERRUPTED, steps=(GOOD_STEP,)), {}, 4),
    ],
)
def test_exceptions_of_the_locustfile_are_errors_of_a_search_too(
    search: LimitSearch, more: dict[str, Any], code: int | None
) -> None:
    snapshot = run(**more)
    snapshot = replace(snapshot, search=search, run=replace(snapshot.run, exceptions=2))
    assert exit_code(snapshot, has_raised=False, has_errors=True) == code


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
