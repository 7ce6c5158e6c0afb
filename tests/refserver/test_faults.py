"""Each fault, on the wire of each channel it reaches, and that chance is repeatable."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
import requests
from websockets.exceptions import ConnectionClosed, InvalidStatus

from locust_ext.refserver.faults import EXPECTED, FaultSet
from tests.refserver.conftest import DEADLINE_S, Server, Talk, eventually

PING = {"type": "ping"}
UPGRADE = (
    b"GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture
def server(server: Server) -> Iterator[Server]:
    yield server
    server.put_faults()


def _took(act: Callable[[], Any]) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began


def test_every_key_is_told_with_its_neutral_value_and_a_put_replaces_the_whole_set(server: Server) -> None:
    neutral = server.get("/faults").json()
    assert neutral.keys() == EXPECTED.keys() == FaultSet.__dataclass_fields__.keys()
    everything = {
        "seed": 7,
        "latency_ms": 1,
        "jitter_ms": 2.5,
        "latency_ms_per_connection": 0.1,
        "stall": {"after_s": 1, "for_s": 2},
        "error_ratio": 0.5,
        "drop_ratio": 1,
        "close_code": 4001,
        "silent_ratio": 0,
        "duplicate_ratio": 0.25,
        "late_ms": 3,
        "refuse_upgrades": True,
        "http_status": 429,
        "retry_after_s": 2,
        "handshake_drip_ms": 1,
        "leak_bytes_per_message": 10,
        "slow_reader": False,
    }
    assert server.put_faults(**everything).json() == everything
    assert server.get("/faults").json() == everything
    assert server.put_faults(seed=9).json() == {**neutral, "seed": 9}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((key, value) for key in EXPECTED for value in ("1", [1])),
        ("latency_ms", -1),
        ("latency_ms", True),
        ("error_ratio", 1.5),
        ("seed", 1.5),
        ("refuse_upgrades", 1),
        ("close_code", 1005),
        ("close_code", 999),
        ("http_status", 101),
        ("stall", {"after_s": 1}),
        ("stall", {"after_s": 1, "for_s": -1}),
        ("leak_bytes_per_message", 0.5),
    ],
)
def test_a_bad_value_is_400_and_names_the_key_and_what_was_expected(server: Server, key: str, value: object) -> None:
    server.put_faults(seed=3)
    answer = server.put_faults(**{key: value})
    body = answer.json()
    assert answer.status_code == 400
    assert (body["key"], body["value"], body["expected"]) == (key, value, EXPECTED[key][1])
    assert server.get("/faults").json()["seed"] == 3


def test_an_unknown_key_is_400_with_the_nearest_one(server: Server) -> None:
    body = server.put_faults(latncy_ms=1).json()
    assert (body["key"], body["nearest"]) == ("latncy_ms", "latency_ms")
    for data in (b"{", b"[]", b""):
        assert server.http.put(server.url + "/faults", data=data).status_code == 400


def test_latency_delays_every_answer_but_not_one_after_the_other(server: Server) -> None:
    server.put_faults(latency_ms=300)
    with server.agent("a") as one, server.agent("b") as two, server.connect("/echo") as echo, server.live() as live:

        def ask_all() -> None:
            for talk in (one, two):
                for _ in range(5):
                    talk.send(PING)
            echo.send("x")
            live.send('42["client_register",{}]')
            for talk in (one, two):
                for _ in range(5):
                    talk.receive()
            echo.recv()
            live.event("registration_confirmed")

        assert 0.29 < _took(ask_all) < 1.5
    assert 0.29 < _took(lambda: server.get("/ctx/all")) < 1.5
    assert _took(lambda: server.get("/counters")) < 0.29
    assert server.counters()["faults_injected"] == {"latency_ms": 13}


def test_jitter_comes_from_the_seed_and_replies_stay_in_order(server: Server) -> None:
    server.put_faults(jitter_ms=60, seed=5)
    expected = random.Random("5/jitter_ms").uniform(0, 60) / 1000
    with server.connect("/echo") as echo:

        def ask() -> None:
            echo.send("first")
            assert echo.recv() == "first"

        assert expected - 0.002 < _took(ask) < expected + 0.5
        for n in range(30):
            echo.send(str(n))
        assert [echo.recv() for _ in range(30)] == [str(n) for n in range(30)]


def test_latency_grows_with_the_open_connections(server: Server) -> None:
    server.put_faults(latency_ms_per_connection=100)
    with server.connect("/echo") as echo:

        def ask() -> None:
            echo.send("x")
            echo.recv()

        assert 0.095 < _took(ask) < 0.35
        with server.connect("/echo"), server.connect("/echo"), server.connect("/echo"):
            assert 0.395 < _took(ask) < 1.5


def test_a_stall_holds_answers_until_it_is_over(server: Server) -> None:
    with server.connect("/echo") as echo:
        server.put_faults(stall={"after_s": 0.2, "for_s": 0.4})
        began = time.monotonic()
        echo.send("before")
        echo.recv()
        assert time.monotonic() - began < 0.19
        time.sleep(max(0, began + 0.25 - time.monotonic()))
        echo.send("1")
        echo.send("2")
        assert echo.recv() == "1"
        assert 0.55 < time.monotonic() - began < 1.0
        assert echo.recv() == "2"
        echo.send("after")
        assert _took(echo.recv) < 0.3
    assert server.counters()["faults_injected"] == {"stall": 2}


def test_a_put_releases_what_a_stall_holds(server: Server) -> None:
    server.put_faults(stall={"after_s": 0, "for_s": 3600})
    with server.connect("/echo") as echo:
        for n in range(3):
            echo.send(str(n))
        with pytest.raises(TimeoutError):
            echo.recv(timeout=0.1)
        server.put_faults()
        echo.send("3")
        assert [echo.recv() for _ in range(4)] == ["0", "1", "2", "3"]


def test_errors_reach_every_kind_of_answer(server: Server) -> None:
    server.put_faults(error_ratio=1)
    with server.agent() as agent, server.connect("/api/v1/ws/monitor/m") as monitor, server.live() as live:
        assert agent.ask(PING)["type"] == "error"
        assert agent.ask(PING)["code"] == "INJECTED_FAULT"
        assert monitor.ask(PING).keys() == {"type", "message"}
        live.send('425["context_set",{"key":"err","value":1}]')
        assert live.event()[0] == "error"
        assert live.text() == "435[]"
    with server.connect("/echo") as echo:
        assert echo.ask("x")["type"] == "error"
    assert server.get("/ctx/all").status_code == 500
    assert server.counters()["faults_injected"] == {"error_ratio": 6}
    server.put_faults()
    assert server.get("/ctx?key=err").json()["value"] is None


def _drawn(server: Server, talk: Talk, messages: int) -> list[bool]:
    return [talk.ask(PING)["type"] == "error" for _ in range(messages)]


def test_chance_is_repeatable_from_the_seed_whatever_else_strikes(server: Server) -> None:
    chance = random.Random("11/error_ratio")
    expected = [chance.random() < 0.3 for _ in range(100)]
    with server.agent() as talk:
        for others in ({}, {}, {"duplicate_ratio": 0.0, "jitter_ms": 0.1}):
            server.put_faults(seed=11, error_ratio=0.3, **others)
            assert _drawn(server, talk, 100) == expected
        server.put_faults(seed=12, error_ratio=0.3)
        assert _drawn(server, talk, 100) != expected
    assert server.counters()["faults_injected"]["error_ratio"] > 3 * sum(expected)


def test_a_drop_aborts_the_connection_and_its_message_counts_as_received(server: Server) -> None:
    chance = random.Random("4/drop_ratio")
    first = next(n for n in range(1, 1000) if chance.random() < 0.1)
    server.put_faults(seed=4, drop_ratio=0.1)
    with server.agent() as talk:
        for _ in range(first - 1):
            assert talk.ask(PING)["type"] == "pong"
        talk.send(PING)
        with pytest.raises(ConnectionClosed):
            talk.receive()
        assert talk.close_code == 1006
    counters = server.counters()
    assert (counters["messages_received"], counters["answered"], counters["dropped"]) == (first, first - 1, 1)
    assert counters["dropped_by"] == {"drop_ratio": 1}
    assert counters["faults_injected"] == {"drop_ratio": 1}


@pytest.mark.parametrize("path", ["/echo", "/api/v1/ws/monitor/m", "live"])
def test_a_drop_reaches_the_other_channels(server: Server, path: str) -> None:
    server.put_faults(drop_ratio=1)
    with server.live() if path == "live" else server.connect(path) as talk:
        talk.send('42["client_register",{}]' if path == "live" else "x")
        with pytest.raises(ConnectionClosed):
            talk.recv()
        assert talk.close_code == 1006
    assert server.counters()["messages_received"] == 1


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 1013, 1014, 1008, 4001])
def test_every_message_is_answered_by_a_close_with_the_code(server: Server, code: int) -> None:
    server.put_faults(close_code=code)
    with server.agent("c") as agent, server.live() as live:
        agent.send(PING)
        live.send('42["client_register",{}]')
        for talk in (agent, live):
            with pytest.raises(ConnectionClosed):
                talk.recv()
            assert talk.close_code == code
    assert server.counters()["closed_by"] == {"close_code": 2}
    assert server.counters()["answered"] == 0


def test_a_silent_server_handles_but_does_not_answer(server: Server) -> None:
    server.put_faults(silent_ratio=1)
    with server.agent() as agent, server.live() as live, server.live() as other:
        agent.send(PING)
        live.send('421["context_set",{"key":"silent","value":1}]')
        assert other.event("context_updated")[1]["key"] == "silent"
        eventually(lambda: server.counters()["messages_received"] == 2)
        counters = server.counters()
    assert counters["answered"] == 0
    assert counters["faults_injected"] == {"silent_ratio": 2}
    assert server.get("/ctx?key=silent").json()["value"] == 1


def test_a_duplicate_is_the_same_answer_twice(server: Server) -> None:
    server.put_faults(duplicate_ratio=1)
    with server.agent() as agent, server.live() as live:
        assert agent.ask(PING) == agent.receive()
        live.send('421["client_register",{}]')
        texts = [live.text() for _ in range(4)]
    assert texts[0] == texts[1]
    assert texts[2:] == ["431[]", "431[]"]
    assert server.counters()["answered"] == 2 + 4


def test_a_late_answer_is_overtaken_by_the_next(server: Server) -> None:
    with server.connect("/echo") as echo:
        server.put_faults(late_ms=300)
        echo.send("late")
        eventually(lambda: server.counters()["messages_received"] == 1)
        server.put_faults()
        echo.send("prompt")
        assert [echo.recv(), echo.recv()] == ["prompt", "late"]
    assert server.counters()["faults_injected"] == {"late_ms": 1}


def test_refused_upgrades_answer_503_or_the_chosen_status(server: Server) -> None:
    for faults, status, retry_after in (
        ({}, 503, None),
        ({"retry_after_s": 2}, 503, "2"),
        ({"http_status": 429, "retry_after_s": 0.5}, 429, "0.5"),
        ({"http_status": 401, "retry_after_s": 1}, 401, None),
        ({"http_status": 302}, 302, None),
    ):
        server.put_faults(refuse_upgrades=True, **faults)
        for path in ("/echo", "/api/v1/ws/x", "/socket.io/?EIO=4&transport=websocket"):
            with pytest.raises(InvalidStatus) as refusal:
                server.connect(path)
            assert refusal.value.response.status_code == status
            assert refusal.value.response.headers.get("Retry-After") == retry_after
    counters = server.counters()
    assert (counters["refused_upgrades"], counters["connections"]) == (15, 0)
    assert counters["faults_injected"] == {"refuse_upgrades": 15}


def test_a_status_answers_http_requests_but_neither_upgrades_nor_the_controls(server: Server) -> None:
    server.put_faults(http_status=503, retry_after_s=7)
    answer = server.get("/ctx/all")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
    assert server.post("/ctx", {"key": "no", "value": 1}).status_code == 503
    with server.agent() as talk:
        assert talk.ask(PING)["type"] == "pong"
    for path in ("/counters", "/faults", "/metrics"):
        assert server.get(path).status_code == 200
    server.put_faults(http_status=204)
    assert server.get("/ctx/all").status_code == 204
    assert server.counters()["faults_injected"] == {"http_status": 3}


def test_the_handshake_drips_a_byte_at_a_time(server: Server) -> None:
    server.put_faults(handshake_drip_ms=3)
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S) as raw:
        raw.sendall(UPGRADE)
        began = time.monotonic()
        pieces: list[bytes] = []
        while not b"".join(pieces).endswith(b"\r\n\r\n"):
            pieces.append(raw.recv(65536))
        lasted = time.monotonic() - began
        head = b"".join(pieces)
        assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
        assert len(pieces) > len(head) / 2
        assert lasted > len(head) * 0.003
        assert server.counters()["connections"] == 1
        raw.sendall(b"\x81\x81\x00\x00\x00\x00x")
        assert raw.recv(100) == b"\x81\x01x"
    with server.live() as live:
        assert live is not None
    assert server.counters()["faults_injected"] == {"handshake_drip_ms": 2}


def test_a_client_that_leaves_a_dripping_handshake_is_no_connection(server: Server) -> None:
    server.put_faults(handshake_drip_ms=20)
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S) as raw:
        raw.sendall(UPGRADE)
        raw.recv(3)
    with server.connect("/echo"):
        counters = server.counters()
    assert (counters["connections"], counters["open_connections"]) == (1, 1)


def test_leaked_memory_stays_until_a_put_without_the_leak(server: Server) -> None:
    process = psutil.Process(server.process.pid)
    with server.connect("/echo") as echo:
        before = process.memory_info().rss
        server.put_faults(leak_bytes_per_message=1_000_000)
        for _ in range(50):
            echo.send("x")
            echo.recv()
        leaked = process.memory_info().rss - before
        server.put_faults()
        echo.send("x")
        echo.recv()
        kept = process.memory_info().rss - before
    assert 45_000_000 < leaked < 80_000_000
    assert kept < 10_000_000
    assert server.counters()["faults_injected"] == {"leak_bytes_per_message": 50}


def test_a_slow_reader_reads_nothing_until_it_is_over(server: Server) -> None:
    with server.connect("/echo") as before:
        server.put_faults(slow_reader=True)
        with server.connect("/echo") as after:
            for talk in (before, after):
                talk.send("x")
                with pytest.raises(TimeoutError):
                    talk.recv(timeout=0.1)
            assert server.counters()["messages_received"] == 0
            server.put_faults()
            assert [before.recv(), after.recv()] == ["x", "x"]
    assert server.counters()["faults_injected"] == {"slow_reader": 2}


def test_a_slow_reader_fills_the_senders_buffers(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S) as raw:
        raw.sendall(UPGRADE)
        raw.recv(4096)
        server.put_faults(slow_reader=True)
        raw.settimeout(0.3)
        with pytest.raises(TimeoutError):
            raw.sendall(b"\x82\xff" + (100_000_000).to_bytes(8, "big") + b"\0\0\0\0" + bytes(50_000_000))


def test_a_client_that_does_not_read_stalls_nobody_and_is_dropped(start: Callable[..., Server]) -> None:
    server = start("--max-backlog-bytes", "100000")
    with socket.socket() as stuck, server.agent("well") as well:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", server.port))
        stuck.sendall(UPGRADE.replace(b"/echo", b"/api/v1/ws/stuck"))
        stuck.recv(100)
        event: Any = {"channel": "system", "event_type": "big", "data": {"x": "y" * 200_000}}
        slowest = 0.0
        while not server.counters()["dropped"]:
            requests.post(server.url + "/events", json=event, timeout=DEADLINE_S)
            slowest = max(slowest, _took(lambda: eventually(lambda: well.receive()["type"] == "system_event")))
        assert slowest < 1.0
        assert well.ask(PING)["type"] == "pong"
    counters = server.counters()
    assert counters["dropped_by"] == {"backlog": 1}
    assert counters["open_connections"] == 0 or eventually(lambda: server.counters()["open_connections"] == 0)


def test_replies_that_are_not_read_hold_up_only_their_own_connection(start: Callable[..., Server]) -> None:
    server = start("--max-backlog-bytes", "100000")
    with socket.create_connection(("127.0.0.1", server.port)) as stuck, server.connect("/echo") as well:
        stuck.sendall(UPGRADE)
        stuck.recv(4096)
        stuck.settimeout(0.5)
        message = b"\x82\xff" + (1_000_000).to_bytes(8, "big") + b"\0\0\0\0" + bytes(1_000_000)
        with pytest.raises(TimeoutError):
            stuck.sendall(message * 100)
        well.send("x")
        assert well.recv(timeout=1) == "x"
        process = psutil.Process(server.process.pid)
        assert process.memory_info().rss < 150_000_000
