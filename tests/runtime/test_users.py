"""Users under a real Locust runner against scripted peers: backoff, reconnection, the end at any point, secrets."""

from __future__ import annotations

from locust import constant, task

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import gevent
import gevent.event
import pytest

from locust_ext.core.lifecycle import FullJitter, Intermittent, Persistent
from locust_ext.core.pacing import ClosedLoop
from locust_ext.core.protocols.correlation import ByType
from locust_ext.errors import CheckFailed, ConnectionLost, RequestTimeout
from locust_ext.plugin.users.socketio import FastSocketIOUser
from locust_ext.plugin.users.websocket import WebSocketUser
from locust_ext.runtime.process import shared
from tests.peers import (
    Peer,
    PeerConnection,
    Step,
    answer,
    close_frame,
    echo,
    eventually,
    fin,
    full_backlog,
    read_on,
    read_request,
    refused_port,
    reset,
    send,
    stall,
    text,
    upgrade,
    wait,
    wait_end,
    wait_messages,
)
from tests.runtime.connecting import descriptors
from tests.runtime.locusting import Run, running
from tests.runtime.test_socketio import acking, session

QUICK = FullJitter(base_s=0.02, cap_s=0.05, restart_s=(0.3, 0.35))


class Quick(WebSocketUser):
    """Reconnects quickly, and waits for what the test does."""

    abstract = True
    path = "/ws/{client_id}"
    pattern = Persistent(reconnect=QUICK)
    wait_time = constant(0.01)
    connect_timeout_s = 5.0
    request_timeout_s = 2.0


class Idle(Quick):
    """Connected, and otherwise left alone."""

    abstract = True

    @task
    def rest(self) -> None:
        gevent.sleep(0.05)


def idle(**settings: Any) -> type[Idle]:
    return type("IdleUser", (Idle,), {"abstract": False, **settings})


def asking(ask: Callable[[Any], Any], base: type[Quick] = Quick, **settings: Any) -> type[Quick]:
    """A user with one task."""
    return type("AskingUser", (base,), {"abstract": False, "tasks": [ask], **settings})


def ask(user: Any) -> None:
    user.ws.request({"type": "ask"})


# ── the ordinary life ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_user_with_tasks_is_connected_before_on_start_and_says_goodbye() -> None:
    """One CONNECT under the path's template, round trips, a close with 1000 at the end."""
    seen: list[str] = []

    class Talker(Quick):
        def on_start(self) -> None:
            seen.append(self.ws.state)

        @task
        def talk(self) -> None:
            self.ws.request({"type": "ask"})

    with Peer(upgrade(), echo()) as peer:
        with running(Talker, peer.url) as run:
            eventually(lambda: len(run.of_type("WS")) >= 5)
            assert run.states == {"open": 1}
            client_id = run.user.client_id
            run.stop()
        assert seen == ["open"]
        assert peer.last.request_line == f"GET /ws/{client_id} HTTP/1.1"
        assert peer.last.close_code == 1000
        balance = run.balance()
        assert set(balance) == {"CONNECT /ws/{client_id}", "WS ask"}
        assert balance["WS ask"].ok + balance["WS ask"].cancelled == len(peer.last.messages)
        assert run.recorder.traffic.messages_sent == len(peer.last.messages)


def test_a_user_without_tasks_is_driven_by_its_pattern_and_generator() -> None:
    """It connects, talks by its pacing, leaves and returns; only operations of its own are recorded."""

    class Driven(Quick):
        pattern = Intermittent(connected_s=(0.2, 0.2), away_s=(0.05, 0.05), reconnect=QUICK)
        generator: Any = {"ping": 1}  # noqa: RUF012 – as a locustfile has it
        correlate = ByType({"ping": "pong"})
        pacing = ClosedLoop(constant(0.02))

    with (
        Peer(upgrade(), echo(but=lambda message: text({**message, "type": "pong"}))) as peer,
        running(Driven, peer.url) as run,
    ):
        eventually(lambda: len(peer.connections) >= 3)
        eventually(lambda: [each.close_code for each in peer.connections[:2]] == [1000, 1000])
        run.stop()
        balance = run.balance()
        assert balance["WS ping"].failed == balance["WS ping"].lost == 0
        assert balance["WS ping"].ok >= 8
        assert "DROP /ws/{client_id}" not in balance


def test_many_users_open_talk_and_leave_nothing() -> None:
    """A hundred connections; the counts of both sides agree exactly."""
    with Peer(upgrade(), echo()) as peer:
        before = descriptors()
        with running(asking(ask), peer.url, count=100) as run:
            eventually(lambda: run.states.get("open") == 100)
            eventually(lambda: len(run.of_type("WS")) > 500)
            took_s = run.stop()
            assert took_s < 1.5
            balance = run.balance()["WS ask"]
            assert (balance.failed, balance.lost, balance.timed_out) == (0, 0, 0)
        eventually(lambda: all(each.is_finished for each in peer.connections))
        assert sum(len(each.messages) for each in peer.connections) == balance.started
        assert {each.close_code for each in peer.connections} == {1000}
        assert all(each.error is None and each.protocol_error is None for each in peer.connections)
        for each in peer.connections:
            each.close_now()
        eventually(lambda: not descriptors() - before)


# ── faults 1 to 6: connects that fail ────────────────────────────────────────────────────────────────────────────────


