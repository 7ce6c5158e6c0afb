"""`plugin.users.socketio`: Socket.IO users on the real reference server, and on scripted peers where that is too polite."""

from __future__ import annotations

import json
from time import monotonic
from typing import Any

import gevent
import pytest

from locust_ext.core.lifecycle import FullJitter, Persistent
from locust_ext.core.protocols.correlation import ConfirmedBy
from locust_ext.errors import ConfigError, ConnectFailed, ConnectionLost, ErrorReply, RequestTimeout
from locust_ext.plugin.users.socketio import FastSocketIOUser
from tests.core.protocols.websocket_frames import BINARY, frame
from tests.e2e.runs import Server, server as own_server
from tests.peers import (
    Peer,
    PeerConnection,
    Step,
    eventually,
    send,
    stall,
    text,
    upgrade,
    wait,
    wait_end,
    wait_messages,
)
from tests.plugin.inside import QUICK, idles, inside, user_class
from tests.runtime.locusting import running

CONFIRM = {"context_set": ("context_set_confirmed", ("key", "value"))}
NEVER = Persistent(reconnect=FullJitter(base_s=60, cap_s=60))


class Sio(FastSocketIOUser):
    abstract = True
    confirm = CONFIRM


def opening(interval_ms: int = 25_000, timeout_ms: int = 20_000, confirms: str = '40{"sid":"s"}') -> list[Step]:
    """The beginning of a session as other servers do it: the namespace is confirmed first."""
    open_packet = {
        "sid": "e",
        "upgrades": [],
        "pingInterval": interval_ms,
        "pingTimeout": timeout_ms,
        "maxPayload": 10**6,
    }
    return [upgrade(), send(text("0" + json.dumps(open_packet))), wait_messages(), send(text(confirms))]


def packets(peer: PeerConnection) -> list[str]:
    return [each.data for each in peer.of_kind("text")]


# ── calls ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_call_is_answered_by_its_ack(server: Server) -> None:
    """The reference server's acks are empty; the event that it emits beside is a push."""

    def calls(user: Any) -> Any:
        reply = user.sio.call("client_register", {"type": "t", "name": "n"})
        return reply, user.sio.expect("registration_confirmed")["name"]

    result, run = inside(Sio, server.url, calls)
    assert result == (None, "n")
    assert set(run.balance()) == {"CONNECT /socket.io/", "SIO client_register", "SIO registration_confirmed"}
    assert run.of_type("SIO")[0].response_time > 0  # type: ignore[operator]


def test_a_call_is_answered_by_its_confirming_event(server: Server) -> None:
    """With the same key and value; nothing asks for an ack then, and the confirmation is no push."""

    def calls(user: Any) -> Any:
        return [user.sio.call("context_set", {"key": f"k{n}", "value": {"n": n}})["value"] for n in range(3)]

    values, run = inside(Sio, server.url, calls)
    assert values == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert run.ledger("SIO", "context_set").ok == 3
    assert "context_set_confirmed" not in {each.event for each in run.recorder.snapshot(0.0).pushes}
    assert server.counters()["by_channel"]["live"]["messages_received"] == 3


def test_the_others_get_the_change_as_a_push(server: Server) -> None:
    """N clients, one set: N-1 pushes."""
    made = user_class(Sio, idles)
    with running(made, server.url, count=4) as run:
        eventually(lambda: run.states == {"open": 4})
        run.user.sio.call("context_set", {"key": "k", "value": 1})

        def updates() -> int:
            return sum(each.received for each in run.recorder.snapshot(0.0).pushes if each.event == "context_updated")

        eventually(lambda: updates() == 3)


def test_the_error_event_answers_the_oldest_open_call(server: Server) -> None:
    """As ``error_reply``; the reply has the server's words, the text has not."""
    error, run = inside(Sio, server.url, lambda user: user.sio.call("context_set", {"key": "k"}))
    assert isinstance(error, RequestTimeout | ErrorReply)
    assert isinstance(error, ErrorReply)
    assert error.reply == [{"message": "key and value are required"}]
    assert run.failures("SIO") == ["error_reply - the server answered with an error"]


