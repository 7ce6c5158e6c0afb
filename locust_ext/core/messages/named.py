"""`named`: a generator from its name in the table and its parameters, as a settings file has them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from locust_ext.core.messages.custom import Custom, check
from locust_ext.core.messages.weights import unknown
from locust_ext.errors import ConfigError

FROM_CODE: Final = frozenset({"now", "feeder", "source", "parts", "entries"})
"""Parameters that a file cannot give."""
PARTS: Final = {"events": "event", "monitoring": "monitoring"}
"""Parameters of ``realistic`` that are generators themselves."""


def named(name: str, parameters: Mapping[str, Any], now: Callable[[], float]) -> Any:
    """The generator ``name`` of the table ``GENERATORS``; ``now`` gives the seconds since 1970, for its metadata.

    ``parameters`` are those of its class, lists for tuples; ``mixed`` also takes its weights themselves; ``template`` and
    ``replay`` take a ``file``. ``ConfigError`` names the key that is wrong, by its path below the generator's name.
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
    given = _given(cls, parameters, now)
    if cls is Replay and file is not None:
        return Replay.from_har(file, **given) if str(file).endswith(".har") else Replay.from_jsonl(file, **given)
    if file is not None:
        return Template.from_file(file, **given)
    if cls is Custom:
        check(name)  # a generator that has no default says so
    return cls(**given)


def _given(cls: type[Any], parameters: Mapping[str, Any], now: Callable[[], float]) -> dict[str, Any]:
    """``parameters`` as ``cls`` takes them, without the ``file``; ``ConfigError`` for a name that it does not take."""
    from locust_ext.core.messages import Replay, Template

    known = [each for each in inspect.signature(cls).parameters if each not in FROM_CODE]
    valid = [*known, "file"] if cls in (Template, Replay) else known
    given: dict[str, Any] = {}
    for key, value in parameters.items():
        if key not in valid:
            raise unknown(key, key, valid)
        if key in PARTS and isinstance(value, Mapping):
            try:
                given[key] = named(PARTS[key], value, now)
            except ConfigError as error:
                raise error.under(key) from None
        elif key != "file":
            given[key] = tuple(value) if isinstance(value, list) and key != "templates" else value
    if cls in (Template, Replay) or given.get("metadata"):
        given["now"] = now
    return given
