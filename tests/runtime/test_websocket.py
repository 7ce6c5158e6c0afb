"""`runtime.websocket`: how application messages are encoded, decoded and matched."""

from __future__ import annotations

from typing import Any

import pytest

from locust_ext.core.protocols.correlation import ByCall, ById, Fifo
from locust_ext.errors import ConfigError
from locust_ext.runtime.websocket import error_text
from tests.core.protocols.websocket_frames import BINARY, TEXT, frame
from tests.peers import Peer, echo, eventually, send, stall, upgrade, wait_messages
from tests.runtime.connecting import connected, profile


@pytest.mark.parametrize(
    ("message", "kind", "data"),
    [
        ({"a": "é"}, "text", '{"a":"é"}'),
        ([1, 2], "text", "[1,2]"),
        ("as it is", "text", "as it is"),
        (b"\x00\xff", "binary", b"\x00\xff"),
    ],
)
def test_messages_go_out_as_text_and_bytes_as_binary(message: Any, kind: str, data: Any) -> None:
    """``str`` and ``bytes`` as they are, anything else as the encoder has it."""
    with Peer(upgrade(), echo()) as peer, connected(peer.url) as it:
        size = it.connection.send_one_way(message)
        eventually(lambda: peer.last.got)
        assert (peer.last.got[0].kind, peer.last.got[0].data) == (kind, data)
        assert size == len(data.encode() if isinstance(data, str) else data)


def test_an_encoder_of_bytes_goes_out_as_binary() -> None:
    """MessagePack and the like; and comes back through the decoder."""
    packed = profile(
        Fifo(), encode=lambda message: b"\x01" + repr(message).encode(), decode=lambda data: data[1:], is_binary=True
    )
    with Peer(upgrade(), echo()) as peer, connected(peer.url, profile_=packed) as it:
        assert it.request({"a": 1}) == b"{'a': 1}"
        assert peer.last.got[0].kind == "binary"


def test_what_cannot_be_decoded_is_handed_on_as_it_came() -> None:
    """The decoder may raise anything."""
    with (
        Peer(upgrade(), send(frame(TEXT, b"no json") + frame(BINARY, b"\xff\x00")), stall()) as peer,
        connected(peer.url, profile_=profile(push_name=lambda _: "odd")) as it,
    ):
        assert [it.connection.receive(2.0), it.connection.receive(2.0)] == ["no json", b"\xff\x00"]


def test_a_message_without_an_id_gets_one_and_keeps_its_own() -> None:
    """Ids are unique on the connection."""
    with Peer(upgrade(), echo()) as peer, connected(peer.url, profile_=profile(ById("ref"))) as it:
        it.request({"n": 1})
        it.request({"n": 2})
        it.request({"n": 3, "ref": "mine"})
        refs = [each["ref"] for each in peer.last.messages]
        assert refs[2] == "mine"
        assert len(set(refs)) == 3


def test_a_message_that_can_have_no_id_is_refused_before_anything_is_counted() -> None:
    """`ConfigError`: a mistake of the locustfile, and no operation."""
    with Peer(upgrade(), echo()) as peer, connected(peer.url) as it:
        with pytest.raises(ConfigError):
            it.request("text")
        assert it.facts.snapshot(0.0).operations == ()
        assert len(it.connection.pending) == 0


def test_a_message_that_cannot_be_encoded_is_refused_before_anything_is_counted() -> None:
    """What the encoder raises goes to the caller."""
    with Peer(upgrade(), echo()) as peer, connected(peer.url) as it:
        with pytest.raises(TypeError):
            it.request({"n": object()})
        assert it.facts.snapshot(0.0).operations == ()
        assert it.request({"n": 1})["n"] == 1


def test_a_key_that_cannot_be_one_is_refused_before_anything_is_counted() -> None:
    """The locustfile's rule gave a list."""
    with Peer(upgrade(), echo()) as peer, connected(peer.url, profile_=profile(ByCall(lambda _: []))) as it:
        with pytest.raises(TypeError):
            it.request({"n": 1})
        assert it.facts.snapshot(0.0).operations == ()


def test_several_messages_in_one_packet_are_each_matched() -> None:
    """And all are counted by their payload."""
    with (
        Peer(
            upgrade(),
            wait_messages(3),
            send(lambda each: b"".join(frame(TEXT, got.data.encode()) for got in each.got)),
            stall(),
        ) as peer,
        connected(peer.url) as it,
    ):
        calls = [it.submit({"n": number}) for number in range(3)]
        eventually(lambda: len(it.done) == 3)
        assert [call.reply["n"] for call in calls] == [0, 1, 2]
        assert it.connection.bytes_received == it.connection.bytes_sent == sum(call.length for call in calls)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ({"code": "NOT_FOUND"}, "NOT_FOUND"),
        ({"code": "x" * 61}, "the server answered with an error"),
        ({"code": "id 5"}, "the server answered with an error"),
        ({"code": 5}, "the server answered with an error"),
        ("text", "the server answered with an error"),
    ],
)
def test_an_error_text_is_bounded(message: Any, shown: str) -> None:
    """Locust makes a row of each distinct text."""
    assert error_text(message) == shown
