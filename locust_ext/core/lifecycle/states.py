"""The states of a connection, and which may follow which."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from locust_ext.core.lifecycle.actions import (
    Action,
    Connect,
    Connected,
    Disconnect,
    Disconnected,
    GiveUp,
    Lost,
    Outcome,
    Pause,
    Refused,
)


class ConnectionState(StrEnum):
    """Where a user's connection stands; the value is the name in the Snapshot, the UI and the exporter."""

    IDLE = "idle"
    """No connection, and none wanted now: not yet begun, or resting away."""
    CONNECTING = "connecting"
    OPEN = "open"
    CLOSING = "closing"
    """Our close is on its way."""
    WAITING = "waiting"
    """Backing off after a failure."""
    CLOSED = "closed"
    """No connection: closed by either side, or the user was stopped."""
    FAILED = "failed"
    """Given up; the user stays and is counted as such."""


_S = ConnectionState

TRANSITIONS: Final[dict[ConnectionState, frozenset[ConnectionState]]] = {
    _S.IDLE: frozenset({_S.CONNECTING, _S.WAITING, _S.CLOSED, _S.FAILED}),
    _S.CONNECTING: frozenset({_S.OPEN, _S.WAITING, _S.IDLE, _S.CLOSED, _S.FAILED}),
    _S.OPEN: frozenset({_S.CLOSING, _S.WAITING, _S.IDLE, _S.CLOSED, _S.FAILED}),
    _S.CLOSING: frozenset({_S.WAITING, _S.IDLE, _S.CLOSED, _S.FAILED}),
    _S.WAITING: frozenset({_S.CONNECTING, _S.IDLE, _S.CLOSED, _S.FAILED}),
    _S.CLOSED: frozenset({_S.CONNECTING, _S.WAITING, _S.IDLE, _S.FAILED}),
    _S.FAILED: frozenset({_S.CLOSED}),
}
"""From each state the states that may follow. A user may be stopped, and so be ``closed``, in all of them."""


def may_follow(old: ConnectionState, new: ConnectionState) -> bool:
    """Whether ``new`` may come right after ``old``; a state that stays is no transition and always allowed."""
    return new == old or new in TRANSITIONS[old]


def state_in(action: Action, state: ConnectionState) -> ConnectionState:
    """The state while ``action`` is performed, from the one before it; a rest on an open connection leaves it open."""
    if isinstance(action, Connect):
        return _S.CONNECTING
    if isinstance(action, Disconnect):
        return _S.CLOSING if state is _S.OPEN else state
    if isinstance(action, GiveUp):
        return _S.FAILED
    if isinstance(action, Pause) and state is not _S.OPEN:
        return _S.WAITING if action.backoff else _S.IDLE
    return state


def state_after(outcome: Outcome, state: ConnectionState) -> ConnectionState:
    """The state once ``outcome`` has come, from the state before it."""
    if isinstance(outcome, Connected):
        return _S.OPEN
    if isinstance(outcome, (Refused, Lost, Disconnected)):
        return _S.CLOSED
    return state
