"""`messages.channels`: where a generator's messages will go, told before there are any."""

from __future__ import annotations

import random
from typing import Any

import pytest

from locust_ext.core.messages import (
    GENERATORS,
    ContextOps,
    Custom,
    InTurn,
    Mixed,
    Monitoring,
    Realistic,
    Template,
    bind,
)
from locust_ext.core.messages.channels import channels_of, check_channels
from locust_ext.errors import ConfigError


@pytest.mark.parametrize(
    ("generator", "channels"),
    [
        (None, set()),
        ("ping", {None}),
        ("monitoring", {"monitor"}),
        (Monitoring, {"monitor"}),
        ("context_ops", {"http"}),
        (ContextOps(live=True), {"http", "live"}),
        (ContextOps(live=True, reads=1), {"http"}),
        ({"ping": 1, "context_ops": 2, "monitoring": 0}, {None, "http"}),
        (Mixed({Monitoring(): 1, lambda: "x": 1}), {"monitor"}),
        (InTurn(["ping", ContextOps(reads=0, live=True), "monitoring"]), {None, "http", "live", "monitor"}),
        ("realistic", {None, "monitor"}),
        (Realistic(monitors=False, mix={"ping": 1}), {None}),
        (Realistic(monitors=False), {None, "monitor"}),
        (Template([{"type": "a"}, {"body": {"type": "b"}, "channel": "live"}]), {None, "live"}),
        (Custom("monitoring"), {"monitor"}),
        (Custom(lambda: "x"), set()),
        (lambda: "x", set()),
        (Template, set()),
    ],
)
def test_the_channels_of_a_generator(generator: Any, channels: set[str | None]) -> None:
    assert channels_of(generator) == channels


@pytest.mark.parametrize("name", sorted(set(GENERATORS) - {"template", "replay", "custom"}))
def test_what_is_told_is_what_is_generated(name: str) -> None:
    """Every generator of the table that has defaults, over 2,000 messages."""
    bound = bind(name, random.Random(5), "user")
    assert {bound.generate().channel for _ in range(2000)} == channels_of(name)


def test_a_channel_that_the_user_lacks_is_named() -> None:
    check_channels("monitoring", frozenset({"monitor"}), "Crowd")
    with pytest.raises(ConfigError) as caught:
        check_channels("monitoring", frozenset({None, "agent"}), "Crowd")
    assert str(caught.value) == (
        "Crowd.generator: expected a generator whose messages go to a channel that Crowd has (agent, the main one), "
        "and not to: monitor (got 'monitoring')"
    )
