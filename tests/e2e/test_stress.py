"""The search for the limit in real `locust` processes: the limit that a server has is found, told, and the run ends."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.runs import Finished, Locust, Server, free_port, server
from tests.e2e.test_web_ui import Ui

pytestmark = [pytest.mark.e2e, pytest.mark.alone]

MS_PER_CONNECTION, P95_MS = 20, 375
LIMIT = 18
"""Users at which the 95th percentile of the server's latency comes to the criterion."""
ASKERS = f"""
import locust_ext
from locust import constant, task
from locust_ext import ByType, WebSocketUser, shapes
locust_ext.install()

class Asker(WebSocketUser):
    path, wait_time, correlate = "/api/v1/ws/{{client_id}}", constant(0.1), ByType({{"ping": "pong"}})

    @task
    def ask(self):
        self.ws.request({{"type": "ping"}}, timeout_s=10)

class Limit(shapes.Stress):
    max_users, initial, increment, p95_ms = 200, 15, 4, {P95_MS}
    step_s, confirm_s, settle_s, min_samples, precision, recovery_s = 2, CONFIRM_S, 1, 50, 1, 0
"""
PLAYED = """
import locust_ext
from locust import User, constant, task
locust_ext.install()

class Played(User):
    wait_time = constant(0.1)

    @task
    def ask(self):  # its answers take 10 ms for each user of its process
        took_ms = 10.0 * self.environment.runner.user_count
        self.environment.events.request.fire(request_type="GET", name="x", response_time=took_ms, response_length=0,
                                             exception=None, context={})
"""
QUICK = {"step_s": 1, "confirm_s": 0, "settle_s": 1, "min_samples": 1, "recovery_s": 0}
BLOCKERS = """
import locust_ext
from gevent.monkey import get_original
from locust import User, constant_pacing, task
locust_ext.install()

class Blocker(User):
    wait_time = constant_pacing(0.1)

    @task
    def block(self):  # the loop stands still, without any use of a CPU that tests beside it may need
        get_original("time", "sleep")(0.02)
        self.environment.events.request.fire(request_type="GET", name="x", response_time=1.0, response_length=0,
                                             exception=None, context={})
"""
PATIENT = "generator: {max_loop_lag_ms: 5000}"
"""Where the tests beside it may slow the machine down."""
STANDS_STILL = "generator: {max_loop_lag_ms: 200}\n"
ERRORS = "rules: [{name: errors, metric: error_ratio, critical: '> 5 %'}]"
RULES = """
rules:
  - {name: slow, metric: latency_p95, window: 1s, critical: '> 195ms', on_critical: [stop, fail]}
  - {name: enough, metric: search.sustained_users, low_critical: '< 20'}
"""
WORKERS = ("worker 1", "worker 2")
QUIET = ("--headless", "--only-summary", "--ext-report-dir", "out")


def written(folder: Path, locustfile: str, settings: str = "", rules: str = "") -> tuple[Path, list[str]]:
    """The locustfile, and the flags of its settings and rules."""
    folder.mkdir(exist_ok=True)
    path = folder / "searched.py"
    path.write_text(locustfile)
    flags = []
    for flag, text in (("--ext-config", settings), ("--ext-rules", rules)):
        if text:
            (folder / f"{flag[6:]}.yaml").write_text(text)
            flags += [flag, f"{flag[6:]}.yaml"]
    return path, flags


