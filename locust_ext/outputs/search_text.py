"""What a search for the limit came to, in sentences: the answer, its steps' outcomes, and what to call them."""

from __future__ import annotations

from typing import Final

from locust_ext.model import LimitSearch, LoadStep, Snapshot
from locust_ext.model.search import (
    BAD,
    CUT_SHORT,
    FOUND,
    GENERATOR_LIMIT,
    GOOD,
    INTERRUPTED,
    NEVER_GOOD,
    NO_DATA,
    NOT_REACHED,
    NOT_RECOVERED,
    RECOVER,
    SEARCHING,
)
from locust_ext.outputs.text import count_text, ms_text, shown

OUTCOMES: Final = {
    GOOD: "good",
    BAD: "BREAKS",
    GENERATOR_LIMIT: "generator",
    NO_DATA: "no data",
    CUT_SHORT: "cut short",
}
"""Outcome of a step -> what a table calls it."""
HEADINGS: Final = {
    SEARCHING: "goes on",
    FOUND: "found",
    NOT_REACHED: "not reached",
    GENERATOR_LIMIT: "the generator was the limit",
    NEVER_GOOD: "below every load that was tried",
    NOT_RECOVERED: "the target did not recover",
    NO_DATA: "no data",
    INTERRUPTED: "interrupted",
}
"""Outcome of a search -> the few words of a heading."""


def answer(search: LimitSearch) -> str:
    """What the search came to, in one sentence that is safe to show.

    ``sustains 430 users (1,720 messages/s, p95 84 ms); breaks at 455: p95 > 100 ms for 10 s; recovered in 6 s``
    """
    parts = [part for part in (_sustains(search), _breaks(search), _recovered(search)) if part]
    text = "; ".join(parts)
    if search.outcome == SEARCHING:
        phase = f" ({shown(search.phase, 80)})" if search.phase else ""
        return f"the search goes on{phase}" + (f"; so far: {text}" if text else "")
    if search.outcome == INTERRUPTED:
        return f"the run ended before the limit was found: {text or 'no step was measured'}"
    if search.outcome == NO_DATA and search.sustained is None:
        tried = max((step.users for step in search.steps), default=None)
        at = "" if tried is None else f" with {count_text(tried, 'user')}"
        return f"no answer: nothing could be measured{at}" + (f"; {text}" if text else "")
    if search.outcome == GENERATOR_LIMIT and search.sustained is None:
        return f"no answer: {text}"
    return text or "no answer: no step was measured"


def is_answered(search: LimitSearch) -> bool:
    """Whether some load is known to be sustained, so that the search says something to build on."""
    return search.sustained is not None and search.outcome != SEARCHING


def criteria_text(search: LimitSearch) -> str:
    """What broke a step: ``p95 > 100 ms, error ratio > 5 %``."""
    return ", ".join(shown(each, 100) for each in search.criteria)


def load_text(step: LoadStep, unit: str) -> str:
    """``1,720 messages/s, p95 84 ms``; of what was answered only."""
    p95 = "" if step.p95_us is None else f", p95 {short_ms(step.p95_us)}"
    return f"{per_s_text(step.per_s)} {shown(unit, 20)}/s{p95}"


def short_ms(microseconds: float) -> str:
    """`ms_text` without zeros behind the point: ``84 ms``, ``8.4 ms``."""
    number = ms_text(microseconds).removesuffix(" ms")
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number} ms"


def per_s_text(rate: float) -> str:
    """``1,720``, small ones with a decimal."""
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"


def length_text(seconds: float) -> str:
    """``10 s``, ``2.5 s``."""
    return f"{seconds:,.0f} s" if seconds >= 100 or abs(seconds - round(seconds)) < 0.05 else f"{seconds:.1f} s"


def breach_text(step: LoadStep) -> str:
    """Why a step was bad and how long it was looked at: ``p95 > 100 ms for 10 s``."""
    because = shown(step.because, 160) or "a criterion"
    is_limit = " > " in because or " < " in because or " >= " in because or " <= " in because
    return f"{because} for {length_text(step.length_s)}" if is_limit and step.length_s else because


def generator_step(search: LimitSearch) -> LoadStep | None:
    """The step of the fewest users at which the generator was the limit, also when it was made once more; None: none."""
    last = {step.users: step for step in search.steps if step.kind != RECOVER}  # in the order of time
    found = [step for step in last.values() if step.outcome == GENERATOR_LIMIT]
    return min(found, key=lambda step: step.users, default=None)


def _sustains(search: LimitSearch) -> str:
    step = search.sustained
    if step is None:
        return ""
    is_whole = search.outcome == FOUND
    told = (
        f"sustains {'' if is_whole else 'at least '}{count_text(step.users, 'user')} ({load_text(step, search.unit)})"
    )
    if search.outcome == NOT_REACHED:
        told += ": the most that were allowed"
    if not search.is_confirmed and search.outcome in (FOUND, NOT_REACHED, GENERATOR_LIMIT):
        told += ", not confirmed"
    return told


def _breaks(search: LimitSearch) -> str:
    broken, limit = search.breaks_at, generator_step(search)
    parts = []
    if broken is not None:
        users = count_text(broken.users, "user") if search.sustained is None else f"{broken.users:,}"
        already = " already" if search.outcome == NEVER_GOOD else ""
        parts.append(f"breaks at {users}{already}: {breach_text(broken)}")
    if search.outcome == GENERATOR_LIMIT and limit is not None:
        users = count_text(limit.users, "user") if search.sustained is None else f"{limit.users:,}"
        parts.append(f"at {users} the generator was the limit")
    if search.outcome == NO_DATA and search.sustained is not None:
        empty = [step.users for step in search.steps if step.outcome == NO_DATA]
        parts += [f"at {min(empty):,} nothing could be measured"] if empty else []
    return "; ".join(parts)


def _recovered(search: LimitSearch) -> str:
    step = search.recovery
    if search.outcome == NOT_RECOVERED:  # it may have been after another bad step than that of the fewest users
        step = next((each for each in reversed(search.steps) if each.kind == RECOVER), step)
    return "" if step is None else recovery_text(step)


def recovery_text(step: LoadStep) -> str:
    """Of a `RECOVER` step: ``recovered in 6 s``."""
    if step.recovered_s is not None:
        return f"recovered in {length_text(step.recovered_s)}" if step.recovered_s else "recovered at once"
    if step.outcome == CUT_SHORT:
        return f"had not recovered {length_text(step.length_s)} later, when the run ended"
    return f"did not recover within {length_text(step.length_s)}"


def search_of(snapshot: Snapshot) -> LimitSearch | None:
    """The run's search, once there is anything to tell of it."""
    search = snapshot.search
    return None if search is None or (search.outcome == SEARCHING and not search.steps) else search
