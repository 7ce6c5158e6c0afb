"""The rules: which key a message waits under, and which key an arrival answers."""

from __future__ import annotations

import itertools
from collections.abc import Hashable
from typing import Any

import pytest
from hypothesis import given, strategies as st

from locust_ext.core.protocols.correlation import (
    OLDEST,
    WITHOUT_REPLY,
    AgentChannel,
    ByCall,
    ById,
    ByType,
    ConfirmedBy,
    Correlation,
    ErrorFor,
    Fifo,
    MonitorChannel,
    PendingTable,
    as_correlation,
)
from locust_ext.errors import ConfigError

ALL: list[Correlation] = [
    ById(),
    ByType({"ping": "pong"}, error="error"),
    Fifo(),
    ByCall(lambda message: message["ref"]),
    ConfirmedBy({"context_set": ("context_set_confirmed", ("key", "value"))}),
    AgentChannel(),
    MonitorChannel(),
]


def no_id() -> int:
    raise AssertionError("no id was needed")


def key_of(rule: Correlation, message: Any) -> Hashable:
    sent, key = rule.outgoing(message, no_id)
    assert sent is message
    return key


# -- ById


def test_by_id_puts_an_id_into_a_copy_of_a_message_that_has_none() -> None:
    next_id = itertools.count(1).__next__
    message = {"type": "ping", "id": None}
    assert ById().outgoing(message, next_id) == ({"type": "ping", "id": "lx1"}, "lx1")
    assert ById("ref", make=int).outgoing(message, next_id) == ({"type": "ping", "id": None, "ref": 2}, 2)
    assert message == {"type": "ping", "id": None}


@pytest.mark.parametrize("given_id", ["a", "", 0, 17, b"x"])
def test_by_id_keeps_an_id_that_is_there(given_id: Any) -> None:
    assert key_of(ById(), {"id": given_id}) == given_id
    assert ById().incoming({"id": given_id}) == given_id


@pytest.mark.parametrize("message", ["text", b"bytes", [1], 7, {"id": 1.5}, {"id": True}, {"id": [1]}, {"id": {}}])
def test_by_id_refuses_a_message_without_room_for_an_id(message: Any) -> None:
    with pytest.raises(ConfigError):
        ById().outgoing(message, no_id)


@pytest.mark.parametrize("reply", ["text", b"", None, [], {}, {"id": None}, {"id": True}, {"id": 1.0}, {"id": []}])
def test_by_id_takes_an_arrival_without_a_usable_id_for_a_push(reply: Any) -> None:
    assert ById().incoming(reply) is None


# -- ByType, Fifo, ByCall


def test_by_type_pairs_a_type_with_one_or_several_reply_types() -> None:
    rule = ByType({"ping": "pong", "query": ("result", "refusal")})
    assert key_of(rule, {"type": "ping"}) == rule.incoming({"type": "pong"}) == "pong"
    assert key_of(rule, {"type": "query"}) == rule.incoming({"type": "result"}) == rule.incoming({"type": "refusal"})
    assert rule.incoming({"type": "refusal"}) != "pong"
    assert rule.incoming({"type": "event"}) is None
    assert rule.incoming({"type": "error"}) is None
    assert key_of(rule, {"type": "other"}) is None


def test_by_type_puts_requests_that_share_a_reply_type_in_one_queue() -> None:
    rule = ByType({"a": "x", "b": "y", "c": "z", "both": ("y", "x")})
    shared = {key_of(rule, {"type": name}) for name in ("a", "b", "both")}
    assert shared == {rule.incoming({"type": "x"})} == {rule.incoming({"type": "y"})}
    assert key_of(rule, {"type": "c"}) == "z"


def test_by_type_reads_another_field_and_knows_an_error_type() -> None:
    rule = ByType({"ping": "pong"}, type_field="op", error="err")
    assert key_of(rule, {"op": "ping"}) == rule.incoming({"op": "pong"})
    assert rule.incoming({"op": "err"}) is OLDEST


@pytest.mark.parametrize("answers", [(), (1,), [None]])
def test_by_type_refuses_a_table_without_reply_types(answers: Any) -> None:
    with pytest.raises(ConfigError, match=r"correlate\.ping"):
        ByType({"ping": answers})


def test_fifo_answers_anything_with_anything() -> None:
    assert key_of(Fifo(), "a") == Fifo().incoming(b"b") == Fifo().incoming(None)