def test_fault_01_a_refused_connection_is_tried_again_and_the_user_lives() -> None:
    """Each attempt is one failed CONNECT, ``refused``; when the server comes, the user is there."""
    port = refused_port()
    with running(idle(), f"http://127.0.0.1:{port}") as run:
        eventually(lambda: len(run.failures("CONNECT")) >= 4)
        assert set(run.failures("CONNECT")) == {"refused - the target refused the TCP connection"}
        assert run.runner.user_count == 1
        with Peer(upgrade(), echo(), port=port):
            eventually(lambda: run.states == {"open": 1})
            run.stop()
        assert run.ledger("CONNECT").ok == 1
        assert run.runner.exceptions == {}


def test_fault_03_a_failed_verification_is_not_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """``tls`` once; the user stays, and says once that it has given up."""
    from tests.runtime.certificates import server_context

    with Peer(upgrade(), stall(), tls=server_context()) as peer, running(idle(), peer.url) as run:
        eventually(lambda: run.states == {"failed": 1})
        gevent.sleep(0.15)
        assert run.failures("CONNECT") == ["tls - the TLS handshake failed"]
        assert run.runner.user_count == 1
    assert caplog.text.count("has given up") == 1


def test_fault_03_a_tls_handshake_that_breaks_off_is_tried_again() -> None:
    """Half a record and an end, a reset, an alert: what a load balancer under load does; the class is the socket's."""
    from tests.runtime.certificates import server_context

    def untrusted(each: PeerConnection) -> None:
        each.sock = server_context().wrap_socket(each.sock, server_side=True)
        upgrade()(each)

    alert = bytes((21, 3, 3, 0, 2, 2, 80))  # internal_error (RFC 8446, section 6)
    scripts = [
        [lambda each: each.sock.recv(4096), send(b"\x16\x03"), fin()],
        [lambda each: each.sock.recv(4096), lambda each: each.close_now()],
        [lambda each: each.sock.recv(4096), reset()],
        [lambda each: each.sock.recv(4096), send(alert), stall()],
        [untrusted, echo()],
    ]
    with Peer(*scripts) as peer:
        with running(idle(verify_tls=False), peer.url.replace("http", "https")) as run:
            eventually(lambda: run.states == {"open": 1})
            assert [each.split()[0] for each in run.failures("CONNECT")] == ["tls", "tls", "reset", "tls"]
        assert len(peer.connections) == 5


def test_fault_04_401_is_not_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """The user is ``failed``, stays alive, and says so once, without a header or a token."""
    steps = answer("401 Unauthorized", "WWW-Authenticate: secret-header", body=b"secret-body")
    with caplog.at_level(logging.DEBUG), Peer(steps) as peer, running(idle(token="secret-token"), peer.url) as run:
        eventually(lambda: run.states == {"failed": 1})
        gevent.sleep(0.15)
        assert run.failures("CONNECT") == ["http_401 - the server answered with HTTP status 401"]
        assert run.runner.user_count == 1
        assert len(peer.connections) == 1
        assert peer.last.headers["authorization"] == "Bearer secret-token"
    assert caplog.text.count("has given up") == 1
    assert "secret" not in caplog.text


def test_fault_04_403_is_tried_three_times_more(caplog: pytest.LogCaptureFixture) -> None:
    """Limits come as 403 too; then the user is ``failed``, and says so once."""
    with Peer(answer("403 Forbidden")) as peer, running(idle(), peer.url) as run:
        eventually(lambda: run.states == {"failed": 1})
        gevent.sleep(0.15)
        assert run.failures("CONNECT") == ["http_403 - the server answered with HTTP status 403"] * 4
        assert len(peer.connections) == 4
        assert run.runner.user_count == 1
    assert caplog.text.count("has given up") == 1


def test_fault_04_a_403_that_passes_is_forgotten() -> None:
    """A user that gets in after some is no failed one."""
    refused = [answer("403 Forbidden")]
    with Peer(refused, refused, refused, [upgrade(), echo()]) as peer, running(idle(), peer.url) as run:
        eventually(lambda: run.states == {"open": 1})
        assert (run.ledger("CONNECT").failed, run.ledger("CONNECT").ok) == (3, 1)


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_fault_05_retry_after_is_obeyed(status: str) -> None:
    """The next attempt comes at least that long after the answer; the state meanwhile is ``waiting``."""
    with Peer([answer(status, "Retry-After: 1")], [upgrade(), echo()]) as peer, running(idle(), peer.url) as run:
        eventually(lambda: run.states == {"waiting": 1})
        eventually(lambda: len(peer.connections) == 2, 3.0)
        waited_s = peer.connections[1].accepted_s - run.of_type("CONNECT")[0].at_s
        assert 1.0 <= waited_s < 1.5
        assert run.failures("CONNECT")[0].startswith(f"http_{status[:3]} ")


def test_fault_05_retry_after_is_capped() -> None:
    """A server that asks for an hour is asked again after the cap."""
    capped = Persistent(reconnect=FullJitter(base_s=0.02, cap_s=0.05, retry_after_cap_s=0.2))
    with (
        Peer([answer("429 Later", "Retry-After: 3600")], [upgrade(), echo()]) as peer,
        running(idle(pattern=capped), peer.url),
    ):
        eventually(lambda: len(peer.connections) == 2, 2.0)


def test_fault_06_other_answers_are_tried_again() -> None:
    """``http_<n>`` and ``bad_handshake``, each recorded once."""
    scripts = [
        [answer("301 Moved", "Location: http://127.0.0.1:1/")],
        [upgrade(accept="A" * 27 + "="), wait_end()],
        [answer("500 Oops")],
        [upgrade(), echo()],
    ]
    with Peer(*scripts) as peer, running(idle(), peer.url) as run:
        eventually(lambda: run.states == {"open": 1})
        assert [each.split()[0] for each in run.failures("CONNECT")] == ["http_301", "bad_handshake", "http_500"]


