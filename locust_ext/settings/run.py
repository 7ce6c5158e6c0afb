"""The settings of the run itself: what Locust's flags and ours say too, timeouts, the report.

A flag wins over them, and an environment variable; they win over the code of a locustfile.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from locust_ext.settings.parts import Part
from locust_ext.settings.types import EMBEDDED as EMBEDDED, MOST_S, MOST_USERS, NAMES, Above0, Host, Seed, number, wrong

_TEXT: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")
_REQUESTS: Final = re.compile(r"[1-9][0-9_]*(/user)?", re.ASCII)
_PATTERN: Final = r"^\s*([0-9]+h)?([0-9]+m)?([0-9]+(\.[0-9]+)?s)?\s*$"


def seconds(value: Any) -> Any:
    """``90``, ``90s``, ``1m30s`` or ``1h30m`` as seconds."""
    if not isinstance(value, str):
        return number(value)
    text = value.strip()
    found = _TEXT.fullmatch(text)
    if text and found is not None:
        hours, minutes, rest = (float(part or 0) for part in found.groups())
        return hours * 3600 + minutes * 60 + rest
    try:
        return float(text)
    except ValueError:
        raise wrong("expected seconds, or a text such as 90s, 20m or 1h30m") from None


def _bound(value: Any) -> Any:
    """``1000`` and ``50/user`` as texts."""
    if value is None:
        return None
    text = value.strip() if isinstance(value, str) else str(number(value))
    if not _REQUESTS.fullmatch(text):
        raise wrong("expected a number of operations, such as 1000, or of each user's, such as 50/user")
    return text


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


_Moment = {"type": "string", "pattern": _PATTERN, "minLength": 2}
Time = Annotated[
    float,
    BeforeValidator(seconds),
    Field(gt=0, le=MOST_S, allow_inf_nan=False),
    WithJsonSchema({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, _Moment]}),
]
"""Seconds above 0, also as Locust's texts: 90s, 20m, 1h30m."""
TimeOrNone = Annotated[
    float,
    BeforeValidator(seconds),
    Field(ge=0, le=MOST_S, allow_inf_nan=False),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, _Moment]}),
]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Requests = Annotated[
    str,
    BeforeValidator(_bound),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "^[1-9][0-9_]*(/user)?$"}]}
    ),
]


_LEVELS: Final = ("debug", "info", "warning", "error", "critical")
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error", "critical"],
    BeforeValidator(_lower),
    WithJsonSchema({"enum": [each for name in _LEVELS for each in (name, name.capitalize(), name.upper())]}),
]


class RunSettings(Part):
    """Defaults of the command line's flags: of Locust's own, and of ours. Without a key: the flag's own default."""

    host: Host = None
    """Base URL of the target, or ``embedded``: the reference server. ``--host`` wins, ``users.CLASS.host`` too."""
    users: Annotated[int, BeforeValidator(number), Field(ge=1, le=MOST_USERS)] | None = None
    """How many there are; a shape says it instead. ``--users`` wins."""
    spawn_rate: Above0 | None = None
    """Users a second that come at the start; a shape says it instead. ``--spawn-rate`` wins."""
    run_time: Time | None = None
    """How long the run lasts: seconds, or 90s, 20m, 1h30m; it ends a shape too. ``--run-time`` wins."""
    stop_timeout: TimeOrNone | None = None
    """How long users may finish what they are in, at the end: seconds, or a text. ``--stop-timeout`` wins."""
    requests: Requests | None = None
    """The run ends after so many operations over all users and workers; 50/user: of each. ``--ext-requests`` wins."""
    warmup_s: Above0 | None = None
    """So many seconds at the start are kept apart from every figure. ``--ext-warmup`` wins."""
    wait_for_target_s: Above0 | None = None
    """So long the start waits for the target to answer. ``--ext-wait-for-target`` wins."""
    seed: Seed | None = None
    """Of the users' random numbers, for runs that can be repeated. ``--ext-seed`` wins."""
    log_level: LogLevel | None = None
    """The least important lines that the log has. ``--loglevel`` wins."""
    profiles: Annotated[dict[str, Above0], Field(min_length=1)] | None = None
    """Shares of the profiles of a realistic user; who is not named gets no users. ``--ext-profiles`` wins."""


class TimeoutSettings(Part):
    """Of all user classes; ``users.CLASS`` wins for one."""

    connect_s: Above0 | None = None
    """From the beginning of a connect (DNS) to its end (upgrade); null: what each class says, or 10."""
    request_s: Above0 | None = None
    """From a request to its answer; null: what each class says, or 10."""
    connects_at_once: Annotated[int, BeforeValidator(number), Field(ge=1, le=1_000_000)] | None = None
    """So many connections each process opens at the same time, the others wait; null: 200."""


class ReportSettings(Part):
    """What is written of a run. Relative paths are relative to the working directory, as those of the flags."""

    dir: Annotated[str, Field(min_length=1)] | None = None
    """The folder that the reports are written to. ``--ext-report-dir`` wins."""
    baseline: Annotated[str, Field(min_length=1)] | None = None
    """The ``summary.json`` of an earlier run: a regression against it gives exit code 5. ``--ext-baseline`` wins."""
    formats: (
        Annotated[list[Annotated[str, WithJsonSchema({NAMES: "reports", "form": "name"})]], Field(min_length=1)] | None
    ) = None
    """Names of the files that are written, such as ``summary.json``; null: all of them."""
