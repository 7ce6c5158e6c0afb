"""Recordings of a test's own, and what a replay makes of them."""

from __future__ import annotations

import random
from typing import Any

from locust_ext.core.messages import Message
from locust_ext.core.messages.replay import BoundReplay, Replay

Line = dict[str, Any]


def sent(t: float, data: Any, **more: Any) -> Line:
    return {"t": t, "dir": "send", "data": data, **more}


def received(t: float, data: Any, **more: Any) -> Line:
    return {"t": t, "dir": "receive", "data": data, **more}


PING, PONG = {"type": "ping"}, {"type": "pong"}
TALK = [
    received(0.1, {"type": "hello"}),
    sent(0.5, PING),
    received(0.7, PONG),
    sent(1.7, {"type": "note", "text": "by the way"}),
    sent(2.0, {"type": "query", "of": "agents"}),
    received(2.5, {"type": "query_result"}),
    sent(3.5, PING),
    received(3.6, PONG),
]


def bound(replay: Replay, seed: int = 1, client_id: str = "user-1") -> BoundReplay:
    made = replay.bind(random.Random(seed), client_id)
    assert isinstance(made, BoundReplay)
    return made


def messages(replay: Replay, count: int, client_id: str = "user-1") -> list[Message]:
    generator = bound(replay, client_id=client_id)
    return [generator.generate() for _ in range(count)]


def bodies(replay: Replay, count: int, client_id: str = "user-1") -> list[Any]:
    return [message.body for message in messages(replay, count, client_id)]
