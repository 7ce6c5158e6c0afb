"""`plugin.webui.downloads`: the routes of the report's files and their entries on Locust's download page."""

from __future__ import annotations

import csv
import io
import json
from xml.etree import ElementTree

import pytest

from locust_ext.model import RunInfo, Snapshot
from locust_ext.outputs import REPORTS
from locust_ext.plugin import shapes
from locust_ext.plugin.webui import Downloads
from tests.outputs.examples import bad, good
from tests.outputs.searches import searched
from tests.plugin.webui.fakes import web_ui

ALWAYS = [name for name in REPORTS if name != "limit.svg"]
"""The reports of a run that is no search for the limit."""


@pytest.mark.parametrize("base", [None, "/load", "/a/b"])
def test_each_report_of_the_live_run_is_a_file_to_download(base: str | None) -> None:
    ui = web_ui(base)
    Downloads(ui, good)
    assert ui.app is not None
    client = ui.app.test_client()
    for name in ALWAYS:
        render = REPORTS[name]
        answer = client.get(f"{base or ''}/ext/reports/{name}")
        stem, _, suffix = name.rpartition(".")
        assert (answer.status_code, answer.text) == (200, render(good()))
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{stem}_20260101T120000-abc.{suffix}"'
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert client.get(f"{base or ''}/ext/reports/passwd").status_code == 404
    assert client.post(f"{base or ''}/ext/reports/summary.json").status_code == 405


def test_the_content_types_are_those_of_the_files() -> None:
    ui = web_ui()
    Downloads(ui, bad)
    assert ui.app is not None
    client = ui.app.test_client()
    answers = {name: client.get(f"/ext/reports/{name}") for name in ALWAYS}
    types = {name: answer.headers["Content-Type"] for name, answer in answers.items()}
    assert types == {
        "summary.json": "application/json",
        "summary.md": "text/markdown; charset=utf-8",
        "timeline.csv": "text/csv; charset=utf-8",
        "resources.csv": "text/csv; charset=utf-8",
        "junit.xml": "application/xml",
    }
    assert json.loads(answers["summary.json"].data)["error_metrics"]["total"] == 13
    assert ElementTree.fromstring(answers["junit.xml"].data).tag == "testsuites"
    assert len(list(csv.reader(io.StringIO(answers["timeline.csv"].text)))) > 1


def test_before_the_first_run_the_files_have_their_plain_names() -> None:
    ui = web_ui()
    Downloads(ui, Snapshot)
    assert ui.app is not None
    answer = ui.app.test_client().get("/ext/reports/summary.json")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="summary.json"'


def test_the_figures_are_those_of_the_moment_of_the_click() -> None:
    ui = web_ui()
    runs = iter([Snapshot(run=RunInfo(id="one")), Snapshot(run=RunInfo(id="two"))])
    Downloads(ui, lambda: next(runs))
    assert ui.app is not None
    client = ui.app.test_client()
    assert [client.get("/ext/reports/summary.json").json["run"]["id"] for _ in range(2)] == ["one", "two"]


def test_pages_of_other_origins_may_not_read_them() -> None:
    ui = web_ui()
    Downloads(ui, good)
    assert ui.app is not None
    client = ui.app.test_client()
    answer = client.get("/ext/reports/summary.json", headers={"Origin": "http://evil.example"})
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_the_entries_stand_beside_those_of_the_locustfile_and_go_with_the_extension() -> None:
    ui = web_ui()
    own = {"href": "/mine.csv", "title": "Mine"}
    ui.template_args["extended_csv_files"] = [own]
    first = Downloads(ui, good)
    entries = ui.template_args["extended_csv_files"]
    assert entries[0] == own
    assert [each["href"] for each in entries[1:]] == [f"./ext/reports/{name}" for name in ALWAYS]
    assert [each["title"] for each in entries[1:]] == [f"Download locust-ext {name}" for name in ALWAYS]
    assert ui.app is not None
    client = ui.app.test_client()
    assert client.get("/ext/reports/junit.xml").status_code == 200
    first.close()
    first.close()
    assert ui.template_args["extended_csv_files"] == [own]
    assert client.get("/ext/reports/junit.xml").status_code == 404
    Downloads(ui, bad)
    assert len(ui.template_args["extended_csv_files"]) == 1 + len(ALWAYS)
    assert "timeout" in client.get("/ext/reports/summary.md").text


def test_without_other_entries_nothing_is_left_after_close() -> None:
    ui = web_ui()
    Downloads(ui, good).close()
    assert "extended_csv_files" not in ui.template_args


def test_a_web_ui_that_is_in_use_already_is_left_alone_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    ui = web_ui()
    assert ui.app is not None
    assert ui.app.test_client().get("/tasks").status_code == 200
    Downloads(ui, good)
    assert "The web UI is being used already" in caplog.text


def test_further_entries_stand_before_the_files_and_below_the_page() -> None:
    ui = web_ui("/load")
    downloads = Downloads(ui, good, (("alerts", "Alerts and resources (live)"),))
    first, *files = ui.template_args["extended_csv_files"]
    assert first == {"href": "./ext/alerts", "title": "Alerts and resources (live)"}
    assert len(files) == len(ALWAYS)
    downloads.close()
    assert "extended_csv_files" not in ui.template_args


class Limit(shapes.Stress):
    max_users = 20


def test_the_picture_of_a_search_has_an_entry_where_a_shape_is_one_and_is_not_there_before_the_first_step() -> None:
    ui = web_ui()
    ui.environment.shape_class = Limit()
    runs = iter([good(), searched()])
    Downloads(ui, lambda: next(runs))
    assert ui.app is not None
    client = ui.app.test_client()
    assert [each["title"] for each in ui.template_args["extended_csv_files"]][-1] == "Download locust-ext limit.svg"
    none, picture = (client.get("/ext/reports/limit.svg") for _ in range(2))
    assert (none.status_code, none.text) == (404, "this run has none\n")
    assert (picture.status_code, picture.headers["Content-Type"]) == (200, "image/svg+xml")
    assert ElementTree.fromstring(picture.data).tag == "{http://www.w3.org/2000/svg}svg"
