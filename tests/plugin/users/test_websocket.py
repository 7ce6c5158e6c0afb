"""`plugin.users.websocket`: correlations, encodings and names of a plain WebSocket user, on the real reference server."""

from __future__ import annotations

from typing import Any

import msgpack
import orjson
import pytest

from locust_ext.core.protocols.correlation import ById, ByType, Fifo
from locust_ext.errors import ConfigError, ErrorReply
from locust_ext.plugin.users.websocket import WebSocketUser, decode_json, encode_json, push_name
from tests.e2e.runs import Server
from tests.peers import Peer, echo, eventually, text, upgrade
from tests.plugin.inside import idles, inside, user_class
from tests.runtime.locusting import running

AGENT = "/api/v1/ws/{client_id}"


class Echo(WebSocketUser):
    abstract = True
    path = "/echo"


# ── correlation ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_by_id_is_the_default_and_puts_an_id_into_a_message_that_has_none(server: Server) -> None:
    """Its own where it has one; the message given is not changed."""

    def asks(user: Any) -> Any:
        message = {"type": "ask"}
        replies = [user.ws.request(message), user.ws.request(message), user.ws.request({"type": "ask", "id": 7})]
        assert message == {"type": "ask"}
        return [each["id"] for each in replies]

    ids, run = inside(Echo, server.url, asks)
    first, second, own = ids
    assert (int(second[2:]) - int(first[2:]), own) == (1, 7)
    assert first.startswith("lx")
    assert int(second[2:]) < 2**53  # also a JavaScript server keeps such a number
    assert run.ledger("WS", "ask").ok == 3


def test_by_id_of_another_field_and_kind(server: Server) -> None:
    """For servers that insist on integers, or call it differently."""
    reply, _ = inside(
        Echo, server.url, lambda user: user.ws.request({"method": "m"}), correlate=ById("request_id", make=int)
    )
    assert reply == {"method": "m", "request_id": reply["request_id"]}
    assert type(reply["request_id"]) is int


def test_by_id_refuses_what_cannot_carry_one(server: Server) -> None:
    """An error of the locustfile: nothing is sent, nothing counted."""
    error, run = inside(Echo, server.url, lambda user: user.ws.request(["a", "list"]))
    assert isinstance(error, ConfigError)
    assert "ById" in str(error)
    assert run.of_type("WS") == []
    assert server.counters()["messages_received"] == 0


def test_by_type_matches_by_the_replys_type(server: Server) -> None:
    """Pushes between request and reply stay pushes."""

    def asks(user: Any) -> Any:
        server._ask("POST", "/events", {"channel": "system", "event_type": "e", "data": {}})
        replies = user.ws.request({"type": "ping"})["type"], user.ws.request({"type": "subscribe", "event_types": []})
        return replies[0], replies[1]["type"], user.ws.receive()["type"], user.ws.receive()["type"]

    result, _ = inside(
        WebSocketUser,
        server.url,
        asks,
        path=AGENT,
        correlate=ByType({"ping": "pong", "subscribe": "subscription_confirmed"}),
    )
    assert result == ("pong", "subscription_confirmed", "connection_established", "system_event")


def test_by_type_with_an_error_type(server: Server) -> None:
    """Such a reply answers the oldest open request, as a failure."""
    error, run = inside(
        WebSocketUser,
        server.url,
        lambda user: user.ws.request({"type": "ping", "data": "no object"}),
        path=AGENT,
        correlate=ByType({"ping": "pong"}, error="error"),
    )
    assert isinstance(error, ErrorReply)
    assert run.failures("WS") == ["error_reply - VALIDATION_ERROR"]


def test_fifo_takes_any_message_as_the_reply(server: Server) -> None:
    """Text, numbers and lists too."""

    def asks(user: Any) -> Any:
        return [user.ws.request(message) for message in ("plain", [1, 2], {"type": "x"}, "17")]

    replies, run = inside(Echo, server.url, asks, correlate=Fifo())
    assert replies == ["plain", [1, 2], {"type": "x"}, 17]
    assert set(run.balance()) == {"CONNECT /echo", "WS text", "WS message", "WS x"}


