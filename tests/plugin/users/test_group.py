"""`plugin.users.group`: one deed on many of a user's connections."""

from __future__ import annotations

from time import monotonic
from typing import Any

import gevent
import pytest

from locust_ext.core.messages import Message
from locust_ext.errors import ConfigError, ErrorReply
from locust_ext.plugin.users.agent import AgentUser
from locust_ext.plugin.users.base import RealTimeUser
from locust_ext.plugin.users.context import ContextServerUser
from locust_ext.plugin.users.socketio import FastSocketIOUser
from locust_ext.plugin.users.websocket import WebSocketUser
from tests.e2e.runs import Server
from tests.peers import Peer, answer, echo, eventually, upgrade
from tests.plugin.inside import inside, user_class
from tests.runtime.locusting import running

PING = {"type": "ping"}


def test_a_broadcast_is_an_operation_on_each_connection_of_the_user(server: Server) -> None:
    def tells(user: Any) -> Any:
        opened = user.connect_many(6, limit=3)
        assert [each.succeeded for each in opened] == [True] * 6
        assert user.monitor.is_connected  # another kind of channel, which is left out
        return [(each.channel, each.reply["type"]) for each in user.broadcast(PING)], list(user.channels)

    (replies, channels), run = inside(AgentUser, server.url, tells)
    assert replies == [(channel, "pong") for channel in channels if channel.label is None]
    assert (len(replies), run.ledger("WS", "ping").ok) == (7, 7)
    assert run.ledger("CONNECT", "/api/v1/ws/{client_id}").ok == 7


def test_no_more_than_the_limit_are_under_way_at_once() -> None:
    """Eight connections, each answered after 50 ms, two at a time: four rounds, and never more than two in flight."""
    under_way = most = 0

    def late(message: Any) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        gevent.sleep(0.05)
        under_way -= 1

    def tells(user: Any) -> Any:
        user.connect_many(7)
        begun_s = monotonic()
        outcomes = user.broadcast({"type": "x"}, limit=2)
        return monotonic() - begun_s, [each.succeeded for each in outcomes]

    with Peer(upgrade(), echo(but=late)) as peer:
        (took_s, good), _ = inside(WebSocketUser, peer.url, tells)
    assert good == [True] * 8
    assert most == 2
    assert took_s >= 0.2


def test_each_failure_is_an_outcome_of_its_own_and_nothing_raises(server: Server) -> None:
    def tells(user: Any) -> Any:
        user.connect_many(3)
        server.misbehave(error_ratio=0.5, seed=3)
        return user.broadcast(PING, name="roll call", tags=("all",))

    outcomes, run = inside(AgentUser, server.url, tells)
    found = run.ledger("WS", "roll call")
    assert 0 < found.failed < 4
    assert found.ok + found.failed == len(outcomes) == 4
    assert [isinstance(each.error, ErrorReply) for each in outcomes if each.error] == [True] * found.failed
    assert found.tags == ("all",)


def test_one_way_messages_are_sends(server: Server) -> None:
    def tells(user: Any) -> Any:
        user.connect_many(2)
        return user.broadcast({"type": "note"}, one_way=True), user.broadcast(Message("said", PING, one_way=True))

    (first, second), run = inside(AgentUser, server.url, tells)
    assert [each.reply for each in [*first, *second]] == [None] * 6
    assert (run.ledger("SEND", "note").ok, run.ledger("SEND", "said").ok) == (3, 3)


def test_on_socket_io_the_message_is_an_event_with_its_data(server: Server) -> None:
    def tells(user: Any) -> Any:
        user.connect_many(2)
        return user.broadcast(("context_set", {"key": "many", "value": "1"}), timeout_s=2)

    outcomes, run = inside(
        FastSocketIOUser, server.url, tells, confirm={"context_set": ("context_set_confirmed", ("key",))}
    )
    assert [each.reply["key"] for each in outcomes] == ["many"] * 3
    assert run.ledger("SIO", "context_set").ok == 3


def test_connects_that_fail_are_outcomes_too_and_may_be_tried_again() -> None:
    def opens(user: Any) -> Any:
        first = user.connect_many(3, limit=1)
        again = user.connect_many([each.channel for each in first if not each.succeeded])
        return [each.error and each.error.error_class for each in first], [each.succeeded for each in again]

    good, bad = [upgrade(), echo()], [answer("503 Service Unavailable")]
    with Peer(good, good, bad, good, good) as peer:
        (first, again), run = inside(WebSocketUser, peer.url, opens)
    assert first == [None, "http_503", None]
    assert again == [True]
    assert (run.ledger("CONNECT").ok, run.ledger("CONNECT").failed) == (4, 1)


def test_a_user_stopped_in_the_middle_cancels_what_is_under_way_and_begins_nothing_more() -> None:
    def tells(user: Any) -> None:
        user.connect_many(9)
        user.broadcast({"type": "x"}, limit=3)

    with (
        Peer(upgrade(), echo(but=lambda message: b"")) as peer,
        running(user_class(WebSocketUser, tells), peer.url) as run,
    ):
        eventually(lambda: run.recorder.snapshot(monotonic()).in_flight == 3)
        run.stop()
        found = run.ledger("WS", "x")
        assert (found.started, found.cancelled) == (3, 3)


def test_what_cannot_be_encoded_is_raised_and_the_rest_is_left(server: Server) -> None:
    error, run = inside(AgentUser, server.url, lambda user: user.broadcast({"type": "x", "data": object()}))
    assert isinstance(error, TypeError)
    assert not [each for each in run.events if each.type == "WS"]


def test_a_lost_connection_is_waited_for_and_a_closed_one_is_left_out(server: Server) -> None:
    def tells(user: Any) -> Any:
        closed, lost = (each.channel for each in user.connect_many(2))
        closed.close()
        lost.connection.abort("reset")
        return [each.reply["type"] for each in user.broadcast(PING)]

    result, run = inside(AgentUser, server.url, tells)
    assert result == ["pong", "pong"]
    assert run.ledger("CONNECT").ok == 4


@pytest.mark.parametrize("limit", [0, True, 1.5])
def test_a_limit_is_a_whole_number(limit: Any) -> None:
    with pytest.raises(ConfigError, match="expected a whole number of at least 1"):
        RealTimeUser.connect_many(None, [], limit=limit)  # type: ignore[arg-type]


def test_a_user_without_a_connection_of_its_own_cannot_open_many(server: Server) -> None:
    error, _ = inside(ContextServerUser, server.url, lambda user: user.connect_many(1))
    assert "expected a user class with a real-time connection" in str(error)
