"""`plugin.webui.tabs` and `rows`: tables of ours in Locust's own web UI, which refresh with its statistics."""

from __future__ import annotations

from locust.web import WebUI

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Response, request

from locust_ext.model import PushStats, Snapshot
from locust_ext.plugin.webui import tabs as tabs_module
from locust_ext.plugin.webui.rows import TABS, alert_rows, clock_text, connection_rows, push_rows, resource_rows
from locust_ext.plugin.webui.tabs import Tabs
from tests.outputs.examples import HOSTILE, bad, full, good
from tests.plugin.webui.fakes import alert, busy, web_ui

KEYS = ["ext-connections", "ext-pushes", "ext-resources", "ext-alerts"]


class Clock:
    """Of Locust's cache and of ours."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1000.0
        monkeypatch.setattr("locust.util.cache.time", lambda: self.now_s)
        monkeypatch.setattr(tabs_module, "monotonic", lambda: self.now_s)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def asked(ui: WebUI, path: str = "/stats/requests") -> dict[str, Any]:
    assert ui.app is not None
    report: dict[str, Any] = json.loads(ui.app.test_client().get(path).data)
    return report


def counting(snapshot: Snapshot) -> tuple[Callable[[], Snapshot], list[int]]:
    calls: list[int] = []

    def take() -> Snapshot:
        calls.append(1)
        return snapshot

    return take, calls


@pytest.mark.parametrize("base", [None, "/load"])
def test_each_tab_has_a_table_and_its_rows_come_with_locusts_statistics(base: str | None) -> None:
    ui = web_ui(base)
    Tabs(ui, busy)
    assert [each["key"] for each in ui.template_args["extended_tabs"]] == KEYS
    assert [each["title"] for each in ui.template_args["extended_tabs"]] == [
        "Connections", "Pushes", "Resources", "Alerts",
    ]  # fmt: skip
    report = asked(ui, f"{base or ''}/stats/requests")
    assert report["state"] == "ready"
    assert [each["key"] for each in report["extended_stats"]] == KEYS
    for table, told in zip(ui.template_args["extended_tables"], report["extended_stats"], strict=True):
        assert table["key"] == told["key"]
        columns = [each["key"] for each in table["structure"]]
        assert told["data"]
        for row in told["data"]:
            assert list(row) == columns


@pytest.mark.parametrize("snapshot", [Snapshot(), good(), bad(), full(), busy()], ids=["empty", *"gbfy"])
def test_cells_are_texts_and_numbers_and_no_row_is_empty(snapshot: Snapshot) -> None:
    for tab in TABS:
        rows = tab.table(snapshot)
        assert rows
        for row in rows:
            assert list(row) == list(tab.columns)
            assert all(type(cell) in (str, int, float) for cell in row.values())
            assert next(iter(row.values())) != ""
            assert not any(char in str(cell) for cell in row.values() for char in "\n\r\t\x1b\u202e")


def test_keys_are_words_that_the_page_does_not_rewrite_and_none_is_its_sort_key() -> None:
    for tab in TABS:
        assert all(key.isalpha() and key.islower() and key != "name" for key in tab.columns)


def test_connections_are_told_by_state_in_the_order_of_their_life() -> None:
    rows = {str(row["what"]): (row["count"], row["share"]) for row in connection_rows(busy())}
    assert list(rows)[:7] == [
        "now idle", "now connecting", "now open", "now closing", "now waiting", "now closed", "now failed",
    ]  # fmt: skip
    assert rows["now open"] == (45, "90 %")
    assert rows["now waiting"] == (3, "6.0 %")
    assert rows["now idle"] == (0, "0 %")
    assert rows["peak open"] == (50, "")
    assert rows["reconnects"] == (7, "")
    assert rows["closed in order"] == (12, "")
    opened = {row["what"]: row["count"] for row in connection_rows(bad())}
    assert (opened["opened"], opened["failed to open"], opened["dropped"]) == (1, 1, 1)


def test_pushes_come_with_the_most_received_first_and_have_their_reach_lag_and_spread() -> None:
    assert [row["received"] for row in push_rows(busy())] == [200, 3, 3]
    assert [row["event"] for row in push_rows(busy())][1:] == ["a", "b"]
    first, second = push_rows(good())
    assert first == {
        "event": "context_changed", "received": 200, "reach": "95.0 %", "missing": 10,
        "median": 0.7, "late": 0.7, "spread": 0.9,
    }  # fmt: skip
    assert second == {
        "event": "heartbeat", "received": 1, "reach": "–", "missing": "–", "median": "–", "late": "–", "spread": "–",
    }  # fmt: skip


def test_of_many_events_the_hundred_with_the_most_pushes_have_rows() -> None:
    many = replace(busy(), pushes=tuple(PushStats(f"event {number:03}", received=number) for number in range(500)))
    rows = push_rows(many)
    assert [row["received"] for row in rows] == list(range(499, 399, -1))


def test_resources_have_a_row_for_each_source_with_the_latest_values_in_their_units() -> None:
    rows = resource_rows(busy())
    assert [row["source"] for row in rows] == ["worker 1", "worker 2", "master", "target metrics"]
    assert rows[0] == {
        "source": "worker 1", "cpu": 83.2, "memory": 182.4, "descriptors": 531, "threads": 11, "greenlets": 1024,
        "lag": 12.35, "sent": 120.4, "received": 2400.3, "ports": 27703, "other": "",
        "leak": "flat (0.01 MiB/min ± 0.03)",
    }  # fmt: skip
    assert rows[1]["ports"] == "–"
    assert rows[3]["other"] == "queue_depth 17"
    assert str(rows[3]["leak"]).endswith("leak likely")


def test_the_most_urgent_alerts_come_first_with_the_units_of_their_metrics() -> None:
    rows = alert_rows(busy())
    assert [(row["state"], row["severity"]) for row in rows] == [
        ("firing", "critical"), ("firing", "critical"), ("firing", "warning"),
        ("acknowledged", "warning"), ("resolved", "critical"),
    ]  # fmt: skip
    assert rows[0] == {
        "rule": rows[0]["rule"], "severity": "critical", "state": "firing", "value": "97 %", "limit": "> 90 %",
        "worker": "2", "since": "1:01:40",
    }  # fmt: skip
    assert str(rows[0]["rule"]).startswith("=1+1|<script>")
    assert (rows[1]["value"], rows[1]["worker"], rows[1]["since"]) == ("812 ms", "–", "0:35")
    assert rows[2]["value"] == "7 %"
    unknown = replace(busy(), alerts=(alert(1, "x", metric="gone", value=3.0),))
    assert alert_rows(unknown)[0]["value"] == "3"


def test_times_of_a_run_are_told_as_a_clock_does() -> None:
    assert [clock_text(seconds) for seconds in (0, 7.9, 760, 3723)] == ["0:00", "0:07", "12:40", "1:02:03"]


def test_where_there_is_nothing_the_table_says_so() -> None:
    for tab in TABS[1:]:
        (row,) = tab.table(Snapshot())
        assert next(iter(row.values())) == tab.nothing
        assert set(list(row.values())[1:]) == {""}


def test_however_often_it_is_asked_the_rows_are_made_once_in_two_seconds_and_never_twice(clock: Clock) -> None:
    ui = web_ui()
    take, calls = counting(busy())
    Tabs(ui, take)
    assert calls == []
    for _ in range(5):
        assert [each["key"] for each in asked(ui)["extended_stats"]] == KEYS
        clock.now_s += 0.3
    assert len(calls) == 1
    clock.now_s += 1.0
    assert [each["key"] for each in asked(ui)["extended_stats"]] == KEYS
    assert len(calls) == 2


def test_other_answers_of_the_ui_are_left_alone() -> None:
    ui = web_ui()
    take, calls = counting(busy())
    Tabs(ui, take)
    assert "extended_stats" not in asked(ui, "/tasks")
    assert ui.app is not None
    assert ui.app.test_client().get("/nowhere").status_code == 404
    assert calls == []


@pytest.mark.parametrize("is_first", [True, False], ids=["registered before ours", "registered after ours"])
def test_a_strangers_tab_and_its_rows_stay_even_where_it_writes_all_rows_anew(is_first: bool, clock: Clock) -> None:
    """As the example in Locust's documentation does."""
    ui = web_ui()
    ui.template_args["extended_tabs"] = [{"key": "theirs", "title": "Theirs"}]
    ui.template_args["extended_tables"] = [{"key": "theirs", "structure": [{"key": "name", "title": "Name"}]}]
    tabs = None if is_first else Tabs(ui, busy)
    assert ui.app is not None

    @ui.app.after_request
    def theirs(response: Response) -> Response:
        if request.path == "/stats/requests":
            rows = [{"key": "theirs", "data": [{"name": "x"}]}]
            response.set_data(json.dumps({**(response.json or {}), "extended_stats": rows}))
        return response

    tabs = tabs or Tabs(ui, busy)
    for _ in range(3):
        assert [each["key"] for each in asked(ui)["extended_stats"]] == ["theirs", *KEYS]
    assert [each["key"] for each in ui.template_args["extended_tabs"]] == ["theirs", *KEYS]
    tabs.close()
    tabs.close()
    assert ui.template_args["extended_tabs"] == [{"key": "theirs", "title": "Theirs"}]
    assert [each["key"] for each in ui.template_args["extended_tables"]] == ["theirs"]
    clock.now_s += 3
    assert [each["key"] for each in asked(ui)["extended_stats"]] == ["theirs"]


