"""Ours in the web UI of real `locust` processes, looked at and used in a real Chromium."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.runs import DEMO, Locust, free_port, server

pytestmark = pytest.mark.e2e

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage")
PATIENCE_MS = 20_000
HOSTILE = "a/b?c#d %25 <b>&\"'; ä"
RULES = f"""
rules:
  - {{name: some open, metric: connections_open, warning: "> 0", critical: "> 100000"}}
  - {{name: {json.dumps(HOSTILE)}, metric: latency_p95, warning: "> 9s"}}
  - {{name: enough, metric: rate, low_warning: "< 0.001/s"}}
  - {{name: worker lag, metric: generator.cpu_percent, where: {{worker: "*"}}, critical: "> 0.01%"}}
"""


class Ui:
    """A `locust` with its web UI, asked over HTTP."""

    def __init__(self, run: Locust, url: str) -> None:
        self.run = run
        self.url = url

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.load(answer)

    def post(self, path: str, data: bytes, content_type: str) -> Any:
        request = urllib.request.Request(self.url + path, data, {"Content-Type": content_type})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def swarm(self, users: int = 10) -> None:
        form = f"user_count={users}&spawn_rate={users}".encode()
        assert self.post("/swarm", form, "application/x-www-form-urlencoded")["success"]

    def change(self, path: str, **body: Any) -> Any:
        return self.post(f"/ext/{path}", json.dumps(body).encode(), "application/json")

    def wait(self, is_so: Callable[[dict[str, Any]], bool], path: str = "/ext/alerts.json") -> dict[str, Any]:
        """Ask until it is so; gives the answer."""
        until_s = time.monotonic() + 30
        told: dict[str, Any] = {}
        while time.monotonic() < until_s:
            try:
                told = self.get(path)
                if is_so(told):
                    return told
            except urllib.error.URLError:  # it has not begun
                pass
            time.sleep(0.1)
        raise AssertionError(f"{told}\n{self.run.log.read_text()}")


@contextmanager
def web_ui(folder: Path, *more: str, rules: str | None = RULES, base: str = "") -> Iterator[Ui]:
    """With a reference server of its own; nothing of it may end with a traceback."""
    port = free_port()
    arguments = ["--web-host", "127.0.0.1", "--web-port", str(port), "-s", "3", "--ext-config", str(DEMO), *more]
    if rules is not None:
        (folder / "rules.yaml").write_text(rules)
        arguments += ["--ext-rules", "rules.yaml"]
    if base:
        arguments += ["--web-base-path", base]
    with server() as target:
        run = Locust(*arguments, "--host", target.url, folder=folder)
        ui = Ui(run, f"http://127.0.0.1:{port}{base}")
        try:
            ui.wait(lambda told: True)
            yield ui
        finally:
            run.signal(signal.SIGTERM)
            finished = run.finish()
    assert "Traceback" not in finished.output


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("needs chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        browser.close()


@contextmanager
def page_of(chromium: Any, url: str, **context: Any) -> Iterator[Any]:
    """A page without a script's error, nor a look elsewhere than at `url`'s host."""
    opened = chromium.new_context(**context)
    page = opened.new_page()
    page.set_default_timeout(PATIENCE_MS)
    errors: list[str] = []
    asked: set[str] = set()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: asked.add(request.url.split("/")[2] if "//" in request.url else ""))
    page.goto(url)
    yield page
    opened.close()
    assert errors == []
    assert asked <= {url.split("/")[2], ""}


def rows_of(page: Any) -> list[dict[str, str]]:
    """The one table that Locust's page shows, by its heads."""
    read: list[list[str]] = page.evaluate(
        "[...document.querySelectorAll('table tr')].map((row) => [...row.cells].map((cell) => cell.innerText.trim()))"
    )
    head, *rows = read
    return [dict(zip(head, row, strict=True)) for row in rows]


def eventually(ask: Callable[[], Any], is_so: Callable[[Any], bool], page: Any) -> Any:
    until_s = time.monotonic() + PATIENCE_MS / 1000
    while not is_so(told := ask()):
        assert time.monotonic() < until_s, told
        page.wait_for_timeout(100)
    return told


