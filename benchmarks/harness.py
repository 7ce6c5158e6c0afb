"""How the benchmarks compare: two clients, each in a process of its own, take turns on one core; the server has the other.

What counts is the CPU time of the client process. The machine may be noisy, so only pairs are compared: in each round
every side is measured once, the others are stopped (SIGSTOP) meanwhile, and the ratio is taken within the round. Shown
are medians over the rounds. The arguments of a benchmark are the echo server's (``--woken``).

A benchmark is a module with a `LOADS` table: name -> a function that gives a `Load`. It is called in the child process,
where Locust has been imported (and has patched the standard library); the module itself must not import Locust.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 7
BUSY = 0.95
"""A share of its core above which the server, not the client, decides the figures."""

Figures = dict[str, float]


# ── in the parent ──────────────────────────────────────────────────────────────────────────────────────────────────


def cores() -> tuple[int, int]:
    """The client's core and the server's; the same one twice if there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used, to the nanosecond (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)


def _spawn(arguments: Sequence[str], core: int, **more: Any) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **more
    )
    os.sched_setaffinity(process.pid, {core})
    return process


class Server:
    """The echo server's process, on the core that the clients do not use."""

    def __init__(self) -> None:
        self._process = _spawn(["benchmarks.echo_server", *sys.argv[1:]], cores()[1])
        assert self._process.stdout is not None
        ports = json.loads(self._process.stdout.readline())
        self.websocket = f"ws://127.0.0.1:{ports['websocket']}"
        self.http = f"http://127.0.0.1:{ports['http']}"
        self.port: int = ports["websocket"]
        self.peak_share = 0.0
        """The largest share of its core that it has used in one measurement."""

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Around a measurement: notes how busy the server was."""
        wall, used = time.monotonic(), cpu_s(self._process.pid)
        yield
        share = (cpu_s(self._process.pid) - used) / (time.monotonic() - wall)
        self.peak_share = max(self.peak_share, share)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()


class Side:
    """One client in its child process, stopped whenever it is not being measured."""

    def __init__(self, module: str, name: str, host: str) -> None:
        self.name = name
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = _spawn(
                ["benchmarks.harness", module, name, host, str(theirs.fileno())], cores()[0], pass_fds=[theirs.fileno()]
            )
        self._wire = ours.makefile("rw")
        self._answer()  # its users are there
        self._stop()

    def _answer(self) -> Figures:
        line = self._wire.readline()
        if not line:
            raise SystemExit(f"the client {self.name!r} has ended, see above")
        figures: Figures = json.loads(line)
        return figures

    def _stop(self) -> None:
        os.kill(self._process.pid, signal.SIGSTOP)

    def measure(self) -> Figures:
        """One measurement, of which only this side knows what it is."""
        os.kill(self._process.pid, signal.SIGCONT)
        self._wire.write("measure\n")
        self._wire.flush()
        figures = self._answer()
        self._stop()
        return figures

    def close(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)
        self._wire.close()
        try:
            self._process.communicate(timeout=3)
        except subprocess.TimeoutExpired:  # users that hang in their farewell, in a flood of pushes for one
            self._process.kill()
            self._process.communicate()


def alternate(
    sides: Mapping[str, Callable[[], Figures]], server: Server, rounds: int = ROUNDS
) -> dict[str, list[Figures]]:
    """``rounds`` measurements of each side, taking turns; one round more warms up."""
    found: dict[str, list[Figures]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, measure in sides.items():
            with server.watched():
                figures = measure()
            if turn:
                found[name].append(figures)
    return found


def compare(
    module: str, host: str, server: Server, names: Sequence[str], rounds: int = ROUNDS, **more: Any
) -> dict[str, list[Figures]]:
    """Start the named loads of ``module``, measure them in turns (``more``: measurements that need no child), end them."""
    sides: list[Side] = []
    try:
        for name in names:
            sides.append(Side(module, name, host))
        return alternate({**{side.name: side.measure for side in sides}, **more}, server, rounds)
    finally:
        for side in sides:
            side.close()


@dataclass
class Row:
    """One line of the cost table: a client beside what it is compared with."""

    what: str
    against: str
    ours: list[float]
    """One figure a round, in ``unit``."""
    theirs: list[float]
    at_least: float | None = None
    """Limit on theirs ÷ ours; None: shown only."""
    at_most: float | None = None
    """Limit on ours ÷ theirs, for rows where ours may cost more."""
    aim: str = ""
    unit: str = "µs"

    @property
    def ratio(self) -> float:
        """The median over the rounds: theirs ÷ ours, or ours ÷ theirs if that is what is limited."""
        pairs = zip(self.ours, self.theirs, strict=True)
        if self.at_least is not None:
            return statistics.median(theirs / ours for ours, theirs in pairs)
        return statistics.median(ours / theirs for ours, theirs in pairs)

    @property
    def is_met(self) -> bool:
        if self.at_least is not None:
            return self.ratio >= self.at_least
        return self.at_most is None or self.ratio <= self.at_most

    def __str__(self) -> str:
        words = "shown"
        if self.at_least is not None or self.at_most is not None:
            words = f"at least {self.at_least:g}" if self.at_least is not None else f"at most {self.at_most:g}"
        if self.aim:
            words += f", aim {self.aim}"
        ours, theirs = (f"{statistics.median(each):9.1f} {self.unit}" for each in (self.ours, self.theirs))
        ratio = f"{self.ratio:5.2f} {'times less' if self.at_least is not None else 'times':<11}"
        return (
            f"{self.what:<46}{ours}   {self.against:<36}{theirs}   {ratio}({words}){'' if self.is_met else '  MISSED'}"
        )


@dataclass
class Table:
    """The rows of one benchmark; ends the process with 1 when one misses its limit."""

    rows: list[Row] = field(default_factory=list)

    def add(self, row: Row) -> None:
        self.rows.append(row)
        print(row, flush=True)

    def end(self, server: Server | None = None) -> None:
        """Say what makes the figures doubtful, and exit with 1 if a limit was missed."""
        if server is not None and server.peak_share >= BUSY:
            print(f"server was the bottleneck: it used up to {server.peak_share:.0%} of its core")
        if cores()[0] == cores()[1]:
            print("only one core: client and server took turns on it")
        if missed := [row.what for row in self.rows if not row.is_met]:
            sys.exit(f"missed: {', '.join(missed)}")


def per_unit_us(rounds: list[Figures]) -> list[float]:
    """Microseconds of CPU for one of what was counted, a figure a round."""
    return [figures["cpu_s"] / figures["count"] * 1e6 for figures in rounds]


# ── in the child ───────────────────────────────────────────────────────────────────────────────────────────────────


class Load:
    """A user class in a real Locust runner of this process, and how it is measured.

    ``user_class`` is made by a function, which may import Locust; ``count`` says how much has been done so far (default:
    Locust's own number of requests).
    """

    def __init__(
        self, user_class: type[Any], users: int = 100, seconds: float = 0.5, count: Callable[[], int] | None = None
    ) -> None:
        self.user_class = user_class
        self.users = users
        self.seconds = seconds
        self._count = count

    def start(self, host: str) -> None:
        """Spawn the users, as ``locust --headless`` does, and wait until all are there."""
        from locust.env import Environment

        import gevent

        self.environment = Environment(user_classes=[self.user_class], host=host)
        self.runner = self.environment.create_local_runner()
        self.runner.start(self.users, spawn_rate=self.users, wait=True)
        while not self.is_ready():
            gevent.sleep(0.05)
        gevent.sleep(0.3)

    def is_ready(self) -> bool:
        """Whether all users are at work."""
        return self.runner.user_count == self.users

    def count(self) -> int:
        if self._count is not None:
            return self._count()
        total: int = self.environment.stats.total.num_requests
        return total

    def measure(self) -> Figures:
        """CPU seconds of this process, and what it did meanwhile."""
        import gevent

        gevent.sleep(0.05)
        count, used = self.count(), time.process_time()
        gevent.sleep(self.seconds)
        figures = {"count": self.count() - count, "cpu_s": time.process_time() - used}
        if self.environment.stats.total.num_failures:
            raise SystemExit(
                f"requests failed: {[error.to_dict() for error in self.environment.stats.errors.values()][:3]}"
            )
        return figures

    def stop(self) -> None:
        self.runner.quit()


def child(module: str, name: str, host: str, descriptor: str) -> None:
    """Hold one load: say when it is ready, measure when asked, end when the parent closes the wire."""
    import locust  # noqa: F401 – monkey-patches, before anything else imports a socket

    logging.getLogger("locust.runners").setLevel(logging.ERROR)  # it warns of the spawn rate
    load: Load = importlib.import_module(module).LOADS[name]()
    load.start(host)
    wire = socket.socket(fileno=int(descriptor)).makefile("rw")  # gevent's by now: reading it lets the users run
    wire.write("{}\n")
    wire.flush()
    while wire.readline():
        wire.write(json.dumps(load.measure()) + "\n")
        wire.flush()
    load.stop()


if __name__ == "__main__":
    child(*sys.argv[1:])
