"""The table of open requests: each arrival one verdict, each request one outcome, nothing given to a wrong request."""

from __future__ import annotations

import gc
from collections import Counter
from typing import Any, ClassVar

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from locust_ext.core.protocols.correlation import (
    ANSWERED,
    CANCELLED,
    DUPLICATE,
    ERROR,
    EXPIRED,
    FAILED,
    LATE,
    LOST,
    OPEN,
    PUSH,
    REPLY,
    UNMATCHED,
    AgentChannel,
    ByCall,
    ById,
    ByType,
    ConfirmedBy,
    Correlation,
    Exchange,
    Fifo,
    PendingTable,
)

PING, PONG = {"type": "ping"}, {"type": "pong"}
QUERY, RESULT = {"type": "query"}, {"type": "result"}
ERROR_REPLY = {"type": "error"}
BY_TYPE = ByType({"ping": "pong", "query": "result"}, error="error")


def send(table: PendingTable, rule: Correlation, message: Any, now_s: float = 0.0, timeout_s: float = 10.0) -> Exchange:
    _, key = rule.outgoing(message, lambda: 1)
    exchange = Exchange(key, "WS", "name", now_s, now_s + timeout_s)
    table.add(exchange)
    return exchange


def verdicts(table: PendingTable, replies: list[Any], now_s: float = 1.0) -> list[int]:
    return [table.match(reply, now_s)[0] for reply in replies]


# -- replies, pushes, duplicates


def test_a_reply_answers_its_request_once() -> None:
    table = PendingTable(ById())
    first, second = send(table, ById(), {"id": 1}), send(table, ById(), {"id": 2})
    assert len(table) == 2
    assert table.match({"id": 2}, 1.0) == (REPLY, second)
    assert table.match({"id": 1}, 1.0) == (REPLY, first)
    assert (first.state, second.state, len(table)) == (ANSWERED, ANSWERED, 0)
    assert verdicts(table, [{"id": 1}, {"id": 2}, {"id": 3}, {}, "x"]) == [DUPLICATE, DUPLICATE, PUSH, PUSH, PUSH]


def test_an_id_that_is_open_twice_is_answered_in_order() -> None:
    table = PendingTable(ById())
    first, second, third = (send(table, ById(), {"id": "same"}) for _ in range(3))
    assert [table.match({"id": "same"}, 1.0) for _ in range(3)] == [(REPLY, first), (REPLY, second), (REPLY, third)]
    assert verdicts(table, [{"id": "same"}]) == [DUPLICATE]


@pytest.mark.parametrize(
    ("correlation", "message", "reply", "before", "after"),
    [
        (ById(), {"id": 1}, {"id": 1}, PUSH, DUPLICATE),
        (BY_TYPE, PING, PONG, UNMATCHED, DUPLICATE),
        (AgentChannel(), PING, PONG, UNMATCHED, DUPLICATE),
        (ConfirmedBy({"set": ("done", ("k",))}), ("set", [{"k": 1}]), ("done", [{"k": 1}]), UNMATCHED, DUPLICATE),
        (ByCall(lambda message: message), "a", "a", PUSH, DUPLICATE),
        (Fifo(), "a", "b", PUSH, PUSH),
    ],
)
def test_with_nothing_open_each_rule_has_its_verdict_before_and_after_the_first_answer(
    correlation: Correlation, message: Any, reply: Any, before: int, after: int
) -> None:
    table = PendingTable(correlation)
    assert table.match(reply, 0.0) == (before, None)
    exchange = send(table, correlation, message)
    assert table.match(reply, 1.0) == (REPLY, exchange)
    assert table.match(reply, 1.0) == (after, None)


def test_what_was_answered_is_remembered_within_bounds() -> None:
    table = PendingTable(ById(), memory=4)
    for number in range(20):
        send(table, ById(), {"id": number})
        assert verdicts(table, [{"id": number}]) == [REPLY]
    assert verdicts(table, [{"id": number} for number in (19, 18, 17, 16)]) == [DUPLICATE] * 4
    assert verdicts(table, [{"id": 0}]) == [PUSH]


def test_a_callable_that_raises_or_gives_no_key_makes_a_push() -> None:
    rule = ByCall(lambda message: message["ref"])
    table = PendingTable(rule)
    send(table, rule, {"ref": 1})
    assert verdicts(table, [{}, None, {"ref": []}, {"ref": None}, {"ref": 2}, {"ref": 1}]) == [PUSH] * 5 + [REPLY]


