"""A step of a search for the limit in one line, for the log of a run that goes on."""

from __future__ import annotations

import re
from typing import Final

from locust_ext.model import LoadStep
from locust_ext.model.search import BAD, CONFIRM, CUT_SHORT, GENERATOR_LIMIT, GOOD, NO_DATA, RECOVER
from locust_ext.outputs.search_text import length_text, per_s_text, recovery_text, short_ms
from locust_ext.outputs.text import count_text, shown

_LIMIT: Final = re.compile(r"(.*) ([<>]=? [^<>]*)")
"""A criterion's title and its limit."""


def step_line(number: int, step: LoadStep, unit: str = "messages") -> str:
    """`step 5: 430 users good: p95 84 ms, 1,720 messages/s`; `step 6: 455 users break: p95 143 ms > 100 ms`."""
    users = count_text(step.users, "user")
    if step.kind == RECOVER:
        return f"step {number}: back at {users}: {recovery_text(step)}"
    again = "once more " if step.kind == CONFIRM else ""
    told = f"step {number}: {users} {again}{_outcome(step)}"
    notes = "".join(f"; {shown(note, 120)}" for note in step.notes)
    return f"{told}{_measured(step, unit)}{notes}"


def _outcome(step: LoadStep) -> str:
    if step.outcome == BAD:
        return f"{'breaks' if step.users == 1 else 'break'}: {_breach(step)}"
    return {
        GOOD: "good",
        GENERATOR_LIMIT: "not judged, the generator was the limit",
        NO_DATA: "not judged, nothing could be measured",
        CUT_SHORT: f"not judged, the run ended after {length_text(step.length_s)}",
    }[step.outcome]


def _breach(step: LoadStep) -> str:
    """The criterion with the value in its middle: `p95 143 ms > 100 ms`."""
    because, value = shown(step.because, 160) or "a criterion", shown(step.value, 60)
    criterion = _LIMIT.fullmatch(because)
    if criterion is None or not value:
        return f"{because} ({value})" if value else because
    return f"{criterion[1]} {value} {criterion[2]}"


def _measured(step: LoadStep, unit: str) -> str:
    """What it came to beside that: the p95 where nothing broke, the rate, the failures."""
    if not step.finished:
        return ""
    is_good = step.outcome == GOOD
    parts = [f"p95 {short_ms(step.p95_us)}"] if is_good and step.p95_us is not None else []
    parts.append(f"{per_s_text(step.per_s)} {shown(unit, 20)}/s")
    if step.failures:
        parts.append(count_text(step.failures, "failure"))
    return (": " if is_good else "; ") + ", ".join(parts)
