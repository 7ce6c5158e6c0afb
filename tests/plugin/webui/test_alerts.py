"""`plugin.webui.alerts`: the page of the alerts and its HTTP interface, over real rules."""

from __future__ import annotations

from locust.web import WebUI

import base64
import hashlib
import logging
import re
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from locust_ext.model import GENERATOR, MASTER, ResourceStats, Snapshot
from locust_ext.plugin.webui import WebPages
from tests.outputs.examples import HOSTILE
from tests.plugin.webui.fakes import FakeMonitor, Played, busy, figures, rule, web_ui

SLOW = rule("slow", "latency_p95", warning="> 200ms", critical="> 500ms")


@dataclass
class Page:
    """Everything behind one page."""

    ui: WebUI
    played: Played
    monitor: FakeMonitor
    pages: WebPages
    client: FlaskClient
    base: str = ""

    def told(self) -> dict[str, Any]:
        answer = self.client.get(f"{self.base}/ext/alerts.json")
        assert answer.status_code == 200
        figures: dict[str, Any] = answer.get_json()
        return figures

    def post(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        answer = self.client.post(f"{self.base}/ext/{path}", json={} if body is None else body, headers=headers)
        return answer.status_code, answer.get_json()

    def limit(self, key: str) -> str | None:
        limit: str | None = self.told()["rules"][0][key]
        return limit


def opened(*rules: Any, base: str | None = None, snapshot: Snapshot | None = None) -> Page:
    ui, played, monitor = web_ui(base), Played(*rules), FakeMonitor(ResourceStats(MASTER, "", (figures("threads", 7),)))
    pages = WebPages(ui, lambda: snapshot or Snapshot(), played.alerting, monitor)
    assert ui.app is not None
    return Page(ui, played, monitor, pages, ui.app.test_client(), base or "")


# ── what is told ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_alerts_come_with_the_most_urgent_first_with_texts_for_people_and_the_state_of_their_rules() -> None:
    late = replace(rule("late", "latency_max", warning="> 100ms"), for_s=60.0)
    page = opened(SLOW, late, rule("few", "rate", low_warning="< 0.1/s"))
    page.played.second(latency_ms=812)
    told = page.told()
    assert told["has_rules"] is True
    assert [(each["rule"], each["severity"], each["state"]) for each in told["alerts"]] == [
        ("slow", "critical", "firing"),
        ("slow", "warning", "firing"),
        ("late", "warning", "pending"),
    ]
    assert (told["alerts"][0]["value_text"], told["alerts"][0]["limit"]) == ("812 ms", "> 500 ms")
    slow, late_one, few = told["rules"]
    assert (slow["name"], slow["state"], slow["values"][0]["text"]) == ("slow", "critical", "812 ms")
    assert (slow["warning"], slow["critical"], slow["low_warning"]) == ("> 200 ms", "> 500 ms", None)
    assert "95 %" in slow["help"]
    assert late_one["state"] == "pending"
    assert (few["state"], few["low_warning"]) == ("ok", "< 0.1/s")
    assert [(each["state"], each["severity"]) for each in told["changes"]] == [
        ("pending", "warning"), ("firing", "critical"), ("firing", "warning"),
    ]  # fmt: skip


def test_the_alerts_of_a_worker_name_it() -> None:
    page = opened(rule("busy", "generator.cpu_percent", critical="> 90%"))
    page.played.second(w1=20.0, w2=97.0)
    (alert,) = page.told()["alerts"]
    assert (alert["subject"], alert["value_text"]) == ("2", "97 %")
    assert {each["subject"]: each["text"] for each in page.told()["rules"][0]["values"]} == {"1": "20 %", "2": "97 %"}


def test_a_rule_without_a_value_has_no_data_and_one_that_keeps_its_limits_is_ok_again() -> None:
    page = opened(SLOW)
    assert page.told()["rules"][0]["state"] == "no data"
    page.played.second(latency_ms=600)
    page.played.second(latency_ms=10, seconds=5)
    told = page.told()
    assert told["rules"][0]["state"] == "ok"
    assert {each["state"] for each in told["alerts"]} == {"resolved"}
    assert [each["state"] for each in told["changes"]] == ["resolved", "resolved", "firing", "firing"]


def test_the_changes_of_a_run_that_is_over_stay_beside_those_since() -> None:
    page = opened(SLOW)
    page.played.second(latency_ms=600)
    assert page.told()["last_run"] == []
    page.played.alerting.end()
    told = page.told()
    assert (told["alerts"], told["changes"]) == ([], [])
    assert [each["state"] for each in told["last_run"]] == ["firing", "firing"]


def test_without_rules_it_is_said_and_everything_else_is_there() -> None:
    page = opened()
    told = page.told()
    assert (told["has_rules"], told["rules"], told["alerts"], told["changes"]) == (False, [], [], [])
    assert told["monitor"]["is_running"] is True
    assert page.post("rules/slow/threshold", {"severity": "warning", "value": None})[0] == 404
    assert page.post("alerts/1/acknowledge")[0] == 404


def test_the_monitors_figures_are_its_own_without_a_run_and_the_snapshots_while_one_goes_on() -> None:
    page = opened(snapshot=busy())
    (master,) = page.told()["monitor"]["sources"]
    assert (master["name"], master["figures"]["threads"]["current"]) == ("master", "7")
    page = opened(snapshot=busy())
    runner = page.ui.environment.runner
    assert runner is not None
    runner.state = "running"
    monitor = page.told()["monitor"]
    assert [each["label"] for each in monitor["columns"]] == [
        "CPU", "Memory", "Descriptors", "Threads", "Greenlets", "Loop lag p99", "Sent", "Received", "Ports left",
    ]  # fmt: skip
    sources = monitor["sources"]
    assert [each["name"] for each in sources] == ["worker 1", "worker 2", "master", "target metrics"]
    first = sources[0]["figures"]
    assert (first["cpu_percent"]["value"], first["cpu_percent"]["current"]) == (83.25, "83.2 %")
    assert first["cpu_percent"]["about"] == "avg\u00a061\u00a0%, max\u00a097\u00a0%"
    assert first["ports_left"]["about"] == "min\u00a013,852"
    assert first["memory_bytes"]["current"] == "182 MB"
    assert first["sent_bytes_per_second"]["current"] == "120 KB/s"
    assert sources[0]["limits"] == "1,024 descriptors, 2 cores"
    assert sources[3]["leak"]["verdict"] == "leak likely"
    assert (sources[0]["others"], sources[3]["others"]) == ({}, {"queue_depth": "17"})


def test_several_pages_that_ask_at_once_cost_one_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [1000.0]
    monkeypatch.setattr("locust_ext.plugin.webui.alerts.monotonic", lambda: now_s[0])
    calls: list[int] = []
    ui = web_ui()

    def take() -> Snapshot:
        calls.append(1)
        return Snapshot()

    WebPages(ui, take, Played().alerting, None)
    assert ui.app is not None
    client = ui.app.test_client()
    for _ in range(5):
        assert client.get("/ext/alerts.json").get_json()["monitor"] == {
            "is_running": None, "columns": [], "sources": [],
        }  # fmt: skip
    assert len(calls) == 1
    now_s[0] += 1.5
    client.get("/ext/alerts.json")
    assert len(calls) == 2


# ── what can be changed ───────────────────────────────────────────────────────────────────────────────────────────────


def test_an_alert_that_fires_is_acknowledged_once() -> None:
    page = opened(SLOW)
    page.played.second(latency_ms=300)
    (alert,) = page.told()["alerts"]
    path = f"alerts/{alert['id']}/acknowledge"
    assert page.post(path) == (200, {"id": alert["id"], "state": "acknowledged"})
    assert [(each["state"], each["rule"]) for each in page.told()["alerts"]] == [("acknowledged", "slow")]
    assert page.told()["rules"][0]["state"] == "acknowledged"
    assert page.told()["changes"][0]["state"] == "acknowledged"
    assert page.post(path) == (409, {"error": "alert 1 is acknowledged: only one that fires can be acknowledged"})
    assert page.post("alerts/99/acknowledge") == (404, {"error": "there is no alert 99 (any more)"})
    assert page.client.post("/ext/alerts/x/acknowledge", json={}).status_code == 404


def test_a_page_of_an_earlier_run_does_not_acknowledge_another_rules_alert() -> None:
    page = opened(SLOW)
    page.played.second(latency_ms=300)
    status, told = page.post("alerts/1/acknowledge", {"rule": "another"})
    assert (status, told) == (409, {"error": "alert 1 is one of 'slow' by now"})
    assert page.told()["alerts"][0]["state"] == "firing"
    assert page.post("alerts/1/acknowledge", {"rule": "slow"})[0] == 200


def test_one_that_is_pending_cannot_be_acknowledged() -> None:
    page = opened(replace(SLOW, for_s=60.0))
    page.played.second(latency_ms=300)
    status, told = page.post("alerts/1/acknowledge")
    assert (status, told["error"]) == (409, "alert 1 is pending: only one that fires can be acknowledged")


@pytest.mark.parametrize(
    ("severity", "value", "key", "text"),
    [
        ("warning", "> 300ms", "warning", "> 300 ms"),
        ("critical", "> 1.5 s", "critical", "> 1.5 s"),
        ("warning", 250, "warning", "> 250 ms"),
        ("warning", None, "warning", None),
        ("low_warning", "< 1 ms", "low_warning", "< 1 ms"),
        ("warning", "< 1 ms", "low_warning", "< 1 ms"),
    ],
)
def test_a_limit_changes_with_a_text_a_number_or_null(severity: str, value: object, key: str, text: str | None) -> None:
    page = opened(SLOW)
    status, told = page.post("rules/slow/threshold", {"severity": severity, "value": value})
    assert (status, told[key]) == (200, text)
    assert page.limit(key) == text


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"severity": "warning", "value": "> 200 parsecs"}, "expected a limit such as > 200ms (us, ms, s, min)"),
        ({"severity": "warning", "value": "soon"}, "expected a limit such as"),
        ({"severity": "warning", "value": "> 900ms"}, "500 ms"),
        ({"severity": "grave", "value": "> 1ms"}, "expected one of warning, critical, low_warning, low_critical"),
        ({"severity": "warning", "value": True}, "expected a text such as '> 200ms', a number in the metric's unit"),
        ({"severity": "warning", "value": ["> 1ms"]}, "expected a text such as"),
        ({"severity": "warning"}, 'expected a JSON object such as {"severity": "warning", "value": "> 200ms"}'),
        ({"value": "> 1ms"}, "expected a JSON object such as"),
        ([1], "expected a JSON object such as"),
    ],
)
def test_a_wrong_limit_changes_nothing_and_says_what_is_expected(body: object, words: str) -> None:
    page = opened(SLOW)
    status, told = page.post("rules/slow/threshold", body)
    assert status == 400
    assert words in told["error"]
    assert (page.limit("warning"), page.limit("critical"), page.limit("low_warning")) == ("> 200 ms", "> 500 ms", None)


