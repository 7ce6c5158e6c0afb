"""What one request is, and what counts as a rule."""

from __future__ import annotations

from typing import Any

from locust_ext.core.protocols import exchange
from locust_ext.core.protocols.exchange import OLDEST, OPEN, Correlation, Exchange


def test_an_exchange_takes_slots_of_a_subclass_and_no_others() -> None:
    class Waiting(Exchange):
        __slots__ = ("waiter",)

    request = Waiting(("pong", 1), "WS", "ping", 1.5, 11.5)
    request.waiter = "greenlet"  # type: ignore[attr-defined]
    assert (request.state, request.serial, request.sent_s, request.deadline_s) == (OPEN, 0, 1.5, 11.5)
    assert not hasattr(request, "__dict__")
    assert repr(request) == "Exchange(('pong', 1), 'WS', 'ping', state=0)"


def test_the_verdicts_and_the_states_differ() -> None:
    verdicts = "REPLY ERROR PUSH LATE DUPLICATE UNMATCHED"
    states = "OPEN ANSWERED FAILED EXPIRED CANCELLED LOST"
    for words in (verdicts, states):
        assert [getattr(exchange, word) for word in words.split()] == list(range(6))


def test_a_rule_is_whatever_has_both_directions_and_says_whether_it_is_in_order() -> None:
    class Rule:
        in_order = True

        def outgoing(self, message: Any, next_id: Any) -> Any: ...

        def incoming(self, reply: Any) -> Any: ...

    assert isinstance(Rule(), Correlation)
    assert not isinstance(object(), Correlation)
    assert repr(OLDEST) == "OLDEST"
