"""What is told of a run: its name, its target, and no password."""

from __future__ import annotations

from locust.env import Environment

import pytest

from locust_ext.core.accounting.recorder import Recorder
from locust_ext.plugin.inputs import scenario_name
from locust_ext.plugin.telling import describe


@pytest.mark.parametrize(
    ("host", "told"),
    [
        (None, None),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://me:hunter2@127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("wss://me:hunt@er2@host/path", "wss://host/path"),
    ],
)
def test_a_password_in_the_target_is_not_told(host: str | None, told: str | None) -> None:
    recorder = Recorder()
    describe(recorder, Environment(host=host), None)
    assert recorder.snapshot(1.0).run.host == told


@pytest.mark.parametrize(
    ("locustfile", "config", "name"),
    [
        ("steady.py", None, "steady"),
        ("steady.py", "config/other.yaml", "steady"),
        ("scenario.py", "config/steady.yaml", "steady"),
        ("scenario.py", None, "scenario"),
        (None, "config/steady.yaml", None),
    ],
)
def test_a_run_is_named_after_the_file_that_says_what_it_is(
    locustfile: str | None, config: str | None, name: str | None
) -> None:
    assert scenario_name(Environment(locustfile=locustfile), config) == name


def test_a_name_from_the_settings_stands_before_that_of_the_locustfile() -> None:
    recorder = Recorder()
    describe(recorder, Environment(locustfile="steady.py"), 5, "nightly")
    told = recorder.snapshot(1.0).run
    assert (told.scenario, told.seed) == ("nightly", 5)
