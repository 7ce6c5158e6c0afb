"""`runtime.messaging`: requests and their one outcome, pushes and who wants them; rows 8, 19, 20, 32 and 33."""

from __future__ import annotations

from time import monotonic
from typing import Any

import gevent
import gevent.event
import pytest

from locust_ext.core.protocols.correlation import ByType, Fifo
from locust_ext.errors import ConnectionLost, ErrorReply, RequestTimeout
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
    wait,
    wait_close,
    wait_end,
    wait_messages,
)
from tests.runtime.connecting import Client, connected, profile

PUSH = text({"type": "news", "n": 1})


class Beside:
    """What is counted beside the ledger, whatever the name."""

    def __init__(self, late: int, duplicate: int, unmatched: int) -> None:
        self.late, self.duplicate, self.unmatched = late, duplicate, unmatched


def beside(it: Client) -> Beside:
    found = it.facts.snapshot(0.0).operations
    return Beside(sum(e.late for e in found), sum(e.duplicate for e in found), sum(e.unmatched for e in found))


# ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_reply_goes_to_its_request_whatever_the_order() -> None:
    """By id; and the ledger balances at every moment."""

    def reversed_order(each: PeerConnection) -> None:
        each.until(lambda it: len(it.got) == 10)
        for message in reversed(each.messages):
            each.sock.sendall(text({**message, "answer": message["n"] * 2}))

    with Peer(upgrade(), reversed_order, wait_close()) as peer, connected(peer.url) as it:
        calls = [it.submit({"n": number}) for number in range(10)]
        assert (it.ledger().started, it.ledger().in_flight) == (10, 10)
        eventually(lambda: len(it.done) == 10)
        assert [call.reply["answer"] for call in calls] == [number * 2 for number in range(10)]
        found = it.ledger()
        assert (found.ok, found.in_flight, found.failed) == (10, 0, 0)
        assert len(it.connection.pending) == 0


def test_a_request_that_is_waited_for_goes_out_before_all_that_comes_after_it() -> None:
    """It waits for the end of the loop's turn, but not behind a later message, nor behind the close frame."""
    with Peer(upgrade(), wait_close()) as peer, connected(peer.url) as it:
        first = it.connection.begin({"n": 1}, "ask", 5.0, is_waited_for=True)
        second = it.connection.begin({"n": 2}, "ask", 5.0, is_waited_for=True)
        assert it.connection.messages_sent == 0
        assert it.ledger().in_flight == 2
        it.connection.send_one_way({"n": 3})
        assert it.connection.messages_sent == 3
        third = it.connection.begin({"n": 4}, "ask", 5.0, is_waited_for=True)
        for call in (first, second, third):
            it.connection.watch(call)
        it.connection.close(timeout_s=1.0)
        assert [message["n"] for message in peer.last.messages] == [1, 2, 3, 4]
        assert shared().outbox == []


def test_a_request_counts_as_sent_when_it_is() -> None:
    """Others of the same turn that keep the processor busy are not taken for the server's slowness."""
    with Peer(upgrade(), echo()) as peer, connected(peer.url) as it:
        call = it.connection.begin({"n": 1}, "ask", 5.0, is_waited_for=True)
        until_s = monotonic() + 0.1
        while monotonic() < until_s:
            pass
        it.connection.wait_for(call)
        it.record(call)
        assert call.sent_s >= until_s
        assert call.latency_us < 90_000


def test_a_request_of_a_connection_that_goes_in_the_same_turn_is_lost() -> None:
    """It has its one outcome, and nothing stays in the outbox."""
    with Peer(upgrade(), wait_end()) as peer, connected(peer.url) as it:
        call = it.connection.begin({"n": 1}, "ask", 5.0, is_waited_for=True)
        it.connection.abort()
        it.connection.wait_for(call)
        it.record(call)
        assert isinstance(call.error, ConnectionLost)
        assert (it.ledger().lost, it.ledger().in_flight) == (1, 0)
        assert shared().outbox == []


