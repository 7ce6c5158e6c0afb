"""YAML files as documents: each key once, nothing endless, and ``${NAME}`` filled in from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from locust_ext.errors import ConfigError
from locust_ext.masking import hide

MOST_VALUES: Final = 100_000
"""Keys and values of a document, with its aliases written out."""
MOST_LEVELS: Final = 100
LARGEST: Final = 2**63 - 1
"""The whole numbers that every part of a run can keep, and send to its workers."""


def read_yaml(path: str | Path) -> Any:
    """The document of a YAML file (None if empty). ``ConfigError`` if unreadable, malformed, with a key twice, or endless."""
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


_UNREADABLE: Final = (ValueError, OverflowError, AttributeError, TypeError, LookupError)
"""What PyYAML lets through from a value that is none: 5,000 digits, the 30th of February, ``!!bool x``."""


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping, where YAML itself would let the last one win in silence; and what
    never ends, or takes more memory than a file of settings has reason to.
    """

    _level = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._level += 1
        if self._level > MOST_LEVELS:
            raise _wrong(f"expected at most {MOST_LEVELS} levels, one inside the other", self.get_mark())
        node = super().compose_node(parent, index)
        self._level -= 1
        return node

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None:
            _Written().out(node)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except _UNREADABLE:
            kind = node.tag.rpartition(":")[2]
            raise _wrong(f"expected another value: this one cannot be read as {kind}", node.start_mark) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise _wrong(f"the key {key.value!r} stands here a second time", key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


class _Written:
    """A document with its aliases written out: how much that would be. The nodes that are read are each looked at once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int]] = {}
        self._open: set[int] = set()

    def out(self, node: yaml.Node) -> tuple[int, int]:
        """Values and levels. Raises `yaml.YAMLError` for too many, and for what holds itself."""
        if id(node) in self._open:
            raise _wrong("expected no value that holds itself", node.start_mark)
        if id(node) not in self._known:
            self._open.add(id(node))
            pairs = isinstance(node, yaml.MappingNode)
            below = [each for pair in node.value for each in pair] if pairs else node.value
            inner = [self.out(each) for each in below] if isinstance(node, yaml.CollectionNode) else []
            values = 1 + sum(each for each, _ in inner)
            levels = 1 + max((each for _, each in inner), default=0)
            if values > MOST_VALUES:
                raise _wrong(f"expected at most {MOST_VALUES:,} values, aliases written out", node.start_mark)
            if levels > MOST_LEVELS:
                raise _wrong(f"expected at most {MOST_LEVELS} levels, aliases written out", node.start_mark)
            self._known[id(node)] = (values, levels)
            self._open.discard(id(node))
        return self._known[id(node)]


def _wrong(problem: str, mark: yaml.Mark) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, mark)


_VARIABLE: Final = re.compile(r"\$?\$\{([^}]*)\}")


def substituted(value: Any, key: str, source: str, environ: Mapping[str, str], from_environ: set[str]) -> Any:
    """``value`` with its variables filled in; the key paths of what changed are added to ``from_environ``.

    ``${NAME:-default}`` is ``default`` where the variable is not set, or empty; ``$${NAME}`` is the text ``${NAME}``. What
    is filled in is never shown in an error (`masking.hide`). ``ConfigError`` for a variable that is not set, and for whole
    numbers beyond 64 bits.
    """
    if isinstance(value, dict):
        return {
            name: substituted(item, f"{key}.{name}".lstrip("."), source, environ, from_environ)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [substituted(item, f"{key}.{index}", source, environ, from_environ) for index, item in enumerate(value)]
    if type(value) is int and abs(value) > LARGEST:
        raise ConfigError(f"expected a number of at most {LARGEST:,}", source=source, key=key, value=value)
    if not isinstance(value, str) or "${" not in value:
        return value

    def filled(match: re.Match[str]) -> str:
        if match[0].startswith("$$"):
            return match[0][1:]
        name, has_default, default = match[1].partition(":-")
        found = environ.get(name)
        if found is None and not has_default:
            raise ConfigError(f"the environment variable {name!r} is not set", source=source, key=key)
        if found is None or (has_default and not found):
            return default
        hide(found)
        from_environ.add(key)
        return found

    return _VARIABLE.sub(filled, value)
