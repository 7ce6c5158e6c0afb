"""`named`: a generator from its name in the table and its parameters, as a settings file has them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from locust_ext.core.messages.custom import Custom, check
from locust_ext.core.messages.feeder import ORDERS, Feeder
from locust_ext.core.messages.weights import unknown
from locust_ext.errors import ConfigError

FROM_CODE: Final = frozenset({"now", "feeder", "source", "parts", "entries"})
"""Parameters that a file cannot give."""
PARTS: Final = {"events": "event", "monitoring": "monitoring"}
"""Parameters of ``realistic`` that are generators themselves."""


def named(name: str, parameters: Mapping[str, Any], now: Callable[[], float], folder: str | Path = "") -> Any:
    """The generator ``name`` of the table ``GENERATORS``; ``now`` gives the seconds since 1970, for its metadata.

    ``parameters`` are those of its class, lists for tuples; ``mixed`` also takes its weights themselves, ``in_turn``
    a list of names, or of names over parameters, as its ``steps``; ``template`` and
    ``replay`` take a ``file`` and a ``feeder`` (``csv``, and ``mode``: an order of `Feeder`), whose paths are relative to
    ``folder``, where the settings file is. ``ConfigError`` names the key that is wrong, by its path below the generator's name.
    """
    from locust_ext.core.messages import GENERATORS, Replay, Template  # the table names the classes

    if name not in GENERATORS:
        raise unknown("", name, GENERATORS)
    cls = GENERATORS[name]
    if name == "mixed" and parameters and "weights" not in parameters and set(parameters) & set(GENERATORS):
        parameters = {"weights": parameters}
    file = parameters.get("file") if cls in (Template, Replay) else None
    if cls is Replay and file is None:
        raise ConfigError("this key is required: the recording, as HAR or JSONL", key="file")
    if cls is Template and file is None and "templates" not in parameters:
        raise ConfigError("this key is required: a file of templates, or templates", key="file")
    if file is not None:
        if not isinstance(file, str):
            raise ConfigError("expected the path of a file", key="file", value=file)
        file = Path(folder, file)
    given = _given(cls, parameters, now, folder)
    if cls is Replay and file is not None:
        return Replay.from_har(file, **given) if str(file).endswith(".har") else Replay.from_jsonl(file, **given)
    if file is not None:
        return Template.from_file(file, **given)
    if cls is Custom:
        check(name)  # a generator that has no default says so
    return cls(**given)


def _given(
    cls: type[Any], parameters: Mapping[str, Any], now: Callable[[], float], folder: str | Path
) -> dict[str, Any]:
    """``parameters`` as ``cls`` takes them, without the ``file``; ``ConfigError`` for a name that it does not take."""
    from locust_ext.core.messages import InTurn, Replay, Template

    known = [each for each in inspect.signature(cls).parameters if each not in FROM_CODE]
    valid = [*known, "file", "feeder"] if cls in (Template, Replay) else known
    given: dict[str, Any] = {}
    for key, value in parameters.items():
        if key not in valid:
            raise unknown(key, key, valid)
        if key in PARTS and isinstance(value, Mapping):
            try:
                given[key] = named(PARTS[key], value, now)
            except ConfigError as error:
                raise error.under(key) from None
        elif key == "feeder":
            try:
                given[key] = feeder_of(value, folder)
            except ConfigError as error:
                raise error.under(key) from None
        elif key == "steps" and cls is InTurn and isinstance(value, list):
            given[key] = [_step(each, f"steps.{index}", now, folder) for index, each in enumerate(value)]
        elif key != "file":
            given[key] = tuple(value) if isinstance(value, list) and key != "templates" else value
    if cls in (Template, Replay) or given.get("metadata"):
        given["now"] = now
    return given


def _step(step: Any, key: str, now: Callable[[], float], folder: str | Path) -> Any:
    """A step of ``in_turn``: a name, or a mapping with one name over its parameters."""
    parameters: Mapping[str, Any] = {}
    if isinstance(step, str):
        name = step
    elif isinstance(step, Mapping) and len(step) == 1 and isinstance(given := next(iter(step.values())), Mapping):
        name, parameters = next(iter(step)), given
        key = f"{key}.{name}"
    else:
        raise ConfigError("expected a name, or a mapping with one name over its parameters", key=key, value=step)
    try:
        return named(name, parameters, now, folder)
    except ConfigError as error:
        raise error.under(key) from None


def feeder_of(parameters: Any, folder: str | Path) -> Feeder:
    """The feeder ``{csv: users.csv, mode: unique}``; ``ConfigError`` names the key that is wrong."""
    if not isinstance(parameters, Mapping):
        raise ConfigError("expected a mapping, such as {csv: users.csv, mode: unique}", value=parameters)
    for key in parameters:
        if key not in ("csv", "mode"):
            raise unknown(str(key), key, ("csv", "mode"))
    path, order = parameters.get("csv"), parameters.get("mode", "random")
    if not isinstance(path, str) or not path:
        raise ConfigError("this key is required: the path of a CSV file", key="csv", value=path)
    if order not in ORDERS:
        raise unknown("mode", order, ORDERS)
    try:
        return Feeder.from_csv(Path(folder, path), order)
    except ConfigError as error:
        raise ConfigError(str(error), key="csv") from None
