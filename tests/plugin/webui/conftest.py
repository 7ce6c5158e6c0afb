"""Locust's web UI in the process of the tests."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True)
def _no_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Locust's web UI reads the command line, which here is that of pytest."""
    monkeypatch.setattr(sys, "argv", ["locust"])