def test_a_waiting_greenlet_and_a_pipeline_share_a_connection() -> None:
    """Each outcome is told once, to the one it belongs to."""
    with Peer(upgrade(), echo()) as peer, connected(peer.url) as it:
        for number in range(5):
            it.submit({"n": number}, name="piped")
        assert it.request({"n": "waited"})["n"] == "waited"
        eventually(lambda: len(it.done) == 5)
        assert (it.ledger(name="piped").ok, it.ledger(name="ask").ok) == (5, 1)


def test_latency_is_from_the_intended_send_and_service_from_the_actual_one() -> None:
    """In microseconds; without an intended send there is no service time of its own."""
    with Peer(upgrade(), echo(but=lambda _: gevent.sleep(0.05))) as peer, connected(peer.url) as it:
        call = it.connection.begin({"n": 1}, "ask", 5.0, (), monotonic() - 0.2)
        it.connection.wait_for(call)
        assert call.service_us is not None
        assert 50_000 <= call.service_us < 150_000
        assert call.latency_us == pytest.approx(call.service_us + 200_000, abs=5000)
        it.record(call)
        plain = it.connection.begin({"n": 1}, "ask", 5.0)
        it.connection.wait_for(plain)
        it.record(plain)
        assert plain.service_us is None


def test_fault_08_a_peer_that_accepts_and_says_nothing() -> None:
    """Each pending request fails as ``timeout`` at its own deadline, in whatever order they were sent."""
    with Peer(upgrade(), stall()) as peer, connected(peer.url) as it:
        begun_s = monotonic()
        calls = [it.submit({"n": number}, timeout_s=timeout_s) for number, timeout_s in enumerate((0.3, 0.1, 0.2))]
        eventually(lambda: len(it.done) == 3)
        for call, timeout_s in zip(calls, (0.3, 0.1, 0.2), strict=True):
            assert isinstance(call.error, RequestTimeout)
            assert timeout_s <= call.ended_s - begun_s < timeout_s + 0.1
        found = it.ledger()
        assert (found.timed_out, found.in_flight, found.errors) == (3, 0, {"timeout": 3})
        assert it.connection.is_open
        assert len(it.connection.pending) == 0


def test_fault_19_a_reply_that_never_comes() -> None:
    """One ``timeout`` for it alone; its entry is gone, and no deadline of it stays in the wheel."""
    with (
        Peer(upgrade(), echo(but=lambda message: b"" if message.get("silent") else None)) as peer,
        connected(peer.url) as it,
    ):
        with pytest.raises(RequestTimeout):
            it.request({"silent": True}, timeout_s=0.05)
        assert it.request({"n": 1})["n"] == 1
        assert (it.ledger().timed_out, it.ledger().ok, it.ledger().in_flight) == (1, 1, 0)
        assert len(it.connection.pending) == 0
        assert len(shared().wheel) <= 1  # the connection itself, however many requests it has had


def test_fault_20_a_late_and_a_duplicate_reply() -> None:
    """Are counted beside the ledger, and given to nobody else."""
    with (
        Peer(
            upgrade(),
            wait_messages(1),
            wait(0.15),
            send(lambda each: text(each.messages[0])),
            wait_messages(2),
            send(lambda each: text(each.messages[1]) * 2),
            wait_messages(3),
            send(lambda each: text(each.messages[2])),
            wait_close(),
        ) as peer,
        connected(peer.url) as it,
    ):
        with pytest.raises(RequestTimeout):
            it.request({"n": 0}, timeout_s=0.05)
        eventually(lambda: beside(it).late == 1)
        assert it.request({"n": 1})["n"] == 1
        assert it.request({"n": 2})["n"] == 2
        found = it.ledger()
        assert (found.started, found.ok, found.timed_out) == (3, 2, 1)
        assert (beside(it).late, beside(it).duplicate, beside(it).unmatched) == (1, 1, 0)
        assert it.connection._inbox is None


