"""``locust-ext settings`` and ``locust-ext schema``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from locust_ext import cli
from locust_ext.settings import Settings, json_schema, load_settings


def settings_of(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(["settings", str(path)]) == 0
    return capsys.readouterr().out


def test_it_prints_every_key_with_its_value(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s.yaml").write_text(
        "run: {users: 5}\nusers: {Crowd: {kind: agent, generator: {mixed: {ping: 1}}}}\n"
        "shape: {ramp: {users: 5, steps: 2, step_s: 2}}\n"
    )
    told = yaml.safe_load(settings_of(tmp_path / "s.yaml", capsys))
    assert list(told) == list(Settings.model_fields)
    assert told["run"]["users"] == 5
    assert told["users"] == {"Crowd": {"kind": "agent", "generator": {"mixed": {"ping": 1}}}}
    assert list(told["shape"]) == ["ramp"]
    assert told["exporter"]["max_series"] == 10_000
    assert Settings.model_validate(told) == load_settings(tmp_path / "s.yaml")


def test_no_secret_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSWORD", "SECRET-1")
    monkeypatch.setenv("COUNT", "765")
    (tmp_path / "s.yaml").write_text(
        """
        scenario: "by ${PASSWORD}"
        run: {users: "${COUNT}", host: "http://ann:SECRET-2@example.org:80/a@b"}
        users:
          Crowd:
            kind: agent
            token: SECRET-3
            headers: {X-Key: SECRET-4}
            proxy: http://ann:SECRET-5@proxy:1
            generator: {template: {templates: [{type: login, password: "${PASSWORD}"}]}}
          Chat: {kind: socketio, auth: {key: SECRET-6}}
        rules:
          webhook: {url: "https://hooks.example.org/SECRET-7"}
          rules: [{name: a, metric: latency_p95, critical: 5ms, on_critical: [webhook]}]
        """
    )
    text = settings_of(tmp_path / "s.yaml", capsys)
    assert "SECRET" not in text
    assert "765" not in text
    told = yaml.safe_load(text)
    assert (told["scenario"], told["run"]["users"]) == ("***", "***")
    assert told["run"]["host"] == "http://***@example.org:80/a@b"
    crowd = told["users"]["Crowd"]
    assert (crowd["token"], crowd["headers"], crowd["proxy"]) == ("***", {"X-Key": "***"}, "***")
    assert crowd["generator"]["template"]["templates"] == [{"type": "login", "password": "***"}]
    assert told["users"]["Chat"]["auth"] == {"key": "***"}
    assert told["rules"]["webhook"] == {"url": "***"}


def test_a_wrong_file_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s.yaml").write_text("users: {Crowd: {kind: agnt}}")
    assert cli.main(["settings", str(tmp_path / "s.yaml")]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (
        f"locust-ext settings: {tmp_path}/s.yaml: users.Crowd.kind: expected one of agent, websocket, socketio, context, "
        "realistic (got 'agnt'); did you mean 'agent'?\n"
    )


def test_the_schema_is_printed_or_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["schema"]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed)["properties"].keys() == json_schema()["properties"].keys()
    assert cli.main(["schema", str(tmp_path / "schema.json")]) == 0
    assert capsys.readouterr().out == ""
    assert (tmp_path / "schema.json").read_text(encoding="utf-8") == printed


def test_a_file_that_cannot_be_written_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["schema", "/nowhere/schema.json"]) == 1
    assert capsys.readouterr().err == (
        "locust-ext schema: /nowhere/schema.json: expected a file that can be written: no such file or directory\n"
    )


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "users: {Crowd: {kind: context, generator: context_ops, path: /x}}",
            "users.Crowd.path: users of kind context do not have this key",
        ),
        (
            "users: {Crowd: {kind: agent, generator: pong}}",
            "users.Crowd.generator: unknown name, expected one of event",
        ),
        ("users: {Crowd: {kind: agent, weight: 0}}", "users: expected a class with a weight or a fixed_count above 0"),
        ("users: {User: {kind: agent}}", "users.User: expected a name of its own"),
        ("rules: [{name: a, metric: latency, critical: 5ms}]", "rules[0].metric: unknown metric"),
        ("shape: {stress: {max_users: 5}}", "shape.stress.initial: expected no more users than max_users (5) (got 10)"),
        (
            "shape: {stress: {max_users: 50, factor: 2, increment: 5}}",
            "shape.stress.increment: expected either factor or increment (got 5)",
        ),
        (
            "shape: {stress: {max_users: 50, max_step_s: 5}}",
            "shape.stress.max_step_s: expected no less than step_s (10 s) (got 5.0)",
        ),
        (
            "shape: {ramp: {users: 50, steps: 5, linear_s: 5}}",
            "shape.ramp.linear_s: expected either linear_s, or steps and step_s (got 5.0)",
        ),
        (
            "shape: {stages: [{users: 5}, {users: 6}]}",
            "shape.stages[0].time_s: expected seconds: another stage follows",
        ),
    ],
)
def test_what_a_run_would_refuse_is_told_without_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, error: str
) -> None:
    (tmp_path / "s.yaml").write_text(text)
    assert cli.main(["settings", str(tmp_path / "s.yaml")]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"locust-ext settings: {tmp_path}/s.yaml: {error}")


def test_user_classes_of_a_locustfile_are_left_to_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s.yaml").write_text("users: {Crowd: {pattern: churn}}")
    assert yaml.safe_load(settings_of(tmp_path / "s.yaml", capsys))["users"] == {"Crowd": {"pattern": "churn"}}
