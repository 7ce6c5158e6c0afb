from __future__ import annotations

import pytest

from locust_ext.core.lifecycle import TRANSITIONS, ConnectionState, Disconnect, Pause, Send, may_follow, state_in


def test_the_states_are_those_of_the_snapshot() -> None:
    assert [str(state) for state in ConnectionState] == [
        "idle", "connecting", "open", "closing", "waiting", "closed", "failed",
    ]  # fmt: skip
    assert set(TRANSITIONS) == set(ConnectionState)


@pytest.mark.parametrize("state", list(ConnectionState))
def test_a_user_can_be_stopped_in_every_state(state: ConnectionState) -> None:
    assert may_follow(state, ConnectionState.CLOSED)


def test_only_a_connecting_connection_opens_and_a_failed_one_stays_failed() -> None:
    assert [old for old in ConnectionState if ConnectionState.OPEN in TRANSITIONS[old]] == [ConnectionState.CONNECTING]
    assert TRANSITIONS[ConnectionState.FAILED] == {ConnectionState.CLOSED}


def test_a_rest_on_an_open_connection_leaves_it_open() -> None:
    assert state_in(Pause(5), ConnectionState.OPEN) is ConnectionState.OPEN
    assert state_in(Pause(5), ConnectionState.CLOSED) is ConnectionState.IDLE
    assert state_in(Pause(5, backoff=True), ConnectionState.CLOSED) is ConnectionState.WAITING
    assert state_in(Disconnect(), ConnectionState.OPEN) is ConnectionState.CLOSING
    assert state_in(Send(), ConnectionState.OPEN) is ConnectionState.OPEN
