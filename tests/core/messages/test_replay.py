"""`messages.Replay`: what it says and when; on recordings and a clock that the test gives."""

from __future__ import annotations

import math
from typing import Any

import pytest

from locust_ext.core.messages import Feeder
from locust_ext.core.messages.replay import BREATH_S, Replay
from locust_ext.errors import ConfigError
from tests.core.messages.recordings import PING, PONG, TALK, bodies, bound, messages, received, sent

# ── what is said ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_says_what_the_client_said_and_begins_again() -> None:
    """In order; nothing that the server said."""
    assert bodies(Replay(TALK), 5) == [
        PING,
        {"type": "note", "text": "by the way"},
        {"type": "query", "of": "agents"},
        PING,
        PING,
    ]


def test_what_was_answered_is_a_request_and_the_rest_is_one_way() -> None:
    """With the type that answered it."""
    assert [(each.name, each.one_way, each.reply) for each in messages(Replay(TALK), 4)] == [
        ("ping", False, ("pong",)),
        ("note", True, ()),
        ("query", False, ("query_result",)),
        ("ping", False, ("pong",)),
    ]


@pytest.mark.parametrize(
    ("data", "name", "body"),
    [
        ('{"type":"a","n":[1,2.5,null]}', "a", {"type": "a", "n": [1, 2.5, None]}),
        ("[1,[2]]", "message", [1, [2]]),
        ('{"jsonrpc":"2.0","method":"sum"}', "sum", {"jsonrpc": "2.0", "method": "sum"}),
        ("{no JSON}", "text", "{no JSON}"),
        ("5", "text", "5"),
        ("", "text", ""),
        ({"b64": "AP8="}, "binary", b"\x00\xff"),
        ({"type": "as an object"}, "as an object", {"type": "as an object"}),
    ],
)
def test_json_text_and_bytes_go_out_as_they_were(data: Any, name: str, body: Any) -> None:
    """Only objects and lists are decoded."""
    (message,) = messages(Replay([sent(0, data)]), 1)
    assert (message.name, message.body) == (name, body)


def test_after_a_reconnect_the_conversation_begins_again() -> None:
    """Of its own channel: what happens to another does not matter."""
    generator = bound(Replay(TALK))
    assert [generator.generate().name for _ in range(2)] == ["ping", "note"]
    generator.disconnected("monitor")
    assert generator.generate().name == "query"
    generator.disconnected(None)
    assert [generator.generate().name for _ in range(2)] == ["ping", "note"]


def test_each_user_plays_one_of_the_connections_and_goes_on_with_the_next() -> None:
    """Which one it begins with is chance."""
    lines = [sent(0, {"type": f"of {conn}"}, conn=conn) for conn in range(3)]
    seen = set()
    for seed in range(30):
        generator = bound(Replay(lines), seed)
        names = [generator.generate().name for _ in range(4)]
        first = int(names[0][-1])
        assert names == [f"of {(first + step) % 3}" for step in range(4)]
        seen.add(first)
    assert seen == {0, 1, 2}


def test_a_channel_is_that_of_all_messages() -> None:
    """As a user class names it."""
    assert messages(Replay(TALK, channel="monitor"), 1)[0].channel == "monitor"


# ── when ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def times(replay: Replay, answers_s: float, count: int, opened_s: float = 100.0) -> list[float]:
    """Seconds from the opening at which the messages are sent, if every reply takes ``answers_s``."""
    generator = bound(replay)
    due_s, found = generator.next_due_s(opened_s, opened_s), []
    now_s = opened_s
    for _ in range(count):
        now_s = max(now_s, due_s)
        found.append(round(now_s - opened_s, 6))
        message = generator.generate()
        now_s += 0 if message.one_way else answers_s
        due_s = generator.next_due_s(due_s, now_s)
    return found


@pytest.mark.parametrize(
    ("speed", "answers_s", "expected"),
    [
        (1.0, 0.2, [0.5, 1.7, 2.0, 3.2]),  # 1 s after the pong; 0.3 s after the note; 1 s after the result
        (2.0, 0.2, [0.25, 0.95, 1.1, 1.8]),
        (1.0, 5.0, [0.5, 6.5, 6.8, 12.8]),  # a slow server is waited for, and thought about as long as ever
        (None, 0.2, [0.0, 0.2, 0.2 + BREATH_S, 0.4 + BREATH_S]),
        (math.inf, 0.2, [0.0, 0.2, 0.2 + BREATH_S, 0.4 + BREATH_S]),
    ],
)
def test_messages_are_due_as_they_were_recorded(speed: float | None, answers_s: float, expected: list[float]) -> None:
    """So long after the reply that came before, or after the message before; scaled by the speed."""
    assert times(Replay(TALK, speed=speed), answers_s, 4) == [round(each, 6) for each in expected]


def test_messages_that_did_not_wait_for_a_reply_keep_their_distance_from_each_other() -> None:
    """A late one does not make the next ones later."""
    lines = [sent(0, PING), sent(1, PING), received(1.5, PONG), received(1.6, PONG), sent(2, PING), received(2.1, PONG)]
    assert times(Replay(lines), 0.1, 3) == [0.0, 1.0, 1.5]
    generator = bound(Replay(lines))
    generator.generate()
    assert generator.next_due_s(100.0, 100.9) == 101.0


def test_a_second_pass_begins_as_long_after_the_first_as_the_first_after_the_opening() -> None:
    """Here 0.5 s after the last reply."""
    assert times(Replay(TALK), 0.2, 5)[-1] == 3.9


