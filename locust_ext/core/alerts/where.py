"""Which part of the run a rule looks at: operations by type, name and tags, pushes by event, one worker or each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from locust_ext.model import OperationStats, PushStats

EACH_WORKER: Final = "*"


@dataclass(frozen=True, slots=True)
class Where:
    """A scope; what is empty or None narrows nothing."""

    types: tuple[str, ...] = ()
    name: str | None = None
    """A pattern, in which `*` stands for any text: of operations, or of pushes' events."""
    tags: frozenset[str] = frozenset()
    """Those that an operation must all have."""
    error_class: str | None = None
    """A pattern of failures' classes; key `class` in a file."""
    worker: str | None = None
    """As people call it; `*`: each by itself."""
    _hash: int = field(init=False, repr=False, compare=False)
    """Known beforehand: it is the key of what is read of a window, hundreds of times an evaluation."""

    def __post_init__(self) -> None:
        known = hash((self.types, self.name, self.tags, self.error_class, self.worker))
        object.__setattr__(self, "_hash", known)

    def __hash__(self) -> int:
        return self._hash

    @property
    def is_narrow(self) -> bool:
        """Whether it chooses among operations or pushes."""
        return bool(self.types or self.name is not None or self.tags)

    def covers(self, operation: OperationStats) -> bool:
        """Whether the operation's name and tags are meant, whatever its type."""
        if self.name is not None and not matches(self.name, operation.name):
            return False
        return not self.tags or self.tags.issubset(operation.tags)

    def covers_push(self, push: PushStats) -> bool:
        return self.name is None or matches(self.name, push.event)

    def failures(self, operation: OperationStats) -> int:
        """The operation's failures, of the class that is meant."""
        if self.error_class is None:
            return operation.failures
        return sum(count for name, count in operation.errors.items() if matches(self.error_class, name))

    @property
    def text(self) -> str:
        """For people, without the worker: `WS query [eu]`; empty where nothing is narrowed."""
        tags = [f"[{tag}]" for tag in sorted(self.tags)]
        error_class = [f"class {self.error_class}"] if self.error_class is not None else []
        parts: Iterable[str] = (*("/".join(self.types),), self.name or "", *tags, *error_class)
        return " ".join(part for part in parts if part)


EVERYTHING: Final = Where()


def matches(pattern: str, text: str) -> bool:
    """Whether `text` is what `pattern` describes; `*` stands for any text, every other character for itself."""
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == text
    last = rest.pop()
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    position, end = len(first), len(text) - len(last)
    for part in rest:
        found = text.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True
