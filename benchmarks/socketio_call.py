"""CPU of one Socket.IO call with its ack in a Locust task, 100 connections: ours and Locust's own `SocketIOUser`.

Run: ``python -m benchmarks.socketio_call``.
"""

from __future__ import annotations

from typing import Any

from benchmarks.harness import Load, Row, Server, Table, compare, per_unit_us

DATA: dict[str, Any] = {"key": "bench", "value": {"text": "x" * 40, "n": 17}, "at": 1712345678.12}


def ours() -> Load:
    """`FastSocketIOUser.sio.call`."""
    from locust import task

    from locust_ext.plugin.users.socketio import FastSocketIOUser

    class Calling(FastSocketIOUser):
        @task
        def call(self) -> None:
            self.sio.call("echo", DATA)

    return Load(Calling)


def locusts() -> Load:
    """`SocketIOUser.call`, over WebSocket only as well."""
    from locust import task
    from locust.contrib.socketio import SocketIOUser

    class Calling(SocketIOUser):
        def on_start(self) -> None:
            self.sio.connect(self.host, transports=["websocket"])

        @task
        def call(self) -> None:
            self.sio.call("echo", DATA)

        def on_stop(self) -> None:
            self.sio.disconnect()

    class Counted(Load):
        """Its ``call`` fires two events: one for the emit, and one for the call."""

        def count(self) -> int:
            calls: int = self.environment.stats.get("echo", "WSC").num_requests
            return calls

    return Counted(Calling)


LOADS = {"ours": ours, "Locust's": locusts}


def main() -> None:
    """Prints the row; exits with 1 if it misses its limit."""
    server = Server()
    table = Table()
    try:
        found = compare("benchmarks.socketio_call", server.websocket.replace("ws:", "http:"), server, list(LOADS))
        ours_us, theirs_us = (per_unit_us(found[name]) for name in LOADS)
        table.add(
            Row("Socket.IO call with its ack, in a task", "SocketIOUser.call", ours_us, theirs_us, at_least=5, aim="8")
        )
        table.end(server)
    finally:
        server.close()


if __name__ == "__main__":
    main()
