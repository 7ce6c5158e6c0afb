"""`plugin.users.agent`: the agent and monitor channels on the real reference server, with its real quirks."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

from locust_ext.core.lifecycle import FullJitter, Persistent
from locust_ext.errors import ConfigError, ErrorReply, OperationError
from locust_ext.plugin.users.agent import AgentUser
from locust_ext.refserver.tokens import DEV_TOKEN, sign
from tests.e2e.runs import Server, server as own_server
from tests.peers import Peer, echo, eventually, stall, text, upgrade
from tests.plugin.inside import idles, inside, user_class
from tests.runtime.locusting import running

PING = {"type": "ping"}
COMMAND = {"type": "agent_command", "data": {"agent_id": "a1", "command": "start", "params": {}}}
SECRET = "secret-of-the-server"


# ── the agent channel ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_request_of_the_contract_is_matched(server: Server) -> None:
    """By the reply's type and what it echoes; the greeting and what follows a prompt are pushes."""

    def talks(user: Any) -> Any:
        ws = user.ws
        types = [
            ws.request(message)["type"]
            for message in (
                PING,
                {"type": "heartbeat"},
                {"type": "subscribe", "event_types": ["agent:x", "no good"]},
                {"type": "unsubscribe", "event_types": ["agent:x"]},
                COMMAND,
                {"type": "query", "data": {"query_type": "world_state"}},
                {"type": "prompt_submitted", "prompt_id": "p1", "prompt": "hello", "conversation_id": "c1"},
                {"type": "clear_conversation", "data": {"conversationId": "c1"}},
            )
        ]
        assert ws.expect(lambda push: push["type"] == "agent_created")["prompt_id"] == "p1"
        assert ws.expect(lambda push: push["type"] == "system_event")["event_type"] == "conversation_cleared"
        return types

    types, run = inside(AgentUser, server.url, talks)
    assert types == [
        "pong",
        "heartbeat_ack",
        "subscription_confirmed",
        "unsubscription_confirmed",
        "agent_command_result",
        "query_result",
        "prompt_acknowledged",
        "conversation_cleared",
    ]
    assert sum(each.ok for each in run.balance().values() if each.type == "WS" and each.name != "expect") == 8
    assert sum(each.unmatched + each.duplicate + each.late for each in run.balance().values()) == 0


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"type": "nonsense"}, "error_reply - UNKNOWN_MESSAGE_TYPE"),
        ({"type": "agent_command", "data": {"agent_id": "a", "command": "fly"}}, "error_reply - INVALID_COMMAND"),
        ({"type": "agent_command", "data": {"agent_id": "a b", "command": "start"}}, "error_reply - INVALID_AGENT_ID"),
        ({"type": "query", "data": {"query_type": "x"}}, "error_reply - the server answered with an error"),
        ({"type": "ping", "data": []}, "error_reply - VALIDATION_ERROR"),
        ("no json", "error_reply - INVALID_JSON"),
    ],
)
def test_every_error_of_the_contract_is_a_failed_request(server: Server, message: Any, text: str) -> None:
    """With the code as the text, and none of the server's words."""
    error, run = inside(AgentUser, server.url, lambda user: user.ws.request(message))
    assert isinstance(error, ErrorReply)
    assert run.failures("WS") == [text]


def test_a_fault_inside_the_server_is_an_error_and_then_a_loss(server: Server) -> None:
    """The request has one outcome; the connection is closed with 1011 and comes back."""

    def breaks(user: Any) -> Any:
        with pytest.raises(ErrorReply) as caught:
            user.ws.request({"type": "subscribe", "event_types": 7})
        eventually(lambda: user.ws.connection.messages_received == 1 and user.ws.is_connected)
        return str(caught.value)

    said, run = inside(AgentUser, server.url, breaks)
    assert said == "error_reply - INTERNAL_ERROR"
    assert [each.split()[0] for each in run.failures("DROP")] == ["closed_1011"]


