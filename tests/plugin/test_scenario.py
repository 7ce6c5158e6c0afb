"""`plugin.scenario`: user classes that a settings file describes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import locust_ext
from locust_ext import AgentUser, ConfigError, ContextServerUser, FastSocketIOUser, RealisticUser, WebSocketUser
from locust_ext.plugin import defaults
from locust_ext.plugin.embedded import EMBEDDED
from locust_ext.plugin.scenario import KINDS, classes_of, scenario
from locust_ext.settings import load_settings
from locust_ext.settings.users import KIND_NAMES


@pytest.fixture(autouse=True)
def without_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """As in a fresh process, in an empty folder, without flags."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("LOCUST_EXT_CONFIG", raising=False)
    monkeypatch.setattr(sys, "argv", ["locust"])
    defaults.forget_code()
    yield
    defaults.forget_code()


def written(text: str, name: str = "s.yaml") -> str:
    Path(name).write_text(text)
    return name


def made(text: str) -> dict[str, type[Any]]:
    return classes_of(load_settings(written(text)))


EVERY_KIND = """
users:
  Crowd: {kind: agent, generator: ping}
  Echo: {kind: websocket, generator: event}
  Chat: {kind: socketio}
  Reader: {kind: context, generator: context_ops}
  Person: {kind: realistic}
"""


def test_the_kinds_are_those_that_a_file_may_name() -> None:
    assert tuple(KINDS) == KIND_NAMES


def test_a_class_of_each_kind_is_made_for_the_embedded_server() -> None:
    classes = made(EVERY_KIND)
    assert {name: cls.__base__ for name, cls in classes.items()} == {
        "Crowd": AgentUser,
        "Echo": WebSocketUser,
        "Chat": FastSocketIOUser,
        "Reader": ContextServerUser,
        "Person": RealisticUser,
    }
    for name, cls in classes.items():
        assert (cls.__name__, cls.host, cls.abstract) == (name, EMBEDDED, False)


def test_the_classes_of_two_files_are_not_the_same() -> None:
    first, second = made(EVERY_KIND), made(EVERY_KIND)
    assert all(first[name] is not second[name] for name in first)
    assert issubclass(first["Person"], RealisticUser)
    assert RealisticUser.host is None


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "run: {users: 3}",
            "s.yaml: users: expected at least one user class, such as {Crowd: {kind: agent, generator: mixed}}",
        ),
        ("users: {}", "s.yaml: users: expected at least one user class"),
        (
            "users: {Crowd: {generator: ping}}",
            "s.yaml: users.Crowd.kind: this key is required, one of agent, websocket, socketio, context, realistic",
        ),
        (
            "users: {2fast: {kind: agent}}",
            "s.yaml: users.2fast: expected the name of a class: letters, digits and underscores, with a letter first "
            "(got '2fast')",
        ),
        ("users: {my-users: {kind: agent}}", "s.yaml: users.my-users: expected the name of a class"),
        ("users: {class: {kind: agent}}", "s.yaml: users.class: expected the name of a class"),
        ("users: {__name__: {kind: agent}}", "s.yaml: users.__name__: expected the name of a class"),
        ("users: {_Crowd: {kind: agent}}", "s.yaml: users._Crowd: expected the name of a class"),
        (
            "users: {User: {kind: agent}}",
            "s.yaml: users.User: expected a name of its own: this is that of another class or module",
        ),
        ("users: {AgentUser: {kind: agent}}", "s.yaml: users.AgentUser: expected a name of its own"),
        ("users: {locust_ext: {kind: agent}}", "s.yaml: users.locust_ext: expected a name of its own"),
    ],
)
def test_what_no_class_can_be_made_of_is_told_with_its_place(text: str, error: str) -> None:
    with pytest.raises(ConfigError) as caught:
        made(text)
    assert str(caught.value).startswith(error)


def test_the_file_is_that_of_the_flag_of_the_environment_or_of_locusts_own_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("A", "B", "C"):
        written(f"users: {{{name}: {{kind: agent}}}}", f"{name}.yaml")
    Path("locust.conf").write_text("ext-config = C.yaml\n")
    assert list(scenario()) == ["C"]
    monkeypatch.setenv("LOCUST_EXT_CONFIG", "B.yaml")
    assert list(scenario()) == ["B"]
    monkeypatch.setattr(sys, "argv", ["locust", "-f", "x.py", "--headless", "--ext-config=A.yaml", "-u", "5", "A"])
    assert list(scenario()) == ["A"]


def test_without_a_file_it_says_what_is_missing() -> None:
    with pytest.raises(ConfigError) as caught:
        scenario()
    assert str(caught.value) == (
        "--ext-config: expected a YAML file with user classes, such as users: {Crowd: {kind: agent, generator: mixed}}"
    )


def test_a_file_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["locust", "--ext-config", "nowhere.yaml"])
    with pytest.raises(ConfigError, match=r"^nowhere\.yaml: the file cannot be read: No such file or directory$"):
        scenario()


def test_what_install_was_given_will_do_and_a_file_stands_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults.add_code({"users": {"Crowd": {"kind": "agent"}, "Reader": {"kind": "context"}}}, "mine.py")
    assert {name: cls.__base__ for name, cls in scenario().items()} == {"Crowd": AgentUser, "Reader": ContextServerUser}
    monkeypatch.setenv("LOCUST_EXT_CONFIG", written("users: {Crowd: {kind: websocket}, Chat: {kind: socketio}}"))
    assert {name: cls.__base__ for name, cls in scenario().items()} == {
        "Crowd": WebSocketUser,
        "Reader": ContextServerUser,
        "Chat": FastSocketIOUser,
    }


def test_it_is_a_public_name() -> None:
    assert locust_ext.scenario is scenario
