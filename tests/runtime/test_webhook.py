"""`runtime.webhook`: posts arrive, and whoever does not answer keeps nobody waiting."""

from __future__ import annotations

import logging
from time import monotonic
from typing import Any

import orjson
import pytest
from gevent.event import Event
from gevent.pywsgi import WSGIServer
from gevent.server import StreamServer

from locust_ext.runtime.webhook import MAX_WAITING, Webhook


class Receiver:
    """A server on loopback that keeps what it is posted, and answers with a status."""

    def __init__(self, status: str = "200 OK") -> None:
        self.status = status
        self.got: list[tuple[str, Any]] = []
        self.server = WSGIServer(("127.0.0.1", 0), self._answer, log=None)
        self.server.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?token=s3cret"

    def _answer(self, environ: Any, start_response: Any) -> list[bytes]:
        self.got.append((environ["CONTENT_TYPE"], orjson.loads(environ["wsgi.input"].read())))
        start_response(self.status, [("Content-Length", "0")])
        return []


@pytest.fixture
def silent() -> Any:
    """The address of a server that takes connections and never answers."""
    over = Event()
    server = StreamServer(("127.0.0.1", 0), lambda sock, address: over.wait(30))
    server.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    over.set()
    server.stop()


@pytest.fixture
def receiver() -> Any:
    made = Receiver()
    yield made
    made.server.stop()


def test_messages_arrive_as_json_in_their_order(receiver: Receiver) -> None:
    webhook = Webhook(receiver.url)
    for number in range(3):
        webhook.send({"text": f"critical: {number}", "value": 1.5})
    webhook.finish(5)
    assert receiver.got == [("application/json", {"text": f"critical: {n}", "value": 1.5}) for n in range(3)]
    assert (webhook.sent, webhook.dropped) == (3, 0)


def test_sending_returns_at_once_and_a_silent_receiver_is_given_up_at_the_deadline(
    silent: str, caplog: pytest.LogCaptureFixture
) -> None:
    webhook = Webhook(silent, timeout_s=0.2)
    began_s = monotonic()
    webhook.send({"text": "one"})
    webhook.send({"text": "two"})
    assert monotonic() - began_s < 0.1
    with caplog.at_level(logging.WARNING):
        webhook.finish(5)
    assert monotonic() - began_s < 3
    assert (webhook.sent, webhook.dropped) == (0, 2)
    assert [record.getMessage() for record in caplog.records] == [
        "a webhook did not take an alert: no answer within 0.2 s (not said again)"
    ]


def test_a_refusal_is_told_by_its_status_and_never_with_the_address(caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver("403 Forbidden")
    try:
        webhook = Webhook(receiver.url)
        with caplog.at_level(logging.WARNING):
            webhook.send({"text": "one"})
            webhook.finish(5)
        assert "HTTP status 403" in caplog.text
        assert "s3cret" not in caplog.text
        assert (webhook.sent, webhook.dropped) == (0, 1)
    finally:
        receiver.server.stop()


def test_nobody_there_is_one_warning_without_the_address(caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver()
    receiver.server.stop()
    webhook = Webhook(receiver.url)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            webhook.send({"text": "one"})
        webhook.finish(5)
    assert len(caplog.records) == 1
    assert "ConnectionRefusedError" in caplog.text
    assert "s3cret" not in caplog.text
    assert webhook.dropped == 3


def test_too_many_messages_drop_the_oldest(receiver: Receiver) -> None:
    webhook = Webhook(receiver.url)
    for number in range(MAX_WAITING + 5):
        webhook.send({"number": number})
    webhook.finish(10)
    assert [message["number"] for _, message in receiver.got] == list(range(5, MAX_WAITING + 5))
    assert (webhook.sent, webhook.dropped) == (MAX_WAITING, 5)


def test_what_is_not_sent_in_time_is_given_up(silent: str) -> None:
    webhook = Webhook(silent, timeout_s=20)
    for _ in range(4):
        webhook.send({})
    began_s = monotonic()
    webhook.finish(0.2)
    assert monotonic() - began_s < 2
    assert webhook.dropped == 3  # and the one that was under way
    webhook.finish(0.2)