def test_an_unknown_event_is_never_acknowledged(server: Server) -> None:
    """``timeout`` at the deadline, once."""
    error, run = inside(Sio, server.url, lambda user: user.sio.call("nonsense", timeout_s=0.1))
    assert isinstance(error, RequestTimeout)
    assert run.failures("SIO") == ["timeout - no reply by the deadline"]


def test_what_an_ack_carries() -> None:
    """Nothing, one value, or several as a tuple; of arguments likewise."""
    answers = ["[]", '["one"]', '["a",2]']

    def acks(peer: PeerConnection) -> None:
        for done, answer in enumerate(answers, 1):
            peer.until(lambda each, done=done: len(packets(each)) > done)
            number = packets(peer)[done][2:].partition("[")[0]
            peer.sock.sendall(text(f"43{number}{answer}"))

    def calls(user: Any) -> Any:
        return user.sio.call("none"), user.sio.call("one", {"a": 1}), user.sio.call("several", ("x", 2, None))

    with Peer(*opening(), acks, stall()) as peer:
        replies, _ = inside(Sio, peer.url, calls)
        assert replies == (None, "one", ("a", 2))
        assert packets(peer.last)[1:4] == ['421["none"]', '422["one",{"a":1}]', '423["several","x",2,null]']


def test_checks_of_calls(server: Server) -> None:
    """As for WebSocket requests."""

    def calls(user: Any) -> None:
        with user.sio.call("context_set", {"key": "k", "value": 1}, catch_response=True) as reply:
            assert reply.data["status"] == "success"
            reply.failure("not good enough")
        with user.sio.call("context_set", {}, name="judged", catch_response=True) as reply:
            reply.success()

    error, run = inside(Sio, server.url, calls)
    assert error is None
    assert run.failures("SIO")[0] == "check_failed - not good enough"


# ── one-way events and pushes ──────────────────────────────────────────────────────────────────────────────────────────


def test_emit_is_a_send(server: Server) -> None:
    """Without a response time; arguments as python-socketio has them."""

    def emits(user: Any) -> None:
        user.sio.emit("context_set", {"key": "k", "value": 1}, name="set")
        user.sio.emit("nothing")
        user.sio.expect("context_set_confirmed")

    error, run = inside(Sio, server.url, emits, confirm={})
    assert error is None
    assert [(each.name, each.response_time) for each in run.of_type("SEND")] == [("set", None), ("nothing", None)]


def test_events_before_the_namespace_is_confirmed_are_not_lost(server: Server) -> None:
    """The server sends its snapshot first."""

    def listens(user: Any) -> Any:
        return [user.sio.receive(1) for _ in range(2)]

    received, _ = inside(Sio, server.url, listens)
    assert [each[0] for each in received] == ["context_snapshot", "client_stats"]
    assert received[1][1]["count"] == 1


def test_handlers_and_expect(server: Server) -> None:
    """By event, by predicate, and for all events; a push that a handler has taken is kept for nobody else."""
    seen: list[Any] = []

    def listens(user: Any) -> Any:
        server._ask("POST", "/ctx", {"key": "z", "value": 1})
        user.sio.expect("context_updated")
        for key in ("a", "b", "c"):
            server._ask("POST", "/ctx", {"key": key, "value": 1})
        eventually(lambda: user.sio.connection.messages_received == 6)
        user.sio.on("context_updated", lambda data: seen.append(data["key"]))
        user.sio.on("*", lambda event, *args: seen.append(event))
        server._ask("POST", "/ctx", {"key": "d", "value": 1})
        eventually(lambda: len(seen) == 2)
        by_event = user.sio.expect("context_updated", lambda data: data["key"] == "b")
        by_predicate = user.sio.expect(lambda event, data: event == "context_updated" and data["key"] == "c")
        with pytest.raises(RequestTimeout):
            user.sio.expect("never", timeout_s=0.05)
        return by_event["key"], by_predicate["key"]

    result, run = inside(Sio, server.url, listens)
    assert result == ("b", "c")
    assert seen[:2] == ["d", "context_updated"]
    names = [each.name for each in run.of_type("SIO")]
    assert names == ["context_updated", "context_updated", "expect", "never"]