def test_after_close_nothing_of_ours_is_left_and_a_second_extension_has_its_own(clock: Clock) -> None:
    ui = web_ui()
    Tabs(ui, busy).close()
    assert "extended_tabs" not in ui.template_args
    assert "extended_tables" not in ui.template_args
    assert "extended_stats" not in asked(ui)
    Tabs(ui, good)
    clock.now_s += 3
    report = asked(ui)
    assert [each["key"] for each in report["extended_stats"]] == KEYS
    assert report["extended_stats"][1]["data"][0]["event"] == "context_changed"


def test_the_page_itself_keeps_the_tabs_when_locust_updates_its_arguments() -> None:
    ui = web_ui()
    Tabs(ui, busy)
    assert ui.app is not None
    page = ui.app.test_client().get("/").text
    assert '"key": "ext-connections"' in page
    assert [each["key"] for each in ui.template_args["extended_tabs"]] == KEYS


def test_rows_that_cannot_be_made_leave_locusts_statistics_as_they_are_and_say_so_once(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    ui = web_ui()

    def take() -> Snapshot:
        raise RuntimeError("broken")

    Tabs(ui, take)
    for _ in range(3):
        assert asked(ui)["state"] == "ready"
        clock.now_s += 3
    assert caplog.text.count("the tables of the web UI could not be made") == 1


@pytest.mark.parametrize(("name", "length"), [("odd", float("nan")), ("\ud83d", 3)], ids=["NaN", "half a pair"])
def test_what_strict_json_does_not_know_does_not_stop_the_tables(name: str, length: float) -> None:
    """Locust writes NaN where a client gave it one; a name may hold half a surrogate pair."""
    ui = web_ui()
    Tabs(ui, busy)
    runner = ui.environment.runner
    assert runner is not None
    runner.stats.log_request("GET", name, 3, length)
    report = asked(ui)
    assert [each["key"] for each in report["extended_stats"]] == KEYS
    assert report["stats"][0]["name"] == name
    assert report["stats"][0]["avg_content_length"] == (3 if length == 3 else None)


def test_hostile_names_are_text_on_one_line() -> None:
    (row,) = [row for row in push_rows(busy()) if row["received"] == 200]
    assert row["event"] == "".join("?" if char in "\n\r\t\x1b\u202e" else char for char in HOSTILE)
