"""What may stand in a suite file, and how it is told what may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from locust_ext.errors import ConfigError
from locust_ext.suite.file import load_suite


def written(folder: Path, text: str) -> Path:
    path = folder / "nightly.yaml"
    path.write_text(text)
    return path


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    suite = load_suite(
        written(
            tmp_path,
            """
name: every night
host: embedded
report_dir: out
stop_on_failure: true
timeout_s: 10m
scenarios:
  - {name: short, locustfile: a.py, rules: default, args: {users: 20, run_time: 1m30s}, flags: [--ext-rate, 50]}
  - {config: config/burst.yaml, timeout_s: 90}
""",
        )
    )
    settings = suite.settings
    assert (suite.name, settings.host, settings.report_dir, settings.stop_on_failure, settings.timeout_s) == (
        *("every night", "embedded", "out", True),
        600.0,
    )
    short, burst = settings.scenarios
    assert (short.title, short.locustfile, short.rules, short.flags) == (
        "short",
        "a.py",
        "default",
        ["--ext-rate", "50"],
    )
    assert (short.args.users, short.args.run_time, short.timeout_s) == (20, 90.0, None)
    assert (burst.title, burst.config, burst.timeout_s) == ("burst", "config/burst.yaml", 90.0)


def test_a_suite_and_a_scenario_without_a_name_are_called_as_their_files_are(tmp_path: Path) -> None:
    suite = load_suite(
        written(tmp_path, "scenarios: [{locustfile: x/churn.py}, {locustfile: a.py, config: fast.yaml}]")
    )
    assert (suite.name, [each.title for each in suite.settings.scenarios]) == ("nightly", ["churn", "fast"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected a mapping with the key scenarios"),
        ("name: x", "scenarios: this key is required"),
        ("scenarios: []", "scenarios: expected at least one (got [])"),
        ("scenarios: [{name: x}]", "scenarios[0]: expected a locustfile or a config"),
        ("scenarios: [{locustfile: a.py}, 3]", "scenarios[1]: expected a mapping of keys (got 3)"),
        ("scenarios: [{locustfile: a.py}]\nstop: 1", "stop: unknown key, expected one of name, host"),
        (
            "scenarios: [{locustfil: a.py}]",
            "scenarios[0].locustfil: unknown key, expected one of name, locustfile, config, rules, args, flags, timeout_s; "
            "did you mean 'locustfile'?",
        ),
        (
            "scenarios: [{config: a.yaml, args: {user: 3}}]",
            "scenarios[0].args.user: unknown key, expected one of host, ",
        ),
        ("scenarios: [{config: a.yaml, args: {user: 3}}]", "; did you mean 'users'?"),
        (
            "scenarios: [{config: a.yaml, args: {users: 0}}]",
            "scenarios[0].args.users: expected a number of at least 1 (got 0)",
        ),
        ("scenarios: [{config: a.yaml}]\nhost: here", "host: expected a base URL, such as http://127.0.0.1:8000"),
        (
            "scenarios: [{config: a.yaml}, {locustfile: a.py}]",
            "scenarios[1].name: expected a name of its own for each scenario (got 'a')",
        ),
    ],
)
def test_what_is_wrong_is_told_with_file_key_value_and_the_nearest_name(
    tmp_path: Path, text: str, expected: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as raised:
        load_suite(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert expected in str(raised.value)


def test_what_came_from_an_environment_variable_is_never_shown(tmp_path: Path) -> None:
    path = written(tmp_path, "scenarios: [{locustfile: a.py, args: {users: '${USERS}'}, flags: [--token, '${TOKEN}']}]")
    suite = load_suite(path, {"USERS": "7", "TOKEN": "s3cret-7"})
    assert suite.settings.scenarios[0].args.users == 7
    assert suite.masked("-u 7 --token s3cret-7") == "-u *** --token ***"
    with pytest.raises(ConfigError) as raised:
        load_suite(path, {"USERS": "s3cret", "TOKEN": "x"})
    assert str(raised.value) == f"{path}: scenarios[0].args.users: expected a whole number"
    with pytest.raises(ConfigError, match="the environment variable 'TOKEN' is not set"):
        load_suite(path, {"USERS": "7"})
