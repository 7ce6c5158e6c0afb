"""`ContextOps`: reads and writes of the context server, over HTTP, the writes on request over Socket.IO."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from locust_ext.core.marker import LENGTH, MARKER
from locust_ext.core.messages.message import ALL, BoundGenerator, Message
from locust_ext.core.messages.payload import Sizes, sizer, text
from locust_ext.core.messages.weights import check_share, unknown
from locust_ext.errors import ConfigError

DUMP_FORMATS: Final = ("json", "pretty", "csv", "txt")

_CONFIRMED = ("context_set_confirmed",)
_NOT_IN_FILE_NAMES = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True)
class ContextOps:
    """Operations of the context server, by default 80 % reads. The body says what to do:
    ``{"op": "get" | "set" | "all" | "history" | "dump", "key", "value", "format", "filename", "name"}``, as far as it
    applies; the name is that of the operation in the statistics.

    The channel is ``http``; with ``live`` a ``set`` goes over Socket.IO, channel ``live``, and is confirmed by
    ``context_set_confirmed`` with the same key and value. Each user dumps to a file name of its own, one a format, so
    that parallel dumps do not overwrite each other and the target's disk does not fill.
    """

    reads: float = 0.8
    """Share of ``get``, ``all`` and ``history`` among what is no dump."""
    keys: int = 100
    """How many keys: on each Socket.IO connect the whole context is sent, so this sizes that too."""
    value_bytes: Sizes = (16, 256)
    live: bool = False
    alls: float = 0.0
    """Share of ``all`` (the whole context) among the reads."""
    histories: float = 0.0
    """Share of ``history`` (of one key) among the reads. The server keeps every change: the answer grows."""
    dumps: float = 0.0
    """Share of ``dump`` among all operations."""
    formats: tuple[str, ...] = DUMP_FORMATS
    prefix: str = "key_"
    marker: bool = False
    """True: each value begins with a marker (and has at least its 30 bytes), which tells the receivers of the change
    when it was made; without it, only where the sender is in their own process."""
    own_entries: int = 0
    """Each user first sets so many keys of its own, one after the other: the context grows, and then is held. What
    follows, reads and writes as above, is about these keys; 0: all users share ``keys``."""
    by_format: bool = False
    """Whether dumps are counted by their format (``/ctx/dump csv``), and not all together."""

    def __post_init__(self) -> None:
        for name in ("reads", "alls", "histories", "dumps"):
            check_share(name, getattr(self, name))
        if self.alls + self.histories > 1:
            raise ConfigError("expected alls + histories of at most 1", key="alls", value=self.alls + self.histories)
        for name, least in (("keys", 1), ("own_entries", 0)):
            count = getattr(self, name)
            if not isinstance(count, int) or isinstance(count, bool) or count < least:
                raise ConfigError(f"expected a whole number of at least {least}", key=name, value=count)
        if not isinstance(self.by_format, bool):
            raise ConfigError("expected true or false", key="by_format", value=self.by_format)
        sizer("value_bytes", self.value_bytes)
        if isinstance(self.formats, str) or not self.formats:
            raise ConfigError("expected a tuple of formats, such as ('json',)", key="formats", value=self.formats)
        for one in self.formats:
            if one not in DUMP_FORMATS:
                raise unknown("formats", one, DUMP_FORMATS)

    def bind(self, rng: random.Random, client_id: str) -> BoundGenerator:
        return BoundContextOps(rng, self, client_id)

    def entry(self, rng: random.Random, index: int) -> tuple[str, str]:
        """The shared key of this number, from 0 on, and a value as the users write them."""
        return f"{self.prefix}{index}", text(rng, sizer("value_bytes", self.value_bytes)(rng))


class BoundContextOps:
    """One user's context operations."""

    __slots__ = ("_filename", "_keys", "_options", "_random", "_rng", "_size", "_unset")

    def __init__(self, rng: random.Random, options: ContextOps, client_id: str) -> None:
        self._rng = rng
        self._random = rng.random
        self._options = options
        own = options.own_entries
        prefix = f"{options.prefix}{client_id}_" if own else options.prefix
        self._keys = [f"{prefix}{index}" for index in range(own or options.keys)]
        self._unset = iter(self._keys if own else ())
        self._size: Callable[[random.Random], int] = sizer("value_bytes", options.value_bytes)
        self._filename = "dump_" + _NOT_IN_FILE_NAMES.sub("_", client_id)

    def disconnected(self, channel: str | None = ALL) -> None:
        pass

    def generate(self) -> Message:
        options, draw = self._options, self._random
        if (own := next(self._unset, None)) is not None:
            return self._set(own)
        if options.dumps and draw() < options.dumps:
            chosen = options.formats[int(draw() * len(options.formats))]
            body = {"op": "dump", "format": chosen, "filename": self._filename}
            return _http({**body, "name": f"/ctx/dump {chosen}"} if options.by_format else body)
        key = self._keys[int(draw() * len(self._keys))]
        if draw() >= options.reads:
            return self._set(key)
        kind = draw()
        if kind < options.alls:
            return _http({"op": "all"})
        if kind < options.alls + options.histories:
            return _http({"op": "history", "key": key})
        return _http({"op": "get", "key": key})

    def _set(self, key: str) -> Message:
        options = self._options
        value = text(self._rng, self._size(self._rng))
        body = {"op": "set", "key": key, "value": MARKER + value[LENGTH:] if options.marker else value}
        if options.live:
            return Message("set", body, reply=_CONFIRMED, channel="live")
        return _http(body)


def _http(body: dict[str, Any]) -> Message:
    return Message(body["op"], body, channel="http")
