"""A suite of scenarios as text for a terminal: a line when one begins or ends, and the table of all at the end."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from locust_ext.model.suite import ENDED, PASSED, RAISED, SKIPPED, ScenarioResult, SuiteResult
from locust_ext.outputs.text import count_text, ms_text, shown
from locust_ext.outputs.verdict import GOOD, verdict

WIDTH: Final = 80
"""Columns of the table; the names are cut so that it fits."""
LEAST_NAME: Final = 12
_HEADER: Final = ("Scenario", "ops", "per s", "p95 ms", "failed", "rules", "verdict", "code")
_RAISED: Final = "the locustfile or a listener raised: see locust.log"


def sentence(result: ScenarioResult) -> str:
    """What one scenario came to, in one line."""
    known = [result.because] if result.because else []
    if result.outcome == RAISED and (result.snapshot is None or not result.snapshot.run.exceptions):
        known.append(_RAISED)
    if result.snapshot is not None:
        told = verdict(result.snapshot)
        known.append(told if result.has_passed else told.removeprefix(GOOD))
    return "; ".join(known) or (f"exit code {result.exit_code}" if result.exit_code is not None else result.outcome)


def row(result: ScenarioResult) -> tuple[str, ...]:
    """The cells of its row: finished operations, their rate, p95 in ms, failures, rules kept, outcome, exit code."""
    snapshot, kept = result.snapshot, result.rules_kept
    return (
        result.name,
        "-" if snapshot is None else f"{snapshot.finished:,}",
        rate_cell(result.per_s),
        ms_text(result.latency.percentile_us(95)).removesuffix(" ms"),
        "-" if snapshot is None else f"{snapshot.failures:,}",
        "-" if kept is None else f"{kept[0]}/{kept[1]}",
        result.outcome,
        "-" if result.exit_code is None else f"{result.exit_code}",
    )


def rate_cell(per_s: float | None) -> str:
    """A rate without its unit, or `-`."""
    if per_s is None:
        return "-"
    return f"{per_s:,.0f}" if per_s >= 100 else f"{per_s:.1f}"


def table(results: Sequence[ScenarioResult], width: int = WIDTH) -> str:
    """A line for each scenario below a header, in at most ``width`` columns."""
    rows = [_HEADER, *map(row, results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    room = width - sum(widths[1:]) - 2 * (len(widths) - 1)
    widths[0] = max(min(widths[0], room), LEAST_NAME)
    last_left = len(widths) - 2  # the verdict is a word: it stands to the left

    def line(cells: Sequence[str]) -> str:
        aligned = [
            f"{shown(cell, size):<{size}}" if number in (0, last_left) else f"{cell:>{size}}"
            for number, (cell, size) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(aligned).rstrip() + "\n"

    return "".join(map(line, rows))


def headline(suite: SuiteResult) -> str:
    """How many passed, in a few words."""
    ran = len(suite.scenarios) - len(suite.skipped)
    passed = ran - len(suite.failed)
    counted = f"{passed} of {count_text(ran, 'scenario')} passed" if ran else "no scenario ran"
    return f"{counted}, {len(suite.skipped)} skipped" if suite.skipped else counted


def suite_console(suite: SuiteResult, width: int = WIDTH) -> str:
    """The table; what the scenarios that failed came to, and those that searched for a limit; the outcome of all."""
    title = f"-- locust-ext suite {shown(suite.name, 40)} "
    lines = [f"{title:-<{width}}\n", table(suite.scenarios, width)]
    lines += _remarks(suite, width)
    lines.append(f"{headline(suite)} in {suite.took_s:.0f} s: exit code {suite.exit_code}\n")
    lines.append("-" * width + "\n")
    return "".join(lines)


def _remarks(suite: SuiteResult, width: int) -> Iterator[str]:
    told = [each for each in suite.scenarios if each.is_search or each in suite.failed]
    said = [f"{shown(result.name)}: {shown(sentence(result), 400)}" for result in told]
    if suite.skipped:
        said.append(f"skipped: {', '.join(shown(each.name) for each in suite.skipped)}")
    for text in said:
        yield textwrap.fill(text, width, subsequent_indent="  ", break_on_hyphens=False) + "\n"


def begun_line(number: int, of: int, name: str, run_s: float | None) -> str:
    """``run_s``: how long it is going to load at most, where that is known."""
    lasts = f" for up to {run_s:g} s" if run_s is not None else ""
    return f"{_numbered(number, of)} {shown(name)} runs{lasts} …\n"


def ended_line(number: int, of: int, result: ScenarioResult, folder: str) -> str:
    """Name, outcome, duration, exit code and the verdict; of what did not pass also where its log is, below ``folder``."""
    where = _numbered(number, of)
    if result.outcome == SKIPPED:
        return f"{where} {shown(result.name)} skipped: {shown(result.because, 200)}\n"
    outcome = result.outcome if result.outcome in (PASSED, ENDED) else result.outcome.upper()
    code = "" if result.outcome == PASSED else f" (exit code {result.exit_code})"
    told = f"{where} {shown(result.name)} {outcome} in {result.took_s:.1f} s{code}: {shown(sentence(result), 400)}\n"
    if result.outcome != PASSED:
        told += f"{' ' * len(where)} see {folder}/{result.folder}/locust.log\n"
    return told


def _numbered(number: int, of: int) -> str:
    return f"{number:>{len(str(of))}}/{of}"
