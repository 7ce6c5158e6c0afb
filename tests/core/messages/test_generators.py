from __future__ import annotations

import random
from collections import Counter
from typing import Any

import orjson
import pytest

from locust_ext.core.messages import (
    COMMANDS,
    EVENT_TYPES,
    MARKER,
    Command,
    ContextOps,
    Event,
    Message,
    Mixed,
    Monitoring,
    Query,
    Realistic,
    bind,
)
from locust_ext.errors import ConfigError
from tests.core.messages.contract import Judge


def messages(generator: Any, number: int, seed: int = 3, client_id: str = "user-1") -> list[Message]:
    bound = bind(generator, random.Random(seed), client_id)
    return [bound.generate() for _ in range(number)]


def names(generator: Any, number: int) -> Counter[str]:
    return Counter(message.name for message in messages(generator, number))


def test_events_name_only_the_types_asked_for_and_no_more_than_at_once() -> None:
    seen: set[str] = set()
    for message in messages(Event(("own:type", "other"), at_once=1, pings=0), 200):
        assert len(message.body["event_types"]) == 1  # type: ignore[call-overload]
        seen |= set(message.body["event_types"])  # type: ignore[call-overload]
    assert seen == {"own:type", "other"}


def test_events_reach_every_default_type() -> None:
    seen = {one for message in messages("event", 500) for one in message.body.get("event_types", ())}  # type: ignore[union-attr]
    assert seen == set(EVENT_TYPES)


def test_commands_of_other_groups_come_on_request_only() -> None:
    assert {message.body["data"]["command"] for message in messages("command", 500)} == set(COMMANDS["known"])  # type: ignore[call-overload]
    wanted = set(COMMANDS["movement"]) | set(COMMANDS["coalition"])
    asked = messages(Command(("movement", "coalition")), 500)
    assert {message.body["data"]["command"] for message in asked} == wanted  # type: ignore[call-overload]


def test_queries_of_other_types_come_on_request_only() -> None:
    asked = messages(Query(("coalition_status", "agent_history")), 200)
    assert {message.body["data"]["query_type"] for message in asked} == {"coalition_status", "agent_history"}  # type: ignore[call-overload]


def test_monitoring_plays_whole_sessions() -> None:
    seen = [message.name for message in messages(Monitoring(stops=0.3), 300)]
    starts = [index for index, name in enumerate(seen) if name == "start_monitoring"]
    assert starts[0] == 0
    assert len(starts) > 20
    assert all(seen[index - 1] == "stop_monitoring" for index in starts[1:])
    assert set(seen) == {"start_monitoring", "stop_monitoring", "get_summary", "update_monitoring"}


def test_context_operations_keep_their_shares() -> None:
    counted = names(ContextOps(reads=0.8), 10_000)
    assert set(counted) == {"get", "set"}
    assert 0.78 < counted["get"] / 10_000 < 0.82
    counted = names(ContextOps(alls=0.1, histories=0.2, dumps=0.5), 10_000)
    assert 0.47 < counted["dump"] / 10_000 < 0.53
    reads = counted["get"] + counted["all"] + counted["history"]
    assert 0.07 < counted["all"] / reads < 0.13
    assert 0.17 < counted["history"] / reads < 0.23


def test_context_writes_go_live_on_request_with_values_of_the_sizes_asked_for() -> None:
    made = messages(ContextOps(reads=0.5, live=True, keys=3, value_bytes=(5, 7)), 500)
    sets = [message for message in made if message.name == "set"]
    assert {message.channel for message in sets} == {"live"}
    assert {len(message.body["value"]) for message in sets} == {5, 6, 7}  # type: ignore[call-overload]
    assert {message.body["key"] for message in made} == {"key_0", "key_1", "key_2"}  # type: ignore[call-overload]
    assert {message.channel for message in made if message.name == "get"} == {"http"}


