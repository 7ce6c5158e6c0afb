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
    ``{"op": "get" | "set" | "all" | "history" | "dump", "key", "value", "format", "filename"}``, as far as it applies.

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

    def __post_init__(self) -> None:
        for name in ("reads", "alls", "histories", "dumps"):
            check_share(name, getattr(self, name))
        if self.alls + self.histories > 1:
            raise ConfigError("expected alls + histories of at most 1", key="alls", value=self.alls + self.histories)
        if not isinstance(self.keys, int) or isinstance(self.keys, bool) or self.keys < 1:
            raise ConfigError("expected a whole number of at least 1", key="keys", value=self.keys)
        sizer("value_bytes", self.value_bytes)
        if isinstance(self.formats, str) or not self.formats:
            raise ConfigError("expected a tuple of formats, such as ('json',)", key="formats", value=self.formats)
        for one in self.formats:
            if one not in DUMP_FORMATS:
                raise unknown("formats", one, DUMP_FORMATS)

    def bind(self, rng: random.Random, client_id: str) -> BoundGenerator:
        return BoundContextOps(rng, self, client_id)


class BoundContextOps:
    """One user's context operations."""

    __slots__ = ("_filename", "_keys", "_options", "_random", "_rng", "_size")

    def __init__(self, rng: random.Random, options: ContextOps, client_id: str) -> None:
        self._rng = rng
        self._random = rng.random
        self._options = options
        self._keys = [f"{options.prefix}{index}" for index in range(options.keys)]
        self._size: Callable[[random.Random], int] = sizer("value_bytes", options.value_bytes)
        self._filename = "dump_" + _NOT_IN_FILE_NAMES.sub("_", client_id)

    def disconnected(self, channel: str | None = ALL) -> None:
        pass

    def generate(self) -> Message:
        options, draw = self._options, self._random
        if options.dumps and draw() < options.dumps:
            chosen = options.formats[int(draw() * len(options.formats))]
            return _http({"op": "dump", "format": chosen, "filename": self._filename})
        key = self._keys[int(draw() * len(self._keys))]
        if draw() >= options.reads:
            value = text(self._rng, self._size(self._rng))
            body = {"op": "set", "key": key, "value": MARKER + value[LENGTH:] if options.marker else value}
            if options.live:
                return Message("set", body, reply=_CONFIRMED, channel="live")
            return _http(body)
        kind = draw()
        if kind < options.alls:
            return _http({"op": "all"})
        if kind < options.alls + options.histories:
            return _http({"op": "history", "key": key})
        return _http({"op": "get", "key": key})


def _http(body: dict[str, Any]) -> Message:
    return Message(body["op"], body, channel="http")
