"""Settings from several places, one over the other: the code of a locustfile, and over it a YAML file.

Mappings are merged key by key, everything else is replaced; so are mappings of which only one key makes sense at a time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from locust_ext.errors import ConfigError
from locust_ext.settings.complaints import complaint, most_telling, place_in, place_of
from locust_ext.settings.file import read_yaml, substituted
from locust_ext.settings.realistic import over_defaults
from locust_ext.settings.users import is_always_secret
from locust_ext.settings.whole import Origin, Settings, reaches

_WHOLE: Final = (
    *("rate", "rules", "run.profiles", "messages.*", "realistic.profiles.*.mix", "shape.realistic.profiles"),
    "embedded.faults",
    *("users.*.pattern", "users.*.generator", "users.*.pacing", "users.*.correlate", "users.*.fan_out"),
)
"""Paths of mappings that are a choice, or one value: they are never mixed out of two places."""


@dataclass(frozen=True, slots=True)
class Layer:
    """What one place says, with its variables filled in, and not looked at any further."""

    origin: Origin
    document: Mapping[Any, Any]

    def over(self, lower: Layer) -> Layer:
        """Both as one, which is from where this one is."""
        document = _merged(lower.document, self.document, "")
        secrets = lower.origin.secrets | self.origin.secrets
        return _layer(document, self.origin.source, self.origin.is_file, secrets)


def read_layer(path: str | Path, environ: Mapping[str, str] | None = None) -> Layer:
    """What a YAML file says. ``ConfigError`` if it cannot be read, and for variables that are not set."""
    return layer(read_yaml(path), str(path), is_file=True, environ=environ)


def layer(document: Any, source: str, *, is_file: bool, environ: Mapping[str, str] | None = None) -> Layer:
    """What was read from a file, or given in code; None: nothing. ``ConfigError`` for variables that are not set."""
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise ConfigError("expected a mapping of keys", source=source, value=document)
    secrets: set[str] = set()
    try:
        document = substituted(document, "", source, os.environ if environ is None else environ, secrets)
    except RecursionError:  # given in code; a file that never ends is refused when it is read
        raise ConfigError("expected a mapping that does not hold itself", source=source) from None
    return _layer(document, source, is_file, frozenset(secrets))


def _layer(document: Mapping[Any, Any], source: str, is_file: bool, secrets: frozenset[str]) -> Layer:
    return Layer(Origin(source, is_file, frozenset(_paths(document, "")), secrets), document)


def _paths(value: Any, key: str) -> Iterator[str]:
    """Of all values; an empty mapping is a path with a point at its end, for it says nothing of the keys below."""
    if not isinstance(value, Mapping):
        yield key
    elif key and not value:
        yield f"{key}."
    for name, item in value.items() if isinstance(value, Mapping) else ():
        yield from _paths(item, f"{key}.{name}".lstrip("."))


def _merged(lower: Any, upper: Any, key: str) -> Any:
    if not isinstance(lower, Mapping) or not isinstance(upper, Mapping):
        return upper
    if any(fnmatchcase(key, whole) for whole in _WHOLE) or (key == "shape" and lower.keys() != upper.keys()):
        return upper
    merged = dict(lower)
    for name, value in upper.items():
        merged[name] = _merged(lower[name], value, f"{key}.{name}".lstrip(".")) if name in lower else value
    return merged


def settings_of(*layers: Layer) -> Settings:
    """The settings of these layers, the lowest first. ``ConfigError`` names the place whose value is wrong."""
    document: Any = {}
    for each in layers:
        document = _merged(document, each.document, "")
    try:
        made = Settings.model_validate(over_defaults(document))
    except ValidationError as error:
        first = most_telling(error.errors(include_url=False))
        place = _layer_of(place_of(first), layers)
        is_secret = _is_secret(first, *layers)
        raise complaint(first, place.origin.source, is_secret=is_secret, document=place.document) from None
    return made.said_by(*(each.origin for each in layers))


def check_names(given: Layer) -> None:
    """Raise ``ConfigError`` for what no other layer can mend: everything wrong but a key that is still missing."""
    try:
        Settings.model_validate(over_defaults(dict(given.document)))
    except ValidationError as error:
        for each in error.errors(include_url=False):
            if each["type"] != "missing":
                is_secret = _is_secret(each, given)
                raise complaint(each, given.origin.source, is_secret=is_secret, document=given.document) from None


def _is_secret(error: ErrorDetails, *layers: Layer) -> bool:
    keys = {".".join(map(str, place_in(each.document, error))) for each in layers}
    return any(is_always_secret(key) or any(reaches(key, each.origin.secrets) for each in layers) for key in keys)


def _layer_of(location: list[int | str], layers: Sequence[Layer]) -> Layer:
    """The last that says anything at this place, or nearest above it."""
    return max(reversed(layers), key=lambda each: _depth(location, each.document))


def _depth(location: list[int | str], document: Any) -> int:
    depth = 0
    for part in location:
        try:
            document = document[part]
        except (KeyError, IndexError, TypeError):
            break
        depth += 1
    return depth


def load_settings(path: str | Path, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of a YAML file, over the defaults. ``environ`` is ``os.environ`` unless given.

    ``ConfigError`` names the file, the key's path, the value, what was expected and the nearest valid name; for broken
    YAML the line and column.
    """
    return settings_of(read_layer(path, environ))
