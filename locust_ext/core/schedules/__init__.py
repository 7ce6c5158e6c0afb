"""How many users there shall be at which moment: elapsed seconds in, a `Target` out.

A schedule's class holds its parameters and makes the `Plan`; to add one: a file here, a line in `SCHEDULES`, an adapter
in ``plugin/shapes.py`` and a model in ``settings/shapes.py``. `Stress` has no plan, since its users depend on how the
target fares: `core.search` carries it out.
"""

from __future__ import annotations

from typing import Final

from locust_ext.core.schedules.burst import Burst
from locust_ext.core.schedules.plan import Piece, Plan, Schedule, Target
from locust_ext.core.schedules.ramp import Ramp
from locust_ext.core.schedules.realistic import Realistic
from locust_ext.core.schedules.stages import Stage, Stages
from locust_ext.core.schedules.steady import Steady
from locust_ext.core.schedules.stress import Stress

SCHEDULES: Final[dict[str, type[Schedule]]] = {
    "steady": Steady,
    "burst": Burst,
    "ramp": Ramp,
    "realistic": Realistic,
    "stages": Stages,
}
"""The name under ``shape:`` in a settings file -> the schedule; ``stress`` is beside them, having no plan."""

__all__ = [
    "SCHEDULES",
    "Burst",
    "Piece",
    "Plan",
    "Ramp",
    "Realistic",
    "Schedule",
    "Stage",
    "Stages",
    "Steady",
    "Stress",
    "Target",
]
