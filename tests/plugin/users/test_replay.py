"""Users that play a recording against a real server: what is asked is answered, and both sides count the same."""

from __future__ import annotations

from locust import constant

import json
from pathlib import Path
from typing import Any

import pytest

from locust_ext.core.lifecycle import Persistent
from locust_ext.core.messages.replay import Replay
from locust_ext.core.pacing import ClosedLoop
from locust_ext.core.protocols.correlation import ById
from locust_ext.core.protocols.websocket import WebSocketCodec
from locust_ext.errors import ConfigError
from locust_ext.plugin.users.agent import AgentUser
from locust_ext.plugin.users.socketio import FastSocketIOUser
from locust_ext.plugin.users.websocket import WebSocketUser
from locust_ext.runtime.process import shared
from locust_ext.runtime.recording import Recording
from tests.core.messages.recordings import PING, PONG, received, sent
from tests.e2e.runs import Server
from tests.peers import eventually
from tests.plugin.inside import QUICK, user_class
from tests.runtime.locusting import running

QUERY = {"type": "query", "data": {"query_type": "agent_status"}}
TALK = [
    sent(0.02, PING),
    received(0.03, PONG),
    sent(0.05, QUERY),
    received(0.06, {"type": "query_result", "query_type": "agent_status"}),
    sent(0.20, PING),
    received(0.21, PONG),
]
SOCKETIO = [
    sent(0, '420["client_register",{"type":"t","name":"ann-7"}]', protocol="socketio", client="ann-7"),
    received(0.01, "430[]"),
    sent(0.02, '42["context_set",{"key":"ann-7","value":{"n":1},"who":"ann-7"}]'),
    received(0.03, '42["context_set_confirmed",{"key":"ann-7","value":{"n":1},"status":"success"}]'),
]
PATH = "/api/v1/ws/{client_id}"


@pytest.mark.parametrize("base", [WebSocketUser, AgentUser])
def test_a_recording_ends_where_it_ended_with_every_request_answered(server: Server, base: type[Any]) -> None:
    """By the correlation that it tells of, or by the user's own; each at its time."""
    made = user_class(base, generator=Replay(TALK, loop=False), path=PATH, wait_time=constant(60))
    with running(made, server.url, count=2) as run:
        eventually(lambda: len(run.of_type("WS")) == 6)
        run.stop()
        counted = server.counters()
        opened_s = run.of_type("CONNECT")[-1].at_s
        last_s = run.of_type("WS")[-1].at_s
    assert counted["by_type"] == {"ping": 4, "query": 2}
    assert run.failures("WS", "CONNECT", "DROP") == []
    assert 0.18 <= last_s - opened_s < 1.0  # the recorded 0.2 s, less the replies' 0.02 s, and ours


def test_as_fast_as_possible_is_as_fast_as_the_replies_come(server: Server) -> None:
    """Also in a loop; one-way messages leave the others their turn."""
    made = user_class(AgentUser, generator=Replay([*TALK, sent(9, {"type": "heartbeat"})], speed=None))
    with running(made, server.url) as run:
        eventually(lambda: len(run.of_type("WS")) >= 30, within_s=5)
        run.stop()
        assert run.ledger("SEND", "heartbeat").ok >= 9
        assert run.failures("WS", "SEND") == []


def test_a_pacing_of_the_users_own_wins_over_the_recording(server: Server) -> None:
    """But not over the recording's end."""
    made = user_class(AgentUser, generator=Replay(TALK, speed=0.001, loop=False), pacing=ClosedLoop(0.01))
    with running(made, server.url) as run:
        eventually(lambda: len(run.of_type("WS")) == 3)
        assert run.user._due_s == float("inf")


