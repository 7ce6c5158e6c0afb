"""docs/scenarios.md: what it shows as YAML, Python, a flag or a key is there, and every scenario has its place in it."""

from __future__ import annotations

import locust  # noqa: F401 – monkey-patches, before anything below imports a socket
from locust.argument_parser import get_parser

import re
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from locust_ext.core.alerts.rules_file import load_rule_file
from locust_ext.plugin.options import add_arguments
from locust_ext.settings import Settings, load_settings

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "scenarios.md").read_text()
YAML = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.M | re.S)
PYTHON = re.findall(r"^```python\n(.*?)^```", TEXT, re.M | re.S)
SHELL = re.findall(r"^```sh\n(.*?)^```", TEXT, re.M | re.S)
CLASSIC = re.findall(r"^\| ([a-z][^|]+) \|([^|]*)\| (`[^|]+`) \|$", TEXT, re.M)
"""Parameter, flags, keys."""


def has(path: str) -> bool:
    """Whether a settings file may have the key, whatever its value; CLASS stands for the name of one."""
    document: object = None
    for part in reversed(path.split(".")):
        document = {part: document}
    try:
        Settings.model_validate(document)
    except ValidationError as error:
        return all(each["type"] != "extra_forbidden" for each in error.errors())
    return True


def test_a_key_that_is_none_is_found_out() -> None:
    assert [has("run.users"), has("run.user"), has("users.CLASS.kinds"), has("shape.stress.p90_ms")] == [
        *(True, False),
        *(False, False),
    ]


def test_every_scenario_has_a_place() -> None:
    names = {path.stem for path in (ROOT / "locustfiles").glob("*.py")} - {"scenario"}
    told = set(re.findall(r"^### (\w+)$", TEXT, re.M)) | set(re.findall(r"^\| `(\w+)` \|", TEXT, re.M))
    assert told == names


@pytest.mark.parametrize("text", YAML)
def test_what_stands_there_as_yaml_is_a_settings_file(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rules too."""
    monkeypatch.setenv("FEED_TOKEN", "secret")
    (file := tmp_path / "settings.yaml").write_text(text)
    settings = load_settings(file)
    if settings.rules is not None:
        (rules := tmp_path / "rules.yaml").write_text(yaml.safe_dump({"rules": settings.rules}))
        assert len(load_rule_file(rules).rules) == len(settings.rules)
    if "FEED_TOKEN" in text:
        assert settings.users["Trader"].token == "secret"


@pytest.mark.parametrize("text", PYTHON)
def test_what_stands_there_as_python_is_python(text: str) -> None:
    compile(text, "docs/scenarios.md", "exec")


def test_every_file_of_a_command_is_there() -> None:
    commands = [line for block in SHELL for line in block.splitlines()]
    files = re.findall(r"(?:locustfiles|config)/[\w/]+\.\w+", "\n".join(commands))
    assert len(files) > 5
    assert [file for file in files if not (ROOT / file).is_file()] == []


@pytest.mark.parametrize(("parameter", "flags", "keys"), CLASSIC, ids=[each[0] for each in CLASSIC])
def test_a_classic_parameter_has_the_flag_and_the_keys_that_are_told(parameter: str, flags: str, keys: str) -> None:
    parser = get_parser()
    add_arguments(parser)
    known = {option for action in parser._actions for option in action.option_strings}
    assert set(re.findall(r"`(--[\w-]+)`", flags)) <= known
    paths = re.findall(r"`([\w.]+)`", keys)
    assert paths
    assert [path for path in paths if not has(path)] == []


def test_all_classic_parameters_are_told() -> None:
    told = " ".join(parameter for parameter, _, _ in CLASSIC)
    wanted = (
        *("clients", "duration", "message interval", "message type", "concurrency of connects", "burst size"),
        *("burst duration", "idle", "initial clients", "ramp steps", "step duration", "max clients", "target latency"),
        *("error threshold", "increment", "user profiles", "requests per client", "request timeout", "connect timeout"),
        "debug logging",
    )
    assert [each for each in wanted if each not in told] == []