def test_an_ack_that_the_server_asks_for_is_given_and_counted() -> None:
    """At once; it is a message of ours, and no operation."""
    with Peer(*opening(), send(text('4277["question",1]')), wait_messages(2), stall()) as peer:
        event, run = inside(
            Sio, peer.url, lambda user: (user.sio.receive(1), eventually(lambda: len(packets(peer.last)) > 1))
        )
        assert event[0] == ["question", 1]
        assert packets(peer.last)[1] == "4377[]"
        assert set(run.balance()) == {"CONNECT /socket.io/"}
        assert run.recorder.traffic.messages_sent == 1


@pytest.mark.parametrize(
    ("value", "packet"),
    [(None, "4377[]"), ({"ok": True}, '4377[{"ok":true}]'), ((1, "two"), '4377[1,"two"]'), ([1], "4377[[1]]")],
)
def test_what_a_handler_returns_is_the_ack(value: Any, packet: str) -> None:
    """None is no argument, a tuple several, anything else one; of several handlers the first answers."""

    def answers(user: Any) -> None:
        user.sio.on("question", lambda number: value)
        user.sio.on("*", lambda event, *args: "not asked")
        user.sio.emit("go")
        eventually(lambda: len(packets(peer.last)) > 2)

    with Peer(*opening(), wait_messages(2), send(text('4277["question",1]')), wait_messages(3), stall()) as peer:
        inside(Sio, peer.url, answers)
        assert packets(peer.last)[2:] == [packet, "41"]


@pytest.mark.parametrize("value", [object(), ValueError("on purpose")])
def test_a_handler_that_raises_or_returns_what_json_cannot_hold_sends_no_ack(value: Any) -> None:
    """It is an exception of the locustfile, told once; the connection does not notice."""
    caught: list[Any] = []

    def answers(user: Any) -> str:
        def handler(number: int) -> Any:
            if isinstance(value, Exception):
                raise value
            return value

        user.environment.events.user_error.add_listener(lambda exception, **_: caught.append(exception))
        user.sio.on("question", handler)
        user.sio.emit("go")
        eventually(lambda: caught)
        return str(user.sio.state)

    with Peer(*opening(), wait_messages(2), send(text('4277["question",1]')), stall()) as peer:
        state, _ = inside(Sio, peer.url, answers)
        assert (state, packets(peer.last)[2:], len(caught)) == ("open", ["41"], 1)


def test_auth_may_be_a_function_that_is_asked_at_each_connect() -> None:
    """With the user."""
    with Peer(*opening(), stall()) as peer:
        inside(Sio, peer.url, lambda user: None, auth=lambda user: {"token": user.client_id[:3]})
        assert packets(peer.last)[0] == '40{"token":"lx-"}'


def test_auth_that_json_cannot_hold_is_an_error_of_the_locustfile(caplog: pytest.LogCaptureFixture) -> None:
    """Said once, without its value; not blamed on the server, and no load comes of it."""
    with (
        Peer(*opening(), stall()) as peer,
        running(user_class(Sio, idles, auth={"token": object()}), peer.url) as run,
    ):
        eventually(lambda: run.environment.process_exit_code == 1)
        eventually(lambda: run.runner.user_count == 0)
        assert run.failures("CONNECT") == []
        assert peer.connections == []
    assert "auth: expected a mapping of what JSON can hold" in caplog.text
    assert "object at" not in caplog.text


@pytest.mark.parametrize("confirm", [{"join": "joined"}, ConfirmedBy({"join": ("joined", ())})])
def test_confirming_events_may_be_written_short_or_as_a_rule(confirm: Any) -> None:
    """Without fields the event alone confirms."""
    with Peer(*opening(), wait_messages(2), send(text('42["joined",{"room":1}]')), stall()) as peer:
        reply, _ = inside(Sio, peer.url, lambda user: user.sio.call("join"), confirm=confirm)
    assert reply == {"room": 1}