def test_after_a_loss_the_recording_begins_again(server: Server) -> None:
    """On the new connection, which knows nothing of the old one."""
    lines = [sent(0, PING), received(0.01, PONG), sent(0.05, QUERY), received(0.06, {"type": "query_result"})]
    lines += [sent(0.5, {"type": "heartbeat"}), received(0.51, {"type": "heartbeat_ack"})]
    with running(user_class(AgentUser, generator=Replay(lines), pattern=QUICK), server.url) as run:
        eventually(lambda: len(run.of_type("WS")) == 2)
        server.misbehave(drop_ratio=1.0)
        eventually(lambda: run.failures("WS"))
        server.misbehave()
        eventually(lambda: len(run.of_type("WS")) >= 5 and not any(each.exception for each in run.of_type("WS")[-2:]))
        run.stop()
        told = [(each.name, each.exception is None) for each in run.of_type("WS")]
    assert told[:3] == [("ping", True), ("query", True), ("heartbeat", False)]
    assert told[told.index(("ping", True), 3) + 1] == ("query", True)
    assert ("heartbeat", True) not in told[3:5]


def test_a_socketio_recording_is_called_acked_and_confirmed(server: Server) -> None:
    """The confirming event is the recording's own discovery."""
    made = user_class(FastSocketIOUser, generator=Replay(SOCKETIO, loop=False), pattern=Persistent())
    with running(made, server.url, count=3) as run:
        eventually(lambda: len(run.of_type("SIO")) == 6)
        run.stop()
        counted = server.counters()
    assert counted["by_type"] == {"client_register": 3, "context_set": 3}
    assert run.failures("SIO", "CONNECT", "DROP") == []
    assert run.ledger("SIO", "context_set").ok == 3


def test_a_correlation_of_the_users_own_is_not_replaced() -> None:
    """Only the default gives way to the recording's; so does an empty ``confirm``."""
    replay, other = Replay(TALK), Replay(TALK)

    class Plain(WebSocketUser):
        generator = replay

    class Other(Plain):
        generator = other

    class Own(WebSocketUser):
        generator = replay
        correlate = ById("id")

    from locust.env import Environment

    found = {each: each(Environment()).profile().correlation for each in (Plain, Other, Own)}
    assert found == {Plain: replay.correlate, Other: other.correlate, Own: Own.correlate}


@pytest.mark.parametrize(("base", "lines"), [(WebSocketUser, SOCKETIO), (FastSocketIOUser, TALK)])
def test_a_recording_of_the_other_protocol_is_an_error_of_the_definition(base: type[Any], lines: Any) -> None:
    """Not of the run."""
    with pytest.raises(ConfigError, match=r"generator: expected a recording of (plain|Socket\.IO)"):
        type("Wrong", (base,), {"abstract": False, "generator": Replay(lines)})


def test_only_connections_that_are_recorded_pay_for_it(server: Server, tmp_path: Path) -> None:
    """Without a recording the codec is the plain one; with one, the file holds what both sides have counted."""
    made = user_class(AgentUser, generator=Replay(TALK, loop=False))
    with running(made, server.url) as run:
        eventually(lambda: len(run.of_type("WS")) == 3)
        assert type(run.user.ws.connection._codec) is WebSocketCodec
    process = shared()
    before = server.counters()
    process.recording = Recording(tmp_path / "c.jsonl", max_bytes=10**6, client_prefix=process.client_prefix)
    try:
        with running(made, server.url) as run:
            eventually(lambda: len(run.of_type("WS")) == 3)
    finally:
        recording, process.recording = process.recording, None
        recording.close()
    after = server.counters()
    lines = [json.loads(line) for line in (tmp_path / "c.jsonl").read_bytes().splitlines()]
    assert sum(line["dir"] == "send" for line in lines) == after["messages_received"] - before["messages_received"] == 3
    assert sum(line["dir"] == "receive" for line in lines) == after["messages_sent"] - before["messages_sent"]
    again = Replay.from_jsonl(tmp_path / "c.jsonl")
    assert again.url_path == PATH
    (steps,) = again.conversations
    assert [(step.name, step.one_way) for step in steps] == [("ping", False), ("query", False), ("ping", False)]
