"""Files that nobody should write: each ends in one line, before anything runs, and shows no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from locust_ext.errors import ConfigError
from locust_ext.settings import Settings, check_names, layer, load_settings
from locust_ext.settings.file import read_yaml
from locust_ext.settings_command import check, shown

SECRET = "s3cr3tHUNTER"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{below}'] * 10)}]\n" for below, name in zip("abcdef", "bcdefg", strict=True)
)
CHAIN = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 200))
CROWD = "users: {A: {kind: agent, generator: ping}}\n"


def told(tmp_path: Path, text: str | bytes) -> str:
    """What ``locust-ext settings`` says of a file, without the folder."""
    file = tmp_path / "wrong.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        check(load_settings(file), str(file))
    return str(caught.value).replace(f"{tmp_path}/", "")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("users: &a {A: *a}", "not valid YAML at line 1, column 8: expected no value that holds itself"),
        ("users: &a\n  A: {auth: *a}", "not valid YAML at line 1, column 8: expected no value that holds itself"),
        (
            "users: " + "[" * 101,
            "not valid YAML at line 1, column 109: expected at most 100 levels, one inside the other",
        ),
        ("users: " + "{a: " * 5000, "not valid YAML at line 1, column 403: expected at most 100 levels"),
        (BOMB, "not valid YAML at line 5, column 4: expected at most 100,000 values, aliases written out"),
        (CHAIN, "not valid YAML at line 100, column 6: expected at most 100 levels, aliases written out"),
        ("run: {users: " + "9" * 5000 + "}", "not valid YAML at line 1, column 14: expected another value: this one"),
        ("run: {run_time: 2026-02-30}", "not valid YAML at line 1, column 17: expected another value: this one"),
        ("run: {users: !!bool perhaps}", "not valid YAML at line 1, column 14: expected another value: this one"),
        ("run: {run_time: !!timestamp x}", "not valid YAML at line 1, column 17: expected another value: this one"),
        ("? [a, {b: c}]\n: 1", "not valid YAML at line 1, column 3: "),
        ("users: !!python/object/apply:os.system ['echo']", "not valid YAML at line 1, column 8: could not determine"),
        (
            "run: {users: " + "9" * 400 + "}",
            "run.users: expected a number of at most 9,223,372,036,854,775,807 (got 9999",
        ),
        ("run: {users: 99999999999}", "run.users: expected a number of at most 10,000,000 (got 99999999999)"),
        ("run: {users: '" + "9" * 5000 + "'}", "run.users: expected a whole number of fewer digits (got '9999"),
        ("run: {run_time: 1.0e+300}", "run.run_time: expected a number of at most 315,360,000 (got 1e+300)"),
        ("run: {seed: 9223372036854775808}", "run.seed: expected a number of at most 9,223,372,036,854,775,807"),
        ("users: {A: {weight: .nan}}", "users.A.weight: expected a finite number (got nan)"),
        ("users: {A: {weight: .inf}}", "users.A.weight: expected a finite number (got inf)"),
        ("users: {A: {think_time: " + "9" * 30 + "}}", "users.A.think_time: expected a number of at most 9,223,372"),
        ("users: {A: {think_time: 1e+30}}", "users.A.think_time: expected seconds, or a pair [low, high] of them"),
        ("shape: {steady: {users: 99999999999}}", "shape.steady.users: expected a number of at most 10,000,000"),
        (
            "shape: {burst: {base_user: 1}}",
            "shape.burst.base_user: unknown key, expected one of burst_users, base_users",
        ),
        ('users: {A: {"we\\night": 3}}', "users.A.we\\night: unknown key, expected one of kind, weight"),
        (
            "users: {A: {kind: '" + "x" * 900 + "'}}",
            "users.A.kind: expected one of agent, websocket, socketio, context",
        ),
        ("users: {A: {headers: {X: 0123}}}", "users.A.headers.X: expected a text, in quotes"),
        (CROWD + "run: {profiles: {activ: 1}}", "run.profiles: unknown profile, expected one of active, regular"),
        (CROWD + "report: {formats: [summary.jsn]}", "report.formats: unknown report, expected one of summary.json"),
        (CROWD + "report: {baseline: nope.json}", "report.baseline: the file cannot be read: No such file"),
        (CROWD + "lifecycle: {bursty: {message: 2}}", "lifecycle.bursty.message: unknown name, expected one of"),
        ("messages: {mixed: {evnt: 2}}", "messages.mixed.evnt: unknown name, expected one of event, command"),
        (
            CROWD + "shape: {stages: [{users: 1, time_s: 3, user_classes: [AA]}]}",
            "shape.stages[0].user_classes: unknown user class, expected one of A (got 'AA'); did you mean 'A'?",
        ),
    ],
)
def test_a_hostile_file_is_told_in_one_line(tmp_path: Path, text: str, error: str) -> None:
    said = told(tmp_path, text)
    assert said.startswith(f"wrong.yaml: {error}")
    assert "\n" not in said
    assert len(said) < 1500


@pytest.mark.parametrize(
    "text",
    [
        "users: {A: {kind: agent, generator: '${S}'}}",
        "users: {A: {kind: agent, pattern: '${S}'}}",
        "users: {A: {kind: agent, generator: {mixed: {event: '${S}'}}}}",
        "users: {A: {kind: agent, generator: {in_turn: {steps: [ping, '${S}']}}}}",
        "users: {A: {kind: agent, generator: {event: {pings: '${S}'}}}}",
        "users: {A: {kind: agent, generator: {template: {file: 'x-${S}'}}}}",
        "users: {A: {kind: agent, generator: {replay: {file: '${S}'}}}}",
        "users: {A: {kind: agent, generator: {template: {templates: [{body: {a: 1}}], feeder: {csv: '${S}'}}}}}",
        "users: {A: {kind: agent, ca_file: 'ca/${S}'}}",
        "users: {A: {kind: agent, path: '/{${S}'}}",
        "users: {A: {kind: agent, proxy: '${S}'}}",
        "users: {A: {kind: '${S}'}}",
        "users: {A: {kind: agent, host: '${S}@x'}}",
        "users: {A: {kind: agent, pattern: {failover: {backups: ['${S}']}}}}",
        "lifecycle: {bursty: {messages: '${S}'}}",
        "messages: {mixed: {event: '${S}'}}",
        "embedded: {faults: {jitter_ms: '${S}'}}",
        "embedded: {faults: [{jitter_ms: '${S}'}]}",
        "report: {dir: '/proc/${S}'}",
        "report: {baseline: 'x/${S}.json'}",
        "report: {formats: ['${S}']}",
        "run: {profiles: {active: '${S}'}}",
        "rules: '${S}.yaml'",
        "rules: [{name: a, metric: '${S}', critical: 1}]",
        "rules: [{name: a, metric: rate, low_critical: '${S}'}]",
        "rate: '${S}'",
        "shape: {steady: {users: '${S}'}}",
    ],
)
def test_what_came_from_the_environment_is_in_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("S", SECRET)
    assert SECRET not in told(tmp_path, text)


@pytest.mark.parametrize("key", ["run: {host: %s}", "users: {A: {host: %s}}", "realistic: {agent_host: %s}"])
@pytest.mark.parametrize("address", [f"me:{SECRET}@x:80", f"ftp://me:{SECRET}@x"])
def test_a_password_in_a_wrong_address_is_not_shown(tmp_path: Path, key: str, address: str) -> None:
    assert SECRET not in told(tmp_path, key % f"'{address}'")


def test_a_number_out_of_the_environment_is_not_shown_among_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    read = load_from("embedded: {faults: {jitter_ms: '${S}', seed: 5}}", {"S": "73"})
    assert "jitter_ms: '***'" in shown(read)
    assert "seed: 5" in shown(read)


def load_from(text: str, environ: dict[str, str]) -> Settings:
    import yaml

    from locust_ext.settings import settings_of

    return settings_of(layer(yaml.safe_load(text), "x.yaml", is_file=True, environ=environ))


def test_settings_of_code_that_hold_themselves_are_refused() -> None:
    endless: dict[str, object] = {}
    endless["users"] = endless
    with pytest.raises(ConfigError, match="expected a mapping that does not hold itself"):
        check_names(layer(endless, "locustfile.py", is_file=False))


def test_aliases_that_stay_small_are_as_good_as_what_they_stand_for(tmp_path: Path) -> None:
    file = tmp_path / "good.yaml"
    file.write_text("users:\n  A: &a {kind: agent, generator: ping}\n  B: {<<: *a, weight: 2}\n")
    assert read_yaml(file)["users"]["B"] == {"kind": "agent", "generator": "ping", "weight": 2}


@pytest.mark.parametrize(
    ("text", "environ", "value"),
    [
        ("$${NAME}", {}, "${NAME}"),
        ("a $${NAME} ${NAME}", {"NAME": "x"}, "a ${NAME} x"),
        ("${NAME:-y}", {}, "y"),
        ("${NAME:-y}", {"NAME": ""}, "y"),
        ("${NAME:-y}", {"NAME": "x"}, "x"),
        ("${NAME:-}", {}, ""),
    ],
)
def test_a_variable_may_have_a_default_and_be_escaped(text: str, environ: dict[str, str], value: str) -> None:
    made = layer({"scenario": text}, "x.yaml", is_file=True, environ=environ)
    assert made.document["scenario"] == value
    assert made.origin.secrets == ({"scenario"} if "x" in value else set())


def test_the_folder_of_reports_is_tried_out_but_not_made(tmp_path: Path) -> None:
    file = tmp_path / "good.yaml"
    file.write_text(f"report: {{dir: '{tmp_path}/reports/today'}}\n")
    check(load_settings(file), str(file))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["good.yaml"]


def test_what_cannot_be_checked_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from locust_ext.settings_command import settings

    file = tmp_path / "good.yaml"
    file.write_text("users: {Crowd: {weight: 2}, Other: {kind: agent}}\n")
    assert settings([str(file)]) == 0
    assert "not checked: users, for a kind is not given for Crowd" in capsys.readouterr().err
