"""`plugin.preparing`: entries that a run finds on the context server, and runs that are called off without them."""

from __future__ import annotations

from locust import constant, task
from locust.env import Environment
from locust.event import Events

import json
import logging
from argparse import Namespace
from collections.abc import Iterator
from typing import Any, ClassVar

import gevent
import pytest

from locust_ext.core.messages import ContextOps
from locust_ext.errors import ConfigError, TargetUnavailable
from locust_ext.plugin.extension import attach, extension_of
from locust_ext.plugin.intake import intake_of
from locust_ext.plugin.preparing import Preparing
from locust_ext.plugin.users.context import ContextServerUser
from tests.e2e.runs import Server
from tests.peers import Peer, PeerConnection, Step, eventually, refused_port, stall


def user_class(**attributes: Any) -> Any:
    class Reader(ContextServerUser):
        wait_time = constant(0.02)
        answers: ClassVar[list[Any]] = []

        @task
        def read(self) -> None:
            self.answers.append(self.get("key_1")["value"])

    for name, value in attributes.items():
        setattr(Reader, name, value)
    return Reader


@pytest.fixture
def environment() -> Iterator[Environment]:
    made = Environment(user_classes=[], events=Events())
    made.create_local_runner()
    yield made
    assert made.runner is not None
    made.runner.quit()
    if (extension := extension_of(made)) is not None:
        extension.close()


def context_of(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = server._ask("GET", "/ctx/all")["context"]
    return found


def test_all_entries_are_there_before_the_first_user_and_in_no_figure(environment: Environment, server: Server) -> None:
    reader = user_class(host=server.url, prepared_entries=57)
    environment.user_classes = [reader]
    extension = attach(environment)
    server._ask("DELETE", "/counters")
    assert environment.runner is not None
    environment.runner.start(2, spawn_rate=2)
    eventually(lambda: len(reader.answers) >= 5)
    environment.runner.stop()
    assert all(isinstance(each, str) and 16 <= len(each) <= 256 for each in reader.answers)
    assert {f"key_{index}" for index in range(57)} <= context_of(server).keys()
    (read,) = extension.snapshot().operations
    assert (read.type, read.name) == ("GET", "/ctx")
    assert environment.stats.entries.keys() == {("/ctx", "GET")}
    asked = server.counters()["http_requests"] - 57 - 1  # the last is that of `context_of`
    assert read.ok <= asked <= read.started


def test_without_a_web_ui_they_are_set_before_the_run_and_its_start_does_not_set_them_again(
    environment: Environment, server: Server
) -> None:
    environment.parsed_options = Namespace(headless=True)
    environment.user_classes = [user_class(host=server.url, prepared_entries=3, prepared_entry=lambda *_: ("once", 1))]
    preparing = Preparing(environment)
    preparing.first()
    assert context_of(server)["once"] == 1
    server._ask("POST", "/ctx", {"key": "once", "value": "of somebody else"})
    preparing.again()
    assert context_of(server)["once"] == "of somebody else"
    preparing.again()  # another run
    assert context_of(server)["once"] == 1


def test_without_a_web_ui_a_server_that_does_not_take_them_is_an_error_before_the_run(environment: Environment) -> None:
    environment.parsed_options = Namespace(headless=True)
    environment.user_classes = [user_class(host=f"http://127.0.0.1:{refused_port()}", prepared_entries=3)]
    with pytest.raises(TargetUnavailable, match="the 3 entries that Reader needs cannot be set: refused"):
        Preparing(environment).first()
    environment.user_classes[0].host = None
    with pytest.raises(TargetUnavailable, match="Reader: You must specify the base host"):
        Preparing(environment).first()


def test_with_a_web_ui_nothing_is_set_before_a_run(environment: Environment, server: Server) -> None:
    environment.parsed_options = Namespace(headless=False)
    environment.user_classes = [user_class(host=server.url, prepared_entries=1, prepared_entry=lambda *_: ("ui", 1))]
    preparing = Preparing(environment)
    preparing.first()
    assert "ui" not in context_of(server)
    preparing.again()
    assert context_of(server)["ui"] == 1


def test_the_entries_are_set_again_for_each_run(environment: Environment, server: Server) -> None:
    environment.user_classes = [user_class(host=server.url, prepared_entries=3, prepared_entry=lambda *_: ("one", 1))]
    attach(environment)
    runner = environment.runner
    assert runner is not None
    for _ in range(2):
        server._ask("POST", "/ctx", {"key": "one", "value": "of somebody else"})
        runner.start(1, spawn_rate=1)
        eventually(lambda: runner.user_count == 1)
        runner.stop()
        assert context_of(server)["one"] == 1


def test_a_class_with_shared_keys_of_its_own_finds_those(environment: Environment, server: Server) -> None:
    ops = ContextOps(prefix="mine_", value_bytes=4)
    cls = type("Ops", (ContextServerUser,), {"host": server.url, "generator": ops, "prepared_entries": 12})
    environment.user_classes = [cls]
    Preparing(environment).again()
    found = context_of(server)
    assert [len(found[f"mine_{index}"]) for index in range(12)] == [4] * 12


def test_the_host_of_the_run_is_prepared_and_not_that_of_the_class(environment: Environment, server: Server) -> None:
    environment.host = server.url
    environment.user_classes = [
        user_class(host="http://127.0.0.1:1", prepared_entries=1, prepared_entry=lambda *_: ("h", 2))
    ]
    Preparing(environment).again()
    assert context_of(server)["h"] == 2


def test_a_server_that_fails_now_and_then_is_asked_again_until_each_entry_is_set(
    environment: Environment, server: Server
) -> None:
    server.misbehave(error_ratio=0.3, seed=7)
    environment.user_classes = [
        user_class(host=server.url, prepared_entries=40, prepared_entry=lambda _, i: (f"again_{i}", i))
    ]
    Preparing(environment).again()
    assert server.counters()["faults_injected"]["error_ratio"] > 3
    server.misbehave()
    found = context_of(server)
    assert [found[f"again_{index}"] for index in range(40)] == list(range(40))
    assert intake_of(environment).recorder.snapshot(0).operations == ()


def answering(status: str, body: bytes = b"{}") -> Step:
    """Answer each request of a connection."""

    def step(peer: PeerConnection) -> None:
        peer.sock.settimeout(5)
        while data := peer.sock.recv(4096):
            peer.head += data
            if b'"value"' in data:
                head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                peer.sock.sendall(head.encode() + body)

    return step


def test_the_entries_are_set_with_the_classs_headers_and_token(environment: Environment) -> None:
    with Peer([answering("200 OK", json.dumps({"status": "success"}).encode())]) as peer:
        environment.user_classes = [
            user_class(host=peer.url, prepared_entries=1, headers={"X-Tenant": "blue"}, token=lambda user: "s3cret")
        ]
        Preparing(environment).again()
        head = peer.connections[0].head.lower()
    assert b"x-tenant: blue" in head
    assert b"authorization: bearer s3cret" in head


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        ("404 Not Found", b"{}", "http_404 - the server answered with HTTP status 404"),
        ("200 OK", b"<html>", "the answer is not that of a context server"),
    ],
)
def test_a_server_that_is_none_of_contexts_calls_the_run_off_at_once(
    environment: Environment, caplog: pytest.LogCaptureFixture, status: str, body: bytes, text: str
) -> None:
    with Peer([answering(status, body)]) as peer:
        environment.user_classes = [user_class(host=peer.url, prepared_entries=1)]
        with caplog.at_level(logging.ERROR, "locust_ext"), pytest.raises(gevent.GreenletExit):
            Preparing(environment).again()
        assert len(peer.connections) == 1
    assert caplog.messages == [f"{peer.url}: the 1 entries that Reader needs cannot be set: {text}"]


