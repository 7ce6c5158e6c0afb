"""`config/schema.json`: what editors know of settings files; it says what `load_settings` says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from locust_ext.core.alerts.rules_file import rules_of
from locust_ext.core.lifecycle import PATTERNS
from locust_ext.core.messages import GENERATORS
from locust_ext.errors import ConfigError
from locust_ext.settings import load_settings
from locust_ext.settings.users import UserSettings
from locust_ext.settings_command import schema_text

CONFIG = Path(__file__).parents[2] / "config"
SCHEMA = json.loads(schema_text())
OTHERS = {"compose.yaml", "rules.yaml"}
"""Files of ``config/`` that hold no settings; suites have a key that tells them."""


def settings_files() -> Iterator[Path]:
    for path in sorted((*CONFIG.glob("*.yaml"), *(CONFIG / "shapes").glob("*.yaml"))):
        if path.name not in OTHERS and "scenarios" not in yaml.safe_load(path.read_text(encoding="utf-8")):
            yield path


def complaints(document: Any) -> list[str]:
    return [f"{each.json_path}: {each.message}" for each in Draft202012Validator(SCHEMA).iter_errors(document)]


def test_the_file_is_what_the_command_writes() -> None:
    """After a change of the settings: ``locust-ext schema config/schema.json``."""
    assert (CONFIG / "schema.json").read_text(encoding="utf-8") == schema_text()


def test_it_is_a_json_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", list(settings_files()), ids=lambda path: path.name)
def test_every_shipped_settings_file_is_valid_and_names_the_schema(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    folder = "../" if path.parent.name == "shapes" else ""
    assert text.splitlines()[0] == f"# yaml-language-server: $schema={folder}schema.json"
    assert complaints(yaml.safe_load(text)) == []
    load_settings(path)


def test_the_names_of_patterns_and_generators_are_those_of_the_tables() -> None:
    keys = SCHEMA["$defs"]["UserSettings"]["properties"]
    for key, section, table in (("pattern", "lifecycle", PATTERNS), ("generator", "messages", GENERATORS)):
        (names,) = (each["enum"] for each in keys[key]["anyOf"] if "enum" in each)
        assert (*names, "custom") == tuple(table)
        assert (*SCHEMA["properties"][section]["properties"], "custom") == tuple(table)


def test_every_key_of_a_user_class_says_what_it_means() -> None:
    keys = SCHEMA["$defs"]["UserSettings"]["properties"]
    assert list(keys) == list(UserSettings.model_fields)
    assert [name for name, key in keys.items() if not key.get("description")] == []


@pytest.mark.parametrize(
    "text",
    [
        "run: {users: '${USERS}', run_time: 1m30s}",
        "users: {Crowd: {kind: agent, think_time: '${T}', weight: '${W}', correlate: '${C}'}}",
        "users: {Crowd: {think_time: [1, '${HIGH}'], generator: {template: {templates: [{type: ping}]}}}}",
        "users: {Crowd: {correlate: fifo, fan_out: news}, Chat: {correlate: {by_type: {a: [b, c]}}, fan_out: {event: e}}}",
        "users: {Crowd: {pacing: {open_loop: 5, poisson: '${P}'}, headers: {A: b}, subprotocols: [a, b]}}",
        "realistic: {profiles: {active: {share: 1}}}",
        "rate: 2000",
        "lifecycle: {bursty: {messages: 20}}\nmessages: {mixed: {event: 3, ping: 1}}",
        "",
        "# nothing",
        "run: {users: '50', seed: ' 3 ', run_time: '90', stop_timeout: ' 90s ', log_level: DEBUG}",
        "run: {users: 1_000, spawn_rate: '1e3', log_level: Info, profiles: {active: '0.3'}}",
        "users: {Crowd: {think_time: ['0.5', 2], compression: 'yes', verify_tls: 1, weight: 1e3}}",
        "users: {Crowd: {pacing: {open_loop: 3, closed_loop: null}, generator: {mixed: {metadata: true, weights: {ping: 1}}}}}",
        "shape: {ramp: null, burst: {base_users: 1, burst_users: '2'}}",
        "embedded: {faults: {jitter_ms: '5', seed: null}}",
        "exporter: {buckets_s: [1, '2']}",
        "rules: [{name: a, metric: target.own_per_second, critical: 1/s, where: null, hysteresis: '0.1', resolve_after: '2'}]",
        "rules: [{name: a, metric: rate, low_critical: 1/s, warning: null, record: 'true', where: {worker: 3, type: [WS]}}]",
        "rate: {per_s: null, stages: [{for_s: '1', rate: 0}]}",
        "report: {formats: [summary.json, '${F}']}",
        "run: {host: embedded}\nusers: {Crowd: {host: 'WSS://x', agent_host: '${H}'}}",
    ],
)
def test_an_editor_finds_nothing_wrong_with_what_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    for name, value in {
        "USERS": "5",
        "T": "1",
        "W": "2",
        "HIGH": "3",
        "P": "true",
        "C": "fifo",
        "F": "x",
        "H": "http://h",
    }.items():
        monkeypatch.setenv(name, value)
    assert complaints(yaml.safe_load(text)) == []
    (tmp_path / "s.yaml").write_text(text)
    rules_of(load_settings(tmp_path / "s.yaml"))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("users: {Crowd: {kind: agnt}}", "$.users.Crowd.kind"),
        ("users: {Crowd: {generatr: ping}}", "$.users.Crowd"),
        ("users: {Crowd: {generator: {mixed: {}, ping: {}}}}", "$.users.Crowd.generator"),
        ("users: {Crowd: {generator: pong}}", "$.users.Crowd.generator"),
        ("users: {Crowd: {weight: -1}}", "$.users.Crowd.weight"),
        ("users: {Crowd: {think_time: [1, 2, 3]}}", "$.users.Crowd.think_time"),
        ("users: {Crowd: {correlate: fifa}}", "$.users.Crowd.correlate"),
        ("run: {users: many}", "$.run.users"),
        ("lifecycle: {churm: {}}", "$.lifecycle"),
        ("run: {userss: 5}", "$.run"),
        ("run: {host: 'localhost:80'}", "$.run.host"),
        ("users: {Crowd: {host: 'ftp://x'}}", "$.users.Crowd.host"),
        ("users: {Crowd: {headers: {X: 1}}}", "$.users.Crowd.headers"),
        ("users: {Crowd: {think_time: 1, pacing: {open_loop: 1}}}", "$.users.Crowd"),
        ("users: {Crowd: {pacing: {open_loop: 1, closed_loop: 1}}}", "$.users.Crowd.pacing"),
        ("users: {Crowd: {correlate: {by_id: a, named: fifo}}}", "$.users.Crowd.correlate"),
        ("users: {Crowd: {generator: {event: {pingss: 1}}}}", "$.users.Crowd.generator"),
        ("lifecycle: {bursty: {message: 1}}", "$.lifecycle.bursty"),
        ("messages: {mixed: {evnt: 1}}", "$.messages.mixed"),
        ("shape: {}", "$.shape"),
        ("shape: {burst: {burst_users: 1}, steady: {users: 1}}", "$.shape"),
        ("rate: {per_s: 1, per_user: 1}", "$.rate"),
        ("report: {formats: [summary.jsn]}", "$.report.formats"),
        ("rules: [{name: a, metric: latency_p59, critical: 1}]", "$.rules"),
        ("rules: [{name: a, metric: latency_p95}]", "$.rules"),
        ("run: {users: 99999999999}", "$.run.users"),
    ],
)
def test_an_editor_marks_what_is_wrong(tmp_path: Path, text: str, place: str) -> None:
    assert [said.partition(":")[0] for said in complaints(yaml.safe_load(text))] == [place]


def test_what_an_editor_marks_is_refused_when_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("users: {Crowd: {kind: agnt}}")
    with pytest.raises(ConfigError, match="did you mean 'agent'"):
        load_settings(tmp_path / "s.yaml")
