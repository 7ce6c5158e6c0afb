"""What a run gives while it goes on and afterwards: sinks, the download page of the web UI, and `locust-ext report`."""

from __future__ import annotations

import csv
import io
import json
import os
import resource
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

import locust_ext.outputs
from locust_ext.outputs import REPORTS
from tests.e2e.runs import ROOT, Finished, Locust, free_port, headless, run_distributed, run_local

pytestmark = pytest.mark.e2e

SCHEMA = json.loads(Path(locust_ext.outputs.__file__).with_name("summary.schema.json").read_text())
ALWAYS = [name for name in REPORTS if name != "limit.svg"]
"""The reports of a run that is no search for the limit."""


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def assert_adds_up(finished: Finished, path: Path) -> None:
    """The lines of each operation are its ledger, those of the seconds the timeline, and the last one the totals."""
    told = lines(path)
    assert (told[0]["kind"], told[-1]["kind"]) == ("run", "end")
    assert {line["run_id"] for line in told} == {finished.summary["run"]["id"]}
    streamed: dict[tuple[str, str], Counter[str]] = {}
    for line in told:
        if line["kind"] == "operation":
            counted = streamed.setdefault((line["type"], line["name"]), Counter())
            counted.update(
                {column: line.get(column, 0) for column in ("ok", "failed", "timed_out", "lost", "cancelled")}
            )
    ledger = {(each["type"], each["name"]): each for each in finished.operations() if each["started"]}
    assert streamed.keys() == ledger.keys()
    for key, counted in streamed.items():
        assert {column: ledger[key][column] for column in counted} == dict(counted), key
    with (finished.folder / "timeline.csv").open(newline="") as stream:
        timeline = [(row["start_s"], row["finished"], row["messages_sent"]) for row in csv.DictReader(stream)]
    seconds = [line for line in told if line["kind"] == "second"]
    assert [(str(each["start_s"]), str(each["finished"]), str(each["messages_sent"])) for each in seconds] == timeline
    messages = finished.summary["message_metrics"]
    assert (told[-1]["messages_sent"], told[-1]["messages_received"]) == (
        messages["messages_sent"],
        messages["messages_received"],
    )


@pytest.mark.parametrize("more", [[], ["--processes", "2"]], ids=["one process", "--processes 2"])
def test_a_sink_has_every_operation_and_every_second_of_the_run(tmp_path: Path, more: list[str]) -> None:
    finished = run_local(tmp_path, *headless(20, 6, "-s", "5", "--ext-sink", "jsonl=run.jsonl", *more))
    assert finished.code == 0, finished.output
    assert_adds_up(finished, tmp_path / "run.jsonl")
    assert len([line for line in lines(tmp_path / "run.jsonl") if line["kind"] == "second"]) >= 5


def test_a_sink_is_the_masters_alone_and_its_environment_variable_works(tmp_path: Path) -> None:
    finished = run_distributed(tmp_path, *headless(10, 5, "-s", "5", "--ext-sink", "jsonl=run.jsonl"))
    assert finished.code == 0, finished.output
    assert_adds_up(finished, tmp_path / "run.jsonl")
    again = run_local(tmp_path, *headless(3, 3, "-s", "5"), env={"LOCUST_EXT_SINK": "jsonl=run.jsonl"})
    assert again.code == 0, again.output
    assert_adds_up(again, tmp_path / "run.jsonl")


def test_a_run_that_is_broken_off_ends_its_sink_in_order(tmp_path: Path) -> None:
    run = Locust(*headless(10, 60, "--ext-sink", "jsonl=run.jsonl"), folder=tmp_path)
    until_s = time.monotonic() + 30
    while not ((path := tmp_path / "run.jsonl").exists() and '"second"' in path.read_text()):
        assert time.monotonic() < until_s
        time.sleep(0.05)
    run.signal(signal.SIGINT, to_group=True)
    assert_adds_up(run.finish(), path)