def test_a_large_value_has_exactly_its_size() -> None:
    [message] = messages(ContextOps(reads=0, value_bytes=1_000_000), 1)
    assert len(message.body["value"]) == 1_000_000  # type: ignore[call-overload]


def test_context_values_begin_with_a_marker_on_request_and_keep_their_size_where_it_fits() -> None:
    made = messages(ContextOps(reads=0, value_bytes=(10, 100), marker=True), 500)
    values = [message.body["value"] for message in made]  # type: ignore[index,call-overload]
    assert all(value.startswith(MARKER) for value in values)
    assert {len(value) for value in values} == set(range(len(MARKER), 101))
    plain = messages(ContextOps(reads=0, value_bytes=(10, 100)), 500)
    assert [max(len(message.body["value"]), len(MARKER)) for message in plain] == [  # type: ignore[index,call-overload]
        len(value) for value in values
    ]


def test_dumps_of_a_user_go_to_a_file_name_of_its_own() -> None:
    made = messages(ContextOps(dumps=1), 200, client_id="../w1:7")
    assert {message.body["filename"] for message in made} == {"dump____w1_7"}  # type: ignore[call-overload]
    assert {message.body["format"] for message in made} == {"json", "pretty", "csv", "txt"}  # type: ignore[call-overload]


def test_a_mix_keeps_its_weights_and_leaves_out_weight_0() -> None:
    counted = names({"ping": 1, "query": 3, "command": 0, "heartbeat": 0}, 10_000)
    assert set(counted) == {"ping", "query"}
    assert 0.73 < counted["query"] / 10_000 < 0.77


def test_a_mix_takes_generators_functions_and_pairs_as_parts() -> None:
    def shout() -> str:
        return "hey"

    counted = names(Mixed({Query(("world_state",)): 1, shout: 1, "ping": 1}), 300)
    assert set(counted) == {"query", "message", "ping"}
    assert set(names(Mixed([({"ping": 1}, 1), ("heartbeat", 1)]), 100)) == {"ping", "heartbeat"}


@pytest.mark.parametrize(
    "make", [Command, Query, lambda payload_bytes: Mixed({"command": 1, "query": 1}, payload_bytes)]
)
def test_payloads_have_the_sizes_asked_for(make: Any) -> None:
    def payloads(spec: Any) -> set[int]:
        datas = [message.body["data"] for message in messages(make(payload_bytes=spec), 300)]  # type: ignore[call-overload]
        return {len((data.get("params") or data)["payload"]) for data in datas}

    assert payloads(100) == {100}
    assert payloads((64, 66)) == {64, 65, 66}
    assert payloads(lambda rng: 5 if rng.random() < 0.5 else 9000) == {5, 9000}


@pytest.mark.parametrize("make", [Event, Command, Query, Monitoring, Mixed, Realistic])
def test_metadata_adds_id_timestamp_and_sequence(make: Any) -> None:
    judge = Judge()
    made = messages(make(metadata=True, now=lambda: 1_700_000_000.25), 200)
    for number, message in enumerate(made, start=1):
        judge.accepts(message)
        assert message.body["sequence"] == number  # type: ignore[call-overload]
        assert message.body["timestamp"] == "2023-11-14T22:13:20.250Z"  # type: ignore[call-overload]
    ids = {message.body["id"] for message in made}  # type: ignore[call-overload]
    assert len(ids) == 200
    assert all(one[14] == "4" and one[19] in "89ab" and len(one) == 36 for one in ids)


def test_realistic_begins_with_its_startup_and_ends_with_its_shutdown() -> None:
    seen = [message.name for message in messages(Realistic({"ping": 1}, steady=3, queries=2), 18)]
    visit = [
        "subscribe",
        "start_monitoring",
        "query",
        "query",
        "ping",
        "ping",
        "ping",
        "unsubscribe",
        "stop_monitoring",
    ]
    assert seen == visit * 2


