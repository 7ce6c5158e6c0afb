"""Settings from flags, environment, a YAML file and the locustfile's own ``install(…)``, as real processes obey them."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import runs

pytestmark = pytest.mark.e2e

LAYERS = ("default", "install", "file", "environment", "flag")
RATES = {"install": 20, "file": 30, "environment": 40, "flag": 50}
USERS = {"default": 1, "install": 2, "file": 3, "environment": 4, "flag": 5}
RUN_S = {"install": 4, "file": 3, "environment": 2, "flag": 1}

LOCUSTFILE = """
import locust_ext
from locust import events
from locust_ext import AgentUser, messages
from locust_ext.runtime.process import shared

locust_ext.install(**SETTINGS)


class Crowd(AgentUser):
    generator = messages.Ping()


@events.spawning_complete.add_listener
def tell(user_count, **_):
    print("process:", Crowd.connect_timeout_s, Crowd.request_timeout_s, shared().connects_at_once, flush=True)
"""


def locustfile(tmp_path: Path, **settings: Any) -> Path:
    path = tmp_path / "crowd.py"
    path.write_text(LOCUSTFILE.replace("**SETTINGS", f"**{settings!r}" if settings else ""))
    return path


def rules_named(name: str) -> list[dict[str, str]]:
    return [{"name": name, "metric": "error_ratio", "critical": "50%"}]


def asked_of(tmp_path: Path, highest: str, mode: list[str]) -> runs.Locust:
    """A run that is told everything at every layer up to ``highest``; each layer says something else."""
    folder = tmp_path / f"{highest}-{len(mode)}"
    folder.mkdir()
    asked = LAYERS[: LAYERS.index(highest) + 1]

    def settings(layer: str) -> dict[str, Any]:
        made: dict[str, Any] = {
            "run": {"users": USERS[layer], "run_time": f"{RUN_S[layer]}s", "seed": USERS[layer], "spawn_rate": 10},
            "report": {"dir": layer, "formats": ["summary.json"]},
            "rules": rules_named(layer),
            "rate": RATES[layer],
        }
        if layer == "install":
            made["run"] |= {"host": "embedded", "log_level": "debug"}  # none of the others says anything of these
        return made

    path = locustfile(folder, **(settings("install") if "install" in asked else {}))
    arguments, env = ["--headless", "--only-summary", *mode], {}
    if highest == "default":
        arguments += ["-t", "1s", "--ext-report-dir", "default", "--host", "embedded"]
    if "file" in asked:
        (folder / "x.yaml").write_text(json.dumps(settings("file")))
        arguments += ["--ext-config", "x.yaml"]
    for layer in set(asked) & {"environment", "flag"}:
        (folder / f"{layer}.yaml").write_text(json.dumps({"rules": rules_named(layer)}))
    if "environment" in asked:
        layer = "environment"
        env = {
            "LOCUST_USERS": str(USERS[layer]),
            "LOCUST_RUN_TIME": f"{RUN_S[layer]}s",
            "LOCUST_EXT_SEED": str(USERS[layer]),
            "LOCUST_EXT_REPORT_DIR": layer,
            "LOCUST_EXT_RULES": f"{layer}.yaml",
            "LOCUST_EXT_RATE": str(RATES[layer]),
        }
    if highest == "flag":
        arguments += ["-u", str(USERS["flag"]), "-t", f"{RUN_S['flag']}s", "--ext-seed", str(USERS["flag"])]
        arguments += ["--ext-report-dir", "flag", "--ext-rules", "flag.yaml", "--ext-rate", str(RATES["flag"])]
    return runs.Locust(*arguments, folder=folder, locustfile=path, env=env)


def processes(number: int) -> list[str]:
    port = str(runs.free_port())
    return [
        "--processes",
        str(number),
        "--master-bind-host",
        "127.0.0.1",
        "--master-bind-port",
        port,
        "--master-port",
        port,
    ]


@pytest.mark.parametrize("workers", [0, 2])
def test_flag_environment_file_install_default(tmp_path: Path, workers: int) -> None:
    layers = LAYERS if not workers else ("install", "flag")  # what travels does so from wherever it was said
    running = {highest: asked_of(tmp_path, highest, processes(workers) if workers else []) for highest in layers}
    for highest, process in running.items():
        finished = process.finish()
        assert finished.code == 0, finished.output
        written = sorted(path.name for path in process.folder.glob("*/summary.json"))
        folders = sorted(path.parent.name for path in process.folder.glob("*/summary.json"))
        assert (folders, written) == ([highest], ["summary.json"]), finished.output
        finished.folder = process.folder / highest
        summary = finished.summary
        assert summary["run"]["users"] == USERS[highest]
        assert summary["run"]["workers"] == workers
        assert summary["run"]["host"].startswith("http://127.0.0.1:")  # the embedded server's
        runs.assert_balanced(finished)
        if highest == "default":
            assert "rules" not in summary
            assert summary["run"].get("seed") is None
            continue
        assert f"Run time limit set to {RUN_S[highest]} seconds" in finished.output
        assert summary["run"]["seed"] == USERS[highest]
        assert [rule["name"] for rule in summary["rules"]] == [highest]
        assert summary["run"]["target_rate_per_s"] == RATES[highest]
        assert "/DEBUG/locust.runners: " in finished.output
        assert [path.name for path in finished.folder.iterdir()] == ["summary.json"]


def test_timeouts_hold_in_every_process_also_without_the_file_on_the_workers(tmp_path: Path) -> None:
    path = locustfile(tmp_path)
    (tmp_path / "x.yaml").write_text(
        "timeouts: {connect_s: 3, request_s: 2, connects_at_once: 7}\nrun: {host: embedded}\n"
    )
    shown = runs.run_distributed(
        tmp_path, "--headless", "-u", "4", "-r", "4", "-t", "1s", "--ext-config", "x.yaml", locustfile=path
    )
    assert shown.code == 0, shown.output
    for worker in shown.workers:
        assert "process: 3.0 2.0 7" in worker.output, worker.output


SECRET = "hunter2"


def test_the_form_of_the_web_ui_shows_what_the_settings_say_and_no_secret(tmp_path: Path) -> None:
    path = locustfile(tmp_path)
    (tmp_path / "x.yaml").write_text(
        "run: {users: 7, spawn_rate: 3, run_time: 1m30s, host: embedded}\nusers: {Crowd: {headers: {X-Key: '${SECRET}'}}}\n"
    )
    port = runs.free_port()
    process = runs.Locust(
        *("--web-host", "127.0.0.1", "--web-port", str(port), "--ext-config", "x.yaml"),
        folder=tmp_path,
        locustfile=path,
        env={"SECRET": SECRET},
    )
    try:
        page_at(port)
        (tmp_path / "x.yaml").write_text("run: {usres: 7}")  # read once: who edits it does not break the page
        for _ in range(2):
            page = page_at(port)
            assert SECRET not in page
            assert re.search(r'"num_users": 7\b', page), page[:3000]
            assert re.search(r'"spawn_rate": 3(\.0)?\b', page)
            assert re.search(r'"run_time": "?90\b', page)
    finally:
        process.signal(15)
        finished = process.finish()
    assert SECRET not in finished.output


def page_at(port: int) -> str:
    until_s = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as answer:
                text: str = answer.read().decode()
                return text
        except urllib.error.URLError:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.1)


@pytest.mark.parametrize("mode", [[], ["--processes", "2"]], ids=["one process", "processes"])
def test_what_is_wrong_is_one_line_before_the_run(tmp_path: Path, mode: list[str]) -> None:
    good, bad = locustfile(tmp_path), tmp_path / "bad.py"
    bad.write_text(LOCUSTFILE.replace("**SETTINGS", "run={'usres': 5}"))
    (tmp_path / "x.yaml").write_text("run: {usres: 5}")
    (tmp_path / "rules.yaml").write_text("rules: [{name: x, metric: rat, critical: 5}]")
    started = [
        (runs.Locust("--headless", *mode, *more, folder=tmp_path, locustfile=path), said)
        for path, more, said in (
            (bad, [], "bad.py: run.usres: unknown key, "),
            (good, ["--ext-config", "rules.yaml"], "rules.yaml: rules[0].metric: unknown metric"),
            (good, ["--ext-config", "x.yaml"], "x.yaml: run.usres: unknown key, "),
        )[: None if not mode else 1]
    ]
    for process, said in started:
        finished = process.finish()
        assert finished.code == 1, finished.output
        assert f"locust-ext: error: {said}" in finished.output
        assert "Traceback" not in finished.output


def test_the_help_does_not_look_at_the_settings(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text(LOCUSTFILE.replace("**SETTINGS", "run={'usres': 5}"))
    assert runs.run_local(tmp_path, "--help", locustfile=bad).code == 0