# ── faults 9 to 14: connections that are lost ────────────────────────────────────────────────────────────────────────


def lost_after_one_request(*steps: Step) -> list[list[Step]]:
    return [[upgrade(), wait_messages(), *steps], [upgrade(), echo()]]


@pytest.mark.parametrize(
    ("steps", "error_class"),
    [
        ((reset(),), "reset"),
        ((fin(), wait_end()), "closed_1006"),
        ((send(close_frame(1001)), wait_end()), "closed_1001"),
        ((send(close_frame(1011)), wait_end()), "closed_1011"),
        ((send(text("x")[:-1] + b"\xff"), wait_end()), "bad_utf8"),
    ],
)
def test_faults_10_to_13_a_loss_with_a_request_pending(steps: tuple[Step, ...], error_class: str) -> None:
    """The request is lost once, one DROP with the class is recorded, and the user is back."""
    with Peer(*lost_after_one_request(*steps)) as peer, running(asking(ask), peer.url) as run:
        eventually(lambda: len(peer.connections) == 2 and len(peer.connections[1].messages) > 2)
        run.stop()
        assert run.failures("WS") == ["lost - the connection went before the reply came"]
        assert [each.split()[0] for each in run.failures("DROP")] == [error_class]
        assert run.ledger("CONNECT").ok == 2
        assert run.recorder.snapshot(0.0).connections.reconnects == 1


@pytest.mark.parametrize("code", [1000, 1001])
def test_fault_12_a_close_in_order_with_nothing_pending_is_no_failure(code: int) -> None:
    """No DROP; counted as closed in order; the user comes back."""
    with (
        Peer([upgrade(), wait(0.05), send(close_frame(code)), wait_end()], [upgrade(), echo()]) as peer,
        running(idle(), peer.url) as run,
    ):
        eventually(lambda: len(peer.connections) == 2)
        eventually(lambda: run.states == {"open": 1})
        assert run.of_type("DROP") == []
        assert run.recorder.snapshot(0.0).connections.closed_in_order == 1


@pytest.mark.parametrize("code", [1012, 1013])
def test_fault_13_a_restarting_server_is_given_longer(code: int) -> None:
    """The wait after it is drawn from ``restart_s``."""
    with (
        Peer([upgrade(), wait(0.02), send(close_frame(code)), wait_end()], [upgrade(), echo()]) as peer,
        running(idle(), peer.url) as run,
    ):
        eventually(lambda: len(peer.connections) == 2)
        assert 0.3 <= peer.connections[1].accepted_s - run.of_type("DROP")[0].at_s < 0.6


@pytest.mark.parametrize("code", [1002, 1008, 4001, 4003])
def test_fault_14_a_final_close_code_is_not_tried_again(code: int) -> None:
    """The DROP has its code, the user is ``failed`` and stays; unless the pattern asks for more."""
    steps = [upgrade(), wait(0.02), send(close_frame(code)), wait_end()]
    with Peer(*steps) as peer, running(idle(), peer.url) as run:
        eventually(lambda: run.states == {"failed": 1})
        gevent.sleep(0.1)
        assert [each.split()[0] for each in run.failures("DROP")] == [f"closed_{code}"]
        assert (len(peer.connections), run.runner.user_count) == (1, 1)
    stubborn = Persistent(reconnect=QUICK, reconnect_after=(f"closed_{code}",))
    with Peer(*steps) as peer, running(idle(pattern=stubborn), peer.url):
        eventually(lambda: len(peer.connections) >= 3)


def test_fault_20_a_renewed_connection_is_opened_again() -> None:
    """When replies cannot be told apart any more; this is no failure of the connection."""
    steps = [upgrade(), wait_messages(2), wait(0.02), send(text({"type": "pong"})), wait_end()]

    def ping(user: Any) -> None:
        user.ws.request({"type": "ping"}, timeout_s=0.1)

    user_class = asking(ping, correlate=ByType({"ping": "pong"}))
    with (
        Peer(steps, [upgrade(), echo(but=lambda _: text({"type": "pong"}))]) as peer,
        running(user_class, peer.url) as run,
    ):
        eventually(lambda: len(peer.connections) == 2)
        eventually(lambda: run.ledger("WS").ok >= 3)
        run.stop()
        assert run.ledger("WS").timed_out >= 2
        assert run.of_type("DROP") == []


def test_fault_21_a_server_that_restarts_is_not_stormed() -> None:
    """A hundred clients come back spread over the backoff, each once, and none is forgotten."""
    spread = Persistent(reconnect=FullJitter(base_s=1.0, cap_s=1.0))
    scripts = [
        [upgrade(), read_on(), lambda each: each.until(lambda it: go.is_set(), 20), lambda each: each.reset_now()]
    ]
    go = gevent.event.Event()
    with Peer(*scripts * 100, [upgrade(), echo()]) as peer, running(idle(pattern=spread), peer.url, count=100) as run:
        eventually(lambda: run.states == {"open": 100})
        go.set()
        eventually(lambda: len(run.of_type("DROP")) == 100)
        begun_s = monotonic()
        eventually(lambda: run.states == {"open": 100} and len(peer.connections) == 200)
        times = sorted(each.accepted_s - begun_s for each in peer.connections[100:])
        assert times[-1] < 1.3
        assert max(len([t for t in times if start <= t < start + 0.1]) for start in (n / 20 for n in range(25))) < 40
        assert run.ledger("CONNECT").ok == 200


