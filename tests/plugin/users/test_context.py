"""`plugin.users.context`: the typed methods and the live channel on the real reference server; bad servers on peers."""

from __future__ import annotations

from locust import FastHttpUser, HttpUser

import gc
import json
from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from locust_ext.core.lifecycle import FullJitter, Persistent
from locust_ext.core.messages import ContextOps
from locust_ext.core.pacing import ClosedLoop
from locust_ext.errors import CheckFailed, ConnectFailed, ConnectionLost, ErrorReply, OperationError, RequestTimeout
from locust_ext.plugin.users.context import ContextServerUser
from tests.e2e.runs import Server
from tests.peers import (
    Peer,
    PeerConnection,
    Step,
    close,
    eventually,
    fin,
    full_backlog,
    refused_port,
    reset,
    send,
    stall,
)
from tests.plugin.inside import inside, user_class
from tests.runtime.locusting import running

JSON = "Content-Type: application/json"


def respond(status: str, *headers: str, body: bytes = b"", length: int | None = None) -> Step:
    """Read one HTTP request (head and body) and answer it."""

    def step(peer: PeerConnection) -> None:
        peer.sock.settimeout(5)
        data = b""
        while b"\r\n\r\n" not in data:
            data += peer.sock.recv(4096) or _gone()
        head, _, rest = data.partition(b"\r\n\r\n")
        lines = head.decode().lower().split("\r\n")
        wanted = next((int(line.partition(":")[2]) for line in lines if line.startswith("content-length:")), 0)
        while len(rest) < wanted:
            rest += peer.sock.recv(4096) or _gone()
        peer.head += data
        answer = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body) if length is None else length}", "", ""]
        peer.sock.sendall("\r\n".join(answer).encode() + body)

    return step


def _gone() -> bytes:
    raise OSError("the client went")


def good(**more: Any) -> Step:
    return respond("200 OK", JSON, body=json.dumps({"status": "success", **more}).encode())


# ── the typed methods ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_typed_method(server: Server) -> None:
    """Gives the decoded answer; recorded under the path's template; both sides count the same requests."""

    def uses(user: Any) -> Any:
        key = "a key/with?odd&ü"
        assert user.set(key, {"n": 1})["who"] == "api_client"
        assert user.set("who", 1, who="me")["who"] == "me"
        assert user.get(key)["value"] == {"n": 1}
        assert user.get("unknown " + user.client_id)["value"] is None
        assert user.all()["context"][key] == {"n": 1}
        assert user.history()["total_entries"] >= 2
        assert {each["key"] for each in user.history(key=key)["history"]} == {key}
        assert {each["who"] for each in user.history(who="me")["history"]} == {"me"}
        made = user.dump("csv", user.client_id, who="me", include_history=True)
        assert (made["format"], made["who"]) == ("csv", "me")
        assert user.dump()["format"] == "json"
        assert made["filename"] in [each["filename"] for each in user.dumps()["dump_files"]]
        assert len(user.download(made["filename"])) == made["file_size"]
        return key

    _, run = inside(ContextServerUser, server.url, uses)
    balance = run.balance()
    assert {key: each.ok for key, each in balance.items()} == {
        "POST /ctx": 2,
        "GET /ctx": 2,
        "GET /ctx/all": 1,
        "GET /ctx/history": 3,
        "POST /ctx/dump": 2,
        "GET /ctx/dump/list": 1,
        "GET /ctx/dump/{filename}": 1,
    }
    assert server.counters()["http_requests"] == sum(each.started for each in balance.values()) == 12
    assert balance["GET /ctx/all"].bytes_received > 0


@pytest.mark.parametrize(
    ("ask", "name", "error_class"),
    [
        (lambda user: user.get(""), "GET /ctx", "http_400"),
        (lambda user: user.set("k", None), "POST /ctx", "http_400"),
        (lambda user: user.dump("xml"), "POST /ctx/dump", "http_400"),
        (lambda user: user.dump("json", "../up"), "POST /ctx/dump", "http_400"),
        (lambda user: user.download("no-such-file.json"), "GET /ctx/dump/{filename}", "http_404"),
    ],
)
def test_a_refused_request(server: Server, ask: Any, name: str, error_class: str) -> None:
    """Raises, is recorded once with its status, and nothing of the answer's page is in the text."""
    error, run = inside(ContextServerUser, server.url, ask)
    assert isinstance(error, OperationError)
    assert str(error) == f"{error_class} - the server answered with HTTP status {error_class[5:]}"
    assert run.failures("GET", "POST") == [str(error)]
    found = run.balance()[name]
    assert (found.failed, found.ok, found.errors) == (1, 0, {error_class: 1})
    assert found.latency.count == 1  # it was answered


