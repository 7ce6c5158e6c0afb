"""`UserRules`: patterns, generators and paces from the settings file and the command line, put into the user classes."""

from __future__ import annotations

from locust import between

import difflib
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from locust_ext.core.lifecycle import PATTERNS, pattern
from locust_ext.core.messages import GENERATORS
from locust_ext.core.messages.named import named
from locust_ext.core.pacing import ClosedLoop, OpenLoop
from locust_ext.errors import ConfigError
from locust_ext.plugin.users.base import RealTimeUser
from locust_ext.settings import Settings
from locust_ext.settings.users import PacingSettings

_MISSING = object()
_TABLES: Mapping[str, Mapping[str, Any]] = {"pattern": PATTERNS, "generator": GENERATORS}


def names_of(attribute: str) -> tuple[str, ...]:
    """The patterns or generators that a file or a flag can name: all but ``custom``, which is code."""
    return tuple(name for name in _TABLES[attribute] if name != "custom")


class UserRules:
    """Overrides class attributes from `apply` on; `undo` brings back what the code says."""

    def __init__(self) -> None:
        self._before: list[tuple[type[RealTimeUser], str, Any]] = []

    def apply(
        self,
        settings: Settings,
        patterns: Iterable[str],
        generators: Iterable[str],
        user_classes: Sequence[type[Any]],
        source: str = "--ext-config",
    ) -> None:
        """``patterns`` and ``generators`` are texts of the command line: ``NAME`` (for all classes that have one) or
        ``CLASS=NAME``; they stand before the file. Paths in the file are relative to its folder, ``source``'s. Undoes an
        earlier call. Raises `ConfigError`, and then does nothing.
        """
        self.undo()
        folder = Path(source).parent
        own = {cls.__name__: cls for cls in user_classes if issubclass(cls, RealTimeUser)}
        wanted: list[tuple[type[RealTimeUser], str, Any, str]] = []
        for section, attribute, given in (
            ("lifecycle", "pattern", settings.lifecycle),
            ("messages", "generator", settings.messages),
        ):
            for name in given:
                _check_name(attribute, name, source, f"{section}.{name}")
        for name, rules in settings.users.items():
            key = f"users.{name}"
            cls = _known_class(name, own, source, key)
            for attribute, chosen in (("pattern", rules.pattern), ("generator", rules.generator)):
                if chosen is not None:
                    asked = chosen if isinstance(chosen, str) else next(iter(chosen))
                    _check_name(attribute, asked, source, f"{key}.{attribute}")
                    value = _made(attribute, chosen, settings, source, f"{key}.{attribute}", folder)
                    wanted.append((_free(cls, attribute, source, f"{key}.{attribute}"), attribute, value, source))
            if rules.pacing is not None:
                wanted.append((_free(cls, "pacing", source, f"{key}.pacing"), "pacing", _pacing(rules.pacing), source))
        for attribute, texts in (("pattern", patterns), ("generator", generators)):
            flag = f"--ext-{attribute}"
            for class_name, name in _asked(texts, flag, attribute):
                value = _made(attribute, name, settings, flag, "", folder)
                if class_name is not None:
                    classes = [_free(_known_class(class_name, own, flag, ""), attribute, flag, "")]
                else:
                    classes = [each for each in own.values() if _takes(each, attribute)]
                    if not classes:
                        raise ConfigError(f"expected a user class that takes a {attribute}", source=flag, value=name)
                wanted += [(each, attribute, value, flag) for each in classes]
        self._put(wanted)

    def _put(self, wanted: Iterable[tuple[type[RealTimeUser], str, Any, str]]) -> None:
        """Each is a class, its attribute, the value, and who says so. A value that does not fit undoes them all."""
        for cls, attribute, value, source in wanted:
            self._before.append((cls, attribute, cls.__dict__.get(attribute, _MISSING)))
            setattr(cls, attribute, value)
            try:
                cls.__init_subclass__()  # what the class keeps because of it is made anew
            except ConfigError as error:
                self.undo()
                raise error.under("", source) from None

    def undo(self) -> None:
        """Idempotent."""
        while self._before:
            cls, attribute, value = self._before.pop()
            if value is _MISSING:
                delattr(cls, attribute)
            else:
                setattr(cls, attribute, value)
            cls.__init_subclass__()