def test_fault_20_without_ids_a_doubtful_order_renews_the_connection() -> None:
    """Which reply is whose cannot be told any more: closed with 1000, in order; the user's pattern hears of it."""
    with (
        Peer(upgrade(), wait_messages(2), wait(0.02), send(text({"type": "pong"})), wait_end()) as peer,
        connected(peer.url, profile_=profile(ByType({"ping": "pong"}))) as it,
    ):
        with pytest.raises(RequestTimeout):
            it.request({"type": "ping"}, timeout_s=0.1)
        with pytest.raises(RequestTimeout):
            it.request({"type": "ping"}, timeout_s=0.1)
        eventually(lambda: it.gone)
        assert (it.gone[0].error_class, it.gone[0].is_orderly) == ("closed_1000", True)
        assert not it.connection.is_close_ours
        assert (it.ledger().timed_out, it.ledger().late, it.ledger().in_flight) == (2, 1, 0)
        eventually(lambda: peer.last.close_code == 1000)


def test_a_request_that_is_killed_is_cancelled() -> None:
    """Not failed; a reply that comes later is late, and given to nobody."""
    with (
        Peer(upgrade(), wait_messages(), wait(0.1), send(lambda each: text(each.messages[0])), wait_close()) as peer,
        connected(peer.url) as it,
    ):
        greenlet = gevent.spawn(it.request, {"n": 1})
        eventually(lambda: peer.last.got)
        greenlet.kill(timeout=1)
        found = it.ledger()
        assert (found.started, found.cancelled, found.failed, found.in_flight) == (1, 1, 0, 0)
        eventually(lambda: beside(it).late == 1)
        assert it.done == []


def test_a_request_whose_reply_and_kill_come_together_has_one_outcome() -> None:
    """Whichever of the two the greenlet hears of first."""
    with Peer(upgrade(), echo()) as peer, connected(peer.url) as it:
        for number in range(30):
            greenlet = gevent.spawn(it.request, {"n": number})
            gevent.sleep(0.0002 * (number % 7))
            greenlet.kill()
        eventually(lambda: it.ledger().in_flight == 0)
        found = it.ledger()
        assert found.ok + found.cancelled == found.started


def test_a_gevent_timeout_around_a_request_cancels_it() -> None:
    """The locustfile's own `gevent.Timeout` goes through."""
    with Peer(upgrade(), stall()) as peer, connected(peer.url) as it:
        with pytest.raises(gevent.Timeout), gevent.Timeout(0.05):
            it.request({"n": 1})
        assert (it.ledger().cancelled, it.ledger().in_flight) == (1, 0)


def test_a_request_on_a_lost_connection_is_lost_at_once() -> None:
    """It was attempted, so it has an outcome."""
    with Peer(upgrade(), send(close_frame(1000)), wait_end()) as peer, connected(peer.url) as it:
        eventually(lambda: it.gone)
        with pytest.raises(ConnectionLost):
            it.request({"n": 1})
        call = it.submit({"n": 2})
        eventually(lambda: it.done == [call])
        assert (it.ledger().started, it.ledger().lost) == (2, 2)


def test_requests_of_a_stopping_user_are_cancelled_and_not_lost() -> None:
    """Those that nobody waits for any more."""
    with Peer(upgrade(), stall()) as peer, connected(peer.url) as it:
        it.submit({"n": 1})
        it.connection.is_user_stopping = True
        it.connection.close(timeout_s=0.05)
        found = it.ledger()
        assert (found.started, found.cancelled, found.lost, found.in_flight) == (1, 1, 0, 0)
        assert it.done == []


def test_an_end_that_nobody_can_be_told_of_still_ends_the_requests() -> None:
    """`on_gone` raises: the waiting greenlets are woken all the same."""
    with Peer(upgrade(), wait_messages(), send(close_frame(1011)), wait_end()) as peer, connected(peer.url) as it:

        def fails(*_: Any) -> None:
            raise RuntimeError("on purpose")

        it.connection.on_gone = fails
        with pytest.raises(ConnectionLost), gevent.Timeout(2):
            it.request({"n": 1})