def test_without_loop_the_user_falls_silent_at_the_end_for_good() -> None:
    """Also after a reconnect; a pattern with a pace of its own begins again."""
    generator = bound(Replay(TALK, loop=False))
    for _ in range(4):
        assert generator.next_due_s(1.0, 1.0) < math.inf
        generator.generate()
    assert generator.next_due_s(1.0, 1.0) == math.inf
    generator.disconnected()
    assert generator.next_due_s(1.0, 1.0) == math.inf
    assert generator.generate().body == PING
    assert generator.next_due_s(1.0, 1.0) < math.inf


def test_a_connection_of_a_run_counts_from_its_own_first_message() -> None:
    """Not from the start of the run: each user's first message is not due minutes after its opening."""
    lines = [received(600.0, {"type": "hello"}, conn=7), sent(600.5, PING, conn=7)]
    assert bound(Replay(lines)).next_due_s(10.0, 10.0) == 10.5


@pytest.mark.parametrize("wrong", [0, -1, True, "1", math.nan])
def test_a_wrong_speed_is_named(wrong: Any) -> None:
    """At its definition."""
    with pytest.raises(ConfigError, match=r"Replay\.speed: expected a number above 0, or None"):
        Replay(TALK, speed=wrong)


# ── whose name, which ids ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_recorded_clients_name_becomes_the_users_own() -> None:
    """Wherever it occurs in a text, if the path tells what it was, or the capture does."""
    lines = [sent(0, {"type": "join", "who": "ann-7", "room": "of-ann-7"}, path="/ws/ann-7")]
    assert bodies(Replay(lines, url_path="/ws/{client_id}"), 1) == [
        {"type": "join", "who": "user-1", "room": "of-user-1"}
    ]
    lines[0] |= {"path": "/ws/{client_id}", "client": "ann-7"}
    assert bodies(Replay(lines), 1) == [{"type": "join", "who": "user-1", "room": "of-user-1"}]
    assert bodies(Replay([sent(0, {"who": "ann-7"})]), 1) == [{"who": "ann-7"}]


def test_recorded_texts_are_substituted() -> None:
    """Longest first; braces that were recorded stay what they are; in texts that are no JSON too."""
    rules = {"room-1": "{user}-room", "room-12": "{client_id}/12", "today": "{int:5:5}"}
    lines = [sent(0, {"a": "room-1 {x}", "b": ["in room-12"], "n": "today"}), sent(1, "go to room-1")]
    assert bodies(Replay(lines, substitute=rules), 2) == [
        {"a": "user-1-room {x}", "b": ["in user-1/12"], "n": 5},
        "go to user-1-room",
    ]


def test_fields_are_filled_by_name_at_any_depth() -> None:
    """Also those whose secrets were taken out."""
    feeder = Feeder([{"token": "t-1"}, {"token": "t-2"}], "circular")
    lines = [sent(0, {"type": "login", "data": {"token": "eyJ-recorded", "sequence": 17}})]
    replay = Replay(lines, fields={"token": "{csv:token}", "sequence": "{seq}"}, feeder=feeder)
    assert [body["data"] for body in bodies(replay, 2)] == [
        {"token": "t-1", "sequence": 1},
        {"token": "t-2", "sequence": 2},
    ]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"substitute": {"a": "{usr}"}}, "substitute: unknown placeholder, expected one of uuid, seq"),
        ({"substitute": {"": "x"}}, "substitute: expected recorded texts and what stands for them"),
        ({"substitute": {"a": 1}}, "substitute: expected recorded texts and what stands for them"),
        ({"fields": {"a": "{csv:b}"}}, "fields: {csv:…} needs a feeder"),
        ({"replies": {"a": 1}}, "replies.a: expected the type of the reply, several, or None"),
        ({"url_path": "/pong"}, "url_path: expected the path of a recorded connection: /ping (got '/pong')"),
    ],
)
def test_wrong_rules_are_named(options: dict[str, Any], text: str) -> None:
    """Also those that no recorded message needs."""
    with pytest.raises(ConfigError) as caught:
        Replay([sent(0, PING, path="/ping")], **options)
    assert text in str(caught.value)


def test_ids_that_replies_repeat_are_new_in_each_pass() -> None:
    """Whole numbers stay such, UUIDs too; and what refers to one refers to it still."""
    lines = [
        sent(0, {"id": 7, "method": "add"}),
        received(0.1, {"id": 7, "result": 1}),
        sent(1, {"id": "q-1", "method": "run"}),
        received(1.1, {"id": "q-1", "result": 2}),
        sent(2, {"method": "cancel", "which": "q-1"}),
    ]
    first, second = (bodies(replay, 6)[place : place + 3] for replay, place in ((Replay(lines), 0), (Replay(lines), 3)))
    assert first == [
        {"id": 1, "method": "add"},
        {"id": "user-1-2", "method": "run"},
        {"method": "cancel", "which": "user-1-2"},
    ]
    assert [body.get("id", body.get("which")) for body in second] == [3, "user-1-4", "user-1-4"]


def test_uuids_that_the_client_made_are_new_and_those_of_the_server_stay() -> None:
    """Of the user's random numbers: the same seed gives the same."""
    own, told = "0b0f6a4e-1111-4222-8333-444455556666", "0b0f6a4e-9999-4222-8333-444455556666"
    lines = [
        received(0, {"type": "hello", "room": told}),
        sent(1, {"type": "a", "key": own, "room": told}),
        sent(2, {"type": "b", "key": own}),
    ]
    first, second, third = bodies(Replay(lines), 3)
    assert first["key"] == second["key"] != own
    assert third["key"] != first["key"]
    assert len(first["key"]) == len(own)
    assert first["room"] == told
