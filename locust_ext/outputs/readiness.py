"""Whether a run speaks for or against the system that it measured, and why."""

from __future__ import annotations

from typing import Final

from locust_ext.model import TARGET, Check, Snapshot
from locust_ext.model.search import GENERATOR_LIMIT, INTERRUPTED, NEVER_GOOD, NOT_REACHED, NOT_RECOVERED
from locust_ext.outputs.monitor_text import leaks
from locust_ext.outputs.search_text import answer, breach_text, is_answered, load_text, search_of
from locust_ext.outputs.text import count_text, shown

READY: Final = "Ready"
NOT_READY: Final = "Not ready"
CANNOT_SAY: Final = "Cannot say"
_NAMED: Final = 5
_CRITERION: Final = "criterion of the search"
"""How the text of a rule begins that a search was judged by: that it broke is what the search was for."""
_WHY_NO_LIMIT: Final = {
    NOT_REACHED: "the limit was not reached",
    GENERATOR_LIMIT: "more could not be tried: the generator was the limit",
    INTERRUPTED: "the run ended before the limit was found",
}


def readiness(snapshot: Snapshot) -> tuple[str, list[str]]:
    """`READY`, `NOT_READY` or `CANNOT_SAY`, and the reasons, the weightiest first.

    A run that is not valid, that is not over, in which nothing finished, or of which nothing was asked (no rule with
    data, no baseline that says anything), says nothing. Else a failed rule, a regression, or memory of the target that
    grows without end speaks against it. Warnings are named, but change nothing.

    A search for the limit asks for one: up to what it found to be sustained the system is ready. That no load was good,
    or that the target did not recover, speaks against it.
    """
    doubts = _doubts(snapshot)
    against = _against(snapshot)
    remarks = _remarks(snapshot)
    if doubts:
        return CANNOT_SAY, doubts + against + remarks
    if against:
        return NOT_READY, against + remarks
    passed = sum(rule.outcome in ("passed", "warned") and not _is_criterion(rule) for rule in snapshot.rules)
    kept = _up_to(snapshot) + ([f"{count_text(passed, 'rule')} kept"] if passed else [])
    if snapshot.comparison is not None and snapshot.comparison.is_conclusive:
        kept.append(f"no regression against {shown(snapshot.comparison.baseline, 60)}")
    return READY, kept + remarks


def _is_criterion(rule: Check) -> bool:
    return rule.text.startswith(_CRITERION)


def _up_to(snapshot: Snapshot) -> list[str]:
    """For how many users it is ready, and what happens beyond them."""
    search = search_of(snapshot)
    good = None if search is None else search.sustained
    if search is None or good is None:
        return []
    broken = search.breaks_at
    beyond = f"; at {broken.users:,}: {breach_text(broken)}" if broken is not None else ""
    return [f"for up to {count_text(good.users, 'user')} ({load_text(good, search.unit)}){beyond}"]


def _doubts(snapshot: Snapshot) -> list[str]:
    doubts = [f"the measurement is not valid: {shown(reason, 200)}" for reason in snapshot.run.invalid_because]
    if not snapshot.run.complete:
        doubts.append("the run is not complete")
    if not snapshot.finished:
        doubts.append("no operation finished")
    if snapshot.run.exceptions:
        doubts.append(f"the locustfile raised {count_text(snapshot.run.exceptions, 'exception')}")
    comparison = snapshot.comparison
    search = search_of(snapshot)
    if search is not None:
        if not is_answered(search) and search.outcome != NEVER_GOOD:
            doubts.append(answer(search))
    elif not snapshot.has_verdict:
        if snapshot.rules:
            doubts.append("no rule had data")
        elif comparison is None:
            doubts.append("nothing was asked of the run: no rules, no baseline")
        else:
            doubts.append("the baseline says nothing")
    return doubts


def _against(snapshot: Snapshot) -> list[str]:
    failed = [rule for rule in snapshot.rules if rule.outcome == "failed"]
    against = []
    for rule in failed[:_NAMED]:
        measured = f" ({shown(rule.value, 40)}, limit {shown(rule.limit, 80)})" if rule.value and rule.limit else ""
        against.append(f"rule failed: {shown(rule.name)}{measured}")
    if len(failed) > _NAMED:
        against.append(f"{count_text(len(failed) - _NAMED, 'further rule')} failed")
    if snapshot.comparison is not None and snapshot.comparison.regressions:
        worse = count_text(len(snapshot.comparison.regressions), "figure")
        against.append(f"regression: {worse} worse than in {shown(snapshot.comparison.baseline, 60)}")
    search = search_of(snapshot)
    if search is not None:
        # Its load rises, and so does the memory of what it loads.
        return against + ([answer(search)] if search.outcome in (NEVER_GOOD, NOT_RECOVERED) else [])
    return against + [f"memory of {whose} {text}" for whose, text in leaks(snapshot, TARGET)]


def _remarks(snapshot: Snapshot) -> list[str]:
    remarks = []
    if snapshot.run.ended_because:
        remarks.append(f"the run was ended early: {shown(snapshot.run.ended_because, 200)}")
    if snapshot.run.unfinished:
        remarks.append(f"not all was done: {shown(snapshot.run.unfinished, 200)}")
    if (search := search_of(snapshot)) is not None and is_answered(search):
        remarks += [_WHY_NO_LIMIT[search.outcome]] if search.outcome in _WHY_NO_LIMIT else []
        if not search.is_confirmed:
            remarks.append("what was sustained was not measured a second time")
    warned = [shown(rule.name) for rule in snapshot.rules if rule.outcome == "warned"]
    if warned:
        more = ", …" if len(warned) > _NAMED else ""
        remarks.append(f"{count_text(len(warned), 'warning')}: {', '.join(warned[:_NAMED])}{more}")
    without = sum(rule.outcome == "no_data" for rule in snapshot.rules)
    if without and without < len(snapshot.rules):
        remarks.append(f"{count_text(without, 'rule')} without data")
    is_search = snapshot.search is not None
    remarks += [
        f"memory of {whose} {text}"
        for whose, text in leaks(snapshot)
        if is_search or not whose.startswith(f"{TARGET} ")
    ]
    return remarks
