"""`FaultPlay` and the settings of the embedded server: what strikes when, and nothing of it once the run has ended."""

from __future__ import annotations

import locust  # noqa: F401 – monkey-patches, before anything below imports a socket
from locust.env import Environment

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from time import monotonic
from typing import Any

import gevent
import pytest

from locust_ext.errors import ConfigError
from locust_ext.plugin.embedded import EmbeddedServer
from locust_ext.plugin.embedded_faults import FaultPlay
from locust_ext.refserver.faults import FaultSet, parse_faults
from locust_ext.settings import load_settings
from locust_ext.settings.embedded import EmbeddedSettings, FaultSettings

DEADLINE_S = 10.0


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = EmbeddedServer()
    try:
        yield server.start()
    finally:
        server.stop()


def in_force(url: str) -> dict[str, Any]:
    """What the server says of itself: its faults that are not neutral."""
    with urllib.request.urlopen(f"{url}/faults", timeout=5) as answer:
        said = json.load(answer)
    return {key: value for key, value in said.items() if value != getattr(FaultSet(), key)}


def becomes(url: str, wanted: dict[str, Any]) -> None:
    until_s = monotonic() + DEADLINE_S
    while in_force(url) != wanted:
        assert monotonic() < until_s, in_force(url)
        gevent.sleep(0.02)


def settings(*faults: dict[str, Any]) -> EmbeddedSettings:
    return EmbeddedSettings.model_validate({"faults": list(faults)})


def test_every_fault_of_the_server_can_be_set_and_no_other() -> None:
    assert set(FaultSettings.model_fields) - {"after_s", "for_s"} == {each.name for each in fields(FaultSet)}


def test_what_is_set_is_what_the_server_takes() -> None:
    given = {"drop_ratio": 0.5, "close_code": 1012, "refuse_upgrades": True, "stall": {"after_s": 1, "for_s": 2}}
    made = settings({"after_s": 3, **given, "seed": 4, "leak_bytes_per_message": 10})
    taken = parse_faults(made.in_force(3.0))
    assert (taken.drop_ratio, taken.close_code, taken.refuse_upgrades, taken.seed) == (0.5, 1012, True, 4)
    assert taken.stall is not None
    assert (taken.stall.after_s, taken.stall.for_s) == (1, 2)


def test_each_fault_is_in_force_in_its_time_and_the_later_of_the_list_wins() -> None:
    made = settings(
        {"latency_ms": 5}, {"after_s": 2, "for_s": 3, "latency_ms": 50, "drop_ratio": 1}, {"after_s": 4, "late_ms": 1}
    )
    assert made.changes_s == [0, 2, 4, 5]
    assert [made.in_force(at_s) for at_s in (0, 1.9, 2, 4, 5)] == [
        {"latency_ms": 5},
        {"latency_ms": 5},
        {"latency_ms": 50, "drop_ratio": 1},
        {"latency_ms": 50, "drop_ratio": 1, "late_ms": 1},
        {"latency_ms": 5, "late_ms": 1},
    ]


def test_they_begin_with_the_run_change_in_it_and_are_gone_after_it(url: str) -> None:
    """Twice: another run is as the first."""
    environment = Environment()
    play = FaultPlay(environment, settings({"latency_ms": 3}, {"after_s": 0.2, "for_s": 0.2, "drop_ratio": 1}), url)
    play.open()
    try:
        for _ in range(2):
            assert in_force(url) == {}
            environment.events.test_start.fire(environment=environment)
            assert in_force(url)["latency_ms"] == 3
            becomes(url, {"latency_ms": 3, "drop_ratio": 1})
            becomes(url, {"latency_ms": 3})
            environment.events.test_stop.fire(environment=environment)
            assert in_force(url) == {}
    finally:
        play.close()


def test_a_run_that_ends_early_has_no_faults_afterwards(url: str) -> None:
    environment = Environment()
    play = FaultPlay(environment, settings({"after_s": 0.1, "refuse_upgrades": True}), url)
    play.open()
    environment.events.test_start.fire(environment=environment)
    environment.events.test_stop.fire(environment=environment)
    play.close()
    play.close()
    gevent.sleep(0.2)  # what was planned for then does not happen
    assert in_force(url) == {}
    environment.events.test_start.fire(environment=environment)
    assert in_force(url) == {}


def test_a_server_that_is_gone_is_one_warning_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    environment = Environment()
    play = FaultPlay(environment, settings({"latency_ms": 3}), "http://127.0.0.1:1")
    play.open()
    environment.events.test_start.fire(environment=environment)
    play.close()
    said = [each.getMessage() for each in caplog.records]
    assert said == ["The embedded server could not be told its faults: ConnectionRefusedError"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{drop: 1}", "embedded.faults.drop: unknown key"),
        ("{drop_ratio: 2}", "embedded.faults.drop_ratio: expected a number of at most 1 (got 2)"),
        ("[{stall: {after_s: 1}}]", "embedded.faults[0].stall.for_s: this key is required"),
        ("[{for_s: 0}]", "embedded.faults[0].for_s: expected a number above 0 (got 0)"),
    ],
)
def test_a_wrong_fault_is_told_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "ext.yaml"
    file.write_text(f"embedded: {{faults: {text}}}\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(file)
    assert str(caught.value).startswith(f"{file}: {message}")
