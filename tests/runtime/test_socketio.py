"""`runtime.socketio`: a namespace over Engine.IO over a WebSocket, against scripted packets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import gevent
import pytest

from locust_ext.core.protocols.correlation import ConfirmedBy
from locust_ext.errors import ConnectFailed, ConnectionLost, ErrorReply, RequestTimeout
from locust_ext.runtime.socketio import SocketIOConnection
from tests.core.protocols.websocket_frames import BINARY, frame
from tests.peers import (
    Peer,
    PeerConnection,
    Step,
    close_frame,
    eventually,
    fin,
    send,
    stall,
    text,
    upgrade,
    wait,
    wait_close,
    wait_end,
    wait_kind,
    wait_messages,
)
from tests.runtime.connecting import Client, client, profile

RULE = ConfirmedBy({"context_set": ("context_set_confirmed", ("key", "value"))})


def open_packet(interval_ms: int = 25_000, timeout_ms: int = 20_000) -> bytes:
    info = {"sid": "e1", "upgrades": [], "pingInterval": interval_ms, "pingTimeout": timeout_ms, "maxPayload": 1000000}
    return text("0" + json.dumps(info))


def session(namespace: str = "", **times: int) -> list[Step]:
    """Upgrade, open packet, and the namespace is confirmed."""
    prefix = f"{namespace}," if namespace else ""
    return [upgrade(behind=open_packet(**times)), wait_messages(1), send(text("40" + prefix + '{"sid":"n1"}'))]


def packets(each: PeerConnection) -> list[str]:
    return [got.data for got in each.of_kind("text")]


def sio(url: str, **more: Any) -> Client:
    return client(url, "/socket.io/?EIO=4&transport=websocket", make=SocketIOConnection, profile_=profile(RULE), **more)


@contextmanager
def joined(url: str, **more: Any) -> Iterator[Client]:
    made = sio(url, **more).connect()
    try:
        yield made
    finally:
        made.connection.close(timeout_s=0.2)


def call(it: Client, event: str, *args: Any, timeout_s: float = 2.0) -> Any:
    made = it.connection.begin(event, args, event, timeout_s)
    it.connection.wait_for(made)
    it.record(made)
    if made.error is not None:
        raise made.error
    return made.reply


def acking(*values: Any) -> Step:
    """Ack each event that asks for it."""

    def step(each: PeerConnection) -> None:
        done = 1
        while True:
            each.until(lambda it, done=done: len(it.got) > done, 60)
            for packet in packets(each)[done:]:
                digits = "".join(iter_digits(packet[2:]))
                if packet.startswith("42") and digits:
                    each.sock.sendall(text(f"43{digits}{json.dumps(list(values))}"))
            done = len(each.got)

    return step


def iter_digits(rest: str) -> Iterator[str]:
    for character in rest:
        if not character.isdigit():
            return
        yield character


def test_connecting_joins_the_namespace_with_its_auth() -> None:
    """Only then is it connected; the end is in order."""
    steps = [*session("/chat"), wait_close()]
    with Peer(*steps) as peer, joined(peer.url, namespace="/chat", auth={"token": "t"}) as it:
        assert it.connection.sid == "n1"
        assert packets(peer.last) == ['40/chat,{"token":"t"}']
        assert peer.last.request_line == "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1"
        it.connection.close()
        assert packets(peer.last)[1:] == ["41/chat,"]
        assert peer.last.close_code == 1000
        assert [(each.error_class, each.is_orderly) for each in it.gone] == [("closed_1000", True)]


def test_a_call_is_answered_by_its_ack() -> None:
    """Whatever the order; packets of the protocol are no messages."""
    with Peer(*session(), acking("ok", 1)) as peer, joined(peer.url) as it:
        assert call(it, "hello", {"a": 1}) == ["ok", 1]
        assert call(it, "hello") == ["ok", 1]
        assert packets(peer.last)[1:] == ['421["hello",{"a":1}]', '422["hello"]']
        assert (it.connection.messages_sent, it.connection.messages_received) == (2, 2)
        assert it.ledger("SIO", "hello").ok == 2


def test_a_call_is_answered_by_its_confirming_event() -> None:
    """The one with the same values; another's confirmation is unmatched."""
    steps = [
        *session(),
        wait_messages(2),
        send(text('42["context_set_confirmed",{"key":"other","value":1}]')),
        send(text('42["context_set_confirmed",{"key":"k","value":1,"more":2}]')),
        wait_close(),
    ]
    with Peer(*steps) as peer, joined(peer.url) as it:
        assert call(it, "context_set", {"key": "k", "value": 1}) == [{"key": "k", "value": 1, "more": 2}]
        assert it.ledger("SIO", "context_set").ok == 1
        assert it.ledger("SIO", "context_set_confirmed").unmatched == 1


