"""Memory of an idle open connection, on top of a bare Locust `User`: 10,000 of them, held in one process.

Run: ``python -m benchmarks.idle_memory``. A user with a task opens its connection and sleeps in
its task, as a bare one does; the figure is the resident memory of the process for each user, less that of a bare one.
They are held for a minute (keep-alive pings go both ways). Then all are stopped, and nothing may be left: no descriptor,
no deadline, no greenlet.
"""

from __future__ import annotations

import os
import resource
import sys

from benchmarks.harness import Figures, Load, Row, Server, Side, Table

CONNECTIONS = 10_000
HELD_S = 60.0
LIMIT_KIB = 8.0
FOREVER_S = 1e6


def resident_kib() -> float:
    """Resident memory of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024


class Holding(Load):
    """Opens all at the measurement, holds them for ``user_class.held_s`` seconds, and stops them."""

    def start(self, host: str) -> None:
        from locust.env import Environment

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.users = min(CONNECTIONS, hard - 500)
        self.environment = Environment(user_classes=[self.user_class], host=host)
        self.runner = self.environment.create_local_runner()
        self.run(10)  # what is made once is made now

    def left(self) -> Figures:
        """What there is of descriptors, deadlines and greenlets."""
        import gc

        import greenlet

        from locust_ext.runtime.process import shared

        gc.collect()
        greenlets = sum(isinstance(each, greenlet.greenlet) and not each.dead for each in gc.get_objects())
        return {
            "descriptors": len(os.listdir("/proc/self/fd")),
            "deadlines": len(shared().wheel),
            "greenlets": greenlets,
        }

    def run(self, users: int, held_s: float = 0.0) -> Figures:
        import gc

        import gevent

        gc.collect()
        before = resident_kib()
        self.user_class.asleep = 0
        self.runner.start(users, spawn_rate=users, wait=True)
        while self.user_class.asleep < users:
            gevent.sleep(0.05)
        gc.collect()
        gevent.sleep(held_s)
        opened = len(os.listdir("/proc/self/fd"))
        kib = (resident_kib() - before) / users
        self.runner.stop()
        gevent.sleep(1.0)
        return {"kib": kib, "users": users, "opened": opened}

    def measure(self) -> Figures:
        before = self.left()
        figures = self.run(self.users, self.user_class.held_s)
        after = self.left()
        return {**figures, **{f"left_{name}": after[name] - before[name] for name in after}}


def bare() -> Load:
    """A user that only sleeps."""
    from locust import User, task

    import gevent

    class Bare(User):
        held_s = 2.0

        @task
        def sleep(self) -> None:
            type(self).asleep += 1
            gevent.sleep(FOREVER_S)

    return Holding(Bare)


def connected() -> Load:
    """The same with an open connection."""
    from locust import task

    import gevent

    from locust_ext.plugin.users.websocket import WebSocketUser

    class Connected(WebSocketUser):
        path = "/echo"
        asleep = 0
        held_s = HELD_S

        @task
        def sleep(self) -> None:
            type(self).asleep += 1
            gevent.sleep(FOREVER_S)

    return Holding(Connected)


LOADS = {"bare": bare, "connected": connected}


def main() -> None:
    """Prints the row; exits with 1 if it misses its limit or something was left behind."""
    server = Server()
    table = Table()
    try:
        found = {}
        for name in LOADS:  # a process each: what one has freed, the next would find
            side = Side("benchmarks.idle_memory", name, server.websocket)
            found[name] = side.measure()
            side.close()
        ours = found["connected"]
        cost = ours["kib"] - found["bare"]["kib"]
        table.add(
            Row(
                f"memory of each of {ours['users']:,.0f} idle connections",
                f"limit of {LIMIT_KIB:g} KiB (aim 5)",
                [cost],
                [LIMIT_KIB],
                at_most=1.0,
                unit="KiB",
            )
        )
        left = {name[5:]: int(count) for name, count in ours.items() if name.startswith("left_") and count > 0}
        print(
            f"a bare user takes {found['bare']['kib']:.1f} KiB; held open for {HELD_S:g} s: {ours['opened']:,.0f} descriptors"
        )
        print(f"left behind when all were stopped: {left or 'nothing'}")
        table.end(server)
        if left:
            sys.exit("something was left behind")
        if ours["opened"] < ours["users"]:
            sys.exit("connections were lost while they were held")
    finally:
        server.close()


if __name__ == "__main__":
    main()
