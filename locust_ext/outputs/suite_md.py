"""`suite.md`: the scenarios of a suite as Markdown that fits a CI job's summary."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from locust_ext.model import Check
from locust_ext.model.suite import ScenarioResult, SuiteResult
from locust_ext.outputs.suite_text import headline, row, sentence
from locust_ext.outputs.summary_md import escaped
from locust_ext.outputs.text import count_text

MAX_RULES: Final = 20
"""Failed rules that are listed of one scenario."""
_HEADER: Final = ("scenario", "operations", "per s", "p95 ms", "failed", "rules", "verdict", "exit code", "seconds")


def suite_md(suite: SuiteResult) -> str:
    """The outcome, a row for each scenario, limits that were found, and what failed with its rules, values and limits."""
    lines = [f"## {escaped(suite.name)}: {escaped(headline(suite), 200)} (exit code {suite.exit_code})", ""]
    lines += [_row(_HEADER), "|---|" + "--:|" * 5 + "---|--:|--:|"]
    lines += (_row((*row(each), _seconds(each))) for each in suite.scenarios)
    limits = [each for each in suite.scenarios if each.is_search and each.has_passed]
    if limits:
        lines += ["", "### Limits", ""]
        lines += (f"- **{escaped(each.name)}**: {escaped(sentence(each), 600)}" for each in limits)
    if suite.failed:
        lines += ["", "### What failed", ""]
        for each in suite.failed:
            lines += _failed(each)
    return "\n".join(lines) + "\n"


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(map(escaped, cells))} |"


def _seconds(result: ScenarioResult) -> str:
    return "-" if result.exit_code is None else f"{result.took_s:.1f}"


def _failed(result: ScenarioResult) -> Iterator[str]:
    where = f", in {escaped(result.folder, 200)}" if result.folder else ""
    yield f"- **{escaped(result.name)}**{where}: {escaped(sentence(result), 600)}"
    rules = [rule for rule in result.snapshot.rules if rule.outcome == "failed"] if result.snapshot is not None else []
    for rule in rules[:MAX_RULES]:
        yield f"    - {escaped(rule.name)}: {escaped(_measured(rule), 300)}"
    if len(rules) > MAX_RULES:
        yield f"    - and {count_text(len(rules) - MAX_RULES, 'rule')} more"


def _measured(rule: Check) -> str:
    known = [rule.value or "no value"] + ([f"limit {rule.limit}"] if rule.limit else [])
    return "; ".join([", ".join(known), *([rule.text] if rule.text else [])])
