"""`runtime.transport`: one open WebSocket against scripted peers; rows 8 to 18 of the faults, as far as bytes go."""

from __future__ import annotations

import socket
import sys
import tracemalloc
from time import monotonic
from typing import Any

import gevent
import pytest
from gevent.monkey import get_original

from locust_ext.core.protocols.correlation import Fifo
from locust_ext.errors import ConnectionLost
from locust_ext.runtime.facts import TransportSettings
from locust_ext.runtime.process import shared
from locust_ext.runtime.writing import MAX_QUEUED_BYTES
from tests.core.protocols.websocket_frames import BINARY, CLOSE, CONTINUATION, PING, TEXT, frame
from tests.peers import (
    Peer,
    PeerConnection,
    Step,
    close,
    close_frame,
    drip,
    echo,
    eventually,
    fin,
    ping_frame,
    read_on,
    reset,
    send,
    stall,
    stop_reading,
    text,
    upgrade,
    wait,
    wait_close,
    wait_end,
    wait_kind,
    wait_messages,
)
from tests.runtime.connecting import Client, connected, loop_lag, profile


def pushes(it: Client, count: int, within_s: float = 5.0) -> list[Any]:
    return [it.connection.receive(within_s) for _ in range(count)]


# ── states and figures ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_connection_counts_its_messages_and_bytes_and_times() -> None:
    """On itself and in the process's traffic; control frames are no messages."""
    with Peer(upgrade(), send(ping_frame(b"x")), echo()) as peer:
        with connected(peer.url) as it:
            it.connection.send_ping(b"y")
            it.request({"id": "a", "text": "é"})
            it.request({"id": "b"})
            connection = it.connection
            assert (connection.messages_sent, connection.messages_received) == (2, 2)
            size = len('{"id":"a","text":"é"}'.encode()) + len('{"id":"b"}')
            assert (connection.bytes_sent, connection.bytes_received) == (size, size)
            traffic = it.facts.traffic
            assert (traffic.messages_sent, traffic.messages_received) == (2, 2)
            assert (traffic.bytes_sent, traffic.bytes_received) == (size, size)
            assert it.states == {"open": 1}
            assert 0 < connection.lifetime_s < 5
        assert it.states == {"closed": 1}
        assert connection.lifetime_s == connection.lost_s - connection.connected_s
        assert peer.last.protocol_error is None


def test_our_close_is_answered_before_tcp_ends() -> None:
    """Code and reason arrive; the end is in order, told once."""
    with Peer(upgrade(), wait_close()) as peer:
        with connected(peer.url) as it:
            it.connection.close(4123, "done")
            it.connection.close()
            assert [(each.error_class, each.is_orderly) for each in it.gone] == [("closed_4123", True)]
        eventually(lambda: peer.last.is_finished)
        assert peer.last.of_kind("close")[0].data == (4123, "done")
        assert peer.last.error is None


def test_a_peer_that_does_not_answer_our_close_is_left_after_its_time() -> None:
    """0.8 s by default; the descriptor is gone in any case."""
    with Peer(upgrade(), stall()) as peer, connected(peer.url) as it:
        begun_s = monotonic()
        it.connection.close()
        assert 0.8 <= monotonic() - begun_s < 1.2
        assert it.gone[0].is_orderly
        eventually(lambda: peer.last.ended)


def test_a_close_that_is_killed_leaves_nothing() -> None:
    """Row 24: killed while it waits for the peer's close frame."""
    with Peer(upgrade(), stall()) as peer, connected(peer.url) as it:
        greenlet = gevent.spawn(it.connection.close, 1000, "", 30.0)
        eventually(lambda: peer.last.close_code)
        greenlet.kill(timeout=1)
        assert it.states == {"closed": 1}
        eventually(lambda: peer.last.ended)


