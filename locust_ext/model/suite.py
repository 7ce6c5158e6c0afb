"""What several scenarios, run one after the other, came to: a `SuiteResult` with a `ScenarioResult` for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from locust_ext.model import EMPTY, NO_WORK, Distribution, LoadStep, Snapshot

PASSED: Final = "passed"
ERRORS: Final = "errors"
RAISED: Final = "raised"
RULE_FAILED: Final = "rule failed"
NOT_VALID: Final = "not valid"
REGRESSION: Final = "regression"
NO_REPORT: Final = "no report"
CRASHED: Final = "crashed"
HUNG: Final = "hung"
ENDED: Final = "ended"
SKIPPED: Final = "skipped"
OUTCOMES: Final = (
    *(PASSED, ERRORS, RAISED, RULE_FAILED, NOT_VALID, REGRESSION),
    *(NO_REPORT, CRASHED, HUNG, ENDED, SKIPPED),
)
"""Exit codes 0 to 5 of a run; one of these, but nothing was measured (wrong input, no target, …); any other end of its
process; it had to be ended, because it did not end by itself; somebody ended the suite while it ran; it never ran."""

_BY_CODE: Final = {0: PASSED, 1: ERRORS, 2: RAISED, 3: RULE_FAILED, 4: NOT_VALID, 5: REGRESSION}
SIGNALS: Final = {"SIGHUP": 129, "SIGINT": 130, "SIGTERM": 143}
"""Signals that end a suite, and its exit code then, as shells have it."""
PRECEDENCE: Final = (2, 4, 3, 5, 1)
"""Of several exit codes the one that counts, as for the codes of one run."""


def outcome_of(exit_code: int, *, has_report: bool) -> str:
    """One of `OUTCOMES` for a process that ended by itself."""
    if exit_code not in _BY_CODE:
        return CRASHED
    return _BY_CODE[exit_code] if has_report else NO_REPORT


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """One scenario of the suite: how its process ended, and what it measured."""

    name: str
    outcome: str
    """One of `OUTCOMES`."""
    exit_code: int | None = None
    """Of its process, as a shell says it (128 and the number of the signal that ended it); None: it never ran."""
    started_at: str | None = None
    """Wall clock, ISO 8601, UTC; None: it never ran."""
    took_s: float = 0.0
    """From the start of the process to its end."""
    folder: str = ""
    """Its report folder, below that of the suite."""
    because: str = ""
    """What is known beside the report: why it never ran or was ended, or the last words of a process without a report."""
    snapshot: Snapshot | None = None
    """What its ``summary.json`` holds; None: there is none."""

    @property
    def has_passed(self) -> bool:
        return self.outcome == PASSED

    @property
    def latency(self) -> Distribution:
        """Of all that was answered: messages and requests, without connects and waits for connections."""
        if self.snapshot is None:
            return EMPTY
        return EMPTY.plus(*(each.latency for each in self.snapshot.operations if each.type not in NO_WORK))

    @property
    def per_s(self) -> float | None:
        """Finished operations a second; None where nothing was measured."""
        if self.snapshot is None or not self.snapshot.run.duration_s:
            return None
        return self.snapshot.finished / self.snapshot.run.duration_s

    @property
    def rules_kept(self) -> tuple[int, int] | None:
        """Rules that passed (with a warning or without) of all of them; None: there were none."""
        if self.snapshot is None or not self.snapshot.rules:
            return None
        kept = sum(rule.outcome in ("passed", "warned") for rule in self.snapshot.rules)
        return kept, len(self.snapshot.rules)

    @property
    def is_search(self) -> bool:
        """Whether it was a search for the limit."""
        return self.snapshot is not None and self.snapshot.search is not None

    @property
    def sustained(self) -> LoadStep | None:
        """The users that were sustained, of a search for the limit."""
        return None if self.snapshot is None or self.snapshot.search is None else self.snapshot.search.sustained


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """All scenarios of a suite, in its order; those that were not asked for are left out."""

    name: str
    scenarios: tuple[ScenarioResult, ...] = ()
    started_at: str | None = None
    """Wall clock, ISO 8601, UTC."""
    took_s: float = 0.0
    ended_by: str | None = None
    """The signal that ended the suite before its time, one of `SIGNALS`; None: none did."""
    complete: bool = True
    """False: scenarios are still to come."""

    @property
    def exit_code(self) -> int:
        """That of the signal (`SIGNALS`) if one ended the suite; else the worst of the scenarios' codes (`PRECEDENCE`), 0
        if all are 0. As 2 count: a code that is none of a run's, 0 without a report, a process that had to be ended.
        """
        if self.ended_by is not None:
            return SIGNALS[self.ended_by]
        codes = {self._counted(each) for each in self.scenarios if each.exit_code is not None}
        return next((code for code in PRECEDENCE if code in codes), 0)

    @staticmethod
    def _counted(scenario: ScenarioResult) -> int:
        code = scenario.exit_code
        is_unknown = code not in _BY_CODE or (code == 0 and scenario.outcome == NO_REPORT)
        return 2 if code is None or is_unknown or scenario.outcome == HUNG else code

    @property
    def failed(self) -> tuple[ScenarioResult, ...]:
        """What ran and did not pass."""
        return tuple(each for each in self.scenarios if each.outcome not in (PASSED, SKIPPED))

    @property
    def skipped(self) -> tuple[ScenarioResult, ...]:
        return tuple(each for each in self.scenarios if each.outcome == SKIPPED)