def test_a_failed_request_ends_the_turn_quietly(server: Server) -> None:
    """Whatever its class: no exception of a task, no traceback, nothing counted twice."""
    server.misbehave(error_ratio=1.0)

    def asks(user: Any) -> None:
        user.random.choice((user.all, lambda: user.download("x"), lambda: user.set("k", 1)))()
        raise AssertionError("never reached")

    with running(user_class(ContextServerUser, asks), server.url) as run:
        eventually(lambda: len(run.failures("GET", "POST")) >= 10)
        run.stop()
        assert set(run.failures("GET", "POST")) == {"http_500 - the server answered with HTTP status 500"}
        assert run.runner.exceptions == {}
        assert {each.type for each in run.events} <= {"GET", "POST"}


@pytest.mark.parametrize(
    ("steps", "kind", "text", "outcome"),
    [
        (
            [respond("200 OK", body=b"<html>secret</html>")],
            CheckFailed,
            "check_failed - the answer is not JSON",
            "failed",
        ),
        (
            [respond("200 OK", JSON, body=b'{"status": "error", "message": "secret"}')],
            ErrorReply,
            "error_reply - the answer's status is not success",
            "failed",
        ),
        (
            [respond("200 OK", JSON, body=b"[1]")],
            ErrorReply,
            "error_reply - the answer's status is not success",
            "failed",
        ),
        ([respond("200 OK", JSON)], CheckFailed, "check_failed - the answer is not JSON", "failed"),
        ([respond("302 Found", "Location: /secret"), respond("500 Oops")], OperationError, "http_500 - ", "failed"),
        ([respond("503 secret-reason", "X-Secret: secret")], OperationError, "http_503 - ", "failed"),
        ([respond("200 OK", JSON, body=b'{"status"', length=100), fin()], ConnectionLost, "reset - ", "lost"),
        ([respond("200 OK", JSON, body=b'{"status"', length=100), reset()], ConnectionLost, "reset - ", "lost"),
        ([lambda peer: peer.sock.recv(9999), fin()], ConnectionLost, "reset - ", "lost"),
        ([lambda peer: peer.sock.recv(9999), reset()], ConnectionLost, "reset - ", "lost"),
        (
            [lambda peer: peer.sock.recv(9999), send(b"nonsense secret\r\n\r\n"), stall()],
            OperationError,
            "protocol - ",
            "lost",
        ),
        ([stall()], RequestTimeout, "timeout - no reply by the deadline", "timed_out"),
        ([respond("200 OK", JSON, body=b'{"sta', length=100), stall()], RequestTimeout, "timeout - ", "timed_out"),
    ],
)
def test_what_a_bad_server_does(steps: list[Step], kind: type[Exception], text: str, outcome: str) -> None:
    """Each has one outcome, a class of the vocabulary, and no word of the server's."""
    if steps[-1:] and len(steps) == 1 and steps[0] is not stall:
        steps = [*steps, stall()]
    with Peer(*steps) as peer:
        error, run = inside(
            ContextServerUser, peer.url, lambda user: user.all(), network_timeout=0.3, connection_timeout=0.3
        )
    assert isinstance(error, kind), repr(error)
    assert str(error).startswith(text)
    assert "secret" not in str(error)
    assert run.failures("GET") == [str(error)]
    found = run.balance()["GET /ctx/all"]
    assert getattr(found, outcome) == 1
    assert sum(found.errors.values()) == 1


def test_a_server_that_is_not_there() -> None:
    """``refused``, as for the real-time users."""
    url = f"http://127.0.0.1:{refused_port()}"
    error, run = inside(ContextServerUser, url, lambda user: user.get("k"))
    assert isinstance(error, ConnectFailed)
    assert run.failures("GET") == ["refused - the target refused the TCP connection"]
    error, _ = inside(ContextServerUser, "http://nobody.invalid", lambda user: user.get("k"))
    assert str(error) == "dns - the host name could not be resolved"
    with full_backlog() as url:
        error, run = inside(ContextServerUser, url, lambda user: user.get("k"), connection_timeout=0.2)
    assert str(error).split()[0] in ("connect_timeout", "timeout")


# ── Locust's own session ───────────────────────────────────────────────────────────────────────────────────────────────