def test_an_impossible_close_code_changes_nothing() -> None:
    """1005 may not be sent; the connection is closed all the same, because `close` promises it."""
    with Peer(upgrade(), stall()) as peer, connected(peer.url) as it:
        with pytest.raises(ValueError, match="1005"):
            it.connection.begin_close(1005)
        assert it.connection.is_open
        with pytest.raises(ValueError, match="1005"):
            it.connection.close(1005)
        assert not it.connection.is_open


def test_nothing_is_sent_on_a_closed_connection() -> None:
    """Messages and pings raise `ConnectionLost`."""
    with Peer(upgrade(), echo()) as peer, connected(peer.url) as it:
        it.connection.close()
        for act in (lambda: it.connection.send_one_way({"a": 1}), it.connection.send_ping):
            with pytest.raises(ConnectionLost):
                act()


def test_two_closes_that_cross_each_other() -> None:
    """Both sides send theirs at once: still in order, still once."""
    steps = [upgrade(), read_on(), wait_messages(), send(close_frame(1001)), wait_end()]
    with Peer(*steps) as peer, connected(peer.url) as it:
        it.connection.send_one_way({"go": 1})
        it.connection.close(1000)
        assert [(each.error_class, each.is_orderly) for each in it.gone] == [("closed_1000", True)]


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_frames_behind_the_answer_are_delivered_first() -> None:
    """In order with those that come later; a frame may be cut between the two."""
    whole = text({"n": 2})
    with (
        Peer(upgrade(behind=text({"n": 1}) + whole[:3]), wait(0.05), send(whole[3:] + text({"n": 3})), stall()) as peer,
        connected(peer.url) as it,
    ):
        assert [each["n"] for each in pushes(it, 3)] == [1, 2, 3]


def test_a_close_right_behind_the_answer() -> None:
    """Is a connection that was open, and lost."""
    with Peer(upgrade(behind=text({"n": 1}) + close_frame(1013)), wait_end()) as peer, connected(peer.url) as it:
        eventually(lambda: it.gone)
        assert it.gone[0].error_class == "closed_1013"
        assert pushes(it, 1) == [{"n": 1}]
        eventually(lambda: peer.last.close_code == 1013)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_any_cutting_of_the_stream_gives_the_same_messages(size: int) -> None:
    """Also in the middle of headers and characters."""
    messages = [{"n": number, "text": "é€😀" * number} for number in range(6)]
    stream = b"".join(map(text, messages)) + frame(BINARY, b'{"n":6}')
    with Peer(upgrade(), drip(stream, size), stall()) as peer, connected(peer.url) as it:
        got = pushes(it, 7)
    assert got == [*messages, {"n": 6}]


def test_fault_17_fragments_with_control_frames_between() -> None:
    """One whole message; the pong goes out at once; the arrival is the last fragment's."""
    fragments: list[Step] = [
        send(frame(TEXT, b'{"id":"q",', fin=False) + ping_frame(b"one")),
        wait_kind("pong"),
        send(frame(CONTINUATION, b'"text":"\xc3', fin=False)),
        wait(0.15),
        send(frame(CONTINUATION, b"", fin=False) + ping_frame(b"two")),
        wait_kind("pong", 2),
        send(frame(CONTINUATION, b'\xa9"}')),
    ]
    with Peer(upgrade(), wait_messages(), *fragments, wait_close()) as peer, connected(peer.url) as it:
        call = it.connection.begin({"id": "q"}, "ask", 5.0)
        it.connection.wait_for(call)
        it.record(call)
        assert call.reply == {"id": "q", "text": "é"}
        assert call.latency_us > 150_000
        assert [each.data for each in peer.last.of_kind("pong")] == [b"one", b"two"]
        assert it.ledger().ok == 1


def test_fault_17_thousands_of_tiny_fragments_stall_nothing() -> None:
    """8192 of one byte each: one message, in linear time."""
    payload = b'"' + b"x" * 8190 + b'"'
    stream = frame(TEXT, payload[:1], fin=False) + b"".join(
        frame(CONTINUATION, payload[at : at + 1], fin=at == 8191) for at in range(1, 8192)
    )
    with Peer(upgrade(), send(stream), stall()) as peer, loop_lag() as lags, connected(peer.url) as it:
        assert pushes(it, 1) == ["x" * 8190]
    assert max(lags) < 0.1