def test_the_double_error_of_the_rate_limit_is_one_failure_and_one_unmatched() -> None:
    """The second answers nobody: no other request suffers."""
    with own_server("--rate-limit", "5") as limited:

        def floods(user: Any) -> Any:
            for _ in range(5):
                user.ws.request(PING)
            with pytest.raises(ErrorReply) as caught:
                user.ws.request(PING, name="too many")
            eventually(lambda: user.ws.connection.messages_received == 8)
            gevent.sleep(0.25)
            return str(caught.value), user.ws.request(PING, name="after")["type"]

        result, run = inside(AgentUser, limited.url, floods)
    assert result == ("error_reply - MESSAGE_RATE_LIMIT_EXCEEDED", "pong")
    balance = run.balance()
    assert (balance["WS too many"].failed, balance["WS after"].ok) == (1, 1)
    assert sum(each.unmatched for each in balance.values()) == 1
    assert sum(each.failures for each in balance.values()) == 1


# ── heartbeat ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_silent_client_sends_heartbeat_in_time() -> None:
    """After its own silence only; the server, which drops silent ones, keeps it. Each is an ordinary round trip."""
    with own_server("--silence-s", "0.4") as strict:
        with running(user_class(AgentUser, idles, heartbeat_s=0.15), strict.url) as run:
            eventually(lambda: len(run.of_type("WS")) >= 6)
            assert {(each.name, each.exception) for each in run.events} == {
                ("/api/v1/ws/{client_id}", None),
                ("heartbeat", None),
            }
            gaps = [
                after.at_s - before.at_s
                for before, after in zip(run.of_type("WS"), run.of_type("WS")[1:], strict=False)
            ]
            assert min(gaps) > 0.12
            assert strict.counters()["dropped"] == 0
        with running(user_class(AgentUser, idles, heartbeat_s=0), strict.url) as run:
            eventually(lambda: run.of_type("DROP"))
            assert run.of_type("WS") == []
            assert run.failures("DROP")[0].split()[0] == "closed_1006"


def test_a_client_that_talks_sends_no_heartbeat(server: Server) -> None:
    """Its own messages are signs of life; WebSocket pings are none."""

    def talks(user: Any) -> None:
        user.ws.send(PING)
        gevent.sleep(0.04)

    with running(user_class(AgentUser, talks, heartbeat_s=0.2), server.url) as run:
        eventually(lambda: len(run.of_type("SEND")) >= 12)
        assert "heartbeat" not in {each.name for each in run.events}

    def pings(user: Any) -> None:
        user.ws.ping()
        gevent.sleep(0.04)

    with running(user_class(AgentUser, pings, heartbeat_s=0.2), server.url) as run:
        eventually(lambda: "heartbeat" in {each.name for each in run.events})


def test_a_heartbeat_without_an_answer_times_out_once_each() -> None:
    """At the request's deadline, as any request."""
    with Peer(upgrade(), stall()) as peer:
        made = user_class(AgentUser, idles, heartbeat_s=0.1, request_timeout_s=0.15)
        with running(made, peer.url) as run:
            eventually(lambda: run.failures("WS"))
            assert run.failures("WS")[0] == "timeout - no reply by the deadline"


# ── the monitor channel ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_monitor_channel_is_connected_at_its_first_use(server: Server) -> None:
    """A second connection of the same client: four requests have replies, all else is one-way."""

    def monitors(user: Any) -> Any:
        assert server.counters()["connections"] == 1
        monitor = user.monitor
        assert user.monitor is monitor
        config = {"metrics": ["cpu"], "agents": [], "sample_rate": 0.05, "buffer_size": 10}
        started = monitor.request({"type": "start_monitoring", "config": config})
        update = monitor.expect(lambda push: push["type"] == "metrics_update")
        monitor.send({"type": "update_monitoring", "config": config})
        summary = monitor.request({"type": "get_summary", "metric_type": "cpu", "duration": 60})
        stopped = monitor.request({"type": "stop_monitoring"})
        with pytest.raises(ConfigError, match="use send"):
            monitor.request({"type": "update_monitoring"})
        return (
            started["session_id"] == update["session_id"] == stopped["session_id"],
            summary["type"],
            monitor.request(PING)["type"],
        )

    result, run = inside(AgentUser, server.url, monitors)
    assert result == (True, "metric_summary", "pong")
    assert set(run.balance()) >= {
        "CONNECT /api/v1/ws/monitor/{client_id}",
        "WS start_monitoring",
        "WS stop_monitoring",
        "WS get_summary",
        "SEND update_monitoring",
    }
    assert run.failures("WS", "CONNECT") == []
    assert server.counters()["connections"] == 2