def test_a_callable_gives_the_key_of_both_directions() -> None:
    rule = as_correlation(lambda message: message.get("ref"))
    assert key_of(rule, {"ref": 7}) == rule.incoming({"ref": 7, "ok": True}) == 7
    assert rule.incoming({}) is None


# -- ConfirmedBy

CONFIRMED = ConfirmedBy({"context_set": ("context_set_confirmed", ("key", "value")), "join": ("joined", ())})


@pytest.mark.parametrize("value", ["v", 1, 1.5, True, None, [1, {"b": 2, "a": 1}], {"x": [None]}, b"bytes"])
def test_a_confirming_event_has_the_same_key_and_value(value: Any) -> None:
    sent = key_of(CONFIRMED, ("context_set", [{"key": "k", "value": value, "who": "me"}]))
    confirmed = ("context_set_confirmed", [{"value": value, "key": "k", "status": "success"}])
    assert sent == CONFIRMED.incoming(confirmed)
    others: tuple[Any, ...] = ("k", 0, False, [1, {"a": 1, "b": 3}], "null", {"x": []})
    for other in others:
        assert sent != CONFIRMED.incoming(("context_set_confirmed", [{"key": "k", "value": other}]))


def test_a_value_is_the_same_whatever_the_order_of_its_keys_and_true_is_not_one() -> None:
    def key(value: Any) -> Hashable:
        return CONFIRMED.incoming(("context_set_confirmed", [{"key": "k", "value": value}]))

    assert key({"a": 1, "b": 2}) == key({"b": 2, "a": 1})
    assert key(True) != key(1)
    assert key(1) == key(1.0)


def test_events_are_one_way_confirmed_answered_by_an_error_alone_or_pushes() -> None:
    assert key_of(CONFIRMED, ("join", [])) == CONFIRMED.incoming(("joined", ["anything"])) == ("joined",)
    assert key_of(CONFIRMED, ("client_register", [{}])) is None
    for args in ([], [{"key": "k"}], ["text"]):
        assert key_of(CONFIRMED, ("context_set", args)) == WITHOUT_REPLY
        assert CONFIRMED.incoming(("context_set_confirmed", args)) is None
    assert CONFIRMED.incoming(("context_updated", [{"key": "k", "value": 1}])) is None
    assert CONFIRMED.incoming(("error", [{"message": "no"}])) is OLDEST
    assert ConfirmedBy({}, error=None).incoming(("error", [])) is None


def test_one_event_cannot_confirm_by_different_fields() -> None:
    with pytest.raises(ConfigError):
        ConfirmedBy({"a": ("done", ("x",)), "b": ("done", ("y",))})


# -- the agent and monitor channels


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        ({"type": "ping"}, {"type": "pong", "timestamp": "t"}),
        ({"type": "subscribe", "event_types": ["a", "?"]}, {"type": "subscription_confirmed", "event_types": ["a"]}),
        ({"type": "unsubscribe", "event_types": []}, {"type": "unsubscription_confirmed", "event_types": []}),
        (
            {"type": "agent_command", "data": {"agent_id": "a1", "command": "start", "params": {}}},
            {"type": "agent_command_result", "agent_id": "a1", "command": "start", "status": "acknowledged"},
        ),
        (
            {"type": "query", "data": {"query_type": "world_state", "x": 1}},
            {"type": "query_result", "query_type": "world_state", "data": {"timestamp": "t"}},
        ),
        ({"type": "heartbeat"}, {"type": "heartbeat_ack", "timestamp": "t"}),
        (
            {"type": "prompt_submitted", "prompt_id": "p1", "prompt": "?", "conversation_id": "c"},
            {"type": "prompt_acknowledged", "prompt_id": "p1"},
        ),
        (
            {"type": "clear_conversation", "data": {"conversationId": "c"}},
            {"type": "conversation_cleared", "conversation_id": "c"},
        ),
    ],
)
def test_each_agent_request_has_its_reply_and_no_other(request_: dict[str, Any], reply: dict[str, Any]) -> None:
    rule = AgentChannel()
    key = key_of(rule, request_)
    assert rule.incoming(reply) == key
    others = [
        {"type": "agent_command_result", "agent_id": "a2", "command": "start"},
        {"type": "agent_command_result", "agent_id": "a1", "command": "stop"},
        {"type": "query_result", "query_type": "agent_status"},
        {"type": "prompt_acknowledged", "prompt_id": "p2"},
        {"type": "conversation_cleared", "conversation_id": "d"},
    ]
    assert all(rule.incoming(other) not in (key, None) for other in others)


