"""CPU of one push received: 200 bytes of JSON, decoded and counted, on 100 connections; ours and websocket-client's.

Run: ``python -m benchmarks.pushes``. At full load the server sends as fast as it is read: this is what a core can take,
and what the limit is for. At 100 pushes a second on each connection every push comes alone, and half of ours is the
kernel's (the read, and the acknowledgement that it sends): this is shown.

The other side is a Locust task with websocket-client's ``recv`` and ``json``; it counts with one addition and fires no
event, as ours fires none.
"""

from __future__ import annotations

import json

from benchmarks.harness import Load, Row, Server, Table, compare, per_unit_us


class Counted(Load):
    """Counts by the recorder, which is where our pushes are told."""

    def count(self) -> int:
        from locust_ext.plugin.intake import intake_of

        return intake_of(self.environment).recorder.traffic.messages_received


def ours(path: str) -> Load:
    """`WebSocketUser` without tasks, whose pattern only keeps the connection open."""
    from locust_ext.core.lifecycle import Persistent
    from locust_ext.plugin.users.websocket import WebSocketUser

    class Listening(WebSocketUser):
        pattern = Persistent(talks=False)

    Listening.path = path
    return Counted(Listening)


def websocket_client(path: str) -> Load:
    """What a locustfile does without us."""
    from locust import User, task

    import gevent
    import websocket

    received = 0

    class Listening(User):
        def on_start(self) -> None:
            self.ws = websocket.create_connection(f"{self.host}{path}")

        @task
        def listen(self) -> None:
            nonlocal received
            while True:  # in one task, so that Locust's loop costs it nothing
                for _ in range(200):
                    json.loads(self.ws.recv())
                    received += 1
                gevent.sleep(0)  # a read that need not wait does not switch: in a flood nobody else would ever run

        def on_stop(self) -> None:
            self.ws.close()

    return Load(Listening, count=lambda: received)


LOADS = {
    "ours, full load": lambda: ours("/flood"),
    "websocket-client, full load": lambda: websocket_client("/flood"),
    "ours": lambda: ours("/pushes"),
    "websocket-client": lambda: websocket_client("/pushes"),
}


def main() -> None:
    """Prints the row; exits with 1 if it misses its limit."""
    server = Server()
    table = Table()
    try:
        what, against = "push received, 200 bytes of JSON", "websocket-client's recv and json"
        names = list(LOADS)
        for pair, at_least in ((names[:2], 5), (names[2:], None)):
            found = compare("benchmarks.pushes", server.websocket, server, pair, rounds=5)
            ours_us, theirs_us = (per_unit_us(found[name]) for name in pair)
            if at_least:
                table.add(Row(f"{what}, full load", against, ours_us, theirs_us, at_least=at_least, aim="8"))
            else:
                table.add(Row(f"{what}, one at a time", against, ours_us, theirs_us, at_least=2.5))
        table.end(server)
    finally:
        server.close()


if __name__ == "__main__":
    main()