def test_locusts_page_has_tabs_of_ours_whose_tables_refresh_while_it_runs(tmp_path: Path, chromium: Any) -> None:
    with web_ui(tmp_path) as ui:
        ui.swarm()
        ui.wait(lambda told: bool(told["alerts"]))
        with page_of(chromium, ui.url) as page:
            page.get_by_role("tab", name="Connections").click()
            connections = eventually(lambda: rows_of(page), lambda rows: len(rows) > 8, page)
            assert [row["Connections"] for row in connections][:3] == ["now idle", "now connecting", "now open"]
            opened = int(next(row["Number"] for row in connections if row["Connections"] == "opened"))
            assert opened > 0

            page.get_by_role("tab", name="Pushes").click()
            first = eventually(lambda: rows_of(page), lambda rows: rows[0].get("# Received", "").isdigit(), page)[0]
            before = int(first["# Received"])
            eventually(lambda: rows_of(page), lambda rows: int(rows[0]["# Received"]) > before, page)

            page.get_by_role("tab", name="Resources").click()
            resources = eventually(lambda: rows_of(page), lambda rows: rows[0].get("Source") == "generator", page)
            assert float(resources[0]["CPU (% of a core)"]) > 0
            assert float(resources[0]["Memory (MB)"]) > 10

            page.get_by_role("tab", name="Alerts").click()
            alerts = eventually(lambda: rows_of(page), lambda rows: "Rule" in rows[0], page)
            assert {(row["Rule"], row["Severity"], row["State"]) for row in alerts} >= {
                ("some open", "warning", "firing"),
                ("worker lag", "critical", "firing"),
            }
            page.get_by_role("tab", name="Download Data").click()
            page.get_by_role("link", name="Alerts and resources (live)").click()
            page.get_by_role("heading", name="Alerts and resources").wait_for()


def test_alerts_are_acknowledged_and_limits_changed_on_a_page_that_refreshes_by_itself(
    tmp_path: Path, chromium: Any
) -> None:
    with web_ui(tmp_path, base="/load") as ui:
        ui.run.wait_for(f"Alerts: {ui.url}/ext/alerts")
        with page_of(chromium, f"{ui.url}/ext/alerts") as page:
            page.get_by_text("No run yet").wait_for()
            ui.swarm()
            card = page.locator("li.alert", has_text="some open")
            card.get_by_text("WARNING").wait_for()
            page.get_by_text("A run is going on").wait_for()

            # What is being typed stays, whatever comes meanwhile.
            field = page.get_by_label(f"Warning limit of {HOSTILE}", exact=True)
            assert field.input_value() == "> 9 s"
            field.fill("> 7")
            before = page.locator("#updated").inner_text()
            eventually(page.locator("#updated").inner_text, lambda text: text != before, page)
            assert field.input_value() == "> 7"
            assert page.evaluate("document.activeElement.value") == "> 7"
            field.press("Enter")
            page.get_by_text("expected a limit such as > 200ms").wait_for()
            field.fill("> 7s")
            field.press("Enter")
            page.get_by_text("set", exact=True).first.wait_for()
            told = ui.get("/ext/alerts.json")
            assert [each["warning"] for each in told["rules"] if each["name"] == HOSTILE] == ["> 7 s"]
            assert field.input_value() == "> 7 s"
            field.fill("> 1s")
            field.press("Escape")
            assert field.input_value() == "> 7 s"

            card.get_by_role("button", name="Acknowledge").click()
            card.get_by_text("acknowledged").wait_for()
            page.reload()
            card.get_by_text("acknowledged").wait_for()
            assert card.get_by_role("button", name="Acknowledge").count() == 0
            page.locator("#changes li", has_text="acknowledged").first.wait_for()

            # A limit that is no longer broken: the alert resolves and leaves.
            page.get_by_label("Warning limit of some open", exact=True).fill("> 5000")
            page.get_by_label("Warning limit of some open", exact=True).press("Enter")
            card.wait_for(state="detached")
            page.locator("#changes li", has_text="resolved").first.wait_for()

            page.get_by_role("button", name="Stop the monitor").click()
            page.get_by_text("■ monitor is stopped").wait_for()
            page.get_by_role("button", name="Start the monitor").click()
            page.get_by_text("● monitor is running").wait_for()
            page.get_by_role("link", name="Locust").click()
            page.get_by_role("tab", name="Statistics").wait_for()


