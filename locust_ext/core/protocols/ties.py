"""Which push belongs to which send that went to everybody: by a marker in it, or by the key and value that were set."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import orjson

from locust_ext.core.marker import MARKER, marker_in


class FanOut:
    """A message with a marker in it comes back as the push `event`, to all connections of its channel.

    The default of ``fan_out = "system_event"``. ``to_sender``: False where the server leaves the sender out.
    """

    __slots__ = ("event", "to_sender")

    def __init__(self, event: str, *, to_sender: bool = True) -> None:
        self.event = event
        self.to_sender = to_sender

    def tie(self, payload: str | bytes, message: Any) -> Hashable | None:
        """What `payload` (decoded: `message`), a push named `event`, shares with the send; None: nothing."""
        if type(payload) is str and "~" not in payload:  # nearly always
            return None
        marker = marker_in(payload)
        return None if marker == MARKER else marker

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.event!r}, to_sender={self.to_sender})"


class KeyedFanOut(FanOut):
    """As `FanOut`; pushes without a marker are tied by the key and the value in their first argument."""

    __slots__ = ()

    def tie(self, payload: str | bytes, message: Any) -> Hashable | None:
        marker = marker_in(payload)
        if marker is not None and marker != MARKER:
            return marker
        args = message[1]
        told = args[0] if args else None
        if type(told) is not dict or "key" not in told or "value" not in told:
            return None
        return key_and_value(told["key"], told["value"])


def key_and_value(key: Any, value: Any) -> Hashable:
    """The tie of a change that carries no marker; equal where key and value are."""
    return (_comparable(key), _comparable(value))


def _comparable(value: Any) -> Hashable:
    if type(value) is str:
        return value
    return ("json", orjson.dumps(value, default=repr, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS))


def as_fan_out(value: FanOut | str | None) -> FanOut | None:
    """``value`` as a rule: the name of an event stands for ``FanOut(event)``."""
    return FanOut(value) if isinstance(value, str) else value


def filled(message: Any, marker: str) -> Any:
    """`message` with its empty marker filled in, a copy; the same object if there is none in it. Looks into JSON."""
    if isinstance(message, str):
        return message.replace(MARKER, marker) if MARKER in message else message
    if isinstance(message, bytes):
        return message.replace(MARKER.encode(), marker.encode())
    if isinstance(message, Mapping):
        changed = {key: filled(value, marker) for key, value in message.items()}
        return changed if any(changed[key] is not value for key, value in message.items()) else message
    if isinstance(message, Sequence):
        items = [filled(item, marker) for item in message]
        if any(new is not old for new, old in zip(items, message, strict=True)):
            return tuple(items) if isinstance(message, tuple) else items
    return message