@pytest.mark.parametrize(
    "push",
    [
        {"type": "connection_established", "client_id": "c"},
        {"type": "heartbeat", "require_response": True},
        {"type": "agent_event", "event_type": "x", "data": {}},
        {"type": "world_event"},
        {"type": "system_event"},
        {"type": "agent_created", "prompt_id": "p1"},
        *({}, {"type": None}, {"type": ["pong"]}, [], "pong", None, b"pong"),
    ],
)
def test_all_else_from_the_agent_server_is_a_push(push: Any) -> None:
    assert AgentChannel().incoming(push) is None


@pytest.mark.parametrize(
    "message",
    [
        *({"type": "dance"}, {"type": ""}, {"type": 7}, {}, [], "not json", b"x"),
        *({"type": "query"}, {"type": "query", "data": []}, {"type": "agent_command", "data": "x"}),
    ],
)
def test_what_the_agent_server_does_not_know_is_answered_by_an_error_alone(message: Any) -> None:
    assert key_of(AgentChannel(), message) == WITHOUT_REPLY


def test_an_odd_field_is_a_key_too() -> None:
    rule = AgentChannel()
    fields: tuple[Any, ...] = (["x"], {}, None, 1.5, True)
    for field in fields:
        assert key_of(rule, {"type": "query", "data": {"query_type": field}}) == ("query_result", None)
        assert rule.incoming({"type": "prompt_acknowledged", "prompt_id": field}) == ("prompt_acknowledged", None)


def test_an_agent_error_names_no_cause_unless_it_names_a_prompt() -> None:
    assert AgentChannel().incoming({"type": "error", "code": "PERMISSION_DENIED"}) is OLDEST
    named = AgentChannel().incoming({"type": "error", "prompt_id": "p1"})
    assert isinstance(named, ErrorFor)
    assert named.key == ("prompt_acknowledged", "p1")


@pytest.mark.parametrize(
    ("request_type", "reply_type"),
    [
        ("start_monitoring", "monitoring_started"),
        ("stop_monitoring", "monitoring_stopped"),
        ("get_summary", "metric_summary"),
        ("ping", "pong"),
    ],
)
def test_four_monitor_requests_have_replies(request_type: str, reply_type: str) -> None:
    rule = MonitorChannel()
    assert key_of(rule, {"type": request_type}) == rule.incoming({"type": reply_type}) is not None


def test_all_else_on_the_monitor_channel_is_one_way_or_a_push_or_an_error() -> None:
    rule = MonitorChannel()
    assert key_of(rule, {"type": "update_monitoring"}) is None
    assert rule.incoming({"type": "metrics_update"}) is None
    assert rule.incoming({"type": "error", "message": "no"}) is OLDEST


# -- all of them


def test_a_rule_or_a_callable_is_taken_and_anything_else_is_named() -> None:
    for rule in ALL:
        assert as_correlation(rule) is rule
    for wrong in (None, "id", 7, {"ping": "pong"}, Fifo, ById):
        with pytest.raises(ConfigError, match="correlate"):
            as_correlation(wrong)


def test_half_a_rule_is_not_taken_for_a_callable() -> None:
    class Half:
        def outgoing(self, message: Any, next_id: Any) -> Any: ...

        def __call__(self) -> None: ...

    with pytest.raises(ConfigError):
        as_correlation(Half())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.binary(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "id", "data", "prompt_id", "query_type", "x"]), inner, max_size=4)
    ),
    max_leaves=10,
)
types = st.sampled_from(["error", "pong", "query_result", "agent_command_result", "prompt_acknowledged", "ping"])
arrivals = (
    json_values
    | st.fixed_dictionaries({"type": types | json_values}, optional={"prompt_id": json_values, "id": json_values})
    | st.tuples(st.sampled_from(["error", "context_set_confirmed"]), st.lists(json_values, max_size=2))
)


@given(st.lists(arrivals, max_size=8), st.sampled_from(ALL))
def test_nothing_that_arrives_raises_or_answers_what_was_never_asked(replies: list[Any], rule: Correlation) -> None:
    table = PendingTable(rule)
    for reply in replies:
        verdict, exchange = table.match(reply, 0.0)
        assert verdict in (2, 5)
        assert exchange is None