def texts_of(option: Any) -> list[str]:
    """A flag's values; one text may hold several, between spaces or commas (as in an environment variable)."""
    given = [option] if isinstance(option, str) else option or []
    return [part for item in given for part in item.replace(",", " ").split()]


def _check_name(attribute: str, name: str, source: str, key: str) -> None:
    valid = names_of(attribute)
    if name not in valid:
        raise ConfigError(
            f"unknown name, expected one of {', '.join(valid)}",
            source=source,
            key=key,
            value=name,
            nearest=_near(name, valid),
        )


def _asked(texts: Iterable[str], flag: str, attribute: str) -> Iterable[tuple[str | None, str]]:
    for text in texts:
        class_name, equals, name = text.rpartition("=")
        _check_name(attribute, name, flag, "")
        yield (class_name if equals else None), name


def _near(name: str, valid: Iterable[str]) -> str | None:
    near = difflib.get_close_matches(name, list(valid), n=1)
    return near[0] if near else None


def _known_class(name: str, own: Mapping[str, type[RealTimeUser]], source: str, key: str) -> type[RealTimeUser]:
    if name in own:
        return own[name]
    raise ConfigError(
        f"expected a real-time user class of the locustfile, one of {', '.join(own) or 'none'}",
        source=source,
        key=key,
        value=name,
        nearest=_near(name, own),
    )


def _takes(cls: type[RealTimeUser], attribute: str) -> bool:
    """Whether the code of the class leaves this to whoever runs it."""
    return not cls.plays_profiles and (attribute == "pattern" or not cls._is_task_driven)


def _free(cls: type[RealTimeUser], attribute: str, source: str, key: str) -> type[RealTimeUser]:
    if _takes(cls, attribute):
        return cls
    why = "it plays the profiles of realistic.profiles" if cls.plays_profiles else "it is driven by its tasks"
    raise ConfigError(
        f"expected a user class that takes a {attribute}: {why}", source=source, key=key, value=cls.__name__
    )


def _made(attribute: str, chosen: Any, settings: Settings, source: str, key: str, folder: Path) -> Any:
    """The pattern or generator: from its own parameters, or those that stand under its name."""
    if isinstance(chosen, dict):
        ((name, parameters),) = chosen.items()
        key = f"{key}.{name}"
    else:
        name = chosen
        there = (settings.lifecycle if attribute == "pattern" else settings.messages).get(name)
        parameters = there or {}
        if there is not None:
            key = f"{'lifecycle' if attribute == 'pattern' else 'messages'}.{name}"
    try:
        if attribute == "pattern":
            return pattern({"pattern": name, **_lax(parameters)})
        return named(name, parameters if name in ("template", "replay") else _lax(parameters), time.time, folder)
    except ConfigError as error:
        raise error.under(key, source, shows_value=not settings.is_secret(key, error.key)) from None


def _lax(value: Any) -> Any:
    """Numbers that came as text (out of an environment variable) as numbers."""
    if isinstance(value, dict):
        return {key: _lax(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_lax(item) for item in value]
    if isinstance(value, str):
        for kind in (int, float):
            try:
                return kind(value)
            except ValueError:
                continue
    return value


def _pacing(wanted: PacingSettings) -> ClosedLoop | OpenLoop:
    if wanted.open_loop is not None:
        return OpenLoop(wanted.open_loop, is_poisson=wanted.poisson)
    think_time = wanted.closed_loop
    return ClosedLoop(between(*think_time) if isinstance(think_time, list) else think_time)