# ── fault 24: stopped at any point ───────────────────────────────────────────────────────────────────────────────────


@contextmanager
def stopped_at(host: str, user_class: type[Any], is_there: Callable[[Run], Any]) -> Iterator[Run]:
    """Stops the user when ``is_there``: within a second nothing of it may be left."""
    before, watchers = descriptors(), gevent.get_hub().loop.activecnt
    with running(user_class, host) as run:
        eventually(lambda: run.users and is_there(run))
        gevent.sleep(0.02)
        user_greenlet = run.user.greenlet
        begun_s = monotonic()
        run.stop(within_s=1.2)
        ours = [each for each in descriptors() - before if f"{host}" in each]
        assert user_greenlet.dead
        assert len(shared().wheel) == 0
        assert run.states == {}
        assert not ours
        assert monotonic() - begun_s < 1.2
        assert run.runner.exceptions == {}
        yield run
        assert gevent.get_hub().loop.activecnt <= watchers + 20


def only_cancelled(run: Run, key: str) -> None:
    found = run.balance()[key]
    assert (found.cancelled, found.failed, found.lost, found.timed_out, found.in_flight) == (1, 0, 0, 0, 0)


def test_fault_24_stopped_while_tcp_connects() -> None:
    """A SYN without an answer: the CONNECT is cancelled, and no failure."""
    with full_backlog() as url, stopped_at(url, idle(), lambda run: run.states == {"connecting": 1}) as run:
        only_cancelled(run, "CONNECT /ws/{client_id}")
        assert run.events == []


def test_fault_24_stopped_while_the_upgrade_waits() -> None:
    """The peer accepts and never answers."""
    with (
        Peer(read_request(), read_on(), wait_end()) as peer,
        stopped_at(peer.url, idle(), lambda run: peer.connections and peer.last.head) as run,
    ):
        only_cancelled(run, "CONNECT /ws/{client_id}")
        eventually(lambda: peer.last.ended, 1.0)


def test_fault_24_stopped_during_the_tls_handshake() -> None:
    """The server says nothing to our hello."""

    def reads_raw(each: PeerConnection) -> None:
        while data := each.sock.recv(4096):
            each.head += data

    with Peer(reads_raw) as peer:
        url = peer.url.replace("http", "https")
        with stopped_at(url, idle(), lambda run: peer.connections and peer.last.head) as run:
            only_cancelled(run, "CONNECT /ws/{client_id}")
            eventually(lambda: peer.last.is_finished, 1.0)


def test_fault_24_stopped_with_the_socket_full() -> None:
    """Megabytes are queued that nobody reads: the close frame cannot get out; it is not waited for without end."""

    def pours(user: Any) -> None:
        user.ws.request({"big": "x" * 8_000_000}, name="big", timeout_s=60)

    with (
        Peer(upgrade(reads=False), stall(), receive_buffer=4096) as peer,
        stopped_at(
            peer.url, asking(pours), lambda run: run.states == {"open": 1} and run.user.ws.connection._queued_bytes
        ) as run,
    ):
        only_cancelled(run, "WS big")


def test_fault_24_stopped_while_a_reply_is_waited_for() -> None:
    """The request is cancelled; the peer gets a close with 1000."""
    with (
        Peer(upgrade(), wait_messages(), wait_end()) as peer,
        stopped_at(peer.url, asking(ask), lambda run: peer.connections and peer.last.messages) as run,
    ):
        only_cancelled(run, "WS ask")
        eventually(lambda: peer.last.ended, 1.0)
        assert peer.last.close_code == 1000
        assert run.failures("WS", "DROP") == []


def test_fault_24_stopped_with_a_pipeline_open() -> None:
    """Submitted requests are cancelled too, and the one that waits for a place."""

    def submits(user: Any) -> None:
        user.ws.submit({"type": "ask"}, timeout_s=60)

    with (
        Peer(upgrade(), wait_messages(5), wait_end()) as peer,
        stopped_at(
            peer.url, asking(submits, max_in_flight=5), lambda run: peer.connections and len(peer.last.messages) == 5
        ) as run,
    ):
        found = run.balance()["WS ask"]
        assert found.cancelled == 6
        assert (found.lost, found.failed, found.timed_out, found.in_flight) == (0, 0, 0, 0)


@pytest.mark.parametrize("how", ["request", "submit", "send"])
def test_fault_24_stopped_while_a_lost_connection_is_waited_for(how: str) -> None:
    """What waits for it is in flight, and then cancelled: exactly one outcome for what was attempted."""

    def asks(user: Any) -> None:
        eventually(lambda: user.ws.state == "waiting")
        getattr(user.ws, how)({"type": "ask"})

    type_ = "SEND" if how == "send" else "WS"
    slow = Persistent(reconnect=FullJitter(base_s=1e6, cap_s=1e6))
    with (
        Peer(upgrade(), reset()) as peer,
        stopped_at(
            peer.url,
            asking(asks, pattern=slow, request_timeout_s=60.0),
            lambda run: [each.in_flight for each in run.balance().values() if each.type == type_] == [1],
        ) as run,
    ):
        only_cancelled(run, f"{type_} ask")


def test_one_way_messages_go_no_faster_than_the_peer_reads() -> None:
    """A message is good once the kernel has all of it; the one that waits is cancelled with its user, and nothing piles up."""

    def pours(user: Any) -> None:
        user.ws.send({"big": "x" * 300_000}, name="big")

    with (
        Peer(upgrade(reads=False), stall(), receive_buffer=4096) as peer,
        stopped_at(
            peer.url, asking(pours), lambda run: run.states == {"open": 1} and run.user.ws.connection._queued_bytes
        ) as run,
    ):
        found = run.balance()["SEND big"]
        assert (found.ok, found.cancelled) == (run.recorder.traffic.messages_sent, 1)


