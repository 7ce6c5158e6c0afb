"""When to connect, talk, fall silent and return: lifecycle patterns, which ``runtime/driver.py`` performs.

A pattern yields actions and is sent their outcomes; when its generator ends without ``GiveUp`` the user has no more to
do. To add a pattern: one file here, one line in :data:`PATTERNS`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, Final

from locust_ext.core.lifecycle.actions import (
    Action,
    Actions,
    Connect,
    Connected,
    Disconnect,
    Disconnected,
    GiveUp,
    LifecyclePattern,
    Lost,
    Outcome,
    Pause,
    Refused,
    Rested,
    Send,
    Sent,
)
from locust_ext.core.lifecycle.backoff import RULES, FullJitter, Reconnecting, Reconnection, Rule
from locust_ext.core.lifecycle.bursty import Bursty
from locust_ext.core.lifecycle.churn import Churn
from locust_ext.core.lifecycle.custom import Custom
from locust_ext.core.lifecycle.failover import Failover
from locust_ext.core.lifecycle.intermittent import Intermittent
from locust_ext.core.lifecycle.persistent import Persistent
from locust_ext.core.lifecycle.states import TRANSITIONS, ConnectionState, may_follow, state_after, state_in
from locust_ext.errors import ConfigError

__all__ = [
    "PATTERNS",
    "RULES",
    "TRANSITIONS",
    "Action",
    "Actions",
    "Bursty",
    "Churn",
    "Connect",
    "Connected",
    "ConnectionState",
    "Custom",
    "Disconnect",
    "Disconnected",
    "Failover",
    "FullJitter",
    "GiveUp",
    "Intermittent",
    "LifecyclePattern",
    "Lost",
    "Outcome",
    "Pause",
    "Persistent",
    "Reconnecting",
    "Reconnection",
    "Refused",
    "Rested",
    "Rule",
    "Send",
    "Sent",
    "may_follow",
    "pattern",
    "state_after",
    "state_in",
]

PATTERNS: Final[dict[str, type[Any]]] = {
    "persistent": Persistent,
    "intermittent": Intermittent,
    "bursty": Bursty,
    "failover": Failover,
    "churn": Churn,
    "custom": Custom,
}


def pattern(value: Any) -> LifecyclePattern:
    """The pattern that ``value`` means: a pattern, a name from :data:`PATTERNS`, a mapping, or a generator function.

    A mapping (from YAML) has the name under ``pattern`` and the parameters beside it; ``reconnect`` may be a mapping of
    :class:`FullJitter`'s parameters. ``ConfigError`` names what is wrong.
    """
    if isinstance(value, str):
        return pattern({"pattern": value})
    if isinstance(value, Mapping):
        name, given = value.get("pattern"), {key: item for key, item in value.items() if key != "pattern"}
        if name not in PATTERNS:
            raise _unknown("pattern", name, PATTERNS)
        if isinstance(given.get("reconnect"), Mapping):
            given["reconnect"] = _made(FullJitter, dict(given["reconnect"]), "reconnect.")
        made: LifecyclePattern = _made(PATTERNS[name], given, "")
        return made
    if isinstance(value, type) and value in PATTERNS.values():
        return pattern({"pattern": next(name for name, entry in PATTERNS.items() if entry is value)})
    if not isinstance(value, type) and isinstance(value, LifecyclePattern):
        return value
    if callable(value) and not isinstance(value, type):
        return Custom(value)
    raise ConfigError(
        "expected a lifecycle pattern, the name of one, a mapping with the key 'pattern', or a generator function",
        key="pattern",
        value=value,
    )


def _made(cls: type[Any], given: dict[str, Any], prefix: str) -> Any:
    """``cls(**given)`` with a clear error for a key it does not have, or that is missing. YAML lists become tuples."""
    names = [entry.name for entry in fields(cls)]
    needed = [entry.name for entry in fields(cls) if entry.default is MISSING and entry.default_factory is MISSING]
    for key in given:
        if key not in names:
            raise _unknown(f"{prefix}{key}", key, names)
    for name in needed:
        if name not in given:
            raise ConfigError(f"{cls.__name__} needs its parameter {name!r}", key=prefix.rstrip("."))
    try:
        return cls(**{key: tuple(item) if isinstance(item, list) else item for key, item in given.items()})
    except ConfigError as error:
        raise error.under(prefix.rstrip(".")) from None


def _unknown(key: str, name: object, valid: Any) -> ConfigError:
    near = difflib.get_close_matches(str(name), list(valid), n=1)
    return ConfigError(
        f"unknown name, expected one of {', '.join(valid)}", key=key, value=name, nearest=near[0] if near else None
    )
