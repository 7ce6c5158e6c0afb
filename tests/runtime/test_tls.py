"""`runtime.tls`: TLS over memory BIOs, and row 3 of the faults."""

from __future__ import annotations

import socket
from contextlib import suppress
from time import monotonic

import gevent
import pytest

from locust_ext.core.protocols.correlation import Fifo
from locust_ext.errors import ConnectFailed
from locust_ext.runtime.handshake import HandshakeOptions
from locust_ext.runtime.process import shared
from tests.peers import (
    Peer,
    PeerConnection,
    close_frame,
    echo,
    eventually,
    send,
    stall,
    text,
    upgrade,
    wait_close,
    wait_end,
    wait_messages,
)
from tests.runtime.certificates import server_context, trusting_context
from tests.runtime.connecting import client, connected, profile

NO_VERIFY = HandshakeOptions(verify_tls=False)


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(shared()._tls_contexts, True, trusting_context())


def test_a_verified_connection_talks_and_closes_in_order(trusting: None) -> None:
    """Both directions, the close frames, and the peer sees a clean end of TLS."""
    with Peer(upgrade(), echo(), tls=server_context()) as peer:
        with connected(peer.url.replace("127.0.0.1", "localhost")) as it:
            assert it.request({"a": 1})["a"] == 1
            it.connection.close(1000, "bye")
        eventually(lambda: peer.last.is_finished)
        assert peer.last.close_code == 1000
        assert peer.last.ended == "fin"
        assert peer.last.error is None


def test_frames_of_any_size_arrive_whole() -> None:
    """From one byte to megabytes, over records of 16 KiB; both sides agree on each."""
    with (
        Peer(upgrade(), echo(), tls=server_context()) as peer,
        connected(peer.url, options=NO_VERIFY, profile_=profile(Fifo(), decode=lambda payload: payload)) as it,
    ):
        for size in (1, 125, 126, 16_383, 16_384, 16_385, 70_000, 3_000_000):
            payload = '"' + "x" * size + '"'
            assert it.request(payload, timeout_s=10) == payload
    assert peer.last.protocol_error is None


def test_early_frames_behind_the_answer_are_not_lost() -> None:
    """They may share a TLS record with the 101."""
    with (
        Peer(upgrade(behind=text({"type": "early"}) * 3), stall(), tls=server_context()) as peer,
        connected(peer.url, options=NO_VERIFY) as it,
    ):
        assert [it.connection.receive(2.0) for _ in range(3)] == [{"type": "early"}] * 3


def test_a_server_that_closes_is_answered(trusting: None) -> None:
    """Close frame, then TLS, then TCP."""
    with Peer(upgrade(), send(close_frame(1001)), wait_end(), tls=server_context()) as peer:
        with connected(peer.url) as it:
            eventually(lambda: it.gone)
        assert (it.gone[0].error_class, it.gone[0].is_orderly) == ("closed_1001", True)
        eventually(lambda: peer.last.is_finished)
        assert peer.last.close_code == 1001


def test_fault_11_tls_that_ends_without_a_close_frame() -> None:
    """A ``close_notify`` alone is the same as a FIN: ``closed_1006``, although TCP stays open."""

    def end_tls_only(each: PeerConnection) -> None:
        with suppress(OSError):
            each.sock.unwrap()

    with Peer(upgrade(reads=False), send(text({"type": "last"})), end_tls_only, stall(), tls=server_context()) as peer:
        with connected(peer.url, options=NO_VERIFY) as it:
            eventually(lambda: it.gone, 2.0)
        assert it.gone[0].error_class == "closed_1006"
        assert it.connection.receive(0) == {"type": "last"}


def test_fault_03_an_unknown_authority() -> None:
    """Is ``tls``, and no word of the library is in the text."""
    with Peer(upgrade(), stall(), tls=server_context()) as peer:
        it = client(peer.url)
        with pytest.raises(ConnectFailed) as caught:
            it.connect()
        assert str(caught.value) == "tls - the TLS handshake failed"
        assert caught.value.rule == "tls_verification"
        assert it.states == {"closed": 1}
        assert it.gone == []


def test_fault_03_a_wrong_name(trusting: None) -> None:
    """The certificate is for 127.0.0.1, and not for 127.0.0.2."""
    with Peer(upgrade(), stall(), tls=server_context(), host="127.0.0.2") as peer:
        with pytest.raises(ConnectFailed) as caught:
            client(peer.url).connect()
        assert (caught.value.error_class, caught.value.rule) == ("tls", "tls_verification")


def test_fault_03_a_server_that_speaks_no_tls() -> None:
    """Is ``tls``; one that closes instead too."""
    with Peer(send(b"HTTP/1.1 400 Bad Request\r\n\r\n"), stall()) as peer:
        with pytest.raises(ConnectFailed) as caught:
            client(peer.url.replace("http", "https")).connect()
        assert (caught.value.error_class, caught.value.rule) == ("tls", None)
    with Peer(lambda each: each.close_now()) as peer:
        with pytest.raises(ConnectFailed) as caught:
            client(peer.url.replace("http", "https")).connect()
        assert caught.value.error_class in ("tls", "reset")


def test_fault_03_a_tls_handshake_that_stalls() -> None:
    """Ends at the deadline of the connect."""
    with Peer(stall()) as peer:
        begun_s = monotonic()
        with pytest.raises(ConnectFailed) as caught:
            client(peer.url.replace("http", "https")).connect(0.3)
        assert caught.value.error_class == "connect_timeout"
        assert 0.3 <= monotonic() - begun_s < 0.7


def test_fault_24_killed_during_the_tls_handshake() -> None:
    """The descriptor is given back at once."""

    def reads_raw(each: PeerConnection) -> None:
        while data := each.sock.recv(4096):
            each.head += data

    with Peer(reads_raw) as peer:
        it = client(peer.url.replace("http", "https"))
        greenlet = gevent.spawn(it.connect, 10)
        eventually(lambda: peer.connections and peer.last.head)
        greenlet.kill(timeout=1)
        eventually(lambda: peer.last.is_finished, 1.0)
        assert it.states == {"closed": 1}


def test_broken_records_end_the_connection() -> None:
    """Bytes that are no TLS in the middle of TLS are ``tls``."""

    def noise(each: PeerConnection) -> None:
        each.sock.recv(100)
        each.sock = raw = socket.socket(fileno=each.sock.detach())
        raw.sendall(b"\x17\x03\x03\x00\x20" + b"n" * 32)

    with Peer(upgrade(reads=False), noise, stall(), tls=server_context()) as peer:
        with connected(peer.url, options=NO_VERIFY) as it:
            it.connection.send_ping()
            eventually(lambda: it.gone, 2.0)
        assert it.gone[0].error_class == "tls"


def test_a_huge_send_to_a_slow_reader_stays_whole() -> None:
    """Records are queued like frames; none is torn."""
    with (
        Peer(
            upgrade(reads=False),
            lambda each: gevent.sleep(0.1) or each.read_on(),
            wait_messages(2),
            wait_close(),
            tls=server_context(),
            receive_buffer=4096,
        ) as peer,
        connected(peer.url, options=NO_VERIFY) as it,
    ):
        it.connection.send_one_way('"' + "y" * 2_000_000 + '"')
        it.connection.send_one_way({"type": "last"})
        eventually(lambda: len(peer.last.got) == 2)
        it.connection.close()
        assert peer.last.protocol_error is None
        assert peer.last.messages[1] == {"type": "last"}
