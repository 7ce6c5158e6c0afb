"""The Socket.IO side, on the wire and by python-socketio's own client."""

from __future__ import annotations

import json
import queue
import time
import uuid
from contextlib import ExitStack
from typing import Any

import pytest
import socketio
from websockets.exceptions import ConnectionClosed

from tests.refserver.conftest import SOCKET_IO, Server, Talk, eventually


def test_snapshot_and_stats_arrive_before_the_namespace_is_confirmed(server: Server) -> None:
    server.post("/ctx", {"key": "before", "value": 1})
    with server.connect(SOCKET_IO) as talk:
        opening = json.loads(talk.text()[1:])
        assert opening.keys() == {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}
        assert (opening["pingInterval"], opening["pingTimeout"]) == (25000, 20000)
        talk.send("40")
        snapshot, stats, confirmation = talk.text(), talk.text(), talk.text()
    event, data = json.loads(snapshot[2:])
    assert event == "context_snapshot"
    assert data["context"]["before"] == 1
    assert data.keys() == {"context", "timestamp", "client_id"}
    assert json.loads(stats[2:]) == ["client_stats", {"count": 1}]
    assert json.loads(confirmation[2:]) == {"sid": data["client_id"]}


def test_an_unknown_namespace_is_refused(server: Server) -> None:
    with server.connect(SOCKET_IO) as talk:
        talk.text()
        talk.send("40/nowhere,")
        assert talk.text().startswith("44/nowhere,")


def test_a_set_is_confirmed_to_the_setter_and_told_to_all_others(server: Server) -> None:
    with server.live() as setter, server.live() as other:
        setter.send('42["context_set",{"key":"fan","value":[1],"who":"me"}]')
        assert setter.event("context_set_confirmed", "context_updated") == [
            "context_set_confirmed",
            {"key": "fan", "value": [1], "status": "success"},
        ]
        data = other.event("context_updated")[1]
        assert (data["key"], data["value"], data["who"]) == ("fan", [1], "me")
        setter.send('42["client_register",{}]')  # whatever came to the setter before this was no context_updated
        assert setter.event()[0] == "registration_confirmed"


def test_a_set_over_http_is_told_to_everybody(server: Server) -> None:
    with server.live() as one, server.live() as two:
        server.post("/ctx", {"key": "http", "value": 2})
        for talk in (one, two):
            assert talk.event("context_updated")[1]["who"] == "api_client"
        server.post("/ctx/dump", {"format": "csv", "filename": "told", "who": "x"})
        for talk in (one, two):
            dumped = talk.event("context_dumped")[1]
            assert dumped.keys() == {"filename", "format", "who", "key_count", "timestamp"}
            assert dumped["filename"] == "told.csv"


def test_registration_is_confirmed(server: Server) -> None:
    with server.live() as talk:
        talk.send('42["client_register",{"type":"bot","name":"n"}]')
        confirmed = talk.event("registration_confirmed")[1]
    assert confirmed.pop("client_id")
    assert confirmed == {"type": "bot", "name": "n", "status": "registered"}


@pytest.mark.parametrize("argument", ['{"value":1}', '{"key":"k"}', '{"key":"k","value":null}', "5", "null"])
def test_a_set_without_key_or_value_is_answered_by_an_error_event(server: Server, argument: str) -> None:
    with server.live() as talk:
        talk.send(f'42["context_set",{argument}]')
        event, data = talk.event()
    assert event == "error"
    assert list(data) == ["message"]


def test_a_known_event_is_acknowledged_and_an_unknown_one_never(server: Server) -> None:
    with server.live() as talk:
        talk.send('421["no_such_event",1]')
        talk.send('42["no_such_event",1]')
        talk.send('4217["context_set",{"key":"ack","value":1}]')
        assert talk.text().startswith('42["context_set_confirmed"')
        assert talk.text() == "4317[]"
        talk.send('4218["context_set",{}]')
        assert talk.text().startswith('42["error"')
        assert talk.text() == "4318[]"


def test_who_leaves_is_told_the_stats_too(server: Server) -> None:
    with server.live() as staying, server.live() as leaving:
        assert staying.event("client_stats")[1] == {"count": 2}
        leaving.send("41")
        assert leaving.event()[1] == {"count": 1}
        assert staying.event("client_stats")[1] == {"count": 1}
        server.post("/ctx", {"key": "left", "value": 1})
        staying.event("context_updated")
        leaving.send("40")  # it may come back; the update did not reach it in between
        assert leaving.event()[0] == "context_snapshot"


