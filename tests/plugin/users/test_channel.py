"""`plugin.users.channel`: what a request, a check, a push and a second connection come to, on the real reference server."""

from __future__ import annotations

from locust.exception import StopUser

import re
from contextlib import suppress
from time import monotonic
from typing import Any

import gevent
import pytest

from locust_ext.core.lifecycle import FullJitter, Persistent
from locust_ext.core.protocols.correlation import ByType, Fifo
from locust_ext.errors import ConfigError, ConnectionLost, ErrorReply, RequestTimeout
from locust_ext.model import OperationStats
from locust_ext.plugin.users.agent import AgentUser
from locust_ext.plugin.users.websocket import WebSocketUser
from tests.e2e.runs import Server
from tests.peers import Peer, echo, eventually, refused_port, reset, stall, upgrade, wait, wait_messages
from tests.plugin.inside import idles, inside, user_class
from tests.runtime.locusting import running

PING = {"type": "ping"}
QUERY = {"type": "query", "data": {"query_type": "world_state"}}
NEVER = Persistent(reconnect=FullJitter(base_s=60, cap_s=60))


def columns(found: OperationStats) -> dict[str, int]:
    """The columns of a ledger that are not 0."""
    names = ("ok", "failed", "timed_out", "lost", "cancelled", "in_flight", "late", "duplicate", "unmatched")
    return {name: getattr(found, name) for name in names if getattr(found, name)}


# ── misuse ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("misuse", "said"),
    [
        (lambda ws: ws.request(PING, timeout_s=0), "timeout_s: expected seconds above 0 (got 0)"),
        (lambda ws: ws.request(PING, timeout_s=-1), "timeout_s: expected seconds above 0 (got -1)"),
        (lambda ws: ws.request(PING, timeout_s=float("nan")), "timeout_s: expected seconds above 0 (got nan)"),
        (lambda ws: ws.submit(PING, timeout_s="5"), "timeout_s: expected seconds above 0 (got '5')"),
        (lambda ws: ws.receive(float("inf")), "timeout_s: expected seconds above 0 (got inf)"),
        (lambda ws: ws.request(PING, tags=5), "tags: expected a text, or a collection of them (got 5)"),
        (
            lambda ws: ws.on("x", "no function"),
            "on('x'): expected a function to call for each push (got 'no function')",
        ),
        (
            lambda ws: ws.close(1005),
            "code: expected a close code that may be sent: 1000 to 1003, 1007 to 1014, or 3000 to 4999 (got 1005)",
        ),
        (lambda ws: ws.close(1000, "x" * 124), f"reason: expected at most 123 bytes of UTF-8 (got {'x' * 124!r})"),
    ],
)
def test_misuse_is_said_where_it_happens_and_costs_nothing(server: Server, misuse: Any, said: str) -> None:
    """No outcome, no loss: the connection is as it was."""

    def asks(user: Any) -> str:
        with pytest.raises(ConfigError) as caught:
            misuse(user.ws)
        assert user.ws.is_connected
        return str(caught.value)

    text, run = inside(AgentUser, server.url, asks)
    assert text == said
    assert {each.type for each in run.events} == {"CONNECT"}


