"""`plugin.users.pool`: users that share connections, on the real reference server."""

from __future__ import annotations

from locust import User, constant, task

from collections.abc import Callable
from time import monotonic
from typing import Any

import gevent
import pytest

from locust_ext import AgentUser, ConfigError, ConnectionPool, FastSocketIOUser, RequestTimeout, WebSocketUser
from locust_ext.core.protocols.correlation import ByType
from locust_ext.errors import ConnectionLost
from locust_ext.plugin.users.pool import SharedConnections
from locust_ext.runtime import pool as module
from tests.e2e.runs import Server
from tests.peers import Peer, echo, eventually, refused_port, stop_reading, upgrade, wait
from tests.runtime.locusting import Run, running

PING = {"type": "ping"}


class Line(WebSocketUser):
    """How the shared connections are made."""

    abstract = True
    path = "/api/v1/ws/{client_id}"
    correlate = ByType({"ping": "pong"})
    request_timeout_s = 2.0


class Live(FastSocketIOUser):
    abstract = True
    confirm = {"context_set": ("context_set_confirmed", ("key", "value"))}  # noqa: RUF012 – as users write it


def caller(pool: ConnectionPool, deed: Callable[[Any], Any]) -> type[User]:
    """A plain Locust user, which has no connection of its own."""

    class Caller(User):
        wait_time = constant(0.005)

        @task
        def act(self) -> None:
            deed(self)

    Caller.pool = pool  # type: ignore[attr-defined]
    return Caller


def asks(user: Any) -> None:
    with user.pool.acquire() as ws:
        assert ws.request(PING)["type"] == "pong"


def connections(run: Run) -> SharedConnections:
    """Of the one pool of the run, waited for."""
    return eventually(lambda: module_pools(run))[0]  # type: ignore[no-any-return]


def module_pools(run: Run) -> list[SharedConnections]:
    from locust_ext.plugin.users.pool import _pools

    return list(_pools.get(run.environment, {}).values())


def test_many_users_share_few_connections_and_each_wait_is_recorded(server: Server) -> None:
    pool = ConnectionPool(Line, min=1, max=3)
    with running(caller(pool, asks), server.url, count=12) as run:
        eventually(lambda: len(run.of_type("WS")) >= 60)
        assert connections(run).size <= 3
        assert server.counters()["connections"] == 3
        run.stop()
        waits, requests = run.ledger("POOL"), run.ledger("WS")
        assert waits.name == "/api/v1/ws/{client_id}" == run.ledger("CONNECT").name
        assert (waits.failed, waits.timed_out, requests.failures, run.ledger("CONNECT").ok) == (0, 0, 0, 3)
        assert waits.latency.count == waits.ok >= requests.ok >= 60
        assert waits.latency.max_us > 0  # type: ignore[operator]
        assert module_pools(run) == []
        eventually(lambda: server.counters()["open_connections"] == 0)


def test_each_connection_has_a_client_id_of_its_own_and_socket_io_is_shared_too(server: Server) -> None:
    pool = ConnectionPool(Live, max=2)

    def sets(user: Any) -> None:
        with user.pool.acquire() as sio:
            assert sio.call("context_set", {"key": "shared", "value": "1"})["key"] == "shared"

    with running(caller(pool, sets), server.url, count=6) as run:
        eventually(lambda: len(run.of_type("SIO")) >= 20)
        assert len({channel._user.client_id for channel in connections(run)._pool.members}) == 2
        run.stop()
        assert (run.ledger("SIO").failures, run.ledger("POOL").failures) == (0, 0)


def test_a_wait_that_takes_too_long_is_one_timeout(server: Server) -> None:
    pool = ConnectionPool(Line, max=1, acquire_timeout_s=0.1)
    errors: list[RequestTimeout] = []

    def holds(user: Any) -> None:
        try:
            with user.pool.acquire():
                gevent.sleep(0.5)
        except RequestTimeout as error:
            errors.append(error)
            raise

    with running(caller(pool, holds), server.url, count=2) as run:
        eventually(lambda: len(errors) >= 2)
        run.stop()
        found = run.ledger("POOL")
        assert found.timed_out == len(errors) == len(run.failures("POOL"))
        assert dict(found.errors) == {"timeout": len(errors)}
        assert set(run.failures("POOL")) == {"timeout - no connection of the pool was free by the deadline"}
        assert min(event.response_time or 0 for event in run.of_type("POOL") if event.exception) >= 99