def failing(stream: bytes, *, message_limit: int = 16 * 2**20) -> tuple[Client, PeerConnection]:
    """What comes of a connection with one open request to a peer that sends ``stream``."""
    with Peer(upgrade(), wait_messages(), send(stream), wait_end()) as peer:
        with connected(peer.url, settings=TransportSettings(max_message_bytes=message_limit)) as it:
            begun_s = monotonic()
            with pytest.raises(ConnectionLost) as caught:
                it.request({"a": 1})
            assert caught.value.error_class == "lost"
            assert monotonic() - begun_s < 1.0
        eventually(lambda: peer.last.is_finished)
        assert it.ledger().lost == it.ledger().started == 1
        assert len(it.gone) == 1
        assert not it.gone[0].is_orderly
        assert it.connection.messages_received == 0
        return it, peer.last


@pytest.mark.parametrize(
    "stream",
    [
        frame(TEXT, b"x" * 1001),
        frame(TEXT, b"x" * 600, fin=False) + frame(CONTINUATION, b"x" * 600),
        frame(BINARY, b"", length=2**40, length_bytes=8),
    ],
)
def test_fault_15_a_message_over_the_limit(stream: bytes) -> None:
    """1009 goes out, ``too_big``; nothing of it is delivered."""
    it, peer = failing(stream, message_limit=1000)
    assert (it.gone[0].error_class, peer.close_code) == ("too_big", 1009)


def test_fault_15_memory_stays_under_the_limit() -> None:
    """A peer that goes on sending gigabytes is not buffered: the length alone condemns the frame."""
    flood = frame(BINARY, b"", length=2**30, length_bytes=8)
    poured: list[bool] = []

    def pours(each: PeerConnection) -> None:
        try:
            for _ in range(150):
                each.sock.sendall(b"z" * 65536)
            poured.append(True)
        except OSError:
            pass  # a reset: seen below

    with Peer(upgrade(), send(flood), pours, wait_end()) as peer, connected(peer.url) as it:
        tracemalloc.start()
        eventually(lambda: it.gone)
        eventually(lambda: peer.last.is_finished)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        eventually(lambda: peer.last.ended)
        assert (it.gone[0].error_class, peer.last.close_code) == ("too_big", 1009)
        assert poured == [True]  # no reset, although nothing of it was wanted
        assert peak < 4 * 2**20


@pytest.mark.parametrize(
    "stream",
    [
        frame(TEXT, b"\xff"),
        frame(TEXT, b"cut short \xe2\x82"),
        frame(TEXT, b"a\xc3", fin=False) + frame(CONTINUATION, b"b"),
        frame(CLOSE, b"\x03\xe8\xff"),
    ],
)
def test_fault_16_invalid_utf8(stream: bytes) -> None:
    """1007 goes out, ``bad_utf8``; also when it is cut short, and in the reason of a close."""
    it, peer = failing(stream)
    assert (it.gone[0].error_class, peer.close_code) == ("bad_utf8", 1007)


@pytest.mark.parametrize(
    "stream",
    [
        frame(TEXT, b"x", rsv=4),
        frame(TEXT, b"x", rsv=1),
        frame(TEXT, b"x", key=b"abcd"),
        frame(3, b"x"),
        frame(11, b"x"),
        frame(TEXT, b"x", length_bytes=2),
        frame(TEXT, b"x" * 200, length_bytes=8),
        frame(PING, b"x", fin=False),
        frame(PING, b"x" * 126),
        frame(CONTINUATION, b"x"),
        frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"),
        frame(CLOSE, b"\x03"),
        frame(CLOSE, b"\x03\xed"),
    ],
)
def test_fault_18_a_broken_protocol(stream: bytes) -> None:
    """1002 goes out, ``protocol``."""
    it, peer = failing(stream)
    assert (it.gone[0].error_class, peer.close_code) == ("protocol", 1002)


