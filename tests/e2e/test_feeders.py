"""Unique rows of a CSV file over real worker processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.runs import assert_balanced, free_port, run_local, server

USERS = 20
HEAD = (
    "from locust import constant\n"
    "import locust_ext\n"
    "from locust_ext import AgentUser, messages\n"
    "locust_ext.install()\n"
    "class Crowd(AgentUser):\n"
    "    abstract = False\n"
    "    wait_time = constant(0.2)\n"
)
TEMPLATE = "{'body': {'type': '{csv:name} {user}'}, 'name': 'hello', 'one_way': True}"
IN_CODE = (
    f"    generator = messages.Mixed([(messages.Template({TEMPLATE},\n"
    "        messages.Feeder.from_csv('settings/users.csv', 'unique')), 3), ('ping', 1)])\n"
)
IN_SETTINGS = (
    "users: {Crowd: {generator: {template: {feeder: {csv: users.csv, mode: unique}, "
    f"templates: {TEMPLATE.replace('True', 'true')}}}}}}}}}\n"
)


@pytest.mark.parametrize("place", ["code", "settings"])
def test_no_two_users_of_two_workers_have_the_same_row(tmp_path: Path, place: str) -> None:
    """As many rows as users: each is one user's, in a mix of the locustfile and in a template of the settings."""
    settings = tmp_path / "settings"
    settings.mkdir()
    (settings / "users.csv").write_text("name\n" + "".join(f"row-{number}\n" for number in range(USERS)))
    (settings / "ext.yaml").write_text(IN_SETTINGS if place == "settings" else "")
    locustfile = tmp_path / "made.py"
    locustfile.write_text(HEAD + (IN_CODE if place == "code" else ""))
    port = str(free_port())
    with server() as target:
        finished = run_local(
            tmp_path,
            *("--headless", "-u", str(USERS), "-r", str(USERS), "-t", "6s", "--only-summary", "--processes", "2"),
            *("--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port),
            *("--host", target.url, "--ext-config", "settings/ext.yaml", "--ext-report-dir", "out"),
            locustfile=locustfile,
        )
        pairs = [name.split() for name in target.counters()["by_type"] if name.startswith("row-")]
    assert finished.code == 0, finished.output
    assert len(pairs) == USERS
    assert {row for row, _ in pairs} == {f"row-{number}" for number in range(USERS)}
    assert len({user for _, user in pairs}) == USERS
    assert len({user.rpartition("-")[0] for _, user in pairs}) == 2, "both workers had users"
    assert_balanced(finished)


def test_too_few_rows_are_told_before_the_start(tmp_path: Path) -> None:
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "users.csv").write_text("name\na\nb\n")
    locustfile = tmp_path / "made.py"
    locustfile.write_text(HEAD + IN_CODE)
    finished = run_local(
        tmp_path, "--headless", "-u", "3", "-t", "5s", "--host", "http://127.0.0.1:9", locustfile=locustfile
    )
    assert finished.code == 1
    assert "settings/users.csv: 2 rows are not enough for 3 users: with unique each needs its own" in finished.output
    assert "Traceback" not in finished.output
