"""Rows of data for templates: accounts, search words, whatever a CSV file has."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from pathlib import Path
from typing import Any, Final

from locust_ext.core.messages.rows import SHARE, Numbers, rows_of
from locust_ext.core.messages.weights import unknown
from locust_ext.errors import ConfigError

Row = Mapping[str, str]

ORDERS: Final = ("random", "circular", "unique")


class Feeder:
    """The rows, and the order in which users get them.

    ``random``: any row, drawn for each message. ``circular``: one after the other, each user beginning at a row of its
    own. ``unique``: one row for each user, kept for all its messages and given to no other user of any worker, until
    the user ends (`Share.give_back`) or the next run begins. The users of worker ``worker_index`` of ``worker_count``
    get every ``worker_count``-th row; without these two, the worker is the one that `SHARE` tells of.
    """

    def __init__(
        self,
        rows: Iterable[Row],
        order: str = "random",
        *,
        worker_index: int | None = None,
        worker_count: int | None = None,
        source: str = "",
    ) -> None:
        self.rows = list(rows)
        self.order = order
        self.source = source
        """The file that the rows are from, for errors; empty if there is none."""
        if order not in ORDERS:
            raise unknown("order", order, ORDERS)
        if not self.rows:
            raise ConfigError("expected at least one row of data", source=source)
        if (worker_index, worker_count) != (None, None) and not 0 <= (worker_index or 0) < (worker_count or 1):
            raise ConfigError("expected 0 <= worker_index < worker_count", key="worker_index", value=worker_index)
        self.columns = tuple(self.rows[0])
        self._own: tuple[int, int] | None = None
        if worker_index is not None or worker_count is not None:
            self._own = (worker_index or 0, worker_count or 1)
        self._numbers = Numbers()
        self._run = SHARE.run

    @classmethod
    def from_csv(cls, path: str | Path, order: str = "random") -> Feeder:
        """The rows of a CSV file in UTF-8, whose first line names the columns. ``ConfigError`` if it is malformed."""
        source = str(path)
        try:
            with open(path, encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file)
                rows: list[dict[Any, Any]] = list(reader)
                columns = list(reader.fieldnames or ())
        except OSError as error:
            raise ConfigError(f"the file cannot be read: {error.strerror}", source=source) from error
        except (UnicodeDecodeError, csv.Error) as error:
            raise ConfigError("expected a CSV file in UTF-8", source=source) from error
        for index, column in enumerate(columns):
            if column in columns[:index]:
                raise ConfigError("expected each column's name once in the first line", source=source, value=column)
        for number, row in enumerate(rows, start=1):
            if None in row or None in row.values():
                raise ConfigError(
                    f"row {number} has {'more' if None in row else 'fewer'} cells than the first line has names",
                    source=source,
                )
        return cls(rows, order, source=source)

    def for_worker(self, index: int, number: int) -> Feeder:
        """The same rows, for worker ``index`` (from 0) of ``number``: with ``unique`` only its own."""
        return Feeder(self.rows, self.order, worker_index=index, worker_count=number, source=self.source)

    def bind(self, rng: random.Random, user: str = "") -> Callable[[], Row]:
        """The source of rows of the user with this client_id (empty: what it gets with ``unique`` stays taken).

        With ``unique``, ``ConfigError`` if this worker has no row left. Does not block; from the user's greenlet.
        """
        rows = self.rows
        draw = rng.random
        if self.order == "random":
            return lambda: rows[int(draw() * len(rows))]
        if self.order == "circular":
            turns = count(int(draw() * len(rows)))
            return lambda: rows[next(turns) % len(rows)]
        row = rows[self._index_for(user)]
        return lambda: row

    def __deepcopy__(self, _: dict[int, Any]) -> Feeder:
        """Itself: each user has a copy of a generator's object, and all copies share the rows."""
        return self

    def give_back(self, user: str) -> None:
        """The user has ended: its row is free for another user of this worker. Idempotent."""
        self._numbers.give_back(user)

    def _index_for(self, user: str) -> int:
        if self._run != SHARE.run:
            self._run, self._numbers = SHARE.run, Numbers()
        slot, workers = self._own or (SHARE.slot, SHARE.workers)
        if slot is None:
            raise ConfigError(
                "this worker came after the start of the run, when all rows had been shared out: its users have none",
                source=self.source,
            )
        number = self._numbers.of(user)
        if number is None:
            own = rows_of(slot, workers, len(self.rows))
            number = self._numbers.take(user, own)
            if number is None:
                its = f"; {own} of them are this worker's, of {workers}" if workers > 1 else ""
                raise ConfigError(
                    f"{len(self.rows)} rows are not enough: with unique each user needs its own{its}",
                    source=self.source,
                )
            if user:
                SHARE.holders.setdefault(user, []).append(self)
        return slot + number * workers
