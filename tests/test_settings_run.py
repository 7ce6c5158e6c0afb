"""What a settings file says of the run itself: flags, timeouts, reports; and how what is wrong in it is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from locust_ext.errors import ConfigError
from locust_ext.settings import Settings, load_settings


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "s.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def error_of(tmp_path: Path, text: str, **environ: str) -> str:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_settings(path, environ)
    shown = str(caught.value)
    assert shown.startswith(f"{path}: ")
    return shown.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("0.5", 0.5),
        ("90s", 90),
        ("1m30s", 90),
        ("20m", 1200),
        ("1h20m", 4800),
        ("1h1m1s", 3661),
        ("1.5s", 1.5),
        ("'90'", 90),
    ],
)
def test_times_stand_as_seconds_or_as_locusts_texts(tmp_path: Path, text: str, seconds: float) -> None:
    run = load_settings(written(tmp_path, f"run: {{run_time: {text}, stop_timeout: {text}}}")).run
    assert (run.run_time, run.stop_timeout) == (seconds, seconds)


def test_every_key_of_a_run_can_come_from_the_environment(tmp_path: Path) -> None:
    text = """
    scenario: ${NAME}
    run: {users: "${N}", spawn_rate: "${N}", run_time: "${T}", requests: "${N}", warmup_s: "${N}", seed: "${N}",
          log_level: "${L}", host: "${H}", stop_timeout: "${N}", wait_for_target_s: "${N}", profiles: {active: "${N}"}}
    timeouts: {connect_s: "${N}", request_s: "${N}", connects_at_once: "${N}"}
    """
    environ = {"NAME": "nightly", "N": "5", "T": "1m30s", "L": "DEBUG", "H": "http://127.0.0.1:8000"}
    settings = load_settings(written(tmp_path, text), environ)
    assert settings.scenario == "nightly"
    assert settings.run.model_dump() == {
        "host": "http://127.0.0.1:8000",
        "users": 5,
        "spawn_rate": 5.0,
        "run_time": 90.0,
        "stop_timeout": 5.0,
        "requests": "5",
        "warmup_s": 5.0,
        "wait_for_target_s": 5.0,
        "seed": 5,
        "log_level": "debug",
        "profiles": {"active": 5.0},
    }
    assert settings.timeouts.model_dump() == {"connect_s": 5.0, "request_s": 5.0, "connects_at_once": 5}
    assert settings.is_secret("run.users")


@pytest.mark.parametrize(("given", "text"), [("1000", "1000"), ("50/user", "50/user"), ("1_000", "1000")])
def test_a_bound_of_work_stands_as_in_the_flag(tmp_path: Path, given: str, text: str) -> None:
    assert load_settings(written(tmp_path, f"run: {{requests: {given}}}")).run.requests == text


RUN_KEYS = (
    "host, users, spawn_rate, run_time, stop_timeout, requests, warmup_s, wait_for_target_s, seed, log_level, profiles"
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("run: {usres: 5}", f"run.usres: unknown key, expected one of {RUN_KEYS}; did you mean 'users'?"),
        ("run: {users: 0}", "run.users: expected a number of at least 1 (got 0)"),
        ("run: {users: many}", "run.users: expected a whole number (got 'many')"),
        ("run: {users: true}", "run.users: expected a number (got True)"),
        ("run: {spawn_rate: 0}", "run.spawn_rate: expected a number above 0 (got 0)"),
        (
            "run: {run_time: 90 seconds}",
            "run.run_time: expected seconds, or a text such as 90s, 20m or 1h30m (got '90 seconds')",
        ),
        ("run: {run_time: 0s}", "run.run_time: expected a number above 0 (got '0s')"),
        (
            "run: {requests: 5/usr}",
            "run.requests: expected a number of operations, such as 1000, or of each user's, such as 50/user (got '5/usr')",
        ),
        (
            "run: {log_level: debgu}",
            "run.log_level: expected one of debug, info, warning, error, critical (got 'debgu'); did you mean 'debug'?",
        ),
        ("run: {host: localhost}", "run.host: expected a base URL, such as http://127.0.0.1:8000 (got 'localhost')"),
        ("run: {host: 'ftp://me:s3cret@x'}", "run.host: expected a base URL, such as http://127.0.0.1:8000"),
        ("run: {profiles: {}}", "run.profiles: expected at least one"),
        ("run: {seed: 1.5}", "run.seed: expected a whole number (got 1.5)"),
        ("run: 5", "run: expected a mapping of keys (got 5)"),
        (
            "timeouts: {conect_s: 5}",
            "timeouts.conect_s: unknown key, expected one of connect_s, request_s, connects_at_once; "
            "did you mean 'connect_s'?",
        ),
        ("timeouts: {connects_at_once: 0}", "timeouts.connects_at_once: expected a number of at least 1 (got 0)"),
        ("report: {dir: ''}", "report.dir: expected a text that is not empty (got '')"),
        ("report: {formats: summary.json}", "report.formats: expected a list (got 'summary.json')"),
        (
            "report: {format: []}",
            "report.format: unknown key, expected one of dir, baseline, formats; did you mean 'formats'?",
        ),
        (
            "rules: 5",
            "rules: expected default, none, the path of a file, a list of rules, or a mapping with the key rules (got 5)",
        ),
        (
            "shape: {stages: [{users: 5, time_s: 5}, {users: 5, tme_s: 5}]}",
            "shape.stages[1].tme_s: unknown key, expected one of users, time_s, rate, user_classes; did you mean 'time_s'?",
        ),
        (
            "rate: {stages: [{for_s: 5, rat: 5}]}",
            "rate.stages[0].rat: unknown key, expected one of for_s, rate, to; did you mean 'rate'?",
        ),
        (
            "shape: {burst: {burst_users: 5, idel_s: 5}}",
            "shape.burst.idel_s: unknown key, expected one of burst_users, base_users, burst_s, idle_s, bursts, rate; "
            "did you mean 'idle_s'?",
        ),
    ],
)
def test_what_is_wrong_is_named_at_any_depth(tmp_path: Path, text: str, shown: str) -> None:
    assert error_of(tmp_path, text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("run: {users: '${S}'}", "run.users: expected a whole number"),
        ("run: {log_level: '${S}'}", "run.log_level: expected one of debug, info, warning, error, critical"),
        ("timeouts: {request_s: '${S}'}", "timeouts.request_s: expected a number"),
        (
            "users: {Crowd: {headers: {Authorization: '${S} ä'}}}",
            "users.Crowd.headers: expected ASCII values of one line",
        ),
        ("users: {Crowd: {token: [hunter2]}}", "users.Crowd.token: expected a text"),
    ],
)
def test_secrets_are_not_shown_in_what_is_wrong(tmp_path: Path, text: str, shown: str) -> None:
    assert error_of(tmp_path, text, S="hunter2") == shown


@pytest.mark.parametrize("rules", ["default", "rules.yaml", [{"name": "x"}], {"rules": []}])
def test_rules_are_kept_as_they_stand(tmp_path: Path, rules: Any) -> None:
    assert load_settings(written(tmp_path, json.dumps({"rules": rules}))).rules == rules


def test_without_a_file_nothing_is_said_of_any_flag() -> None:
    assert set(Settings().run.model_dump().values()) == {None}