def test_fault_35_a_disk_that_is_full_ends_the_sink_and_not_the_run(tmp_path: Path) -> None:
    """The limit holds for every file: the report, which is smaller, is still written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    (tmp_path / "run.jsonl").write_bytes(b"")
    run = Locust(*headless(20, 8, "-s", "5", "--ext-sink", "jsonl=run.jsonl", report=False), folder=tmp_path)
    try:
        resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE, (12_000, hard))
        finished = run.finish()
    finally:
        assert resource.getrlimit(resource.RLIMIT_FSIZE) == (soft, hard)
    assert finished.output.count("ends here: nothing more can be written to it: File too large; the run goes on") == 1
    assert "Traceback" not in finished.output
    assert "Verdict        good" in finished.output
    told = lines(tmp_path / "run.jsonl")
    assert told[0]["kind"] == "run", "each line can be read"


def test_a_sink_that_cannot_be_written_is_said_before_the_run(tmp_path: Path) -> None:
    finished = run_local(tmp_path, *headless(1, 5, "--ext-sink", "jsonl=/dev/full", report=False))
    assert finished.code == 1
    assert "locust-ext: error: --ext-sink: expected a file, not a device or a pipe" in finished.output
    assert "Ramping" not in finished.output


# ── locust-ext report ─────────────────────────────────────────────────────────────────────────────────────────────────


def report(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("locust-ext")), "report", *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.alone
def test_the_report_of_a_run_is_made_again_as_it_was_and_an_equal_run_is_no_regression(tmp_path: Path) -> None:
    folders = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        finished = run_local(tmp_path / name, *headless(20, 6, "-s", "5", "--ext-warmup", "1"))
        assert finished.code == 0, finished.output
        folders.append(finished.folder)
    again = report(folders[0], "--out", "again", folder=tmp_path)
    assert (again.returncode, again.stderr) == (0, "")
    for name in ALWAYS:
        assert (tmp_path / "again" / name).read_bytes() == (folders[0] / name).read_bytes(), name
    shown = report(folders[0], folder=tmp_path)
    assert shown.stdout.splitlines()[-3:] == finished_lines(folders[0].parent)[-3:]
    compared = report(*folders, "--tolerance", "1.5", folder=tmp_path)
    assert compared.returncode == 0, compared.stdout
    assert "no regression against" in compared.stdout


def finished_lines(folder: Path) -> list[str]:
    (log,) = folder.glob("locust-*.log")
    said = log.read_text()
    return said[said.index("-- locust-ext result") :].rstrip().splitlines()


# ── the web UI ────────────────────────────────────────────────────────────────────────────────────────────────────────

LOGIN = """
from flask import redirect, request
from flask_login import UserMixin, login_user
from locust import events


class Somebody(UserMixin):
    def get_id(self):
        return "somebody"


@events.init.add_listener
def _(environment, **_):
    ui = environment.web_ui
    if ui is None or not ui.web_login:
        return
    ui.app.config["SECRET_KEY"] = "a secret of this test"
    ui.login_manager.user_loader(lambda _: Somebody())
    ui.auth_args = {"username_password_callback": "/enter"}

    @ui.app.route("/enter", methods=["GET", "POST"])
    def enter():
        login_user(Somebody())
        return redirect("/")
"""


class Browser:
    """A web UI that is asked over HTTP, with cookies."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def get(self, path: str) -> Any:
        return self._opener.open(self.url + path, timeout=10)

    def post(self, path: str, **form: str) -> Any:
        return self._opener.open(self.url + path, urllib.parse.urlencode(form).encode(), timeout=10)

    def wait_for_page(self) -> None:
        until_s = time.monotonic() + 30
        while True:
            try:
                self.get("/").read()
                return
            except OSError:
                assert time.monotonic() < until_s
                time.sleep(0.05)


def with_ui(folder: Path, *more: str, text: str = "") -> tuple[Locust, Browser, str]:
    port = free_port()
    source = ROOT / "locustfiles" / "realistic.py"
    if text:
        source = folder / "with_login.py"
        source.write_text((ROOT / "locustfiles" / "realistic.py").read_text() + text)
    run = Locust(
        "--web-host", "127.0.0.1", "--web-port", str(port), "-u", "10", "-r", "10", "-s", "3",
        "--ext-config", str(ROOT / "config" / "demo.yaml"), *more,
        folder=folder, locustfile=source,
    )  # fmt: skip
    return run, Browser(f"http://127.0.0.1:{port}"), f"http://127.0.0.1:{port}"


def wait_until_something_was_counted(browser: Browser, base: str = "") -> dict[str, Any]:
    until_s = time.monotonic() + 30
    while True:
        summary: dict[str, Any] = json.load(browser.get(f"{base}/ext/reports/summary.json"))
        if summary["message_metrics"]["messages_received"] > 20:
            return summary
        assert time.monotonic() < until_s
        time.sleep(0.1)


