"""`messages.replay_files`: HAR exports and JSONL captures, the errors in them, and the way there and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from locust_ext.core.messages.replay import Replay
from locust_ext.core.messages.replay_files import jsonl_line
from locust_ext.errors import ConfigError
from tests.core.messages.recordings import PING, bodies, bound, sent

# ── files ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def har(*messages_: Any, url: str = "ws://h/ws/ann-7?token=abc", started: str = "1970-01-01T00:16:40Z") -> Any:
    entry = {"startedDateTime": started, "request": {"url": url, "headers": []}, "_webSocketMessages": list(messages_)}
    return {"log": {"entries": [{"request": {"url": "http://h/"}}, entry]}}


def seen(kind: str, time: Any, data: Any, opcode: int = 1) -> dict[str, Any]:
    return {"type": kind, "time": time, "opcode": opcode, "data": data}


def written(tmp_path: Path, document: Any) -> Path:
    path = tmp_path / "x.har"
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path


@pytest.mark.parametrize("unit", [1, 1e9])
def test_a_har_is_read_with_its_times_in_seconds_or_milliseconds(tmp_path: Path, unit: float) -> None:
    """DevTools writes seconds since 1970, Playwright milliseconds; from the opening to the first message it is 0.5 s."""
    started, base = ("1970-01-01T00:16:40Z", 1000.0) if unit == 1 else ("2026-11-21T05:26:40Z", 1795238800.0)
    scale = 1 if unit == 1 else 1000
    document = har(
        seen("send", (base + 0.5) * scale, '{"type":"ping"}'),
        seen("receive", (base + 0.6) * scale, '{"type":"pong"}'),
        seen("send", (base + 1.6) * scale, "AAH/", 2),
        seen("receive", (base + 1.7) * scale, "", 9),
        seen("error", (base + 1.8) * scale, "net::ERR"),
        started=started,
    )
    replay = Replay.from_har(written(tmp_path, document), url_path="/ws/{client_id}")
    assert bodies(replay, 2) == [PING, b"\x00\x01\xff"]
    generator = bound(replay)
    assert generator.next_due_s(10.0, 10.0) == pytest.approx(10.5, abs=1e-5)
    generator.generate()
    assert generator.next_due_s(10.5, 11.0) == pytest.approx(12.0, abs=1e-5)


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ("{", "x.har: not valid JSON at line 1, column "),
        ([], "x.har: log.entries: expected a HAR file with WebSocket traffic (_webSocketMessages)"),
        ({"log": {"entries": []}}, "x.har: expected a HAR file with WebSocket traffic (_webSocketMessages)"),
        ({"log": {"entries": [5]}}, "x.har: log.entries[0]: expected an object"),
        (
            {"log": {"entries": [{"_webSocketMessages": []}]}},
            "x.har: log.entries[0].request.url: expected the address of the connection",
        ),
        (har(), "x.har: expected at least one message that the client sent"),
        (har(5), "x.har: log.entries[1]._webSocketMessages[0]: expected an object"),
        (
            har(seen("sent", 1000, "x")),
            "x.har: log.entries[1]._webSocketMessages[0].type: expected send or receive (got 'sent');"
            " did you mean 'send'?",
        ),
        (
            har(seen("send", "now", "x")),
            "x.har: log.entries[1]._webSocketMessages[0].time: expected seconds, at least 0 (got 'now')",
        ),
        (har(seen("send", 1000, 5)), "x.har: log.entries[1]._webSocketMessages[0].data: expected a text"),
        (
            har(seen("send", 1000, "x", 3)),
            "x.har: log.entries[1]._webSocketMessages[0].opcode: expected 1 (text) or 2 (binary) (got 3)",
        ),
        (har(seen("send", 1000, "?", 2)), "x.har: log.entries[1]._webSocketMessages[0].data: expected base64"),
        (
            har(seen("send", 1000, "[" * 200 + "]" * 200)),
            "x.har: log.entries[1]._webSocketMessages[0]: expected at most 100 levels of nesting",
        ),
    ],
)
def test_what_is_wrong_in_a_har_is_named_with_its_place(tmp_path: Path, document: Any, text: str) -> None:
    """The file, the entry, the message, and what was expected."""
    with pytest.raises(ConfigError) as caught:
        Replay.from_har(written(tmp_path, document))
    assert str(caught.value).startswith(f"{tmp_path}/{text}")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", 'c.jsonl: expected lines such as {"t": 0.5, "dir": "send", "data": "…"}'),
        ('{"t":0,"dir":"send","data":"x"}\n{', "c.jsonl: line 2: expected a JSON object in each line"),
        ("5", "c.jsonl: line 1: expected an object such as"),
        ('{"dir":"send","data":"x"}', "c.jsonl: line 1.t: expected seconds, at least 0"),
        ('{"t":-1,"dir":"send","data":"x"}', "c.jsonl: line 1.t: expected seconds, at least 0 (got -1)"),
        (
            '{"t":0,"dir":"recieve","data":"x"}',
            "c.jsonl: line 1.dir: expected send or receive (got 'recieve'); did you",
        ),
        ('\n{"t":0,"dir":"send"}', 'c.jsonl: line 2.data: expected a text, an object, a list, or {"b64": "…"}'),
        ('{"t":0,"dir":"send","data":{"b64":"?"}}', "c.jsonl: line 1.data.b64: expected base64"),
        ('{"t":0,"dir":"send","data":"x","conn":[]}', "c.jsonl: line 1.conn: expected a text or a number (got [])"),
        (
            '{"t":0,"dir":"send","data":"x","protocol":"mqtt"}',
            "c.jsonl: line 1.protocol: expected websocket or socketio",
        ),
        ('{"t":0,"dir":"send","data":"x","path":5}', "c.jsonl: line 1.path: expected a text (got 5)"),
        ('{"t":0,"dir":"receive","data":"x"}', "c.jsonl: expected at least one message that the client sent"),
    ],
)
def test_what_is_wrong_in_a_capture_is_named_with_its_line(tmp_path: Path, content: str, text: str) -> None:
    """And what was expected there."""
    path = tmp_path / "c.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        Replay.from_jsonl(path)
    assert str(caught.value).startswith(f"{tmp_path}/{text}")


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    """By both readers."""
    for read in (Replay.from_har, Replay.from_jsonl):
        with pytest.raises(ConfigError, match="nowhere: the file cannot be read: No such file or directory"):
            read(tmp_path / "nowhere")


def test_a_recording_of_several_kinds_asks_which_and_names_them() -> None:
    """Without their queries; Socket.IO and plain connections are not played by one user."""
    lines = [sent(0, PING, conn=1, path="/ws/a"), sent(0, '42["x"]', conn=2, path="/socket.io/")]
    with pytest.raises(ConfigError, match=r"several connections, expected url_path .* from /ws/a, /socket\.io/"):
        Replay(lines)
    assert bodies(Replay(lines, url_path="/ws/a"), 1) == [PING]
    assert Replay(lines, url_path="/socket.io/").is_socketio
    lines[1]["path"] = "/ws/a"
    with pytest.raises(ConfigError, match=r"expected either Socket\.IO or plain WebSockets"):
        Replay(lines)


# ── there and back ─────────────────────────────────────────────────────────────────────────────────────────────────────

WORDS = st.text(st.characters(codec="utf-8"), max_size=8).filter(lambda text: "=" not in text and ":" not in text)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcde"), inner, max_size=3),
    max_leaves=8,
)
BODIES = st.dictionaries(st.sampled_from("abcde"), VALUES, max_size=3) | st.lists(VALUES, max_size=3)
FRAMES = st.tuples(
    st.floats(0, 1000),
    st.booleans(),
    BODIES.map(lambda body: json.dumps(body)) | WORDS | st.binary(max_size=20),
)


@settings(deadline=None)
@given(st.lists(FRAMES, min_size=1, max_size=12))
def test_what_is_recorded_is_what_is_played(tmp_path_factory: pytest.TempPathFactory, frames: list[Any]) -> None:
    """Every message that was sent, its bytes and its time, in the order of their times."""
    frames = sorted([(0.0, True, '{"type":"first"}'), *frames], key=lambda frame: frame[0])
    path = tmp_path_factory.mktemp("captures") / "c.jsonl"
    path.write_bytes(b"".join(jsonl_line(*frame, conn=1, first={"protocol": "websocket"}) for frame in frames))
    replay = Replay.from_jsonl(path, keep_secrets=True)
    (steps,) = replay.conversations
    said = [data for _, is_sent, data in frames if is_sent]
    played = bodies(replay, len(said))
    for recorded, body in zip(said, played, strict=True):
        if isinstance(body, dict | list):
            assert body == json.loads(recorded)
        else:
            assert body == recorded
    at_s = [t_s for t_s, is_sent, _ in frames if is_sent]
    assert len(steps) == len(at_s)
    last = 0.0
    for step, t_s in zip(steps, at_s, strict=True):
        assert step.is_after_reply or step.gap_s == pytest.approx(t_s - last, abs=1e-5)
        assert step.gap_s <= t_s - last + 1e-5
        last = t_s