def test_a_violation_after_our_close_ends_at_once_and_in_order() -> None:
    """Nothing may follow our close frame, and the user wanted to leave anyway."""
    with Peer(upgrade(), wait_kind("close"), send(ping_frame() + frame(3, b"")), wait_end()) as peer:
        with connected(peer.url) as it:
            begun_s = monotonic()
            it.connection.close()
            assert monotonic() - begun_s < 0.5
        eventually(lambda: peer.last.is_finished)
        assert peer.last.raw_bytes == 8  # one close frame with a code
        assert it.gone[0].is_orderly


def test_an_exception_of_the_locustfiles_code_while_reading(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """`push_name` raises: the push is counted, the connection stays, and the log says why."""

    def fails(message: Any) -> str:
        raise RuntimeError("on purpose")

    with (
        Peer(upgrade(), send(text({"a": 1})), wait_end()) as peer,
        connected(peer.url, profile_=profile(push_name=fails)) as it,
    ):
        eventually(lambda: it.connection.messages_received == 1)
        assert it.connection.state == "open"
    assert "on purpose" in caplog.text


# ── how connections end ──────────────────────────────────────────────────────────────────────────────────────────────


def ended(*steps: Step, pending: bool = False) -> tuple[Client, PeerConnection]:
    """What comes of a connection to a peer that runs ``steps`` after the upgrade (and after a request)."""
    with Peer(upgrade(), *([wait_messages()] if pending else []), *steps) as peer:
        with connected(peer.url) as it:
            if pending:
                for number in range(3):
                    it.submit({"n": number})
            eventually(lambda: it.gone)
            if pending:
                eventually(lambda: len(it.done) == 3)
                found = it.ledger()
                assert (found.started, found.lost, found.in_flight) == (3, 3, 0)
                assert found.errors == {"lost": 3}
        eventually(lambda: peer.last.is_finished)
        assert len(it.gone) == 1
        assert it.states == {"closed": 1}
        return it, peer.last


@pytest.mark.parametrize("pending", [False, True])
def test_fault_10_a_reset_in_the_middle_of_a_frame(pending: bool) -> None:
    """``reset``; the partial message is never delivered; each pending request fails once, as ``lost``."""
    it, _ = ended(send(frame(TEXT, b'{"half":', length=100)), wait(0.03), reset(), pending=pending)
    assert (it.gone[0].error_class, it.gone[0].is_orderly) == ("reset", False)
    assert it.connection.messages_received == 0


@pytest.mark.parametrize("pending", [False, True])
def test_fault_11_a_fin_without_a_close_frame(pending: bool) -> None:
    """``closed_1006``, between frames and in the middle of one."""
    for before in (b"", frame(TEXT, b"half", length=100)):
        it, _ = ended(send(before), fin(), wait_end(), pending=pending)
        assert (it.gone[0].error_class, it.gone[0].is_orderly) == ("closed_1006", False)


@pytest.mark.parametrize("code", [1000, 1001])
def test_fault_12_a_close_in_order(code: int) -> None:
    """Answered with the same code; no failure when nothing is pending, but a loss when something is."""
    it, peer = ended(send(close_frame(code, b"bye")), wait_end())
    assert (it.gone[0].error_class, it.gone[0].is_orderly) == (f"closed_{code}", True)
    assert peer.close_code == code
    assert (it.connection.close_code, it.connection.close_reason) == (code, "bye")
    it, peer = ended(send(close_frame(code)), wait_end(), pending=True)
    assert (it.gone[0].error_class, it.gone[0].is_orderly) == (f"closed_{code}", False)
    assert peer.close_code == code


def test_fault_12_a_close_frame_without_a_code() -> None:
    """Is answered with one without a code, and is in order."""
    it, peer = ended(send(close_frame(None)), wait_end())
    assert (it.gone[0].error_class, it.gone[0].is_orderly) == ("closed_1005", True)
    assert peer.of_kind("close")[0].data[0] == 1005


@pytest.mark.parametrize("code", [1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4001, 4002, 4003])
def test_faults_13_and_14_a_close_with_a_code(code: int) -> None:
    """Is a failure with its code, and is answered with the same code."""
    it, peer = ended(send(close_frame(code)), wait_end())
    assert (it.gone[0].error_class, it.gone[0].is_orderly) == (f"closed_{code}", False)
    assert peer.close_code == code or code == 1014  # which wsproto does not know


def test_fault_12_a_close_frame_is_read_although_a_send_failed_first() -> None:
    """The server closes for good; our next sends meet a reset, but its close frame is there and says why."""
    clients: list[Client] = []

    def sends_meet_a_reset(_: PeerConnection) -> None:
        # Without a turn of the loop since the close: the first send is answered by an RST, the later ones fail.
        until_s = monotonic() + 0.1
        while monotonic() < until_s:
            clients[0].connection.send_one_way({"n": 1})

    steps = [
        upgrade(reads=False),
        lambda each: each.sock.recv(10),
        send(close_frame(1001)),
        close(),
        sends_meet_a_reset,
    ]
    with Peer(*steps) as peer, connected(peer.url) as it:
        clients.append(it)
        it.connection.send_ping()
        eventually(lambda: it.gone)
        assert (it.gone[0].error_class, it.gone[0].is_orderly) == ("closed_1001", True)


def test_a_server_that_half_closes_after_its_close_frame_gets_our_answer() -> None:
    """Even when our queue is full at that moment: what waits goes out before it, then TCP ends."""
    big = '"' + "x" * 3_000_000 + '"'
    steps: list[Step] = [wait(0.1), send(close_frame(1000)), wait(0.1), read_on(), wait_end()]
    with Peer(upgrade(reads=False), *steps, receive_buffer=4096) as peer, connected(peer.url) as it:
        it.connection.send_one_way(big)
        assert it.connection._queued_bytes > 0
        eventually(lambda: it.gone)
        eventually(lambda: peer.last.is_finished)
        assert [each.kind for each in peer.last.got] == ["text", "close"]
        assert peer.last.protocol_error is None


# ── keep-alive ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_fault_09_a_half_open_connection_is_found_by_its_ping() -> None:
    """Within interval and timeout: ``ping_timeout``; 1011 goes out for whoever can still hear it."""
    with Peer(upgrade(), stall()) as peer:
        with connected(peer.url, settings=TransportSettings(ping_interval_s=0.2, ping_timeout_s=0.2)) as it:
            begun_s = monotonic()
            call = it.submit({"a": 1}, timeout_s=10)
            eventually(lambda: it.gone)
            assert 0.25 <= monotonic() - begun_s < 0.6
            assert it.gone[0].error_class == "ping_timeout"
            eventually(lambda: it.done == [call])
            assert it.ledger().lost == 1
        eventually(lambda: peer.last.ended)
        assert [each.kind for each in peer.last.got] == ["text", "ping", "close"]
        assert peer.last.close_code == 1011


@pytest.mark.parametrize("sign", ["pong", "message"])
def test_a_peer_that_shows_any_sign_of_life_is_kept(sign: str) -> None:
    """A pong, or any byte since the ping; a ping follows each interval."""

    def answers(each: PeerConnection) -> None:
        done = 0
        while True:
            each.until(lambda it, done=done: len(it.of_kind("ping")) > done, 10)
            done += 1
            each.sock.sendall(frame(10, b"") if sign == "pong" else text({"alive": done}))

    settings = TransportSettings(ping_interval_s=0.1, ping_timeout_s=0.05)
    with Peer(upgrade(), answers) as peer, connected(peer.url, settings=settings) as it:
        gevent.sleep(0.55)
        assert it.gone == []
        assert 3 <= len(peer.last.of_kind("ping")) <= 6


def test_connections_opened_together_do_not_ping_together() -> None:
    """The first ping comes at a random part of the interval."""
    with Peer(upgrade(), echo()) as peer:
        settings = TransportSettings(ping_interval_s=10)
        with connected(peer.url, settings=settings) as one, connected(peer.url, settings=settings) as other:
            assert abs(one.connection.ping_due_s - other.connection.ping_due_s) > 0.001
            assert 5 <= one.connection.ping_due_s - one.connection.connected_s <= 10


def test_no_pings_are_sent_where_none_are_wanted() -> None:
    """And then no deadline stands in the wheel."""
    with Peer(upgrade(), echo()) as peer, connected(peer.url, settings=TransportSettings(ping_interval_s=0)):
        assert len(shared().wheel) == 0


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_writer_that_is_killed_or_timed_out_leaves_whole_frames() -> None:
    """The queue owns the bytes: the peer decodes every frame, and those sent later."""
    big = '"' + "x" * 4_000_000 + '"'
    steps: list[Step] = [wait(0.15), read_on(), wait_messages(4), wait_close()]
    with (
        Peer(upgrade(reads=False), *steps, receive_buffer=4096) as peer,
        connected(peer.url, profile_=profile(Fifo())) as it,
    ):
        killed = gevent.spawn(it.request, big, timeout_s=10)
        gevent.sleep(0.02)
        killed.kill()

        def times_out() -> None:
            with gevent.Timeout(0.02, False):
                it.request(big, timeout_s=10)

        gevent.spawn(times_out).join()
        assert it.connection._queued_bytes > 4_000_000
        it.connection.send_one_way(big)
        it.connection.send_one_way({"type": "last"})
        eventually(lambda: len(peer.last.got) == 4, 10)
        it.connection.close()
        assert peer.last.protocol_error is None
        assert [len(each.data) for each in peer.last.of_kind("text")[:3]] == [4_000_002] * 3
        assert peer.last.messages[3] == {"type": "last"}
        assert (it.ledger().cancelled, it.ledger().in_flight) == (2, 0)
        assert it.connection.messages_sent == 4


def test_messages_are_counted_when_the_kernel_has_them() -> None:
    """What waits in the queue has not been sent."""
    with Peer(upgrade(reads=False), stall(), receive_buffer=4096) as peer, connected(peer.url) as it:
        it.connection.send_one_way("x" * 8_000_000)
        it.connection.send_one_way({"a": 1})
        assert (it.connection.messages_sent, it.facts.traffic.bytes_sent) == (0, 0)


def test_a_peer_that_does_not_read_is_left_when_the_queue_is_full() -> None:
    """Over 16 MiB: the connection is lost, memory is not."""
    with Peer(upgrade(reads=False), stall(), receive_buffer=4096) as peer, connected(peer.url) as it:
        while it.connection.is_open and it.connection._queued_bytes <= MAX_QUEUED_BYTES:
            it.connection.send_one_way("x" * 2**20)
        with pytest.raises(ConnectionLost):
            it.connection.send_one_way("x")
        assert it.connection._queue is None
        assert it.gone[0].error_class == "lost"
    assert MAX_QUEUED_BYTES == 16 * 2**20


def test_a_flood_of_pings_queues_one_pong() -> None:
    """While the peer does not read, only the newest pong waits (RFC 6455, section 5.5.3)."""
    flood = b"".join(ping_frame(str(number).encode()) for number in range(5000))
    steps: list[Step] = [wait_messages(1), stop_reading(), wait(0.05), send(flood), wait(0.2), read_on()]
    with (
        Peer(upgrade(), *steps, wait_kind("pong"), wait_messages(2), wait_close(), receive_buffer=4096) as peer,
        connected(peer.url) as it,
    ):
        it.connection.send_one_way({"go": 1})
        gevent.sleep(0.03)
        it.connection.send_one_way('"' + "x" * 6_000_000 + '"')
        queued = it.connection._queued_bytes
        assert queued > 0
        eventually(lambda: it.connection._queued_pong is not None)
        gevent.sleep(0.1)
        assert it.connection._queued_bytes <= queued
        eventually(lambda: peer.last.of_kind("pong"))
        assert [each.data for each in peer.last.of_kind("pong")] == [b"4999"]
        assert peer.last.protocol_error is None


def test_many_small_messages_to_a_slow_reader_arrive_in_order() -> None:
    """They go through the queue, a bounded number a turn of the loop."""
    steps: list[Step] = [wait(0.1), read_on(), wait_messages(20_000, 10), wait_close()]
    with Peer(upgrade(reads=False), *steps, receive_buffer=4096) as peer, connected(peer.url) as it:
        padding = "x" * 300
        for number in range(20_000):
            it.connection.send_one_way({"n": number, "p": padding})
        assert it.connection._queued_bytes > 0
        eventually(lambda: len(peer.last.got) == 20_000, 10)
        assert [each["n"] for each in peer.last.messages] == list(range(20_000))
        assert it.connection.messages_sent == 20_000


# ── neighbours ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_fault_32_a_flooding_peer_costs_the_others_little() -> None:
    """8 KiB a turn of the loop: a neighbour's round trips go on, and the loop stays prompt."""
    plain_socket: Any = get_original("socket", "socket")
    flood = text({"type": "flood", "p": "x" * 100}) * 5000
    stops: list[bool] = []

    def floods(each: PeerConnection) -> None:
        duplicate = plain_socket(fileno=socket.dup(each.sock.fileno()))
        duplicate.settimeout(0.2)

        def pour() -> None:  # in a native thread, so that only the client's side burdens the loop
            while not stops:
                try:
                    duplicate.sendall(flood)
                except OSError:
                    break
            duplicate.close()

        gevent.get_hub().threadpool.spawn(pour).get()

    with Peer([upgrade(reads=False), floods], [upgrade(), echo()]) as peer:
        with connected(peer.url) as flooded, connected(peer.url) as quiet:
            eventually(lambda: flooded.connection.messages_received > 1000)
            with loop_lag() as lags:
                for number in range(50):
                    quiet.request({"id": f"q{number}"})
            stops.append(True)
            assert quiet.ledger().ok == 50
            assert sorted(lags)[len(lags) // 2] < 0.05
            assert len(flooded.connection._inbox) <= 1000
            assert flooded.dropped_from_inbox > 0
        eventually(lambda: peer.connections[0].is_finished)


def test_a_peer_that_drips_costs_the_others_nothing() -> None:
    """A frame that comes byte by byte holds nobody up."""
    scripts = [[upgrade(), drip(text("x" * 2000)), stall()], [upgrade(), echo()]]
    with Peer(*scripts) as peer, connected(peer.url) as slow, connected(peer.url) as quick:
        begun_s = monotonic()
        for number in range(20):
            quick.request({"id": f"q{number}"})
        assert monotonic() - begun_s < 1.0
        assert slow.gone == []


def test_the_number_of_a_closed_descriptor_may_be_anybodys() -> None:
    """The watchers are gone before the descriptor: the next owner of its number is not disturbed."""
    with Peer(upgrade(), echo()) as peer:
        for _ in range(30):
            with connected(peer.url) as it:
                number = it.connection._sock.fileno()
                it.connection.abort()
                one, other = socket.socketpair()
                assert number in (one.fileno(), other.fileno()) or number < min(one.fileno(), other.fileno())
                other.sendall(b"for one alone")
                gevent.sleep(0)
                assert one.recv(100) == b"for one alone"
                one.close()
                other.close()
                assert it.gone[0].error_class == "lost"


def test_an_open_connection_keeps_no_greenlet_and_one_watcher() -> None:
    """So ten thousand of them cost memory and no turns."""
    loop = gevent.get_hub().loop
    with Peer(upgrade(), stall()) as peer:
        before = loop.activecnt
        with connected(peer.url, settings=TransportSettings(ping_interval_s=0)) as it:
            eventually(lambda: peer.last.head)
            gevent.sleep(0.01)
            ours = loop.activecnt - before
            assert ours <= 3  # our reading watcher, and the peer's reading and sleeping greenlets
            assert sys.getsizeof(it.connection) < 700
