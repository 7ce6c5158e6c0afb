"""The agent channel, row by row of the contract."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from locust_ext.refserver.tokens import DEV_TOKEN, sign
from tests.refserver.conftest import Server, eventually

PATH = "/api/v1/ws/"
SECRET = "s3cret"


def test_the_greeting_of_an_open_server(server: Server) -> None:
    with server.connect(PATH + "greeted?token=whatever") as talk:
        greeting = talk.receive()
    datetime.fromisoformat(greeting.pop("timestamp"))
    assert greeting == {
        "type": "connection_established",
        "client_id": "greeted",
        "authenticated": False,
        "user": None,
        "role": "anonymous",
    }


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"type": "ping", "id": 7, "sequence": 1, "timestamp": "t"}, {"type": "pong"}),
        ({"type": "heartbeat"}, {"type": "heartbeat_ack"}),
        (
            {"type": "subscribe", "event_types": ["agent:a", "b b", "w:x-1_", "", 5, "ä"]},
            {"type": "subscription_confirmed", "event_types": ["agent:a", "w:x-1_"]},
        ),
        (
            {"type": "unsubscribe", "event_types": ["b b", "never"]},
            {"type": "unsubscription_confirmed", "event_types": ["b b", "never"]},
        ),
        *(
            (
                {"type": "agent_command", "data": {"agent_id": "a-1_B", "command": command, "params": {}}},
                {"type": "agent_command_result", "agent_id": "a-1_B", "command": command, "status": "acknowledged"},
            )
            for command in ("start", "stop", "restart", "status", "update", "create", "delete")
        ),
        (
            {"type": "agent_command", "data": {"agent_id": "a", "command": "dance"}},
            {"type": "error", "code": "INVALID_COMMAND"},
        ),
        (
            {"type": "agent_command", "data": {"agent_id": "a b", "command": "start"}},
            {"type": "error", "code": "INVALID_AGENT_ID"},
        ),
        ({"type": "agent_command"}, {"type": "error", "code": "INVALID_COMMAND"}),
        ({"type": "no_such_type"}, {"type": "error", "code": "UNKNOWN_MESSAGE_TYPE"}),
        ("nope", {"type": "error", "code": "INVALID_JSON"}),
        (b'{"type":"ping"}', {"type": "error", "code": "INVALID_JSON"}),
        ("null", {"type": "error", "code": "VALIDATION_ERROR"}),
        ("[]", {"type": "error", "code": "VALIDATION_ERROR"}),
        ({}, {"type": "error", "code": "VALIDATION_ERROR"}),
        ({"type": "1x"}, {"type": "error", "code": "VALIDATION_ERROR"}),
        ({"type": "ping\n"}, {"type": "error", "code": "VALIDATION_ERROR"}),
        ({"type": 5}, {"type": "error", "code": "VALIDATION_ERROR"}),
        ({"type": "ping", "data": []}, {"type": "error", "code": "VALIDATION_ERROR"}),
        ({"type": "ping", "data": None}, {"type": "error", "code": "VALIDATION_ERROR"}),
        ({"type": "ping", "data": {"x": "y" * 100_001}}, {"type": "error", "code": "VALIDATION_ERROR"}),
        ({"type": "ping", "data": {"x": "y" * 99_990}}, {"type": "pong"}),
    ],
)
def test_a_message_and_its_reply(server: Server, message: Any, expected: dict[str, Any]) -> None:
    with server.agent() as talk:
        reply = talk.ask(message)
    assert isinstance(reply.pop("message", ""), str)
    if (timestamp := reply.pop("timestamp", None)) is not None:
        datetime.fromisoformat(timestamp)
    assert reply == expected
    assert "id" not in reply


@pytest.mark.parametrize("query_type", ["agent_status", "world_state"])
def test_a_known_query_is_answered_with_data_and_its_time(server: Server, query_type: str) -> None:
    with server.agent() as talk:
        reply = talk.ask({"type": "query", "data": {"query_type": query_type}})
    assert (reply["type"], reply["query_type"]) == ("query_result", query_type)
    datetime.fromisoformat(reply["data"]["timestamp"])
    assert reply["data"]["agents"]


def test_an_unknown_query_is_an_error_without_a_code(server: Server) -> None:
    with server.agent() as talk:
        reply = talk.ask({"type": "query", "data": {"query_type": "weather"}})
    assert reply["type"] == "error"
    assert "code" not in reply


@pytest.mark.parametrize(("prompt", "later"), [("write a poem", "agent_created"), ("", "error")])
def test_a_prompt_is_acknowledged_and_settled_later_under_the_same_id(server: Server, prompt: str, later: str) -> None:
    with server.agent() as talk:
        first = talk.ask({"type": "prompt_submitted", "prompt_id": "p1", "prompt": prompt, "conversation_id": "c"})
        assert (first["type"], first["prompt_id"]) == ("prompt_acknowledged", "p1")
        assert talk.ask({"type": "ping"})["type"] == "pong"
        second = talk.receive()
        assert (second["type"], second["prompt_id"]) == (later, "p1")


def test_clearing_a_conversation_is_told_to_everybody(server: Server) -> None:
    with server.agent("one") as one, server.agent("two") as two:
        reply = one.ask({"type": "clear_conversation", "data": {"conversationId": "c9"}})
        assert (reply["type"], reply["conversation_id"]) == ("conversation_cleared", "c9")
        for talk in (one, two):
            pushed = talk.receive()
            assert (pushed["type"], pushed["event_type"]) == ("system_event", "conversation_cleared")
            assert pushed["data"] == {"conversation_id": "c9"}


def test_a_fault_inside_is_an_internal_error_and_a_close(server: Server) -> None:
    with server.agent() as talk:
        assert talk.ask({"type": "subscribe", "event_types": 5})["code"] == "INTERNAL_ERROR"
        with pytest.raises(ConnectionClosed):
            talk.receive()
        assert talk.close_code == 1011


def test_events_go_to_everybody_until_somebody_ever_subscribed(server: Server) -> None:
    name = f"born{time.time_ns()}"
    event = {"channel": "agent", "event_type": name, "data": {"n": 1}, "agent_id": "a7"}
    with server.agent("one") as one, server.agent("two") as two:
        assert server.post("/events", event).json()["receivers"] == 2
        for talk in (one, two):
            pushed = talk.receive()
            datetime.fromisoformat(pushed.pop("timestamp"))
            assert pushed == {"type": "agent_event", "event_type": name, "data": {"n": 1}, "agent_id": "a7"}
        one.ask({"type": "subscribe", "event_types": [f"agent:{name}"]})
        assert server.post("/events", event).json()["receivers"] == 1
        assert one.receive()["type"] == "agent_event"
        one.ask({"type": "unsubscribe", "event_types": [f"agent:{name}"]})
        assert server.post("/events", event).json()["receivers"] == 0
        assert server.post("/events", {**event, "channel": "world"}).json()["receivers"] == 2
        assert server.post("/events", {**event, "channel": "system"}).json()["receivers"] == 2
        assert [two.receive()["type"] for _ in range(2)] == ["world_event", "system_event"]


@pytest.mark.parametrize("body", [None, [], {}, {"channel": "x", "event_type": "e"}, {"channel": "agent"}])
def test_an_event_that_cannot_be_pushed_is_400(server: Server, body: object) -> None:
    assert server.post("/events", body).status_code == 400


def test_an_id_used_twice_gives_both_wrong_results(server: Server) -> None:
    with server.agent("twin") as first, server.agent("twin") as second:
        first.send({"type": "ping"})
        assert second.receive()["type"] == "pong"
        first.close()
        eventually(lambda: server.counters()["open_connections"] == 1)
        second.send({"type": "ping"})
        with pytest.raises(TimeoutError):
            second.receive(timeout=0.1)
    counters = server.counters()
    assert (counters["messages_received"], counters["answered"]) == (2, 1)


def test_a_silent_client_is_dropped_without_a_close_frame_before_its_first_heartbeat(
    start: Callable[..., Server],
) -> None:
    server = start("--silence-s", "0.3", "--heartbeat-s", "0.3")
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.sendall(
            b"GET /api/v1/ws/quiet HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        began = time.monotonic()
        raw.settimeout(5)
        got = b""
        time.sleep(0.1)
        raw.sendall(b"\x89\x80\0\0\0\0")  # a WebSocket ping does not count
        while chunk := raw.recv(65536):
            got += chunk
        lasted = time.monotonic() - began
    assert 0.25 < lasted < 1.5
    head, _, frames = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert b'"connection_established"' in frames
    assert b'"heartbeat"' not in frames
    assert b"\x88" not in frames.replace(b"\x8a\x00", b"")
    assert server.counters()["dropped_by"] == {"silence": 1}


def test_who_sends_text_is_kept_and_gets_heartbeats(start: Callable[..., Server]) -> None:
    server = start("--silence-s", "0.4", "--heartbeat-s", "0.2")
    with server.agent() as talk:
        beats = []
        ends = time.monotonic() + 1.0
        while time.monotonic() < ends:
            message = talk.receive()
            if message["type"] == "heartbeat":
                beats.append(message)
                talk.send({"type": "heartbeat"})
        assert len(beats) in (4, 5)
        assert beats[0].keys() == {"type", "timestamp", "require_response"}
        assert beats[0]["require_response"] is True
    assert server.counters()["dropped"] == 0


def test_who_is_too_fast_gets_two_errors(start: Callable[..., Server]) -> None:
    server = start("--rate-limit", "5")
    with server.agent() as talk:
        for _ in range(6):
            talk.send({"type": "ping"})
        replies = [talk.receive() for _ in range(7)]
    assert [r["type"] for r in replies[:5]] == ["pong"] * 5
    assert [r["code"] for r in replies[5:]] == ["MESSAGE_RATE_LIMIT_EXCEEDED", "RATE_LIMIT_EXCEEDED"]


def test_too_many_connects_of_one_address_are_403(start: Callable[..., Server]) -> None:
    server = start("--max-connects-per-minute", "3")
    for index in range(3):
        with server.agent(f"c{index}"):
            pass
    assert _refused(server, PATH + "c4") == 403
    assert _refused(server, PATH + "monitor/c4") == 403
    assert server.counters()["refused_upgrades"] == 2


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    running = Server("--token", SECRET)
    yield running
    running.stop()


def _refused(server: Server, path: str) -> int:
    with pytest.raises(InvalidStatus) as refusal, server.connect(path):
        pass
    return refusal.value.response.status_code


@pytest.mark.parametrize(
    "token",
    [
        None,
        "",
        "nonsense",
        "a.b.c",
        "ä.ö.ü",
        sign("another", "me"),
        sign(SECRET, "me", expires_in_s=-1),
        sign(SECRET, ""),
        sign(SECRET, "me", exp="soon"),
        sign(SECRET, "me")[:-2],
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJtZSJ9.",
    ],
)
@pytest.mark.parametrize("path", ["x", "monitor/x"])
def test_a_token_that_is_missing_invalid_or_expired_is_403(guarded: Server, token: str | None, path: str) -> None:
    assert _refused(guarded, PATH + path + ("" if token is None else f"?token={token}")) == 403


NEED_RIGHT: list[dict[str, Any]] = [
    {"type": "subscribe", "event_types": []},
    {"type": "agent_command", "data": {"agent_id": "a", "command": "start"}},
    {"type": "query", "data": {"query_type": "agent_status"}},
]


@pytest.mark.parametrize(
    ("token", "user", "role", "allowed"),
    [
        (sign(SECRET, "root", "admin"), "root", "admin", 3),
        (sign(SECRET, "me"), "me", "user", 3),
        (sign(SECRET, "eve", "guest"), "eve", "guest", 0),
        (sign(SECRET, "eve", "unheard-of"), "eve", "unheard-of", 0),
        (DEV_TOKEN, "developer", "developer", 0),
    ],
)
def test_what_needs_a_right_is_denied_without_it(
    guarded: Server, token: str, user: str, role: str, allowed: int
) -> None:
    with guarded.connect(f"{PATH}r?token={token}") as talk:
        greeting = talk.receive()
        assert (greeting["authenticated"], greeting["user"], greeting["role"]) == (True, user, role)
        codes = [talk.ask(message).get("code") for message in NEED_RIGHT]
        assert codes == [None] * allowed + ["PERMISSION_DENIED"] * (3 - allowed)
        assert talk.ask({"type": "ping"})["type"] == "pong"
        assert talk.ask({"type": "heartbeat"})["type"] == "heartbeat_ack"


def test_a_sixth_connection_of_one_account_is_403_until_another_ends(guarded: Server) -> None:
    token = sign(SECRET, "busy")
    with ExitStack() as stack:
        talks = [stack.enter_context(guarded.agent(f"b{i}?token={token}")) for i in range(5)]
        assert _refused(guarded, f"{PATH}b6?token={token}") == 403
        assert _refused(guarded, f"{PATH}monitor/b6?token={token}") == 403
        with guarded.agent(f"o?token={sign(SECRET, 'other')}"):
            pass
        talks[0].close()
        eventually(lambda: guarded.counters()["open_by_channel"]["agent"] == 4)
        with guarded.agent(f"b7?token={token}"):
            pass


def test_an_open_server_limits_nobody(server: Server) -> None:
    with ExitStack() as stack:
        for index in range(20):
            talk = stack.enter_context(server.agent(f"free{index}"))
        for _ in range(300):
            talk.send({"type": "ping"})
        assert {talk.receive()["type"] for _ in range(300)} == {"pong"}
