"""Fan-outs as users cause and hear them, on the real reference server: who is expected, who was reached, how late."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

import gevent
import pytest

from locust_ext.core.accounting import fanout, joining
from locust_ext.core.marker import MARKER
from locust_ext.core.messages import ContextOps, Template
from locust_ext.core.pacing import ClosedLoop
from locust_ext.core.protocols.ties import FanOut
from locust_ext.errors import OperationError
from locust_ext.model import PushStats
from locust_ext.plugin.users.agent import AgentUser
from locust_ext.plugin.users.context import ContextServerUser
from locust_ext.plugin.users.socketio import FastSocketIOUser
from tests.e2e.runs import Server
from tests.peers import eventually
from tests.plugin.inside import idles, inside, user_class
from tests.runtime.locusting import Run, running

USERS = 4
GRACE_S = 0.4


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who stops before the grace is over is not expected to hear anything: the tests would wait 2 s each."""
    for module in (fanout, joining):
        monkeypatch.setattr(module, "GRACE_US", round(GRACE_S * 1e6))


def fan_out(
    base: type[Any],
    server: Server,
    connects: Callable[[Any], object],
    act: Callable[[Any], object],
    event: str = "context_updated",
    stays_s: float = GRACE_S + 0.1,
    **attributes: Any,
) -> tuple[PushStats, Run]:
    """What is told of ``event`` when each of four users, once all are connected, performs ``act``, and all stay a while."""

    def on_start(user: Any) -> None:
        connects(user)

    made = user_class(base, idles, on_start=on_start, **attributes)
    with running(made, server.url, USERS) as run:
        run.recorder.begin("r", monotonic())
        users = eventually(lambda: len(run.users) == USERS and run.users)
        eventually(lambda: run.states.get("open") == USERS)
        gevent.sleep(0.1)  # whatever the connects themselves made the server say
        for user in users:
            act(user)
        gevent.sleep(stays_s)
        run.stop()
        run.recorder.end(monotonic())
        told = {push.event: push for push in run.recorder.snapshot(monotonic()).pushes}
    return told.get(event, PushStats(event)), run


def live(user: Any) -> None:
    user.live.connect()


@pytest.mark.parametrize("value", ["same length", MARKER + "and more", {"a": [1, "ä"]}, 7])
def test_a_change_over_http_reaches_all_sockets(server: Server, value: Any) -> None:
    """With a marker in it or not: key and value, of whatever type, are the tie."""

    def act(user: Any) -> None:
        answer = user.set(f"key of {user.client_id}", value)
        assert MARKER not in str(answer["value"])

    told, _ = fan_out(ContextServerUser, server, live, act)
    assert (told.expected, told.reached, told.reach, told.never_came) == (16, 16, 1.0, 0)
    assert told.received == 16
    assert told.lag is not None
    assert told.lag.count == 16
    assert 0 < told.lag.min_us <= told.lag.max_us < 1_000_000  # type: ignore[operator]
    assert told.spread is not None
    assert told.spread.count == 4


def test_users_that_are_stopped_within_the_grace_are_not_expected(server: Server) -> None:
    """What they have heard has a lag all the same."""
    told, _ = fan_out(ContextServerUser, server, live, lambda user: user.set(user.client_id, MARKER), stays_s=0.1)
    assert (told.expected, told.reached, told.reach, told.received) == (None, None, None, 16)
    assert told.lag is not None
    assert told.lag.count == 16


@pytest.mark.parametrize("value", ["a value", MARKER])
def test_a_change_over_socketio_reaches_all_others(server: Server, value: str) -> None:
    def act(user: Any) -> None:
        confirmed = user.live.call("context_set", {"key": f"key of {user.client_id}", "value": value})
        assert confirmed["value"].startswith("~lx:") == (value == MARKER)

    told, _ = fan_out(ContextServerUser, server, live, act)
    assert (told.expected, told.reached, told.received) == (12, 12, 12)
    assert told.lag is not None
    assert told.lag.count == 12


def test_a_change_without_a_reply_is_a_fan_out_too(server: Server) -> None:
    told, _ = fan_out(
        ContextServerUser,
        server,
        live,
        lambda user: user.live.emit("context_set", {"key": user.client_id, "value": "v"}),
    )
    assert (told.expected, told.reached) == (12, 12)


def test_a_change_that_fails_is_none(server: Server) -> None:
    """Nobody is expected to hear of what did not happen."""

    def act(user: Any) -> None:
        server.misbehave(http_status=500)
        with pytest.raises(OperationError):
            user.set(user.client_id, MARKER)
        with pytest.raises(OperationError):
            user.live.call("context_set", {"key": user.client_id})
        server.misbehave()

    told, _ = fan_out(ContextServerUser, server, live, act)
    assert (told.expected, told.received) == (None, 0)


def test_the_same_value_again_cannot_be_told_apart_and_is_left_out(server: Server) -> None:
    told, _ = fan_out(ContextServerUser, server, live, lambda user: user.set("key", "value"))
    assert (told.expected, told.received) == (None, 16)


