"""Load shapes for locustfiles: `Steady`, `Burst`, `Ramp`, `Stress`, `Realistic`, `Stages`; `Shape` to build others on.

    class Load(shapes.Ramp):
        initial, users, steps, step_s = 10, 100, 9, 10

Their parameters are those of the schedule of the same name in `core.schedules`. All are abstract: Locust takes the class
of the locustfile that is not, or the extension the one under ``shape:`` in ``--ext-config`` (`shape_choice`).
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final

from locust_ext.core import schedules
from locust_ext.core.schedules import Piece, Plan, Stage, Target
from locust_ext.errors import ConfigError
from locust_ext.plugin.shape import ParameterShape, Shape
from locust_ext.plugin.stress import Stress


class PlannedShape(ParameterShape):
    """Follows a `Plan`: that of its `schedule`, whose parameters are attributes of the class, or one made by `make_plan`.

    class Saw(shapes.PlannedShape):
        def make_plan(self):
            return shapes.Plan([shapes.Piece(30, 0, 100), shapes.Piece(30, 100, 0)], repeats=True)
    """

    abstract = True

    def __init__(self) -> None:
        super().__init__()
        self._plan: Plan | None = None
        self._names_classes = False

    def make_plan(self) -> Plan:
        """The users over time; called once."""
        plan: Plan = self.make_schedule().plan()
        return plan

    @property
    def plan(self) -> Plan:
        """Made when it is first asked for. Raises `ConfigError`."""
        if self._plan is None:
            self._plan = self.make_plan()
            self._names_classes = bool(self._plan.user_classes)
        return self._plan

    def check(self) -> None:
        """Raise `ConfigError` for a wrong parameter, or a user class that is not in the run."""
        source, key = self.place
        valid = [cls.__name__ for cls in self._runner.environment.user_classes]
        for name in self.plan.user_classes:
            if name not in valid:
                near = get_close_matches(name, valid, n=1)
                raise ConfigError(
                    f"unknown user class, expected one of {', '.join(valid)}",
                    source=source,
                    key=key or type(self).__name__,
                    value=name,
                    nearest=near[0] if near else None,
                )

    @property
    def peak_users(self) -> int:
        return self.plan.peak_users

    @property
    def moves(self) -> bool:
        return self.plan.next_change_s(0.0) < self.plan.length_s

    def planned(self, elapsed_s: float) -> Target | None:
        return self.plan.at(elapsed_s)

    def next_change_s(self, elapsed_s: float) -> float:
        return self.plan.next_change_s(elapsed_s)

    def _classes(self, names: tuple[str, ...] | None) -> list[Any] | None:
        """Once Locust was told some classes, it stays with them: then all are named where the plan names none."""
        if names is None and self._names_classes:
            return list(self._runner.user_classes)
        return super()._classes(names)


class Steady(PlannedShape):
    """The same number of users all the time: ``users``, ``rate``, ``time_s``; see `core.schedules.steady`."""

    abstract = True
    schedule = schedules.Steady


class Burst(PlannedShape):
    """A base load and bursts: ``base_users``, ``burst_users``, ``burst_s``, ``idle_s``, ``bursts``, ``rate``."""

    abstract = True
    schedule = schedules.Burst


class Ramp(PlannedShape):
    """More and more users: ``initial``, ``users``, and ``steps`` with ``step_s``, or ``linear_s``; ``hold_s``."""

    abstract = True
    schedule = schedules.Ramp


class Realistic(PlannedShape):
    """A daily wave: ``night_users``, ``peak_users``, ``day_s``, ``start_hour``, ``days``, and users' ``profiles``."""

    abstract = True
    schedule = schedules.Realistic


class Stages(PlannedShape):
    """A list of levels: ``stages = [Stage(users=10, time_s=60), …]``, with ``rate`` and ``user_classes`` where wanted."""

    abstract = True
    schedule = schedules.Stages


SHAPES: Final[Mapping[str, type[ParameterShape]]] = {
    "steady": Steady,
    "burst": Burst,
    "ramp": Ramp,
    "stress": Stress,
    "realistic": Realistic,
    "stages": Stages,
}
"""The name under ``shape:`` in a settings file -> the shape."""

__all__ = [
    "SHAPES",
    "Burst",
    "ParameterShape",
    "Piece",
    "Plan",
    "PlannedShape",
    "Ramp",
    "Realistic",
    "Shape",
    "Stage",
    "Stages",
    "Steady",
    "Stress",
    "Target",
]