def test_a_peer_that_never_reads_fails_a_one_way_message_at_its_deadline() -> None:
    """As ``timeout``, with the reason."""

    def pours(user: Any) -> None:
        user.ws.send({"big": "x" * 8_000_000}, name="big")

    with (
        Peer(upgrade(reads=False), stall(), receive_buffer=4096) as peer,
        running(asking(pours, request_timeout_s=0.2), peer.url) as run,
    ):
        eventually(lambda: run.failures("SEND"))
        assert run.failures("SEND")[0] == "timeout - the peer does not read"


def test_a_connection_that_goes_fails_the_message_that_was_not_out() -> None:
    """As ``lost``: it was never whole on the wire."""

    def pours(user: Any) -> None:
        user.ws.send({"big": "x" * 8_000_000}, name="big")

    with (
        Peer(upgrade(reads=False), wait(0.2), reset(), receive_buffer=4096) as peer,
        running(asking(pours), peer.url) as run,
    ):
        eventually(lambda: run.failures("SEND"))
        assert run.failures("SEND")[0] == "lost - the connection went before the message was out"
        assert run.recorder.traffic.messages_sent == 0


@pytest.mark.parametrize("how", ["receive", "expect"])
def test_fault_24_stopped_while_a_push_is_waited_for(how: str) -> None:
    """A look is no operation; an expectation is cancelled."""

    def waits(user: Any) -> None:
        if how == "receive":
            user.ws.receive(60)
        else:
            user.ws.expect(lambda push: False, 60)

    with (
        Peer(upgrade(), wait_end()) as peer,
        stopped_at(peer.url, asking(waits), lambda run: run.states == {"open": 1}) as run,
    ):
        ledgers = run.balance()
        assert set(ledgers) == {"CONNECT /ws/{client_id}"} | ({"WS expect"} if how == "expect" else set())
        assert [each.cancelled for each in ledgers.values() if each.type == "WS"] == [1] * (how == "expect")


def test_fault_24_stopped_while_it_closes() -> None:
    """The peer never answers the close frame."""

    def closes(user: Any) -> None:
        user.ws.close(4000)
        gevent.sleep(60)

    with (
        Peer(upgrade(), stall()) as peer,
        stopped_at(peer.url, asking(closes), lambda run: peer.connections and peer.last.close_code) as run,
    ):
        assert run.failures("DROP") == []


@pytest.mark.parametrize("of_tasks", [True, False])
def test_fault_24_stopped_during_a_backoff(of_tasks: bool) -> None:
    """Before the first connection, and of either kind of user."""
    slow = Persistent(reconnect=FullJitter(base_s=60, cap_s=60))
    made: Any = idle(pattern=slow)
    if not of_tasks:
        made = type("DrivenUser", (Quick,), {"abstract": False, "pattern": slow, "generator": {"ping": 1}})
    url = f"http://127.0.0.1:{refused_port()}"
    with stopped_at(url, made, lambda run: run.states == {"waiting": 1}) as run:
        assert run.ledger("CONNECT").failed == 1


def test_fault_24_stopped_during_the_backoff_after_a_loss() -> None:
    """A user of tasks reconnects in a greenlet of its own, which ends with it."""
    slow = Persistent(reconnect=FullJitter(base_s=60, cap_s=60))
    with (
        Peer(upgrade(), wait(0.02), reset()) as peer,
        stopped_at(peer.url, idle(pattern=slow), lambda run: run.states == {"waiting": 1}) as run,
    ):
        assert len(run.failures("DROP")) == 1


def test_fault_24_stopped_while_a_request_waits_for_the_connection_to_come_back() -> None:
    """It has not been sent, so there is nothing to record but the loss before."""
    slow = Persistent(reconnect=FullJitter(base_s=60, cap_s=60))

    def asks_later(user: Any) -> None:
        eventually(lambda: not user.ws.is_connected)
        user.ws.request({"type": "ask"}, timeout_s=60)

    with (
        Peer(upgrade(), wait(0.02), reset()) as peer,
        stopped_at(peer.url, asking(asks_later, pattern=slow), lambda run: run.users and run.user.ws._reopened) as run,
    ):
        assert run.of_type("WS") == []


def test_fault_24_stopped_between_two_connections_of_one_user() -> None:
    """All of them are closed, at the same time and not one after the other."""

    def opens(user: Any) -> None:
        for number in range(3):
            user.open(f"/more/{number}")
        gevent.sleep(60)

    with (
        Peer(upgrade(), stall()) as peer,
        stopped_at(peer.url, asking(opens), lambda run: run.states == {"open": 4}),
    ):
        eventually(lambda: [each.close_code for each in peer.connections] == [1000] * 4)


def test_a_stop_with_a_stop_timeout_lets_the_task_end() -> None:
    """The request in the middle gets its reply, and counts as good."""
    with (
        Peer(upgrade(), echo(but=lambda _: gevent.sleep(0.2))) as peer,
        running(asking(ask), peer.url, stop_timeout=2) as run,
    ):
        eventually(lambda: peer.connections and peer.last.messages)
        run.stop()
        found = run.balance()["WS ask"]
        assert (found.ok, found.cancelled) == (1, 0)


