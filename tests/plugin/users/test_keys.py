"""`plugin.users.keys` and `rules`: what the keys of ``users.CLASS`` do to the classes that have them."""

from __future__ import annotations

from locust import FastHttpUser, User, constant

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from locust_ext import AgentUser, ConfigError, ContextServerUser, FastSocketIOUser, RealisticUser, WebSocketUser
from locust_ext.core.pacing import ClosedLoop
from locust_ext.core.protocols.correlation import AgentChannel, ByType, Fifo, MonitorChannel
from locust_ext.core.protocols.ties import FanOut
from locust_ext.plugin.users.keys import KEYS, correlation, keys_of
from locust_ext.plugin.users.rules import UserRules
from locust_ext.settings import load_settings, unpacked
from locust_ext.settings.matching import CorrelationSettings
from locust_ext.settings.users import UserSettings


class Crowd(AgentUser):
    host = "http://code"
    generator = "ping"


class Echo(WebSocketUser):
    generator = "event"


class Chat(FastSocketIOUser):
    pass


class Reader(ContextServerUser):
    generator = "context_ops"


class Person(RealisticUser):
    abstract = False


class Analyst(AgentUser):
    tasks = [lambda user: None]  # noqa: RUF012 – as Locust has it


class Browser(FastHttpUser):
    wait_time = constant(9)
    weight = 0


class Plain(User):
    wait_time = constant(9)


class Heir(Crowd):
    """Of a class that the file may name."""


CLASSES: list[type[Any]] = [Crowd, Echo, Chat, Reader, Person, Analyst, Browser, Plain, Heir]


@pytest.fixture
def rules() -> Iterator[UserRules]:
    made = UserRules()
    before = {cls: dict(cls.__dict__) for cls in CLASSES}
    yield made
    made.undo()
    for cls in CLASSES:
        for name in (*KEYS, "wait_time", "pacing", "connection_timeout", "network_timeout"):
            assert cls.__dict__.get(name) is before[cls].get(name), f"{cls.__name__}.{name}"


def applied(rules: UserRules, folder: Path, text: str, **environ: str) -> None:
    (folder / "ext.yaml").write_text(text)
    rules.apply(load_settings(folder / "ext.yaml", environ), [], [], CLASSES)


