"""The rules that need no socket: tokens, limits, names, the context, who is watched."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from locust_ext.errors import ConfigError
from locust_ext.refserver.__main__ import main
from locust_ext.refserver.counters import Counters
from locust_ext.refserver.dumps import is_safe_name
from locust_ext.refserver.faults import parse_faults
from locust_ext.refserver.frames import binary_frame, close_frame, text_frame
from locust_ext.refserver.limits import AccountLimit, ConnectLimit, MessageRate
from locust_ext.refserver.parent import parent_to_watch
from locust_ext.refserver.store import ContextStore
from locust_ext.refserver.tokens import DEV_TOKEN, sign, verify


def test_a_token_is_good_until_it_expires_and_for_its_secret_only() -> None:
    token = sign("secret", "me", "viewer", expires_in_s=100)
    client = verify(token, "secret")
    assert client is not None
    assert (client.user, client.role, client.account) == ("me", "viewer", "me")
    assert client.rights == {"subscribe", "query"}
    assert verify(token, "other") is None
    assert verify(token, "secret", now=time.time() + 99) is not None
    assert verify(token, "secret", now=time.time() + 101) is None


def test_the_development_token_has_no_right_and_no_account() -> None:
    client = verify(DEV_TOKEN, "any")
    assert client is not None
    assert (client.rights, client.account) == (frozenset(), None)


def test_connects_are_limited_in_any_60_seconds_for_each_address() -> None:
    limit = ConnectLimit(2)
    assert [limit.admits("a", now) for now in (0, 1, 2)] == [True, True, False]
    assert limit.admits("b", 2)
    assert [limit.admits("a", now) for now in (61.5, 63)] == [True, True]
    assert all(ConnectLimit(None).admits("a", 0) for _ in range(10))


def test_an_account_has_five_places() -> None:
    limit = AccountLimit(5)
    assert [limit.enter("me") for _ in range(6)] == [True] * 5 + [False]
    limit.leave("me")
    assert limit.enter("me")
    assert all(limit.enter(None) for _ in range(10))


def test_a_rate_allows_a_second_at_once_and_refills() -> None:
    rate = MessageRate(2, now=0)
    assert [rate.admits(now) for now in (0, 0, 0, 0.4, 0.5, 0.6, 10, 10, 10)] == [
        *(True, True, False, False, True, False),
        *(True, True, False),
    ]


@pytest.mark.parametrize("name", ["a", "a.b", "ä ö", "x" * 200])
def test_a_plain_name_is_safe(name: str) -> None:
    assert is_safe_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", "a..b", "a/b", "a\\b", "a\0", "x" * 201, "a\n"])
def test_a_name_that_could_leave_its_folder_is_not(name: str) -> None:
    assert not is_safe_name(name)


def test_a_set_that_changes_nothing_is_no_change() -> None:
    store = ContextStore()
    for value in (1, 1, True, 1, 2):
        store.set("k", value, "me", "t")
    assert [change["after"] for change in store.changes("k")] == [1, True, 1, 2]
    assert store.changes("k", "you") == []


def test_a_bad_fault_names_its_key() -> None:
    with pytest.raises(ConfigError) as problem:
        parse_faults({"drop_ratio": 2})
    assert (problem.value.key, problem.value.value) == ("drop_ratio", 2)


def test_frames_have_the_bytes_of_rfc_6455() -> None:
    assert text_frame("Hello") == b"\x81\x05Hello"
    assert binary_frame(bytes(256)) == b"\x82\x7e\x01\x00" + bytes(256)
    assert binary_frame(bytes(65536)) == b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00" + bytes(65536)
    assert close_frame(1001, b"bye") == b"\x88\x05\x03\xe9bye"


def test_names_counted_are_bounded() -> None:
    counters = Counters()
    for index in range(1000):
        counters.received("echo", f"n{index}")
    by_type = counters.as_json({})["by_type"]
    assert isinstance(by_type, dict)
    assert len(by_type) == 501
    assert by_type["__other__"] == 500
    assert counters.as_json({})["messages_received"] == 1000


def test_the_parent_is_watched_unless_told_otherwise_or_nohup() -> None:
    assert parent_to_watch(0) is None
    assert parent_to_watch(77) == 77
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert parent_to_watch(None) is None
    finally:
        signal.signal(signal.SIGHUP, before)
    assert parent_to_watch(None) in (None, os.getppid())


def test_main_returns_1_for_a_folder_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["--dump-dir", str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