def forked() -> list[str]:
    port = str(free_port())
    own = ["--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port]
    return ["--processes", "2", *own]


def search_of(finished: Finished) -> dict[str, Any]:
    found: dict[str, Any] = finished.summary["search"]
    return found


def stress(**parameters: object) -> str:
    told = ", ".join(f"{key}: {value}" for key, value in {**QUICK, **parameters}.items())
    return f"log: {{summary_every_s: 0}}\nshape: {{stress: {{{told}}}}}"


@pytest.fixture(scope="module", autouse=True)
def searches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Locust]]:
    """What nobody has to take part in: all of it at once, from the beginning, each against a target of its own."""
    with ExitStack() as stack:
        running: dict[str, Locust] = {}

        def begin(name: str, locustfile: str, settings: str, rules: str = "", more: Sequence[str] = ()) -> None:
            folder = tmp_path_factory.mktemp("search")
            path, flags = written(folder, locustfile, settings, rules)
            running[name] = Locust(*QUIET, *flags, *more, folder=folder, locustfile=path)
            stack.callback(end, running[name])

        for name, more in (("forked", forked()), ("first", []), ("second", [])):  # the one that takes longest first
            target: Server = stack.enter_context(server())
            target.misbehave(seed=len(running), latency_ms_per_connection=MS_PER_CONNECTION)
            locustfile = ASKERS.replace("CONFIRM_S", "2" if name == "first" else "0")
            begin(name, locustfile, PATIENT, more=("--host", target.url, *more))
        by_rule = stress(max_users=24, initial=16, increment=8, precision=8)
        begin("rules", PLAYED, by_rule, RULES)
        endless = stress(max_users=100, initial=4, increment=1, p95_ms=500)
        begin("run time", PLAYED, endless, more=("-t", "8s"))
        begin("Ctrl-C", PLAYED, endless)
        begin("generator", BLOCKERS, STANDS_STILL + stress(max_users=64, initial=1, factor=16, step_s=4), ERRORS)
        port, shape = str(free_port()), stress(max_users=24, initial=16, increment=8, precision=8, p95_ms=105)
        for worker in WORKERS:
            begin(worker, PLAYED, "", more=("--worker", "--master-port", port, "--master-host", "127.0.0.1"))
        bound = ("--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--expect-workers", "2")
        begin("master", PLAYED, shape, more=bound)
        yield running


@pytest.fixture(scope="module", autouse=True)
def twice(searches: dict[str, Locust], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Future[Finished]]:
    """A run that is stopped and started again by somebody who sits at the web UI meanwhile."""
    with ThreadPoolExecutor(1) as somebody:
        yield somebody.submit(_run_twice, tmp_path_factory.mktemp("web"))


def _run_twice(folder: Path) -> Finished:
    port = str(free_port())
    path, flags = written(folder, PLAYED, stress(max_users=24, initial=16, increment=8, precision=8, p95_ms=195))
    own = ["--web-host", "127.0.0.1", "--web-port", port, "--ext-report-dir", "out"]
    run = Locust(*own, *flags, folder=folder, locustfile=path)
    ui = Ui(run, f"http://127.0.0.1:{port}")
    try:
        for turn in range(2):
            ui.wait(lambda told: told["state"] in ("ready", "stopped"), "/stats/requests")
            ui.post("/swarm", b"", "application/x-www-form-urlencoded")
            ui.wait(lambda told: told["user_count"] == (16 if turn == 0 else 24), "/stats/requests")  # noqa: B023
            if turn == 0:
                ui.post("/stop", b"", "application/x-www-form-urlencoded")
            ui.wait(lambda _: run.log.read_text().count("Report written") == turn + 1, "/stats/requests")  # noqa: B023
    finally:
        run.signal(signal.SIGTERM)
        finished = run.finish(20)
    return finished


def end(run: Locust) -> None:
    """It has ended long since, unless its test failed."""
    if run.process.poll() is None:
        run.process.kill()
        run.process.wait(10)


# ── in every mode, while those are going on ────────────────────────────────────────────────────────────────────────────


def test_how_long_the_target_takes_to_recover_is_told(tmp_path: Path) -> None:
    """It stands still for 4 s once it is overloaded."""
    quick = ASKERS.replace("200, 15, 4", "20, 10, 10").replace(str(P95_MS), "300")
    quick = quick.replace("2, CONFIRM_S, 1, 50, 1, 0", "1, 0, 1, 10, 10, 20")
    with server() as target:
        target.misbehave(latency_ms_per_connection=MS_PER_CONNECTION)
        path, flags = written(tmp_path, quick, PATIENT)
        run = Locust(*QUIET, *flags, "--host", target.url, folder=tmp_path, locustfile=path)
        run.wait_for("20 users break: p95")
        target.misbehave(latency_ms_per_connection=MS_PER_CONNECTION, stall={"after_s": 0, "for_s": 4})
        finished = run.finish()
    assert finished.code == 0, finished.output
    found = search_of(finished)
    assert (found["outcome"], found["sustained"]["users"], found["breaks_at"]["users"]) == ("found", 10, 20)
    assert 4 <= found["recovery"]["seconds"] <= 7
    assert f"recovered in {found['recovery']['seconds']:g} s" in " ".join(finished.output.split())


