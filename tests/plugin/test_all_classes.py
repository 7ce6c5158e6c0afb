"""The host and the timeouts of all user classes: who wins over whom, and that it can be undone."""

from __future__ import annotations

from locust import HttpUser
from locust.contrib.fasthttp import FastHttpUser
from locust.env import Environment

from collections.abc import Iterator
from typing import Any

import pytest

from locust_ext import ContextServerUser, WebSocketUser
from locust_ext.plugin.all_classes import AllClasses, class_host
from locust_ext.settings import Settings, layer, settings_of


class Plain(WebSocketUser):
    path = "/"


class Patient(WebSocketUser):
    path = "/"
    host = "http://own"
    connect_timeout_s = 30.0
    request_timeout_s = 40.0


class VeryPatient(Patient):
    pass


class Context(ContextServerUser):
    pass


class Fast(FastHttpUser):
    pass


class Requests(HttpUser):
    pass


EVERYONE: list[Any] = [Plain, Patient, VeryPatient, Context, Fast, Requests]


def code(**document: Any) -> Settings:
    return settings_of(layer(document, "locustfile.py", is_file=False))


def file(**document: Any) -> Settings:
    return settings_of(layer(document, "x.yaml", is_file=True))


@pytest.fixture
def classes() -> Iterator[AllClasses]:
    made = AllClasses()
    yield made
    made.undo()


def timeouts() -> dict[str, tuple[Any, ...]]:
    names = ("connect_timeout_s", "request_timeout_s", "connection_timeout", "network_timeout")
    return {cls.__name__: tuple(getattr(cls, name, None) for name in names) for cls in EVERYONE}


def test_a_file_sets_the_timeouts_of_every_class_that_has_some(classes: AllClasses) -> None:
    before = timeouts()
    classes.apply(file(timeouts={"connect_s": 3, "request_s": 5}), None, EVERYONE)
    assert timeouts() == {
        "Plain": (3, 5, None, None),
        "Patient": (3, 5, None, None),
        "VeryPatient": (3, 5, None, None),
        "Context": (3, 5, 3, 5),
        "Fast": (None, None, 3, 5),
        "Requests": (None, None, None, None),
    }
    classes.undo()
    assert timeouts() == before
    assert "request_timeout_s" not in vars(Plain)


def test_a_call_of_install_leaves_what_a_class_says_itself(classes: AllClasses) -> None:
    classes.apply(code(timeouts={"connect_s": 3, "request_s": 5}), None, EVERYONE)
    assert timeouts()["Plain"] == (3, 5, None, None)
    assert timeouts()["Patient"] == timeouts()["VeryPatient"] == (30, 40, None, None)
    assert timeouts()["Context"] == (3, 5, 3, 5)  # what the package says is nobody's own


def test_only_the_timeout_that_is_given_is_changed(classes: AllClasses) -> None:
    classes.apply(file(timeouts={"request_s": 5}), None, EVERYONE)
    assert timeouts()["Patient"] == (30, 5, None, None)
    assert timeouts()["Context"] == (10, 5, 10, 5)


def test_a_second_time_undoes_the_first(classes: AllClasses) -> None:
    classes.apply(file(timeouts={"request_s": 5}), "http://x", EVERYONE)
    classes.apply(file(timeouts={"connect_s": 6}), None, EVERYONE)
    assert timeouts()["Plain"] == (6, 10, None, None)
    assert [cls.host for cls in EVERYONE] == [None, "http://own", "http://own", None, None, None]


def hosts(classes: AllClasses, environment: Environment, settings: Settings) -> list[Any]:
    """The host that each class ends up with; what is left with Locust overrides them all."""
    host = class_host(environment, settings)
    classes.apply(settings, host, EVERYONE)
    return [environment.host or cls.host for cls in EVERYONE]


def environment(host: str | None) -> Environment:
    return Environment(user_classes=EVERYONE, host=host)


def test_a_host_of_the_command_line_is_left_to_locust(classes: AllClasses) -> None:
    given = environment("http://flag")
    settings = file(run={"host": "http://file"}, users={"Plain": {"host": "http://plain"}})
    assert hosts(classes, given, settings) == ["http://flag"] * 6
    assert given.host == "http://flag"


def test_embedded_is_given_to_each_class_wherever_it_was_said(classes: AllClasses) -> None:
    for settings in (Settings(), file(run={"host": "embedded"})):
        given = environment("embedded")
        assert hosts(classes, given, settings) == ["embedded"] * 6
        assert given.host is None
        classes.undo()


def test_the_host_of_a_single_class_wins_over_that_of_the_run(classes: AllClasses) -> None:
    settings = file(run={"host": "http://file"}, users={"Fast": {"host": "http://fast"}})
    given = environment("http://file")
    assert hosts(classes, given, settings)[:4] == ["http://file"] * 4
    assert Fast.host is None  # `UserRules` puts its own
    assert Requests.host == "http://file"  # type: ignore[comparison-overlap]


def test_a_host_in_install_is_for_classes_without_one(classes: AllClasses) -> None:
    given = environment("http://code")
    found = hosts(classes, given, code(run={"host": "http://code"}))
    assert found == ["http://code", "http://own", "http://own", *["http://code"] * 3]
    classes.undo()
    given = environment("embedded")
    found = hosts(classes, given, code(run={"host": "embedded"}))
    assert found == ["embedded", "http://own", "http://own", *["embedded"] * 3]