@pytest.mark.parametrize("name", ["a/b", "a//b", "/a", "a?b#c", "100 %25", "ä +&=;", HOSTILE])
def test_whatever_a_rule_is_called_it_is_found_by_its_escaped_name(name: str) -> None:
    page = opened(replace(SLOW, name=name))
    path = f"/ext/rules/{quote(name, safe='')}/threshold"
    answer = page.client.post(path, json={"severity": "warning", "value": "> 1ms"})
    assert (answer.status_code, answer.get_json()["name"]) == (200, name)
    assert page.limit("warning") == "> 1 ms"


def test_an_unknown_rule_is_not_found() -> None:
    page = opened(SLOW)
    assert page.post("rules/slower/threshold", {"severity": "warning", "value": None}) == (
        404, {"error": "there is no rule 'slower'"},
    )  # fmt: skip


def test_the_monitor_is_stopped_and_started_as_often_as_one_likes() -> None:
    page = opened()
    for running in (False, False, True, True, False):
        assert page.post("monitor", {"running": running}) == (200, {"is_running": running})
        assert page.monitor.is_running is running
        assert page.told()["monitor"]["is_running"] is running
    for body in ({}, {"running": 1}, {"running": "yes"}, [True]):
        status, told = page.post("monitor", body)
        assert (status, told["error"]) == (400, 'expected a JSON object: {"running": true} or {"running": false}')