def test_an_error_reply_is_a_failed_request() -> None:
    """Its class is ``error_reply``; of the server's words only a constant-like code is shown."""
    rule = ByType({"ask": "answer"}, error="error")
    for error, shown in (
        ({"type": "error", "code": "RATE_LIMIT"}, "RATE_LIMIT"),
        ({"type": "error", "code": "user 17 said no"}, "the server answered with an error"),
    ):
        with (
            Peer(upgrade(), wait_messages(), send(text(error)), wait_close()) as peer,
            connected(peer.url, profile_=profile(rule)) as it,
        ):
            with pytest.raises(ErrorReply) as caught:
                it.request({"type": "ask"})
            assert str(caught.value) == f"error_reply - {shown}"
            assert caught.value.reply == error
            assert it.ledger().errors == {"error_reply": 1}


# ── slots ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_submitting_waits_while_too_many_are_in_flight() -> None:
    """And goes on as soon as one has ended."""
    most = 0
    with Peer(upgrade(), echo(but=lambda _: gevent.sleep(0.005))) as peer, connected(peer.url) as it:
        for number in range(30):
            it.connection.wait_for_slot(4, monotonic() + 5)
            it.submit({"n": number})
            most = max(most, len(it.connection.pending))
        eventually(lambda: len(it.done) == 30)
        assert most == 4
        assert it.ledger().ok == 30


def test_waiting_for_a_slot_ends_at_its_deadline() -> None:
    """With `RequestTimeout`; nothing of it stays."""
    with Peer(upgrade(), stall()) as peer, connected(peer.url) as it:
        it.submit({"n": 1}, timeout_s=5)
        begun_s = monotonic()
        with pytest.raises(RequestTimeout):
            it.connection.wait_for_slot(1, begun_s + 0.1)
        assert 0.1 <= monotonic() - begun_s < 0.4
        assert not it.connection._calls_waiting


def test_waiting_for_a_slot_ends_with_the_connection() -> None:
    """At once; what is then submitted is lost, like what was."""
    with (
        Peer(upgrade(), wait_messages(), wait(0.05), send(close_frame(1011)), wait_end()) as peer,
        connected(peer.url) as it,
    ):
        it.submit({"n": 1})
        begun_s = monotonic()
        it.connection.wait_for_slot(1, begun_s + 5)
        assert monotonic() - begun_s < 1.0
        it.submit({"n": 2})
        eventually(lambda: len(it.done) == 2)
        assert (it.ledger().lost, it.ledger().in_flight) == (2, 0)
        assert len(shared().wheel) == 0


# ── pushes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def numbered(count: int) -> bytes:
    return b"".join(text({"type": "news" if number % 2 else "talk", "n": number}) for number in range(count))


def test_receive_gives_the_pushes_in_order_and_those_that_came_before() -> None:
    """Also after the connection has gone, until there is none left."""
    with Peer(upgrade(), send(numbered(5) + close_frame(1000)), wait_end()) as peer, connected(peer.url) as it:
        eventually(lambda: it.gone)
        assert [it.connection.receive(1.0)["n"] for _ in range(5)] == [0, 1, 2, 3, 4]
        with pytest.raises(ConnectionLost):
            it.connection.receive(1.0)


def test_receive_waits_until_its_deadline() -> None:
    """And then raises `RequestTimeout`; nothing of it stays."""
    with Peer(upgrade(), stall()) as peer, connected(peer.url) as it:
        begun_s = monotonic()
        with pytest.raises(RequestTimeout):
            it.connection.receive(0.1)
        assert 0.1 <= monotonic() - begun_s < 0.4
        assert not it.connection._readers


def test_receive_ends_with_the_connection() -> None:
    """At once."""
    with Peer(upgrade(), wait(0.05), send(close_frame(1011)), wait_end()) as peer, connected(peer.url) as it:
        begun_s = monotonic()
        with pytest.raises(ConnectionLost):
            it.connection.receive(5.0)
        assert monotonic() - begun_s < 1.0