def test_a_key_that_cannot_be_one_is_refused_and_changes_nothing() -> None:
    rule = ByCall(lambda message: message)
    table = PendingTable(rule)
    with pytest.raises(TypeError):
        send(table, rule, [])
    assert (len(table), table.next_deadline_s()) == (0, None)


# -- deadlines


def test_each_request_expires_at_its_own_deadline() -> None:
    table = PendingTable(ById())
    for number, timeout_s in enumerate((10.0, 3.0, 7.0, 3.0)):
        send(table, ById(), {"id": number}, timeout_s=timeout_s)
    assert table.next_deadline_s() == 3.0
    assert table.expire(2.999) == []
    assert [(exchange.key, exchange.state) for exchange in table.expire(3.0)] == [(1, EXPIRED), (3, EXPIRED)]
    assert (table.next_deadline_s(), len(table)) == (7.0, 2)
    assert [exchange.key for exchange in table.expire(100.0)] == [0, 2]
    assert (table.next_deadline_s(), table.expire(200.0), len(table)) == (None, [], 0)


def test_the_next_deadline_follows_the_replies() -> None:
    table = PendingTable(ById())
    for number in range(3):
        send(table, ById(), {"id": number}, now_s=number)
    assert table.next_deadline_s() == 10.0
    verdicts(table, [{"id": 0}])
    assert table.next_deadline_s() == 11.0
    verdicts(table, [{"id": 2}, {"id": 1}])
    send(table, ById(), {"id": 9}, timeout_s=1.0)
    assert table.next_deadline_s() == 1.0


def test_an_answer_after_the_deadline_is_late_once_and_a_duplicate_after() -> None:
    table = PendingTable(ById())
    send(table, ById(), {"id": 1})
    cancelled = send(table, ById(), {"id": 2})
    assert table.remove(cancelled) is True
    assert cancelled.state == CANCELLED
    assert table.remove(cancelled) is False
    table.expire(10.0)
    assert verdicts(table, [{"id": 1}, {"id": 2}, {"id": 1}, {"id": 2}]) == [LATE, LATE, DUPLICATE, DUPLICATE]


def test_a_request_that_ended_is_not_removed_again() -> None:
    table = PendingTable(ById())
    answered = send(table, ById(), {"id": 1})
    verdicts(table, [{"id": 1}])
    assert table.remove(answered) is False
    assert table.remove(Exchange(5, "WS", "never added", 0.0, 1.0)) is False
    assert answered.state == ANSWERED


def test_a_lost_connection_gives_all_open_requests_and_leaves_nothing_behind() -> None:
    table = PendingTable(BY_TYPE)
    send(table, BY_TYPE, PING, timeout_s=1.0)
    table.expire(1.0)
    rest = [send(table, BY_TYPE, PING), send(table, BY_TYPE, QUERY)]
    assert table.drain() == rest
    assert [exchange.state for exchange in rest] == [LOST, LOST]
    assert (len(table), table.drain(), table.next_deadline_s(), table.order_lost) == (0, [], None, False)
    again = send(table, BY_TYPE, PING)
    assert table.match(PONG, 2.0) == (REPLY, again)


# -- tombstones


@pytest.mark.parametrize("correlation", [BY_TYPE, Fifo(), AgentChannel(), ByCall(lambda message: "key")])
@pytest.mark.parametrize("ends", ["expires", "is cancelled"])
def test_the_next_reply_after_a_request_ended_unanswered_is_late_and_given_to_no_other(
    correlation: Correlation, ends: str
) -> None:
    table = PendingTable(correlation)
    dead = send(table, correlation, PING)
    if ends == "expires":
        assert table.expire(10.0) == [dead]
    else:
        assert table.remove(dead)
    following = send(table, correlation, PING, now_s=10.0)
    assert table.match(PONG, 11.0) == (LATE, dead)
    assert len(table) == 1
    assert table.match(PONG, 12.0) == (REPLY, following)
    assert not table.order_lost


def test_a_tombstone_goes_when_a_later_request_with_another_key_is_answered() -> None:
    table = PendingTable(BY_TYPE)
    send(table, BY_TYPE, PING)
    table.expire(10.0)
    send(table, BY_TYPE, QUERY, now_s=10.0)
    assert verdicts(table, [RESULT], 11.0) == [REPLY]
    ping = send(table, BY_TYPE, PING, now_s=11.0)
    assert table.match(PONG, 12.0) == (REPLY, ping)