def test_where_there_is_no_monitor_it_cannot_be_started() -> None:
    ui = web_ui()
    WebPages(ui, Snapshot, Played().alerting, None)
    assert ui.app is not None
    answer = ui.app.test_client().post("/ext/monitor", json={"running": True})
    assert (answer.status_code, answer.get_json()) == (409, {"error": "there is no monitor in this process"})


# ── the page ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("base", [None, "/load", "/a/b"])
def test_the_page_is_one_document_that_may_load_nothing_but_its_own_figures(base: str | None) -> None:
    page = opened(SLOW, base=base)
    answer = page.client.get(f"{page.base}/ext/alerts")
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    text = answer.text
    assert not re.findall(r"""(?:src|href|url|import|@import)\s*[=(]?\s*["']?(?:https?:)?//""", text)
    assert set(re.findall(r'(?:src|href)="([^"]*)"', text)) == {"data:,", "../", "alerts.json"}
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        (inline,) = re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
        assert len(inline) > 1000
    assert page.told()["rules"][0]["name"] == "slow"


def test_the_page_writes_no_markup_of_what_it_is_told() -> None:
    script = opened().client.get("/ext/alerts").text
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)


@pytest.mark.parametrize(
    ("host", "port", "base", "url"),
    [
        ("127.0.0.1", 8089, None, "http://127.0.0.1:8089/ext/alerts"),
        ("", 80, "/load", "http://127.0.0.1:80/load/ext/alerts"),
        ("::1", 8090, None, "http://[::1]:8090/ext/alerts"),
    ],
)
def test_the_log_says_once_where_the_page_is(
    host: str, port: int, base: str | None, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    ui = web_ui(base)
    ui.host, ui.port = host, port
    with caplog.at_level(logging.INFO, "locust_ext"):
        WebPages(ui, Snapshot, Played().alerting, None)
    assert [each.getMessage() for each in caplog.records if "Alerts" in each.getMessage()] == [f"Alerts: {url}"]


def test_locusts_download_page_has_a_link_to_it_below_the_base_path() -> None:
    page = opened(base="/load")
    first = page.ui.template_args["extended_csv_files"][0]
    assert first == {"href": "./ext/alerts", "title": "Alerts and resources (live)"}


def test_after_close_everything_of_it_is_gone_and_the_next_extension_takes_its_place() -> None:
    page = opened(SLOW)
    assert page.client.get("/ext/alerts").status_code == 200
    page.pages.close()
    page.pages.close()
    for path in ("alerts", "alerts.json", "reports/summary.json"):
        assert page.client.get(f"/ext/{path}").status_code == 404
    assert page.client.post("/ext/monitor", json={"running": False}).status_code == 404
    assert page.monitor.is_running
    assert not {"extended_csv_files", "extended_tabs", "extended_tables"} & set(page.ui.template_args)
    WebPages(page.ui, Snapshot, Played(rule("next", "rate", critical="> 1/s")).alerting, None)
    assert [each["name"] for each in page.told()["rules"]] == ["next"]


def test_the_rows_of_a_source_are_told_of_each_process_by_the_name_people_use() -> None:
    page = opened()
    page.monitor.read = (ResourceStats(GENERATOR, "", (figures("loop_lag_p99_ms", 3.21),)),)
    monitor = page.told()["monitor"]
    assert monitor["columns"] == [{"metric": "loop_lag_p99_ms", "label": "Loop lag p99"}]
    (source,) = monitor["sources"]
    assert (source["name"], source["figures"]["loop_lag_p99_ms"]["current"]) == ("generator", "3.21 ms")