def test_the_session_is_locusts_own(server: Server) -> None:
    """Its methods, its checks; names lose their query, and a response may be renamed."""

    def uses(user: Any) -> None:
        assert user.client.get("/ctx/all?token=secret").json()["status"] == "success"
        assert user.client.get("/ctx", name="named", params={"key": "k"}).status_code == 200
        with user.client.get("/nowhere", catch_response=True) as response:
            assert response.status_code == 404
            response.success()
        with user.client.get("/ctx/all", name="before", catch_response=True) as response:
            response.request_meta["name"] = "after"
        with user.client.get("/ctx/all", name="judged", catch_response=True) as response:
            response.failure("not good enough")
        with user.client.rename_request("group"):
            user.client.get("/ctx/all")

    error, run = inside(ContextServerUser, server.url, uses)
    assert error is None
    assert {key: (each.ok, each.failed) for key, each in run.balance().items()} == {
        "GET /ctx/all": (1, 0),
        "GET named": (1, 0),
        "GET /nowhere": (1, 0),
        "GET after": (1, 0),
        "GET judged": (0, 1),
        "GET group": (1, 0),
    } | ({"GET before": (0, 0)} if "GET before" in run.balance() else {})
    assert run.failures("GET") == ["check_failed - not good enough"]


def test_an_exception_in_a_check_leaves_nothing_in_flight(server: Server) -> None:
    """Locust records nothing then; for us the operation is cancelled."""

    def uses(user: Any) -> None:
        with user.client.get("/ctx/all", name="left", catch_response=True):
            raise KeyError("secret")

    error, run = inside(ContextServerUser, server.url, uses)
    assert isinstance(error, KeyError)
    assert run.balance()["GET left"].cancelled == 1


@pytest.mark.parametrize("where", ["answer", "body", "check"])
def test_a_user_killed_in_the_middle_has_its_request_cancelled(server: Server, where: str) -> None:
    """No event, no failure, nothing in flight; the connection is closed."""
    reached: list[str] = []

    def asks(user: Any) -> None:
        reached.append("asked")
        if where == "check":
            with user.client.get("/ctx/all", name="asked", catch_response=True):
                reached.append("inside")
                gevent.sleep(60)
        else:
            user.client.get("/x", name="asked")

    steps = [respond("200 OK", JSON, body=b"{", length=100), stall()] if where == "body" else [stall()]
    with Peer(*steps) as peer:
        url = server.url if where == "check" else peer.url
        with running(user_class(ContextServerUser, asks), url) as run:
            eventually(lambda: "inside" in reached if where == "check" else peer.connections)
            gevent.sleep(0.05)
            assert run.stop() < 1.0
            found = run.balance()["GET asked"]
            assert (found.cancelled, found.in_flight) == (1, 0)
            assert run.events == []


# ── the two sides of one user ──────────────────────────────────────────────────────────────────────────────────────────


def test_cookies_headers_and_token_are_shared_by_both_sides() -> None:
    """A login over HTTP holds for the live channel, and what the upgrade sets comes back over HTTP."""
    from tests.peers import switching_protocols, text

    def upgrades(peer: PeerConnection) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += peer.sock.recv(4096)
        peer.head = data
        opened = '0{"sid":"e","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'
        peer.sock.sendall(switching_protocols(peer, "Set-Cookie: live=2; Path=/") + text(opened))
        peer.read_on()
        peer.until(lambda each: each.got)
        peer.sock.sendall(text('40{"sid":"s"}'))

    login = respond("200 OK", JSON, "Set-Cookie: session=1; Path=/", body=b'{"status":"success"}')
    with Peer([login, good(), stall()], [upgrades, stall()]) as peer:

        def uses(user: Any) -> None:
            user.set("login", 1)
            user.live.connect()
            user.all()

        error, _ = inside(
            ContextServerUser,
            peer.url,
            uses,
            headers={"X-Tenant": "t1"},
            token=lambda user: f"token of {user.client_id[:3]}",
        )
        assert error is None
        requests, live = peer.connections[0].head.decode(), peer.connections[1].headers
    first, second = requests.split("POST /ctx")[1].split("GET /ctx/all")
    assert (live["cookie"], live["x-tenant"], live["authorization"]) == ("session=1", "t1", "Bearer token of lx-")
    assert "Cookie" not in first
    assert "session=1" in second
    assert "live=2" in second
    assert requests.lower().count("x-tenant: t1") == 2
    assert requests.count("Bearer token of lx-") == 2


def test_headers_of_a_callable_are_asked_for_each_request() -> None:
    """On both sides of a user; what a call gives itself wins."""
    numbers = iter(range(10))

    def headers(user: Any) -> dict[str, str]:
        return {"X-Number": str(next(numbers)), "X-Own": "class"}

    with Peer(good(), good(), stall()) as peer:
        inside(
            ContextServerUser,
            peer.url,
            lambda user: (user.all(), user.client.get("/x", headers={"X-Own": "call"})),
            headers=headers,
        )
        head = peer.last.head.decode().lower()
    assert [head.count(f"x-number: {number}\r") for number in (0, 1)] == [1, 1]
    assert (head.count("x-own: class\r"), head.count("x-own: call\r")) == (1, 1)


