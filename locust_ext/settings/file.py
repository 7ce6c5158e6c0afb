"""YAML files as documents: each key once, and ``${NAME}`` filled in from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from locust_ext.errors import ConfigError


def read_yaml(path: str | Path) -> Any:
    """The document of a YAML file (None if empty). ``ConfigError`` if unreadable, malformed, or with a key twice."""
    source = str(path)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the file cannot be read: {error.strerror}", source=source) from error
    except UnicodeDecodeError as error:
        raise ConfigError("expected a file in UTF-8", source=source) from error
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise ConfigError(f"not valid YAML{where}: {problem}", source=source) from error


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping, where YAML itself would let the last one win in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} stands here a second time", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


_VARIABLE: Final = re.compile(r"\$\{([^}]*)\}")


def substituted(value: Any, key: str, source: str, environ: Mapping[str, str], from_environ: set[str]) -> Any:
    """``value`` with its variables filled in; the key paths of what changed are added to ``from_environ``."""
    if isinstance(value, dict):
        return {
            name: substituted(item, f"{key}.{name}".lstrip("."), source, environ, from_environ)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [substituted(item, f"{key}.{index}", source, environ, from_environ) for index, item in enumerate(value)]
    if not isinstance(value, str) or "${" not in value:
        return value

    def filled(match: re.Match[str]) -> str:
        name = match[1]
        if name not in environ:
            raise ConfigError(f"the environment variable {name!r} is not set", source=source, key=key)
        return environ[name]

    from_environ.add(key)
    return _VARIABLE.sub(filled, value)