def test_a_request_passed_over_before_its_deadline_leaves_no_tombstone() -> None:
    table = PendingTable(BY_TYPE)
    silent = send(table, BY_TYPE, PING)
    send(table, BY_TYPE, QUERY)
    assert verdicts(table, [RESULT]) == [REPLY]
    following = send(table, BY_TYPE, PING, now_s=1.0)
    assert table.match(PONG, 2.0) == (REPLY, following)
    assert table.expire(10.0) == [silent]
    following = send(table, BY_TYPE, PING, now_s=10.0)
    assert table.match(PONG, 11.0) == (REPLY, following)
    assert not table.order_lost


def test_a_reply_to_an_earlier_request_leaves_the_tombstone() -> None:
    table = PendingTable(BY_TYPE)
    send(table, BY_TYPE, QUERY, timeout_s=60.0)
    dead = send(table, BY_TYPE, PING)
    table.expire(10.0)
    assert verdicts(table, [RESULT], 11.0) == [REPLY]
    send(table, BY_TYPE, PING, now_s=11.0)
    assert table.match(PONG, 12.0) == (LATE, dead)


def test_without_order_a_reply_with_another_key_proves_nothing() -> None:
    rule = ByCall(lambda message: message["type"].replace("pong", "ping").replace("result", "query"))
    table = PendingTable(rule)
    dead = send(table, rule, PING)
    table.expire(10.0)
    send(table, rule, QUERY, now_s=10.0)
    assert verdicts(table, [RESULT], 11.0) == [REPLY]
    send(table, rule, PING, now_s=11.0)
    assert table.match(PONG, 12.0) == (LATE, dead)


def test_a_tombstone_goes_a_whole_timeout_after_its_deadline() -> None:
    for now_s, expected in ((20.0, LATE), (20.001, REPLY)):
        table = PendingTable(Fifo())
        send(table, Fifo(), "a")
        table.expire(10.0)
        send(table, Fifo(), "b", now_s=15.0)
        assert verdicts(table, ["reply"], now_s) == [expected]


def test_order_is_lost_when_a_request_expires_whose_reply_a_tombstone_may_have_taken() -> None:
    table = PendingTable(BY_TYPE)
    send(table, BY_TYPE, PING)
    table.expire(10.0)
    send(table, BY_TYPE, PING, now_s=10.0)
    assert verdicts(table, [PONG], 11.0) == [LATE]
    assert not table.order_lost
    table.expire(20.0)
    assert table.order_lost


def test_order_is_not_lost_by_silence_alone_or_by_a_request_sent_after_the_late_reply() -> None:
    table = PendingTable(BY_TYPE)
    for now_s in (0.0, 10.0, 20.0):
        send(table, BY_TYPE, PING, now_s=now_s)
        table.expire(now_s + 10.0)
    assert verdicts(table, [PONG], 30.0) == [LATE]
    send(table, BY_TYPE, PING, now_s=30.0)
    table.expire(40.0)
    assert not table.order_lost


def test_the_doubt_travels_along_a_pipeline() -> None:
    table = PendingTable(BY_TYPE)
    send(table, BY_TYPE, PING)
    table.expire(10.0)
    first = send(table, BY_TYPE, PING, now_s=10.0)
    assert verdicts(table, [PONG], 11.0) == [LATE]
    send(table, BY_TYPE, PING, now_s=11.0)
    assert table.match(PONG, 12.0) == (REPLY, first)
    table.expire(21.0)
    assert table.order_lost


# -- errors without a cause


def test_an_error_answers_the_oldest_open_request_whatever_its_type_and_a_second_is_unmatched() -> None:
    rule = AgentChannel()
    table = PendingTable(rule)
    unknown, ping = send(table, rule, {"type": "dance"}), send(table, rule, PING)
    assert table.match(ERROR_REPLY, 1.0) == (ERROR, unknown)
    assert table.match(ERROR_REPLY, 1.0) == (ERROR, ping)
    assert (unknown.state, ping.state, len(table)) == (FAILED, FAILED, 0)
    assert table.match(ERROR_REPLY, 1.0) == (UNMATCHED, None)
    assert verdicts(table, [PONG]) == [DUPLICATE]


