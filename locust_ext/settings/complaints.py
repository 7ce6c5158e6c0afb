"""What pydantic finds wrong with a settings file, in our words: key path, value, what was expected, nearest name."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from locust_ext.errors import ConfigError
from locust_ext.masking import shown
from locust_ext.settings.whole import Settings

_EXPECTED: Final = {
    "missing": "this key is required",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "finite_number": "expected a finite number",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_parsing_size": "expected a whole number of fewer digits",
    "int_from_float": "expected a whole number",
    "string_type": "expected a text",
    "string_too_short": "expected a text that is not empty",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "list_type": "expected a list",
    "dict_type": "expected a mapping of keys",
    "model_type": "expected a mapping of keys",
    "model_attributes_type": "expected a mapping of keys",
    "too_short": "expected at least one",
    "invalid_key": "expected a text as the key",
}


def place_of(error: ErrorDetails) -> list[int | str]:
    """The path of what is wrong: keys, and the indexes of lists."""
    return [part for part in error["loc"] if part != "[key]"]


def place_in(document: Any, error: ErrorDetails) -> list[int | str]:
    """The same as the file has it: without what short forms leave out, the list around a single mapping, for one."""
    place: list[int | str] = []
    location = place_of(error)
    for index, part in enumerate(location):
        if isinstance(document, Mapping):
            if part not in document and isinstance(part, int):
                continue
            if part not in document:
                return place + location[index:]
        elif not isinstance(document, list | tuple) or not isinstance(part, int) or part >= len(document):
            break
        place.append(part)
        document = document[part]
    return place


def complaint(
    error: ErrorDetails, source: str, *, is_secret: bool, whole: type[BaseModel] = Settings, document: Any = None
) -> ConfigError:
    """The error that says it, about the file ``source``, which holds ``whole`` and says ``document``; the value of a secret
    is not shown.
    """
    kind, context = error["type"], error.get("ctx", {})
    location = place_of(error)
    key = ".".join(str(part) for part in (location if document is None else place_in(document, error)))
    value = error["input"]
    nearest = None
    if kind == "extra_forbidden":
        valid = _keys_at(location[:-1], whole)
        expected, nearest, value = f"unknown key, expected one of {', '.join(valid)}", near(location[-1], valid), None
    elif kind == "unknown_name":
        valid = context["valid"]
        name = context["name"]
        key = f"{key}.{name}"
        expected, nearest, value = f"unknown name, expected one of {', '.join(valid)}", near(name, valid), None
    elif kind == "literal_error":
        valid = re.findall(r"'([^']*)'", context["expected"])
        expected, nearest = f"expected one of {', '.join(valid)}", None if is_secret else near(value, valid)
    elif kind == "expected":
        expected = context["expected"]
        value = None if isinstance(value, dict) else value
    elif kind in ("greater_than", "greater_than_equal", "less_than_equal") and not _is_finite(value):
        expected = "expected a finite number"
    elif kind in ("greater_than", "greater_than_equal", "less_than_equal"):
        words = {"greater_than": ("above", "gt"), "greater_than_equal": ("of at least", "ge")}
        word, limit = words.get(kind, ("of at most", "le"))
        expected = f"expected a number {word} {_limit_text(context[limit])}"
    elif kind == "string_too_long":
        expected = f"expected a text of at most {context['max_length']} characters"
    else:
        expected = _EXPECTED.get(kind) or error["msg"]
        value = None if kind == "missing" or isinstance(value, dict) else value
    is_secret = is_secret or "@" in _start_of(value)  # a password may stand before it
    return ConfigError(expected, source=source, key=key, value=value, nearest=nearest, shows_value=not is_secret)


def most_telling(errors: Sequence[ErrorDetails]) -> ErrorDetails:
    """The one to tell: the first, but of a key that is missing and one that is unknown the latter, which may be meant."""
    first = errors[0]
    if first["type"] != "missing":
        return first
    mistyped = (each for each in errors if each["type"] == "extra_forbidden" and each["loc"][:-1] == first["loc"][:-1])
    return next(mistyped, first)


def _limit_text(limit: float) -> str:
    return f"{limit:,.0f}" if abs(limit) >= 1e4 else f"{limit:g}"


def _is_finite(value: object) -> bool:
    try:
        return isfinite(float(value))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return True


def _start_of(value: object) -> str:
    """As much of it as an error can show."""
    return value if isinstance(value, str) else shown(value)


def _keys_at(location: Sequence[int | str], whole: type[BaseModel]) -> list[str]:
    """The valid keys of the mapping at a path of the file."""
    annotation: Any = whole
    for part in location:
        annotation = _below(annotation, part)
    models = [each for each in _alternatives(annotation) if isinstance(each, type) and issubclass(each, BaseModel)]
    return [name for model in models for name in model.model_fields]


def _below(annotation: Any, part: int | str) -> Any:
    """The type of what stands under a key, or in a list."""
    for each in _alternatives(annotation):
        if isinstance(each, type) and issubclass(each, BaseModel):
            if part in each.model_fields:
                return each.model_fields[str(part)].annotation
        elif get_origin(each) is dict:
            return get_args(each)[1]
        elif get_origin(each) in (list, tuple):
            return get_args(each)[0]
    return None


def _alternatives(annotation: Any) -> list[Any]:
    """What the type may be, without the checks that are annotated to it."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _alternatives(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [deeper for each in get_args(annotation) for deeper in _alternatives(each)]
    return [annotation]


def near(name: object, valid: Iterable[str]) -> str | None:
    """The valid name that is most like this one; None: none is."""
    return next(iter(difflib.get_close_matches(str(name), list(valid), n=1)), None)
