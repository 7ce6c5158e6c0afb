"""`plugin.users.http_side`: users that speak HTTP as well, by either of Locust's clients: cookies, headers, tokens."""

from __future__ import annotations

from locust import FastHttpUser, HttpUser

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pytest

from locust_ext.plugin.users.agent import AgentUser
from locust_ext.plugin.users.pool import ConnectionPool
from locust_ext.plugin.users.socketio import FastSocketIOUser
from locust_ext.plugin.users.websocket import WebSocketUser
from tests.peers import Peer, PeerConnection, echo, read_request, stall, switching_protocols, text, wait_messages
from tests.plugin.inside import inside


class Both(WebSocketUser, HttpUser):
    abstract = True
    path = "/ws"


class Reversed(HttpUser, WebSocketUser):
    abstract = True
    path = "/ws"


class Fast(WebSocketUser, FastHttpUser):
    abstract = True
    path = "/ws"


class FastReversed(FastHttpUser, WebSocketUser):
    abstract = True
    path = "/ws"


class Sio(FastSocketIOUser, FastHttpUser):
    abstract = True
    path = "/ws"


class Agent(AgentUser, HttpUser):
    abstract = True
    path = "/ws"


every_kind = pytest.mark.parametrize("base", [Both, Reversed, Fast, FastReversed, Sio, Agent])
by_client = pytest.mark.parametrize("base", [Both, FastReversed])


@dataclass
class Site:
    """A server that speaks both: each answer sets a cookie (``http`` and ``ws``), each request is noted."""

    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Path, and the headers by their lower-case names."""

    def __call__(self, peer: PeerConnection) -> None:
        read = read_request()
        while True:
            read(peer)
            number = len(self.requests)
            self.requests.append((peer.request_line.split()[1].partition("?")[0], peer.headers))
            if "sec-websocket-key" in peer.headers:
                break
            lines = ["HTTP/1.1 200 OK", f"Set-Cookie: http={number}; Path=/", "Content-Length: 2", "", "ok"]
            peer.sock.sendall("\r\n".join(lines).encode())
        peer.sock.sendall(switching_protocols(peer, f"Set-Cookie: ws={number}; Path=/"))
        peer.read_on()
        if "EIO=4" in peer.request_line:
            hello = {"sid": "e", "upgrades": [], "pingInterval": 25_000, "pingTimeout": 20_000, "maxPayload": 10**6}
            peer.sock.sendall(text("0" + json.dumps(hello)))
            wait_messages()(peer)
            peer.sock.sendall(text('40{"sid":"s"}'))
            stall()(peer)
        echo()(peer)

    def of(self, header: str) -> list[tuple[str, str | None]]:
        return [(path, headers.get(header)) for path, headers in self.requests]

    @property
    def cookies(self) -> list[tuple[str, set[str]]]:
        return [(path, set(cookie.split("; ")) if cookie else set()) for path, cookie in self.of("cookie")]


def uses(base: type[Any], test: Callable[[Any], Any], **settings: Any) -> Site:
    """What the server saw of a user that is connected before ``test`` is called."""
    site = Site()
    with Peer(site) as peer:
        result, run = inside(base, settings.pop("host", peer.url).replace("PORT", str(peer.port)), test, **settings)
        assert run.runner.exceptions == {}
        assert not isinstance(result, BaseException), result
    return site


@every_kind
def test_a_login_by_http_holds_on_the_next_upgrade_and_the_upgrades_cookies_in_http(base: type[Any]) -> None:
    """Whichever of Locust's clients it is, and whichever base class comes first."""

    def logs_in(user: Any) -> None:
        assert user.client.get("/login").text == "ok"
        user.main.close()
        user.main.connect()
        assert user.client.get("/me").text == "ok"

    path = "/socket.io/" if base is Sio else "/ws"
    assert uses(base, logs_in).cookies == [
        (path, set()),
        ("/login", {"ws=0"}),
        (path, {"ws=0", "http=1"}),
        ("/me", {"ws=2", "http=1"}),
    ]


@by_client
def test_the_cookies_of_one_user_are_not_anothers(base: type[Any]) -> None:
    """Each has a jar of its own, and forgets what its client is told to forget."""

    def forgets(user: Any) -> None:
        other = type(user)(user.environment)
        assert other.handshake_options(user.main.connection.target).cookie is None
        assert user.handshake_options(user.main.connection.target).cookie == "ws=0"
        (user.client.cookies if base is Both else user.client.cookiejar).clear()
        assert user.handshake_options(user.main.connection.target).cookie is None

    uses(base, forgets)


@by_client
def test_headers_and_token_of_the_class_go_with_http_as_well(base: type[Any]) -> None:
    """What a request is given itself, and what the client was told later, stand before them."""

    def asks(user: Any) -> None:
        user.client.get("/plain")
        user.client.get("/own", headers={"authorization": "mine", "X-Own": "2"})
        user.client.post("/post", data="{}")
        always = user.client.headers if base is Both else user.client.client.default_headers
        always["X-Own"] = "3"
        user.client.get("/later")

    tokens = iter("abcdefgh")
    site = uses(base, asks, headers={"X-Own": "1"}, token=lambda user: next(tokens))
    assert site.of("x-own") == [("/ws", "1"), ("/plain", "1"), ("/own", "2"), ("/post", "1"), ("/later", "3")]
    assert site.of("authorization") == [
        ("/ws", "Bearer a"),
        ("/plain", "Bearer b"),
        ("/own", "mine"),
        ("/post", "Bearer d"),
        ("/later", "Bearer e"),
    ]


@by_client
def test_headers_that_are_a_function_are_asked_for_each_request(base: type[Any]) -> None:
    """As for each upgrade."""
    numbers = iter(range(10))
    site = uses(
        base,
        lambda user: [user.client.get("/one"), user.client.get("/two", headers={"X-Own": "given"})],
        headers=lambda user: {"X-Own": str(next(numbers))},
    )
    assert site.of("x-own") == [("/ws", "0"), ("/one", "1"), ("/two", "given")]


@by_client
def test_a_token_that_a_login_gave_is_used_by_both_and_stands_before_the_addresss_password(base: type[Any]) -> None:
    """Until then name and password of the address are, by both."""

    def logs_in(user: Any) -> None:
        user.token = user.client.get("/login").text
        user.client.get("/me")
        user.main.close()
        user.main.connect()

    site = uses(base, logs_in, host="http://ann:secret@127.0.0.1:PORT")
    basic = "Basic YW5uOnNlY3JldA=="
    assert site.of("authorization") == [
        ("/ws", basic),
        ("/login", basic),
        ("/me", "Bearer ok"),
        ("/ws", "Bearer ok"),
    ]


def test_a_pooled_connection_logs_in_with_its_headers_too() -> None:
    """Its user is never started, and talks by HTTP in ``on_connected`` all the same."""

    class Line(Both):
        abstract = True
        headers = MappingProxyType({"X-Own": "1"})
        on_connected = lambda user: user.client.get("/login")  # noqa: E731

    class Caller(HttpUser):
        abstract = True
        pool = ConnectionPool(Line, max=1)

    def asks(user: Any) -> None:
        with user.pool.acquire() as ws:
            ws.ping()

    assert uses(Caller, asks).of("x-own") == [("/ws", "1"), ("/login", "1")]