def test_realistic_without_an_end_never_shuts_down() -> None:
    seen = [message.name for message in messages(Realistic({"ping": 1}, steady=None, monitors=False), 500)]
    assert seen == ["subscribe", "query", "query"] + ["ping"] * 497


def test_realistic_begins_anew_after_a_reconnect() -> None:
    bound = bind(Realistic({"ping": 1}), random.Random(1), "user")
    for _ in range(20):
        bound.generate()
    bound.disconnected()
    assert [bound.generate().name for _ in range(3)] == ["subscribe", "start_monitoring", "query"]


def test_realistics_farewell_takes_back_exactly_what_is_open() -> None:
    generator = Realistic({"event": 1, "monitoring": 1})
    bound: Any = generator.bind(random.Random(2), "user")
    judge = Judge()
    assert bound.farewell() == []
    for _ in range(40):
        judge.accepts(bound.generate())
    for message in bound.farewell():
        judge.accepts(message)
    assert not judge.subscribed
    assert not judge.is_monitoring
    assert bound.generate().name == "subscribe"


def test_a_custom_generator_may_be_a_class_an_object_or_a_callable() -> None:
    class Counting:
        def __init__(self) -> None:
            self.number = 0

        def generate(self) -> dict[str, Any]:
            self.number += 1
            return {"type": "count", "n": self.number}

    class Seeded(Counting):
        def __init__(self, rng: random.Random, client_id: str) -> None:
            super().__init__()
            self.who = client_id

        def generate(self) -> dict[str, Any]:
            return {**super().generate(), "who": self.who}

    shared = Counting()
    for generator in (Counting, shared):
        for _ in range(2):  # each user has a state of its own
            assert [message.body["n"] for message in messages(generator, 3)] == [1, 2, 3]  # type: ignore[call-overload]
    assert shared.number == 0
    assert messages(Seeded, 1)[0].body == {"type": "count", "n": 1, "who": "user-1"}
    assert messages(lambda rng, client_id: {"who": client_id}, 1)[0].body == {"who": "user-1"}
    assert messages(lambda size=3: "x" * size, 1)[0].body == "xxx"
    assert messages(lambda *both: [str(len(both))][0], 1)[0].body == "2"


@pytest.mark.parametrize(
    ("made", "name"), [({"type": "hey"}, "hey"), ({"a": 1}, "message"), ("text", "message"), (b"\0", "message")]
)
def test_what_a_custom_generator_makes_is_named_by_its_type(made: Any, name: str) -> None:
    [message] = messages(lambda: made, 1)
    assert (message.name, message.body, message.reply, message.one_way) == (name, made, (), False)


def test_a_message_of_ones_own_stays_as_it_is() -> None:
    own = Message("mine", b"\x01", one_way=True, channel="monitor")
    assert messages(lambda: own, 1) == [own]


def test_a_custom_generator_hears_of_connections_if_it_wants_to() -> None:
    class Greeting:
        heard = 0

        def generate(self) -> str:
            return str(self.heard)

        def disconnected(self, channel: str | None) -> None:
            self.heard += 1

    bound = bind(Greeting, random.Random(1), "user")
    bound.disconnected()
    assert bound.generate().body == "1"


def test_a_generator_made_elsewhere_with_bind_may_also_give_plain_objects() -> None:
    class Bound:
        def generate(self) -> dict[str, Any]:
            return {"type": "far"}

    class Elsewhere:
        def bind(self, rng: random.Random, client_id: str) -> Bound:
            return Bound()

    assert messages(Elsewhere(), 1)[0].name == "far"


EXPECTED = (
    "generator: expected a message generator, the name of one, a mapping of weights, a class or an object with"
    " generate(), or a callable of (rng, client_id)"
)
NAMES = "event, command, query, monitoring, ping, heartbeat, context_ops, mixed, in_turn, realistic"


