"""CPU of opening a WebSocket connection in a Locust task: ours and websocket-client's.

Run: ``python -m benchmarks.connecting``. In each round 200 users open one connection each, at once; then, unmeasured,
they close it.
"""

from __future__ import annotations

import time
from typing import Any

from benchmarks.harness import Figures, Load, Row, Server, Table, compare, per_unit_us

USERS = 200


class Opening(Load):
    """Its users wait for `opens`, open, wait for `closes`, close; all of them go through each gate together."""

    def __init__(self, user_class: type[Any]) -> None:
        super().__init__(user_class, users=USERS)

    def start(self, host: str) -> None:
        from gevent.event import Event

        self.user_class.opens, self.user_class.closes = Event(), Event()
        self.user_class.opened = self.user_class.closed = 0
        super().start(host)

    def measure(self) -> Figures:
        import gevent

        kind = self.user_class
        kind.opened = kind.closed = 0
        kind.closes.clear()
        used = time.process_time()
        kind.opens.set()
        while kind.opened < USERS:
            gevent.sleep(0.005)
        figures = {"count": USERS, "cpu_s": time.process_time() - used}
        kind.opens.clear()
        kind.closes.set()
        while kind.closed < USERS:
            gevent.sleep(0.005)
        gevent.sleep(0.05)
        return figures


def ours() -> Load:
    """``self.ws.connect()``."""
    from locust import task

    from locust_ext.plugin.users.websocket import WebSocketUser

    class Connecting(WebSocketUser):
        path = "/echo"

        def on_start(self) -> None:
            self.ws.close()  # a user with tasks comes connected

        @task
        def connect(self) -> None:
            kind: Any = type(self)
            kind.opens.wait()
            self.ws.connect()
            kind.opened += 1
            kind.closes.wait()
            self.ws.close()
            kind.closed += 1

    return Opening(Connecting)


def websocket_client() -> Load:
    """``create_connection``, and Locust's request event."""
    from locust import User, task

    import websocket

    class Connecting(User):
        @task
        def connect(self) -> None:
            kind: Any = type(self)
            kind.opens.wait()
            start = time.perf_counter()
            ws = websocket.create_connection(f"{self.host}/echo")
            self.environment.events.request.fire(
                request_type="CONNECT",
                name="/echo",
                response_time=(time.perf_counter() - start) * 1000,
                response_length=0,
                exception=None,
                context={},
            )
            kind.opened += 1
            kind.closes.wait()
            ws.close()
            kind.closed += 1

    return Opening(Connecting)


LOADS = {"ours": ours, "websocket-client": websocket_client}


def main() -> None:
    """Prints the row; exits with 1 if it misses its limit."""
    server = Server()
    table = Table()
    try:
        found = compare("benchmarks.connecting", server.websocket, server, list(LOADS))
        ours_us, theirs_us = (per_unit_us(found[name]) for name in LOADS)
        table.add(
            Row(
                "opening a connection, in a task",
                "websocket-client's create_connection",
                ours_us,
                theirs_us,
                at_least=2.5,
            )
        )
        table.end(server)
    finally:
        server.close()


if __name__ == "__main__":
    main()
