"""`AllClasses`: what the settings say of all user classes together: the host and the timeouts.

What ``users.CLASS`` says of one class wins. A file stands over what the code of a class says; a call of ``install`` does
not: in a locustfile the class is the more particular of the two.
"""

from __future__ import annotations

from locust.contrib.fasthttp import FastHttpUser
from locust.env import Environment

from collections.abc import Iterable
from typing import Any, Final

from locust_ext.plugin.embedded import EMBEDDED
from locust_ext.plugin.users.base import RealTimeUser
from locust_ext.settings import Settings

_MISSING: Final = object()
_LIBRARIES: Final = ("locust", "locust_ext")
_TIMEOUTS: Final = (
    (RealTimeUser, "connect_timeout_s", "request_timeout_s"),
    (FastHttpUser, "connection_timeout", "network_timeout"),
)
"""Of which users, and what the two timeouts are called there; a class may be both. Locust's HttpUser has none of its own."""


class AllClasses:
    """Overrides class attributes from `apply` on; `undo` brings back what the code says."""

    def __init__(self) -> None:
        self._before: list[tuple[type[Any], str, Any]] = []

    def apply(self, settings: Settings, host: str | None, user_classes: Iterable[type[Any]]) -> None:
        """``host`` is what `class_host` gives. Undoes an earlier call."""
        self.undo()
        timeouts = settings.timeouts
        spares = host == settings.run.host and _is_of_code(settings, "run.host")
        for cls in user_classes:
            own = settings.users.get(cls.__name__)
            if own is None or own.host is None:
                self._put(cls, "host", host, spares)
            for kind, connect, request in _TIMEOUTS:
                if issubclass(cls, kind):
                    self._put(cls, connect, timeouts.connect_s, _is_of_code(settings, "timeouts.connect_s"))
                    self._put(cls, request, timeouts.request_s, _is_of_code(settings, "timeouts.request_s"))

    def _put(self, cls: type[Any], attribute: str, value: Any, spares_its_code: bool) -> None:
        if value is None or (spares_its_code and _is_of_its_code(cls, attribute)):
            return
        self._before.append((cls, attribute, cls.__dict__.get(attribute, _MISSING)))
        setattr(cls, attribute, value)
        cls.__init_subclass__()  # what a class of ours keeps because of it is made anew

    def undo(self) -> None:
        """Idempotent."""
        while self._before:
            cls, attribute, value = self._before.pop()
            if value is _MISSING:
                delattr(cls, attribute)
            else:
                setattr(cls, attribute, value)
            cls.__init_subclass__()


def _is_of_code(settings: Settings, key: str) -> bool:
    """Whether a call of ``install`` has said it, and no file."""
    origin = settings.origin(key)
    return origin is not None and not origin.is_file


def _is_of_its_code(cls: type[Any], attribute: str) -> bool:
    """Whether the locustfile has set it, here or in a base class of its own."""
    for each in cls.__mro__:
        if attribute in vars(each):
            return each.__module__.partition(".")[0] not in _LIBRARIES and vars(each)[attribute] is not None
    return False


def class_host(environment: Environment, settings: Settings) -> str | None:
    """The host that the classes are to be given one by one; None: Locust's way, which overrides them all, will do.

    It will not for ``embedded``, whose address each class is given when it is known, and not where ``run.host`` stands
    beside hosts of single classes, which win. ``environment.host`` is taken away then.
    """
    host = environment.host
    if host == EMBEDDED:
        environment.host = None
        return EMBEDDED
    if host is None or host != settings.run.host:
        return None
    has_own = any(rules.host is not None for rules in settings.users.values())
    spared = _is_of_code(settings, "run.host") and any(_is_of_its_code(cls, "host") for cls in environment.user_classes)
    if not has_own and not spared:
        return None
    environment.host = None
    return host