def refused(rules: UserRules, folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        applied(rules, folder, text)
    return str(caught.value).removeprefix(f"{folder}/ext.yaml: ")


def test_every_key_is_an_attribute_of_the_classes_that_have_it() -> None:
    for name, key in KEYS.items():
        for cls in CLASSES:
            if issubclass(cls, key.of):
                for attribute in key.attributes(name, cls):
                    assert hasattr(cls, attribute), f"{cls.__name__}.{attribute}"
    driven = {"kind", "pattern", "generator", "pacing", "think_time"}
    assert set(KEYS) | driven == set(UserSettings.model_fields)


def test_a_class_has_the_keys_of_its_protocol_and_of_who_drives_it() -> None:
    assert {"path", "correlate", "heartbeat_s", "generator", "pacing", "max_in_flight"} <= set(keys_of(Crowd))
    assert {"max_inbox", "socketio_path", "prepared_entries"}.isdisjoint(keys_of(Crowd))
    assert {"namespace", "socketio_path", "auth", "confirm"} <= set(keys_of(Chat))
    assert {"path", "max_in_flight", "correlate"}.isdisjoint(keys_of(Chat))
    assert {"path", "namespace", "fan_out"}.isdisjoint(keys_of(Reader))
    assert {"generator", "pattern", "pacing", "think_time"}.isdisjoint(keys_of(Person))
    assert {"path", "prepared_entries", "fan_out"} <= set(keys_of(Person))
    assert {"pattern", "think_time", "max_inbox", "inbox_policy"} <= set(keys_of(Analyst))
    assert {"generator", "pacing"}.isdisjoint(keys_of(Analyst))
    assert keys_of(Plain) == ["kind", "weight", "fixed_count", "host", "think_time"]
    assert keys_of(Browser) == [*keys_of(Plain), "connect_timeout_s", "request_timeout_s"]


def test_plain_values_are_set_as_they_are_written(rules: UserRules, tmp_path: Path) -> None:
    applied(
        rules,
        tmp_path,
        """
        users:
          Crowd: {weight: 2.5, host: 'http://file', path: '/ws/{client_id}', heartbeat_s: 0, max_in_flight: 4}
          Chat: {fixed_count: 3, ping_interval_s: 5, namespace: /chat, socketio_path: /io/, auth: {key: value}}
          Reader: {prepared_entries: 10, verify_tls: false, headers: {X-Number: "0123"}, token: abc}
          Analyst: {max_inbox: 7, inbox_policy: close, subprotocols: [a, b], origin: 'http://o'}
        """,
    )
    assert (Crowd.weight, Crowd.host, Crowd.path, Crowd.heartbeat_s) == (2.5, "http://file", "/ws/{client_id}", 0)
    assert (Crowd.max_in_flight, Chat.ping_interval_s) == (4, 5)
    assert (Chat.fixed_count, Chat.namespace, Chat.socketio_path, Chat.auth) == (3, "/chat", "/io/", {"key": "value"})
    assert (Reader.prepared_entries, Reader.verify_tls) == (10, False)
    assert (Reader.headers, Reader.token) == ({"X-Number": "0123"}, "abc")
    assert (Analyst.max_inbox, Analyst.inbox_policy, Analyst.origin) == (7, "close", "http://o")
    assert Analyst.subprotocols == ("a", "b")


def test_timeouts_hold_for_the_http_side_too(rules: UserRules, tmp_path: Path) -> None:
    names = ", ".join(
        f"{name}: {{connect_timeout_s: 3, request_timeout_s: 4}}" for name in ("Echo", "Reader", "Browser")
    )
    applied(rules, tmp_path, f"users: {{{names}}}")
    assert (Echo.connect_timeout_s, Echo.request_timeout_s) == (3, 4)
    assert (Reader.connect_timeout_s, Reader.request_timeout_s) == (3, 4)
    assert (Reader.connection_timeout, Reader.network_timeout) == (3, 4)
    assert (Browser.connection_timeout, Browser.network_timeout) == (3, 4)
    assert "connect_timeout_s" not in vars(Browser)


def test_think_time_is_the_pace_of_a_generator_and_the_wait_time_of_tasks(rules: UserRules, tmp_path: Path) -> None:
    applied(
        rules,
        tmp_path,
        "users: {Crowd: {think_time: 2}, Echo: {think_time: [1, 3]}, Analyst: {think_time: 0.5}, Plain: {think_time: [2, 4]}}",
    )
    assert Crowd.pacing == ClosedLoop(2)
    assert isinstance(Echo.pacing, ClosedLoop)
    assert all(1 <= Echo.pacing.seconds(None) <= 3 for _ in range(20))
    assert Analyst.wait_time(None) == 0.5
    assert Analyst.pacing is None
    assert all(2 <= Plain.wait_time(None) <= 4 for _ in range(20))


def test_a_class_that_inherits_from_a_named_one_stays_as_its_code_has_it(rules: UserRules, tmp_path: Path) -> None:
    applied(rules, tmp_path, "users: {Crowd: {fixed_count: 3, generator: query, path: /a}}")
    assert (Crowd.fixed_count, Crowd.path) == (3, "/a")
    assert (Heir.fixed_count, Heir.path, Heir.generator) == (0, AgentUser.path, "ping")
    applied(rules, tmp_path, "users: {Heir: {fixed_count: 2}, Crowd: {fixed_count: 3}}")
    assert (Crowd.fixed_count, Heir.fixed_count) == (3, 2)


def test_numbers_of_the_environment_will_do(rules: UserRules, tmp_path: Path) -> None:
    applied(
        rules,
        tmp_path,
        "users: {Crowd: {think_time: '${T}', weight: '${W}', compression: '${C}'}}",
        T="2",
        W="3",
        C="true",
    )
    assert (Crowd.pacing, Crowd.weight, Crowd.compression) == (ClosedLoop(2.0), 3, True)


def test_files_are_beside_the_settings_file(rules: UserRules, tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    for name in ("ca.pem", "c.pem", "tls/k.pem"):
        (tmp_path / name).touch()
    applied(
        rules, tmp_path, f"users: {{Crowd: {{ca_file: ca.pem, client_certificate: [c.pem, {tmp_path}/tls/k.pem]}}}}"
    )
    assert Crowd.ca_file == str(tmp_path / "ca.pem")
    assert Crowd.client_certificate == (str(tmp_path / "c.pem"), str(tmp_path / "tls/k.pem"))


def test_events_that_confirm_and_the_fan_out_become_rules(rules: UserRules, tmp_path: Path) -> None:
    applied(
        rules,
        tmp_path,
        "users: {Chat: {confirm: {join: joined, set: [done, [key]]}, fan_out: news}, "
        "Crowd: {fan_out: {event: system_event, to_sender: false}}}",
    )
    assert Chat.confirm == {"join": "joined", "set": ("done", ("key",))}
    assert isinstance(Chat.fan_out, FanOut)
    assert isinstance(Crowd.fan_out, FanOut)
    assert (Chat.fan_out.event, Chat.fan_out.to_sender) == ("news", True)
    assert (Crowd.fan_out.event, Crowd.fan_out.to_sender) == ("system_event", False)


def matching(**given: Any) -> Any:
    return correlation(CorrelationSettings.model_validate(given), Path())


@pytest.mark.parametrize(("name", "cls"), [("fifo", Fifo), ("agent", AgentChannel), ("monitor", MonitorChannel)])
def test_a_rule_of_correlation_may_have_a_name(name: str, cls: type[Any]) -> None:
    assert type(matching(named=name)) is cls


def test_replies_are_matched_by_id_by_type_or_by_a_field() -> None:
    ids = iter(range(7, 100))
    by_id = matching(by_id="ref", integers=True)
    assert by_id.outgoing({"a": 1}, lambda: next(ids)) == ({"a": 1, "ref": 7}, 7)
    assert matching(named="by_id").incoming({"id": "x"}) == "x"
    by_type = matching(by_type={"ping": "pong"}, type_field="kind", error="oops")
    assert isinstance(by_type, ByType)
    assert by_type.outgoing({"kind": "ping"}, lambda: 1)[1] == by_type.incoming({"kind": "pong"}) == "pong"
    assert by_type.incoming({"kind": "oops"}) is not None
    by_field = matching(by_field="data.ref")
    assert by_field.outgoing({"data": {"ref": 5}}, lambda: 1)[1] == by_field.incoming({"data": {"ref": 5}}) == 5
    assert by_field.incoming({"data": []}) is None
    assert by_field.incoming(b"bytes") is None
    assert by_field.incoming({"data": {"ref": True}}) is None


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "users: {Reader: {kind: context, path: /x}}",
            "users.Reader.path: users of kind context do not have this key, expected one of kind, weight, fixed_count, host",
        ),
        ("users: {Chat: {max_in_flight: 2}}", "users.Chat.max_in_flight: users of Chat do not have this key"),
        (
            "users: {Plain: {generator: ping}}",
            "users.Plain.generator: expected a user class that takes a generator: it is none of locust_ext's (got 'Plain')",
        ),
        ("users: {Plain: {headers: {A: SECRET}}}", "users.Plain.headers: users of Plain do not have this key"),
        (
            "users: {Person: {think_time: 2}}",
            "users.Person.think_time: expected a user class that takes a pacing: it plays the profiles",
        ),
        (
            "users: {Crowd: {max_inbox: 5}}",
            "users.Crowd.max_inbox: expected this beside tasks only: users that a generator drives keep no pushes",
        ),
        (
            "users: {Chat: {think_time: 5}}",
            "users.Chat.think_time: expected a generator beside it: without one these users only listen",
        ),
        (
            "users: {Crowd: {kind: context}}",
            "users.Crowd.kind: expected the kind of the locustfile's class Crowd, agent or websocket (got 'context')",
        ),
        (
            "users: {Plain: {kind: agent}}",
            "users.Plain.kind: expected the kind of the locustfile's class Plain, which has none (got 'agent')",
        ),
        (
            "users: {Nobody: {weight: 2}}",
            "users.Nobody: expected a user class of the locustfile, one of Crowd, Echo, Chat, Reader, Person, Analyst, "
            "Browser, Plain, Heir (got 'Nobody')",
        ),
        ("users: {Crowd: {proxy: 'ftp://a:SECRET@b'}}", "users.Crowd.proxy: expected http://[user:password@]host:port"),
        ("users: {Crowd: {proxy: SECRET}}", "users.Crowd.proxy: expected http://[user:password@]host:port"),
        ("users: {Crowd: {ca_file: nix.pem}}", "users.Crowd.ca_file: expected a file that is there (got '"),
        (
            "users: {Crowd: {client_certificate: [nix.pem, k]}}",
            "users.Crowd.client_certificate: expected a file that is",
        ),
        (
            "users: {Crowd: {path: '/{clientid}'}}",
            "users.Crowd.path: unknown placeholder, expected {client_id} (got '{clientid}'); did you mean '{client_id}'?",
        ),
        ("users: {Crowd: {path: '/{client_id'}}", "users.Crowd.path: expected no brace but those of {client_id} (got"),
        (
            "users: {Crowd: {monitor_path: /a b}}",
            "users.Crowd.monitor_path: expected a path without spaces (got '/a b')",
        ),
        (
            "users: {Crowd: {path: 'ws://x/'}}",
            "users.Crowd.path: expected a path such as /ws: the address before it is",
        ),
        ("users: {Chat: {socketio_path: 'http://x/'}}", "users.Chat.socketio_path: expected a path such as /ws: the"),
        ("users: {Crowd: {token: [SECRET]}}", "users.Crowd.token: expected a text"),
        ("users: {Crowd: {headers: {A: [SECRET]}}}", "users.Crowd.headers.A: expected a text"),
        ("users: {Crowd: {headers: {'A b': SECRET}}}", "users.Crowd.headers: expected names of headers"),
        ('users: {Crowd: {headers: {A: "SEC\\r\\nRET"}}}', "users.Crowd.headers: expected ASCII values of one line"),
        ("users: {Crowd: {host: 'ftp://a:SECRET@b'}}", "users.Crowd.host: expected a base URL, such as http"),
        (
            "users: {Crowd: {think_time: 1, pacing: {open_loop: 2}}}",
            "users.Crowd: expected either think_time or pacing",
        ),
        (
            "users: {Crowd: {correlate: {by_id: a, named: fifo}}}",
            "users.Crowd.correlate: expected one of by_id, by_type, by_field and named",
        ),
        (
            "users: {Crowd: {correlate: fifa}}",
            "users.Crowd.correlate: expected one of fifo, by_id, agent, monitor (got 'fifa'); did you mean 'fifo'?",
        ),
        (
            "users: {Crowd: {correlate: {by_typ: {}}}}",
            "users.Crowd.correlate.by_typ: unknown key, expected one of by_id, integers, by_type, type_field, error, "
            "by_field, named; did you mean 'by_type'?",
        ),
        ("users: {Crowd: {fan_out: {to_sender: false}}}", "users.Crowd.fan_out.event: this key is required"),
        ("users: {Chat: {confirm: {join: 5}}}", "users.Chat.confirm: expected a confirming event, or a pair of it"),
        ("users: {Crowd: {subprotocols: 5}}", "users.Crowd.subprotocols: expected a text, or a list of texts (got 5)"),
        (
            "users: {Crowd: {inbox_policy: open}}",
            "users.Crowd.inbox_policy: expected one of drop_oldest, close (got 'open')",
        ),
        ("users: {Crowd: {fixed_count: -1}}", "users.Crowd.fixed_count: expected a number of at least 0 (got -1)"),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_without_secrets(
    rules: UserRules, tmp_path: Path, text: str, error: str
) -> None:
    said = refused(rules, tmp_path, text)
    assert said.startswith(error)
    assert "SECRET" not in said


def test_users_of_a_context_server_that_say_nothing_are_refused_where_the_file_has_made_them(
    rules: UserRules, tmp_path: Path
) -> None:
    class Silent(ContextServerUser):
        abstract = False

    CLASSES.append(Silent)
    try:
        assert refused(rules, tmp_path, "users: {Silent: {kind: context}}") == (
            "users.Silent.generator: this key is required, such as context_ops: without it users of this kind do nothing"
        )
        applied(rules, tmp_path, "users: {Silent: {weight: 2}}")  # code may do something in on_start
        rules.undo()
    finally:
        CLASSES.remove(Silent)


def selected(rules: UserRules, folder: Path, text: str, classes: list[type[Any]], *, keeps: bool = False) -> None:
    applied(rules, folder, text)
    rules.select(load_settings(folder / "ext.yaml"), classes, CLASSES, keeps=keeps)


def test_a_class_that_the_file_gives_no_weight_has_no_users(rules: UserRules, tmp_path: Path) -> None:
    classes: list[type[Any]] = [Crowd, Echo, Plain]
    selected(rules, tmp_path, "users: {Crowd: {weight: 0}, Echo: {weight: 0, fixed_count: 2}}", classes)
    assert classes == [Echo, Plain]
    rules.undo()
    assert classes == [Crowd, Echo, Plain]


def test_a_class_whose_code_gives_it_no_weight_has_users_if_the_file_says_so(rules: UserRules, tmp_path: Path) -> None:
    classes: list[type[Any]] = [Crowd]
    selected(rules, tmp_path, "users: {Browser: {weight: 1}}", classes)
    assert classes == [Crowd, Browser]


def test_a_worker_keeps_all_classes_that_its_master_may_ask_for(rules: UserRules, tmp_path: Path) -> None:
    classes: list[type[Any]] = [Crowd, Echo]
    selected(rules, tmp_path, "users: {Crowd: {weight: 0}, Browser: {fixed_count: 1}}", classes, keeps=True)
    assert classes == [Crowd, Echo, Browser]


def test_no_users_at_all_are_refused(rules: UserRules, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="users: expected a class with a weight or a fixed_count above 0"):
        selected(rules, tmp_path, "users: {Crowd: {weight: 0}}", [Crowd])


def test_what_the_master_sends_its_workers_says_the_same_and_keeps_its_secrets(tmp_path: Path) -> None:
    (tmp_path / "ext.yaml").write_text(
        """
        users:
          Crowd: {correlate: {by_type: {a: [b, c]}}, fan_out: news, think_time: [1, 2], headers: {A: b}, subprotocols: [x]}
          Chat: {confirm: {set: [done, [key]]}, auth: {n: 1}, client_certificate: [c.pem, k.pem], fixed_count: 0}
          Reader: {kind: context, path: "${PATH_OF_IT}"}
        """
    )
    settings = load_settings(tmp_path / "ext.yaml", {"PATH_OF_IT": "/x"})
    told = unpacked(settings.packed())
    assert told == settings
    assert told.is_secret("users.Reader.path")
    assert told.is_secret("users.Crowd.headers.A")
    assert not told.is_secret("users.Crowd.fan_out")