def test_with_a_web_ui_a_run_that_was_called_off_has_no_user_and_the_next_one_can_begin(
    environment: Environment, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    reader = user_class(host=f"http://user:s3cret@127.0.0.1:{refused_port()}", prepared_entries=4)
    environment.user_classes = [reader]
    extension = attach(environment)
    runner = environment.runner
    assert runner is not None
    with caplog.at_level(logging.ERROR, "locust_ext"):
        runner.start(2, spawn_rate=2)
        eventually(lambda: runner.state == "stopped")
    assert "cannot be set: refused - the target refused the TCP connection" in caplog.text
    assert "s3cret" not in caplog.text
    assert (runner.user_count, reader.answers) == (0, [])
    reader.host = server.url
    runner.start(2, spawn_rate=2)
    eventually(lambda: len(reader.answers) >= 4)
    runner.stop()
    assert extension.snapshot().run.valid


def test_a_run_that_ends_before_it_is_prepared_is_no_success(
    environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    """By Ctrl-C or the stop button, while the server answers nothing: nothing was measured."""
    environment.parsed_options = Namespace(headless=True)
    with Peer([stall()]) as peer:
        environment.user_classes = [user_class(host=peer.url, prepared_entries=30)]
        preparing = gevent.spawn(Preparing(environment).again)
        eventually(lambda: len(peer.connections) == 10)
        preparing.kill()
    assert isinstance(preparing.value, gevent.GreenletExit)
    assert environment.process_exit_code == 1
    told = capsys.readouterr().err
    assert told == "locust-ext: error: the run ended before the 30 entries of Reader were set\n"


@pytest.mark.parametrize("wrong", [-1, 1.5, True, "10"])
def test_a_wrong_number_of_entries_is_an_error_of_the_class(wrong: object) -> None:
    with pytest.raises(ConfigError, match=r"Wrong\.prepared_entries: expected a whole number of at least 0"):
        type("Wrong", (ContextServerUser,), {"prepared_entries": wrong})
