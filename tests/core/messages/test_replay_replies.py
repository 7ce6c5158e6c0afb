"""`messages.replay_replies`: which recorded messages are requests, and what answers them; plain and in Socket.IO."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from locust_ext.core.messages.replay import Replay
from locust_ext.errors import ConfigError
from tests.core.messages.recordings import PING, PONG, TALK, Line, messages, received, sent

# ── what answered what ─────────────────────────────────────────────────────────────────────────────────────────────────


def requests_of(lines: list[Line], **options: Any) -> dict[str, tuple[str, ...]]:
    """The types that are requests, and what answers them."""
    replay = Replay(lines, **options)
    steps = [step for conversation in replay.conversations for step in conversation]
    return {step.name: step.reply for step in steps if not step.one_way}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(
            [sent(0, {"type": "start"}), received(1, {"type": "begun"})], {"start": ("begun",)}, id="what came next"
        ),
        pytest.param([sent(0, {"type": "start"})], {}, id="nothing came"),
        pytest.param([received(0, {"type": "begun"}), sent(1, {"type": "start"})], {}, id="it came before"),
        pytest.param(
            [sent(0, {"type": "start"}), received(1, {"type": "news"}), received(2, {"type": "news"})],
            {},
            id="it came more often",
        ),
        pytest.param(
            [sent(0, {"type": "a"}), sent(1, {"type": "b"}), received(2, {"type": "c"})],
            {"b": ("c",)},
            id="something else was sent in between",
        ),
        pytest.param(
            [
                sent(0, {"type": "heartbeat"}),
                sent(1, {"type": "query"}),
                received(2, {"type": "world_news"}),
                received(3, {"type": "query_result"}),
                received(4, {"type": "heartbeat_ack"}),
            ],
            {"heartbeat": ("heartbeat_ack",), "query": ("query_result",)},
            id="the names are alike",
        ),
        pytest.param(
            [sent(0, PING), sent(0.1, PING), received(1, PONG), received(2, PONG), sent(3, PING)],
            {"ping": ("pong",)},
            id="two under way, and the recording ended before the last reply",
        ),
        pytest.param([sent(0, "one"), received(1, "one")], {"text": ("text",)}, id="an echo of text"),
        pytest.param(
            [sent(0, {"request_id": 5, "type": "a"}), received(1, {"in_reply_to": 5, "type": "b"})],
            {"a": ("b",)},
            id="an id in another field",
        ),
        pytest.param(
            [sent(0, {"id": 1, "type": "a"}), received(1, {"id": True, "type": "b"}), received(2, {"type": "b"})],
            {},
            id="a truth value is no id",
        ),
    ],
)
def test_requests_are_told_from_what_came_after_them(lines: list[Line], expected: dict[str, tuple[str, ...]]) -> None:
    """By an id that is repeated, by names that are alike, by what always came next."""
    assert requests_of(lines) == expected


def test_the_author_has_the_last_word_on_replies() -> None:
    """A type that answers, several, or none."""
    lines = [sent(0, PING), received(1, PONG), sent(2, {"type": "go"}), received(3, {"type": "news"})]
    assert requests_of(lines) == {"ping": ("pong",), "go": ("news",)}
    assert requests_of(lines, replies={"go": None}) == {"ping": ("pong",)}
    assert requests_of(lines, replies={"ping": ("pong", "late_pong"), "go": "gone"}) == {
        "ping": ("pong", "late_pong"),
        "go": ("gone",),
    }


def test_the_correlation_that_follows_knows_replies_from_pushes() -> None:
    """By type, by id (in the field that the reply has it in), and None for what nothing answered."""
    lines = [
        sent(0, PING),
        received(1, PONG),
        sent(2, {"request_id": "a", "type": "get"}),
        received(3, {"ref": "a", "type": "value"}),
        sent(4, {"type": "note"}),
    ]
    correlate = Replay(lines).correlate
    assert correlate is not None

    def key(message: Any) -> Any:
        return correlate.outgoing(message, lambda: 1)[1]

    assert key(PING) == correlate.incoming(PONG) is not None
    assert key({"request_id": "x", "type": "get"}) == correlate.incoming({"ref": "x", "type": "value"}) is not None
    assert key({"request_id": "x", "type": "get"}) != correlate.incoming({"ref": "y", "type": "value"})
    assert key({"type": "note"}) is None
    assert correlate.incoming({"type": "news"}) is None
    assert correlate.incoming([1]) is correlate.incoming(b"x") is correlate.incoming(None) is None


# ── Socket.IO ──────────────────────────────────────────────────────────────────────────────────────────────────────────

OPEN = '0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000}'
SOCKETIO = [
    received(0, OPEN),
    sent(0.1, "40"),
    received(0.2, '42["news",{"n":1}]'),
    received(0.3, '40{"sid":"t"}'),
    sent(1, '420["join","lobby",{"as":"ann"}]'),
    received(1.1, "430[true]"),
    received(1.2, "2"),
    sent(1.2, "3"),
    sent(2, '42["set",{"key":"k","value":5,"who":"ann"}]'),
    received(2.1, '42["set_done",{"key":"k","value":5}]'),
    received(2.2, '421["please_answer"]'),
    sent(2.3, "431[]"),
    sent(3, '42["leave"]'),
    sent(3.1, '451-["file",{"_placeholder":true,"num":0}]'),
    sent(3.1, {"b64": "AAE="}),
    sent(3.2, "41"),
]


def test_socketio_events_are_messages_and_its_control_packets_are_not() -> None:
    """An emit that was acknowledged is a call, so is one that an event confirmed; acks of ours are the client's business."""
    replay = Replay(SOCKETIO)
    assert replay.is_socketio
    assert [(each.name, each.body, each.one_way) for each in messages(replay, 4)] == [
        ("join", ("lobby", {"as": "ann"}), False),
        ("set", {"key": "k", "value": 5, "who": "ann"}, False),
        ("leave", None, True),
        ("file", b"\x00\x01", True),
    ]
    assert replay.confirm == {"set": ("set_done", ("key", "value"))}
    assert replay.correlate is None


def test_socketio_is_known_by_all_its_packets_where_the_beginning_is_missing() -> None:
    """As after an upgrade from polling, and in our own captures."""
    upgrade = [sent(0, "2probe"), received(0.1, "3probe"), sent(0.2, "5"), sent(1, '42/chat,["hi"]')]
    assert [(each.name, each.body) for each in messages(Replay(upgrade), 1)] == [("hi", None)]
    assert Replay([sent(0, '42["hi"]', protocol="websocket")]).is_socketio is False
    assert not Replay([sent(0, "2"), sent(1, "hello")]).is_socketio


def test_a_broken_packet_is_an_error_of_its_line(tmp_path: Path) -> None:
    """Not of the run."""
    (tmp_path / "c.jsonl").write_text(
        json.dumps(received(0, OPEN)) + "\n\n" + json.dumps(sent(1, "42[broken")) + "\n", encoding="utf-8"
    )
    with pytest.raises(ConfigError, match=r"c\.jsonl: line 3: expected a Socket\.IO packet"):
        Replay.from_jsonl(tmp_path / "c.jsonl")


@pytest.mark.parametrize(("lines", "expects"), [(TALK, True), (SOCKETIO, False)])
def test_the_wrong_protocol_is_said(lines: list[Line], expects: bool) -> None:
    """By the user class, at its definition."""
    with pytest.raises(ConfigError, match="expected a recording of"):
        Replay(lines).check_protocol(is_socketio=expects)
    Replay(lines).check_protocol(is_socketio=not expects)