def test_an_error_is_late_while_an_expired_request_is_owed_an_answer() -> None:
    table = PendingTable(BY_TYPE)
    first, second = send(table, BY_TYPE, PING), send(table, BY_TYPE, QUERY, timeout_s=9.0)
    table.expire(10.0)
    third = send(table, BY_TYPE, QUERY, now_s=10.0)
    assert table.match(ERROR_REPLY, 11.0) == (LATE, first)
    assert table.match(ERROR_REPLY, 11.0) == (LATE, second)
    assert table.match(ERROR_REPLY, 11.0) == (ERROR, third)
    assert table.match(ERROR_REPLY, 11.0) == (UNMATCHED, None)


def test_order_is_lost_when_a_tombstone_took_the_error_of_a_request_that_expires() -> None:
    table = PendingTable(BY_TYPE)
    send(table, BY_TYPE, PING)
    table.expire(10.0)
    send(table, BY_TYPE, QUERY, now_s=10.0)
    assert verdicts(table, [ERROR_REPLY], 11.0) == [LATE]
    table.expire(20.0)
    assert table.order_lost


def test_an_error_skips_what_was_passed_over() -> None:
    table = PendingTable(BY_TYPE)
    silent = send(table, BY_TYPE, PING)
    send(table, BY_TYPE, QUERY)
    verdicts(table, [RESULT])
    query = send(table, BY_TYPE, QUERY)
    assert table.match(ERROR_REPLY, 1.0) == (ERROR, query)
    assert table.match(ERROR_REPLY, 1.0) == (ERROR, silent)


def test_an_error_that_names_a_prompt_fails_that_prompt_or_is_a_push_about_it() -> None:
    rule = AgentChannel()
    table = PendingTable(rule)
    ping = send(table, rule, PING)
    prompts = [send(table, rule, {"type": "prompt_submitted", "prompt_id": name}) for name in "ab"]
    failed = {"type": "error", "prompt_id": "b"}
    assert table.match({"type": "prompt_acknowledged", "prompt_id": "a"}, 1.0) == (REPLY, prompts[0])
    assert table.match({"type": "agent_created", "prompt_id": "a"}, 1.0) == (PUSH, None)
    assert table.match(failed, 1.0) == (ERROR, prompts[1])
    assert table.match(failed, 1.0) == (PUSH, None)
    assert table.match(PONG, 1.0) == (REPLY, ping)
    late = send(table, rule, {"type": "prompt_submitted", "prompt_id": "c"})
    table.remove(late)
    assert table.match({"type": "error", "prompt_id": "c"}, 1.0) == (LATE, late)


def test_a_request_without_a_key_can_only_expire_or_fail() -> None:
    table = PendingTable(BY_TYPE)
    exchange = send(table, BY_TYPE, {"type": "unknown"})
    assert exchange.key is None
    assert verdicts(table, [PONG, {"type": "unknown"}]) == [UNMATCHED, PUSH]
    assert table.match(ERROR_REPLY, 1.0) == (ERROR, exchange)


def test_an_ack_is_matched_by_a_key_the_caller_knows() -> None:
    rule = ConfirmedBy({})
    table = PendingTable(rule)
    exchange = Exchange(("ack", 17), "SIO", "ask", 0.0, 10.0)
    table.add(exchange)
    assert table.match_key(("ack", 17), 1.0) == (REPLY, exchange)
    assert table.match_key(("ack", 17), 1.0) == (DUPLICATE, None)
    assert table.match_key(("ack", 18), 1.0) == (UNMATCHED, None)


# -- memory


def test_requests_that_are_never_answered_leave_no_memory_behind() -> None:
    rule = AgentChannel()
    table = PendingTable(rule)
    for number in range(3000):
        send(table, rule, {"type": "prompt_submitted", "prompt_id": f"p{number}"}, now_s=number)
        table.expire(number)
    gc.collect()
    kept = sum(type(thing) is Exchange for thing in gc.get_objects())
    assert kept < 40  # open for 10 s, a tombstone for 10 s more


# -- against a model server


