"""The real-time suite: passes on the embedded server, in one process and in two, and names the rule where a server fails.

Every scenario is run by real processes, some at a time, for some seconds instead of its half minute.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.e2e.runs import ROOT, Finished, assert_balanced, free_port, run_local, server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

AT_ONCE = 4
SCENARIO = ROOT / "locustfiles" / "scenario.py"
BUSY = {"generator": {"max_loop_lag_ms": 60000, "max_cpu_percent": 1000}}
"""Whether the load generator keeps up with so many runs beside it is not asked here."""
OUTAGE = {"embedded": {"faults": [{"after_s": 2, "for_s": 5, "drop_ratio": 1, "refuse_upgrades": True}]}}


@dataclass(frozen=True)
class Run:
    """One run: of the locustfile, or with ``in_yaml`` of its twin; ``changed`` stands over its settings."""

    name: str
    run_s: float
    in_yaml: bool = False
    processes: int = 1
    users: int | None = None
    host: str = ""
    changed: Mapping[str, object] | None = None
    env: Mapping[str, str] | None = None

    def finish(self, folder: Path) -> Finished:
        folder.mkdir()
        settings = {**BUSY, **(self.changed or {})}
        if self.in_yaml:
            settings = {**yaml.safe_load((ROOT / "config" / f"{self.name}.yaml").read_text()), **settings}
        (folder / f"{self.name}.yaml").write_text(yaml.safe_dump(settings))
        words = ["--headless", "--only-summary", "--ext-report-dir", "out", "-t", f"{self.run_s:g}s"]
        words += ["--ext-config", f"{self.name}.yaml"]
        words += ["--host", self.host] if self.host else []
        words += ["-u", str(self.users), "-r", str(self.users)] if self.users else []
        if self.processes > 1:
            port = str(free_port())
            words += ["--processes", str(self.processes), "--master-bind-host", "127.0.0.1"]
            words += ["--master-bind-port", port, "--master-port", port]
        locustfile = SCENARIO if self.in_yaml else ROOT / "locustfiles" / f"{self.name}.py"
        return run_local(folder, *words, locustfile=locustfile, env=self.env)


PASSING = {
    "single": Run("single_connection", 30, processes=2),  # one of the workers has no user
    "concurrent": Run("concurrent_connections", 6, in_yaml=True),
    "sustained": Run("sustained_stress", 13, users=20),
    "mixed": Run("mixed_protocol", 6, in_yaml=True, users=20),
    "fan-out": Run("fan_out", 6, processes=2),
    "failover": Run("failover", 10, in_yaml=True, changed=OUTAGE),
}
MISTREATED: Mapping[str, tuple[Run, Mapping[str, object]]] = {
    "refuses": (Run("concurrent_connections", 5), {"refuse_upgrades": True}),
    "cuts off": (Run("sustained_stress", 15, users=20), {}),
    "is slow": (Run("mixed_protocol", 6, in_yaml=True, users=20), {"latency_ms": 600}),
    "tells late": (Run("fan_out", 7, in_yaml=True), {"latency_ms": 700}),
    "errs": (Run("single_connection", 20, in_yaml=True), {"error_ratio": 0.2, "seed": 1}),
    "stays": (Run("failover", 4, in_yaml=True), {}),
}
"""What the server does -> the run, and the faults of its server."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Future[Finished]]]:
    """All of them, begun at once, so many side by side, the longest first."""
    folder = tmp_path_factory.mktemp("realtime")

    def mistreated(run: Run, faults: Mapping[str, object], own: Path) -> Finished:
        if run.name == "sustained_stress":  # the embedded server: it is well at the beginning
            cut = {"after_s": 6, "drop_ratio": 1, "refuse_upgrades": True}
            return Run(run.name, run.run_s, users=run.users, changed={"embedded": {"faults": cut}}).finish(own)
        with server() as target:
            target.misbehave(**faults)
            env = {"BACKUPS": target.url.replace("127.0.0.1", "localhost")}
            return Run(run.name, run.run_s, run.in_yaml, users=run.users, host=target.url, env=env).finish(own)

    with ThreadPoolExecutor(AT_ONCE) as lanes:
        begun: dict[str, Future[Finished]] = {}
        first = sorted([*PASSING.items(), *((name, run) for name, (run, _) in MISTREATED.items())], key=_length_s)
        for name, run in reversed(first):
            own = folder / name.replace(" ", "-")
            if name in PASSING:
                begun[name] = lanes.submit(run.finish, own)
            else:
                begun[name] = lanes.submit(mistreated, run, MISTREATED[name][1], own)
        yield begun
        for each in begun.values():
            each.cancel()


def _length_s(entry: tuple[str, Run]) -> float:
    return entry[1].run_s


def verdicts(finished: Finished) -> dict[str, str]:
    return {each["name"]: each["outcome"] for each in finished.summary["rules"]}


def passed(name: str, runs: Mapping[str, Future[Finished]]) -> Finished:
    """The run of `PASSING`: whole, balanced, and with all its criteria met."""
    finished = runs[name].result()
    assert finished.code == 0, finished.output
    assert "Traceback" not in finished.output, finished.output
    assert_balanced(finished)
    run = finished.summary["run"]
    assert run["complete"]
    assert (run["scenario"], run["workers"]) == (
        PASSING[name].name,
        PASSING[name].processes if PASSING[name].processes > 1 else 0,
    )
    outcomes = {rule: outcome for rule, outcome in verdicts(finished).items() if rule != "target memory"}
    assert outcomes, finished.output
    assert set(outcomes.values()) == {"passed"}, outcomes
    return finished


