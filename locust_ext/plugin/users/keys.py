"""`KEYS`: what each key of ``users.CLASS`` sets, and which user classes have it.

``pattern``, ``generator``, ``pacing`` and ``think_time`` are not among them: whether a class has them depends on who drives it.
To add a key: a field of `UserSettings`, and a line here if the attribute has another name or not all real-time users have it.
"""

from __future__ import annotations

from locust import User, between, constant
from locust.contrib.fasthttp import FastHttpUser

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from locust_ext.core.pacing import ClosedLoop, OpenLoop
from locust_ext.core.protocols.correlation import AgentChannel, ByCall, ById, ByType, Correlation, Fifo, MonitorChannel
from locust_ext.core.protocols.ties import FanOut
from locust_ext.errors import ConfigError
from locust_ext.plugin.users.agent import AgentUser
from locust_ext.plugin.users.base import RealTimeUser
from locust_ext.plugin.users.by_name import nearest
from locust_ext.plugin.users.context import ContextServerUser
from locust_ext.plugin.users.socketio import FastSocketIOUser
from locust_ext.plugin.users.websocket import WebSocketUser
from locust_ext.runtime.proxy import ENVIRONMENT, EXPECTED, parse_proxy
from locust_ext.settings.matching import CorrelationSettings, FanOutRule
from locust_ext.settings.users import PacingSettings, UserSettings


def as_written(value: Any, folder: Path) -> Any:
    """The value as it stands in the file."""
    return value


@dataclass(frozen=True, slots=True)
class Key:
    """What one key of a user class's settings sets."""

    of: tuple[type[Any], ...] = (RealTimeUser,)
    """Classes whose users have it."""
    make: Callable[[Any, Path], Any] = as_written
    """The attribute's value, from the file's and the file's folder."""
    http: str | None = None
    """Locust's own attribute of users with an HTTP side, which is set as well."""
    only_for_tasks: bool = False
    """Users that a generator drives have no use for it."""

    def attributes(self, name: str, cls: type[Any]) -> tuple[str, ...]:
        """Those of ``cls`` that the key ``name`` sets."""
        own = (name,) if not self.http or issubclass(cls, RealTimeUser) else ()
        return (*own, self.http) if self.http and issubclass(cls, FastHttpUser) else own


def correlation(wanted: CorrelationSettings, folder: Path) -> Correlation:
    """The rule that ``correlate`` means."""
    if wanted.by_type is not None:
        return ByType(wanted.by_type, wanted.type_field, error=wanted.error)
    if wanted.by_field is not None:
        return ByCall(_field_at(wanted.by_field))
    if wanted.by_id is not None:
        return ById(wanted.by_id, make=int if wanted.integers else None)
    named: Mapping[str | None, Callable[[], Correlation]] = {
        "fifo": Fifo,
        "agent": AgentChannel,
        "monitor": MonitorChannel,
    }
    return named.get(wanted.named, ById)()


def _field_at(path: str) -> Callable[[Any], Any]:
    """Gives a message's value at a path such as ``data.ref``, if it is a text or a whole number."""
    parts = path.split(".")

    def value_of(message: Any) -> Any:
        for part in parts:
            message = message.get(part) if isinstance(message, Mapping) else None
        return message if type(message) in (str, int) else None

    return value_of


def fan_out(wanted: FanOutRule, folder: Path) -> FanOut:
    """The rule that ``fan_out`` means."""
    return FanOut(wanted.event, to_sender=wanted.to_sender)


def pacing(wanted: PacingSettings) -> ClosedLoop | OpenLoop:
    """The pace that ``pacing`` means."""
    if wanted.open_loop is not None:
        return OpenLoop(wanted.open_loop, is_poisson=wanted.poisson)
    return closed_loop(wanted.closed_loop)


def closed_loop(think_time: float | list[float]) -> ClosedLoop:
    """Of these seconds, or of seconds drawn from the pair."""
    return ClosedLoop(between(*think_time) if isinstance(think_time, list) else think_time)


def wait_time(think_time: float | list[float]) -> Any:
    """Locust's wait time that gives these seconds, or seconds drawn from the pair."""
    return between(*think_time) if isinstance(think_time, list) else constant(think_time)


