"""`Stress`: the shape that searches for the limit. How many users there are is decided second by second (`Search`)."""

from __future__ import annotations

import logging
from math import inf
from typing import Any

from locust_ext.core import schedules
from locust_ext.core.schedules import Target
from locust_ext.core.search import Search
from locust_ext.plugin.shape import ParameterShape

logger = logging.getLogger("locust_ext")


class Stress(ParameterShape):
    """Steps up until a criterion breaks, looks whether the target recovers, bisects, confirms what held, and ends the run.

    class Limit(shapes.Stress):
        max_users, initial, factor, step_s, p95_ms = 2000, 20, 2, 10, 100

    ``max_users`` is required; the others are those of `core.schedules.stress`. The extension gives each run its `search`.
    """

    abstract = True
    schedule = schedules.Stress

    def __init__(self) -> None:
        super().__init__()
        self.search: Search | None = None
        """That of the run; the extension puts it here at ``test_start``."""

    def check(self) -> None:
        """Raise `ConfigError` for a wrong parameter."""
        self.make_schedule()

    @property
    def peak_users(self) -> int:
        users: int = self.make_schedule().max_users
        return users

    def planned(self, elapsed_s: float) -> Target | None:
        if self.search is not None:
            return None if self.search.is_over else Target(self.search.planned(elapsed_s))
        if self._has_started:
            return None
        wanted: schedules.Stress = self.make_schedule()
        return Target(0 if wanted.rate else wanted.initial)

    def next_change_s(self, elapsed_s: float) -> float:
        return inf if self.search is None else self.search.next_change_s(elapsed_s)

    def _begin(self) -> Any:
        self.search = None
        return super()._begin()

    def _on_test_start(self, **_: Any) -> None:
        super()._on_test_start()
        environment = self._runner.environment
        if environment.shape_class is self and self.search is None:
            environment.process_exit_code = 1
            logger.error("%s needs locust_ext.install() in the locustfile: nobody measures its steps", self._name)

    @property
    def _name(self) -> str:
        return f"the shape {type(self).__name__}"
