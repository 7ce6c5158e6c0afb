"""The monitor channel, row by row of the contract."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest

from tests.refserver.conftest import Server, Talk

PATH = "/api/v1/ws/monitor/m1"


def _start(talk: Talk, sample_rate: float = 0.05, **config: Any) -> tuple[list[str], dict[str, Any]]:
    """The types up to the reply, and the reply."""
    talk.send({"type": "start_monitoring", "config": {"sample_rate": sample_rate, **config}})
    types = []
    while True:
        message = talk.receive()
        types.append(message["type"])
        if message["type"] == "monitoring_started":
            return types, message


def test_there_is_no_greeting_and_a_ping_is_answered(server: Server) -> None:
    with server.connect(PATH) as talk:
        pong = talk.ask({"type": "ping"})
    assert pong["type"] == "pong"
    assert abs(pong["timestamp"] - time.time()) < 5


def test_updates_flow_at_the_rate_and_the_first_one_may_precede_the_reply(server: Server) -> None:
    orders = set()
    for _ in range(2):
        with server.connect(PATH) as talk:
            types, started = _start(talk, metrics=["connections"], buffer_size=7)
            orders.add(tuple(types))
            assert started["config"]["sample_rate"] == 0.05
            assert started["config"]["buffer_size"] == 7
            updates = [talk.receive() for _ in range(4)]
        assert {u["session_id"] for u in updates} == {started["session_id"]}
        assert updates[0].keys() == {"type", "session_id", "timestamp", "metrics", "counters"}
        assert updates[0]["metrics"] == {"connections": 1.0}
        gaps = [b["timestamp"] - a["timestamp"] for a, b in pairwise(updates[1:])]
        assert all(0.03 < gap < 0.5 for gap in gaps)
    assert orders == {("monitoring_started",), ("metrics_update", "monitoring_started")}


def test_a_stop_ends_the_stream(server: Server) -> None:
    with server.connect(PATH) as talk:
        _, started = _start(talk)
        talk.send({"type": "stop_monitoring"})
        while (message := talk.receive())["type"] == "metrics_update":
            pass
        assert message == {"type": "monitoring_stopped", "session_id": started["session_id"]}
        with pytest.raises(TimeoutError):
            talk.receive(timeout=0.15)
        again = talk.ask({"type": "stop_monitoring"})
        assert again["type"] == "error"
        assert "code" not in again


def test_a_second_start_doubles_the_stream(server: Server) -> None:
    with server.connect(PATH) as talk:
        _, first = _start(talk)
        _, second = _start(talk)
        sessions = {talk.receive()["session_id"] for _ in range(6)}
    assert sessions == {first["session_id"], second["session_id"]}


def test_a_summary_tells_five_figures(server: Server) -> None:
    with server.connect(PATH) as talk:
        asked = {"type": "get_summary", "metric_type": "memory_bytes", "duration": 60}
        talk.ask(asked)
        reply = talk.ask(asked)
        assert (reply["type"], reply["metric_type"]) == ("metric_summary", "memory_bytes")
        summary = reply["summary"]
        assert summary["count"] >= 2
        assert summary["min"] <= summary["mean"] <= summary["max"]
        assert summary["latest"] > 1_000_000
        nothing = talk.ask({"type": "get_summary", "metric_type": "none", "duration": 1})["summary"]
        assert nothing == {"count": 0, "mean": None, "min": None, "max": None, "latest": None}


def test_everything_else_is_never_answered(server: Server) -> None:
    with server.connect(PATH) as talk:
        for kind in ("update_monitoring", "subscribe", "heartbeat", "no_such_type"):
            talk.send({"type": kind})
        talk.send({"no": "type"})
        assert talk.ask({"type": "ping"})["type"] == "pong"
    counters = server.counters()
    assert (counters["messages_received"], counters["answered"]) == (6, 1)


@pytest.mark.parametrize("message", ["nope", {"type": "start_monitoring", "config": {"sample_rate": 0}}])
def test_errors_have_no_code(server: Server, message: Any) -> None:
    with server.connect(PATH) as talk:
        assert talk.ask(message).keys() == {"type", "message"}