def test_a_confirm_that_is_none_is_refused_with_the_class() -> None:
    """When the class is made."""
    with pytest.raises(ConfigError, match=r"confirm\.join: the confirming event, or a pair .* \(got 7\)"):
        user_class(Sio, idles, confirm={"join": 7})


def test_an_error_after_a_call_that_timed_out_belongs_to_the_call_that_is_open() -> None:
    """The acks carry ids: no answer is owed to the dead call, and the living one does not come out as good."""

    def asks(user: Any) -> Any:
        with pytest.raises(RequestTimeout):
            user.sio.call("first", timeout_s=0.1)
        with pytest.raises(ErrorReply):
            user.sio.call("second", timeout_s=2)

    steps = [*opening(), wait_messages(3), send(text('42["error",{"message":"no"}]') + text("432[]")), stall()]
    with Peer(*steps) as peer:
        _, run = inside(Sio, peer.url, asks)
    assert (run.ledger("SIO", "first").timed_out, run.ledger("SIO", "first").late) == (1, 0)
    second = run.ledger("SIO", "second")
    assert (second.ok, second.failed, second.duplicate) == (0, 1, 1)


def test_binary_both_ways() -> None:
    """Attachments inside arguments; sizes count every part of the message."""
    arrival = '451-["file",{"_placeholder":true,"num":0}]'

    def sends(user: Any) -> Any:
        user.sio.emit("upload", {"data": b"\x00\x01\x02"})
        return user.sio.receive(2)

    with Peer(*opening(), wait_messages(3), send(text(arrival) + frame(BINARY, b"abcd")), stall()) as peer:
        received, run = inside(Sio, peer.url, sends)
        assert received == ["file", b"abcd"]
        sent = peer.last.got[1:3]
        assert sent[0].data == '451-["upload",{"data":{"_placeholder":true,"num":0}}]'
        assert (sent[1].kind, sent[1].data) == ("binary", b"\x00\x01\x02")
        traffic = run.recorder.traffic
        assert (traffic.messages_sent, traffic.bytes_sent) == (1, len(sent[0].data) + 3)
        assert (traffic.messages_received, traffic.bytes_received) == (1, len(arrival) + 4)


# ── opening ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_namespace_with_auth() -> None:
    """``40/admin,{auth}``; events of other namespaces are none of ours."""
    opens = opening(confirms='42/admin,["early",1]')
    steps = [
        *opens,
        send(text('42/other,["no"]') + text('40/admin,{"sid":"s2"}') + text('42/admin,["late",2]')),
        stall(),
    ]
    with Peer(*steps) as peer:
        received, _ = inside(
            Sio,
            peer.url,
            lambda user: (user.sio.receive(1), user.sio.receive(1), user.sio.connection.sid),
            namespace="/admin",
            auth={"token": "secret"},
        )
        assert received == (["early", 1], ["late", 2], "s2")
        assert packets(peer.last)[0] == '40/admin,{"token":"secret"}'
        assert packets(peer.last)[-1] == "41/admin,"


def test_a_second_namespace_is_a_second_connection(server: Server) -> None:
    """With a life of its own; the reference server has only the namespace ``/``."""

    def opens(user: Any) -> Any:
        other = user.open_socketio()
        other.call("client_register", {"type": "t", "name": "n"})
        with pytest.raises(ConnectFailed) as caught:
            user.open_socketio("/nowhere")
        return str(caught.value), user.sio.is_connected, other.is_connected

    result, run = inside(Sio, server.url, opens)
    assert result == ("bad_handshake - the server refused the namespace", True, True)
    found = run.ledger("CONNECT")
    assert (found.ok, found.failed) == (2, 1)
    assert run.of_type("DROP") == []