def test_a_dead_connection_is_replaced_and_its_borrower_fails_at_once(server: Server) -> None:
    pool = ConnectionPool(Line, max=1)
    seen: list[Any] = []

    def dies(user: Any) -> None:
        if seen:
            return
        with user.pool.acquire() as ws:
            server.misbehave(drop_ratio=1.0)
            begun_s = monotonic()
            for _ in range(2):  # the second is not sent: nobody waits for a pooled connection to come back
                try:
                    ws.request(PING)
                except ConnectionLost as error:
                    seen.append(str(error))
            seen.append(monotonic() - begun_s)
            server.misbehave()
        with user.pool.acquire() as again:
            seen.append(again.request(PING)["type"])

    with running(caller(pool, dies), server.url) as run:
        eventually(lambda: len(seen) == 4, what="all four")
        assert seen[0] == "lost - the connection went before the reply came"
        assert seen[1] == "lost - the connection is gone, and the pool replaces it"
        assert seen[2] < 1.0
        assert seen[3] == "pong"
        assert (connections(run).replaced, run.ledger("DROP").lost, run.ledger("CONNECT").ok) == (1, 1, 2)


def test_a_connection_that_does_not_answer_is_found_before_it_is_lent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The peer is there, and says nothing more: half-open. The borrower gets another one, and notices only the wait."""
    from locust_ext.plugin.users import pool as pools

    monkeypatch.setattr(pools, "CHECK_S", 0.2)
    pool = ConnectionPool(WebSocketUser, max=1, check_after_s=0.05)
    waits: list[float] = []

    def borrows(user: Any) -> None:
        begun_s = monotonic()
        with user.pool.acquire() as ws:
            waits.append(monotonic() - begun_s)
            assert ws.is_connected
        gevent.sleep(0.1)

    half_open, good = [upgrade(), stop_reading(), wait(30)], [upgrade(), echo()]
    with Peer(half_open, good) as peer, running(caller(pool, borrows), peer.url) as run:
        eventually(lambda: len(waits) >= 3)
        run.stop()
        assert (len(peer.connections), run.ledger("CONNECT").ok) == (2, 2)
        assert dict(run.ledger("DROP").errors) == {"ping_timeout": 1}
        assert 0.2 <= waits[1] < 1.0
        assert run.ledger("POOL").failures == 0


def test_a_users_own_check_decides(server: Server) -> None:
    answers = [False, True]
    pool = ConnectionPool(Line, max=1, check_after_s=0, check=lambda ws: answers.pop(0) if answers else True)
    with running(caller(pool, asks), server.url) as run:
        eventually(lambda: run.of_type("WS"))
        assert (connections(run).replaced, run.ledger("CONNECT").ok) == (1, 2)


def test_a_borrower_meets_neither_handlers_nor_pushes_of_the_one_before(server: Server) -> None:
    pool = ConnectionPool(Line, max=1, acquire_timeout_s=2)
    heard: list[str] = []
    turns: list[int] = []

    def listens(user: Any) -> None:
        if len(turns) >= 3:
            return
        with user.pool.acquire() as ws:
            turns.append(len(ws._handlers))
            turn = len(turns)
            ws.on("*", lambda message: heard.append(f"{turn} {message['type']}"))
            ws.send({"type": "heartbeat"})  # by type, its ack is unasked for
            eventually(lambda: f"{turn} heartbeat_ack" in heard)

    with running(caller(pool, listens), server.url) as run:
        eventually(lambda: len(turns) == 3)
        run.stop()
    assert turns == [0, 0, 0]
    assert [each for each in heard if "heartbeat_ack" in each] == [f"{turn} heartbeat_ack" for turn in (1, 2, 3)]


def test_a_killed_user_gives_back_what_it_holds_and_its_place_in_the_queue(server: Server) -> None:
    pool = ConnectionPool(Line, max=1)

    def holds(user: Any) -> None:
        with user.pool.acquire():
            gevent.sleep(60)

    with running(caller(pool, holds), server.url, count=3) as run:
        eventually(lambda: (connections(run).lent, connections(run).waiting) == (1, 2))
        lent = connections(run)
        run.stop()
        assert (lent.lent, lent.waiting, lent.size) == (0, 0, 0)
        found = run.ledger("POOL")
        assert (found.ok, found.cancelled, found.failures) == (1, 2, 0)


def test_what_is_not_given_back_is_replaced_and_warned_of_once(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "UPKEEP_S", 0.02)
    pool = ConnectionPool(Line, max=1, leak_after_s=0.1)
    leaks: list[Any] = []

    def leaks_it(user: Any) -> None:
        leaks.append(user.pool.acquire())

    with running(caller(pool, leaks_it), server.url) as run:
        eventually(lambda: len(leaks) >= 3)
        assert connections(run).leaked >= 2
        assert [lease.member.is_connected for lease in leaks[:2]] == [False, False]
        run.stop()
    assert sum("was not given back" in record.message for record in caplog.records) == 1


def test_broadcast_reaches_all_connections_of_the_pool(server: Server) -> None:
    pool = ConnectionPool(Line, min=5, max=5)
    results: list[Any] = []

    def tells(user: Any) -> None:
        if results:
            return
        shared = user.pool
        eventually(lambda: shared.idle == 5)
        with shared.acquire():  # the lent one too
            results.append((shared.broadcast(PING, limit=2), shared.broadcast({"type": "note"}, one_way=True)))

    with running(caller(pool, tells), server.url) as run:
        eventually(lambda: results)
        run.stop()
        asked, told = results[0]
        assert [each.reply["type"] for each in asked] == ["pong"] * 5
        assert [each.succeeded for each in told] == [True] * 5
        assert (run.ledger("WS", "ping").ok, run.ledger("SEND", "note").ok) == (5, 5)


def test_a_target_that_is_down_costs_a_few_connects_and_timeouts() -> None:
    pool = ConnectionPool(WebSocketUser, max=4, acquire_timeout_s=0.3)
    with running(caller(pool, asks), f"http://127.0.0.1:{refused_port()}", count=4) as run:
        eventually(lambda: len(run.of_type("POOL")) >= 4)
        run.stop()
        assert set(run.failures("CONNECT")) == {"refused - the target refused the TCP connection"}
        assert run.ledger("CONNECT").failed <= 30


def test_the_class_that_makes_the_connections_says_where_to() -> None:
    """Its own host stands before that of the user that asks; ``--host`` stands before both."""
    with Peer(upgrade(), echo()) as peer:

        class Elsewhere(WebSocketUser):
            abstract = True
            host = peer.url

        def borrows(user: Any) -> None:
            with user.pool.acquire():
                pass

        user = caller(ConnectionPool(Elsewhere), borrows)
        user.host = "http://127.0.0.1:1"
        with running(user, "") as run:
            eventually(lambda: any(event.exception is None for event in run.of_type("POOL")))
            assert len(peer.connections) >= 1


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"max": 0}, "ConnectionPool.max: expected a whole number of at least 1 (got 0)"),
        ({"min": 3, "max": 2}, "ConnectionPool.max: expected max to be at least min (got 2)"),
        ({"min": True}, "ConnectionPool.min: expected a whole number of at least 0 (got True)"),
        ({"idle_s": -1}, "ConnectionPool.idle_s: expected seconds (got -1)"),
        ({"leak_after_s": float("nan")}, "ConnectionPool.leak_after_s: expected seconds (got nan)"),
    ],
)
def test_wrong_settings_are_errors_of_the_locustfile(given: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ConnectionPool(AgentUser, **given)
    assert str(caught.value) == text


def test_a_class_without_a_connection_cannot_fill_a_pool(server: Server) -> None:
    with pytest.raises(ConfigError, match="expected a real-time user class"):
        ConnectionPool(User)  # type: ignore[arg-type]
