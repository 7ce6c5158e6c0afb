"""Reports: pure functions of a `Snapshot` that give text. Writing it somewhere is the caller's business.

To add one: a file here, and a line in `REPORTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Final

from locust_ext.model import Snapshot
from locust_ext.outputs.console import console
from locust_ext.outputs.junit import junit_xml
from locust_ext.outputs.read import read_summary
from locust_ext.outputs.resources_csv import resources_csv
from locust_ext.outputs.search_svg import limit_svg
from locust_ext.outputs.summary_json import summary_json
from locust_ext.outputs.summary_md import summary_md
from locust_ext.outputs.timeline_csv import timeline_csv
from locust_ext.outputs.verdict import verdict

Report = Callable[[Snapshot], str]
"""Gives the file's text; an empty one where the report does not apply to the run: no such file is written then."""

REPORTS: Final[dict[str, Report]] = {
    "summary.json": summary_json,
    "summary.md": summary_md,
    "timeline.csv": timeline_csv,
    "resources.csv": resources_csv,
    "junit.xml": junit_xml,
    "limit.svg": limit_svg,
}
"""File name in the report folder -> the function that gives its text (UTF-8)."""


def texts_of(snapshot: Snapshot, names: Container[str] = REPORTS) -> dict[str, str]:
    """File name -> text of the reports that apply to this run; of those in ``names``, or of all."""
    return {name: text for name, render in REPORTS.items() if name in names and (text := render(snapshot))}


__all__ = ["REPORTS", "Report", "console", "read_summary", "texts_of", "verdict"]