def test_only_the_wanted_push_is_taken() -> None:
    """The others stay, in order; each is looked at once."""
    looked: list[int] = []

    def wanted(message: Any) -> bool:
        looked.append(message["n"])
        return bool(message["n"] == 3)

    steps = [upgrade(), send(numbered(3)), wait(0.05), send(numbered(6)[len(numbered(3)) :]), stall()]
    with Peer(*steps) as peer, connected(peer.url) as it:
        assert it.connection.receive(2.0, wanted)["n"] == 3
        assert looked == [0, 1, 2, 3]
        assert [it.connection.receive(1.0)["n"] for _ in range(5)] == [0, 1, 2, 4, 5]


def test_a_predicate_may_block_while_the_inbox_changes() -> None:
    """The message that was found is the one that is taken."""

    def slowly(message: Any) -> bool:
        gevent.sleep(0.03)
        return bool(message["n"] == 2)

    with (
        Peer(upgrade(), send(numbered(3)), wait(0.05), send(numbered(6)[len(numbered(3)) :]), stall()) as peer,
        connected(peer.url, profile_=profile(max_inbox=5)) as it,
    ):
        eventually(lambda: it.connection.messages_received == 3)
        assert it.connection.receive(2.0, slowly)["n"] == 2
        eventually(lambda: it.connection.messages_received == 6)
        assert [it.connection.receive(1.0)["n"] for _ in range(4)] == [1, 3, 4, 5]


def test_several_greenlets_may_receive() -> None:
    """Each push goes to one of them."""
    with Peer(upgrade(), wait(0.05), send(numbered(10)), stall()) as peer, connected(peer.url) as it:
        greenlets = [gevent.spawn(it.connection.receive, 2.0) for _ in range(10)]
        gevent.joinall(greenlets, timeout=3)
        assert sorted(each.value["n"] for each in greenlets) == list(range(10))


def test_fault_32_a_full_inbox_drops_the_oldest_and_counts_it() -> None:
    """Every push is counted as received all the same."""
    with (
        Peer(upgrade(), send(numbered(100)), stall()) as peer,
        connected(peer.url, profile_=profile(max_inbox=10)) as it,
    ):
        eventually(lambda: it.connection.messages_received == 100)
        assert [it.connection.receive(0.1)["n"] for _ in range(10)] == list(range(90, 100))
        assert it.connection.inbox_dropped == it.dropped_from_inbox == 90
        assert sum(each.received for each in it.facts.snapshot(0.0).pushes) == 100


def test_fault_32_a_full_inbox_may_close_the_connection() -> None:
    """As configured: 1008 goes out, and what was queued can still be read."""
    with Peer(upgrade(), send(numbered(100)), wait_end()) as peer:
        with connected(peer.url, profile_=profile(max_inbox=10, inbox_policy="close")) as it:
            eventually(lambda: it.gone)
            assert it.gone[0].error_class == "lost"
            assert [it.connection.receive(0.1)["n"] for _ in range(10)] == list(range(10))
        eventually(lambda: peer.last.close_code == 1008)


def test_no_inbox_keeps_nothing() -> None:
    """Pushes are only counted."""
    with (
        Peer(upgrade(), send(numbered(100)), stall()) as peer,
        connected(peer.url, profile_=profile(max_inbox=0)) as it,
    ):
        eventually(lambda: it.connection.messages_received == 100)
        assert it.connection._inbox is None
        counts = {each.event: each.received for each in it.facts.snapshot(0.0).pushes}
        assert counts == {"news": 50, "talk": 50}


def test_handlers_get_the_pushes_of_their_event_in_order() -> None:
    """``*`` gets each; a handler may send and wait for a reply."""
    news: list[int] = []
    every: list[int] = []
    replies: list[Any] = []

    def asks_back(message: Any) -> None:
        if message["n"] == 1:
            replies.append(it.request({"n": "back"}))

    with Peer(upgrade(), wait_messages(), send(numbered(6)), echo()) as peer, connected(peer.url) as it:
        it.connection.on("news", lambda message: news.append(message["n"]))
        it.connection.on("news", asks_back)
        it.connection.on("*", lambda message: every.append(message["n"]))
        it.connection.send_one_way({"id": "go"})
        eventually(lambda: len(every) >= 6 and replies)
        assert news == [1, 3, 5]
        assert every[:6] == [0, 1, 2, 3, 4, 5]
        assert replies[0]["n"] == "back"