def test_a_marker_in_any_message_ties_the_push_that_it_causes(server: Server) -> None:
    """On the agent channel ``clear_conversation`` is told to everybody, its sender among them."""

    def act(user: Any) -> None:
        reply = user.ws.request({"type": "clear_conversation", "data": {"conversationId": MARKER}})
        assert reply["conversation_id"].startswith("~lx:")
        assert reply["conversation_id"] != MARKER

    told, run = fan_out(AgentUser, server, lambda user: None, act, "system_event", fan_out="system_event")
    assert (told.expected, told.reached, told.received) == (16, 16, 16)
    assert told.lag is not None
    assert told.lag.count == 16
    assert run.ledger("WS", "clear_conversation").ok == 4


def test_without_being_asked_for_a_marker_is_text_like_any_other(server: Server) -> None:
    def act(user: Any) -> None:
        reply = user.ws.request({"type": "clear_conversation", "data": {"conversationId": MARKER}})
        assert reply["conversation_id"] == MARKER

    told, _ = fan_out(AgentUser, server, lambda user: None, act, "system_event")
    assert (told.received, told.expected, told.lag) == (16, None, None)


def test_any_socketio_user_may_leave_its_sender_out(server: Server) -> None:
    told, _ = fan_out(
        FastSocketIOUser,
        server,
        lambda user: None,
        lambda user: user.sio.call("context_set", {"key": user.client_id, "value": [MARKER]}),
        fan_out=FanOut("context_updated", to_sender=False),
        confirm={"context_set": ("context_set_confirmed", ("key", "value"))},
    )
    assert (told.expected, told.reached) == (12, 12)


@pytest.mark.parametrize(
    ("base", "attributes", "event"),
    [
        (ContextServerUser, {"generator": ContextOps(reads=0.0, marker=True)}, "context_updated"),
        (ContextServerUser, {"generator": ContextOps(reads=0.0, live=True, marker=True)}, "context_updated"),
        (
            AgentUser,
            {
                "generator": Template({"type": "clear_conversation", "data": {"conversationId": "{marker}"}}),
                "fan_out": "system_event",
            },
            "system_event",
        ),
    ],
)
def test_generators_put_markers_in(server: Server, base: type[Any], attributes: dict[str, Any], event: str) -> None:
    """Driven by a generator, each delivery to a connection that was there has its lag, and each was made."""

    def on_connected(user: Any) -> None:
        if base is ContextServerUser:
            user.live.ensure()

    made = user_class(base, None, on_connected=on_connected, pacing=ClosedLoop(0.05), **attributes)
    with running(made, server.url, USERS) as run:
        run.recorder.begin("r", monotonic())
        gevent.sleep(1.5)
        run.stop()
        run.recorder.end(monotonic())
        (told,) = [push for push in run.recorder.snapshot(monotonic()).pushes if push.event == event]
    assert told.reach == 1.0
    assert told.reached is not None
    assert told.lag is not None
    assert told.lag.count >= told.reached > 50


def test_what_is_known_of_a_connection_can_be_read_from_code(server: Server) -> None:
    """Times connected and lost, lifetime, messages, bytes and the last error; the same figures are in the snapshot."""
    seen: list[Any] = []

    def asks(user: Any) -> None:
        seen.append(user.ws.info)
        for _ in range(3):
            user.ws.request({"type": "ping"})
        seen.append(user.ws.info)
        user.ws.connection.abort("reset")
        eventually(lambda: user.ws.is_connected)
        seen.append(user.ws.info)

    _, run = inside(AgentUser, server.url, asks)
    fresh, talked, back = seen[:3]
    assert (fresh.state, fresh.times_connected, fresh.times_lost, fresh.last_error) == ("open", 1, 0, None)
    assert (talked.messages_sent, talked.messages_received) == (3, 4)  # the greeting, too
    assert talked.bytes_sent == 3 * len('{"type":"ping"}')
    assert talked.bytes_received > 3 * len('{"type":"pong"}')
    assert 0 < fresh.lifetime_s < talked.lifetime_s < 10
    assert (back.state, back.times_connected, back.times_lost, back.last_error) == ("open", 2, 1, "reset")
    assert back.messages_sent == 0
    ended = run.recorder.snapshot(monotonic()).connections.ended
    assert ended.lifetime_ms.count == 2
    assert (ended.messages_sent.min_us, ended.messages_sent.max_us) == (0, 3)
    assert ended.bytes_sent.sum_us == talked.bytes_sent


def test_a_connection_that_never_opened_is_none(server: Server) -> None:
    """Neither in the distributions nor in the lifetime."""
    server.misbehave(refuse_upgrades=True)
    with running(user_class(AgentUser, idles, pattern="persistent"), server.url) as run:
        eventually(lambda: run.users and run.user.ws.last_error)
        info = run.user.ws.info
        run.stop()
    assert (info.times_connected, info.times_lost, info.lifetime_s, info.messages_sent) == (0, 0, None, 0)
    assert info.last_error == "http_503"
    assert run.recorder.snapshot(monotonic()).connections.ended.lifetime_ms.count == 0
