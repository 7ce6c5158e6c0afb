"""The steps of a search for the limit as a chart of characters: p95 against users, a line for each step."""

from __future__ import annotations

import re
from math import log10
from typing import Final

from locust_ext.model import LimitSearch, LoadStep
from locust_ext.model.search import BAD, CONFIRM, GOOD, RECOVER
from locust_ext.outputs.search_text import OUTCOMES, short_ms

WIDTH: Final = 72
LOG_FROM: Final = 20.0
"""A scale is logarithmic where its largest value is so many times the smallest."""
_MARKS: Final = {GOOD: "#", BAD: "x"}
_DISCARDED: Final = "."
_LIMIT: Final = re.compile(r"(?:rule .*: response time )?p95 >=? ([\d,.]+) ?(µs|us|ms|s|min)")
_US: Final = {"µs": 1.0, "us": 1.0, "ms": 1e3, "s": 1e6, "min": 6e7}


def p95_limit_us(search: LimitSearch) -> float | None:
    """What the criteria allow as p95 (``p95 > 100 ms``), in microseconds, of several the least; None: there is none.

    A rule about some operations only is not meant: the steps' figures are about all.
    """
    found = [match for criterion in search.criteria if (match := _LIMIT.fullmatch(criterion))]
    limits = []
    for match in found:
        try:
            limits.append(float(match[1].replace(",", "")) * _US[match[2]])
        except ValueError:  # no number after all: the text came from a file
            continue
    return min((each for each in limits if each > 0), default=None)


def by_users(search: LimitSearch) -> list[LoadStep]:
    """The steps of the load, without those in which it had fallen; the fewest users first."""
    return sorted((step for step in search.steps if step.kind != RECOVER), key=lambda step: (step.users, step.start_s))


def is_logarithmic(smallest: float, largest: float) -> bool:
    """Whether a scale from one to the other would show nothing of the small values otherwise."""
    return smallest > 0 and largest / smallest >= LOG_FROM


def chart(search: LimitSearch) -> list[str]:
    """Lines of at most 72 columns, ASCII only; empty where nothing was measured.

    A bar is as long as the p95 (logarithmically, if the spread is large, which is said); ``|`` is the p95 that the
    search allows. Good steps are ``#``, bad ones ``x``, steps that say nothing ``.``.
    """
    steps = by_users(search)
    known = [step.p95_us for step in steps if step.p95_us]
    if not known:
        return []
    limit = p95_limit_us(search)
    smallest, largest = min([*known, *([limit] if limit else [])]), max([*known, *([limit] if limit else [])])
    is_log = is_logarithmic(smallest, largest)
    users = max(5, *(len(f"{step.users:,}") for step in steps))
    values = [short_ms(step.p95_us) if step.p95_us is not None else "none" for step in steps]
    value = max(3, *map(len, values))
    room = WIDTH - users - value - 4 - 12
    floor = 10 ** (log10(smallest) - 0.1) if is_log else 0.0

    def length(microseconds: float) -> int:
        if is_log:
            share = log10(max(microseconds, floor) / floor) / log10(largest / floor) if largest > floor else 1.0
        else:
            share = microseconds / largest
        return max(1, round(share * room))

    sustained, breaks_at = search.sustained, search.breaks_at
    at = None if limit is None else length(limit)
    lines = [f"{'users':>{users}}  {'p95':>{value}}" + ("  (logarithmic)" if is_log else "")]
    for step, text in zip(steps, values, strict=True):
        mark = _MARKS.get(step.outcome, _DISCARDED)
        bar = list((mark * (length(step.p95_us) if step.p95_us else 0)).ljust(room))
        if at is not None:
            bar[at - 1] = "|"
        said = "sustained" if step is sustained else "breaks" if step is breaks_at else _said(step)
        lines.append(f"{step.users:>{users},}  {text:>{value}}  {''.join(bar)}  {said}".rstrip())
    if limit is not None:
        lines.append(f"{'':>{users + value + 3 + (at or 0)}}| p95 {short_ms(limit)}".rstrip())
    return lines


def _said(step: LoadStep) -> str:
    if step.outcome in _MARKS:
        return "confirmed" if step.kind == CONFIRM and step.outcome == GOOD else ""
    return OUTCOMES.get(step.outcome, "")