def test_the_monitor_channel_keeps_itself_alive_by_ping(server: Server) -> None:
    """Every other message but those four is never answered there."""

    def opens(user: Any) -> None:
        _ = user.monitor

    with running(user_class(AgentUser, opens, heartbeat_s=0.1), server.url) as run:
        eventually(lambda: {"ping", "heartbeat"} <= {each.name for each in run.of_type("WS")})
        assert run.failures("WS") == []


def test_the_monitor_channel_is_brought_back_after_a_loss(server: Server) -> None:
    """Its requests wait for it."""

    def monitors(user: Any) -> Any:
        user.monitor.connection.abort()
        return user.monitor.request(PING, timeout_s=8)["type"]

    reply, run = inside(AgentUser, server.url, monitors, within_s=15)
    assert reply == "pong"
    assert len(run.of_type("DROP")) == 1


# ── tokens and rights ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_token_goes_in_the_query_of_both_channels() -> None:
    """Quoted; and nowhere else: not in a header, not in a name. A callable is asked once a connect."""
    asked: list[str] = []

    def token(user: Any) -> str:
        asked.append(user.client_id)
        return f"secret +&{len(asked)}"

    with Peer(upgrade(), echo(but=lambda message: text({"type": "pong"}))) as peer:
        _, run = inside(AgentUser, peer.url, lambda user: user.monitor.request(PING), token=token)
        lines = [each.request_line for each in peer.connections]
        assert [line.partition("?")[2] for line in lines] == [
            "token=secret%20%2B%261 HTTP/1.1",
            "token=secret%20%2B%262 HTTP/1.1",
        ]
        assert all("authorization" not in each.headers for each in peer.connections)
        assert len(asked) == 2
    assert "secret" not in " ".join(run.balance())


def test_a_token_written_into_the_path_is_kept() -> None:
    """What the path says wins."""
    with Peer(upgrade(), stall()) as peer:
        made = user_class(AgentUser, idles, path="/ws/{client_id}?a=1&token=own", token="other")
        with running(made, peer.url) as run:
            eventually(lambda: run.states == {"open": 1})
            assert peer.last.request_line.partition("?")[2] == "a=1&token=own HTTP/1.1"


def test_rights_decide_what_fails() -> None:
    """A run full of ``error_reply`` can be a correct measurement; refusals come as 403 on the upgrade."""
    with own_server("--token", SECRET) as guarded:

        def asks(user: Any) -> Any:
            said = []
            for message in (COMMAND, {"type": "query", "data": {"query_type": "world_state"}}, PING):
                try:
                    said.append(user.ws.request(message)["type"])
                except OperationError as error:
                    said.append(str(error))
            return said

        denied = "error_reply - PERMISSION_DENIED"
        for token, expected in (
            (lambda user: sign(SECRET, user.client_id), ["agent_command_result", "query_result", "pong"]),
            (lambda user: sign(SECRET, user.client_id, role="viewer"), [denied, "query_result", "pong"]),
            (DEV_TOKEN, [denied, denied, "pong"]),
        ):
            said, run = inside(AgentUser, guarded.url, asks, token=token)
            assert said == expected
            assert run.failures("WS") == [each for each in expected if each == denied]
        for token in (None, "wrong", sign(SECRET, "a", expires_in_s=-1)):
            made = user_class(AgentUser, idles, token=token)
            with running(made, guarded.url) as run:
                eventually(lambda: run.states == {"failed": 1})
                assert run.failures("CONNECT") == ["http_403 - the server answered with HTTP status 403"] * 4


# ── another host ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_agent_channel_may_be_on_another_host(server: Server) -> None:
    """``agent_host`` of the class, and the flag before it; both channels go there."""
    refused = "http://127.0.0.1:1"

    def asks(user: Any) -> Any:
        return user.ws.request(PING)["type"], user.monitor.request(PING)["type"]

    result, _ = inside(AgentUser, refused, asks, agent_host=server.url)
    assert result == ("pong", "pong")

    class Options:
        ext_agent_host = server.url

    made = user_class(
        AgentUser, idles, agent_host=refused, pattern=Persistent(reconnect=FullJitter(base_s=60, cap_s=60))
    )
    with running(made, refused, parsed_options=Options()) as run:
        eventually(lambda: run.states == {"open": 1})