def test_the_live_channel_beside_http(server: Server) -> None:
    """A set over HTTP is a push on it; a set over it is confirmed, and visible over HTTP."""

    def uses(user: Any) -> Any:
        user.live.connect()
        user.set("over http", 1)
        pushed = user.live.expect("context_updated", lambda data: data["key"] == "over http")
        confirmed = user.live.call("context_set", {"key": "live", "value": user.client_id})
        return pushed["value"], confirmed["status"], user.get("live")["value"] == user.client_id

    result, run = inside(ContextServerUser, server.url, uses)
    assert result == (1, "success", True)
    assert set(run.balance()) == {
        "CONNECT /socket.io/",
        "POST /ctx",
        "GET /ctx",
        "SIO context_set",
        "SIO context_updated",
    }


def test_the_live_channel_comes_back_after_a_loss(server: Server) -> None:
    """By itself, while HTTP goes on."""

    def uses(user: Any) -> Any:
        user.live.connect()
        user.live.connection.abort()
        user.get("k")
        eventually(lambda: user.live.is_connected)
        return user.live.call("context_set", {"key": "k", "value": 1})["status"]

    status, run = inside(ContextServerUser, server.url, uses, within_s=15)
    assert status == "success"
    assert len(run.of_type("DROP")) == 1
    assert run.ledger("CONNECT").ok == 2


def test_the_live_channel_is_made_at_its_first_use(server: Server) -> None:
    """A user that only asks over HTTP opens no WebSocket."""
    _, run = inside(ContextServerUser, server.url, lambda user: user.all())
    assert server.counters()["connections"] == 0
    assert run.of_type("CONNECT") == []


def test_a_generator_drives_a_context_user(server: Server) -> None:
    """Reads and writes over HTTP and live changes; no request fails, the counts agree."""
    for live in (False, True):
        server._ask("DELETE", "/counters")
        made = user_class(
            ContextServerUser,
            generator=ContextOps(reads=0.5, keys=5, live=live),
            pacing=ClosedLoop(0.005),
            pattern=Persistent(reconnect=FullJitter(base_s=0.02)),
        )
        with running(made, server.url, count=3) as run:
            eventually(lambda: len(run.events) > 60, 10.0)
            run.stop()
            balance = run.balance()
            assert sum(each.failures for each in balance.values()) == 0
            assert {each.type for each in balance.values()} >= ({"SIO", "CONNECT"} if live else {"GET", "POST"})
            counted = server.counters()
            http = sum(each.started - each.cancelled for each in balance.values() if each.type in ("GET", "POST"))
            assert http <= counted["http_requests"] <= http + sum(each.cancelled for each in balance.values())


# ── other people's clients ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def collected() -> Iterator[None]:
    """Locust's own users leave their sockets to the garbage collector."""
    yield
    gc.collect()


@pytest.mark.usefixtures("collected")
@pytest.mark.parametrize("client", [HttpUser, FastHttpUser])
def test_locusts_own_http_users_are_counted_exactly(server: Server, client: Any) -> None:
    """Through the request event alone, with classes of the vocabulary."""

    def uses(user: Any) -> None:
        user.client.get("/ctx/all")
        user.client.get("/nowhere", name="missing")
        with user.client.get("/ctx/all", name="judged", catch_response=True) as response:
            response.failure("bad")

    _, run = inside(client, server.url, uses)
    balance = run.balance()
    assert {key: dict(each.errors) for key, each in balance.items()} == {
        "GET /ctx/all": {},
        "GET missing": {"http_404": 1},
        "GET judged": {"check_failed": 1},
    }
    assert all(each.latency.count == 1 for each in balance.values())


@pytest.mark.usefixtures("collected")
@pytest.mark.parametrize("client", [HttpUser, FastHttpUser])
@pytest.mark.parametrize(
    ("steps", "error_class"),
    [([close()], "reset"), ([lambda peer: peer.sock.recv(9999), reset()], "reset"), ([stall()], "timeout")],
)
def test_their_failures_have_our_classes(client: Any, steps: list[Step], error_class: str) -> None:
    """A reset is a reset and a timeout a timeout, whatever library says it."""

    def uses(user: Any) -> None:
        user.client.get("/x", **({"timeout": 0.2} if client is HttpUser else {}))

    with Peer(*steps) as peer:
        _, run = inside(client, peer.url, uses, network_timeout=0.2)
    assert dict(run.balance()["GET /x"].errors) == {error_class: 1}
