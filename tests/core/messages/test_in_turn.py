"""`messages.InTurn`: its steps in their order, each with a memory of its own."""

from __future__ import annotations

import random
from typing import Any

import pytest

from locust_ext.core.messages import ContextOps, Event, InTurn, Monitoring, bind
from locust_ext.core.messages.named import named
from locust_ext.errors import ConfigError


def said(generator: Any, number: int) -> list[str]:
    bound = bind(generator, random.Random(5), "user-1")
    return [bound.generate().name for _ in range(number)]


def test_the_steps_follow_each_other_round_and_round() -> None:
    assert said(InTurn(["ping", "heartbeat", "query"]), 7) == [
        *("ping", "heartbeat", "query"),
        *("ping", "heartbeat", "query"),
        "ping",
    ]


def test_each_user_begins_with_the_first_step() -> None:
    generator = InTurn(["ping", "query"])
    first, second = (bind(generator, random.Random(1), name) for name in ("a", "b"))
    assert [first.generate().name, first.generate().name, second.generate().name] == ["ping", "query", "ping"]


def test_a_step_keeps_its_memory_between_its_turns_and_loses_it_with_the_connection() -> None:
    """A session is started, stopped and started; after the monitor channel has gone it is started again."""
    generator = InTurn(["ping", Monitoring(stops=1)])
    bound = bind(generator, random.Random(5), "user-1")
    names = [bound.generate().name for _ in range(6)]
    assert names == ["ping", "start_monitoring", "ping", "stop_monitoring", "ping", "start_monitoring"]
    bound.disconnected("monitor")
    assert [bound.generate().name for _ in range(2)] == ["ping", "start_monitoring"]


def test_http_and_live_events_take_turns() -> None:
    generator = InTurn([ContextOps(reads=1), ContextOps(reads=0, live=True)])
    bound = bind(generator, random.Random(5), "user-1")
    assert [bound.generate().channel for _ in range(4)] == ["http", "live", "http", "live"]


def test_metadata_is_numbered_over_all_steps() -> None:
    bound = bind(InTurn(["ping", "query"], metadata=True, now=lambda: 0.0), random.Random(5), "user-1")
    bodies = [bound.generate().body for _ in range(3)]
    assert [body["sequence"] for body in bodies if isinstance(body, dict)] == [1, 2, 3]


def test_a_settings_file_gives_names_or_names_over_parameters() -> None:
    made = named("in_turn", {"steps": ["ping", {"event": {"pings": 0, "at_once": 1}}]}, lambda: 0.0)
    assert made.steps[1] == Event(pings=0, at_once=1)
    assert said(made, 2) == ["ping", "subscribe"]


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        (["ping", "qury"], "steps[1]: unknown name"),
        ([{"event": {"ping": 0}}], "steps[0].event.ping: unknown name"),
        ([{"event": {"pings": 2}}], "steps[0].event.pings: expected a share from 0 to 1"),
        ([{"event": {}, "ping": {}}], "steps[0]: expected a name, or a mapping with one name over its parameters"),
        ([["ping"]], "steps[0]: expected a name, or a mapping with one name over its parameters"),
        ([], "steps: expected a list of generators"),
        ("ping", "steps: expected a list of generators"),
    ],
)
def test_a_wrong_step_is_named_by_its_place(steps: Any, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        named("in_turn", {"steps": steps}, lambda: 0.0)
    assert str(caught.value).startswith(text)


def test_a_wrong_step_in_code_is_named_too() -> None:
    with pytest.raises(ConfigError) as caught:
        InTurn(["ping", "pong"])
    assert str(caught.value).startswith("steps[1]: unknown name")
    assert caught.value.nearest == "ping"
