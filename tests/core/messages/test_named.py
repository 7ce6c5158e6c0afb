"""`core.messages.named`: generators from their names and the parameters of a settings file."""

from __future__ import annotations

import random
from typing import Any

import pytest

from locust_ext.core.messages import GENERATORS, Command, Event, Mixed, Monitoring, Realistic, Template, bind
from locust_ext.core.messages.named import named
from locust_ext.errors import ConfigError


def clock() -> float:
    return 1_767_225_600.0  # 2026-01-01T00:00:00Z


@pytest.mark.parametrize("name", [name for name in GENERATORS if name not in ("template", "replay", "custom")])
def test_a_name_alone_is_the_generator_with_its_defaults(name: str) -> None:
    assert named(name, {}, clock) == GENERATORS[name]()


@pytest.mark.parametrize(
    ("name", "parameters", "made"),
    [
        ("command", {"groups": ["known"], "payload_bytes": [1, 2]}, Command(("known",), payload_bytes=(1, 2))),
        ("mixed", {"event": 2, "ping": 1}, Mixed({"event": 2, "ping": 1})),
        ("mixed", {"weights": {"event": 2}}, Mixed({"event": 2})),
        (
            "realistic",
            {"steady": [1, 2], "events": {"pings": 0}, "monitoring": {"agents": 3}},
            Realistic(steady=(1, 2), events=Event(pings=0), monitoring=Monitoring(agents=3)),
        ),
    ],
)
def test_lists_become_tuples_and_parts_generators(name: str, parameters: dict[str, Any], made: Any) -> None:
    assert named(name, parameters, clock) == made


def test_metadata_and_templates_get_the_clock() -> None:
    message = bind(named("ping", {"metadata": True}, clock), random.Random(1), "u").generate()
    assert isinstance(message.body, dict)
    assert (message.body["timestamp"], message.body["sequence"]) == ("2026-01-01T00:00:00.000Z", 1)
    template = named("template", {"templates": {"type": "x", "at": "{now}"}}, clock)
    assert isinstance(template, Template)
    assert template.now is clock


@pytest.mark.parametrize(
    ("name", "parameters", "error"),
    [
        ("pnig", {}, "unknown name, expected one of"),
        (
            "event",
            {"ping": 1},
            "ping: unknown name, expected one of event_types, pings, unsubscribes, at_once, metadata",
        ),
        ("event", {"pings": 2}, "pings: expected a share from 0 to 1 (got 2)"),
        ("realistic", {"events": {"pings": 2}}, "events.pings: expected a share from 0 to 1 (got 2)"),
        ("event", {"now": 5}, "now: unknown name"),
        ("template", {}, "file: this key is required: a file of templates, or templates"),
        ("replay", {"speed": 2}, "file: this key is required: the recording, as HAR or JSONL"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(name: str, parameters: dict[str, Any], error: str) -> None:
    with pytest.raises(ConfigError) as caught:
        named(name, parameters, clock)
    assert str(caught.value).startswith(error)
