"""``locust-ext settings`` and ``locust-ext schema``: what a settings file comes to, and what may stand in one.

``settings`` loads Locust where it has user classes to check; ``schema`` never does.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from locust_ext.errors import ConfigError

if TYPE_CHECKING:
    from locust_ext.settings import Settings
    from locust_ext.settings.shapes import ShapeSettings

HIDDEN: Final = "***"
CODE: Final = "custom"
"""The pattern and the generator that no file can name."""
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/?#\s]*@")
"""Name and password before the host of an address."""


def settings(arguments: Sequence[str]) -> int:
    """The command with the arguments after its name; gives its exit code. Raises `ConfigError` for a wrong file."""
    from locust_ext.settings import load_settings
    from locust_ext.settings_check import tell_unchecked

    parser = argparse.ArgumentParser(
        prog="locust-ext settings",
        description="Check a settings file (--ext-config) and print what it comes to: every key with its value, as YAML. "
        "What came from an environment variable, and tokens, headers and proxies, are shown as ***.",
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", help="the YAML file")
    file = parser.parse_args(arguments).file
    read = load_settings(file)
    check(read, file)
    tell_unchecked(read)
    return _print(shown(read))


def check(settings: Settings, source: str = "") -> None:
    """Look at what only a run looks at otherwise: its rules, what goes together in its shape, profiles, the report's place
    and baseline, and the user classes, where the file says of which kind they are; for others their locustfile would be
    needed. Raises `ConfigError`.
    """
    from locust_ext.core.alerts.rules_file import rules_of
    from locust_ext.settings_check import check_names_and_places, check_users

    rules_of(settings)
    check_names_and_places(settings)
    if settings.shape is not None:
        _check_shape(settings.shape, source, shows_value=not settings.is_secret("shape"))
    check_users(settings)


def _check_shape(shape: ShapeSettings, source: str, *, shows_value: bool) -> None:
    """Make its schedule, as a run does."""
    from locust_ext.core.schedules import SCHEDULES, Stress

    try:
        if shape.stress is not None:
            Stress(**shape.stress.model_dump())
        else:
            SCHEDULES[shape.name](**shape.parameters).plan()
    except ConfigError as error:
        key = "shape" if shape.stages is not None else f"shape.{shape.name}"
        raise error.under(key, source, shows_value=shows_value) from None


def schema(arguments: Sequence[str]) -> int:
    """The command with the arguments after its name; gives its exit code. Raises `ConfigError` if it cannot write."""
    parser = argparse.ArgumentParser(
        prog="locust-ext schema",
        description="Print the JSON Schema of settings files (--ext-config), or write it to FILE. Editors with a YAML "
        "language server read it where a file begins with:  # yaml-language-server: $schema=FILE",
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", nargs="?", help="where to write it; default: the standard output")
    file = parser.parse_args(arguments).file
    if file is None:
        return _print(schema_text())
    try:
        Path(file).write_text(schema_text(), encoding="utf-8")
    except OSError as error:
        problem = os.strerror(error.errno or 0).lower()
        raise ConfigError(f"expected a file that can be written: {problem}", source=file) from error
    return 0


def schema_text() -> str:
    """The JSON Schema as a file has it."""
    from locust_ext.core.alerts.metrics import METRICS
    from locust_ext.core.lifecycle import PATTERNS
    from locust_ext.core.messages import GENERATORS
    from locust_ext.core.messages.named import parameters_of
    from locust_ext.outputs import REPORTS
    from locust_ext.settings import json_schema

    names: dict[str, dict[str, Sequence[str]]] = {
        "patterns": {name: [field.name for field in fields(PATTERNS[name])] for name in PATTERNS if name != CODE},
        "generators": {name: parameters_of(name) for name in GENERATORS if name != CODE},
        "reports": dict.fromkeys(REPORTS, ()),
        "metrics": dict.fromkeys(METRICS, ()),
    }
    return json.dumps(json_schema(names), indent=2, ensure_ascii=False) + "\n"


def shown(settings: Settings) -> str:
    """All settings as YAML, without their secrets; of user classes only what is given, and the one shape."""
    import yaml

    told = settings.model_dump(mode="json", exclude={"users"})
    told["users"] = settings.model_dump(mode="json", include={"users"}, exclude_none=True)["users"]
    if told["shape"] is not None:
        told["shape"] = {name: shape for name, shape in told["shape"].items() if shape is not None}
    told = {name: told[name] for name in type(settings).model_fields}
    text: str = yaml.safe_dump(_hidden(told, "", settings), sort_keys=False, allow_unicode=True, width=120)
    return text


def _hidden(value: Any, key: str, settings: Settings) -> Any:
    """``value`` with stars in the place of secrets: all below a secret key, and credentials in addresses."""
    if isinstance(value, dict):
        return {name: _hidden(each, f"{key}.{name}".lstrip("."), settings) for name, each in value.items()}
    if isinstance(value, list):
        return [_hidden(each, f"{key}.{index}", settings) for index, each in enumerate(value)]
    if value is None or value == "":
        return value
    if settings.is_secret(key):
        return HIDDEN
    return _CREDENTIALS.sub(f"{HIDDEN}@", value) if isinstance(value, str) else value


def _print(text: str) -> int:
    """As UTF-8 whatever the terminal says of itself; a reader that has gone (``| head``) is no error."""
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8"))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
