"""`UserRules`: what the settings file and the command line say of user classes, put into them."""

from __future__ import annotations

from locust import User

from collections.abc import Collection, Iterable, Iterator, Mapping, MutableSequence, Sequence
from dataclasses import dataclass
from inspect import getattr_static
from pathlib import Path
from typing import Any

from locust_ext.errors import ConfigError
from locust_ext.plugin.users.base import RealTimeUser
from locust_ext.plugin.users.by_name import asked, check_name, made, names_of as names_of, nearest
from locust_ext.plugin.users.context import ContextServerUser
from locust_ext.plugin.users.keys import KEYS, closed_loop, keys_of, pacing, wait_time
from locust_ext.settings import Settings
from locust_ext.settings.users import UserSettings

_MISSING = object()
_SECTIONS = (("lifecycle", "pattern"), ("messages", "generator"))


@dataclass(frozen=True, slots=True)
class _Wish:
    """A class's attribute, its new value, and who says so: a file and the path of its key, or a flag."""

    cls: type[Any]
    attribute: str
    value: Any
    source: str
    key: str = ""
    is_secret: bool = False


class UserRules:
    """Overrides class attributes from `apply` on; `undo` brings back what the code says."""

    def __init__(self) -> None:
        self._before: list[tuple[type[Any], str, Any]] = []
        self._lists: list[tuple[MutableSequence[type[Any]], list[type[Any]]]] = []

    def apply(
        self,
        settings: Settings,
        patterns: Iterable[str],
        generators: Iterable[str],
        user_classes: Sequence[type[Any]],
        source: str = "--ext-config",
        available: Iterable[type[Any]] = (),
    ) -> None:
        """``patterns`` and ``generators`` are texts of the command line: ``NAME`` (for all classes that have one) or
        ``CLASS=NAME``; they stand before the file. Paths are relative to the file that names them; ``source`` stands for
        settings that do not know where they come from. ``available``: classes that the file may name although this run has
        no users of them. Undoes an earlier call. Raises `ConfigError`, and then does nothing.
        """
        self.undo()
        known = {cls.__name__: cls for cls in (*available, *user_classes) if issubclass(cls, User)}
        wishes = [*_of_file(settings, known, source)]
        for attribute, texts in (("pattern", patterns), ("generator", generators)):
            wishes += _of_flag(attribute, texts, settings, known, user_classes, source)
        self._put(wishes, known.values())
        try:
            for name, rules in settings.users.items():
                _check_whole(known[name], rules, settings, f"users.{name}", source)
        except ConfigError:
            self.undo()
            raise

    def select(
        self,
        settings: Settings,
        user_classes: MutableSequence[type[Any]],
        available: Iterable[type[Any]],
        source: str = "--ext-config",
        *,
        keeps: bool = False,
    ) -> None:
        """After `apply`: put classes into the run that only the settings give a weight, and take those out (unless it
        ``keeps`` them) that the settings give none.

        ``available``: the classes that the command line has not left out. Raises `ConfigError` if none is left.
        """
        before = list(user_classes)
        weighed = {
            name for name, rules in settings.users.items() if rules.weight is not None or rules.fixed_count is not None
        }
        has_users = {cls: bool(cls.weight or cls.fixed_count) for cls in (*before, *available)}
        wanted = [cls for cls in before if keeps or has_users[cls] or cls.__name__ not in weighed]
        wanted += [cls for cls in available if cls not in before and cls.__name__ in weighed and has_users[cls]]
        if before and not wanted:
            place = _place(settings, "users", source)[0]
            raise ConfigError("expected a class with a weight or a fixed_count above 0", source=place, key="users")
        if wanted != before:
            self._lists.append((user_classes, before))
            user_classes[:] = wanted

    def _put(self, wishes: Iterable[_Wish], known: Collection[type[Any]]) -> None:
        """A value that does not fit undoes them all. Classes that inherit from one that is changed stay as they are."""
        for wish in wishes:
            cls, attribute = wish.cls, wish.attribute
            for heir in known:
                if heir is not cls and issubclass(heir, cls) and attribute not in heir.__dict__:
                    self._set(heir, attribute, getattr_static(heir, attribute))
            self._set(cls, attribute, wish.value)
            try:
                cls.__init_subclass__()  # what the class keeps because of it is made anew
            except ConfigError as error:
                self.undo()
                told = error.under("", wish.source, shows_value=not wish.is_secret)
                told.key = wish.key or told.key
                raise told from None

    def _set(self, cls: type[Any], attribute: str, value: Any) -> None:
        self._before.append((cls, attribute, cls.__dict__.get(attribute, _MISSING)))
        setattr(cls, attribute, value)

    def undo(self) -> None:
        """Idempotent."""
        while self._lists:
            classes, before = self._lists.pop()
            classes[:] = before
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


def _place(settings: Settings, key: str, source: str) -> tuple[str, Path]:
    """Who says the value at this path, and the folder that paths in it are relative to."""
    origin = settings.origin(key)
    source = source if origin is None else origin.source
    return source, Path(source).parent


def _of_file(settings: Settings, known: Mapping[str, type[Any]], source: str) -> Iterator[_Wish]:
    """What the settings say of each class."""
    for section, attribute in _SECTIONS:
        for name in getattr(settings, section):
            key = f"{section}.{name}"
            file, folder = _place(settings, key, source)
            check_name(attribute, name, file, key)
            made(
                attribute, name, settings, file, key, folder
            )  # its parameters are looked at, even if no class uses them
    for name, rules in settings.users.items():
        key = f"users.{name}"
        cls = _known_class(name, known, _place(settings, key, source)[0], key)
        if rules.kind is not None:
            _check_kind(cls, rules.kind, _place(settings, f"{key}.kind", source)[0], f"{key}.kind")
        for given in UserSettings.model_fields:
            if getattr(rules, given) is not None and given != "kind":
                yield from _of_key(cls, given, rules, settings, f"{key}.{given}", source)


