"""`named`: a generator from its name in the table and its parameters, as a settings file has them."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
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
        raise unknown("", name, [each for each in GENERATORS if each != "custom"])
    cls = GENERATORS[name]
    if name == "mixed" and parameters and "weights" not in parameters and _are_weights(parameters):
        try:
            return named(name, {"weights": parameters}, now, folder)
        except ConfigError as error:
            error.key = error.key.removeprefix("weights").removeprefix(".")  # which the file does not have
            raise
    file = parameters.get("file") if cls in (Template, Replay) else None
    if cls is Replay and file is None:
        raise ConfigError("this key is required: the recording, as HAR or JSONL", key="file")
    if cls is Template and file is None and "templates" not in parameters:
        raise ConfigError("this key is required: a file of templates, or templates", key="file")
    if file is not None:
        if not isinstance(file, str) or not file or "\0" in file:
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


def parameters_of(name: str) -> list[str]:
    """What a settings file may give the generator of this name; to ``mixed`` also its weights themselves."""
    from locust_ext.core.messages import GENERATORS, Mixed

    cls = GENERATORS[name]
    return _valid(cls) + ([each for each in GENERATORS if each != "custom"] if cls is Mixed else [])


def _valid(cls: type[Any]) -> list[str]:
    from locust_ext.core.messages import Replay, Template

    known = [each for each in inspect.signature(cls).parameters if each not in FROM_CODE]
    return [*known, "file", "feeder"] if cls in (Template, Replay) else known


def _are_weights(parameters: Mapping[str, Any]) -> bool:
    """Whether they are the weights of a mix, one of them misspelt perhaps, and not what a mix may have beside them."""
    from locust_ext.core.messages import GENERATORS, Mixed

    own = set(inspect.signature(Mixed).parameters)
    return bool(set(parameters) & set(GENERATORS)) or not (set(parameters) & own or _is_near(parameters, own))


def _is_near(names: Iterable[str], valid: Iterable[str]) -> bool:
    return any(difflib.get_close_matches(name, list(valid), n=1) for name in names)


def _given(
    cls: type[Any], parameters: Mapping[str, Any], now: Callable[[], float], folder: str | Path
) -> dict[str, Any]:
    """``parameters`` as ``cls`` takes them, without the ``file``; ``ConfigError`` for a name that it does not take."""
    from locust_ext.core.messages import InTurn, Replay, Template

    valid = _valid(cls)
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
    if not isinstance(path, str) or not path or "\0" in path:
        raise ConfigError("this key is required: the path of a CSV file", key="csv", value=path)
    if order not in ORDERS:
        raise unknown("mode", order, ORDERS)
    try:
        return Feeder.from_csv(Path(folder, path), order)
    except ConfigError as error:
        raise ConfigError(f"{error.source}: {error.expected}", key="csv", value=error.value) from None
