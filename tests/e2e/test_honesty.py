"""Numbers one can trust: exact against a known schedule, and honest about a generator that was too slow."""

from __future__ import annotations

import csv
import json
import random
import re
from math import ceil
from pathlib import Path

import pytest

from tests.e2e.runs import Finished, headless, run_local, server

pytestmark = pytest.mark.e2e

ASKER = """
import json, time
from locust import constant, events, task
import locust_ext
from locust_ext import AgentUser
locust_ext.install()

class Asker(AgentUser):
    host = "embedded"
    wait_time = constant({wait_s})
    @task
    def ask(self):
        self.ws.request({{"type": "ping"}})
        {after}
"""
BUSY_WORKER = (
    "until = time.monotonic() + 0.15\n"
    "        while getattr(self.environment.runner, 'worker_index', 1) in {indices} and time.monotonic() < until: pass"
)


def locustfile(folder: Path, wait_s: float = 0.01, after: str = "pass", more: str = "") -> Path:
    path = folder / "asker.py"
    path.write_text(ASKER.format(wait_s=wait_s, after=after) + more)
    return path


def nearest_rank(values: list[float], q: float) -> float:
    return sorted(values)[ceil(round(q * len(values) / 100, 6)) - 1]


@pytest.mark.alone
def test_percentiles_of_a_known_schedule_are_within_the_stated_error(tmp_path: Path) -> None:
    more = (
        "seen = []\n"
        "@events.request.add_listener\n"
        "def note(request_type, response_time, **_):\n"
        "    if request_type == 'WS': seen.append(response_time)\n"
        "@events.quit.add_listener\n"
        "def write(**_): open('seen.json', 'w').write(json.dumps(seen))\n"
    )
    with server() as target:
        target.misbehave(seed=11, latency_ms=5, jitter_ms=40)
        arguments = headless(1, 8, "-s", "5", "--host", target.url)
        finished = run_local(tmp_path, *arguments, locustfile=locustfile(tmp_path, 0, more=more))
    assert finished.code == 0, finished.output
    (ping,) = finished.operations("WS")
    told = ping["latency_ms"]
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert told["count"] == len(seen) == ping["ok"] > 150
    chance = random.Random("11/jitter_ms")
    scheduled = [5 + 40 * chance.random() for _ in seen]
    for key, q in (("p50", 50), ("p95", 95), ("p99", 99), ("p999", 99.9)):
        exact = nearest_rank(seen, q)
        assert told[key] == pytest.approx(exact, rel=0.005, abs=0.001), key
        # Nothing is faster than the server's delay; how much slower is the machine's business.
        assert told[key] > nearest_rank(scheduled, q) * 0.995, key
        assert told[key] < nearest_rank(scheduled, q) + (25 if q <= 95 else 500), key
    assert told["min"] == pytest.approx(min(seen), abs=0.001)
    assert told["max"] == pytest.approx(max(seen), abs=0.001)
    assert told["avg"] == pytest.approx(sum(seen) / len(seen), abs=0.002)


def rows(finished: Finished, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader((finished.folder / name).read_text().splitlines()))


TIMES = r"from \d\d:\d\d:\d\d to \d\d:\d\d:\d\d"