class InOrder(RuleBasedStateMachine):
    """A server that answers in order, late, or not at all; one open request of a type. Nothing may go astray."""

    KINDS: ClassVar = {"ping": "pong", "subscribe": "subscription_confirmed", "heartbeat": "heartbeat_ack"}
    correlation: ClassVar[Correlation] = ByType(KINDS, error="error")
    pipelined: ClassVar = False

    def __init__(self) -> None:
        super().__init__()
        self.table = PendingTable(self.correlation)
        self.now_s = 0.0
        self.unanswered: list[tuple[Exchange, bool]] = []  # what the server has still to do, in order; True: silently
        self.delivered: Exchange | None = None
        self.requests: list[Exchange] = []
        self.outcomes: Counter[int] = Counter()
        self.given: Counter[int] = Counter()
        self.arrivals = 0

    def is_open(self, kind: str) -> bool:
        return any(exchange.state == OPEN and exchange.name == kind for exchange in self.requests)

    @rule(kind=st.sampled_from(sorted(KINDS)), silent=st.booleans(), timeout_s=st.sampled_from([1.0, 5.0, 10.0]))
    def send(self, kind: str, silent: bool, timeout_s: float) -> None:
        if self.is_open(kind) and not self.pipelined:
            return
        _, key = self.correlation.outgoing({"type": kind}, lambda: 1)
        exchange = Exchange(key, "WS", kind, self.now_s, self.now_s + timeout_s)
        self.table.add(exchange)
        self.requests.append(exchange)
        self.unanswered.append((exchange, silent and not self.pipelined))
        self.delivered = None

    def arrive(self, reply: dict[str, str], truth: Exchange, answered: tuple[int, int]) -> None:
        was_open = truth.state == OPEN
        verdict, exchange = self.table.match(reply, self.now_s)
        self.arrivals += 1
        self.given[verdict] += 1
        if verdict in (REPLY, ERROR):
            assert exchange is truth
            assert (verdict, truth.state) == answered
            self.outcomes[truth.state] += 1
        else:
            assert verdict == LATE
        if self.pipelined:  # nothing is ever left out, so it is known what was late
            assert exchange is truth
            assert (verdict == LATE) is not was_open

    @precondition(lambda self: self.unanswered)
    @rule(wants_error=st.booleans())
    def deliver(self, wants_error: bool) -> None:
        truth, silent = self.unanswered.pop(0)
        if silent:
            return
        # An error names no cause: older requests that the server left out would take it, and no rule can know.
        if wants_error and not any(other.state == OPEN and other.serial < truth.serial for other in self.requests):
            self.arrive({"type": "error"}, truth, (ERROR, FAILED))
        else:
            self.arrive({"type": self.KINDS[truth.name]}, truth, (REPLY, ANSWERED))
            self.delivered = truth if truth.state == ANSWERED else None

    @precondition(lambda self: self.delivered is not None)
    @rule()
    def deliver_twice(self) -> None:
        assert self.delivered is not None
        if self.pipelined and self.is_open(self.delivered.name):
            return
        if any(other.name == self.delivered.name and other.state != ANSWERED for other, _ in self.unanswered):
            return
        verdict, exchange = self.table.match({"type": self.KINDS[self.delivered.name]}, self.now_s)
        assert (verdict, exchange) == (DUPLICATE, None)
        self.arrivals += 1
        self.given[verdict] += 1

    @rule(kind=st.sampled_from(["event", "system_event"]))
    def push(self, kind: str) -> None:
        assert self.table.match({"type": kind}, self.now_s) == (PUSH, None)
        self.arrivals += 1
        self.given[PUSH] += 1

    @rule(step_s=st.sampled_from([0.25, 1.0, 4.0, 10.0]))
    def wait(self, step_s: float) -> None:
        until_s = self.now_s + step_s
        # The stated limit of the rules: no reply comes more than a whole timeout after its deadline.
        while any(not silent and 2 * e.deadline_s - e.sent_s < until_s for e, silent in self.unanswered):
            self.deliver(wants_error=False)
        self.now_s = until_s
        self.delivered = None

    @rule()
    def expire(self) -> None:
        for exchange in self.table.expire(self.now_s):
            assert exchange.state == EXPIRED
            assert exchange.deadline_s <= self.now_s
            self.outcomes[EXPIRED] += 1
        if self.table.order_lost:  # in doubt also where the server was merely slow: closing is always right
            self.reconnect()
        self.delivered = None

    @precondition(lambda self: len(self.table) > 0)
    @rule(which=st.integers(0, 5))
    def cancel(self, which: int) -> None:
        waiting = [exchange for exchange in self.requests if exchange.state == OPEN]
        assert self.table.remove(waiting[which % len(waiting)])
        self.outcomes[CANCELLED] += 1
        self.delivered = None

    def reconnect(self) -> None:
        for exchange in self.table.drain():
            assert exchange.state == LOST
            self.outcomes[LOST] += 1
        self.unanswered.clear()
        self.delivered = None

    @rule()
    def lose_the_connection(self) -> None:
        self.reconnect()

    @invariant()
    def every_arrival_has_one_verdict_and_every_request_one_outcome(self) -> None:
        waiting = [exchange for exchange in self.requests if exchange.state == OPEN]
        assert self.given.total() == self.arrivals
        assert len(self.table) == len(waiting)
        assert self.outcomes.total() + len(waiting) == len(self.requests)
        assert self.outcomes == Counter(exchange.state for exchange in self.requests if exchange.state != OPEN)
        assert self.table.next_deadline_s() == min((exchange.deadline_s for exchange in waiting), default=None)