def test_a_callable_gives_the_key(server: Server) -> None:
    """A plain function in the class body is no method of the user."""

    def by_ref(message: Any) -> Any:
        return message.get("ref")

    def asks(user: Any) -> Any:
        return user.ws.request({"ref": "r1", "n": 1}, name="a")["n"], user.ws.request({"ref": "r2", "n": 2}, name="b")[
            "n"
        ]

    result, _ = inside(Echo, server.url, asks, correlate=by_ref)
    assert result == (1, 2)


# ── encodings ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_str_and_bytes_go_out_as_they_are(server: Server) -> None:
    """As text and as binary; what is no JSON is handed on as it came."""

    def asks(user: Any) -> Any:
        return user.ws.request("not { json"), user.ws.request(b"\x00\xff"), user.ws.request("ü€😀")

    replies, run = inside(Echo, server.url, asks, correlate=Fifo())
    assert replies == ("not { json", b"\x00\xff", "ü€😀")
    assert (
        server.counters()["by_type"]["echo:binary" if "echo:binary" in server.counters()["by_type"] else "binary"] == 1
    )
    sent = len(b"not { json") + 2 + len("ü€😀".encode())
    assert (run.recorder.traffic.bytes_sent, run.recorder.traffic.bytes_received) == (sent, sent)


def test_message_pack_both_ways(server: Server) -> None:
    """``encode`` and ``decode`` are plain functions of the library; bytes go out as binary messages."""

    def asks(user: Any) -> Any:
        return user.ws.request({"type": "ask", "data": [1, 2.5, None, b"\x00"]})

    reply, run = inside(
        Echo, server.url, asks, encode=staticmethod(msgpack.packb), decode=staticmethod(msgpack.unpackb)
    )
    assert reply == {"type": "ask", "data": [1, 2.5, None, b"\x00"], "id": reply["id"]}
    assert run.recorder.traffic.bytes_sent == len(msgpack.packb(reply))


def test_an_encoding_as_text(server: Server) -> None:
    """``str`` from ``encode`` goes out as text."""
    reply, _ = inside(
        Echo,
        server.url,
        lambda user: user.ws.request(("a", "b")),
        correlate=Fifo(),
        encode=staticmethod("|".join),
        decode=staticmethod(lambda payload: payload.split("|")),
    )
    assert reply == ["a", "b"]


def test_what_encode_raises_is_the_locustfiles_own_error(server: Server) -> None:
    """Nothing is in flight after it."""
    error, run = inside(Echo, server.url, lambda user: user.ws.request({"a": object()}))
    assert isinstance(error, TypeError)
    assert run.of_type("WS") == []
    error, run = inside(Echo, server.url, lambda user: user.ws.send({"a": object()}))
    assert isinstance(error, TypeError)
    assert run.of_type("SEND") == []


def test_what_decode_cannot_read_is_handed_on_as_it_came(server: Server) -> None:
    """As a push: it answers nobody."""

    def asks(user: Any) -> Any:
        user.ws.send("plain")
        return user.ws.receive(2)

    reply, run = inside(Echo, server.url, asks, decode=staticmethod(orjson.loads))
    assert reply == "plain"
    assert run.recorder.snapshot(0.0).pushes[0].event == "text"


def test_json_is_the_default_both_ways() -> None:
    """By orjson; nothing that came is ever an error."""
    assert encode_json({"a": [1, "ü"]}) == '{"a":[1,"ü"]}'.encode()
    assert decode_json('{"a":1}') == {"a": 1}
    assert decode_json("nonsense") == "nonsense"
    assert decode_json(b"\xff\x00") == b"\xff\x00"


@pytest.mark.parametrize("compression", [False, True])
def test_messages_of_any_size(server: Server, compression: bool) -> None:
    """Bytes are counted before compression."""

    def asks(user: Any) -> Any:
        return [len(user.ws.request("x" * size)) for size in (0, 1, 125, 126, 65_535, 65_536, 1_000_000)]

    sizes, run = inside(Echo, server.url, asks, correlate=Fifo(), compression=compression)
    assert sizes == [0, 1, 125, 126, 65_535, 65_536, 1_000_000]
    assert run.recorder.traffic.bytes_received == sum(sizes)