def _of_key(
    cls: type[Any], name: str, rules: UserSettings, settings: Settings, key: str, source: str
) -> Iterator[_Wish]:
    """What one key of a class sets."""
    source, folder = _place(settings, key, source)
    value = getattr(rules, name)
    if name not in (valid := keys_of(cls)):
        _refuse(cls, name, valid, rules, source, key)
    is_secret = settings.is_secret(key)
    if name in ("pattern", "generator"):
        chosen = value if isinstance(value, str) else next(iter(value))
        check_name(name, chosen, source, key, shows_value=not is_secret)
        yield _Wish(cls, name, made(name, value, settings, source, key, folder), source, key, is_secret)
    elif name == "pacing":
        yield _Wish(cls, name, pacing(value), source, key, is_secret)
    elif name == "think_time":
        is_tasked = not issubclass(cls, RealTimeUser) or cls._is_task_driven
        attribute, of = ("wait_time", wait_time) if is_tasked else ("pacing", closed_loop)
        yield _Wish(cls, attribute, of(value), source, key, is_secret)
    else:
        try:
            value = KEYS[name].make(value, folder)
        except ConfigError as error:
            raise error.under(key, source, shows_value=not is_secret) from None
        for attribute in KEYS[name].attributes(name, cls):
            yield _Wish(cls, attribute, value, source, key, is_secret)


def _of_flag(
    attribute: str,
    texts: Iterable[str],
    settings: Settings,
    known: Mapping[str, type[Any]],
    user_classes: Iterable[type[Any]],
    source: str,
) -> Iterator[_Wish]:
    flag = f"--ext-{attribute}"
    for class_name, name in asked(texts, flag, attribute):
        value = made(attribute, name, settings, flag, "", Path(source).parent)
        if class_name is not None:
            classes = [_free(_known_class(class_name, known, flag, ""), attribute, flag, "")]
        else:
            classes = [each for each in user_classes if _takes(each, attribute)]
            if not classes:
                raise ConfigError(f"expected a user class that takes a {attribute}", source=flag, value=name)
        for cls in classes:
            yield _Wish(cls, attribute, value, flag)


# ── what fits ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _known_class(name: str, known: Mapping[str, type[Any]], source: str, key: str) -> type[Any]:
    if name in known:
        return known[name]
    raise ConfigError(
        f"expected a user class of the locustfile, one of {', '.join(known) or 'none'}",
        source=source,
        key=key,
        value=name,
        nearest=nearest(name, known),
    )


def _check_kind(cls: type[Any], kind: str, source: str, key: str) -> None:
    from locust_ext.plugin.scenario import (
        KINDS,
    )  # it names RealisticUser, whose module needs the extension and so this one

    if not issubclass(cls, KINDS[kind]):
        its = [name for name, base in KINDS.items() if issubclass(cls, base)]
        raise ConfigError(
            f"expected the kind of the locustfile's class {cls.__name__}, {' or '.join(its) or 'which has none'}",
            source=source,
            key=key,
            value=kind,
        )


def _takes(cls: type[Any], attribute: str) -> bool:
    """Whether the code of the class leaves this to whoever runs it."""
    if not issubclass(cls, RealTimeUser) or cls.plays_profiles:
        return False
    return attribute == "pattern" or not cls._is_task_driven


def _free(cls: type[Any], attribute: str, source: str, key: str) -> type[Any]:
    if _takes(cls, attribute):
        return cls
    if not issubclass(cls, RealTimeUser):
        why = "it is none of locust_ext's"
    else:
        why = "it plays the profiles of realistic.profiles" if cls.plays_profiles else "it is driven by its tasks"
    raise ConfigError(
        f"expected a user class that takes a {attribute}: {why}", source=source, key=key, value=cls.__name__
    )


def _refuse(cls: type[Any], name: str, valid: Collection[str], rules: UserSettings, source: str, key: str) -> None:
    """Raises the `ConfigError` for a key that users of this class have not."""
    if name in ("pattern", "generator", "pacing", "think_time"):
        _free(cls, {"think_time": "pacing"}.get(name, name), source, key)
    if KEYS[name].only_for_tasks and issubclass(cls, KEYS[name].of):
        raise ConfigError(
            "expected this beside tasks only: users that a generator drives keep no pushes", source=source, key=key
        )
    what = f"users of kind {rules.kind}" if rules.kind is not None else f"users of {cls.__name__}"
    raise ConfigError(
        f"{what} do not have this key, expected one of {', '.join(valid)}",
        source=source,
        key=key,
        nearest=nearest(name, valid),
    )


def _check_whole(cls: type[Any], rules: UserSettings, settings: Settings, key: str, source: str) -> None:
    """What goes together, once everything is said. Raises `ConfigError`."""
    if not issubclass(cls, RealTimeUser) or cls._is_task_driven or cls.plays_profiles or cls.generator is not None:
        return
    for name in ("think_time", "pacing", "max_in_flight"):
        if getattr(rules, name) is not None:
            raise ConfigError(
                "expected a generator beside it: without one these users only listen",
                source=_place(settings, f"{key}.{name}", source)[0],
                key=f"{key}.{name}",
            )
    if rules.kind is not None and issubclass(cls, ContextServerUser) and cls.main is None:
        raise ConfigError(
            "this key is required, such as context_ops: without it users of this kind do nothing",
            source=_place(settings, key, source)[0],
            key=f"{key}.generator",
        )
