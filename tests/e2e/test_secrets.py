"""Row 39 of the faults: no token, header, cookie, credential or body shows in anything that a run leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.runs import Locust, free_port, server

pytestmark = pytest.mark.e2e

LOCUSTFILE = """
from locust import constant, task

import locust_ext
from locust_ext import AgentUser, ContextServerUser

locust_ext.install()


class Secretive(AgentUser, ContextServerUser):
    path = "/api/v1/ws/{client_id}?key=SECRET-query"
    token = staticmethod(lambda user: "SECRET-token")
    headers = {"X-Key": "SECRET-header", "Cookie": "s=SECRET-cookie"}
    subprotocols = ()
    request_timeout_s = 0.2
    wait_time = constant(0.02)

    @task
    def talk(self):
        self.live.ensure()
        number = self.random.randrange(7)
        if number == 0:
            self.ws.request({"type": "ping", "password": "SECRET-message"})
        elif number == 1:
            self.open("/nowhere?token=SECRET-path")
        elif number == 2:
            self.client.get("/ctx/all?key=SECRET-key", headers={"Authorization": "SECRET-authorization"})
        elif number == 3:
            self.set("SECRET-key", "SECRET-value")
        elif number == 4:
            self.download("SECRET-file")
        elif number == 5:
            self.live.call("context_set", {"key": "SECRET-key", "value": "SECRET-value"})
        else:
            self.ws.send({"type": "heartbeat", "note": "SECRET-note"})


class BehindProxy(AgentUser):
    proxy = "http://ann:SECRET-word@127.0.0.1:PORT"
    wait_time = constant(0.1)

    @task
    def rest(self):
        pass
"""


def test_fault_39_no_secret_is_in_any_output(tmp_path: Path) -> None:
    """Reports, CSV files, Locust's HTML and JSON, and the console at its most talkative; over all kinds of failures."""
    (tmp_path / "secretive.py").write_text(LOCUSTFILE.replace("PORT", str(free_port())))
    with server() as target:
        target.misbehave(error_ratio=0.2, drop_ratio=0.05, silent_ratio=0.05)
        run = Locust(
            *("--headless", "-u", "6", "-r", "6", "-t", "4s", "--host", target.url, "--loglevel", "DEBUG"),
            *("--csv", "stats", "--csv-full-history", "--html", "page.html", "--json-file", "stats"),
            *("--ext-report-dir", "out"),
            folder=tmp_path,
            locustfile=tmp_path / "secretive.py",
        ).finish()
    classes = {error for each in run.operations() for error in each["errors"]}
    assert classes >= {"refused", "http_404", "error_reply", "timeout", "lost"}, run.output
    written = [each for each in tmp_path.rglob("*") if each.is_file() and each.suffix not in (".py", ".pyc")]
    assert {each.name for each in written} >= {"stats_stats.csv", "stats_failures.csv", "page.html", "summary.json"}
    for each in written:
        assert b"SECRET" not in each.read_bytes(), each.name
    assert "Traceback" not in run.output
