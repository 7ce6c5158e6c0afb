"""The values that rules look at: each window asked for once, each metric of a scope read once an evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

from locust_ext.core.alerts.reads import NOTHING, Values
from locust_ext.core.alerts.rules import Rule
from locust_ext.core.alerts.view import View
from locust_ext.core.alerts.where import EACH_WORKER, Where
from locust_ext.model import Snapshot

MAX_SUBJECTS: Final = 1000
"""Of one rule; further ones are not looked at."""
NO_WINDOW: Final = Snapshot()
WindowOf = Callable[[int | None, str | None], Snapshot]
"""Seconds (None: the whole run) and a worker's label (None: all of them) -> what is known of that time.

KeyError: that window is not kept."""


class Reader:
    """Reads metrics for the length of one evaluation."""

    def __init__(self, window: WindowOf, workers: tuple[str, ...]) -> None:
        self._window = window
        self._workers = workers
        self._views: dict[tuple[int | None, str | None], View] = {}
        self._values: dict[tuple[int | None, str, Where], Values] = {}

    def view(self, length_s: int | None, worker: str | None = None) -> View:
        found = self._views.get((length_s, worker))
        if found is None:
            try:
                window = self._window(length_s, worker)
            except KeyError:  # nobody keeps it (yet): nothing is known
                window = NO_WINDOW
            found = self._views[length_s, worker] = View(window)
        return found

    def values(self, rule: Rule, length_s: int | None) -> Values:
        """Subject -> value over the last `length_s` seconds (None: over the run)."""
        key = (length_s, rule.metric, rule.where)
        found = self._values.get(key)
        if found is None:
            found = self._values[key] = self._read(rule, length_s)
        return found

    def _read(self, rule: Rule, length_s: int | None) -> Values:
        metric, where = rule.of, rule.where
        if where.worker is None or metric.is_by_worker:
            return _usable(metric.read(self.view(length_s), where))
        wanted = self._workers[:MAX_SUBJECTS]
        if where.worker != EACH_WORKER:
            wanted = tuple(worker for worker in self._workers if worker == where.worker)
        read = {worker: metric.read(self.view(length_s, worker), where) for worker in wanted}
        return _usable({worker: values[""] for worker, values in read.items() if "" in values})

    def is_ticking(self, rule: Rule, length_s: int | None, subject: str) -> bool:
        """Whether time has passed in the window of this subject, so that nothing in it is 0."""
        if rule.where.worker is None or rule.of.is_by_worker:
            return self.view(length_s).seconds > 0
        return subject in self._workers and self.view(length_s, subject).seconds > 0


def _usable(values: Values) -> Values:
    if len(values) == 1:
        value = next(iter(values.values()))
        return values if math.isfinite(value) else NOTHING
    usable: Mapping[str, float] = {subject: value for subject, value in values.items() if math.isfinite(value)}
    return dict(list(usable.items())[:MAX_SUBJECTS])
