"""What holds for every entry of GENERATORS."""

from __future__ import annotations

import random
from typing import Any

import pytest

from locust_ext.core.messages import GENERATORS, BoundGenerator, Message, bind
from tests.core.messages.contract import Judge

EXAMPLES: dict[str, tuple[Any, ...]] = {
    "template": ({"type": "ping", "reply": "pong", "id": "{uuid}", "n": "{seq}"},),
    "replay": (
        [
            {"t": 0, "dir": "send", "data": {"type": "ping", "id": "0b0f6a4e-1111-4222-8333-444455556666"}},
            {"t": 0, "dir": "receive", "data": {"type": "pong"}},
        ],
    ),
    "custom": (lambda rng: {"type": "ping", "n": rng.random()},),
}

every_generator = pytest.mark.parametrize("name", list(GENERATORS))


def bound(name: str, seed: int = 5) -> BoundGenerator:
    return bind(GENERATORS[name](*EXAMPLES.get(name, ())), random.Random(seed), "user-1")


@every_generator
def test_a_thousand_messages_fit_the_contract(name: str) -> None:
    generator, judge = bound(name), Judge()
    for _ in range(1000):
        message = generator.generate()
        if name in EXAMPLES:  # its replies are the author's matter
            message.reply = ("pong",)
        judge.accepts(message)


@every_generator
def test_after_a_reconnect_nothing_is_taken_for_granted(name: str) -> None:
    generator, judge = bound(name), Judge()
    chance = random.Random(1)
    for _ in range(1000):
        if chance.random() < 0.1:
            generator.disconnected()
            judge = Judge()
        message = generator.generate()
        if name in EXAMPLES:
            message.reply = ("pong",)
        judge.accepts(message)


@every_generator
def test_the_same_seed_gives_the_same_messages_and_another_seed_others(name: str) -> None:
    first, second, other = (
        [generator.generate().body for _ in range(300)] for generator in map(bound, (name, name, name), (1, 1, 2))
    )
    assert first == second
    if name not in ("ping", "heartbeat"):
        assert first != other


@every_generator
def test_no_message_shares_its_body_with_another(name: str) -> None:
    generator = bound(name)
    for _ in range(200):
        message = generator.generate()
        spoil(message)
    fresh = bound(name)
    for _ in range(200):
        assert "spoilt" not in str(fresh.generate().body)
        assert "spoilt" not in str(generator.generate().body)


def spoil(message: Message) -> None:
    """Write into every object and list of the body, as a correlation or a hook may."""
    open_ends = [message.body]
    while open_ends:
        one: Any = open_ends.pop()
        if isinstance(one, dict):
            open_ends += one.values()
            one["id"] = "spoilt"
        elif isinstance(one, list):
            open_ends += one
            one.append("spoilt")
