"""What the resource monitor costs at an interval of 1 s, and for how long it holds the loop.

Run: ``python -m benchmarks.monitor``. One process, as a generator of 1,000 idle users is, with and without the monitor in
turns; figures are medians over the rounds. Beside the plain case, all probes watch a server at once, while the machine has
20,000 sockets, the endpoint answers with 1 MB of metrics and the context server with 20,000 keys. CPU time is that of the
process with all its threads. The longest turn of the loop is CPU time too: what other processes take from us is not the
monitor's. The lag of a timer is wall time, less what it was without the monitor, and only shown. Not in them is the first
start of a monitor, which looks once for the greenlets that there are.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.harness import ROOT, Row, Table

ROUNDS = 5
SECONDS = 5.0
GREENLETS = 1_000
SOCKETS = 20_000
KEYS = 20_000
LIMIT_PERCENT = 1.0
LIMIT_MS = 5.0


@dataclass
class Loop:
    """How the loop fared: the longest turn, and the longest that a timer was late."""

    longest_turn_ms: float = 0.0
    longest_lag_ms: float = 0.0
    _watchers: list[Any] = field(default_factory=list)

    def watch(self) -> None:
        import gevent

        loop = gevent.get_hub().loop
        turn_s = time.thread_time()

        def turned() -> None:
            nonlocal turn_s
            now_s = time.thread_time()
            self.longest_turn_ms = max(self.longest_turn_ms, (now_s - turn_s) * 1e3)
            turn_s = now_s

        due_s = time.monotonic() + 0.005

        def ticked() -> None:
            nonlocal due_s
            self.longest_lag_ms = max(self.longest_lag_ms, (time.monotonic() - due_s) * 1e3)
            due_s = time.monotonic() + 0.005
            timer.again(ticked)

        check, timer = loop.check(), loop.timer(0.005, 0.005)
        check.start(turned)
        timer.start(ticked)
        self._watchers = [check, timer]

    def close(self) -> None:
        for watcher in self._watchers:
            watcher.stop()
            watcher.close()


def cpu_percent(monitor: Any | None) -> float:
    """Of a core, over some seconds."""
    import gevent

    if monitor is not None:
        monitor.start()
        gevent.sleep(2.5)  # its first readings, which are no steady state
    used_s, begun_s = time.process_time(), time.monotonic()
    gevent.sleep(SECONDS)
    percent = (time.process_time() - used_s) / (time.monotonic() - begun_s) * 100
    if monitor is not None:
        monitor.stop()
    return percent


def longest_ms(monitor: Any | None) -> tuple[float, float]:
    """The longest turn of the loop (CPU) and the longest lag (wall), from the monitor's start on."""
    import gc

    import gevent

    gc.collect()
    gc.disable()  # the collector's pauses are Python's own, and come with any program
    loop = Loop()
    loop.watch()
    if monitor is not None:
        monitor.start()
    gevent.sleep(SECONDS)
    if monitor is not None:
        monitor.stop()
    loop.close()
    gc.enable()
    return loop.longest_turn_ms, loop.longest_lag_ms


TARGET = """
import http.server, json, socket, sys, threading
exposition = b"".join(b'some_series_total{route="/path/%d",code="200"} %d\\n' % (i, i) for i in range(20_000))
exposition += b"process_cpu_seconds_total 1.5\\nprocess_resident_memory_bytes 5e7\\nprocess_open_fds 9\\nopen_sockets 7\\n"
context = {f"key-{i}": {"value": "x" * 20, "n": [i, "\\\\"]} for i in range(int(sys.argv[1]))}
context = json.dumps({"context": context, "connected_clients": 3}).encode()
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = context if self.path == "/ctx/all" else exposition
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
threading.Thread(target=server.serve_forever, daemon=True).start()
sink = socket.create_server(("127.0.0.1", 0), backlog=1000)
def accept():
    while True:
        sink.accept()[0].close()
threading.Thread(target=accept, daemon=True).start()
for _ in range(int(sys.argv[2])):  # they wait for a minute in TIME_WAIT
    socket.create_connection(sink.getsockname()).close()
print(json.dumps({"http": server.server_port, "sink": sink.getsockname()[1]}), flush=True)
sys.stdin.read()
"""


@contextmanager
def target() -> Iterator[tuple[int, dict[str, int]]]:
    """A server of a process of its own: its pid and its ports."""
    process = subprocess.Popen(
        [sys.executable, "-c", TARGET, str(KEYS), str(SOCKETS)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.pid, json.loads(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def pairs(measure: Callable[[Any | None], Any], monitor: Any) -> list[tuple[Any, Any]]:
    """(without, with), a pair a round."""
    return [(measure(None), measure(monitor)) for _ in range(ROUNDS)]


def rows(what: str, monitor: Any, table: Table) -> None:
    cpu = pairs(cpu_percent, monitor)
    table.add(
        Row(
            f"CPU: {what}",
            f"limit of {LIMIT_PERCENT:g} % of a core",
            [max(0.0, theirs - ours) for ours, theirs in cpu],
            [LIMIT_PERCENT] * ROUNDS,
            at_most=1.0,
            unit="%",
        )
    )
    stalls = pairs(longest_ms, monitor)
    for name, found in (
        ("longest turn", [theirs[0] for _, theirs in stalls]),
        ("more lag", [max(0.0, theirs[1] - ours[1]) for ours, theirs in stalls]),
    ):
        limit = 1.0 if name == "longest turn" else None  # wall time says little on a machine that others use too
        table.add(
            Row(f"{name}: {what}", f"limit of {LIMIT_MS:g} ms", found, [LIMIT_MS] * ROUNDS, at_most=limit, unit="ms")
        )


def main() -> None:
    """Prints the rows; exits with 1 if one misses its limit."""
    import locust  # noqa: F401 – monkey-patches, before anything else imports a socket

    import gevent

    from locust_ext.runtime.probes import context_probe, metrics_probe, pid_probe, port_probe
    from locust_ext.runtime.resources import ResourceMonitor

    counts: dict[str, int] = {}

    def count(side: str, source: str, *_: object) -> None:
        counts[source or side] = counts.get(source or side, 0) + 1

    users = [gevent.spawn(gevent.sleep, 1e6) for _ in range(GREENLETS)]
    table = Table()
    rows("own process", ResourceMonitor(1.0, count), table)
    with target() as (pid, ports):
        url = f"http://127.0.0.1:{ports['http']}"
        probes = [
            pid_probe(pid),
            port_probe(ports["http"]),
            metrics_probe(f"{url}/metrics", ["open_sockets"]),
            context_probe(url),
        ]
        host = f"http://127.0.0.1:{ports['sink']}"
        rows("all probes", ResourceMonitor(1.0, count, host=lambda: host, probes=probes), table)
    gevent.killall(users)
    print(f"samples: {counts}")
    missing = {"generator", f"pid {pid}", f"port {ports['http']}", "metrics", "context"} - counts.keys()
    if missing:
        sys.exit(f"never read: {missing}")
    table.end()


if __name__ == "__main__":
    main()
