"""However a run ends: in time, with every sample in the report, and with nothing left behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.e2e.runs import Locust, assert_balanced, assert_same_counts, free_port, headless, server
from tests.e2e.test_honesty import locustfile

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


@pytest.mark.alone
def test_any_number_of_signals_within_a_second_is_one_ctrl_c(tmp_path: Path) -> None:
    """As `timeout -s INT` sends two: to its child, and to its group. Or a service manager SIGTERM, after a Ctrl-C."""
    gaps_s = (0.0, 0.002, 0.01, 0.02, 0.2, 0.5)
    plans = [(processes, gap_s) for processes in (1, 2) for gap_s in gaps_s]
    with server() as target:
        runs = []
        for processes, gap_s in plans:
            folder = tmp_path / f"{processes} {gap_s:g}"
            folder.mkdir()
            more = ["--processes", "2"] if processes == 2 else []
            runs.append(Locust(*headless(6, 90, "--host", target.url, *more), folder=folder))
        for run in runs:
            run.wait_for("All users spawned", 60)
        for run, (_, gap_s) in zip(runs, plans, strict=True):
            run.signal(signal.SIGINT)
            time.sleep(gap_s)
            if run.process.poll() is None:
                run.signal(signal.SIGINT, to_group=True)
                run.signal(signal.SIGTERM)
        finished = [run.finish() for run in runs]
        counters = target.counters()
    for each in finished:
        assert each.code == 0, each.output
        assert "Traceback" not in each.output
        assert each.summary["run"]["complete"]
        assert each.summary["run"]["valid"], each.summary["run"]
        assert_balanced(each)
    sent = sum(each.summary["message_metrics"]["messages_sent"] for each in finished)
    assert sent == counters["messages_received"] > 0


SLOW = "    def on_stop(self):\n        import gevent\n        gevent.sleep(60)\n"
DEAF = (
    "    def on_stop(self):\n        import gevent\n        while True:\n"
    "            try: gevent.sleep(60)\n            except gevent.GreenletExit: pass\n"
)


@pytest.mark.alone
@pytest.mark.parametrize(("on_stop", "within_s"), [(SLOW, 3.0), (DEAF, 9.0)], ids=["that is slow", "that is deaf"])
def test_a_second_ctrl_c_ends_an_on_stop_and_still_writes_the_report(
    tmp_path: Path, on_stop: str, within_s: float
) -> None:
    """At once where users can be killed, and after five seconds where they cannot; however the second one is sent."""
    seconds = {"Ctrl-C": (signal.SIGINT, True), "kill -INT": (signal.SIGINT, False), "kill": (signal.SIGTERM, False)}
    plans = [(processes, how) for processes in (1, 2) for how in seconds]
    with server() as target:
        runs = []
        for processes, how in plans:
            folder = tmp_path / f"{processes} {how}"
            folder.mkdir()
            arguments = headless(4, 90, "--host", target.url, "-s", "50")
            if processes == 2:
                arguments = headless(4, 90, "--host", target.url, "-s", "50", "--processes", "2")
            runs.append(Locust(*arguments, folder=folder, locustfile=locustfile(folder, 0.05, more=on_stop)))
        for run in runs:
            run.wait_for("All users spawned", 60)
        families = [run.family() for run in runs]
        time.sleep(1.0)  # not for safety: some load
        for run in runs:
            run.signal(signal.SIGINT, to_group=True)
        time.sleep(1.5)  # not for safety: what comes within a second of the first is no second one
        assert all(run.process.poll() is None for run in runs), "they wait for the users"
        begun_s = time.monotonic()
        for run, (_, how) in zip(runs, plans, strict=True):
            number, to_group = seconds[how]
            run.signal(number, to_group=to_group)
        finished = [run.finish(30) for run in runs]
        took_s = time.monotonic() - begun_s
    assert took_s < within_s + 3  # the machine may be busy with others, and six runs end at a time
    for each, family, (processes, _) in zip(finished, families, plans, strict=True):
        assert "Traceback" not in each.output
        assert psutil.wait_procs(family, timeout=5)[1] == []
        assert sum(operation["ok"] for operation in each.operations("WS")) > 0
        if on_stop == SLOW:
            assert each.code == 0, each.output
            assert each.summary["run"]["complete"]
            assert each.summary["run"]["valid"], each.summary["run"]
            assert_balanced(each)
        elif processes == 1:
            assert each.code == 1, each.output
            (reason,) = each.summary["run"]["invalid_because"]
            assert reason == "it was broken off before all its users had ended"


def test_a_worker_that_leaves_makes_the_run_of_the_others_not_valid(tmp_path: Path) -> None:
    """One of two lacks the file that its master names: the other makes the load, and the verdict says who did not."""
    (tmp_path / "there").mkdir()
    (tmp_path / "t.yaml").write_text("{type: ping}")
    (tmp_path / "ext.yaml").write_text("messages: {template: {file: t.yaml}}")
    file = tmp_path / "driven.py"
    file.write_text(
        "from locust import constant\nimport locust_ext\nfrom locust_ext import AgentUser\nlocust_ext.install()\n"
        "class Crowd(AgentUser):\n    abstract = False\n    wait_time = constant(0.1)\n"
    )
    port = str(free_port())
    join = ("--worker", "--master-host", "127.0.0.1", "--master-port", port)
    bind = ("--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--expect-workers", "2")
    with server() as target:
        lacking = Locust(*join, folder=tmp_path / "there", locustfile=file)
        able = Locust(*join, folder=tmp_path, locustfile=file)
        arguments = ["--headless", "-u", "4", "-r", "4", "-t", "4s", "--host", target.url, "--ext-report-dir", "out"]
        arguments += ["--ext-config", "ext.yaml", "--ext-generator", "template"]
        master = Locust(*arguments, *bind, folder=tmp_path, locustfile=file)
        finished = master.finish(40)
        assert (lacking.finish(20).code, able.finish(20).code) == (1, 0)
    (reason,) = finished.summary["run"]["invalid_because"]
    assert ": t.yaml: messages.template: the file cannot be read" in reason
    assert reason.startswith(("worker 0 left", "worker 1 left"))
    assert finished.code == 0, "nothing was asked of it: a warning"
    assert sum(each["ok"] for each in finished.operations("WS")) > 10


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


@pytest.mark.parametrize("end", ["--run-time", "Ctrl-C", "SIGTERM"])
def test_a_run_that_ends_in_the_middle_of_its_ramp_waits_for_no_user_that_came_late(tmp_path: Path, end: str) -> None:
    """The master's ramp goes on for a moment, while the workers' users are on their way out."""
    with server() as target:
        arguments = headless(90, 4 if end == "--run-time" else 90, "-s", "5", "--host", target.url, "--processes", "2")
        arguments[arguments.index("-r") + 1] = "3"
        run = Locust(*arguments, folder=tmp_path)
        run.wait_for("Sending spawn jobs")
        begun_s = time.monotonic()
        if end != "--run-time":
            time.sleep(3.2)  # not for safety: the middle of the ramp
            run.signal(signal.SIGINT if end == "Ctrl-C" else signal.SIGTERM, to_group=end == "Ctrl-C")
        finished = run.finish(60)
        took_s = time.monotonic() - begun_s
        assert_same_counts(finished, target.counters())
    assert took_s < 4 + 5 + ENDS_WITHIN_S  # the load, the stop timeout, and the end
    assert finished.code == 0, finished.output
    assert finished.summary["run"]["complete"]
    assert finished.summary["run"]["valid"], finished.summary["run"]
    assert_balanced(finished)


HASTY = """
from locust.rpc import Message, zmqrpc
import psutil, sys, time
port = sys.argv[1]
server = zmqrpc.Server("127.0.0.1", int(port))
while True:
    name, message = server.recv_from_client()
    if message.type == "client_ready":
        every = psutil.process_iter(["cmdline"])
        (worker,) = (each for each in every if {"--worker", port} <= set(each.info["cmdline"] or ()))
        worker.suspend()  # so that it finds both when it looks
        for kind, data in (("ack", {"index": 0}), ("quit", None)):
            server.send_to_client(Message(kind, data, name))
        time.sleep(0.3)
        worker.resume()
"""


def test_a_worker_that_is_sent_home_with_its_welcome_ends(tmp_path: Path) -> None:
    """Its master ended before the run: for Locust alone it would then wait for ever."""
    port = str(free_port())
    master = subprocess.Popen([sys.executable, "-c", HASTY, port], stdin=subprocess.DEVNULL)
    try:
        worker = Locust("--worker", "--master-host", "127.0.0.1", "--master-port", port, folder=tmp_path)
        finished = worker.finish(30)
    finally:
        master.kill()
        master.wait()
    assert finished.code == 0, finished.output
    assert "Traceback" not in finished.output
