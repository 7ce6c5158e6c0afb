"""`plugin.webui.routes`: behind Locust's login, below its base path, and closed to the pages of other sites."""

from __future__ import annotations

from locust.env import Environment
from locust.event import Events
from locust.web import WebUI

from typing import Any

import pytest
from flask_login import UserMixin, login_user

from locust_ext.model import Snapshot
from locust_ext.plugin.webui import WebPages
from locust_ext.plugin.webui.routes import LARGEST_BODY
from tests.plugin.webui.fakes import FakeMonitor, Played, web_ui

OURS = {"Origin": "http://localhost"}
"""As a browser says it of a page that the test's client would have got."""
CHANGES = ("/ext/monitor", "/ext/alerts/1/acknowledge", "/ext/rules/slow/threshold")
READS = ("/ext/alerts", "/ext/alerts.json", "/ext/reports/summary.json")


def with_monitor() -> tuple[WebUI, FakeMonitor, Any]:
    ui, monitor = web_ui(), FakeMonitor()
    WebPages(ui, Snapshot, Played().alerting, monitor)
    assert ui.app is not None
    return ui, monitor, ui.app.test_client()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:8000"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", **OURS},
        {"Sec-Fetch-Site": "none", "Origin": "http://evil.example"},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", CHANGES)
def test_a_page_of_another_site_can_change_nothing(path: str, headers: dict[str, str]) -> None:
    _, monitor, client = with_monitor()
    answer = client.post(path, json={"running": False}, headers=headers)
    assert (answer.status_code, answer.get_json()) == (
        403, {"error": "refused: this request comes from a page of another site"},
    )  # fmt: skip
    assert monitor.is_running


@pytest.mark.parametrize(
    "headers",
    [
        {},
        OURS,
        {"Origin": "http://LOCALHOST"},
        {"Sec-Fetch-Site": "same-origin", **OURS},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://behind-a-proxy.example"},
        {"Sec-Fetch-Site": "none"},
    ],
    ids=str,
)
def test_our_own_page_and_programs_can(headers: dict[str, str]) -> None:
    _, monitor, client = with_monitor()
    assert client.post("/ext/monitor", json={"running": False}, headers=headers).status_code == 200
    assert not monitor.is_running


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
@pytest.mark.parametrize("path", CHANGES)
def test_what_a_form_of_a_stranger_can_send_is_not_taken(path: str, content_type: str) -> None:
    _, monitor, client = with_monitor()
    answer = client.post(path, data=b'{"running": false}', content_type=content_type)
    assert answer.status_code == 415
    assert answer.get_json() == {"error": "expected a body of the content type application/json"}
    assert monitor.is_running


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"null", b"[]", b"7"])
@pytest.mark.parametrize("path", CHANGES)
def test_a_body_that_is_no_object_is_told_so(path: str, body: bytes) -> None:
    _, monitor, client = with_monitor()
    answer = client.post(path, data=body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.get_json()["error"].startswith("expected a JSON object")
    assert monitor.is_running


def test_a_body_without_end_is_not_read() -> None:
    _, monitor, client = with_monitor()
    body = b'{"running": false, "x": "' + b"x" * LARGEST_BODY + b'"}'
    answer = client.post("/ext/monitor", data=body, content_type="application/json")
    assert answer.status_code == 413
    assert monitor.is_running


@pytest.mark.parametrize(
    ("path", "method"), [*((each, "POST") for each in CHANGES), *((each, "GET") for each in READS)]
)
def test_a_browser_that_asks_for_another_site_is_not_told_that_it_may(path: str, method: str) -> None:
    """Locust's own routes answer every origin, also to such a question before a POST."""
    _, _, client = with_monitor()
    asking = {
        "Origin": "http://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    for answer in (client.options(path, headers=asking), client.open(path, method=method, headers=asking)):
        assert answer.status_code < 500
        assert not [name for name, _ in answer.headers if name.lower().startswith("access-control-")]
    assert "Access-Control-Allow-Origin" in client.get("/tasks", headers=asking).headers


def test_nothing_is_changed_by_a_get_and_nothing_read_is_kept() -> None:
    _, _, client = with_monitor()
    for path in CHANGES:
        assert client.get(path).status_code == 405
    for path in READS:
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


class Somebody(UserMixin):
    def get_id(self) -> str:
        return "somebody"


def test_with_a_login_all_of_it_is_behind_it() -> None:
    environment = Environment(events=Events())
    environment.create_local_runner()
    ui = WebUI(environment, "127.0.0.1", 0, delayed_start=True, web_login=True)
    assert ui.app is not None
    ui.app.config["SECRET_KEY"] = "a secret of this test"
    ui.login_manager.user_loader(lambda _: Somebody())

    def enter() -> str:
        login_user(Somebody())
        return "in"

    ui.app.add_url_rule("/enter", "enter", enter)
    monitor = FakeMonitor()
    WebPages(ui, Snapshot, Played().alerting, monitor)
    client = ui.app.test_client()
    for path in READS:
        answer = client.get(path)
        assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (302, "/login")
    for path in CHANGES:
        assert client.post(path, json={"running": False}).status_code == 302
    assert monitor.is_running
    client.get("/enter")
    for path in READS:
        assert client.get(path).status_code == 200
    assert client.post("/ext/monitor", json={"running": False}).status_code == 200
    assert not monitor.is_running


def test_a_web_ui_that_is_in_use_already_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    ui = web_ui()
    assert ui.app is not None
    assert ui.app.test_client().get("/tasks").status_code == 200
    WebPages(ui, Snapshot, Played().alerting, None).close()
    assert caplog.text.count("The web UI is being used already") == 1
