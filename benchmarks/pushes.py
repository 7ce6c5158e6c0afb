"""CPU of one push received: 200 bytes of JSON, decoded and counted; 100 connections, 100 pushes a second on each.

Run: ``python -m benchmarks.pushes``. The other side is a Locust task with websocket-client's ``recv`` and ``json``; it
counts with one addition and fires no event, as ours fires none.
"""

from __future__ import annotations

import json

from benchmarks.harness import Load, Row, Server, Table, compare, per_unit_us


class Counted(Load):
    """Counts by the recorder, which is where our pushes are told."""

    def count(self) -> int:
        from locust_ext.plugin.intake import intake_of

        return intake_of(self.environment).recorder.traffic.messages_received


def ours() -> Load:
    """`WebSocketUser` without tasks, whose pattern only keeps the connection open."""
    from locust_ext.core.lifecycle import Persistent
    from locust_ext.plugin.users.websocket import WebSocketUser

    class Listening(WebSocketUser):
        path = "/pushes"
        pattern = Persistent(talks=False)

    return Counted(Listening)


def websocket_client() -> Load:
    """What a locustfile does without us."""
    from locust import User, constant, task

    import websocket

    received = 0

    class Listening(User):
        wait_time = constant(0)

        def on_start(self) -> None:
            self.ws = websocket.create_connection(f"{self.host}/pushes")

        @task
        def listen(self) -> None:
            nonlocal received
            while True:  # in one task, so that Locust's loop costs it nothing
                json.loads(self.ws.recv())
                received += 1

        def on_stop(self) -> None:
            self.ws.close()

    return Load(Listening, count=lambda: received)


LOADS = {"ours": ours, "websocket-client": websocket_client}


def main() -> None:
    """Prints the row; exits with 1 if it misses its limit."""
    server = Server()
    table = Table()
    try:
        found = compare("benchmarks.pushes", server.websocket, server, list(LOADS))
        ours_us, theirs_us = (per_unit_us(found[name]) for name in LOADS)
        table.add(
            Row(
                "push received, 200 bytes of JSON",
                "websocket-client's recv and json",
                ours_us,
                theirs_us,
                at_least=5,
                aim="8",
            )
        )
        table.end(server)
    finally:
        server.close()


if __name__ == "__main__":
    main()