def test_fault_33_a_handler_that_blocks_or_raises_harms_no_other_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not even the requests of its own connection."""
    free = gevent.event.Event()
    seen: list[Any] = []

    def raises(message: Any) -> None:
        raise RuntimeError("on purpose")

    steps = [upgrade(), wait_messages(), send(PUSH * 3), echo()]
    with (
        Peer(*steps) as peer,
        connected(peer.url) as blocked,
        connected(peer.url) as raising,
        connected(peer.url) as good,
    ):
        blocked.connection.on("news", lambda _: free.wait())
        raising.connection.on("news", raises)
        good.connection.on("news", seen.append)
        for it in (blocked, raising, good):
            it.connection.send_one_way({"id": "go"})
        eventually(lambda: len(seen) == 3, 1.0)
        for it in (blocked, raising, good):
            assert it.request({"n": 1})["n"] == 1
            assert it.gone == []
        free.set()
        eventually(lambda: caplog.text.count("RuntimeError: on purpose") == 3)


def test_fault_32_a_handler_that_is_too_slow_loses_the_oldest() -> None:
    """Its queue is bounded too."""
    free = gevent.event.Event()
    seen: list[int] = []

    def slow(message: Any) -> None:
        free.wait()
        seen.append(message["n"])

    with (
        Peer(upgrade(), wait_messages(), send(numbered(100)), stall()) as peer,
        connected(peer.url, profile_=profile(max_inbox=10)) as it,
    ):
        it.connection.on("*", slow)
        it.connection.send_one_way({"go": 1})
        eventually(lambda: it.connection.messages_received == 100)
        free.set()
        eventually(lambda: seen and seen[-1] == 99)
        assert len(seen) <= 11 + 90
        assert it.connection._lane.dropped >= 80
        connections = it.facts.snapshot(monotonic()).connections
        assert connections.handler_calls_dropped == it.connection._lane.dropped
        assert connections.inbox_dropped == 0


# ── heartbeats ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_silent_client_sends_its_heartbeat() -> None:
    """After so long a silence of its own; any message puts it off; it is an operation like others."""
    beats = profile(
        ByType({"heartbeat": "heartbeat_ack", "ask": "answer"}),
        heartbeat_s=0.15,
        heartbeat_message={"type": "heartbeat"},
        heartbeat_timeout_s=1.0,
    )

    def replies(message: Any) -> bytes:
        return text({"type": "heartbeat_ack" if message["type"] == "heartbeat" else "answer"})

    with Peer(upgrade(), echo(but=replies)) as peer, connected(peer.url, profile_=beats) as it:
        begun_s = monotonic()
        while monotonic() - begun_s < 0.4:
            it.request({"type": "ask"})
            gevent.sleep(0.05)
        assert {each["type"] for each in peer.last.messages} == {"ask"}
        eventually(lambda: len([each for each in peer.last.messages if each["type"] == "heartbeat"]) == 3, 2.0)
        eventually(lambda: it.ledger(name="heartbeat").ok == 3)


def test_a_heartbeat_that_is_not_answered_times_out_like_any_request() -> None:
    """And the connection goes on."""
    beats = profile(
        Fifo(),
        heartbeat_s=0.1,
        heartbeat_message={"type": "heartbeat"},
        heartbeat_timeout_s=0.1,
        push_name=lambda _: "hb",
    )
    with Peer(upgrade(), stall()) as peer, connected(peer.url, profile_=beats) as it:
        eventually(lambda: it.facts.snapshot(0.0).operations and it.ledger(name="hb").timed_out >= 2, 2.0)
        assert it.connection.is_open