def test_what_cannot_be_encoded_was_never_an_operation(server: Server) -> None:
    """Neither as a request nor one-way; nor a push whose predicate raises."""

    def asks(user: Any) -> None:
        for attempt in (user.ws.request, user.ws.send, user.ws.submit):
            with pytest.raises(TypeError):
                attempt({"type": "ping", "data": object()})
        with pytest.raises(ZeroDivisionError):
            user.ws.expect(lambda push: 1 / 0, 1)

    _, run = inside(AgentUser, server.url, asks)
    assert {each.type for each in run.balance().values() if columns(each)} == {"CONNECT"}


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"inbox_policy": "drop_newest"}, "inbox_policy: expected one of drop_oldest, close (got 'drop_newest')"),
        ({"compression": "yes"}, "compression: expected True, False or a DeflateOffer (got 'yes')"),
    ],
)
def test_a_setting_that_is_none_is_refused_with_the_class(setting: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        user_class(WebSocketUser, idles, **setting)


def test_a_decoder_that_raises_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """What it could not read is handed on as it came."""

    def decode(payload: Any) -> Any:
        raise ZeroDivisionError("on purpose")

    def asks(user: Any) -> Any:
        for number in range(3):
            user.ws.send(f"text {number}")
        return [user.ws.receive(2) for _ in range(3)]

    with Peer(upgrade(), echo()) as peer:
        texts, _ = inside(WebSocketUser, peer.url, asks, decode=staticmethod(decode))
    assert texts == ["text 0", "text 1", "text 2"]
    assert caplog.text.count("ZeroDivisionError: on purpose") == 1


def test_a_pattern_that_has_not_noticed_the_stop_leaves_no_state_behind(server: Server) -> None:
    """Its word comes when the channel is shut already: nobody would ever take it back."""

    def shuts(user: Any) -> None:
        user.ws.begin_shutdown()
        user.ws.finish_shutdown(1.0)
        user.ws.rest("waiting")

    _, run = inside(AgentUser, server.url, shuts)
    assert run.states == {}


# ── the outcomes of a request ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_reply_is_a_round_trip(server: Server) -> None:
    """Decoded, timed, with its payload's size; one event under its own name."""
    lengths: list[Any] = []

    def asks(user: Any) -> Any:
        user.environment.events.request.add_listener(lambda response_length, **_: lengths.append(response_length))
        return user.ws.request(QUERY)

    reply, run = inside(AgentUser, server.url, asks)
    assert (reply["type"], reply["query_type"]) == ("query_result", "world_state")
    event = run.of_type("WS")[0]
    assert (event.name, event.exception) == ("query", None)
    assert 0 < event.response_time < 2000  # type: ignore[operator]
    assert lengths[0] > 100
    assert columns(run.ledger("WS")) == {"ok": 1}


@pytest.mark.parametrize(
    ("faults", "kind", "text", "outcome"),
    [
        ({"error_ratio": 1.0}, ErrorReply, "error_reply - INJECTED_FAULT", {"failed": 1}),
        ({"silent_ratio": 1.0}, RequestTimeout, "timeout - no reply by the deadline", {"timed_out": 1}),
        ({"drop_ratio": 1.0}, ConnectionLost, "lost - the connection went before the reply came", {"lost": 1}),
        ({"close_code": 1011}, ConnectionLost, "lost - the connection went before the reply came", {"lost": 1}),
    ],
)
def test_a_request_that_fails(
    server: Server, faults: dict[str, Any], kind: type[Exception], text: str, outcome: dict[str, int]
) -> None:
    """Raises, and is recorded once, with the class as the first word."""
    server.misbehave(**faults)
    error, run = inside(
        AgentUser, server.url, lambda user: user.ws.request(PING, timeout_s=0.3), pattern=NEVER, heartbeat_s=0
    )
    assert isinstance(error, kind)
    assert str(error) == text
    assert run.failures("WS") == [text]
    assert columns(run.ledger("WS")) == outcome


def test_an_error_reply_carries_the_reply(server: Server) -> None:
    """The bounded text is the server's code, never its words."""
    error, _ = inside(AgentUser, server.url, lambda user: user.ws.request({"type": "nonsense"}))
    assert error.reply["code"] == "UNKNOWN_MESSAGE_TYPE"
    assert str(error) == "error_reply - UNKNOWN_MESSAGE_TYPE"
    error, _ = inside(AgentUser, server.url, lambda user: user.ws.request({"type": "query", "data": {}}))
    assert str(error) == "error_reply - the server answered with an error"


def test_late_and_duplicate_replies_are_counted_beside_the_ledger(server: Server) -> None:
    """They answer nobody else's request."""

    def asks(user: Any) -> Any:
        server.misbehave(duplicate_ratio=1.0)
        first = user.ws.request({"type": "query", "data": {"query_type": "agent_status"}}, name="twice")
        eventually(lambda: user.ws.connection.messages_received == 3)
        server.misbehave()
        return first["query_type"], user.ws.request(PING)["type"]

    result, run = inside(AgentUser, server.url, asks)
    assert result == ("agent_status", "pong")
    assert columns(run.ledger("WS", "twice")) == {"ok": 1, "duplicate": 1}
    assert columns(run.ledger("WS", "ping")) == {"ok": 1}


def test_tags_keep_operations_apart(server: Server) -> None:
    """Of requests, pipelined ones and sends."""

    def asks(user: Any) -> None:
        user.ws.request(PING, name="tagged", tags=("a", "b"))
        user.ws.submit(PING, name="piped", tags=("c",))
        user.ws.request(PING)
        user.ws.send({"type": "heartbeat"}, tags=("a",))

    _, run = inside(AgentUser, server.url, asks, heartbeat_s=0)
    found = {(each.type, each.tags): each.ok for each in run.recorder.snapshot(0.0).operations}
    assert found == {
        ("CONNECT", ()): 1,
        ("WS", ("a", "b")): 1,
        ("WS", ("c",)): 1,
        ("WS", ()): 1,
        ("SEND", ("a",)): 1,
    }


# ── checks ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Judged:
    """One ``with`` block, which ends as ``judge(reply)`` says."""

    def __init__(self, judge: Any, message: Any = PING) -> None:
        self.judge = judge
        self.message = message

    def __call__(self, user: Any) -> Any:
        with user.ws.request(self.message, catch_response=True) as reply:
            return self.judge(reply)


def raises(error: BaseException) -> Any:
    def judge(reply: Any) -> None:
        raise error

    return judge


@pytest.mark.parametrize(
    ("judge", "text"),
    [
        (lambda reply: reply.data["type"], None),
        (lambda reply: reply.failure("no agents"), "check_failed - no agents"),
        (lambda reply: (reply.failure("no agents"), reply.success()), None),
        (raises(AssertionError("too few")), "check_failed - too few"),
        (raises(AssertionError()), "check_failed - assertion failed"),
        (raises(KeyError("secret")), "check_failed - KeyError in the check"),
        (raises(StopUser()), None),
        (raises(RequestTimeout()), None),
    ],
)
def test_a_check_decides(server: Server, judge: Any, text: str | None) -> None:
    """One outcome, class ``check_failed``; what leaves the block for other reasons says nothing about the reply."""
    _, run = inside(AgentUser, server.url, _caught(judge))
    assert run.failures("WS") == ([] if text is None else [text])
    assert columns(run.ledger("WS")) == ({"ok": 1} if text is None else {"failed": 1})


def _caught(judge: Any) -> Any:
    """An assertion that fails in the block goes on; here it is the test's own."""

    def asks(user: Any) -> None:
        with suppress(AssertionError):
            Judged(judge)(user)

    return asks


def test_an_error_reply_may_be_judged_too(server: Server) -> None:
    """It is a failure unless the block says otherwise; the reply is there."""
    wrong = {"type": "nonsense"}

    def asks(user: Any) -> Any:
        with user.ws.request(wrong, name="kept", catch_response=True) as reply:
            assert str(reply.error) == "error_reply - UNKNOWN_MESSAGE_TYPE"
        with user.ws.request(wrong, name="good", catch_response=True) as reply:
            reply.success()
        return reply.data["code"]

    code, run = inside(AgentUser, server.url, asks)
    assert code == "UNKNOWN_MESSAGE_TYPE"
    assert run.failures("WS") == ["error_reply - UNKNOWN_MESSAGE_TYPE"]
    assert columns(run.ledger("WS", "good")) == {"ok": 1}


def test_a_reply_that_nobody_judges_counts_as_it_came(server: Server) -> None:
    """A caught reply without its ``with`` block is not left in flight."""

    def asks(user: Any) -> None:
        user.ws.request(PING, catch_response=True)
        user.ws.request({"type": "nonsense"}, name="wrong", catch_response=True)
        eventually(lambda: run_so_far(user) == ({"ok": 1}, {"failed": 1}))

    def run_so_far(user: Any) -> Any:
        operations = {each.name: each for each in user.intake.recorder.snapshot(0.0).operations}
        return columns(operations["ping"]), columns(operations["wrong"])

    inside(AgentUser, server.url, asks)


def test_a_request_without_a_reply_raises_also_with_catch_response(server: Server) -> None:
    """There is nothing to judge."""
    server.misbehave(silent_ratio=1.0)

    def asks(user: Any) -> Any:
        with user.ws.request(PING, timeout_s=0.1, catch_response=True):
            raise AssertionError("never reached")

    error, run = inside(AgentUser, server.url, asks, heartbeat_s=0)
    assert isinstance(error, RequestTimeout)
    assert columns(run.ledger("WS")) == {"timed_out": 1}


def test_a_user_killed_inside_the_block_has_its_request_cancelled(server: Server) -> None:
    """The check was not finished, so there is no verdict; the same as for HTTP."""
    seen: list[str] = []

    def rests(user: Any) -> None:
        with user.ws.request(PING, catch_response=True):
            seen.append("inside")
            gevent.sleep(60)

    with running(user_class(AgentUser, rests), server.url) as run:
        eventually(lambda: seen)
        run.stop()
        assert columns(run.ledger("WS")) == {"cancelled": 1}
        assert run.of_type("WS") == []


def test_a_verdict_given_before_the_kill_counts(server: Server) -> None:
    """It was the locustfile's last word on the reply."""
    seen: list[str] = []

    def rests(user: Any) -> None:
        with user.ws.request(PING, catch_response=True) as reply:
            reply.failure("bad")
            seen.append("inside")
            gevent.sleep(60)

    with running(user_class(AgentUser, rests), server.url) as run:
        eventually(lambda: seen)
        run.stop()
        assert run.failures("WS") == ["check_failed - bad"]


# ── while the connection is down ───────────────────────────────────────────────────────────────────────────────────────


def test_operations_wait_for_the_connection_and_fail_at_their_deadline() -> None:
    """request, submit, send and ping: each once, ``timeout``, within its own time."""

    def asks(user: Any) -> Any:
        eventually(lambda: not user.ws.is_connected)
        took: list[float] = []
        for operation in (
            lambda: user.ws.request(PING, timeout_s=0.1),
            lambda: user.ws.submit(PING, timeout_s=0.1),
            lambda: user.ws.send(PING),
            lambda: user.ws.ping(),
        ):
            begun_s = monotonic()
            with pytest.raises(RequestTimeout):
                operation()
            took.append(monotonic() - begun_s)
        return took

    with Peer(upgrade(), wait(0.02), reset()) as peer:
        took, run = inside(WebSocketUser, peer.url, asks, pattern=NEVER, request_timeout_s=0.2)
    for seconds, wanted in zip(took, (0.1, 0.1, 0.2, 0.2), strict=True):
        assert wanted <= seconds < wanted + 0.5
    assert set(run.failures("WS", "SEND")) == {"timeout - the connection was down until the deadline"}
    assert columns(run.ledger("WS")) == {"timed_out": 2}
    assert columns(run.ledger("SEND")) == {"timed_out": 1}


def test_a_user_that_has_given_up_fails_its_requests_at_their_deadlines() -> None:
    """Its state is ``failed``; it stays, and every request has its outcome."""

    def asks(user: Any) -> Any:
        with pytest.raises(RequestTimeout):
            user.ws.request(PING, timeout_s=0.05)
        return user.ws.state

    refused = Persistent(max_attempts=1)
    url = f"http://127.0.0.1:{refused_port()}"
    state, run = inside(WebSocketUser, url, asks, pattern=refused)
    assert state == "failed"
    assert run.failures("CONNECT") == ["refused - the target refused the TCP connection"]
    assert columns(run.ledger("WS")) == {"timed_out": 1}


def test_waiting_operations_go_out_when_the_connection_is_back(server: Server) -> None:
    """Of several greenlets of one user, all of them."""

    def asks(user: Any) -> Any:
        user.ws.connection.abort()
        asked = [gevent.spawn(user.ws.request, PING, timeout_s=3) for _ in range(3)]
        user.ws.send({"type": "heartbeat"})
        gevent.joinall(asked, raise_error=True)
        return [each.value["type"] for each in asked]

    types, run = inside(AgentUser, server.url, asks, heartbeat_s=0)
    assert types == ["pong"] * 3
    assert run.recorder.snapshot(0.0).connections.reconnects == 1
    assert run.failures("DROP") == ["lost - the connection went before the reply came"]


# ── pipelines ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_submitted_requests_have_their_outcomes_later(server: Server) -> None:
    """All of them, in the ledger and in Locust's events; errors too."""

    def submits(user: Any) -> None:
        for number in range(20):
            user.ws.submit(PING if number % 4 else {"type": "nonsense"}, name="piped")

    with running(user_class(AgentUser, submits, max_in_flight=8), server.url) as run:
        eventually(lambda: len(run.of_type("WS")) >= 40)
        run.stop()
        found = run.ledger("WS", "piped")
        assert found.ok > 0
        assert found.failed > 0
        assert set(run.failures("WS")) == {"error_reply - UNKNOWN_MESSAGE_TYPE"}


def test_a_pipeline_on_a_lost_connection_is_lost(server: Server) -> None:
    """Each of its requests, once."""
    server.misbehave(silent_ratio=1.0)

    def submits(user: Any) -> None:
        for _ in range(5):
            user.ws.submit(PING, timeout_s=30)
        user.ws.connection.abort()

    _, run = inside(AgentUser, server.url, submits, max_in_flight=5, pattern=NEVER)
    assert columns(run.ledger("WS")) == {"lost": 5}


# ── pushes ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def push(server: Server, **event: Any) -> int:
    receivers: int = server._ask("POST", "/events", {"channel": "world", "event_type": "e", "data": {}, **event})[
        "receivers"
    ]
    return receivers


def test_pushes_reach_handlers_receive_and_expect(server: Server) -> None:
    """Counted as pushes, in bulk: no request event."""
    seen: list[Any] = []

    def listens(user: Any) -> Any:
        assert user.ws.receive()["type"] == "connection_established"
        user.ws.on("system_event", lambda message: seen.append(message["data"]["n"]))
        for number in range(3):
            assert push(server, data={"n": number}) == 1
            assert push(server, channel="system", data={"n": number}) == 1
        found = user.ws.expect(lambda message: message["data"]["n"] == 1)
        rest = [(message["type"], message["data"]["n"]) for message in (user.ws.receive(1), user.ws.receive(1))]
        eventually(lambda: len(seen) == 3)
        return found["data"]["n"], rest

    result, run = inside(AgentUser, server.url, listens)
    assert result == (1, [("world_event", 0), ("system_event", 0)])
    assert seen == [0, 1, 2]
    assert {each.event: each.received for each in run.recorder.snapshot(0.0).pushes} == {
        "connection_established": 1,
        "system_event": 3,
        "world_event": 3,
    }
    assert [(each.type, each.name, each.exception) for each in run.events[1:]] == [("WS", "expect", None)]


def test_receive_without_a_push_raises_and_records_nothing(server: Server) -> None:
    """It is a look; ``expect`` in contrast is an operation."""

    def looks(user: Any) -> None:
        user.ws.receive()
        begun_s = monotonic()
        with pytest.raises(RequestTimeout):
            user.ws.receive(0.05)
        assert 0.05 <= monotonic() - begun_s < 0.5
        with pytest.raises(RequestTimeout):
            user.ws.expect(lambda _: False, 0.05, name="sign")

    _, run = inside(AgentUser, server.url, looks)
    assert [(each.type, each.name, str(each.exception)) for each in run.of_type("WS")] == [
        ("WS", "sign", "timeout - no reply by the deadline")
    ]


def test_a_waiting_expect_fails_when_the_connection_goes(server: Server) -> None:
    """``lost``, at once."""
    server.misbehave(drop_ratio=1.0)

    def waits(user: Any) -> Any:
        gevent.spawn_later(0.05, user.ws.send, {"type": "heartbeat"})
        begun_s = monotonic()
        with pytest.raises(ConnectionLost):
            user.ws.expect(lambda message: message["type"] == "never", 10)
        return monotonic() - begun_s

    took_s, run = inside(AgentUser, server.url, waits, pattern=NEVER, heartbeat_s=0)
    assert took_s < 1.0
    assert run.failures("WS") == ["lost - the connection went before the reply came"]


def test_a_handler_may_itself_ask(server: Server) -> None:
    """It runs in a greenlet of its own; a failed request in it ends it quietly."""
    seen: list[str] = []

    def listens(user: Any) -> None:
        def handler(message: Any) -> None:
            seen.append(user.ws.request(PING, name="asked by a handler")["type"])
            user.ws.request({"type": "nonsense"}, name="fails in a handler")

        user.ws.on("world_event", handler)
        push(server)
        eventually(lambda: run_of(user).of_type("WS")[1:])

    def run_of(user: Any) -> Any:
        class Events:
            def of_type(self, _: str) -> list[Any]:
                return [each for each in user.environment.stats.entries.values() if each.method == "WS"]

        return Events()

    _, run = inside(AgentUser, server.url, listens)
    assert seen == ["pong"]
    assert run.runner.exceptions == {}
    assert run.failures("WS") == ["error_reply - UNKNOWN_MESSAGE_TYPE"]


# ── several connections ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_second_connection_has_its_own_path_correlation_and_name(server: Server) -> None:
    """The query is not in the name; the server sees two connections of one client."""

    def talks(user: Any) -> Any:
        other = user.open("/echo?token=secret", correlate=Fifo())
        replies = other.request({"n": 1})["n"], user.ws.request(PING)["type"], other.request("text")
        assert {each.name for each in user.channels} == {"/api/v1/ws/{client_id}", "/echo"}
        return replies

    result, run = inside(AgentUser, server.url, talks)
    assert result == (1, "pong", "text")
    assert set(run.balance()) == {"CONNECT /api/v1/ws/{client_id}", "CONNECT /echo", "WS message", "WS ping", "WS text"}


def test_a_second_connection_is_brought_back_after_a_loss(server: Server) -> None:
    """By rules of its own, while the main one stands; its requests wait for it."""

    def talks(user: Any) -> Any:
        other = user.open("/echo", correlate=Fifo())
        other.connection.abort()
        assert other.request("again", timeout_s=8) == "again"
        assert user.ws.request(PING)["type"] == "pong"
        return user.ws.connection.lifetime_s > other.connection.lifetime_s

    is_older, run = inside(AgentUser, server.url, talks, within_s=15)
    assert is_older
    assert (run.ledger("CONNECT", "/echo").ok, run.ledger("CONNECT", "/api/v1/ws/{client_id}").ok) == (2, 1)
    assert [each.name for each in run.of_type("DROP")] == ["/echo"]


def test_a_second_connection_that_was_closed_stays_closed(server: Server) -> None:
    """Until it is connected again."""

    def talks(user: Any) -> Any:
        other = user.open("/echo", correlate=Fifo())
        other.close()
        gevent.sleep(0.1)
        states = [other.state]
        with pytest.raises(RequestTimeout):
            other.request("x", timeout_s=0.05)
        other.connect()
        return [*states, other.state, other.request("x")]

    result, run = inside(AgentUser, server.url, talks)
    assert result == ["closed", "open", "x"]
    assert run.of_type("DROP") == []


def test_a_connection_that_cannot_be_opened_raises_quietly(server: Server) -> None:
    """Uncaught in a task it ends the turn; no exception is counted, the main connection stands."""

    def opens(user: Any) -> None:
        user.open("/nowhere")

    with running(user_class(AgentUser, opens), server.url) as run:
        eventually(lambda: len(run.failures("CONNECT")) >= 3)
        run.stop()
        assert set(run.failures("CONNECT")) == {"http_404 - the server answered with HTTP status 404"}
        assert run.runner.exceptions == {}


# ── the books ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_ledger_balances_under_every_fault_at_once(server: Server) -> None:
    """Ten users, all kinds of operations, drops, errors, silence and duplicates: each has exactly one outcome."""
    server.misbehave(drop_ratio=0.05, error_ratio=0.1, silent_ratio=0.05, duplicate_ratio=0.1, jitter_ms=5, seed=3)

    def talks(user: Any) -> None:
        operations = (
            lambda: user.ws.request(PING, timeout_s=0.2),
            lambda: user.ws.request(QUERY, timeout_s=0.2, catch_response=True).__exit__(None, None, None),
            lambda: user.ws.submit(PING, timeout_s=0.2, name="piped"),
            lambda: user.ws.send({"type": "heartbeat"}),
        )
        user.random.choice(operations)()

    made = user_class(AgentUser, talks, max_in_flight=3, heartbeat_s=0)
    with running(made, server.url, count=10) as run:
        eventually(lambda: len(run.events) > 600, 20.0)
        run.stop()
        balance = run.balance()
        totals = {
            name: sum(getattr(each, name) for each in balance.values())
            for name in ("ok", "failed", "timed_out", "lost")
        }
        assert all(totals.values()), totals
        assert run.runner.exceptions == {}
        counted = server.counters()
        assert counted["messages_received"] <= run.recorder.traffic.messages_sent  # some died with their connection
        assert balance["CONNECT /api/v1/ws/{client_id}"].ok == counted["connections"]


def test_foreign_clients_events_are_counted_once(server: Server) -> None:
    """What others fire, with or without an exception; ours is not counted through both doors."""

    def fires(user: Any) -> None:
        user.ws.request(PING)
        fire = user.environment.events.request.fire
        common = {"response_length": 3, "context": {}}
        fire(request_type="GRPC", name="call", response_time=12.5, exception=None, **common)
        fire(request_type="GRPC", name="call", response_time=1.0, exception=TimeoutError("secret"), **common)

    _, run = inside(AgentUser, server.url, fires)
    assert columns(run.ledger("WS")) == {"ok": 1}
    foreign = run.ledger("GRPC")
    assert columns(foreign) == {"ok": 1, "timed_out": 1}
    assert foreign.errors == {"timeout": 1}
    assert foreign.latency.max_us == 12_500


def test_a_by_type_user_over_the_agent_channel(server: Server) -> None:
    """The correlation of one connection may differ from its class's."""

    def asks(user: Any) -> Any:
        other = user.open("/api/v1/ws/{client_id}-2", correlate=ByType({"ping": "pong"}, error="error"))
        with pytest.raises(ErrorReply):
            other.request({"type": "ping", "data": 1}, timeout_s=1)
        return other.request(PING)["type"]

    result, _ = inside(AgentUser, server.url, asks)
    assert result == "pong"


def test_idle_users_hold_their_connection_without_a_word() -> None:
    """No message of ours goes out that nobody asked for."""
    with Peer(upgrade(), echo()) as peer, running(user_class(WebSocketUser, idles), peer.url) as run:
        eventually(lambda: run.states == {"open": 1})
        gevent.sleep(0.1)
        assert peer.last.got == []
    pings = user_class(WebSocketUser, lambda user: user.ws.ping())
    with Peer(upgrade(), wait_messages(), stall()) as peer, running(pings, peer.url) as run:
        eventually(lambda: peer.connections and peer.last.of_kind("ping"))
        assert run.of_type("WS") == []


@pytest.mark.parametrize(
    ("tags", "counted"), [(None, ()), (["a", "b"], ("a", "b")), ("a", ("a",)), ({"tenant": "x"}, ("tenant=x",))]
)
def test_tags_may_be_none_a_text_or_any_collection(server: Server, tags: Any, counted: tuple[str, ...]) -> None:
    """What they split is told by the ledger's key."""

    def asks(user: Any) -> None:
        user.ws.request({"type": "ping"}, tags=tags)

    _, run = inside(AgentUser, server.url, asks)
    seen = {(each.type, each.name): each.tags for each in run.recorder.snapshot(0.0).operations}
    assert seen["WS", "ping"] == counted


def test_a_failed_check_keeps_its_round_trip_as_response_time(server: Server) -> None:
    """A reply came: only SEND and DROP have none."""

    def checks(user: Any) -> None:
        with user.ws.request({"type": "ping"}, catch_response=True) as reply:
            reply.failure("not today")

    _, run = inside(AgentUser, server.url, checks)
    (event,) = [each for each in run.events if each.type == "WS"]
    assert event.response_time is not None
    assert event.response_time > 0
