"""`junit.xml` of a suite: a testsuite for each scenario, with the cases of the scenario's own ``junit.xml``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from xml.etree import ElementTree

from locust_ext.model.suite import (
    NOT_VALID,
    PASSED,
    REGRESSION,
    RULE_FAILED,
    SKIPPED,
    ScenarioResult,
    SuiteResult,
)
from locust_ext.outputs.junit import junit_xml
from locust_ext.outputs.suite_text import sentence
from locust_ext.outputs.text import shown

_TOLD_BY_ANOTHER_CASE: Final = (NOT_VALID, RULE_FAILED, REGRESSION)


def suite_junit(suite: SuiteResult) -> str:
    """The first case of each testsuite is the process itself: did it end in order, with an exit code that says so?

    It has also failed where the exit code tells of something that no other case shows. A scenario that never ran is a
    skipped case.
    """
    root = ElementTree.Element("testsuites", name=shown(suite.name, 100))
    for result in suite.scenarios:
        root.append(_testsuite(result))
    _count(root, root)
    root.set("time", f"{suite.took_s:.3f}")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _testsuite(result: ScenarioResult) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", name=shown(result.name, 100), time=f"{result.took_s:.3f}")
    if result.started_at:
        suite.set("timestamp", result.started_at.split("+")[0].removesuffix("Z"))
    cases = list(_own_cases(result))
    has_failures = any(case.find("failure") is not None for case in cases)
    suite.append(_process(result, has_failures))
    suite.extend(cases)
    _count(suite, (suite,))
    return suite


def _own_cases(result: ScenarioResult) -> Iterable[ElementTree.Element]:
    """Of the run, its rules and its comparison, as its own report has them."""
    if result.snapshot is None:
        return
    for suite in ElementTree.fromstring(junit_xml(result.snapshot)):
        yield from suite.iter("testcase")


def _process(result: ScenarioResult, has_failures: bool) -> ElementTree.Element:
    case = ElementTree.Element(
        "testcase", classname="locust-ext.suite", name="the scenario ends in order", time=f"{result.took_s:.3f}"
    )
    text = shown(sentence(result), 500)
    if result.outcome == SKIPPED:
        ElementTree.SubElement(case, "skipped", message=text)
    elif result.outcome != PASSED and not (has_failures and result.outcome in _TOLD_BY_ANOTHER_CASE):
        failure = ElementTree.SubElement(case, "failure", message=text, type=result.outcome)
        failure.text = f"exit code {result.exit_code}: {text}"
    return case


def _count(element: ElementTree.Element, suites: Iterable[ElementTree.Element]) -> None:
    cases = [case for suite in suites for case in suite.iter("testcase")]
    element.set("tests", str(len(cases)))
    for count, mark in (("failures", "failure"), ("skipped", "skipped")):
        element.set(count, str(sum(case.find(mark) is not None for case in cases)))
    element.set("errors", "0")
