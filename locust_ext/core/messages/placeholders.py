"""Placeholders in templates, compiled to functions.

A placeholder is ``{name}`` or ``{name:arguments}`` in any text of a body:

=================  ===================================================================================================
``{uuid}``         a new UUID, from the user's random numbers
``{seq}``          1, 2, 3 … for each message of the user
``{now}``          the time as ISO 8601 in UTC; ``{now:s}`` seconds since 1970, ``{now:ms}`` whole milliseconds
``{choice:a|b}``   one of the words
``{int:a:b}``      a whole number from a to b, both included
``{user}``         the user's client_id
``{marker}``       a marker, by which the pushes that the message causes are known (see ``fan_out`` of the user classes)
``{csv:column}``   the column of the feeder's row; all columns of one message are of the same row
=================  ===================================================================================================

Where a text is one placeholder and nothing else, ``{seq}``, ``{int:…}``, ``{now:s}`` and ``{now:ms}`` give numbers.
``{{`` and ``}}`` are single braces. In YAML a text that begins with a brace needs quotes.
"""

from __future__ import annotations

import difflib
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from locust_ext.core.marker import MARKER
from locust_ext.core.messages.feeder import Feeder, Row
from locust_ext.core.messages.metadata import iso_time, uuid_text
from locust_ext.core.messages.weights import check_weight, unknown
from locust_ext.errors import ConfigError

PLACEHOLDERS: Final = ("uuid", "seq", "now", "choice", "int", "user", "marker", "csv")

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([A-Za-z_]+)(?::([^{}]*))?\}")
_OPTIONS = ("name", "body", "reply", "one_way", "channel", "weight")
_NO_ROW: Row = {}


class Scope:
    """What the placeholders of one user's messages are filled from."""

    __slots__ = ("next_row", "now", "rng", "row", "seq", "user")

    def __init__(
        self, rng: random.Random, user: str, next_row: Callable[[], Row] | None, now: Callable[[], float] | None
    ) -> None:
        self.rng = rng
        self.user = user
        self.next_row = next_row
        self.now = now
        self.row: Row = _NO_ROW
        self.seq = 0

    def time_s(self) -> float:
        assert self.now is not None, "checked when the template was compiled"
        return self.now()


Fill = Callable[[Scope], Any]


@dataclass(frozen=True, slots=True)
class Compiled:
    """One template: what is constant in its messages, and the function that gives the body."""

    name: str
    fill: Fill
    reply: tuple[str, ...]
    one_way: bool
    channel: str | None
    weight: float


