"""What is asked of a run beyond its errors: the comparison with a baseline, and the exit code that follows."""

from __future__ import annotations

from locust import log
from locust.env import Environment

import os
from pathlib import Path

from locust_ext.core.accounting.compare import Tolerance
from locust_ext.core.accounting.validity import Limits
from locust_ext.errors import ConfigError
from locust_ext.model import Snapshot
from locust_ext.model.search import INTERRUPTED, NEVER_GOOD, NOT_RECOVERED
from locust_ext.outputs import read_summary
from locust_ext.settings import Settings

ERRORS, RAISED, RULE_FAILED, NOT_VALID, REGRESSION = 1, 2, 3, 4, 5
PRECEDENCE = (RAISED, NOT_VALID, RULE_FAILED, REGRESSION, ERRORS)
FAILED_SEARCHES = (NEVER_GOOD, NOT_RECOVERED)
"""Outcomes of a search for the limit that speak against the target."""


def load_baseline(path: str, told_by: str = "--ext-baseline", key: str = "") -> Snapshot:
    """The earlier run, from its ``summary.json`` or the folder that holds it. Raises `ConfigError`."""
    file = Path(path)
    if file.is_dir():
        file /= "summary.json"
    try:
        text = file.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"the file cannot be read: {os.strerror(error.errno or 0)}", source=told_by, key=key, value=path
        ) from error
    return read_summary(text, source=path)


def tolerance_of(settings: Settings) -> Tolerance:
    baseline = settings.baseline
    return Tolerance(
        baseline.tolerance,
        baseline.error_rate_tolerance,
        round(baseline.latency_tolerance_ms * 1000),
        baseline.alpha,
    )


def limits_of(settings: Settings) -> Limits:
    return Limits(settings.generator.max_loop_lag_ms, settings.generator.max_cpu_percent)


def exit_code(snapshot: Snapshot, has_raised: bool, has_errors: bool) -> int | None:
    """The code by `PRECEDENCE`; None where only Locust has something to say.

    Rules decide alone between 0 and 3: errors that they tolerate give 0. A measurement that is not valid is an error
    only where something was asked of it; so is a comparison that says nothing, and so are rules of which none had data.

    A search for the limit asks for an answer: without one the run is not valid, and failed where no load was good or
    the target did not recover. One that was interrupted has none. The errors of its steps are none of the run's, but
    exceptions of the locustfile's own code are.
    """
    search = snapshot.search
    is_asked = bool(snapshot.rules) or snapshot.comparison is not None
    is_inconclusive = snapshot.comparison is not None and not snapshot.comparison.is_conclusive
    says_nothing = is_asked and search is None and not snapshot.has_verdict
    found = {
        RAISED: has_raised,
        NOT_VALID: ((is_asked or search is not None) and not snapshot.run.valid)
        or is_inconclusive
        or says_nothing
        or (search is not None and search.outcome == INTERRUPTED)
        or (search is not None and search.sustained is None and search.outcome not in FAILED_SEARCHES),
        RULE_FAILED: any(rule.outcome == "failed" for rule in snapshot.rules)
        or (search is not None and search.outcome in FAILED_SEARCHES),
        REGRESSION: snapshot.comparison is not None and bool(snapshot.comparison.regressions),
        ERRORS: not snapshot.rules and (has_errors if search is None else snapshot.run.exceptions > 0),
    }
    code = next((code for code in PRECEDENCE if found[code]), 0)
    if code == ERRORS or (code == 0 and not snapshot.rules and search is None):
        return None  # Locust's own: see --exit-code-on-error
    return code


def decide_exit_code(environment: Environment, snapshot: Snapshot) -> None:
    """Set ``environment.process_exit_code``; a code of the locustfile's own (but 0 and 1) stays."""
    if environment.process_exit_code not in (None, 0, ERRORS):
        return
    runner = environment.runner
    has_errors = runner is not None and bool(runner.errors or runner.exceptions)
    code = exit_code(snapshot, bool(log.unhandled_greenlet_exception), has_errors)
    if code is not None and not (code == 0 and environment.process_exit_code):
        environment.process_exit_code = code
