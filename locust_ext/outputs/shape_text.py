"""A run's shape beside the users that there really were, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from locust_ext.model import Second, Snapshot
from locust_ext.outputs.text import count_text, shown


def followed(timeline: Sequence[Second]) -> tuple[int, int, int]:
    """Seconds with a plan, how many of them were on it, and by how many users the others were off at most.

    On plan: no fewer users and no more than were planned at some time from a row before to a row after.
    """
    planned = on_plan = furthest = 0
    for number, row in enumerate(timeline):
        if row.planned_users is None or row.users is None:
            continue
        around = [
            each.planned_users for each in timeline[max(number - 1, 0) : number + 2] if each.planned_users is not None
        ]
        off = max(min(around) - row.users, row.users - max(around), 0)
        planned += row.length_s
        on_plan += 0 if off else row.length_s
        furthest = max(furthest, off)
    return planned, on_plan, furthest


def shape_text(snapshot: Snapshot) -> str:
    """`ramp, 10 to 100 users in 9 steps of 10 s: users on plan in 98 of 100 s, at most 4 users off`; empty: no shape."""
    shape = snapshot.run.shape
    if not shape:
        return ""
    planned, on_plan, furthest = followed(snapshot.timeline)
    if not planned:
        return shown(shape, 120)
    off = f", at most {count_text(furthest, 'user')} off" if furthest else ""
    return f"{shown(shape, 120)}: users on plan in {on_plan:,} of {planned:,} s{off}"