# ── fault 25 ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_fault_25_on_start_raises() -> None:
    """The connection that stood is closed; nothing leaks, although Locust calls no ``on_stop``."""

    def fails(self: Any) -> None:
        raise RuntimeError("on purpose")

    loop = gevent.get_hub().loop
    watchers = loop.activecnt
    with Peer(upgrade(), wait_end()) as peer:
        with running(idle(on_start=fails), peer.url) as run:
            eventually(lambda: peer.connections and peer.last.ended, 2.0)
            assert run.states == {}
            assert len(shared().wheel) == 0
        assert peer.last.close_code in (1000, None)
    assert loop.activecnt <= watchers + 2


def test_fault_25_an_operation_that_fails_in_on_start_does_not_end_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is recorded, and ``on_start`` is tried again after a while."""
    from locust_ext.plugin.users import base

    monkeypatch.setattr(base, "ON_START_RETRY_S", (0.02, 0.03))
    calls: list[int] = []

    def logs_in(self: Any) -> None:
        calls.append(1)
        self.ws.request({"type": "login"}, timeout_s=0.05)

    first: list[Any] = []

    def silent_once(message: Any) -> bytes | None:
        if not first:
            first.append(message)
            return b""
        return None

    with Peer(upgrade(), echo(but=silent_once)) as peer, running(idle(on_start=logs_in), peer.url) as run:
        eventually(lambda: len(calls) == 2)
        eventually(lambda: run.ledger("WS").ok == 1)
        assert run.ledger("WS").timed_out == 1
        assert run.runner.user_count == 1


# ── talking ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def in_a_user(test: Callable[[Any], Any], peer: Peer, **settings: Any) -> tuple[Any, Run]:
    """What ``test(user)`` gives (or raises) in a task of a connected user."""
    results: list[Any] = []

    def once(user: Any) -> None:
        if not results:
            try:
                results.append(test(user))
            except Exception as error:  # noqa: BLE001 – handed to the test
                results.append(error)
        gevent.sleep(0.01)

    with running(asking(once, **settings), peer.url) as run:
        eventually(lambda: results)
        run.stop()
    if isinstance(results[0], AssertionError):
        raise results[0]
    return results[0], run


def test_a_check_decides_what_a_reply_counts_as() -> None:
    """``catch_response``: failure, success, an assertion that fails, and an exception in the block."""

    def checks(user: Any) -> None:
        for number in range(4):
            try:
                with user.ws.request({"type": "ask"}, name=f"n{number}", catch_response=True) as reply:
                    assert reply.data["type"] == "ask"
                    assert reply.latency_ms > 0
                    if number == 1:
                        reply.failure("no agents")
                    if number == 2:
                        raise AssertionError("too few")
                    if number == 3:
                        raise KeyError("k")
            except (AssertionError, KeyError):
                pass

    with Peer(upgrade(), echo()) as peer:
        result, run = in_a_user(checks, peer)
        assert result is None
    assert run.failures("WS") == [
        "check_failed - no agents",
        "check_failed - too few",
        "check_failed - KeyError in the check",
    ]
    assert run.ledger("WS", "n0").ok == 1
    assert isinstance(run.of_type("WS")[1].exception, CheckFailed)


def test_a_failed_request_ends_the_turn_quietly() -> None:
    """No exception of a task is counted, no traceback logged, nothing counted twice."""

    def silent(user: Any) -> None:
        user.ws.request({"type": "ask"}, timeout_s=0.02)
        raise AssertionError("never reached")

    with Peer(upgrade(), stall()) as peer, running(asking(silent), peer.url) as run:
        eventually(lambda: len(run.failures("WS")) >= 3)
        run.stop()
        assert run.runner.exceptions == {}
        assert set(run.failures("WS")) == {"timeout - no reply by the deadline"}


def test_submit_pipelines_up_to_max_in_flight() -> None:
    """It returns at once while there is room, and the outcomes are recorded when they come."""
    most: list[int] = []

    def pipelines(user: Any) -> None:
        for number in range(12):
            user.ws.submit({"type": "ask", "n": number})
            most.append(len(user.ws.connection.pending))
        eventually(lambda: user.ws.connection.messages_received == 12)

    with Peer(upgrade(), echo(but=lambda _: gevent.sleep(0.01))) as peer:
        result, run = in_a_user(pipelines, peer, max_in_flight=3)
        assert result is None
    assert max(most) == 3
    assert run.ledger("WS").ok == 12


def test_send_is_recorded_without_a_response_time() -> None:
    """As ``SEND``; the size is the payload's."""
    with Peer(upgrade(), echo()) as peer:
        result, run = in_a_user(lambda user: user.ws.send({"type": "tell"}), peer)
        assert result is None
    event = run.of_type("SEND")[0]
    assert (event.name, event.response_time, event.exception) == ("tell", None, None)


def test_expect_gives_the_first_push_that_fits_and_records_what_was_waited() -> None:
    """Others stay for ``receive``."""
    pushes = b"".join(text({"type": "news", "n": number}) for number in range(3))

    def expects(user: Any) -> Any:
        user.ws.send("go")
        found = user.ws.expect(lambda push: push["n"] == 2, 1.0)
        rest = [user.ws.expect(lambda push: True, 1.0, name="at once")["n"], user.ws.receive(1.0)["n"]]
        with pytest.raises(RequestTimeout):
            user.ws.expect(lambda push: True, 0.05, name="never")
        with pytest.raises(RequestTimeout):
            user.ws.receive(0.05)
        return found["n"], rest

    with Peer(upgrade(), wait_messages(), send(pushes), stall()) as peer:
        result, run = in_a_user(expects, peer)
    assert result == (2, [0, 1])
    assert run.failures("WS") == ["timeout - no reply by the deadline"]
    waited, was_there, never = run.of_type("WS")
    assert (waited.name, was_there.name, never.name) == ("expect", "at once", "never")
    assert waited.response_time is not None
    assert waited.response_time > 0
    assert was_there.response_time is None


