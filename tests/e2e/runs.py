"""Real `locust` processes and a real reference server, for the tests of this folder."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
REALISTIC = ROOT / "locustfiles" / "realistic.py"
DEMO = ROOT / "config" / "demo.yaml"
TIMEOUT_S = 90.0


def environment(**more: str) -> dict[str, str]:
    """As from a shell in which no variable of Locust's or ours is set, nor one of the `make` that runs these tests."""
    strange = ("LOCUST_", "MAKE", "MFLAGS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


def free_port() -> int:
    """Below the ports that the kernel gives to connections: those of the tests beside this one may take such a one."""
    while True:
        port = random.randrange(12_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@dataclass
class Finished:
    """What is left of a process (and of its workers)."""

    code: int
    output: str
    took_s: float
    folder: Path
    workers: list[Finished] = field(default_factory=list)

    @property
    def summary(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.folder / "summary.json").read_bytes())
        return loaded

    def operations(self, *types: str) -> list[dict[str, Any]]:
        return [each for each in self.summary["operations"] if not types or each["type"] in types]


class Locust:
    """A running `locust`, its children, and the log that it writes."""

    def __init__(
        self, *arguments: str, folder: Path, locustfile: Path = REALISTIC, env: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.log = folder / f"locust-{len(list(folder.glob('locust-*.log')))}.log"
        self._stream = self.log.open("w")
        command = [str(Path(sys.executable).with_name("locust")), "-f", str(locustfile), *arguments]
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment(**(env or {})),
            stdin=subprocess.DEVNULL,
            stdout=self._stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait_for(self, text: str, timeout_s: float = 30.0) -> str:
        """Wait until the log says ``text``; gives the log."""
        until_s = time.monotonic() + timeout_s
        while time.monotonic() < until_s:
            said = self.log.read_text()
            if text in said:
                return said
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"{text!r} was not said:\n{self.log.read_text()}")

    def family(self) -> list[psutil.Process]:
        """This process and all below it."""
        me = psutil.Process(self.process.pid)
        return [me, *me.children(recursive=True)]

    def signal(self, number: int, *, to_group: bool = False) -> None:
        """``to_group``: as a terminal does for Ctrl-C."""
        if to_group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    def finish(self, timeout_s: float = TIMEOUT_S) -> Finished:
        begun_s = time.monotonic()
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise AssertionError(f"did not end within {timeout_s} s:\n{self.log.read_text()}") from None
        finally:
            self._stream.close()
        return Finished(code, self.log.read_text(), time.monotonic() - begun_s, self.folder / "out")


def headless(users: int = 20, run_s: float = 6, *more: str, report: bool = True) -> list[str]:
    """Arguments of a short run of the realistic scenario."""
    arguments = ["--headless", "-u", str(users), "-r", str(users), "-t", f"{run_s:g}s", "--only-summary"]
    arguments += ["--ext-config", str(DEMO), *more]
    if "--processes" in more:  # on ports of its own: something else may listen on Locust's default
        port = str(free_port())
        arguments += ["--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port]
    return [*arguments, "--ext-report-dir", "out"] if report else arguments


def run_local(folder: Path, *arguments: str, **options: Any) -> Finished:
    return Locust(*arguments, folder=folder, **options).finish()


def run_distributed(folder: Path, *arguments: str, workers: int = 2, **options: Any) -> Finished:
    """One master and separate workers, each a process of its own."""
    port = str(free_port())
    joined = [
        Locust("--worker", "--master-port", port, "--master-host", "127.0.0.1", folder=folder, **options)
        for _ in range(workers)
    ]
    master = Locust(
        "--master",
        "--master-bind-host",
        "127.0.0.1",
        "--master-bind-port",
        port,
        "--expect-workers",
        str(workers),
        *arguments,
        folder=folder,
        **options,
    )
    finished = master.finish()
    finished.workers = [each.finish(15) for each in joined]
    return finished


class Server:
    """A reference server of the test's own."""

    def __init__(self, url: str) -> None:
        self.url = url

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or b"null")

    def counters(self) -> dict[str, Any]:
        counted: dict[str, Any] = self._ask("GET", "/counters")
        return counted

    def misbehave(self, **faults: Any) -> None:
        self._ask("PUT", "/faults", faults)


@contextmanager
def server(*arguments: str) -> Iterator[Server]:
    """A reference server on a free port, ended with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "locust_ext.refserver", "--port", "0", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("READY "), line
        yield Server(line.removeprefix("READY ").strip())
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def assert_balanced(finished: Finished) -> None:
    """The ledger of every operation, and its error classes."""
    for each in finished.operations():
        ended = sum(each[column] for column in ("ok", "failed", "timed_out", "lost", "cancelled", "in_flight"))
        assert each["started"] == ended, each
        assert sum(each["errors"].values()) == each["failed"] + each["timed_out"] + each["lost"], each
        assert each["in_flight"] == 0, each


def assert_same_counts(finished: Finished, counters: Mapping[str, Any]) -> None:
    """Client and server have counted the same, to the last message, connection and request."""
    messages = finished.summary["message_metrics"]
    http = [each for each in finished.operations() if each["type"] in ("GET", "POST")]
    assert (messages["messages_sent"], messages["messages_received"]) == (
        counters["messages_received"],
        counters["messages_sent"],
    )
    assert finished.summary["connection_metrics"]["successful_connections"] == counters["connections"]
    assert sum(each["started"] - each["cancelled"] for each in http) == counters["http_requests"]
