"""The kinds of values that settings have: each says what was expected instead of a wrong one."""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

NAMES: Final = "x-names-of"
"""Stands in the models' JSON Schema where names of a table do that is not known here; `json_schema` fills them in."""
MIX_NAMES: Final = ("event", "command", "query", "monitoring", "ping", "heartbeat")
"""The message generators that a profile's mix may name: those of the agent channel."""


def wrong(expected: str) -> PydanticCustomError:
    """The error that `load_settings` turns into a `ConfigError` with this text."""
    return PydanticCustomError("expected", "{expected}", {"expected": expected})


def number(value: Any) -> Any:
    """No truth value, which Python would take for 0 or 1."""
    if isinstance(value, bool):
        raise wrong("expected a number")
    return value


def pair(value: Any) -> Any:
    """`[low, high]`."""
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise wrong("expected a pair [low, high]")
    return tuple(value)


def ordered(pair: tuple[float, float]) -> tuple[float, float]:
    """`low` is not above `high`."""
    if pair[0] > pair[1]:
        raise wrong("expected a pair [low, high] with low not above high")
    return pair


def mix_of_generators(mix: dict[str, float]) -> dict[str, float]:
    """Names are those of generators, and at least one has a weight."""
    for name in mix:
        if name not in MIX_NAMES:
            raise PydanticCustomError("unknown_name", "{name}", {"name": name, "valid": MIX_NAMES})
    if not any(mix.values()):
        raise wrong("expected at least one weight above 0")
    return mix


def base_url(value: str | None) -> str | None:
    """A URL that a path can be put behind, or none."""
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https", "ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise wrong("expected a base URL, such as http://127.0.0.1:8000")
    return value


MOST: Final = 1e12
"""Beyond it nothing that is weighed, waited for or counted has any meaning."""
MOST_USERS: Final = 10_000_000
MOST_S: Final = 315_360_000.0
"""Ten years, in seconds."""

_URL: Final = r"^\s*([hH][tT][tT][pP][sS]?|[wW][sS][sS]?)://[^/?#\s]"
_NULL: Final[dict[str, Any]] = {"type": "null"}
BaseUrl = Annotated[
    str | None, AfterValidator(base_url), WithJsonSchema({"anyOf": [{"type": "string", "pattern": _URL}, _NULL]})
]
"""A URL that a path can be put behind, or none."""


def _host(value: str | None) -> str | None:
    return value if value == EMBEDDED else base_url(value)


EMBEDDED: Final = "embedded"
"""Instead of an address: the reference server that the run starts and stops."""
Host = Annotated[
    str | None,
    AfterValidator(_host),
    WithJsonSchema({"anyOf": [{"const": EMBEDDED}, {"type": "string", "pattern": _URL}, _NULL]}),
]
"""The same, or ``embedded``."""


def exactly_one(*keys: str) -> dict[str, Any]:
    """What the JSON Schema says of a mapping of which one key is given, the others not or null."""
    return {"oneOf": [{"required": [key], "properties": {key: {"not": {"type": "null"}}}} for key in keys]}


Weight = Annotated[float, BeforeValidator(number), Field(ge=0, le=MOST, allow_inf_nan=False)]
Share = Annotated[float, BeforeValidator(number), Field(ge=0, le=1, allow_inf_nan=False)]
Above0 = Annotated[float, BeforeValidator(number), Field(gt=0, le=MOST, allow_inf_nan=False)]
Seed = Annotated[int, BeforeValidator(number), Field(ge=-(2**63), le=2**63 - 1)]
Seconds = Annotated[tuple[Above0, Above0], BeforeValidator(pair), AfterValidator(ordered)]
Bytes = Annotated[
    tuple[Annotated[int, BeforeValidator(number), Field(ge=0)], Annotated[int, BeforeValidator(number), Field(ge=0)]],
    BeforeValidator(pair),
    AfterValidator(ordered),
]