def _confirm(events: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    return {event: rule if isinstance(rule, str) else (rule[0], tuple(rule[1])) for event, rule in events.items()}


def _file(path: str, folder: Path) -> str:
    return str(Path(folder, path))


def _files(paths: str | list[str], folder: Path) -> str | tuple[str, ...]:
    return _file(paths, folder) if isinstance(paths, str) else tuple(_file(path, folder) for path in paths)


def _existing(path: str, folder: Path) -> str:
    return _checked_file(_file(path, folder))


def _existing_files(paths: str | list[str], folder: Path) -> str | tuple[str, ...]:
    made = _files(paths, folder)
    for each in (made,) if isinstance(made, str) else made:
        _checked_file(each)
    return made


def _checked_file(path: str) -> str:
    """Raises `ConfigError` if it is not there: the first connection would find that out, in the middle of the run."""
    if not Path(path).is_file():
        raise ConfigError("expected a file that is there", value=path)
    return path


_WHOLE_ADDRESS: Final = re.compile("[A-Za-z][A-Za-z0-9+.-]*://")


def _path(path: str, folder: Path) -> str:
    """With ``{client_id}`` or without."""
    plain = _plain_path(_PLACEHOLDER.sub("", path), folder)
    if "{" in plain or "}" in plain:
        raise ConfigError(f"expected no brace but those of {{{CLIENT_ID}}}", value=path)
    for name in _PLACEHOLDER.findall(path):
        if name != CLIENT_ID:
            near = nearest(name, [CLIENT_ID])
            hint = None if near is None else f"{{{near}}}"
            raise ConfigError(f"unknown placeholder, expected {{{CLIENT_ID}}}", value=f"{{{name}}}", nearest=hint)
    return path


def _plain_path(path: str, folder: Path) -> str:
    """Of an endpoint, behind the host that the class has."""
    if _WHOLE_ADDRESS.match(path):
        raise ConfigError("expected a path such as /ws: the address before it is the class's host", value=path)
    if any(each.isspace() or not each.isprintable() for each in path):
        raise ConfigError("expected a path without spaces", value=path)
    return path


CLIENT_ID: Final = "client_id"
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")


def _proxy(address: str, folder: Path) -> str:
    """Of a proxy, with its scheme or at least its port: a word alone is more likely a slip than a host."""
    if address != ENVIRONMENT:
        if "://" not in address and not re.search(r":\d+/?$", address):
            raise ConfigError(EXPECTED)
        try:
            parse_proxy(address)
        except ConfigError as error:
            raise ConfigError(error.expected) from None  # told under its own key
    return address


def _tuple(texts: str | list[str], folder: Path) -> str | tuple[str, ...]:
    return texts if isinstance(texts, str) else tuple(texts)


_OF_ANY_USER: Final = Key((User,))
_SPOKEN_TO: Final = (WebSocketUser, FastSocketIOUser)
_DRIVEN: Final = ("kind", "pattern", "generator", "pacing", "think_time")
"""Keys that are looked at one by one (`plugin.users.rules`)."""
_OTHERS: Final[Mapping[str, Key]] = {
    "weight": _OF_ANY_USER,
    "fixed_count": _OF_ANY_USER,
    "host": _OF_ANY_USER,
    "max_in_flight": Key((WebSocketUser,)),
    "path": Key((WebSocketUser,), _path),
    "monitor_path": Key((AgentUser,), _path),
    "agent_host": Key((AgentUser,)),
    "heartbeat_s": Key((AgentUser,)),
    "correlate": Key((WebSocketUser,), correlation),
    "fan_out": Key(_SPOKEN_TO, fan_out),
    "socketio_path": Key((FastSocketIOUser, ContextServerUser), _plain_path),
    "namespace": Key((FastSocketIOUser,)),
    "auth": Key((FastSocketIOUser,)),
    "confirm": Key((FastSocketIOUser, ContextServerUser), _confirm),
    "prepared_entries": Key((ContextServerUser,)),
    "connect_timeout_s": Key((RealTimeUser, FastHttpUser), http="connection_timeout"),
    "request_timeout_s": Key((RealTimeUser, FastHttpUser), http="network_timeout"),
    "max_inbox": Key(only_for_tasks=True),
    "inbox_policy": Key(only_for_tasks=True),
    "subprotocols": Key(make=_tuple),
    "ca_file": Key(make=_existing),
    "client_certificate": Key(make=_existing_files),
    "proxy": Key(make=_proxy),
}
KEYS: Final[Mapping[str, Key]] = {
    name: _OTHERS.get(name, Key()) for name in UserSettings.model_fields if name not in _DRIVEN
}


def keys_of(cls: type[Any]) -> list[str]:
    """The keys that ``users.CLASS`` may have for this class."""
    is_tasked = not issubclass(cls, RealTimeUser) or cls._is_task_driven
    driven = ["kind", "think_time"]
    if issubclass(cls, RealTimeUser):
        driven = ["kind"] if cls.plays_profiles else ["kind", "pattern", "think_time"]
        driven += [] if cls.plays_profiles or is_tasked else ["generator", "pacing"]
    return [
        name
        for name in UserSettings.model_fields
        if name in driven
        or (name in KEYS and issubclass(cls, KEYS[name].of) and (is_tasked or not KEYS[name].only_for_tasks))
    ]
