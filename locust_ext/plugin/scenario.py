"""`scenario`: user classes that a settings file describes, for a locustfile without classes of its own.

A worker makes the classes of its own ``--ext-config``, and learns their parameters from its master at the start of a run.
"""

from __future__ import annotations

import locust

import keyword
from typing import Final

from locust_ext.errors import ConfigError
from locust_ext.plugin.defaults import config_path, settings_at_start
from locust_ext.plugin.embedded import EMBEDDED
from locust_ext.plugin.users.agent import AgentUser
from locust_ext.plugin.users.base import RealTimeUser
from locust_ext.plugin.users.context import ContextServerUser
from locust_ext.plugin.users.realistic import RealisticUser
from locust_ext.plugin.users.socketio import FastSocketIOUser
from locust_ext.plugin.users.websocket import WebSocketUser
from locust_ext.settings import Settings

KINDS: Final[dict[str, type[RealTimeUser]]] = {
    "agent": AgentUser,
    "websocket": WebSocketUser,
    "socketio": FastSocketIOUser,
    "context": ContextServerUser,
    "realistic": RealisticUser,
}
"""What ``users.CLASS.kind`` may be, and the base class that it means."""
EXAMPLE: Final = "{Crowd: {kind: agent, generator: mixed}}"


def scenario() -> dict[str, type[RealTimeUser]]:
    """The user classes of ``--ext-config`` by their names: ``globals().update(locust_ext.scenario())`` in a locustfile.

    The file is found on the command line, in ``LOCUST_EXT_CONFIG`` and in Locust's own configuration files; what `install`
    was given before stands below it. Raises `ConfigError`, which `install` has Locust tell in one line.
    """
    settings = settings_at_start()
    if not settings.users and config_path() is None:
        raise ConfigError(f"expected a YAML file with user classes, such as users: {EXAMPLE}", source="--ext-config")
    return classes_of(settings)


def classes_of(settings: Settings) -> dict[str, type[RealTimeUser]]:
    """A class for each of ``users``, of its kind and with the embedded server as its host, unless it says another.

    All the rest of what the file says is put into them when the run is set up (`plugin.users.rules`). Raises `ConfigError`.
    """
    if not settings.users:
        raise ConfigError(f"expected at least one user class, such as {EXAMPLE}", source=settings.source, key="users")
    made = {}
    for name, rules in settings.users.items():
        key = f"users.{name}"
        origin = settings.origin(key)
        source = settings.source if origin is None else origin.source
        _check_class_name(name, source, key)
        if rules.kind is None:
            raise ConfigError(
                f"this key is required, one of {', '.join(KINDS)}: what the class is", source=source, key=f"{key}.kind"
            )
        made[name] = _class_of(name, rules.kind)
    return made


def _class_of(name: str, kind: str) -> type[RealTimeUser]:
    base = KINDS[kind]
    body = {"__module__": __name__, "__doc__": f"Of kind {kind}, from a settings file.", "abstract": False}
    return type(name, (base,), {**body, "host": EMBEDDED})


def _check_class_name(name: str, source: str, key: str) -> None:
    """Raises `ConfigError` for what cannot be the name of a class, or is that of another."""
    if not name.isidentifier() or keyword.iskeyword(name) or keyword.issoftkeyword(name) or name.startswith("_"):
        raise ConfigError(
            "expected the name of a class: letters, digits and underscores, with a letter first",
            source=source,
            key=key,
            value=name,
        )
    if name in _TAKEN:
        raise ConfigError("expected a name of its own: this is that of another class or module", source=source, key=key)


_TAKEN: Final = frozenset(
    {"locust", "locust_ext", *locust.__all__, RealTimeUser.__name__, *(base.__name__ for base in KINDS.values())}
)