def test_handlers_stay_over_a_reconnection() -> None:
    """Those set before the first connect too."""
    seen: list[Any] = []

    class Listening(Idle):
        abstract = False

        def __init__(self, environment: Any) -> None:
            super().__init__(environment)
            self.ws.on("news", seen.append)

    news = send(text({"type": "news"}))
    with (
        Peer([upgrade(), wait(0.02), news, wait(0.02), reset()], [upgrade(), wait(0.02), news, echo()]) as peer,
        running(Listening, peer.url),
    ):
        eventually(lambda: len(seen) == 2)


def test_a_request_waits_for_the_connection_to_come_back() -> None:
    """Within its deadline; its time counts from the sending."""

    def asks_twice(user: Any) -> Any:
        with pytest.raises(ConnectionLost):
            user.ws.request({"type": "ask"})
        return user.ws.request({"type": "again"}, timeout_s=3)["type"]

    with Peer([upgrade(), wait_messages(), reset()], [upgrade(), echo()]) as peer:
        result, run = in_a_user(asks_twice, peer)
    assert result == "again"
    assert run.ledger("WS", "again").ok == 1


def test_a_request_on_a_connection_that_does_not_come_back_times_out() -> None:
    """At its deadline, once."""
    slow = Persistent(reconnect=FullJitter(base_s=60, cap_s=60))

    def asks(user: Any) -> float:
        eventually(lambda: not user.ws.is_connected)
        begun_s = monotonic()
        with pytest.raises(RequestTimeout):
            user.ws.request({"type": "ask"}, timeout_s=0.1)
        with pytest.raises(RequestTimeout):
            user.ws.submit({"type": "ask"}, timeout_s=0.1)
        return monotonic() - begun_s

    with Peer(upgrade(), wait(0.02), reset()) as peer:
        took_s, run = in_a_user(asks, peer, pattern=slow)
    assert 0.2 <= took_s < 0.5
    assert run.ledger("WS").timed_out == 2


def test_a_user_may_have_several_connections() -> None:
    """Each with its own path, name, requests and end; losing one does not disturb the others."""

    def talks(user: Any) -> Any:
        other = user.open("/other?token=secret", correlate=ByType({"a": "b"}))
        assert other.request({"type": "a"})["type"] == "b"
        assert user.ws.request({"type": "ask"})["type"] == "ask"
        return other.name

    def replies(message: Any) -> bytes | None:
        return text({"type": "b"}) if message["type"] == "a" else None

    with Peer(upgrade(), echo(but=replies)) as peer:
        name, run = in_a_user(talks, peer)
        assert [each.close_code for each in peer.connections] == [1000, 1000]
        assert peer.connections[1].request_line == "GET /other?token=secret HTTP/1.1"
    assert name == "/other"
    assert set(run.balance()) == {"CONNECT /ws/{client_id}", "CONNECT /other", "WS a", "WS ask"}


# ── cookies and secrets ──────────────────────────────────────────────────────────────────────────────────────────────


def test_cookies_of_an_upgrade_come_back_with_the_same_user_only() -> None:
    """Each user has a jar of its own, for all its connections."""
    scripts = [
        [upgrade("Set-Cookie: session=u0; Path=/"), wait_messages(), reset()],
        [upgrade("Set-Cookie: session=u1; Path=/"), wait_messages(), reset()],
        [upgrade(), echo()],
    ]
    ready = gevent.event.Event()

    def talks(user: Any) -> None:
        ready.wait()
        user.ws.request({"type": "ask"})

    with Peer(*scripts) as peer, running(asking(talks), peer.url, count=2) as run:
        eventually(lambda: run.states == {"open": 2})
        of_user = {each.request_line: f"session=u{each.number}" for each in peer.connections}
        assert len(of_user) == 2
        ready.set()
        eventually(lambda: len(peer.connections) == 4)
        for each in peer.connections[:2]:
            assert "cookie" not in each.headers
        for each in peer.connections[2:4]:
            eventually(lambda each=each: each.head)
            assert each.headers["cookie"] == of_user[each.request_line]


def test_a_token_callable_is_asked_at_each_connect() -> None:
    """With the user; nobody else sees it."""
    numbers = iter(range(10))

    def token(user: Any) -> str:
        return f"{user.client_id[:3]}{next(numbers)}"

    with (
        Peer([upgrade(), wait(0.02), reset()], [upgrade(), echo()]) as peer,
        running(idle(token=token), peer.url) as run,
    ):
        eventually(lambda: run.states == {"open": 1} and len(peer.connections) == 2)
        assert [each.headers["authorization"] for each in peer.connections] == ["Bearer lx-0", "Bearer lx-1"]