def test_without_rules_the_page_says_how_to_give_some_and_shows_the_monitor_without_a_run(
    tmp_path: Path, chromium: Any
) -> None:
    with web_ui(tmp_path, rules=None) as ui, page_of(chromium, f"{ui.url}/ext/alerts") as page:
        page.get_by_text("--ext-rules default").wait_for()
        row = page.locator("#sources tbody tr").first
        row.wait_for()
        assert row.locator("td").first.inner_text().startswith("generator")
        page.get_by_text("No run yet").wait_for()
        told = ui.get("/ext/alerts.json")
        assert (told["has_rules"], told["is_run"]) == (False, False)
        assert set(told["monitor"]["sources"][0]["figures"]) >= {"cpu_percent", "memory_bytes"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_narrow_screen_and_follows_the_systems_colours(
    tmp_path: Path, chromium: Any, scheme: str
) -> None:
    with web_ui(tmp_path) as ui:
        ui.swarm()
        ui.wait(lambda told: bool(told["alerts"]))
        where = f"{ui.url}/ext/alerts"
        with page_of(chromium, where, viewport={"width": 400, "height": 800}, color_scheme=scheme) as page:
            page.get_by_role("button", name="Acknowledge").first.wait_for()
            assert page.evaluate("document.documentElement.scrollWidth") == 400
            back = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert back == {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 18, 18)"}[scheme]


def test_workers_have_rows_of_their_own_and_their_alerts_name_them(tmp_path: Path) -> None:
    port = str(free_port())
    more = ("--processes", "2", "--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port)
    with web_ui(tmp_path, *more) as ui:
        ui.wait(lambda told: told["worker_count"] == 2, "/worker-count")
        ui.swarm()
        told = ui.wait(
            lambda told: len({each["subject"] for each in told["alerts"] if each["rule"] == "worker lag"}) == 2
        )
        workers = {each["subject"] for each in told["alerts"] if each["rule"] == "worker lag"}

        def all_sources(told: dict[str, Any]) -> bool:
            return len(told["monitor"]["sources"]) >= 3

        sources = {each["name"] for each in ui.wait(all_sources)["monitor"]["sources"]}
        assert sources >= {*(f"worker {worker}" for worker in workers), "master"}
        time_of_cache = ui.wait(
            lambda told: (
                len(next(each for each in told["extended_stats"] if each["key"] == "ext-resources")["data"]) >= 3
            ),
            "/stats/requests",
        )
        rows = next(each for each in time_of_cache["extended_stats"] if each["key"] == "ext-alerts")["data"]
        assert {row["worker"] for row in rows if row["rule"] == "worker lag"} == workers


LIBRARY = """
import sys
sys.argv = ["locust"]
from locust import User, constant, task
from locust.env import Environment
import gevent, json, urllib.request
import locust_ext


class Quiet(User):
    wait_time = constant(0.1)
    host = "http://127.0.0.1:1"

    @task
    def nothing(self):
        self.environment.events.request.fire(
            request_type="WS", name="x", response_time=3, response_length=0, exception=None, context={})


environment = Environment(user_classes=[Quiet])
environment.create_local_runner()
ui = environment.create_web_ui("127.0.0.1", PORT, delayed_start=True)
extension = locust_ext.attach(environment, ext_rules="rules.yaml")
ui.start()
environment.runner.start(2, 2)


def ask(path):
    with urllib.request.urlopen(f"http://127.0.0.1:PORT/{path}", timeout=5) as answer:
        return json.load(answer)


with gevent.Timeout(30):
    while not (told := ask("ext/alerts.json"))["alerts"]:
        gevent.sleep(0.2)
rows = ask("stats/requests")["extended_stats"]
environment.runner.quit()
extension.close()
gevent.sleep(2.1)
after = ask("stats/requests")
try:
    ask("ext/alerts.json")
    status = 200
except urllib.error.HTTPError as error:
    status = error.code
print(json.dumps({"rules": [each["rule"] for each in told["alerts"]], "tabs": [each["key"] for each in rows],
                  "after": [sorted(ui.template_args), "extended_stats" in after, status]}))
ui.stop()
"""


def test_an_attached_extension_has_it_too_and_close_takes_it_back(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text('rules:\n  - {name: any, metric: rate, warning: "> 0.001/s"}\n')
    (tmp_path / "library.py").write_text(LIBRARY.replace("PORT", str(free_port())))
    done = subprocess.run(
        [sys.executable, "library.py"], cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["rules"] == ["any"]
    assert told["tabs"] == ["ext-connections", "ext-pushes", "ext-resources", "ext-alerts"]
    names, has_rows, status = told["after"]
    assert not {"extended_tabs", "extended_tables", "extended_csv_files"} & set(names)
    assert (has_rows, status) == (False, 404)
