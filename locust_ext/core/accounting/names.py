"""Names that statistics are kept under: bounded in number and length, and always valid text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from locust_ext.model import OTHER, Delta

Key = tuple[str, str, tuple[str, ...]]
"""Type, name and tags of an operation."""

MAX_LENGTH: Final = 300
"""Characters of a name; longer ones are cut and end with `…`."""
MAX_TAGS: Final = 16
MAX_TYPES: Final = 100


def clean(text: object) -> str:
    """`text` as a string that can travel: whole characters (a lone surrogate becomes `?`), at most 300 of them."""
    name = text if type(text) is str else str(text)
    if len(name) > MAX_LENGTH:
        name = name[: MAX_LENGTH - 1] + "…"
    try:
        name.encode()
    except UnicodeEncodeError:
        name = name.encode(errors="replace").decode()
    return name


def ordered(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Tags as they are counted under: in whatever order and how often they were given, the same ones are the same."""
    return tuple(sorted({clean(tag) for tag in tags})[:MAX_TAGS]) if tags else ()


def public_url(url: str) -> str:
    """`url` without what may be secret in it: user and password, query and fragment."""
    address, _, _ = clean(url).partition("#")
    address, _, _ = address.partition("?")
    scheme, separator, rest = address.rpartition("://")
    authority, slash, path = rest.partition("/")
    return scheme + separator + authority.rpartition("@")[2] + slash + path


class Names:
    """Gives each operation the key it is counted under: its own, or `__other__` of its type once the cap is reached."""

    def __init__(self, max_names: int, on_warning: Callable[[str], None]) -> None:
        self.max_names = max_names
        self.on_warning = on_warning
        self._known: dict[Key, Key] = {}
        self._distinct: set[Key] = set()
        self._types: set[str] = set()
        self._events: set[str] = set()
        self._is_full = self._warned = False

    def resolve(self, key: Key) -> Key:
        """The key to count `key` under; memory stays bounded whatever comes."""
        known = self._known.get(key)
        return self._new(key) if known is None else known

    def event(self, event: str) -> str:
        """The name to count pushes of `event` under; as many events as names, apart from those."""
        if event in self._events:
            return event
        name = clean(event)
        if name not in self._events:
            if len(self._events) >= self.max_names:
                return OTHER
            self._events.add(name)
        return name

    def look_for_cap(self, delta: Delta) -> None:
        """Warn, once, if the process that sent this had more names than it could keep apart."""
        if not self._warned and any(stats.name == OTHER for stats in delta.operations):
            self._warn("")

    def _warn(self, example: str) -> None:
        if not self._warned:
            self._warned = True
            self.on_warning(
                f"more than {self.max_names} distinct names of operations; further ones{example} are counted as {OTHER}. "
                "Give requests a name= without ids in it."
            )

    def forget(self) -> None:
        """A new run: the cap counts from zero, and may warn once more."""
        self._known.clear()
        self._distinct.clear()
        self._types.clear()
        self._events.clear()
        self._is_full = self._warned = False

    def _new(self, key: Key) -> Key:
        raw_type, raw_name, raw_tags = key
        if (
            self._is_full
            and not raw_tags
            and raw_type in self._types
            and type(raw_name) is str
            and raw_name.isascii()
            and len(raw_name) <= MAX_LENGTH
            and key not in self._distinct
        ):
            return (
                raw_type,
                OTHER,
                (),
            )  # what follows would come to the same, and take longer: a name with an id in it
        type_, name, tags = clean(raw_type), clean(raw_name), ordered(raw_tags)
        if type_ not in self._types:
            if len(self._types) >= MAX_TYPES:
                type_ = OTHER
            self._types.add(type_)
        found = (type_, name, tags)
        if found not in self._distinct and name != OTHER:
            if len(self._distinct) >= self.max_names:
                self._is_full = True
                self._warn(f", such as {type_} {name[:80]!r},")
                return (type_, OTHER, ())
            self._distinct.add(found)
        elif name == OTHER:
            found = (type_, OTHER, ())
        if len(self._known) < 2 * self.max_names + MAX_TYPES:
            self._known[key] = found
        return found