def test_fault_39_no_secret_shows_in_any_text(caplog: pytest.LogCaptureFixture) -> None:
    """Token, header, cookie, query, and what the server says; in failures, names and logs of every level."""

    class Secretive(Idle):
        abstract = False
        path = "/ws?token=secret-query"
        token = "secret-token"
        headers: Any = {"X-Key": "secret-header"}  # noqa: RUF012 – as a locustfile has it
        subprotocols = ("secret-protocol",)

    scripts = [
        [answer("500 secret-reason", "X-A: secret-answer", "Set-Cookie: s=secret-cookie", body=b"secret-body")],
        [upgrade("Sec-WebSocket-Protocol: other"), wait_end()],
        [read_request(), send(b"secret-garbage\r\n\r\n"), wait_end()],
        [upgrade("Sec-WebSocket-Protocol: secret-protocol"), send(close_frame(1011, b"secret-reason")), wait_end()],
        [upgrade("Sec-WebSocket-Protocol: secret-protocol"), send(text("x")[:-1] + b"\xff"), wait_end()],
        [upgrade("Sec-WebSocket-Protocol: secret-protocol"), echo()],
    ]
    with caplog.at_level(logging.DEBUG), Peer(*scripts) as peer, running(Secretive, peer.url) as run:
        eventually(lambda: len(peer.connections) == 6 and run.states == {"open": 1})
        run.stop()
        shown = [f"{each.name} {each.exception!r}" for each in run.events]
        shown += [str(error.to_name()) + str(error.error) for error in run.environment.stats.errors.values()]
        assert len(run.failures("CONNECT")) == 3
        assert len(run.failures("DROP")) == 2
    assert "secret" not in " ".join(shown)
    assert "secret" not in caplog.text


# ── pushes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_fault_33_a_handler_that_raises_is_counted_once_as_an_exception() -> None:
    """In Locust's exceptions; the user and its connection live on."""

    def listens(user: Any) -> Any:
        def handler(push: Any) -> None:
            raise RuntimeError("on purpose")

        user.ws.on("news", handler)
        user.ws.send({"type": "go"})
        eventually(lambda: user.environment.runner.exceptions)
        return user.ws.request({"type": "ask"})["type"]

    with Peer(upgrade(), wait_messages(), send(text({"type": "news"})), echo()) as peer:
        result, run = in_a_user(listens, peer)
    assert result == "ask"
    assert [each["count"] for each in run.runner.exceptions.values()] == [1]


def test_fault_32_a_full_inbox_is_counted_by_the_real_recorder() -> None:
    """The user's connection lives on, and the newest pushes are there."""
    pushes = b"".join(text({"type": "news", "n": number}) for number in range(50))

    def late(user: Any) -> Any:
        user.ws.send({"type": "go"})
        eventually(lambda: user.ws.connection.messages_received == 50)
        return [user.ws.receive(0.1)["n"] for _ in range(5)], user.ws.connection.inbox_dropped

    with Peer(upgrade(), wait_messages(), send(pushes), stall()) as peer:
        result, _ = in_a_user(late, peer, max_inbox=5)
    assert result == ([45, 46, 47, 48, 49], 45)


# ── outcomes that come while the user goes ───────────────────────────────────────────────────────────────────────────


def test_an_outcome_that_waits_behind_a_slow_listener_is_not_lost_with_its_user() -> None:
    """Somebody's request listener blocks; the user is stopped and gone before its outcomes are reported."""
    free = gevent.event.Event()

    def slow(**_: Any) -> None:
        free.wait(5)

    def submits(user: Any) -> None:
        user.ws.submit({"type": "ask"})
        gevent.sleep(0.02)

    with Peer(upgrade(), echo()) as peer, running(asking(submits, max_in_flight=100), peer.url) as run:
        eventually(lambda: len(run.of_type("WS")) >= 2)
        run.environment.events.request.add_listener(slow)
        eventually(lambda: len(shared().dispatcher.reports.calls) >= 3)
        run.stop()
        gc.collect()
        free.set()
        assert shared().dispatcher.flush(3.0)
        eventually(lambda: run.balance()["WS ask"].in_flight == 0, 1.0)


# ── Socket.IO ────────────────────────────────────────────────────────────────────────────────────────────────────────


class SioUser(FastSocketIOUser):
    abstract = True
    pattern = Persistent(reconnect=QUICK)
    wait_time = constant(0.01)
    request_timeout_s = 1.0


def test_a_socketio_user_calls_emits_and_leaves() -> None:
    """Round trips as ``SIO``, one-way events as ``SEND``; the namespace is left in order."""

    class Caller(SioUser):
        abstract = False

        @task
        def talk(self) -> None:
            assert self.sio.call("hello", {"a": 1}) == "ok"
            self.sio.emit("bye", ("x", 2))

    with Peer(*session(), acking("ok")) as peer:
        with running(Caller, peer.url) as run:
            eventually(lambda: len(run.of_type("SIO")) >= 3)
            run.stop()
        assert run.failures("CONNECT", "SIO", "SEND", "DROP") == []
        assert peer.last.close_code == 1000
        assert set(run.balance()) == {"CONNECT /socket.io/", "SIO hello", "SEND bye"}


def test_a_socketio_call_on_a_lost_connection_fails_at_once() -> None:
    """As ``lost``, once; the user is reconnected."""
    results: list[float] = []

    class Caller(SioUser):
        abstract = False
        pattern = Persistent(reconnect=FullJitter(base_s=0.3, cap_s=0.3))

        @task
        def talk(self) -> None:
            if not results:
                eventually(lambda: not self.sio.is_connected)
                begun_s = monotonic()
                with pytest.raises(ConnectionLost):
                    self.sio.call("hello")
                results.append(monotonic() - begun_s)

    with Peer([*session(), wait(0.05), reset()], [*session(), acking()]) as peer, running(Caller, peer.url) as run:
        eventually(lambda: len(peer.connections) == 2)
        assert results[0] < 0.1
        assert run.ledger("SIO").lost == 1
        eventually(lambda: run.states == {"open": 1})