@pytest.mark.parametrize(
    ("generator", "text"),
    [
        (7, EXPECTED + " (got 7)"),
        ("evnt", f"generator: unknown name, expected one of {NAMES} (got 'evnt'); did you mean 'event'?"),
        ({"qery": 1}, f"weights.qery: unknown name, expected one of {NAMES} (got 'qery'); did you mean 'query'?"),
        ({"ping": -1}, "weights.ping: expected a weight, a number of at least 0 (got -1)"),
        ({"ping": 0}, "weights: expected at least one weight above 0 (got {'ping': 0})"),
        ({}, "weights: expected at least one weight above 0 (got {})"),
        ("template", "generator: this generator has no default: give an instance (got 'template')"),
    ],
)
def test_what_is_no_generator_is_refused(generator: Any, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        bind(generator, random.Random(1), "user")
    assert str(caught.value) == text


@pytest.mark.parametrize("generator", [lambda a, b, c: None, lambda *, needed: None])
def test_a_callable_that_needs_more_than_there_is_is_refused(generator: Any) -> None:
    with pytest.raises(ConfigError, match=r"generator: expected a callable that takes no more than \(rng, client_id\)"):
        bind(generator, random.Random(1), "user")


def test_what_a_custom_generator_must_not_make_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        messages(lambda: 7, 1)
    assert str(caught.value) == (
        "generator: expected a Message, an object (dict), text or bytes from the generator (got 7)"
    )


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: Event(("no spaces",)),
            "event_types: expected a tuple of event types made of letters, digits, ':', '_' and '-'"
            " (got ('no spaces',))",
        ),
        (lambda: Event(pings=2), "pings: expected a share from 0 to 1 (got 2)"),
        (
            lambda: Command(("move",)),
            "groups: unknown name, expected one of known, movement, observation, action, planning, coalition"
            " (got 'move'); did you mean 'movement'?",
        ),
        (
            lambda: Command(agents=0),
            "agents: expected a number of agents above 0, or their ids (letters, digits, '_' and '-') (got 0)",
        ),
        (
            lambda: Command(payload_bytes=100_000),
            "payload_bytes: expected at most 99000 bytes, the channel takes no more (got 100000)",
        ),
        (
            lambda: Query(payload_bytes=(9, 1)),
            "payload_bytes: expected bytes, a pair (low, high) with 0 <= low <= high, or a callable of a random.Random"
            " (got (9, 1))",
        ),
        (
            lambda: ContextOps(formats=("jsn",)),
            "formats: unknown name, expected one of json, pretty, csv, txt (got 'jsn'); did you mean 'json'?",
        ),
        (lambda: ContextOps(keys=0), "keys: expected a whole number of at least 1 (got 0)"),
        (lambda: Monitoring(sample_rate_s=0), "sample_rate_s: expected seconds above 0 (got 0)"),
        (lambda: Mixed(metadata=True), "now: metadata needs a clock, such as now=time.time"),
        (
            lambda: Realistic(steady=(5, 1)),
            "steady: expected a whole number, a pair (low, high) of them, or None for no end (got (5, 1))",
        ),
    ],
)
def test_wrong_parameters_are_named_at_construction(make: Any, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make()
    assert str(caught.value) == text


def test_every_generator_can_be_encoded_as_it_is() -> None:
    for name in ("mixed", "realistic", "context_ops"):
        for message in messages(name, 300):
            assert orjson.dumps(message.body)


def test_a_lost_agent_channel_leaves_the_monitoring_session_alone_and_the_other_way_round() -> None:
    bound = bind(Realistic({"ping": 1}), random.Random(1), "user")
    assert [bound.generate().name for _ in range(2)] == ["subscribe", "start_monitoring"]
    bound.disconnected(None)
    assert [bound.generate().name for _ in range(2)] == ["subscribe", "query"]
    bound = bind("monitoring", random.Random(1), "user")
    assert bound.generate().name == "start_monitoring"
    bound.disconnected(None)
    assert bound.generate().name != "start_monitoring"
    bound.disconnected("monitor")
    assert bound.generate().name == "start_monitoring"