@dataclass(frozen=True, slots=True)
class Compiler:
    """Turns templates into functions of the scope."""

    source: str
    feeder: Feeder | None
    has_clock: bool

    def template(self, template: Any, where: str) -> Compiled:
        if not isinstance(template, Mapping):
            raise ConfigError("expected a template, an object", source=self.source, key=where, value=template)
        if "body" not in template:
            self._no_slip(template, where)
        options = template if "body" in template else {"body": template}
        for key in options:
            if key not in _OPTIONS:
                raise unknown(f"{where}.{key}".lstrip("."), key, _OPTIONS)
        body = options["body"]
        if not isinstance(body, (Mapping, list, str)):
            raise ConfigError(
                "expected an object, a list or a text", source=self.source, key=f"{where}.body".lstrip("."), value=body
            )
        name = options.get("name") or (body.get("type") if isinstance(body, Mapping) else None) or "message"
        reply: Any = options.get("reply") or ()
        channel: Any = options.get("channel")
        return Compiled(
            name=str(name),
            fill=self.value(body, where),
            reply=(reply,) if isinstance(reply, str) else tuple(reply),
            one_way=bool(options.get("one_way", False)),
            channel=channel,
            weight=check_weight(f"{where}.weight".lstrip("."), options.get("weight", 1)),
        )

    def _no_slip(self, template: Mapping[Any, Any], where: str) -> None:
        """An object without ``body`` is a body itself; but not one with a ``bdy``, or with nothing but what stands beside
        a body, for these would be sent as they are.
        """
        for key, item in template.items():
            if isinstance(item, (Mapping, list)) and difflib.get_close_matches(str(key), ["body"], n=1, cutoff=0.75):
                raise unknown(f"{where}.{key}".lstrip("."), key, _OPTIONS)
        if template and all(key in ("reply", "one_way", "channel", "weight") for key in template):
            raise ConfigError("this key is required: the message", source=self.source, key=f"{where}.body".lstrip("."))

    def value(self, value: Any, where: str) -> Fill:
        if isinstance(value, str):
            return self.text(value, where)
        if isinstance(value, Mapping):
            self._unquoted(value, where)
            items = [(str(key), self.value(item, f"{where}.{key}".lstrip("."))) for key, item in value.items()]
            return lambda scope: {key: fill(scope) for key, fill in items}
        if isinstance(value, list):
            fills = [self.value(item, f"{where}[{index}]") for index, item in enumerate(value)]
            return lambda scope: [fill(scope) for fill in fills]
        return lambda scope: value

    def text(self, value: str, where: str) -> Fill:
        parts: list[str | Fill] = []
        end = 0
        for match in _PLACEHOLDER.finditer(value):
            parts.append(value[end : match.start()])
            end = match.end()
            name, arguments = match.groups()
            parts.append(match.group()[0] if name is None else self.placeholder(name, arguments, where))
        parts.append(value[end:])
        parts = [part for part in parts if part != ""]
        if not any(callable(part) for part in parts):
            constant = "".join(part for part in parts if isinstance(part, str))
            return lambda scope: constant
        if len(parts) == 1 and callable(parts[0]):
            return parts[0]
        return lambda scope: "".join([part if isinstance(part, str) else str(part(scope)) for part in parts])

    def placeholder(self, name: str, arguments: str | None, where: str) -> Fill:
        if name not in PLACEHOLDERS:
            error = unknown(where, name, PLACEHOLDERS)
            raise ConfigError(
                f"unknown placeholder, expected one of {', '.join(PLACEHOLDERS)} ('{{{{' is a brace)",
                source=self.source,
                key=where,
                value=name,
                nearest=error.nearest,
            )
        if name == "choice":
            words = (arguments or "").split("|")
            if not arguments:
                raise self._wrong("expected words, such as {choice:a|b}", where, arguments)
            return lambda scope: words[int(scope.rng.random() * len(words))]
        if name == "int":
            return self._int(arguments, where)
        if name == "csv":
            return self._csv(arguments, where)
        if name == "now":
            return self._now(arguments, where)
        if arguments is not None:
            raise self._wrong(f"{{{name}}} takes no arguments", where, arguments)
        if name == "uuid":
            return lambda scope: uuid_text(scope.rng)
        if name == "seq":
            return lambda scope: scope.seq
        if name == "marker":
            return lambda scope: MARKER
        return lambda scope: scope.user

    def _int(self, arguments: str | None, where: str) -> Fill:
        match = re.fullmatch(r"(-?\d+):(-?\d+)", arguments or "")
        if match is None or int(match[1]) > int(match[2]):
            raise self._wrong("expected two whole numbers, such as {int:1:10}", where, arguments)
        low, spread = int(match[1]), int(match[2]) - int(match[1]) + 1
        return lambda scope: low + int(scope.rng.random() * spread)

    def _csv(self, column: str | None, where: str) -> Fill:
        if self.feeder is None:
            raise self._wrong("{csv:…} needs a feeder", where, column)
        if column not in self.feeder.columns:
            raise unknown(where, column, self.feeder.columns)
        name = column
        return lambda scope: scope.row[name]

    def _now(self, unit: str | None, where: str) -> Fill:
        if not self.has_clock:
            raise self._wrong("{now} needs a clock, such as now=time.time", where, unit)
        if unit is None:
            return lambda scope: iso_time(scope.time_s())
        if unit not in ("s", "ms"):
            raise self._wrong("expected {now}, {now:s} or {now:ms}", where, unit)
        if unit == "ms":
            return lambda scope: int(scope.time_s() * 1000)
        return lambda scope: scope.time_s()

    def _unquoted(self, value: Mapping[Any, Any], where: str) -> None:
        """YAML reads an unquoted ``{uuid}`` as an object with the key ``uuid`` and no value."""
        if len(value) == 1:
            (key, item), *_ = value.items()
            if item is None and str(key).partition(":")[0] in PLACEHOLDERS:
                raise self._wrong(
                    f"a placeholder at the start of a text needs quotes in YAML: '{{{key}}}'", where, None
                )

    def _wrong(self, expected: str, where: str, value: object) -> ConfigError:
        return ConfigError(expected, source=self.source, key=where, value=value)