@pytest.mark.parametrize("more", [[], ["--processes", "2"]], ids=["one process", "--processes 2"])
def test_every_report_of_the_live_run_can_be_downloaded_from_the_web_ui(tmp_path: Path, more: list[str]) -> None:
    if more:
        port = str(free_port())
        more = [*more, "--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port]
    run, browser, _ = with_ui(tmp_path, "--web-base-path", "/load", *more)
    try:
        until_s = time.monotonic() + 30
        while b"ext/reports/summary.json" not in (page := page_of(browser, "/load/")):
            assert time.monotonic() < until_s, page
            time.sleep(0.05)
        browser.post("/load/swarm", user_count="10", spawn_rate="10").read()
        summary = wait_until_something_was_counted(browser, "/load")
        jsonschema.validate(summary, SCHEMA)
        run_id = summary["run"]["id"]
        for name in ALWAYS:
            with browser.get(f"/load/ext/reports/{name}") as answer:
                stem, _, suffix = name.rpartition(".")
                assert answer.headers["Content-Disposition"] == f'attachment; filename="{stem}_{run_id}.{suffix}"'
                assert answer.headers["Cache-Control"] == "no-store"
                text = answer.read().decode()
            if suffix == "csv":
                assert len({len(row) for row in csv.reader(io.StringIO(text))}) == 1
            elif suffix == "xml":
                assert ElementTree.fromstring(text)[0].get("name") == "run"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            browser.get("/load/ext/reports/other.txt")
    finally:
        run.signal(signal.SIGTERM)
        finished = run.finish()
    assert "Traceback" not in finished.output


def page_of(browser: Browser, path: str) -> bytes:
    try:
        page: bytes = browser.get(path).read()
        return page
    except OSError:
        return b""


def test_behind_a_login_nobody_gets_a_report_who_has_not_logged_in(tmp_path: Path) -> None:
    run, browser, url = with_ui(tmp_path, "--web-login", text=LOGIN)
    try:
        browser.wait_for_page()
        for name in ALWAYS:
            with browser.get(f"/ext/reports/{name}") as answer:
                assert urllib.parse.urlsplit(answer.url).path == "/login"
                assert b"connection_metrics" not in answer.read()
        browser.post("/enter").read()
        with browser.get("/ext/reports/summary.json") as answer:
            assert answer.url == f"{url}/ext/reports/summary.json"
            jsonschema.validate(json.load(answer), SCHEMA)
    finally:
        run.signal(signal.SIGTERM)
        run.finish()


def test_the_download_page_in_a_browser_lists_the_reports_and_a_click_saves_one(tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    browser_path = os.environ.get("LOCUST_EXT_CHROMIUM", "/usr/bin/chromium")
    if not Path(browser_path).exists():
        pytest.skip("needs Chromium")
    run, http, url = with_ui(tmp_path)
    try:
        http.wait_for_page()
        http.post("/swarm", user_count="10", spawn_rate="10").read()
        wait_until_something_was_counted(http)
        script = tmp_path / "look.py"
        script.write_text(LOOK)
        done = subprocess.run(
            [sys.executable, str(script), url, browser_path, str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert sync_api is not None
    finally:
        run.signal(signal.SIGTERM)
        run.finish()
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert [link for link in seen["links"] if "locust-ext" in link] == [
        f"Download locust-ext {name}" for name in ALWAYS
    ]
    assert seen["name"].startswith("summary_")
    jsonschema.validate(json.loads((tmp_path / "saved.json").read_text()), SCHEMA)
    assert seen["errors"] == []


LOOK = '''
"""A process of its own: Playwright's loop and gevent do not mix."""
import json, sys
from playwright.sync_api import sync_playwright

url, executable, folder = sys.argv[1:]
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
    page = browser.new_page(accept_downloads=True, viewport={"width": 1200, "height": 700})
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(url)
    page.get_by_role("tab", name="Download Data").click()
    page.get_by_text("Download locust-ext summary.json").wait_for()
    links = [link.inner_text() for link in page.get_by_role("link").all()]
    with page.expect_download() as waiting:
        page.get_by_text("Download locust-ext summary.json").click()
    waiting.value.save_as(f"{folder}/saved.json")
    page.screenshot(path=f"{folder}/download.png")
    with open(f"{folder}/seen.json", "w") as file:
        json.dump({"links": links, "name": waiting.value.suggested_filename, "errors": errors}, file)
    browser.close()
'''