@pytest.mark.parametrize("how", ["Ctrl-C", "run time"])
def test_what_is_known_is_told_when_the_run_ends_before(searches: dict[str, Locust], how: str) -> None:
    run = searches[how]
    if how == "Ctrl-C":
        run.wait_for("step 1: 4 users good")
        run.signal(signal.SIGINT, to_group=True)
    finished = run.finish(30)
    assert finished.code == 4, f"it has no answer: {finished.output}"
    assert "Traceback" not in finished.output
    found = search_of(finished)
    assert found["outcome"] == "interrupted"
    assert found["sustained"]["users"] >= 4
    assert found["steps"][-1]["outcome"] == "cut_short"
    assert "the run ended before the limit was found: sustains at least " in " ".join(finished.output.split())


def test_it_starts_again_from_the_web_ui(twice: Future[Finished]) -> None:
    finished = twice.result(60)
    assert "Traceback" not in finished.output
    first, second = (json.loads((each / "summary.json").read_bytes()) for each in sorted(finished.folder.iterdir()))
    assert first["search"]["outcome"] == "interrupted"
    assert (second["search"]["outcome"], second["search"]["sustained"]["users"]) == ("found", 16)
    assert [step["users"] for step in second["search"]["steps"]] == [16, 24]


# ── what the searches at once came to ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["first", "second", "forked"])
def test_the_limit_that_the_server_has_is_found_within_one_step_three_times_out_of_three(
    searches: dict[str, Locust], name: str
) -> None:
    finished = searches[name].finish()
    assert finished.code == 0, finished.output
    found = search_of(finished)
    assert found["outcome"] == "found"
    sustained, breaks = found["sustained"]["users"], found["breaks_at"]["users"]
    assert LIMIT - 1 <= sustained <= LIMIT
    assert breaks == sustained + 1
    assert found["sustained"]["confirmed"] == (name == "first")
    for step in found["steps"]:  # each has its own figures, and none of the steps before
        expected_ms = step["users"] * MS_PER_CONNECTION
        assert expected_ms <= step["p50_ms"] <= 1.1 * expected_ms, step
        assert step["finished"] >= 50, step
        assert step["finished"] / step["length_s"] == pytest.approx(step["per_second"])
    assert finished.summary["run"]["workers"] == (2 if name == "forked" else 0)
    said = " ".join(finished.output.split())
    assert f"sustains {sustained} users (" in said
    assert f"breaks at {breaks}: p95 > {P95_MS} ms for" in said
    assert f"{breaks} users break: p95 " in said
    assert finished.output.count("locust_ext: step ") == len(found["steps"])


def test_a_generator_that_reaches_its_own_limit_first_says_so(searches: dict[str, Locust]) -> None:
    finished = searches["generator"].finish()
    assert finished.code == 0, finished.output
    found = search_of(finished)
    assert found["outcome"] == "generator"
    steps = [(step["users"], step["outcome"]) for step in found["steps"]]
    assert steps == [(1, "good"), (16, "generator"), (16, "generator")], "once more, in case it was a noisy moment"
    assert "at 16 the generator was the limit" in " ".join(finished.output.split())
    assert finished.summary["run"]["valid"], "only a discarded step was measured by a generator at its limit"


def test_a_rule_about_the_answer_fails_the_run_and_its_criteria_do_not(searches: dict[str, Locust]) -> None:
    finished = searches["rules"].finish()
    assert finished.code == 3, finished.output
    outcomes = {rule["name"]: (rule["outcome"], rule["text"]) for rule in finished.summary["rules"]}
    assert outcomes["slow"] == ("passed", "criterion of the search: broke at 24 users")
    assert outcomes["enough"][0] == "failed"
    assert finished.summary["run"].get("ended_because") is None


def test_it_is_carried_out_on_a_master_with_workers_of_its_own(searches: dict[str, Locust]) -> None:
    finished = searches["master"].finish()
    assert [finished.code, *(searches[each].finish(15).code for each in WORKERS)] == [0, 0, 0], finished.output
    found = search_of(finished)
    assert [(step["users"], step["outcome"], step["p95_ms"]) for step in found["steps"]] == [
        (16, "good", pytest.approx(80, rel=0.02)),
        (24, "bad", pytest.approx(120, rel=0.02)),
    ]
    assert found["unit"] == "requests"
