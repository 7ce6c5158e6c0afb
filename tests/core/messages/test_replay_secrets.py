"""`messages.replay_secrets`: what is taken out of a recording, by name, by look, and because it was seen elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from locust_ext.core.messages.replay import Replay
from locust_ext.core.messages.replay_secrets import in_headers, in_query, is_secret_name, scrubbed, scrubbed_frame
from tests.core.messages.recordings import bodies, received, sent


@pytest.mark.parametrize(
    "name",
    [
        *("token", "access_token", "refreshToken", "X-Auth-Token", "Authorization", "Proxy-Authorization", "Cookie"),
        *(
            "password",
            "passwd",
            "user_password",
            "client_secret",
            "api_key",
            "X-Api-Key",
            "apikey",
            "jwt",
            "credentials",
        ),
        *("pass", "user_pass", "userPass", "otp", "login-otp", "x-auth", "sid", "connect.sid", "PHPSESSID", "session"),
        *("sessionid", "sessionId", "user_session", "creds", "db_creds", "credential"),
        *("tokens", "refresh_tokens", "refreshTokens", "secrets", "passwords", "api_keys", "max_tokens"),
    ],
)
def test_names_of_secrets(name: str) -> None:
    """In any spelling."""
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "type",
            "author",
            "pinned",
            "key",
            "id",
            "",
            5,
            None,
            "session_id",
            "sessions",
            "compass",
            "bypass",
            "passenger",
        ),
        *("side", "reside", "obsession", "otpauth2", "class", "credits", "tokenizer"),
    ],
)
def test_names_of_other_things(name: Any) -> None:
    """What merely resembles one stays."""
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ({"type": "login", "password": "p"}, {"type": "login", "password": "***"}),
        ({"auth": {"user": "ann", "n": 5}, "x": 5}, {"auth": {"user": "***", "n": "***"}, "x": 5}),
        (
            [{"tokens": ["a"]}, {"token": ["a", None, True, ""]}],
            [{"tokens": ["***"]}, {"token": ["***", None, True, ""]}],
        ),
        ({"max_tokens": 5, "tokens": {"a": "b", "n": [1]}}, {"max_tokens": 5, "tokens": {"a": "***", "n": ["***"]}}),
        (
            {"pass": 1234, "otp": 5, "sid": "x", "creds": ["a"]},
            dict.fromkeys(("pass", "otp", "sid"), "***") | {"creds": ["***"]},
        ),
        ({"session_id": "s-1", "sessionid": "s-2"}, {"session_id": "s-1", "sessionid": "***"}),
        ("/x?sid=ab&pass=cd&session_id=ef&compass=n", "/x?sid=***&pass=***&session_id=ef&compass=n"),
        (
            'n["{"otp":"1","sid" : "2","tokens":"3","inside":"4"}"]',
            'n["{"otp":"***","sid" : "***","tokens":"***","inside":"4"}"]',
        ),
        ("a session: it will pass, at its side", "a session: it will pass, at its side"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "***"),
        ("see eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln now", "see *** now"),
        ("Bearer abcdef123", "Bearer ***"),
        ("Basic dXNlcjpwYXNz", "Basic ***"),
        ("/ws?room=1&token=abc&x=2", "/ws?room=1&token=***&x=2"),
        ("http://ann:pw@host/x", "http://***@host/x"),
        ('a["{"token" : "abc","n":"1"}"]', 'a["{"token" : "***","n":"1"}"]'),
        ("it holds known-one inside", "it holds *** inside"),
        (b"\x00known-one\xff", b"\x00*********\xff"),
        ("the bearer of this basic idea", "the bearer of this basic idea"),
    ],
)
def test_secrets_are_taken_out(body: Any, left: Any) -> None:
    """And nothing else; what was known already wherever it is, in bytes without changing their length."""
    assert scrubbed(body, ["known-one"]) == left


def test_what_has_no_secret_is_left_as_it_is() -> None:
    """The same object, the same text: no number is written differently."""
    body = {"a": [1.0, {"b": None}]}
    assert scrubbed(body, ["known-one"]) is body
    assert scrubbed_frame('{"a" : 1.00}') == '{"a" : 1.00}'


@pytest.mark.parametrize(
    ("frame", "left"),
    [
        ('{"token":"a","n":1}', '{"token":"***","n":1}'),
        ('42["login",{"token":"a"}]', '42["login",{"token":"***"}]'),
        ('42/chat,17["login",{"token":"a"}]', '42/chat,17["login",{"token":"***"}]'),
        ('431[{"password":"a"}]', '431[{"password":"***"}]'),
        ('40{"token":"a"}', '40{"token":"***"}'),
        ('40{"sid":"a","pid":"b"}', '40{"sid":"***","pid":"b"}'),
        ('{"token":"a', '{"token":"***'),  # no JSON
        ("[" * 5000 + "]" * 5000, "[" * 5000 + "]" * 5000),
        (b"known-one", b"*********"),
    ],
)
def test_frames_keep_their_form(frame: str | bytes, left: str | bytes) -> None:
    """JSON and Socket.IO packets stay such."""
    assert scrubbed_frame(frame, ["known-one"]) == left


def test_headers_and_queries_tell_what_is_secret() -> None:
    """Each cookie's value, credentials without their scheme, quoted and not."""
    headers = [("Authorization", "Bearer t-1"), ("Cookie", "s=c-1; lang=c-2"), ("Set-Cookie", "k=c-3; Path=/; Secure")]
    assert in_headers([*headers, ("X-Api-Key", "a%20b"), ("Accept", "x")]) == {
        "t-1",
        "c-1",
        "c-2",
        "c-3",
        "a%20b",
        "a b",
    }
    assert in_query("token=t%2F1&room=2&api_key=") == {"t/1"}


def test_a_replay_says_no_secret_of_its_recording(tmp_path: Path) -> None:
    """Those of the address, the headers and the cookies of the whole HAR, and of the messages, wherever they occur again."""
    message = {"type": "send", "opcode": 1}
    said = [
        {**message, "time": 1000, "data": '{"type":"login","token":"from-field"}'},
        {**message, "time": 1001, "data": '{"type":"a","x":["from-field","from-query","from-cookie","from-header"]}'},
        {**message, "time": 1002, "data": "from-field from-login"},
    ]
    entries = [
        {"request": {"url": "http://h/login?password=from-login", "headers": [], "cookies": []}},
        {
            "request": {
                "url": "ws://h/ws?token=from-query",
                "headers": [{"name": "Authorization", "value": "Bearer from-header"}],
                "cookies": [{"name": "s", "value": "from-cookie"}],
            },
            "_webSocketMessages": said,
        },
    ]
    path = tmp_path / "x.har"
    path.write_text(json.dumps({"log": {"entries": entries}}), encoding="utf-8")
    assert bodies(Replay.from_har(path), 3) == [
        {"type": "login", "token": "***"},
        {"type": "a", "x": ["***", "***", "***", "***"]},
        "*** ***",
    ]
    assert bodies(Replay.from_har(path, keep_secrets=True), 1) == [{"type": "login", "token": "from-field"}]
    assert bodies(Replay.from_har(path, fields={"token": "t-{user}"}), 1) == [{"type": "login", "token": "t-user-1"}]


def test_what_the_server_gave_out_as_a_secret_is_one() -> None:
    """The client's later messages do not say it either."""
    lines = [received(0, {"type": "session", "token": "s3cr3t-1"}), sent(1, {"type": "use", "it": "s3cr3t-1"})]
    assert bodies(Replay(lines), 1) == [{"type": "use", "it": "***"}]
