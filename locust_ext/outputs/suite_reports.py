"""The files that are written of a suite, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from locust_ext.model.suite import SuiteResult
from locust_ext.outputs.suite_json import suite_json
from locust_ext.outputs.suite_junit import suite_junit
from locust_ext.outputs.suite_md import suite_md

SUITE_REPORTS: Final[dict[str, Callable[[SuiteResult], str]]] = {
    "suite.json": suite_json,
    "suite.md": suite_md,
    "junit.xml": suite_junit,
}
"""In the folder of the suite; each scenario has a report of its own in a folder below it."""
