"""Which rows of unique feeders this process may give to its users, and who holds which of them."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final, Protocol

from locust_ext.errors import ConfigError


class Holder(Protocol):
    """Whoever has given something to a user, and takes it back."""

    def give_back(self, user: str) -> None: ...


@dataclass(slots=True)
class Share:
    """This process's part of a run. One a process (`SHARE`), since a feeder is the same for all users of a process."""

    slot: int | None = 0
    """The worker's place among the workers with which the run has begun; None: it was not there, and has no rows."""
    workers: int = 1
    run: str = ""
    """The run's id: with a new one every row is free again."""
    holders: dict[str, list[Holder]] = field(default_factory=dict)
    """By the user's client_id."""

    def use(self, slot: int | None, workers: int, run: str) -> None:
        """What the master has told of the run; cheap where nothing has changed."""
        if (slot, workers, run) != (self.slot, self.workers, self.run):
            self.slot, self.workers, self.run = slot, workers, run

    def give_back(self, user: str) -> None:
        """The user has ended: what it held is free for others. Does not block; idempotent."""
        for holder in self.holders.pop(user, ()):
            holder.give_back(user)


SHARE: Final = Share()


class Numbers:
    """0, 1, 2 …, the lowest free one each time; each belongs to one user until it is given back."""

    def __init__(self) -> None:
        self._fresh = count()
        self._free: list[int] = []
        self._held: dict[str, int] = {}

    def of(self, user: str) -> int | None:
        """The number that the user holds; None: none."""
        return self._held.get(user)

    def take(self, user: str, below: int) -> int | None:
        """A free number less than ``below`` for the user (empty: for good); None: there is none."""
        number = heapq.heappop(self._free) if self._free else next(self._fresh)
        if number >= below:
            heapq.heappush(self._free, number)
            return None
        if user:
            self._held[user] = number
        return number

    def give_back(self, user: str) -> None:
        """The user's number is free again; nothing if it holds none."""
        number = self._held.pop(user, None)
        if number is not None:
            heapq.heappush(self._free, number)


def rows_of(slot: int, workers: int, rows: int) -> int:
    """How many of ``rows`` belong to the worker at ``slot`` of ``workers``: rows slot, slot + workers, …"""
    return len(range(slot, rows, workers))


def check_rows(generator: Any, users: int) -> None:
    """``ConfigError`` if a unique feeder anywhere in ``generator`` has fewer rows than ``users``."""
    for feeder in feeders_in(generator):
        if feeder.order == "unique" and len(feeder.rows) < users:
            raise ConfigError(
                f"{len(feeder.rows)} rows are not enough for {users} users: with unique each needs its own",
                source=feeder.source,
            )


def feeders_in(generator: Any) -> list[Any]:
    """The feeders of a generator and of its parts, as far as the generators are ours; each once."""
    from locust_ext.core.messages.feeder import Feeder

    found: list[Any] = []
    todo, seen = [generator], set()
    while todo:
        each = todo.pop()
        if id(each) in seen or isinstance(each, str | type):
            continue
        seen.add(id(each))
        feeder = getattr(each, "feeder", None)
        if isinstance(feeder, Feeder) and feeder not in found:
            found.append(feeder)
        if isinstance(each, dict):
            todo += each
        for name in ("mix", "source"):
            todo.append(getattr(each, name, None))
        parts = getattr(each, "parts", None)
        if isinstance(parts, tuple):
            todo += [pair[0] for pair in parts if isinstance(pair, tuple) and pair]
    return found
