"""`junit.xml`: the rules and the comparison as test cases, in the form that Jenkins, GitLab and GitHub actions read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

from locust_ext.model import Check, ComparedFigure, Snapshot
from locust_ext.model.search import NOT_RECOVERED
from locust_ext.outputs.search_text import answer, is_answered, search_of
from locust_ext.outputs.text import change_text, shown
from locust_ext.outputs.verdict import verdict


def junit_xml(snapshot: Snapshot) -> str:
    """Suites: the run (is it valid, did it do anything), the search for the limit, the rules, the operations against
    the baseline; of the last three those that there were.

    A rule without data and a figure with too few samples are `skipped`: neither passed nor failed. A rule that warned
    has passed, with the warning as its output. A search has passed if some load is sustained, with its answer as output.
    """
    return junit_of([("", snapshot)])


def junit_of(runs: Sequence[tuple[str, Snapshot]]) -> str:
    """The same of several runs in one file; their suites bear the runs' names, where those are not empty."""
    root = ElementTree.Element("testsuites", name="locust-ext")
    for name, snapshot in runs:
        _add(root, snapshot, "run", name, [_run_case(snapshot)])
        if (search := search_of(snapshot)) is not None:
            is_good = is_answered(search) and search.outcome != NOT_RECOVERED
            _add(root, snapshot, "search", name, [("the limit", "passed" if is_good else "failed", answer(search))])
        if snapshot.rules:
            _add(root, snapshot, "rules", name, [(rule.name, rule.outcome, _told(rule)) for rule in snapshot.rules])
        if snapshot.comparison is not None:
            _add(root, snapshot, "baseline", name, list(_compared(snapshot.comparison.figures)))
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _told(rule: Check) -> str:
    """Value and limit, and what came of it."""
    measured = f"{rule.value or 'no value'}, limit {rule.limit}" if rule.limit else rule.value
    return ": ".join(part for part in (measured, rule.text) if part)


def _run_case(snapshot: Snapshot) -> tuple[str, str, str]:
    is_good = snapshot.run.valid and snapshot.finished > 0
    return "the measurement is valid", "passed" if is_good else "failed", verdict(snapshot)


def _compared(figures: tuple[ComparedFigure, ...]) -> Iterator[tuple[str, str, str]]:
    """A case for each operation: failed if one of its figures is worse, skipped if none could be judged."""
    by_operation: dict[str, list[ComparedFigure]] = {}
    for figure in figures:
        by_operation.setdefault(figure.operation, []).append(figure)
    for operation, of_it in by_operation.items():
        worse = [figure for figure in of_it if figure.outcome == "worse"]
        judged = [figure for figure in of_it if figure.outcome != "no_data"]
        outcome = "failed" if worse else "passed" if judged else "no_data"
        text = "; ".join(f"{each.figure} {each.before:.4g} -> {each.after:.4g} ({change_text(each)})" for each in worse)
        yield operation or "all operations", outcome, text


def _add(root: ElementTree.Element, snapshot: Snapshot, name: str, run: str, cases: list[tuple[str, str, str]]) -> None:
    outcomes = [outcome for _, outcome, _ in cases]
    suite = ElementTree.SubElement(
        root,
        "testsuite",
        name=f"{name} {shown(run, 100)}" if run else name,
        tests=str(len(cases)),
        failures=str(outcomes.count("failed")),
        skipped=str(outcomes.count("no_data")),
        errors="0",
        time=f"{snapshot.run.duration_s:.3f}" if name == "run" else "0",
    )
    if snapshot.run.started_at:
        suite.set("timestamp", snapshot.run.started_at.split("+")[0].removesuffix("Z"))
    for title, outcome, text in cases:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"locust-ext.{name}", name=shown(title, 200), time="0"
        )
        if outcome == "failed":
            failure = ElementTree.SubElement(case, "failure", message=shown(text, 500), type=name)
            failure.text = shown(text, 2000)
        elif outcome == "no_data":
            ElementTree.SubElement(case, "skipped", message=shown(text, 500) or "no data")
        elif name == "search":
            ElementTree.SubElement(case, "system-out").text = shown(text, 2000)
        elif outcome == "warned":
            ElementTree.SubElement(case, "system-out").text = f"warning: {shown(text, 2000)}"
