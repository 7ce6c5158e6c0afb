"""A run's shape beside the users that there really were, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from locust_ext.model import Second, Snapshot
from locust_ext.outputs.text import count_text, shown


def followed(timeline: Sequence[Second]) -> tuple[int, int, int]:
    """Seconds with a plan, how many of them were on it, and by how many users the others were off at most.

    On plan: no fewer users and no more than were planned at some time from a row before to a row after, and in these
    rows there were once as many as are planned in this one (a peak of a second has to be reached).
    """
    planned = on_plan = furthest = 0
    for number, row in enumerate(timeline):
        if row.planned_users is None or row.users is None:
            continue
        near = timeline[max(number - 1, 0) : number + 2]
        off = _outside(row.users, [each.planned_users for each in near])
        if timeline[number + 1 : number + 2]:  # the last ones may still have been on their way
            off = max(off, _outside(row.planned_users, [each.users for each in near]))
        planned += row.length_s
        on_plan += 0 if off else row.length_s
        furthest = max(furthest, off)
    return planned, on_plan, furthest


def _outside(value: int, around: Sequence[int | None]) -> int:
    """How far ``value`` is from all that lies between the least and the most of ``around``."""
    known = [each for each in around if each is not None]
    return max(min(known) - value, value - max(known), 0)


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
