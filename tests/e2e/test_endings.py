"""However a run ends: in time, with every sample in the report, and with nothing left behind."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.e2e.runs import Locust, assert_balanced, assert_same_counts, free_port, headless, server

pytestmark = pytest.mark.e2e

ENDS_WITHIN_S = 5.0


def end(run: Locust, number: int) -> float:
    """Send the signal as its usual sender does; seconds until the end."""
    begun_s = time.monotonic()
    run.signal(number, to_group=number == signal.SIGINT)
    run.process.wait(30)
    return time.monotonic() - begun_s


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("moment", ["while users start", "in full swing"])
def test_a_signal_ends_the_run_with_a_whole_report_and_nothing_left(
    tmp_path: Path, number: int, processes: int, moment: str
) -> None:
    with server() as target:
        more = ["--processes", "2"] if processes == 2 else []
        run = Locust(*headless(40, 60, "--host", target.url, *more), folder=tmp_path)
        run.wait_for("Sending spawn jobs" if processes == 2 else "Ramping to")
        if moment == "in full swing":
            run.wait_for("All users spawned")
            time.sleep(1.0)  # not for safety: the moment that is meant
        family = run.family()
        took_s = end(run, number)
        finished = run.finish()
        counters = target.counters()
    assert took_s < ENDS_WITHIN_S
    assert finished.code == 0, finished.output
    assert "Traceback" not in finished.output
    assert psutil.wait_procs(family, timeout=3)[1] == []
    assert finished.summary["run"]["complete"]
    assert finished.summary["run"]["invalid_because"] == []
    assert_balanced(finished)
    # A connect that was cut off may have been counted by the server; a message was sent or it was not.
    assert finished.summary["message_metrics"]["messages_sent"] == counters["messages_received"]
    if moment == "in full swing":
        assert finished.summary["message_metrics"]["messages_sent"] > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_embedded_server_starts_leaves_nothing(tmp_path: Path, number: int) -> None:
    run = Locust(*headless(2, 60), folder=tmp_path)
    run.wait_for("Starting Locust")
    until_s = time.monotonic() + 20
    while len(family := run.family()) < 2 and time.monotonic() < until_s:
        time.sleep(0.005)
    assert end(run, number) < ENDS_WITHIN_S
    assert psutil.wait_procs(family, timeout=5)[1] == []
    assert "Traceback" not in run.finish().output


def test_the_embedded_server_ends_with_its_parent_even_when_that_is_killed(tmp_path: Path) -> None:
    run = Locust(*headless(2, 60), folder=tmp_path)
    run.wait_for("All users spawned")
    family = run.family()
    assert len(family) == 2
    run.signal(signal.SIGKILL)
    assert psutil.wait_procs(family, timeout=5)[1] == []
    run.finish()


def test_a_killed_worker_is_named_and_its_last_counts_stay(tmp_path: Path) -> None:
    with server() as target:
        port = str(free_port())
        workers = [Locust("--worker", "--master-port", port, folder=tmp_path) for _ in range(2)]
        master = Locust(
            "--master",
            "--master-bind-port",
            port,
            "--expect-workers",
            "2",
            *headless(10, 12, "--host", target.url, "--ext-profiles", "active:1"),
            folder=tmp_path,
        )
        master.wait_for("All users spawned")
        time.sleep(2.5)  # not for safety: the worker has reported some seconds by then
        workers[0].signal(signal.SIGKILL)
        finished = master.finish()
        for worker in workers:
            worker.finish(20)
    run = finished.summary["run"]
    assert not run["valid"]
    assert any("was lost" in reason for reason in run["invalid_because"]), run
    assert not run["complete"]
    assert finished.summary["run"]["workers"] == 2
    assert finished.summary["message_metrics"]["messages_sent"] > 20
    assert "Traceback" not in finished.output


def test_with_the_web_ui_each_run_gets_a_report_folder_of_its_own(tmp_path: Path) -> None:
    import urllib.parse
    import urllib.request

    port = free_port()
    with server() as target:
        run = Locust(
            "--web-host",
            "127.0.0.1",
            "--web-port",
            str(port),
            "--host",
            target.url,
            "-s",
            "5",
            "--ext-config",
            str(Path(__file__).parents[2] / "config" / "demo.yaml"),
            "--ext-report-dir",
            "out",
            folder=tmp_path,
        )
        run.wait_for("Starting web interface")
        base = f"http://127.0.0.1:{port}"

        def post(path: str, **form: str) -> None:
            data = urllib.parse.urlencode(form).encode() if form else b""
            urllib.request.urlopen(urllib.request.Request(base + path, data=data, method="POST"), timeout=20).read()

        def wait_for_reports(count: int) -> list[Path]:
            until_s = time.monotonic() + 20
            while time.monotonic() < until_s:
                found = sorted((tmp_path / "out").glob("*/summary.json"))
                if len(found) >= count:
                    return found
                time.sleep(0.05)
            raise AssertionError(f"{count} reports were expected:\n{run.log.read_text()}")

        until_s = time.monotonic() + 20
        while time.monotonic() < until_s:
            try:
                urllib.request.urlopen(base, timeout=5).read()
                break
            except OSError:
                time.sleep(0.05)
        for count in (1, 2):
            post("/swarm", user_count="6", spawn_rate="6", host=target.url)
            run.wait_for("All users spawned")
            time.sleep(1.5)  # not for safety: some load
            post("/stop")
            reports = wait_for_reports(count)
        counters = target.counters()
        family = run.family()
        assert end(run, signal.SIGTERM) < ENDS_WITHIN_S
        finished = run.finish()
    assert psutil.wait_procs(family, timeout=3)[1] == []
    assert "Traceback" not in finished.output
    assert len(reports) == 2
    sent = []
    for report in reports:
        finished.folder = report.parent
        assert_balanced(finished)
        sent.append(finished.summary["message_metrics"]["messages_sent"])
    assert sum(sent) == counters["messages_received"]


def test_a_run_that_ends_by_itself_counts_what_the_server_counts(tmp_path: Path) -> None:
    with server() as target:
        run = Locust(*headless(15, 5, "-s", "5", "--host", target.url), folder=tmp_path)
        finished = run.finish()
        assert_same_counts(finished, target.counters())
    assert finished.code == 0
