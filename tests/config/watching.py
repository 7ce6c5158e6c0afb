"""One real run as in ``config/compose.yaml``, against a target with faults, scraped by Prometheus as configured there."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.config.files import CONFIG, PROMETHEUS, flags, loaded
from tests.e2e.runs import Locust, free_port, server

RUN_S: Final = 14
WATCHED_S: Final = 9
SCENARIO: Final = Path(__file__).with_name("scenario.py")


@dataclass
class Watched:
    """A Prometheus, and the moment of the run at which it is asked."""

    url: str
    instance: str
    at_s: float = 0.0

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of the answer as of that moment; what Prometheus cannot parse or evaluate fails the test."""
        asked = {"query": expression} | ({"time": f"{self.at_s:.3f}"} if self.at_s else {})
        try:
            answer = self.ask("query", asked)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{expression}: {error.read().decode()}") from None
        found: list[dict[str, Any]] = answer["result"]
        return found

    def values(self, expression: str) -> list[float]:
        return [float(each["value"][1]) for each in self.query(expression)]

    def ask(self, path: str, arguments: Mapping[str, str]) -> dict[str, Any]:
        address = f"{self.url}/api/v1/{path}?" + urllib.parse.urlencode(arguments)
        with urllib.request.urlopen(address, timeout=10) as answer:
            found: dict[str, Any] = json.loads(answer.read())["data"]
        return found

    def wait_for(self, expression: str, timeout_s: float = 30.0) -> None:
        """Until it has a value."""
        until_s = time.monotonic() + timeout_s
        while not self.query(expression):
            assert time.monotonic() < until_s, f"nothing came of {expression} within {timeout_s} s"
            time.sleep(0.1)


@contextmanager
def prometheus(folder: Path, metrics_port: int, target: str) -> Iterator[Watched]:
    """As ``config/prometheus`` says, but for the addresses, and once a second."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("needs prometheus")
    config = loaded(PROMETHEUS / "prometheus.yml")
    config["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(PROMETHEUS / name) for name in config["rule_files"]]
    here = {"master:9646": f"127.0.0.1:{metrics_port}", "server:8080": target}
    for job in config["scrape_configs"]:
        for group in job["static_configs"]:
            group["targets"] = [here[each] for each in group["targets"]]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    log = folder / "prometheus.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--web.listen-address=127.0.0.1:{port}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
            ],
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    watched = Watched(f"http://127.0.0.1:{port}", f"127.0.0.1:{metrics_port}")
    try:
        until_s = time.monotonic() + 30
        while not _is_ready(watched):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until_s, "Prometheus is not ready within 30 s"
            time.sleep(0.1)
        yield watched
    finally:
        process.terminate()
        process.wait(20)


def _is_ready(watched: Watched) -> bool:
    try:
        with urllib.request.urlopen(f"{watched.url}/-/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def master_flags(target: str, metrics_port: int, master_port: int) -> list[str]:
    """Those of the master in ``config/compose.yaml``, with this machine's addresses, headless and short."""
    found = flags(loaded(CONFIG / "compose.yaml")["services"]["master"]["command"])
    assert found["--ext-target-metrics"].endswith("/metrics")
    del found["--locustfile"], found["--autostart"]
    found |= {
        "--headless": "",
        "--only-summary": "",
        "--users": "20",
        "--spawn-rate": "20",
        "--run-time": f"{RUN_S}s",
        "--host": target,
        "--ext-agent-host": target,
        "--ext-target-metrics": f"{target}/metrics",
        "--ext-target-port": target.rpartition(":")[2],  # a process of this machine tells its threads, too
        "--ext-rules": str(CONFIG.parent / found["--ext-rules"]),
        "--ext-config": str(CONFIG.parent / found["--ext-config"]),
        "--ext-metrics-host": "127.0.0.1",
        "--ext-metrics-port": str(metrics_port),
        "--master-bind-host": "127.0.0.1",
        "--master-bind-port": str(master_port),
    }
    return [f"{name}={value}" if value else name for name, value in found.items()]


@contextmanager
def watched_run(folder: Path) -> Iterator[Watched]:
    """Asked `WATCHED_S` into the run; the run itself is over when the block begins."""
    metrics_port, master_port = free_port(), free_port()
    with server() as target, prometheus(folder, metrics_port, target.url.removeprefix("http://")) as watched:
        target.misbehave(error_ratio=0.1, duplicate_ratio=0.1, drop_ratio=0.02, seed=3)
        workers = [
            Locust(
                *("--worker", "--master-host=127.0.0.1", f"--master-port={master_port}"),
                folder=folder,
                locustfile=SCENARIO,
            )
            for _ in range(2)
        ]
        master = Locust(*master_flags(target.url, metrics_port, master_port), folder=folder, locustfile=SCENARIO)
        try:
            watched.wait_for(f"locust_ext_run_duration_seconds >= {WATCHED_S}")
            for rarest in ("instance_event:locust_ext_fanout:reach_rate1m", "ALERTS", "locust_ext_stray_replies_total"):
                watched.wait_for(rarest)
            watched.at_s = time.time()
        finally:
            for each in (master, *workers):
                each.finish(60)
        yield watched