def test_a_closed_connection_leaves_the_namespace(server: Server) -> None:
    with server.live() as staying:
        with server.live():
            staying.event("client_stats")
        assert staying.event("client_stats")[1] == {"count": 1}


def test_a_binary_event_counts_as_one_and_its_attachments_do_not_get_into_the_context(server: Server) -> None:
    with server.live() as talk:
        talk.send('451-["context_set",{"key":"bin","value":{"_placeholder":true,"num":0}}]')
        talk.send(b"\x00\x01")
        assert talk.event()[0] == "error"
    assert server.counters()["by_type"] == {"context_set": 1}
    assert server.get("/ctx?key=bin").json()["value"] is None


def test_garbage_is_passed_over(server: Server) -> None:
    with server.live() as talk:
        for garbage in (
            "4",
            "42",
            "42{}",
            "42[",
            "9",
            "x",
            "42[7]",
            "451-[",
            "4" + "[" * 2000,
            b"stray",
            "43",
            "44",
        ):
            talk.send(garbage)
        talk.send('42["client_register",{}]')
        assert talk.event("registration_confirmed")


def test_more_than_max_payload_is_closed_with_1009(server: Server) -> None:
    with server.live() as talk:
        talk.send('42["context_set",{"key":"k","value":"' + "x" * 1_000_001 + '"}]')
        with pytest.raises(ConnectionClosed):
            talk.text()
        assert talk.close_code == 1009


def test_the_server_pings_and_a_client_that_does_not_answer_is_dead(start: type[Server]) -> None:
    server = start("--ping-interval-s", "0.1", "--ping-timeout-s", "0.2")
    with server.connect(SOCKET_IO) as talk:
        opening = json.loads(talk.text()[1:])
        assert (opening["pingInterval"], opening["pingTimeout"]) == (100, 200)
        for _ in range(2):
            assert talk.text() == "2"
            talk.send("3")
        assert talk.text() == "2"
        began = time.monotonic()
        assert talk.text() == "1"
        assert 0.15 < time.monotonic() - began < 2
        with pytest.raises(ConnectionClosed):
            talk.text()
    assert server.counters()["closed_by"] == {"engineio_ping_timeout": 1}


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]])
def test_python_socketio_clients_work_over_every_transport(server: Server, transports: list[str]) -> None:
    got: queue.Queue[tuple[str, Any]] = queue.Queue()
    client = socketio.Client()
    client.on("*", lambda event, data: got.put((event, data)))
    client.connect(server.url, transports=transports)
    key = uuid.uuid4().hex
    try:
        assert client.call("context_set", {"key": key, "value": 3}, timeout=5) is None
        server.post("/ctx", {"key": key, "value": 4})
        seen = {}
        while "context_updated" not in seen:
            event, data = got.get(timeout=5)
            seen[event] = data
        assert seen["context_set_confirmed"] == {"key": key, "value": 3, "status": "success"}
        assert seen["context_updated"]["value"] == 4
    finally:
        client.disconnect()
    counters = eventually(lambda: (c := server.counters())["open_connections"] == 0 and c)
    assert counters["connections"] == ("websocket" in transports)
    assert counters["messages_received"] == 1
    assert counters["sent_by_type"]["context_updated"] == 1


def test_one_change_reaches_hundreds_of_clients_exactly_once(server: Server) -> None:
    receivers = 200
    with ExitStack() as stack:
        talks: list[Talk] = [stack.enter_context(server.live()) for _ in range(receivers)]
        server.http.delete(server.url + "/counters")
        server.post("/ctx", {"key": "wide", "value": 1})
        for talk in talks:
            assert talk.event("context_updated")[1]["value"] == 1
        talks[0].send('42["context_set",{"key":"wide","value":2}]')
        for talk in talks[1:]:
            assert talk.event("context_updated")[1]["value"] == 2
        counters = server.counters()
    assert counters["sent_by_type"] == {"context_updated": 2 * receivers - 1, "context_set_confirmed": 1}
    assert counters["pushes_sent"] == 2 * receivers - 1
    assert counters["answered"] == 1
