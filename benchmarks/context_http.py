"""CPU of one HTTP request with a JSON answer that is checked: `ContextServerUser.get` and the same by `FastHttpUser`.

Run: ``python -m benchmarks.context_http``.
"""

from __future__ import annotations

from benchmarks.harness import Load, Row, Server, Table, compare, per_unit_us


def ours() -> Load:
    """The typed method: the answer decoded, its status checked, the ledger kept."""
    from locust import task

    from locust_ext.plugin.users.context import ContextServerUser

    class Asking(ContextServerUser):
        @task
        def ask(self) -> None:
            self.get("bench")

    return Load(Asking, users=20)


def fast_http() -> Load:
    """What a locustfile does without us."""
    from locust import FastHttpUser, task

    class Asking(FastHttpUser):
        @task
        def ask(self) -> None:
            with self.client.get("/ctx?key=bench", name="/ctx", catch_response=True) as response:
                if response.json()["status"] != "success":
                    response.failure("no success")

    return Load(Asking, users=20)


LOADS = {"ours": ours, "FastHttpUser": fast_http}


def main() -> None:
    """Prints the row; exits with 1 if it misses its limit."""
    server = Server()
    table = Table()
    try:
        found = compare("benchmarks.context_http", server.http, server, list(LOADS))
        ours_us, theirs_us = (per_unit_us(found[name]) for name in LOADS)
        table.add(Row("ContextServerUser request", "FastHttpUser request", ours_us, theirs_us, at_most=1.2))
        table.end(server)
    finally:
        server.close()


if __name__ == "__main__":
    main()