class Pipelined(InOrder):
    """Any number of open requests of a type, if the server answers all of them, however late."""

    pipelined: ClassVar = True


class AgentInOrder(InOrder):
    """The same faults on the agent channel."""

    correlation: ClassVar[Correlation] = AgentChannel()


class WithIds(RuleBasedStateMachine):
    """A server that answers in any order, late, twice, or not at all: with ids every verdict is exact."""

    def __init__(self) -> None:
        super().__init__()
        self.rule_ = ById()
        self.table = PendingTable(self.rule_, memory=10_000)
        self.now_s = 0.0
        self.issued = 0
        self.requests: list[Exchange] = []
        self.replied: set[int] = set()

    def next_id(self) -> int:
        self.issued += 1
        return self.issued

    @rule(timeout_s=st.sampled_from([1.0, 5.0]), own=st.booleans())
    def send(self, timeout_s: float, own: bool) -> None:
        message, key = self.rule_.outgoing({"id": f"mine{len(self.requests)}"} if own else {}, self.next_id)
        assert message["id"] == key
        exchange = Exchange(key, "WS", "x", self.now_s, self.now_s + timeout_s)
        self.table.add(exchange)
        self.requests.append(exchange)

    @precondition(lambda self: self.requests)
    @rule(which=st.integers(0, 1000))
    def reply(self, which: int) -> None:
        exchange = self.requests[which % len(self.requests)]
        if exchange.serial in self.replied:
            expected: tuple[int, Exchange | None] = (DUPLICATE, None)
        elif exchange.state == OPEN:
            expected = (REPLY, exchange)
        else:
            expected = (LATE, None)
        assert self.table.match({"id": exchange.key}, self.now_s) == expected
        self.replied.add(exchange.serial)
        assert exchange.state != OPEN

    @rule(reply=st.sampled_from([{}, {"id": 1}, {"id": "lx0"}, {"id": None}, "text", {"id": True}]))
    def push(self, reply: Any) -> None:
        assert self.table.match(reply, self.now_s) == (PUSH, None)

    @rule(step_s=st.sampled_from([0.5, 2.0]))
    def wait_and_expire(self, step_s: float) -> None:
        self.now_s += step_s
        due = [exchange for exchange in self.requests if exchange.state == OPEN and exchange.deadline_s <= self.now_s]
        assert self.table.expire(self.now_s) == due
        assert all(exchange.state == EXPIRED for exchange in due)

    @precondition(lambda self: len(self.table) > 0)
    @rule(which=st.integers(0, 5))
    def cancel(self, which: int) -> None:
        waiting = [exchange for exchange in self.requests if exchange.state == OPEN]
        assert self.table.remove(waiting[which % len(waiting)])

    @invariant()
    def what_is_open_adds_up(self) -> None:
        waiting = [exchange for exchange in self.requests if exchange.state == OPEN]
        assert len(self.table) == len(waiting)
        assert self.table.next_deadline_s() == min((exchange.deadline_s for exchange in waiting), default=None)
        assert not self.table.order_lost


SHORT = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestInOrder = InOrder.TestCase
TestInOrder.settings = SHORT
TestPipelined = Pipelined.TestCase
TestPipelined.settings = SHORT
TestAgentInOrder = AgentInOrder.TestCase
TestAgentInOrder.settings = SHORT
TestWithIds = WithIds.TestCase
TestWithIds.settings = SHORT
