"""`plugin.users.states`: each change of a connection's state reaches `on_state_change`, and harms nobody."""

from __future__ import annotations

from itertools import pairwise
from time import monotonic
from typing import Any

import gevent
import pytest

from locust_ext.core.lifecycle import TRANSITIONS, ConnectionState, Failover, FullJitter, Intermittent, Persistent
from locust_ext.plugin.users.agent import AgentUser
from locust_ext.plugin.users.channel import Channel
from locust_ext.plugin.users.socketio import FastSocketIOUser
from locust_ext.plugin.users.websocket import WebSocketUser
from tests.e2e.runs import Server
from tests.peers import Peer, close_frame, echo, eventually, refused_port, send, upgrade
from tests.plugin.inside import QUICK, idles, user_class
from tests.runtime.locusting import running

Change = tuple[str, str]


def noting(base: type[Any], **attributes: Any) -> tuple[type[Any], list[Change]]:
    """A class without tasks that keeps what its users are told."""
    told: list[Change] = []

    def on_state_change(self: Any, old: str, new: str) -> None:
        told.append((old, new))

    return user_class(base, attributes.pop("task", None), on_state_change=on_state_change, **attributes), told


def is_a_path(told: list[Change]) -> bool:
    """Each change begins where the one before has ended, and stands in the table."""
    return all(before[1] == after[0] for before, after in pairwise(told)) and all(
        ConnectionState(new) in TRANSITIONS[ConnectionState(old)] for old, new in told
    )


@pytest.mark.parametrize("base", [AgentUser, FastSocketIOUser])
def test_from_the_first_connect_to_the_stop_each_change_is_told_in_order(server: Server, base: type[Any]) -> None:
    cls, told = noting(base)
    with running(cls, server.url) as run:
        eventually(lambda: run.states == {"open": 1})
        run.stop()
        eventually(lambda: told and told[-1] == ("closing", "closed"))
    assert told == [("idle", "connecting"), ("connecting", "open"), ("open", "closing"), ("closing", "closed")]
    assert is_a_path(told)


def test_a_loss_and_the_way_back(server: Server) -> None:
    cls, told = noting(AgentUser, pattern=QUICK)
    with running(cls, server.url) as run:
        eventually(lambda: run.states == {"open": 1})
        run.user.ws.connection.abort("reset")
        eventually(lambda: told.count(("connecting", "open")) == 2)
        run.stop()
    assert told[2:6] == [("open", "closed"), ("closed", "waiting"), ("waiting", "connecting"), ("connecting", "open")]
    eventually(lambda: told[-1] == ("closing", "closed"))
    assert is_a_path(told)


def test_a_user_that_comes_and_goes_is_idle_between() -> None:
    cls, told = noting(WebSocketUser, pattern=Intermittent(connected_s=0.02, away_s=0.02, cycles=2))
    with Peer(upgrade(), echo()) as peer, running(cls, peer.url) as run:
        eventually(lambda: told.count(("closed", "idle")) == 2)
        assert run.states == {"idle": 1}
        run.stop()
        eventually(lambda: told[-1] == ("idle", "closed"))
    assert told[:5] == [
        ("idle", "connecting"),
        ("connecting", "open"),
        ("open", "closing"),
        ("closing", "closed"),
        ("closed", "idle"),
    ]
    assert is_a_path(told)


def test_who_gives_up_is_failed_and_counted_so_until_it_is_stopped() -> None:
    cls, told = noting(WebSocketUser, pattern=Persistent(max_attempts=2, reconnect=FullJitter(base_s=0.01, cap_s=0.01)))
    with running(cls, f"http://127.0.0.1:{refused_port()}", count=3) as run:
        eventually(lambda: run.states == {"failed": 3})
        eventually(lambda: told.count(("closed", "failed")) == 3)
        run.stop()
        eventually(lambda: told.count(("failed", "closed")) == 3)


def test_who_backs_off_is_counted_as_waiting() -> None:
    pattern = Persistent(reconnect=FullJitter(base_s=60, cap_s=60))
    cls, _ = noting(WebSocketUser, pattern=pattern)
    with running(cls, f"http://127.0.0.1:{refused_port()}", count=2) as run:
        eventually(lambda: run.states == {"waiting": 2})


