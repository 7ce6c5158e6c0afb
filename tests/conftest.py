"""What all tests have in common: Locust is imported before anything else, because it monkey-patches the process.

A test may be skipped where a tool is not installed, with a reason that starts with "needs ". With
``LOCUST_EXT_NO_SKIPS=1`` (set by ``.ci/run``) such a skip is a failure: there every tool is installed.
"""

from __future__ import annotations

import locust  # noqa: F401 – monkey-patches, before a test imports socket, ssl or websocket

import os
import signal
from collections.abc import Generator
from typing import Any

import hypothesis
import pytest

from locust_ext.masking import forget_hidden

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # As a shell starts a command in its background. The processes that the tests start would inherit it, and ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup's

# Half of hypothesis' own number, where a test does not say its own: all tests have a budget of time. A busy machine is no bug.
hypothesis.settings.register_profile("short", max_examples=50, deadline=None)
hypothesis.settings.load_profile("short")

NO_SKIPS = os.environ.get("LOCUST_EXT_NO_SKIPS") == "1"


def _fail_if_skipped_for_a_need(report: pytest.TestReport | pytest.CollectReport) -> None:
    if NO_SKIPS and report.skipped and isinstance(report.longrepr, tuple):
        path, line, reason = report.longrepr
        reason = reason.removeprefix("Skipped: ")
        if reason.startswith("needs "):
            report.outcome = "failed"
            report.longrepr = f"{path}:{line}: skipped although LOCUST_EXT_NO_SKIPS=1: {reason}"


@pytest.fixture(autouse=True)
def _nothing_hidden() -> Generator[None]:
    """What one test fills in for ``${NAME}`` is hidden in the errors of the process: not in those of the next test."""
    yield
    forget_hidden()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_if_skipped_for_a_need(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_if_skipped_for_a_need(report)
    return report
