"""`install`, at the top of a locustfile: what it adds to, and how what is wrong there is told."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from locust_ext.errors import ConfigError
from locust_ext.plugin import defaults, installing


@pytest.fixture(autouse=True)
def _as_in_a_new_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(installing, "_is_installed", True)  # it would listen to Locust's events from now on
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    defaults.forget_code()
    yield
    defaults.forget_code()


def test_settings_are_those_of_the_file_that_calls_it() -> None:
    installing.install(run={"users": 5})
    installing.install(run={"seed": 1})
    settings = defaults.layered(None)
    assert (settings.run.users, settings.run.seed) == (5, 1)
    assert settings.source.endswith("tests/plugin/test_installing.py")


def test_what_is_wrong_is_raised_where_it_is_called() -> None:
    with pytest.raises(ConfigError, match=r"test_installing\.py: run\.usres: unknown key, .* did you mean 'users'"):
        installing.install(run={"usres": 5})
    assert defaults.layered(None).run.users is None


def test_what_is_wrong_is_one_line_if_nobody_catches_it(capsys: pytest.CaptureFixture[str]) -> None:
    installing.install()
    installing.install()
    error = ConfigError("expected a number", source="x.py", key="run.users")
    sys.excepthook(ConfigError, error, None)
    assert capsys.readouterr().err == "locust-ext: error: x.py: run.users: expected a number\n"
    sys.excepthook(ValueError, ValueError("a bug"), None)
    assert capsys.readouterr().err == "ValueError: a bug\n"