def ok(finished: Finished, *types: str) -> dict[str, int]:
    return {each["name"]: each["ok"] for each in finished.operations(*types)}


def test_one_connection_says_each_kind_of_message_and_ends_with_its_work(runs: Mapping[str, Future[Finished]]) -> None:
    """Two channels of one user; 120 messages, requests and one-way ones, and not one more."""
    finished = passed("single", runs)
    answered, one_way = ok(finished, "WS"), ok(finished, "SEND")
    assert set(answered) == {
        *("ping", "heartbeat", "agent_command", "query", "subscribe", "unsubscribe", "prompt_submitted"),
        *("start_monitoring", "get_summary", "stop_monitoring"),
    }
    assert set(one_way) == {"update_monitoring"}
    assert answered["ping"] in (17, 18)
    assert sum(answered.values()) + sum(one_way.values()) == 120
    assert finished.summary["connection_metrics"]["total_connections"] == 2
    assert finished.summary["run"]["duration_s"] < 30


def test_a_hundred_connections_are_open_at_once(runs: Mapping[str, Future[Finished]]) -> None:
    finished = passed("concurrent", runs)
    assert finished.summary["connection_metrics"]["peak_open"] == 100
    assert finished.summary["connection_metrics"]["successful_connections"] == 100


def test_everybody_is_still_connected_at_the_end_of_sustained_stress(runs: Mapping[str, Future[Finished]]) -> None:
    finished = passed("sustained", runs)
    assert finished.summary["connection_metrics"]["successful_connections"] == 20
    assert finished.summary["connection_metrics"]["dropped"] == 0


def test_both_protocols_take_turns_in_the_same_users(runs: Mapping[str, Future[Finished]]) -> None:
    finished = passed("mixed", runs)
    over_http, live = (sum(each["ok"] for each in finished.operations(*kinds)) for kinds in (("GET", "POST"), ("SIO",)))
    assert over_http - 20 <= live <= over_http  # each of 20 users begins over HTTP
    assert live > 50
    pushes = finished.summary["push_metrics"]["context_updated"]
    assert pushes["reach"] > 0.99


def test_each_change_reaches_every_listener_of_both_workers(runs: Mapping[str, Future[Finished]]) -> None:
    finished = passed("fan-out", runs)
    changes = sum(ok(finished, "POST").values())
    pushes = finished.summary["push_metrics"]["context_updated"]
    assert changes > 10
    assert finished.summary["connection_metrics"]["peak_open"] == 60
    assert pushes["received"] > 30 * changes
    assert pushes["reach"] > 0.99


def test_users_go_to_the_backup_and_the_report_says_how_long_they_were_away(
    runs: Mapping[str, Future[Finished]],
) -> None:
    finished = passed("failover", runs)
    connections = finished.summary["connection_metrics"]
    assert (connections["dropped"], connections["reconnects"], connections["failovers"]) == (20, 20, 20)
    (recovered,) = connections["recoveries"]
    assert (recovered["user"], recovered["channel"]) == ("Client", "/api/v1/ws/{client_id}")
    assert 0 < recovered["recovery_ms"]["p50"] <= recovered["recovery_ms"]["max"] < 5000
    assert "Its backup answers at http://127.0.0.1:" in finished.output
    assert "The embedded server from now on: drop_ratio 1.0, refuse_upgrades True" in finished.output
    assert "The embedded server from now on: well" in finished.output


@pytest.mark.parametrize(
    ("does", "failed"),
    [
        ("refuses", {"80 % can connect", "80 % are connected", "1 s on average", "10 messages a second"}),
        ("cuts off", {"60 % stay connected"}),
        ("is slow", {"HTTP within 500 ms", "live events within 500 ms"}),
        ("tells late", {"95 % within 500 ms"}),
        ("errs", {"all succeed"}),
        ("stays", {"users fail over", "95 % are back within 5 s"}),
    ],
)
def test_a_server_that_fails_is_told_by_the_criterion_that_is_about_it(
    does: str, failed: set[str], runs: Mapping[str, Future[Finished]]
) -> None:
    """Exit code 3, with the rule in the console; where nothing was answered, what waits for data fails as well."""
    finished = runs[does].result()
    assert finished.code == 3, finished.output
    assert_balanced(finished)
    outcomes = verdicts(finished)
    told = {name for name, outcome in outcomes.items() if outcome == "failed"}
    assert failed <= told, outcomes
    assert told - failed <= {"95 % succeed", "20 a second"}, outcomes
    assert all(name in finished.output for name in told)


def test_an_embedded_backup_of_a_server_of_ones_own_is_refused_before_the_run(tmp_path: Path) -> None:
    finished = Run("failover", 3, host="http://127.0.0.1:1").finish(tmp_path / "run")
    assert finished.code == 1, finished.output
    assert [line for line in finished.output.splitlines() if "error" in line] == [
        "locust-ext: error: Client.pattern.backups: expected addresses of your own backups (the failover scenario takes "
        "them from the environment variable BACKUPS): an embedded one stands in for the embedded server only "
        "(got 'embedded')"
    ]