def test_the_error_event_answers_the_oldest_confirmed_call() -> None:
    """As ``error_reply``."""
    steps = [*session(), wait_messages(2), send(text('42["error",{"code":"NO"}]')), wait_close()]
    with Peer(*steps) as peer, joined(peer.url) as it, pytest.raises(ErrorReply, match="error_reply - NO"):
        call(it, "context_set", {"key": "k", "value": 1})


def test_fault_08_an_ack_that_never_comes() -> None:
    """``timeout`` at the deadline; when it comes later it is late."""
    steps = [*session(), wait_messages(2), wait(0.2), send(text("431[]")), wait_close()]
    with Peer(*steps) as peer, joined(peer.url) as it:
        begun_s = monotonic()
        with pytest.raises(RequestTimeout):
            call(it, "hello", timeout_s=0.15)
        assert 0.15 <= monotonic() - begun_s < 0.3
        eventually(lambda: sum(each.late for each in it.facts.snapshot(0.0).operations) == 1)


def test_a_call_on_a_lost_connection_fails_at_once() -> None:
    """As ``lost``."""
    with Peer(*session(), wait_messages(2), send(close_frame(1011)), wait_end()) as peer, joined(peer.url) as it:
        it.connection.emit("go", [])
        eventually(lambda: it.gone)
        begun_s = monotonic()
        with pytest.raises(ConnectionLost):
            call(it, "hello")
        assert monotonic() - begun_s < 0.1


def test_events_are_received_and_acknowledged() -> None:
    """One that asks for an ack gets it at once; binary attachments are put in their places."""
    steps = [
        *session(),
        send(text('427["ask",1]') + text('451-["file",{"_placeholder":true,"num":0}]') + frame(BINARY, b"\x00\x01")),
        wait_messages(2),
        wait_close(),
    ]
    with Peer(*steps) as peer, joined(peer.url) as it:
        assert it.connection.receive(2.0) == ("ask", [1])
        assert it.connection.receive(2.0) == ("file", [b"\x00\x01"])
        eventually(lambda: packets(peer.last)[1:] == ["437[]"])


def test_binary_arguments_go_out_behind_their_packet() -> None:
    """Nothing between them, also when they wait in the queue."""
    with Peer(*session(), wait_messages(3), wait_close()) as peer, joined(peer.url) as it:
        it.connection.emit("file", [b"\x00\xff"])
        eventually(lambda: len(peer.last.got) == 3)
        assert [each.kind for each in peer.last.got] == ["text", "text", "binary"]
        assert it.connection.messages_sent == 1


def test_the_servers_ping_is_answered() -> None:
    """With its payload; neither is a message."""
    steps = [*session(), send(text("2probe") + text("2")), wait_messages(3), wait_close()]
    with Peer(*steps) as peer, joined(peer.url) as it:
        eventually(lambda: packets(peer.last)[1:] == ["3probe", "3"])
        assert (it.connection.messages_sent, it.connection.messages_received) == (0, 0)


def test_fault_09_a_server_that_stops_pinging_is_gone() -> None:
    """After its interval and timeout without a byte: ``ping_timeout``."""
    with Peer(*session(interval_ms=100, timeout_ms=100), stall()) as peer:
        begun_s = monotonic()
        with joined(peer.url) as it:
            eventually(lambda: it.gone, 1.0)
            assert 0.15 <= monotonic() - begun_s < 0.5
            assert it.gone[0].error_class == "ping_timeout"
        eventually(lambda: peer.last.close_code == 1011)


