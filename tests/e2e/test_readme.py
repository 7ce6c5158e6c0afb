"""The README is true: every command in it is run, every piece of Python too, and its table is the one that is kept."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml

from locust_ext.settings import Settings, load_settings
from tests import test_layers
from tests.e2e.runs import ROOT, Finished, Locust, environment, free_port, headless, run_local, server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

README = (ROOT / "README.md").read_text()
COMMANDS = [
    line.partition("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.S)
    for line in block.splitlines()
    if line.strip()
]
PYTHON = re.findall(r"```python\n(.*?)```", README, re.S)
REPORT = ["locust-ext report out", "locust-ext report before/ after/"]
SUITE = ["locust-ext settings config/burst.yaml", "locust-ext suite config/suite.yaml"]
AFTER_RULES = ["cat out/summary.md", "locust-ext metrics"]
RULES = re.search(r"```yaml\n(rules:\n.*?)```", README, re.S)
LOCUST = [command for command in COMMANDS if command.startswith("locust ")]


def test_every_command_is_of_a_kind_that_a_test_here_runs() -> None:
    others = [command for command in COMMANDS if command not in LOCUST]
    assert others == ["make run", "make test", *SUITE, "locust-ext server --port 8080", *REPORT, *AFTER_RULES]
    assert len(LOCUST) == 8


def test_the_readme_fits_one_page_of_a_tired_engineer() -> None:
    assert len(README.splitlines()) <= 260


def make(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=250,
        check=False,
    )


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree as it is, with the environment of these tests in the place of ``.venv``."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("Makefile", "pyproject.toml", "README.md", "locustfiles", "config"):
        (folder / name).symlink_to(ROOT / name)
    binaries = folder / ".venv" / "bin"
    binaries.mkdir(parents=True)
    for tool in ("locust", "locust-ext", "python"):
        script = binaries / tool
        target = sys.executable if tool == "python" else Path(sys.executable).with_name(tool)
        script.write_text(f'#!/bin/sh\nexec "{target}" "$@"\n')
        script.chmod(0o755)
    stamp = folder / ".venv" / ".installed"
    stamp.touch()
    return folder


def test_make_run_shows_what_the_readme_shows(checkout: Path) -> None:
    done = make("run", "ARGS=-t 10s", folder=checkout)
    assert done.returncode == 0, done.stdout
    finished = Finished(0, done.stdout, 0.0, checkout / "reports" / "realistic")
    assert {each["type"] for each in finished.operations()} >= {"CONNECT", "WS", "SIO", "GET", "POST"}
    assert finished.summary["error_metrics"]["total"] == 0
    assert sum(each["received"] for each in finished.summary["push_metrics"].values()) > 0
    shown = re.search(r"```text\n(-- locust-ext result.*?)```", README, re.S)
    assert shown is not None
    labels = [line.split("  ")[0] for line in shown.group(1).splitlines()[1:-1]]
    printed = done.stdout[done.stdout.index("-- locust-ext result") :].splitlines()
    assert [line.split("  ")[0] for line in printed if line[:1].isalpha() and line[:15].strip() in labels] == labels


def test_make_test_runs_the_tests(checkout: Path) -> None:
    assert make("-n", "test", "ARGS=-k name", folder=checkout).stdout.strip() == ".venv/bin/python -m tests -k name"


def test_make_ui_prints_its_address_and_serves_there(checkout: Path) -> None:
    port = free_port()
    running = subprocess.Popen(
        ["make", "ui", f"UI_PORT={port}"],
        cwd=checkout,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert running.stdout is not None
        assert running.stdout.readline().strip() == f"Web UI: http://127.0.0.1:{port}"
        until_s = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as page:
                    assert page.status == 200
                break
            except OSError:
                assert time.monotonic() < until_s
                time.sleep(0.05)
    finally:
        os.killpg(running.pid, signal.SIGINT)
        rest, _ = running.communicate(timeout=20)
    assert "Traceback" not in rest


def test_the_server_command_serves(tmp_path: Path) -> None:
    port = free_port()
    command = shlex.split("locust-ext server --port 8080".replace("8080", str(port)))
    running = subprocess.Popen(
        [str(Path(sys.executable).with_name(command[0])), *command[1:]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert running.stdout is not None
        assert running.stdout.readline() == f"READY http://127.0.0.1:{port}\n"
    finally:
        running.terminate()
        assert running.wait(10) == 0
        running.stdout.close()


def test_the_report_commands_render_and_compare(tmp_path: Path) -> None:
    """On the report folders of a run; the same run twice is no regression."""
    assert run_local(tmp_path, *headless(5, 4)).code == 0
    for name in ("before", "after"):
        shutil.copytree(tmp_path / "out", tmp_path / name)
    for command in REPORT:
        words = shlex.split(command)
        done = subprocess.run(
            [str(Path(sys.executable).with_name(words[0])), *words[1:]],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "no failure" in done.stdout


@pytest.mark.parametrize(
    "command", [command for command in LOCUST if "--master" not in command and "--worker" not in command]
)
def test_a_locust_command_of_the_readme_works(tmp_path: Path, checkout: Path, command: str) -> None:
    """As it stands, but for the address, and a run time of seconds without a browser where it asks for one."""
    assert RULES is not None
    (tmp_path / "rules.yaml").write_text(RULES.group(1))
    words = shlex.split(command)[1:]
    place = words.index("-f")
    locustfile = ROOT / words[place + 1]
    del words[place : place + 2]
    with server() as target:
        words = [word.replace("http://127.0.0.1:8080", target.url) for word in words]
        words = [str(ROOT / word) if word.startswith("config/") else word for word in words]
        if "--headless" not in words:
            words += ["--headless", "-u", "5", "-r", "5"]
        if "-t" not in words:
            words += ["-t", "6s"]
        if "--processes" in words:
            port = str(free_port())
            words += ["--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port]
        run = Locust(*words, folder=tmp_path, locustfile=locustfile)
        finished = run.finish()
        used = target.counters()["connections"]
    assert finished.code == 0, finished.output
    assert "Verdict        good" in finished.output
    assert (used > 0) == ("--host" in words)
    if "--ext-report-dir" in words:
        assert (tmp_path / "out" / "summary.json").exists()
    if "--ext-rules" in words:
        rules = {each["name"]: each["outcome"] for each in finished.summary["rules"]}
        assert rules == dict.fromkeys(("round trips", "errors", "enough", "target memory"), "passed")
        assert "enough" in (tmp_path / "out" / "summary.md").read_text()


def test_the_metrics_command_prints_the_catalogue() -> None:
    command = [str(Path(sys.executable).with_name("locust-ext")), "metrics"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert RULES is not None
    for metric in re.findall(r"metric: (\S+?),", RULES.group(1)):
        assert metric in done.stdout


def test_the_links_of_the_documents_lead_somewhere() -> None:
    for document in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
            assert (document.parent / link).exists(), f"{document.name}: {link}"


def test_the_settings_of_the_readme_are_taken(tmp_path: Path) -> None:
    (block,) = [each for each in re.findall(r"```yaml\n(.*?)```", README, re.S) if each.startswith("users:")]
    (tmp_path / "settings.yaml").write_text(block)
    settings = load_settings(tmp_path / "settings.yaml")
    assert (set(settings.users), set(settings.lifecycle), set(settings.messages)) == ({"Crowd"}, {"bursty"}, {"mixed"})
    assert settings.shape is not None
    assert settings.rate is not None


def test_the_settings_of_the_documents_are_all_there_are_with_their_defaults() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "numbers.md").read_text(), re.S)
    shown = yaml.safe_load(block)
    defaults = Settings().model_dump()
    elsewhere = {"realistic", "users", "lifecycle", "messages", "shape", "rate", "rules", "scenario"}
    assert set(shown) | elsewhere >= set(defaults)
    for section, keys in shown.items():
        for key, value in keys.items():
            default = defaults[section][key]
            assert value == (list(default) if isinstance(default, tuple) else default), f"{section}.{key}"


def test_the_master_and_worker_commands_of_the_readme_work_together(tmp_path: Path) -> None:
    (master_command,) = [command for command in LOCUST if "--master " in command + " "]
    (worker_command,) = [command for command in LOCUST if "--worker" in command]
    port = str(free_port())
    worker = Locust(*shlex.split(worker_command)[3:], "--master-port", port, folder=tmp_path)
    master = Locust(*shlex.split(master_command)[3:], "--master-bind-port", port, folder=tmp_path)
    finished = master.finish()
    assert finished.code == 0, finished.output
    assert worker.finish(15).code == 0
    assert "1 worker" in finished.output


def test_the_locustfile_of_the_readme_runs(tmp_path: Path) -> None:
    locustfile = tmp_path / "analyst.py"
    locustfile.write_text(PYTHON[0])
    with server() as target:
        finished = run_local(tmp_path, *headless(3, 5, "-s", "5", "--host", target.url), locustfile=locustfile)
    assert finished.code == 0, finished.output
    (ping,) = finished.operations("WS")
    assert ping["name"] == "ping"
    assert ping["ok"] == ping["started"] > 3


def test_the_crowd_of_the_readme_runs(tmp_path: Path) -> None:
    locustfile = tmp_path / "crowd.py"
    locustfile.write_text(f"import locust_ext\nlocust_ext.install()\n{PYTHON[1]}")
    with server() as target:
        finished = run_local(tmp_path, *headless(5, 6, "-s", "5", "--host", target.url), locustfile=locustfile)
    assert finished.code == 0, finished.output
    assert finished.summary["message_metrics"]["messages_sent"] > 5


def test_the_python_of_the_documents_runs(tmp_path: Path) -> None:
    """The callers of a shared connection, and a pattern that is a function."""
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "users.md").read_text(), re.S)
    locustfile = tmp_path / "callers.py"
    locustfile.write_text(f"import locust_ext\nlocust_ext.install()\n{block}")
    with server() as target:
        finished = run_local(tmp_path, *headless(5, 4, "-s", "5", "--host", target.url), locustfile=locustfile)
    assert finished.code == 0, finished.output
    assert {"CONNECT", "POOL", "WS"} <= {each["type"] for each in finished.operations()}


def test_the_table_of_the_architecture_is_the_one_that_the_layers_test_keeps() -> None:
    rows = re.findall(r"^\| (errors, model, settings|core|outputs|runtime|plugin|refserver) \|(.*)\|$", README, re.M)
    columns = ["model", "core", "outputs", "runtime", "plugin", "refserver", "gevent", "locust, flask"]
    shown = {}
    for name, cells in rows:
        allowed = {column for column, cell in zip(columns, cells.split("|"), strict=True) if cell.strip() == "yes"}
        allowed |= {"errors"} if cells.split("|")[0].strip() in ("yes", "errors") else set()
        shown["model" if name.startswith("errors") else name] = allowed

    inside = ("errors", "root", "suite")  # what is behind the command line is no layer of the runs
    kept = {layer: set(layers) for layer, layers in test_layers.MAY_IMPORT.items() if layer not in inside}
    assert shown == kept
