"""The JSON Schema of a settings file, for editors: every key with its meaning, and ``${NAME}`` wherever a value may stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from locust_ext.settings.users import NAMES
from locust_ext.settings.whole import Settings

_VARIABLE: Final = {"type": "string", "pattern": r"\$\{[^}]*\}"}
_ABOUT: Final = ("title", "description", "default", "examples", "deprecated")

_LIMITS: Final[dict[str, str]] = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}
"""What pydantic leaves in its own words where a check stands before the limit."""


def json_schema(names: Mapping[str, Sequence[str]] | None = None) -> dict[str, Any]:
    """The schema, as JSON Schema 2020-12, with these names of ``patterns`` and ``generators``; without them any will do."""
    made: dict[str, Any] = _opened(_named(Settings.model_json_schema(), names or {}))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "Settings of locust_ext"}


def _named(node: Any, names: Mapping[str, Sequence[str]]) -> Any:
    """The same, with the names of each table where the models only say which table it is."""
    if isinstance(node, list):
        return [_named(each, names) for each in node]
    if not isinstance(node, dict):
        return node
    if not isinstance(table := node.get(NAMES), str):
        return {key: _named(each, names) for key, each in node.items()}
    about = {key: each for key, each in node.items() if key in _ABOUT}
    known = names.get(table)
    parameters: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "object"}}
    if known is not None:
        properties = {name: {"type": "object"} for name in known}
        parameters = {"type": "object", "properties": properties, "additionalProperties": False}
    if node["form"] == "by name":
        return {**about, **parameters}
    one = {**parameters, "minProperties": 1, "maxProperties": 1}
    name = {"type": "string"} if known is None else {"enum": list(known)}
    return {**about, "anyOf": [name, one, {"type": "null"}]}


def _opened(node: Any) -> Any:
    """The same, where a variable may stand instead of any number, truth value or name out of a list."""
    if isinstance(node, list):
        return [_opened(each) for each in node]
    if not isinstance(node, dict):
        return node
    made: dict[str, Any] = {_LIMITS.get(key) or key: _kept(key, value) for key, value in node.items()}
    if "anyOf" in made:
        return {**made, "anyOf": _flat(made["anyOf"])}
    if not _is_narrow(made):
        return made
    about = {key: made.pop(key) for key in _ABOUT if key in made}
    return {**about, "anyOf": [made, _VARIABLE]}


def _kept(key: str, value: Any) -> Any:
    if key in ("default", "examples", "enum", "const", "required"):
        return value
    if key in ("properties", "$defs", "patternProperties"):  # the names below are not the schema's own words
        made = {name: _opened(each) for name, each in value.items()}
        for each in made.values() if key == "properties" else ():
            if isinstance(each, dict):
                each.pop("title", None)  # pydantic's own, which is the key once more
        return made
    return _opened(value)


def _is_narrow(node: dict[str, Any]) -> bool:
    """Whether it is a value that a text with a variable in it would not fit."""
    kind = node.get("type")
    return kind in ("number", "integer", "boolean") or "enum" in node or (kind == "string" and "pattern" in node)


def _flat(alternatives: list[Any]) -> list[Any]:
    flat: list[Any] = []
    for each in alternatives:
        inner = each["anyOf"] if isinstance(each, dict) and set(each) == {"anyOf"} else [each]
        flat += [one for one in inner if one not in flat]
    return [*(each for each in flat if each != _VARIABLE), *(each for each in flat if each == _VARIABLE)]