def test_a_server_that_says_anything_is_alive() -> None:
    """Events count as signs of life too."""
    steps = [*session(interval_ms=100, timeout_ms=50)]
    for _ in range(8):
        steps += [wait(0.06), send(text('42["news",1]'))]
    with Peer(*steps, stall()) as peer, joined(peer.url) as it:
        eventually(lambda: it.connection.messages_received == 8 or it.gone)
        assert it.gone == []


@pytest.mark.parametrize("packet", ["41", "1"])
def test_a_server_that_disconnects_the_namespace(packet: str) -> None:
    """Is a close in order, as with 1000."""
    with Peer(*session(), wait_messages(2), send(text(packet)), wait_end()) as peer, joined(peer.url) as it:
        it.connection.emit("go", [])
        eventually(lambda: it.gone)
        assert (it.gone[0].error_class, it.gone[0].is_orderly) == ("closed_1000", True)
        eventually(lambda: peer.last.close_code == 1000)


@pytest.mark.parametrize(
    ("packet", "error_class"), [("9", "protocol"), ("42{}", "protocol"), ("40{}", "protocol"), ("42[]", "protocol")]
)
def test_fault_18_a_packet_that_is_none(packet: str, error_class: str) -> None:
    """1002 goes out, ``protocol``."""
    with Peer(*session(), wait_messages(2), send(text(packet)), wait_end()) as peer, joined(peer.url) as it:
        it.connection.emit("go", [])
        eventually(lambda: it.gone)
        assert it.gone[0].error_class == error_class
        eventually(lambda: peer.last.close_code == 1002)


def refusal(*steps: Step, within_s: float = 2.0) -> tuple[str, Client]:
    with Peer(*steps) as peer:
        it = sio(peer.url)
        begun_s = monotonic()
        with pytest.raises(ConnectFailed) as caught:
            it.connect(within_s)
        assert monotonic() - begun_s < within_s + 0.2
        assert it.gone == []  # never open for the user: a failed connect, and no drop
        assert it.states == {"closed": 1}
        eventually(lambda: peer.last.ended)
        return caught.value.error_class, it


def test_a_refused_namespace_is_a_failed_connect() -> None:
    """``bad_handshake``; the server's words are not shown."""
    steps: list[Step] = [upgrade(behind=open_packet()), wait_messages(1), send(text('44{"message":"no, secret"}'))]
    error_class, it = refusal(*steps, wait_end())
    assert error_class == it.connection.error_class == "bad_handshake"


@pytest.mark.parametrize(
    ("after", "error_class"),
    [
        ([send(text("hello"))], "bad_handshake"),
        ([send(text("0{}"))], "bad_handshake"),
        ([send(open_packet()), fin()], "closed_1006"),
        ([send(close_frame(1013))], "closed_1013"),
    ],
)
def test_a_session_that_does_not_come_about(after: list[Step], error_class: str) -> None:
    """Is a failed connect with the reason's class."""
    assert refusal(upgrade(), *after, wait_end())[0] == error_class


@pytest.mark.parametrize("steps", [[upgrade()], [upgrade(behind=open_packet())]])
def test_fault_08_a_session_that_stalls(steps: list[Step]) -> None:
    """Before or after the open packet: ``connect_timeout`` at the one deadline of the connect."""
    assert refusal(*steps, wait_end(), within_s=0.3)[0] == "connect_timeout"


def test_fault_24_killed_while_the_namespace_is_joined() -> None:
    """The descriptor is gone at once."""
    with Peer(upgrade(behind=open_packet()), wait_messages(1), wait_end()) as peer:
        it = sio(peer.url)
        greenlet = gevent.spawn(it.connect)
        eventually(lambda: peer.connections and peer.last.got)
        greenlet.kill(timeout=1)
        assert it.states == {"closed": 1}
        eventually(lambda: peer.last.ended)
        assert it.gone == []


def test_early_events_before_the_namespace_are_not_lost() -> None:
    """A server may send events before it confirms."""
    steps: list[Step] = [
        upgrade(behind=open_packet() + text('42["early",1]')),
        wait_messages(1),
        send(text('40{"sid":"n1"}')),
        wait_kind("close"),
    ]
    with Peer(*steps) as peer, joined(peer.url) as it:
        assert it.connection.receive(1.0) == ("early", [1])