def test_a_handler_that_blocks_or_raises_harms_nobody(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Another user's requests go on, and each exception is counted once, as one of the user's."""
    raised: list[BaseException] = []

    def on_state_change(self: Any, old: str, new: str) -> None:
        if new == "connecting":
            gevent.sleep(0.3)
        raise RuntimeError(new)

    def asks(user: Any) -> None:
        user.ws.request({"type": "ping"})

    with running(user_class(AgentUser, asks, on_state_change=on_state_change), server.url) as run:
        run.environment.events.user_error.add_listener(lambda exception, **_: raised.append(exception))
        begun_s = monotonic()
        eventually(lambda: len(run.of_type("WS")) >= 5)
        assert monotonic() - begun_s < 0.3 or raised
        eventually(lambda: len(raised) == 2)
        assert [str(error) for error in raised] == ["connecting", "open"]
        run.stop()
        eventually(lambda: len(raised) == 4)
        assert run.ledger("WS").failures == 0
    assert sum(record.message == "on_state_change raised" for record in caplog.records) == 4


def test_with_a_third_parameter_it_gets_the_channel_too(server: Server) -> None:
    told: list[tuple[str, str | None]] = []

    def on_state_change(self: Any, old: str, new: str, channel: Channel[Any]) -> None:
        told.append((new, channel.label))

    def opens(user: Any) -> None:
        assert user.monitor.is_connected
        idles(user)

    with running(user_class(AgentUser, opens, on_state_change=on_state_change), server.url):
        eventually(lambda: ("open", "monitor") in told)
    assert ("open", None) in told


def test_nothing_is_queued_for_a_class_that_does_not_want_to_know(server: Server) -> None:
    with running(user_class(AgentUser), server.url) as run:
        eventually(lambda: run.states == {"open": 1})
        assert run.user.ws.connection.on_state is None
        assert run.user._state_lane is None


# ── the time to recover ────────────────────────────────────────────────────────────────────────────────────────────────


def recoveries(run: Any) -> Any:
    return run.recorder.snapshot(monotonic()).connections.recoveries


def test_the_time_to_recover_runs_from_the_loss_to_the_connection_that_is_open_again(server: Server) -> None:
    """With a backoff that is known, and for the first connect nothing is counted."""
    pattern = Persistent(reconnect=FullJitter(base_s=0.2, cap_s=0.2))
    with running(user_class(AgentUser, pattern=pattern), server.url) as run:
        eventually(lambda: run.states == {"open": 1})
        assert recoveries(run) == ()
        begun_s = monotonic()
        run.user.ws.connection.abort("reset")
        eventually(lambda: recoveries(run))
        took_us = (monotonic() - begun_s) * 1e6
        (found,) = recoveries(run)
        assert (found.user, found.channel) == ("MadeAgentUser", "/api/v1/ws/{client_id}")
        assert (found.time.count, found.failovers) == (1, 0)
        assert 0 < found.time.max_us <= took_us
        assert found.time.max_us <= 200_000 + 1_000_000  # the backoff at its longest, and a connect


def test_a_connection_found_unhealthy_and_left_for_a_backup_is_a_failover(server: Server) -> None:
    """The clock starts when the check has failed: the close, the backoff and the connect are in it."""
    # The backup is the same server by another name: each host is left after two errors in a row.
    server.misbehave(error_ratio=1.0)
    pattern = Failover(
        backups=(server.url.replace("127.0.0.1", "localhost"),),
        threshold=1,
        unhealthy_after=2,
        reconnect=FullJitter(base_s=0.05, cap_s=0.05),
    )
    with running(user_class(AgentUser, generator="ping", pattern=pattern), server.url) as run:
        eventually(lambda: recoveries(run) and recoveries(run)[0].time.count >= 3)
        run.stop()
        (found,) = recoveries(run)
        assert found.failovers == found.time.count
        assert 0 < found.time.max_us < 2_000_000
        assert run.recorder.snapshot(monotonic()).connections.reconnects == 0  # they were left in order


def test_a_user_whose_primary_refuses_it_from_the_start_has_failed_over_once_it_is_on_the_backup(
    server: Server,
) -> None:
    """Its time runs from the first try; a further try of the same host is no failover, and nothing to recover from."""
    pattern = Failover(
        backups=(server.url,),
        primary=f"http://127.0.0.1:{refused_port()}",
        threshold=2,
        reconnect=FullJitter(base_s=0.1, cap_s=0.1),
    )
    begun_s = monotonic()
    with running(user_class(AgentUser, pattern=pattern), server.url) as run:
        eventually(lambda: recoveries(run))
        (found,) = recoveries(run)
        assert (found.time.count, found.failovers) == (1, 1)
        assert 0 < found.time.max_us <= (monotonic() - begun_s) * 1e6
        run.user.ws.connection.abort("reset")
        eventually(lambda: recoveries(run)[0].time.count == 2)
        assert recoveries(run)[0].failovers == 1, "back on the backup"


def test_a_user_that_is_refused_once_and_let_in_then_has_not_recovered_from_anything(server: Server) -> None:
    server.misbehave(refuse_upgrades=True)
    pattern = Failover(backups=("http://127.0.0.1:1",), threshold=1000, reconnect=FullJitter(base_s=0.01, cap_s=0.01))
    with running(user_class(AgentUser, pattern=pattern), server.url) as run:
        eventually(lambda: run.recorder.snapshot(monotonic()).connects > 1)
        server.misbehave()
        eventually(lambda: run.states == {"open": 1})
        assert recoveries(run) == ()


def test_a_user_that_leaves_and_returns_has_not_recovered_from_anything() -> None:
    cls = user_class(WebSocketUser, pattern=Intermittent(connected_s=0.02, away_s=0.02))
    with Peer(upgrade(), echo()) as peer, running(cls, peer.url) as run:
        eventually(lambda: len(peer.connections) >= 4)
        assert recoveries(run) == ()


def test_a_channel_beside_the_main_one_has_its_own_times(server: Server) -> None:
    def opens(user: Any) -> None:
        assert user.monitor.is_connected
        idles(user)

    with running(user_class(AgentUser, opens), server.url) as run:
        eventually(lambda: run.states == {"open": 2})
        run.user.monitor.connection.abort("reset")
        eventually(lambda: recoveries(run))
        assert [(each.channel, each.time.count) for each in recoveries(run)] == [("/api/v1/ws/monitor/{client_id}", 1)]


def test_a_restart_that_takes_several_attempts_is_one_recovery() -> None:
    """From the loss to the connection that stands, not from the last attempt."""
    gone, refused = [upgrade(), send(close_frame(1001))], [upgrade("X: y", accept="wrong")]
    cls = user_class(WebSocketUser, pattern=Persistent(reconnect=FullJitter(base_s=0.05, cap_s=0.05)))
    with Peer(gone, refused, refused, [upgrade(), echo()]) as peer, running(cls, peer.url) as run:
        eventually(lambda: recoveries(run))
        (found,) = recoveries(run)
        assert (len(peer.connections), found.time.count) == (4, 1)
        assert found.time.max_us > 1_000