@pytest.mark.alone
def test_a_busy_process_makes_its_own_run_not_valid_and_says_when(tmp_path: Path) -> None:
    busy = locustfile(tmp_path, after=BUSY_WORKER.format(indices="(0, 1, -1)"))
    finished = run_local(tmp_path, *headless(3, 7, "-s", "5"), locustfile=busy)
    assert finished.code == 0, "nothing was asked of it: a warning"
    run = finished.summary["run"]
    assert not run["valid"]
    (reason,) = run["invalid_because"]
    assert re.fullmatch(f"the generator was the bottleneck {TIMES}", reason)
    assert f"WARNING/locust_ext: The measurement is not valid: {reason}" in finished.output
    assert re.search(r"^Verdict +not valid: the generator was the bottleneck", finished.output, re.M)
    said = " ".join(finished.output.split())
    assert "use more processes (--processes), more machines, or fewer users" in said
    assert "use more processes" in (finished.folder / "summary.md").read_text()
    (generator,) = finished.summary["resources"]["generator"]
    assert generator["worker"] == ""
    assert generator["loop_lag_ms"]["p99"] > 50
    assert generator["cpu_percent"]["max"] > 50
    (spell,) = generator["bottleneck"]
    assert spell["to_s"] - spell["from_s"] > 3
    marked = [row for row in rows(finished, "timeline.csv") if row["valid"] == "0"]
    assert len(marked) >= 3
    over = [row for row in rows(finished, "resources.csv") if row["over_limit"] == "1"]
    assert len(over) >= 3
    assert all(float(row["loop_lag_max_ms"]) > 50 for row in over)


@pytest.mark.alone
def test_only_the_worker_that_was_the_bottleneck_is_named(tmp_path: Path) -> None:
    busy = locustfile(tmp_path, after=BUSY_WORKER.format(indices="(1,)"))
    finished = run_local(tmp_path, *headless(4, 8, "-s", "5", "--processes", "2"), locustfile=busy)
    (reason,) = finished.summary["run"]["invalid_because"]
    assert re.fullmatch(f"the generator was the bottleneck in worker 1 {TIMES}", reason)
    idle, working = finished.summary["resources"]["generator"]
    assert (idle["worker"], working["worker"]) == ("0", "1")
    assert "bottleneck" not in idle
    assert working["bottleneck"]
    assert {row["source"] for row in rows(finished, "resources.csv") if row["side"] == "generator"} == {"0", "1"}


@pytest.mark.alone
def test_the_limits_are_settings(tmp_path: Path) -> None:
    (tmp_path / "lenient.yaml").write_text("generator: {max_loop_lag_ms: 5000, max_cpu_percent: 1000}\n")
    busy = locustfile(tmp_path, after=BUSY_WORKER.format(indices="(0, 1, -1)"))
    finished = run_local(tmp_path, *headless(3, 6, "-s", "5", "--ext-config", "lenient.yaml"), locustfile=busy)
    assert finished.summary["run"]["valid"]


@pytest.mark.alone
def test_send_lateness_of_an_open_loop_is_told(tmp_path: Path) -> None:
    path = tmp_path / "paced.py"
    path.write_text(
        "import locust_ext\nfrom locust_ext import AgentUser, OpenLoop, messages\nlocust_ext.install()\n"
        "class Paced(AgentUser):\n    host = 'embedded'\n    generator = messages.Mixed({'ping': 1})\n"
        "    pacing = OpenLoop(20)\n"
    )
    finished = run_local(tmp_path, *headless(3, 5, "-s", "5"), locustfile=path)
    assert finished.code == 0, finished.output
    (generator,) = finished.summary["resources"]["generator"]
    (ping,) = finished.operations("WS")
    assert generator["send_lateness_ms"]["count"] == ping["started"] > 100
    assert generator["send_lateness_ms"]["p50"] < 20


def test_a_line_of_live_figures_comes_every_few_seconds_unless_only_the_summary_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "often.yaml").write_text("log: {summary_every_s: 1}\n")
    arguments = ["--headless", "-u", "3", "-t", "5s", "-s", "5", "--ext-config", "often.yaml"]
    finished = run_local(tmp_path, *arguments, locustfile=locustfile(tmp_path))
    line = r"INFO/locust_ext: \d s; 3 open; [\d.]+/s finished; messages .* received; round trips p50 .*; no failure$"
    assert len(re.findall(line, finished.output, re.M)) >= 2, finished.output
    finished = run_local(tmp_path, *arguments, "--only-summary", locustfile=locustfile(tmp_path))
    assert not re.findall(r"INFO/locust_ext: \d s; ", finished.output)