# ── names ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ({"type": "a", "event": "b"}, "a"),
        ({"event": "b"}, "b"),
        ({"method": "m"}, "m"),
        ({"type": 7}, "message"),
        ({"type": ""}, "message"),
        ([1], "message"),
        ("x", "text"),
        (b"x", "binary"),
        (None, "message"),
    ],
)
def test_messages_are_named_by_their_kind(message: Any, name: str) -> None:
    """Never by their content."""
    assert push_name(message) == name


def test_a_class_may_name_pushes_itself(server: Server) -> None:
    """A function in the class body."""

    def asks(user: Any) -> Any:
        user.ws.send({"kind": "k"})
        return user.ws.receive(2)["kind"]

    kind, run = inside(Echo, server.url, asks, push_name=staticmethod(lambda message: f"push of {message['kind']}"))
    assert kind == "k"
    assert [each.event for each in run.recorder.snapshot(0.0).pushes] == ["push of k"]


def test_the_client_id_is_in_the_path_and_never_in_a_name(server: Server) -> None:
    """The template is the name."""
    greeting, run = inside(WebSocketUser, server.url, lambda user: (user.ws.receive(), user.client_id), path=AGENT)
    assert greeting[0]["client_id"] == greeting[1]
    assert set(run.balance()) == {f"CONNECT {AGENT}"}


def test_a_query_in_the_path_reaches_the_server_and_no_name() -> None:
    """Beside what the path says itself."""
    with (
        Peer(upgrade(), echo()) as peer,
        running(user_class(WebSocketUser, idles, path="/a/{client_id}?x=1&y={client_id}"), peer.url) as run,
    ):
        eventually(lambda: run.states == {"open": 1})
        client_id = run.user.client_id
        assert peer.last.request_line == f"GET /a/{client_id}?x=1&y={client_id} HTTP/1.1"
        assert set(run.balance()) == {"CONNECT /a/{client_id}"}


def test_a_path_may_be_a_whole_address(server: Server) -> None:
    """Of another server than ``host``; the name then has neither credentials nor query."""
    with Peer(upgrade(), echo()) as peer:
        other = peer.url.replace("http://", "ws://")

        def opens(user: Any) -> Any:
            return user.open(f"{other}/x?token=secret").request({"type": "ask"})["type"]

        reply, run = inside(Echo, server.url, opens)
        assert reply == "ask"
        assert set(run.balance()) == {"CONNECT /echo", f"CONNECT {other}/x", "WS ask"}


def test_each_user_has_its_own_settings_object_only_once(server: Server) -> None:
    """A thousand users of a class share their profile and limits."""
    made = user_class(Echo, idles)
    with running(made, server.url, count=5) as run:
        eventually(lambda: run.states == {"open": 5})
        assert len({id(user.ws.connection.profile) for user in run.users}) == 1
        assert len({id(user.ws.connection.settings) for user in run.users}) == 1


def test_a_class_does_not_share_its_parents_profile(server: Server) -> None:
    """Another encoding of the same correlation is another profile."""

    class Parent(Echo):
        abstract = False
        correlate = Fifo()
        tasks = [idles]  # noqa: RUF012 – Locust's own form

    class Child(Parent):
        encode = staticmethod(msgpack.packb)

    with running(Parent, server.url) as run:
        eventually(lambda: run.states == {"open": 1})
        parent = run.user.ws.profile
    with running(Child, server.url) as run:
        eventually(lambda: run.states == {"open": 1})
        assert run.user.ws.profile.encode is msgpack.packb
        assert parent.encode is not msgpack.packb


def test_a_reply_that_is_no_object_is_no_answer_by_id() -> None:
    """It is a push, and the request goes on waiting for its own."""

    def odd(message: Any) -> bytes:
        return text([1]) + text("plain") + text({"id": None}) + text({"id": message["id"], "type": "ok"})

    with Peer(upgrade(), echo(but=odd)) as peer:
        reply, run = inside(WebSocketUser, peer.url, lambda user: user.ws.request({"type": "ask"}))
    assert reply["type"] == "ok"
    assert sum(each.received for each in run.recorder.snapshot(0.0).pushes) == 3
