"""What was asked of a run, and the run beside a baseline; a part of the model (`locust_ext.model`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was asked of the run: a rule, and what came of it."""

    name: str
    outcome: str
    """`passed`, `warned`, `failed` or `no_data`."""
    text: str = ""
    """What was measured against what was asked, and when it was broken."""
    value: str = ""
    """Over the whole run, with its unit; empty where there was none."""
    limit: str = ""
    """What was asked, with its unit: `warning > 100 ms, critical > 500 ms`."""


@dataclass(frozen=True, slots=True)
class ComparedFigure:
    """One figure of this run beside the same of the baseline."""

    operation: str
    """Type and name; empty for the run as a whole."""
    figure: str
    """With its unit: `p95_ms`, `error_rate`, `per_second`."""
    before: float | None
    after: float | None
    outcome: str
    """`same`, `worse`, `better` or `no_data` (too few samples, or not in both runs)."""
    p_value: float | None = None
    """How likely a difference as large is if nothing changed."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """This run against a baseline."""

    baseline: str
    """Name of the baseline: its run id."""
    figures: tuple[ComparedFigure, ...]
    tolerance: float
    """Relative change, 0 to 1, that does not count."""
    caveats: tuple[str, ...] = ()
    """Why the two runs may not be comparable."""
    baseline_valid: bool = True
    """Whether the baseline was a valid measurement."""

    @property
    def judged(self) -> tuple[ComparedFigure, ...]:
        """The figures that both runs have enough samples of."""
        return tuple(figure for figure in self.figures if figure.outcome != "no_data")

    @property
    def is_conclusive(self) -> bool:
        """Whether it says anything: the baseline was valid, and there was something to compare."""
        return self.baseline_valid and bool(self.judged)

    @property
    def regressions(self) -> tuple[ComparedFigure, ...]:
        return tuple(figure for figure in self.figures if figure.outcome == "worse")
