"""`runtime.recording`: what passes through a codec is what stands in the file, in order, bounded, and without secrets."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from locust_ext.core.protocols.websocket import WebSocketCodec
from locust_ext.errors import ConfigError
from locust_ext.runtime.recording import Recording
from tests.peers import BINARY, frame, text

PREFIX = "lx-00ab"


class Clock:
    now_s = 50.0

    def __call__(self) -> float:
        self.now_s += 0.25
        return self.now_s


def made(path: Path, max_bytes: int = 10_000) -> Recording:
    return Recording(path, max_bytes=max_bytes, client_prefix=PREFIX, clock=Clock())


def codec(recording: Recording, url: str = "ws://h/ws/x", **more: Any) -> WebSocketCodec:
    given = {"headers": {}, "cookie": None} | {name: more.pop(name) for name in ("headers", "cookie") if name in more}
    connection = SimpleNamespace(
        target=SimpleNamespace(url=url), options=SimpleNamespace(**given), **{"OPENS_WITH_UPGRADE": True, **more}
    )
    return recording.codec_of(connection)(random=Random(1), max_message_bytes=2**20)


def binary(data: bytes) -> bytes:
    return frame(BINARY, data)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_each_message_is_a_line_with_its_time_direction_and_connection(tmp_path: Path) -> None:
    """The first of a connection tells which one it is; the user's name is written as what it is."""
    path = tmp_path / "c.jsonl"
    recording = made(path)
    first = codec(recording, f"ws://h/ws/{PREFIX}-17?room=1")
    second = codec(recording)
    first.encode_text(b'{"a":1}')
    first.receive_data(text('{"b":2}') + text("c"))
    second.encode_binary(b"\x00\xff")
    second.encode_ping(b"no message")
    recording.close()
    beside = {"path": "/ws/{client_id}", "protocol": "websocket", "client": f"{PREFIX}-17"}
    assert lines(path) == [
        {"t": 0.25, "dir": "send", "conn": 1, **beside, "data": '{"a":1}'},
        {"t": 0.5, "dir": "receive", "conn": 1, "data": '{"b":2}'},
        {"t": 0.75, "dir": "receive", "conn": 1, "data": "c"},
        {"t": 1.0, "dir": "send", "conn": 2, "path": "/ws/x", "protocol": "websocket", "data": {"b64": "AP8="}},
    ]


def test_of_socketio_only_the_messages_are_written(tmp_path: Path) -> None:
    """No ping, and no CONNECT, which may hold what nobody may see; the user's name comes from what it says."""
    path = tmp_path / "c.jsonl"
    recording = made(path)
    one = codec(recording, "ws://h/socket.io/?EIO=4", OPENS_WITH_UPGRADE=False, _auth={"key": "auth-key-1"})
    for packet in ('40{"key":"auth-key-1"}', "3", '42["hi","auth-key-1"]', f'420["me","{PREFIX}-3"]', '451-["f",{}]'):
        one.encode_text(packet)
    one.encode_binary(b"\x00")
    recording.close()
    assert [(line["data"], line.get("client")) for line in lines(path)] == [
        ('42["hi","***"]', None),
        (f'420["me","{PREFIX}-3"]', f"{PREFIX}-3"),
        ('451-["f",{}]', None),
        ({"b64": "AA=="}, None),
    ]


def test_secrets_of_the_connection_are_in_no_line(tmp_path: Path) -> None:
    """Neither its token nor a cookie, in whatever field they come."""
    path = tmp_path / "c.jsonl"
    recording = made(path)
    one = codec(
        recording,
        "ws://h/ws?token=SECRET-q1",
        headers={"Authorization": "Bearer SECRET-h1", "X-Key": "not a secret's name"},
        cookie="s=SECRET-c1",
    )
    one.encode_text('{"x":["SECRET-q1","SECRET-h1"],"token":"SECRET-1"}')
    one.encode_text("SECRET-c1 and password=SECRET-2")
    recording.close()
    assert b"SECRET" not in path.read_bytes()
    assert len(lines(path)) == 2


def test_the_file_ends_at_its_limit_with_a_whole_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Once told; the connection goes on."""
    path = tmp_path / "c.jsonl"
    recording = made(path, max_bytes=300)
    one = codec(recording)
    frames = [one.encode_text("x" * 50) for _ in range(20)]
    assert len(frames) == 20
    assert path.stat().st_size <= 300
    assert 2 <= len(lines(path)) < 5
    assert [each.getMessage() for each in caplog.records] == [
        f"{path} is full (record.max_bytes): the rest of the run is not recorded"
    ]


def test_a_disk_that_takes_no_more_ends_the_recording_and_not_the_run(caplog: pytest.LogCaptureFixture) -> None:
    """``/dev/full`` is such a disk."""
    recording = made(Path("/dev/full"), max_bytes=10**9)
    one = codec(recording)
    for _ in range(10):
        assert one.encode_text("x" * 100_000)
    recording.close()
    assert [each.levelname for each in caplog.records] in (["ERROR"], ["ERROR", "ERROR"])
    assert "/dev/full" in caplog.text


def test_a_file_that_cannot_be_is_an_error_before_anything_runs(tmp_path: Path) -> None:
    """With what the system has against it."""
    with pytest.raises(ConfigError, match="--ext-record: expected a file that can be written to: no such file"):
        made(tmp_path / "nowhere" / "c.jsonl")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.text(st.characters(codec="utf-8")) | st.binary()), max_size=10))
def test_a_recording_changes_no_byte_on_the_wire(
    tmp_path_factory: pytest.TempPathFactory, messages: list[tuple[bool, str | bytes]]
) -> None:
    """The frames and events of its codec are those of the plain one, for the same random numbers."""
    recording = made(tmp_path_factory.mktemp("captures") / "c.jsonl", max_bytes=10**6)
    ours, plain = codec(recording), WebSocketCodec(random=Random(1), max_message_bytes=2**20)
    for is_sent, data in messages:
        if is_sent:
            name = "encode_text" if isinstance(data, str) else "encode_binary"
            assert getattr(ours, name)(data) == getattr(plain, name)(data)
        else:
            arrives = text(data) if isinstance(data, str) else binary(data)
            assert ours.receive_data(arrives) == plain.receive_data(arrives)
    recording.close()