def test_a_refused_namespace_is_a_failed_connect_and_is_tried_again() -> None:
    """No DROP; nothing of the server's message is shown."""
    refused = opening(confirms='44{"message":"secret"}')
    scripts = [[*refused, wait_end()], [*refused, wait_end()], [*opening(), stall()]]
    with Peer(*scripts) as peer, running(user_class(Sio, idles), peer.url) as run:
        eventually(lambda: run.states == {"open": 1})
        assert len(run.failures("CONNECT")) == 2
        assert {each.split()[0] for each in run.failures("CONNECT")} == {"bad_handshake"}
        assert "secret" not in str(run.failures("CONNECT"))
        assert run.of_type("DROP") == []


def test_a_namespace_that_stays_refused_is_tried_three_times_more(caplog: pytest.LogCaptureFixture) -> None:
    """As a 403; then the user is ``failed`` and stays, and the log says so once, without the server's words."""
    with (
        Peer(*opening(confirms='44{"message":"secret"}'), wait_end()) as peer,
        running(user_class(Sio, idles), peer.url) as run,
    ):
        eventually(lambda: run.states == {"failed": 1})
        gevent.sleep(0.15)
        assert run.failures("CONNECT") == ["bad_handshake - the server refused the namespace"] * 4
        assert len(peer.connections) == 4
        assert run.runner.user_count == 1
    (said,) = (each.getMessage() for each in caplog.records if "given up" in each.getMessage())
    assert said.endswith("has given up connecting to /socket.io/: the server refused the namespace")


@pytest.mark.parametrize(
    ("steps", "error_class"),
    [
        ([upgrade(), stall()], "connect_timeout"),
        ([upgrade(), send(text("nonsense")), wait_end()], "bad_handshake"),
        ([upgrade(), send(text("0nonsense")), wait_end()], "bad_handshake"),
    ],
)
def test_an_opening_that_never_comes_to_its_end(steps: list[Step], error_class: str) -> None:
    """Is a failed connect, by the one deadline."""
    with Peer(*steps) as peer, running(user_class(Sio, idles, connect_timeout_s=0.2, pattern=NEVER), peer.url) as run:
        eventually(lambda: run.failures("CONNECT"))
        assert run.failures("CONNECT")[0].split()[0] == error_class
        eventually(lambda: peer.last.ended)


# ── the end ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_disconnect_leaves_the_namespace_in_order(server: Server) -> None:
    """``41``, then a close with 1000; a call after it fails at once."""

    def leaves(user: Any) -> Any:
        user.sio.disconnect()
        eventually(lambda: server.counters()["open_connections"] == 0)
        begun_s = monotonic()
        with pytest.raises(ConnectionLost):
            user.sio.call("client_register", {})
        took_s = monotonic() - begun_s
        user.sio.connect()
        return took_s, user.sio.is_connected

    (took_s, is_connected), run = inside(Sio, server.url, leaves)
    assert took_s < 0.5
    assert is_connected
    assert run.of_type("DROP") == []
    assert run.failures("SIO") == ["lost - the connection went before the reply came"]


def test_a_call_on_a_channel_that_was_never_open_is_lost_at_once() -> None:
    """Not a timeout: nothing was waited for."""

    class Early(Sio):
        abstract = True

        def start(self, group: Any) -> Any:
            return super().start(group)

    def calls(user: Any) -> Any:
        from locust_ext.plugin.users.socketio import SocketIOChannel

        channel = SocketIOChannel(user, "/other/", user.socketio_profile())
        with pytest.raises(ConnectionLost) as caught:
            channel.call("x")
        return str(caught.value)

    with Peer(*opening(), stall()) as peer:
        said, run = inside(Early, peer.url, calls)
    assert said == "lost - the connection is not open"
    assert run.ledger("SIO", "x").lost == 1


