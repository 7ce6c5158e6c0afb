"""Rows of data for templates: accounts, search words, whatever a CSV file has."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from pathlib import Path
from typing import Any, Final

from locust_ext.core.messages.weights import unknown
from locust_ext.errors import ConfigError

Row = Mapping[str, str]

ORDERS: Final = ("random", "circular", "unique")


class Feeder:
    """The rows, and the order in which users get them.

    ``random``: any row, drawn for each message. ``circular``: one after the other, each user beginning at a row of its
    own. ``unique``: one row for each user, kept for all its messages and given to no other user of any worker; the
    users of worker ``worker_index`` of ``worker_count`` get every ``worker_count``-th row, so the caller says which
    worker it is (:meth:`for_worker`).
    """

    def __init__(
        self,
        rows: Iterable[Row],
        order: str = "random",
        *,
        worker_index: int = 0,
        worker_count: int = 1,
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
        if not 0 <= worker_index < worker_count:
            raise ConfigError("expected 0 <= worker_index < worker_count", key="worker_index", value=worker_index)
        self.columns = tuple(self.rows[0])
        self._worker_index = worker_index
        self._worker_count = worker_count
        self._users = count()

    @classmethod
    def from_csv(cls, path: str | Path, order: str = "random") -> Feeder:
        """The rows of a CSV file in UTF-8, whose first line names the columns. ``ConfigError`` if it is malformed."""
        source = str(path)
        try:
            with open(path, encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file)
                rows: list[dict[Any, Any]] = list(reader)
        except OSError as error:
            raise ConfigError(f"the file cannot be read: {error.strerror}", source=source) from error
        except (UnicodeDecodeError, csv.Error) as error:
            raise ConfigError("expected a CSV file in UTF-8", source=source) from error
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

    def bind(self, rng: random.Random) -> Callable[[], Row]:
        """One user's source of rows. With ``unique``, ``ConfigError`` if this worker has none left."""
        rows = self.rows
        draw = rng.random
        if self.order == "random":
            return lambda: rows[int(draw() * len(rows))]
        if self.order == "circular":
            turns = count(int(draw() * len(rows)))
            return lambda: rows[next(turns) % len(rows)]
        index = self._worker_index + next(self._users) * self._worker_count
        if index >= len(rows):
            raise ConfigError(
                f"{len(rows)} rows are not enough for the users of {self._worker_count} worker(s): each needs its own",
                source=self.source,
            )
        row = rows[index]
        return lambda: row
