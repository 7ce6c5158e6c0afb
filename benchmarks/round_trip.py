"""CPU of one WebSocket round trip in Locust, 100 connections: ours, websocket-client's, and an epoll loop in C.

Run: ``python -m benchmarks.round_trip``. Both Python clients send and get a JSON object of 115 bytes in a Locust task
without a wait, fire Locust's request event for each, and feed Locust's statistics; ours counts into the `Recorder` as
well, and matches each reply to its request.
"""

from __future__ import annotations

import json
import time
from typing import Any

from benchmarks import floor
from benchmarks.harness import Load, Row, Server, Table, compare, per_unit_us

BODY: dict[str, Any] = {"type": "echo", "data": {"text": "x" * 44, "n": 17}, "at": 1712345678.12}
"""Ours puts an id into it, as it does by default."""
WITH_ID = {**BODY, "id": "lx1234"}
BYTES = len(json.dumps(WITH_ID, separators=(",", ":")))


def in_task() -> Load:
    """`WebSocketUser.request` in a task, with the default correlation (by id)."""
    from locust import task

    from locust_ext.plugin.users.websocket import WebSocketUser

    class Asking(WebSocketUser):
        path = "/echo"

        @task
        def ask(self) -> None:
            self.ws.request(BODY, name="echo")

    return Load(Asking)


def by_pattern() -> Load:
    """The same user, driven by its pattern and a generator."""
    from locust_ext.core.lifecycle import Persistent
    from locust_ext.core.messages import Message
    from locust_ext.plugin.users.websocket import WebSocketUser

    message = Message("echo", BODY)

    class Same:
        """The cost of making messages is measured elsewhere (`benchmarks.generators`)."""

        def generate(self) -> Message:
            return message

    class Driven(WebSocketUser):
        path = "/echo"
        pattern = Persistent()
        generator = Same

    return Load(Driven)


def websocket_client() -> Load:
    """What a locustfile does without us."""
    from locust import User, task

    import websocket

    class Asking(User):
        def on_start(self) -> None:
            self.ws = websocket.create_connection(f"{self.host}/echo")

        @task
        def ask(self) -> None:
            start = time.perf_counter()
            self.ws.send(json.dumps(WITH_ID, separators=(",", ":")))
            reply = self.ws.recv()
            latency_ms = (time.perf_counter() - start) * 1000
            json.loads(reply)
            self.environment.events.request.fire(
                request_type="WS",
                name="echo",
                response_time=latency_ms,
                response_length=len(reply),
                exception=None,
                context={},
            )

        def on_stop(self) -> None:
            self.ws.close()

    return Load(Asking)


LOADS = {"in a task": in_task, "by a pattern": by_pattern, "websocket-client": websocket_client}


def main() -> None:
    """Prints the rows; exits with 1 if one misses its limit."""
    server = Server()
    table = Table()
    try:
        more = {}
        program = floor.compiled()
        if program is None:
            print("no C compiler: the floor is left out")
        else:
            more["floor"] = lambda: floor.measure(program, server.port, BYTES)
        measured = compare("benchmarks.round_trip", server.websocket, server, list(LOADS), rounds=11, **more)
        found = {name: per_unit_us(rounds) for name, rounds in measured.items()}
        theirs = found["websocket-client"]
        table.add(
            Row(
                "WebSocket round trip in a task",
                "websocket-client in a task",
                found["in a task"],
                theirs,
                at_least=2.5,
                aim="3",
            )
        )
        table.add(
            Row(
                "the same, by a pattern and a generator", "the same", found["by a pattern"], theirs, at_least=3, aim="4"
            )
        )
        if program is not None:
            for name in ("in a task", "by a pattern"):
                table.add(Row(f"the same, {name}", "an epoll loop in C", found[name], found["floor"], aim="3"))
        table.end(server)
    finally:
        server.close()


if __name__ == "__main__":
    main()