@pytest.mark.parametrize("packet", ["41", "1"])
def test_a_server_that_disconnects_is_come_back_to(packet: str) -> None:
    """In order, when nothing is pending: no DROP; a pending call is lost, and then it is one."""
    script = [*opening(), wait(0.05), send(text(packet)), wait_end()]
    with Peer(script, [*opening(), stall()]) as peer, running(user_class(Sio, idles), peer.url) as run:
        eventually(lambda: len(peer.connections) == 2 and run.states == {"open": 1})
        assert run.of_type("DROP") == []
        assert run.recorder.snapshot(0.0).connections.closed_in_order == 1

    def calls(user: Any) -> None:
        user.sio.call("ask", timeout_s=5)

    script = [*opening(), wait_messages(2), send(text(packet)), wait_end()]
    with Peer(script, [*opening(), stall()]) as peer:
        error, run = inside(Sio, peer.url, calls)
        assert isinstance(error, ConnectionLost)
        assert len(run.of_type("DROP")) == 1


def test_pings_are_answered_and_silence_is_noticed() -> None:
    """``2`` -> ``3``; none for pingInterval + pingTimeout: ``ping_timeout``."""
    script = [*opening(100, 100), wait(0.05), send(text("2")), wait_messages(2), stall()]
    with Peer(script, [*opening(), stall()]) as peer, running(user_class(Sio, idles), peer.url) as run:
        eventually(lambda: run.of_type("DROP"), 3.0)
        lived_s = run.of_type("DROP")[0].at_s - peer.connections[0].accepted_s
        assert 0.25 <= lived_s < 1.2
        assert run.failures("DROP") == ["ping_timeout - the peer did not answer a ping in time"]
        assert packets(peer.connections[0])[1] == "3"
        eventually(lambda: len(peer.connections) == 2)
        assert run.recorder.traffic.messages_sent == 0


def test_a_server_that_pings_often_keeps_the_connection() -> None:
    """Over many intervals, and neither side counts a message for it."""
    with own_server("--ping-interval-s", "0.05", "--ping-timeout-s", "0.1") as quick:
        with running(user_class(Sio, idles), quick.url) as run:
            eventually(lambda: run.states == {"open": 1})
            gevent.sleep(0.6)
            assert run.states == {"open": 1}
            assert quick.counters()["messages_received"] == 0
            assert run.recorder.traffic.messages_sent == 0
        assert run.of_type("DROP") == []


def test_calls_under_faults_balance(server: Server) -> None:
    """Drops, errors, silence, duplicates: each call has one outcome, and the users are back each time."""
    server.misbehave(drop_ratio=0.05, error_ratio=0.1, silent_ratio=0.05, duplicate_ratio=0.1, seed=5)

    def calls(user: Any) -> None:
        value = user.random.random()
        user.sio.call("context_set", {"key": user.client_id, "value": value}, timeout_s=0.2)

    with running(user_class(Sio, calls), server.url, count=10) as run:
        eventually(lambda: len(run.of_type("SIO")) > 300, 15.0)
        run.stop()
        found = run.balance()["SIO context_set"]
        assert min(found.ok, found.failed, found.timed_out, found.lost, found.duplicate) > 0
        assert run.runner.exceptions == {}
        assert server.counters()["messages_received"] <= run.recorder.traffic.messages_sent  # some died on the way


# ── settings ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_wrong_confirmation_is_an_error_of_the_definition() -> None:
    """Not of the run."""
    with pytest.raises(ConfigError):
        user_class(Sio, idles, confirm={"a": ("x", ("k",)), "b": ("x", ("other",))})


def test_another_path_is_the_name(server: Server) -> None:
    """Its template, as always."""
    with running(user_class(Sio, idles, socketio_path="/nowhere/", pattern=NEVER), server.url) as run:
        eventually(lambda: run.failures("CONNECT"))
        assert set(run.balance()) == {"CONNECT /nowhere/"}


def test_a_generator_drives_a_socketio_user(server: Server) -> None:
    """Messages are events; one-way ones are emitted."""
    from locust_ext.core.messages.message import Message

    def events(rng: Any, client_id: str) -> Any:
        return Message("client_register", {"type": "t", "name": client_id})

    made = user_class(Sio, generator=events, pattern=QUICK)
    with running(made, server.url) as run:
        eventually(lambda: len(run.of_type("SIO")) > 3)
        assert run.failures("SIO") == []
