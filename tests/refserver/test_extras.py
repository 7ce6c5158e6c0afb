"""The server's own extras: echo, page, metrics, counters."""

from __future__ import annotations

import socket
import time

import pytest
from websockets.exceptions import ConnectionClosed

from tests.refserver.conftest import SOCKET_IO, Server, eventually


def test_echo_returns_text_as_text_and_binary_as_binary(server: Server) -> None:
    with server.connect("/echo") as talk:
        for payload in ("", "héllo", b"", b"\x00\xff", "x" * 70_000, b"y" * 5_000_000):
            talk.send(payload)
            assert talk.recv(10) == payload


def test_more_than_16_mib_is_closed_with_1009(server: Server) -> None:
    with server.connect("/echo") as talk:
        talk.send(b"x" * (16 * 1024 * 1024 + 1))
        with pytest.raises(ConnectionClosed, match="1009"):
            talk.recv(10)


def test_invalid_utf8_is_closed_with_1007(server: Server) -> None:
    with server.connect("/echo") as talk:
        talk.send_invalid_text(b"\xff\xfe")
        with pytest.raises(ConnectionClosed, match="1007"):
            talk.recv(10)


def test_compression_is_never_agreed(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.sendall(
            b"GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
        )
        answer = raw.recv(4096)
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer
    assert b"xtension" not in answer


def test_the_page_loads_nothing_from_elsewhere(server: Server) -> None:
    page = server.get("/")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "/api/v1/ws/" in page.text
    assert "/socket.io/?EIO=4&transport=websocket" in page.text
    assert "src=" not in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text


def test_metrics_are_prometheus_text_with_memory_sockets_and_keys(server: Server) -> None:
    server.post("/ctx", {"key": "metric", "value": 1})
    with server.agent():
        answer = server.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    samples = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
    assert float(samples["process_resident_memory_bytes"]) > 10_000_000
    assert samples['refserver_open_sockets{channel="agent"}'] == "1.0"
    keys = len(server.get("/ctx/all").json()["context"])
    assert float(samples["refserver_context_keys"]) == keys


def test_every_figure_is_exact(server: Server) -> None:
    server.http.delete(server.url + "/counters")
    began = int(time.time())
    with server.agent() as agent, server.connect("/echo") as echo, server.connect("/api/v1/ws/monitor/m") as monitor:
        for _ in range(10):
            agent.ask({"type": "ping"})
        agent.ask("garbage")
        agent.ask({"type": "clear_conversation", "data": {"conversationId": "c"}})
        agent.receive()
        agent.ping()  # a control frame is no message
        for _ in range(3):
            echo.send("x")
            echo.recv(5)
        echo.send(b"x")
        echo.recv(5)
        monitor.ask({"type": "ping"})
        monitor.send({"type": "update_monitoring"})
        with server.connect(SOCKET_IO) as live:
            live.text()
            live.send("40")
            for _ in range(3):
                live.text()
            live.send('421["context_set",{"key":"exact","value":1}]')
            live.text()
            live.text()
            live.send('42["unknown"]')
            live.send("431[]")
            live.send("41")
            live.text()
        server.get("/ctx?key=a")
        server.post("/ctx", {"key": "b"})
        server.get("/no/such/path")
        eventually(lambda: server.counters()["by_type"].get("update_monitoring"))
        eventually(lambda: server.counters()["open_connections"] == 3)
        counters = server.counters()
    by_second = counters.pop("connects_by_second")
    assert sum(by_second.values()) == 4
    assert all(began <= int(second) <= time.time() for second in by_second)
    assert counters == {
        "connections": 4,
        "open_connections": 3,
        "open_by_channel": {"agent": 1, "monitor": 1, "live": 0, "echo": 1},
        "refused_upgrades": 0,
        "polling_sessions": 0,
        "http_requests": 3,
        "http_by_status": {"200": 1, "400": 1, "404": 1},
        "messages_received": 12 + 4 + 2 + 3,
        "messages_sent": 14 + 4 + 1 + 5,
        "pushes_sent": 2 + 3,
        "answered": 12 + 4 + 1 + 2,
        "dropped": 0,
        "dropped_by": {},
        "closed_by": {},
        "faults_injected": {},
        "by_channel": {
            "agent": _counts(1, 12, 2, 12),
            "monitor": _counts(1, 2, 0, 1),
            "live": _counts(1, 3, 3, 2),
            "echo": _counts(1, 4, 0, 4),
        },
        "by_type": {
            "ping": 11,
            "__invalid__": 1,
            "clear_conversation": 1,
            "text": 3,
            "binary": 1,
            "update_monitoring": 1,
            "context_set": 1,
            "unknown": 1,
            "__ack__": 1,
        },
        "sent_by_type": {
            "connection_established": 1,
            "pong": 11,
            "error": 1,
            "conversation_cleared": 1,
            "system_event": 1,
            "text": 3,
            "binary": 1,
            "context_snapshot": 1,
            "client_stats": 2,
            "context_set_confirmed": 1,
            "__ack__": 1,
        },
    }


def _counts(connections: int, received: int, pushes: int, answered: int) -> dict[str, int]:
    return {
        "connections": connections,
        "messages_received": received,
        "messages_sent": pushes + answered,
        "pushes_sent": pushes,
        "answered": answered,
    }


def test_control_requests_are_not_counted_and_a_reset_starts_at_zero(server: Server) -> None:
    server.get("/ctx/all")
    for path in ("/counters", "/faults", "/metrics"):
        server.get(path)
    assert server.http.delete(server.url + "/counters").json()["http_requests"] == 1
    assert server.counters()["http_requests"] == 0


def test_a_request_that_is_no_upgrade_is_400_on_a_websocket_path(server: Server) -> None:
    for path in ("/echo", "/api/v1/ws/x", "/api/v1/ws/monitor/x"):
        assert server.get(path).status_code == 400
    assert server.counters()["http_by_status"] == {"400": 3}
