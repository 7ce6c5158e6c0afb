"""The JSON Schema of a settings file, for editors: every key with its meaning, and ``${NAME}`` wherever a value may stand."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, get_args

from pydantic import BaseModel

from locust_ext.settings.types import NAMES
from locust_ext.settings.whole import Settings

_IN_TEXT: Final = r"\$\{[^}]*\}"
_VARIABLE: Final = {"type": "string", "pattern": _IN_TEXT}
_NUMBER: Final = {
    "type": "string",
    "pattern": rf"{_IN_TEXT}|^\s*[-+]?([0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*$",
}
_TRUTH_WORDS: Final = "|".join(
    each for word in ("true", "false", "yes", "no", "on", "off", "y", "n", "t", "f") for each in (word, word.upper())
)
_TRUTH: Final[list[dict[str, Any]]] = [
    {"enum": [0, 1]},
    {"type": "string", "pattern": rf"{_IN_TEXT}|^({_TRUTH_WORDS}|True|False|[01])$"},
]
_TEXTS: Final = (_VARIABLE, _NUMBER, *_TRUTH)
"""What may stand instead of a value; last among its alternatives, for people read the first."""
_ABOUT: Final = ("title", "description", "default", "examples", "deprecated")

_LIMITS: Final[dict[str, str]] = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}
"""What pydantic leaves in its own words where a check stands before the limit."""

Names = Mapping[str, Mapping[str, Sequence[str]]]
"""Table -> name -> its parameters, for ``patterns`` and ``generators``; of ``reports`` and ``metrics`` only the names count."""


def json_schema(names: Names | None = None) -> dict[str, Any]:
    """The schema, as JSON Schema 2020-12, with these names and parameters; of a table that is not given any will do."""
    made: dict[str, Any] = _opened(_named(_described(Settings.model_json_schema()), names or {}))
    made["type"] = ["object", "null"]  # a file of comments alone
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "Settings of locust_ext"}


# ── what is said of each key ───────────────────────────────────────────────────────────────────────────────────────────


def _described(schema: dict[str, Any]) -> dict[str, Any]:
    """The same, with what the sources say of each key below it. Nobody but an editor needs that: it costs nothing else."""
    for model in _models(Settings, set()):
        node = schema if model is Settings else schema["$defs"].get(model.__name__)
        for key, text in _docstrings(model) if node is not None else ():
            node["properties"][key]["description"] = text
    return schema


def _models(model: type[BaseModel], seen: set[type[BaseModel]]) -> set[type[BaseModel]]:
    """This model, and those of its keys."""
    if model not in seen:
        seen.add(model)
        for field in model.model_fields.values():
            for each in _types(field.annotation):
                _models(each, seen)
    return seen


def _types(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from _types(each)


def _docstrings(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """The text below each attribute."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(body, ast.ClassDef)
    for field, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(after, ast.Expr):
            text = after.value.value if isinstance(after.value, ast.Constant) else None
            if isinstance(text, str) and field.target.id in model.model_fields:
                yield field.target.id, inspect.cleandoc(text)


# ── what may stand there ───────────────────────────────────────────────────────────────────────────────────────────────


def _named(node: Any, names: Names) -> Any:
    """The same, with the names of each table where the models only say which table it is."""
    if isinstance(node, list):
        return [_named(each, names) for each in node]
    if not isinstance(node, dict):
        return node
    if not isinstance(table := node.get(NAMES), str):
        return {key: _named(each, names) for key, each in node.items()}
    about = {key: each for key, each in node.items() if key in _ABOUT}
    known = names.get(table)
    name: dict[str, Any] = {"type": "string"} if known is None else {"enum": list(known)}
    if node["form"] == "name":
        others = [{"type": "string", "pattern": r"^target\."}] if table == "metrics" and known is not None else []
        return {**about, "anyOf": [name, *others]} if others else {**about, **name}
    parameters: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "object"}}
    if known is not None:
        properties = {name: _with_parameters(below) for name, below in known.items()}
        parameters = {"type": "object", "properties": properties, "additionalProperties": False}
    if node["form"] == "by name":
        return {**about, **parameters}
    one = {**parameters, "minProperties": 1, "maxProperties": 1}
    return {**about, "anyOf": [name, one, {"type": "null"}]}


def _with_parameters(known: Sequence[str]) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {} for name in known}, "additionalProperties": False}


def _opened(node: Any) -> Any:
    """The same, where a variable may stand instead of any number, truth value or name out of a list, and a number as text."""
    if isinstance(node, list):
        return [_opened(each) for each in node]
    if not isinstance(node, dict):
        return node
    made: dict[str, Any] = {_LIMITS.get(key) or key: _kept(key, value) for key, value in node.items()}
    if "anyOf" in made:
        return {**made, "anyOf": _flat(made["anyOf"])}
    if not (instead := _instead_of(made)):
        return made
    about = {key: made.pop(key) for key in _ABOUT if key in made}
    return {**about, "anyOf": [made, *instead]}


def _kept(key: str, value: Any) -> Any:
    if key in ("default", "examples", "enum", "const", "required", "oneOf", "not"):
        return value
    if key in ("properties", "$defs", "patternProperties"):  # the names below are not the schema's own words
        made = {name: _opened(each) for name, each in value.items()}
        for each in made.values() if key == "properties" else ():
            if isinstance(each, dict):
                each.pop("title", None)  # pydantic's own, which is the key once more
        return made
    return _opened(value)


def _instead_of(node: dict[str, Any]) -> list[dict[str, Any]]:
    """What may stand instead of the value: a text with a variable in it, where that would not fit, or the value as text."""
    kind = node.get("type")
    if kind in ("number", "integer"):
        return [_NUMBER]
    if kind == "boolean":
        return _TRUTH
    return [_VARIABLE] if "enum" in node or "const" in node or (kind == "string" and "pattern" in node) else []


def _flat(alternatives: list[Any]) -> list[Any]:
    flat: list[Any] = []
    for each in alternatives:
        inner = each["anyOf"] if isinstance(each, dict) and set(each) == {"anyOf"} else [each]
        flat += [one for one in inner if one not in flat]
    return [*(each for each in flat if each not in _TEXTS), *(each for each in flat if each in _TEXTS)]
