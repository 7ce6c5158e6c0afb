"""Patterns and generators by their names: what a settings file and the flags can name, and what is made of it."""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from locust_ext.core.lifecycle import PATTERNS, pattern
from locust_ext.core.messages import GENERATORS
from locust_ext.core.messages.named import named
from locust_ext.errors import ConfigError
from locust_ext.settings import Settings
from locust_ext.settings.file import LARGEST

_TABLES: Mapping[str, Mapping[str, Any]] = {"pattern": PATTERNS, "generator": GENERATORS}


def names_of(attribute: str) -> tuple[str, ...]:
    """The patterns or generators that a file or a flag can name: all but ``custom``, which is code."""
    return tuple(name for name in _TABLES[attribute] if name != "custom")


def check_name(attribute: str, name: str, source: str, key: str, *, shows_value: bool = True) -> None:
    """Raises `ConfigError` for a name that no pattern, or no generator, has."""
    valid = names_of(attribute)
    if name not in valid:
        raise ConfigError(
            f"unknown name, expected one of {', '.join(valid)}",
            source=source,
            key=key,
            value=name,
            nearest=nearest(name, valid) if shows_value else None,
            shows_value=shows_value,
        )


def asked(texts: Iterable[str], flag: str, attribute: str) -> Iterable[tuple[str | None, str]]:
    """The class (None: all) and the name of each text ``[CLASS=]NAME``. Raises `ConfigError`."""
    for text in texts:
        class_name, equals, name = text.rpartition("=")
        check_name(attribute, name, flag, "")
        yield (class_name if equals else None), name


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """The valid name that is most like ``name``; None: none is."""
    near = difflib.get_close_matches(name, list(valid), n=1)
    return near[0] if near else None


def made(attribute: str, chosen: Any, settings: Settings, source: str, key: str, folder: Path) -> Any:
    """The pattern or generator: from its own parameters, or from those that stand under its name.

    Paths are relative to ``folder``, or to that of the file with the parameters. Raises `ConfigError`, which names
    ``source``, or that file, and the key below ``key``.
    """
    if isinstance(chosen, dict):
        ((name, parameters),) = chosen.items()
        key = f"{key}.{name}"
    else:
        name = chosen
        there = (settings.lifecycle if attribute == "pattern" else settings.messages).get(name)
        parameters = there or {}
        if there is not None:
            key = f"{'lifecycle' if attribute == 'pattern' else 'messages'}.{name}"
            if (origin := settings.origin(key)) is not None:
                source, folder = origin.source, Path(origin.source).parent
    try:
        if attribute == "pattern":
            return pattern({"pattern": name, **_lax(parameters)})
        return named(name, parameters if name in ("template", "replay") else _lax(parameters), time.time, folder)
    except ConfigError as error:
        told = error.under(key, source, shows_value=not settings.is_secret(key, error.key))
        if settings.is_secret(key, error.key):
            told.nearest = None
        raise told from None


def _lax(value: Any) -> Any:
    """Numbers that came as text (out of an environment variable) as numbers."""
    if isinstance(value, dict):
        return {key: _lax(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_lax(item) for item in value]
    if isinstance(value, str):
        for kind in (int, float):
            try:
                found = kind(value)
            except ValueError:
                continue
            return found if abs(found) <= LARGEST else value
    return value
