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
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from locust_ext.errors import ConfigError

if TYPE_CHECKING:
    from locust_ext.settings import Settings

HIDDEN: Final = "***"
CODE: Final = "custom"
"""The pattern and the generator that no file can name."""
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/?#\s]*@")
"""Name and password before the host of an address."""


def settings(arguments: Sequence[str]) -> int:
    """The command with the arguments after its name; gives its exit code. Raises `ConfigError` for a wrong file."""
    from locust_ext.settings import load_settings

    parser = argparse.ArgumentParser(
        prog="locust-ext settings",
        description="Check a settings file (--ext-config) and print what it comes to: every key with its value, as YAML. "
        "What came from an environment variable, and tokens, headers and proxies, are shown as ***.",
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", help="the YAML file")
    read = load_settings(parser.parse_args(arguments).file)
    check(read)
    return _print(shown(read))


def check(settings: Settings) -> None:
    """Look at what only a run looks at otherwise: its rules, and the user classes, where the file says of which kind they
    are; for others their locustfile would be needed. Raises `ConfigError`.
    """
    from locust_ext.core.alerts.rules_file import rules_of

    rules_of(settings)
    if settings.users and all(user.kind is not None for user in settings.users.values()):
        from locust_ext.plugin.scenario import classes_of
        from locust_ext.plugin.users.rules import UserRules

        classes = list(classes_of(settings).values())
        put = UserRules()
        put.apply(settings, (), (), classes)
        put.select(settings, classes, ())


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
    from locust_ext.core.lifecycle import PATTERNS
    from locust_ext.core.messages import GENERATORS
    from locust_ext.settings import json_schema

    tables = {"patterns": PATTERNS, "generators": GENERATORS}
    names = {table: [name for name in known if name != CODE] for table, known in tables.items()}
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
