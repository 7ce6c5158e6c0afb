"""The exporter in real runs: Debian's Prometheus scrapes them, and finds what `summary.json` says."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import runs
from tests.e2e.runs import Locust, free_port, headless
from tests.outputs.prometheus import Scraped, assert_promtool_takes

pytestmark = pytest.mark.e2e


class Prometheus:
    """A Prometheus of the test's own, which scrapes one port of this machine each second."""

    def __init__(self, url: str) -> None:
        self.url = url

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """(labels, value) of each series of the answer; what it cannot parse is an error."""
        address = f"{self.url}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(address, timeout=10) as answer:
            found: dict[str, Any] = json.loads(answer.read())
        assert found["status"] == "success"
        return [(each["metric"], float(each["value"][1])) for each in found["data"]["result"]]

    def value(self, expression: str) -> float:
        """The one value of the answer."""
        ((_, value),) = self.query(expression)
        return value


@contextmanager
def prometheus(folder: Path, target_port: int) -> Iterator[Prometheus]:
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("needs prometheus")
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{"job_name": "locust", "static_configs": [{"targets": [f"127.0.0.1:{target_port}"]}]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    port = free_port()
    arguments = [f"--web.listen-address=127.0.0.1:{port}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(
            [program, f"--config.file={folder / 'prometheus.yml'}", *arguments], stdout=log, stderr=subprocess.STDOUT
        )
    server = Prometheus(f"http://127.0.0.1:{port}")
    try:
        until_s = time.monotonic() + 30
        while not _is_ready(server):
            assert process.poll() is None, (folder / "prometheus.log").read_text()
            assert time.monotonic() < until_s, "Prometheus is not ready within 30 s"
            time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        process.wait(20)


def _is_ready(server: Prometheus) -> bool:
    try:
        with urllib.request.urlopen(f"{server.url}/-/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def scraped(port: int) -> Scraped | None:
    """None: nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            return Scraped(answer.read().decode())
    except OSError:
        return None


def scraped_once(port: int, series: str, timeout_s: float = 30.0) -> Scraped:
    """As soon as there is this series."""
    until_s = time.monotonic() + timeout_s
    while time.monotonic() < until_s:
        found = scraped(port)
        if found is not None and any(name == series for name, _ in found.values):
            return found
        time.sleep(0.1)
    raise AssertionError(f"no {series} at port {port}")


def test_prometheus_finds_the_requests_the_errors_and_the_p95_of_a_distributed_run(tmp_path: Path) -> None:
    port = free_port()
    with runs.server() as target, prometheus(tmp_path, port) as watcher:
        target.misbehave(error_ratio=0.1, seed=3)
        arguments = headless(
            20, 8, "--processes", "2", "-s", "5", "--host", target.url, "--ext-metrics-port", str(port)
        )
        run = Locust(*arguments, folder=tmp_path)
        finished = run.finish()
        assert "Nobody scraped the final metrics" not in finished.output
        runs.assert_balanced(finished)
        operations = finished.operations()

        def last(series: str) -> str:
            return f"last_over_time({series}[2m])"

        outcomes = ("ok", "failed", "timed_out", "lost", "cancelled")
        found = {
            (each["type"], each["name"], each["outcome"]): value
            for each, value in watcher.query(last("locust_ext_requests_total"))
        }
        expected = {(each["type"], each["name"], outcome): each[outcome] for each in operations for outcome in outcomes}
        assert found == expected
        errors = finished.summary["error_metrics"]["total"]
        assert errors > 0
        assert watcher.value(f"sum({last('locust_ext_request_errors_total')})") == errors
        assert watcher.value(last("locust_ext_run_complete")) == 1
        assert watcher.value(last("locust_ext_workers")) == 2
        workers = {each["worker"] for each, _ in watcher.query(last("locust_ext_generator_cpu_seconds_total"))}
        assert workers == {"0", "1"}
        checked = 0
        for each in operations:
            p95_ms = each["latency_ms"].get("p95") if each["latency_ms"] else None
            if p95_ms is None:
                continue
            labels = f'type="{each["type"]}",name="{each["name"]}"'
            buckets = last(f"locust_ext_request_duration_seconds_bucket{{{labels}}}")
            low_s, high_s = _bucket(watcher.query(buckets))
            assert low_s * 0.995 <= p95_ms / 1000 <= high_s * 1.005, each["name"]
            assert low_s <= watcher.value(f"histogram_quantile(0.95, sum by (le) ({buckets}))") <= high_s
            checked += 1
        assert checked >= 3


def _bucket(buckets: list[tuple[dict[str, str], float]]) -> tuple[float, float]:
    """(lower, upper edge) of the bucket that holds the 95th percentile by nearest rank."""
    below = sorted((float(labels["le"]), count) for labels, count in buckets)
    rank = math.ceil(round(0.95 * below[-1][1], 6))
    edges = [0.0, *(edge for edge, _ in below)]
    position = next(index for index, (_, count) in enumerate(below) if count >= rank)
    return edges[position], edges[position + 1]


def test_each_worker_tells_its_own_part_at_a_port_of_its_own_and_they_add_up(tmp_path: Path) -> None:
    port, worker_port = free_port(), free_port()
    ports = ["--ext-metrics-port", str(port), "--ext-worker-metrics", str(worker_port)]
    run = Locust(*headless(10, 6, "--processes", "2", "-s", "5", *ports), folder=tmp_path)
    first = scraped_once(worker_port, "locust_ext_request_duration_seconds_count")
    second = scraped_once(worker_port + 1, "locust_ext_request_duration_seconds_count")
    for worker, each in (("0", first), ("1", second)):
        assert set(each.by("locust_ext_generator_cpu_seconds_total", "worker")) <= {worker}
        assert each.of("locust_ext_users_present") <= 10
    time.sleep(2.1)
    owner = scraped_once(port, "locust_ext_requests_total")
    parts = [scraped(worker_port), scraped(worker_port + 1)]
    assert parts[0] is not None
    assert parts[1] is not None
    sums = sum(part.of("locust_ext_requests_total") for part in parts if part is not None)
    assert sums >= owner.of("locust_ext_requests_total"), "the master knows what the workers have sent it by now"
    assert parts[0].fallen(first) == {}
    assert parts[1].fallen(second) == {}
    assert run.finish().code == 0


def test_fault_29_the_run_goes_on_when_the_port_is_taken(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        finished = runs.run_local(tmp_path, *headless(5, 3, "-s", "5", "--ext-metrics-port", str(port)))
    assert finished.code == 0
    assert finished.output.count("No metrics for Prometheus") == 1
    assert f"127.0.0.1:{port} cannot be listened on: address already in use" in finished.output
    assert finished.summary["run"]["duration_s"] >= 2.5


def test_reset_stats_and_a_live_text_that_promtool_takes(tmp_path: Path) -> None:
    port = free_port()
    arguments = headless(10, 6, "--reset-stats", "-s", "5", "--ext-metrics-port", str(port))
    run = Locust(*arguments, folder=tmp_path)
    before = scraped_once(port, "locust_ext_request_duration_seconds_count")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        assert_promtool_takes(answer.read().decode())
    while (now := scraped(port)) is not None:
        assert now.fallen(before) == {}
        before = now
        time.sleep(0.3)
    finished = run.finish()
    assert before.of("locust_ext_run_complete") == 1, "the last scrape got the final figures"
    assert before.of("locust_ext_requests_total") >= sum(
        each["started"] - each["in_flight"] for each in finished.operations()
    )
