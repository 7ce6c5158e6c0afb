"""The shared key/value context and its history; plain data, told the time."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

HISTORY_KEPT: Final = 100_000
"""Changes remembered; older ones are forgotten, so that a server under load for days does not fill the memory."""


class ContextStore:
    """Keys with JSON values, and who changed them when."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.history: deque[dict[str, Any]] = deque(maxlen=HISTORY_KEPT)

    def set(self, key: str, value: object, who: str, timestamp: str) -> None:
        """Set ``key``; a set that changes nothing adds no entry to the history."""
        before = self.values.get(key)
        if before == value and type(before) is type(value):
            return
        self.values[key] = value
        self.history.append({"timestamp": timestamp, "key": key, "before": before, "after": value, "who": who})

    def changes(self, key: str | None = None, who: str | None = None) -> list[dict[str, Any]]:
        """The history, oldest first, of one key, of one author, or of both."""
        return [
            change
            for change in self.history
            if (key is None or change["key"] == key) and (who is None or change["who"] == who)
        ]
