"""Whether a run speaks for or against the system that it measured, and why."""

from __future__ import annotations

from typing import Final

from locust_ext.model import TARGET, Snapshot
from locust_ext.outputs.monitor_text import leaks
from locust_ext.outputs.text import count_text, shown

READY: Final = "Ready"
NOT_READY: Final = "Not ready"
CANNOT_SAY: Final = "Cannot say"
_NAMED: Final = 5


def readiness(snapshot: Snapshot) -> tuple[str, list[str]]:
    """`READY`, `NOT_READY` or `CANNOT_SAY`, and the reasons, the weightiest first.

    A run that is not valid, that is not over, in which nothing finished, or of which nothing was asked (no rule with
    data, no baseline that says anything), says nothing. Else a failed rule, a regression, or memory of the target that
    grows without end speaks against it. Warnings are named, but change nothing.
    """
    doubts = _doubts(snapshot)
    against = _against(snapshot)
    remarks = _remarks(snapshot)
    if doubts:
        return CANNOT_SAY, doubts + against + remarks
    if against:
        return NOT_READY, against + remarks
    passed = sum(rule.outcome in ("passed", "warned") for rule in snapshot.rules)
    kept = [f"{count_text(passed, 'rule')} kept"] if passed else []
    if snapshot.comparison is not None and snapshot.comparison.is_conclusive:
        kept.append(f"no regression against {shown(snapshot.comparison.baseline, 60)}")
    return READY, kept + remarks


def _doubts(snapshot: Snapshot) -> list[str]:
    doubts = [f"the measurement is not valid: {shown(reason, 200)}" for reason in snapshot.run.invalid_because]
    if not snapshot.run.complete:
        doubts.append("the run is not complete")
    if not snapshot.finished:
        doubts.append("no operation finished")
    if snapshot.run.exceptions:
        doubts.append(f"the locustfile raised {count_text(snapshot.run.exceptions, 'exception')}")
    comparison = snapshot.comparison
    if not snapshot.has_verdict:
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
    return against + [f"memory of {whose} {text}" for whose, text in leaks(snapshot, TARGET)]


def _remarks(snapshot: Snapshot) -> list[str]:
    remarks = []
    if snapshot.run.ended_because:
        remarks.append(f"the run was ended early: {shown(snapshot.run.ended_because, 200)}")
    warned = [shown(rule.name) for rule in snapshot.rules if rule.outcome == "warned"]
    if warned:
        more = ", …" if len(warned) > _NAMED else ""
        remarks.append(f"{count_text(len(warned), 'warning')}: {', '.join(warned[:_NAMED])}{more}")
    without = sum(rule.outcome == "no_data" for rule in snapshot.rules)
    if without and without < len(snapshot.rules):
        remarks.append(f"{count_text(without, 'rule')} without data")
    remarks += [f"memory of {whose} {text}" for whose, text in leaks(snapshot) if not whose.startswith(f"{TARGET} ")]
    return remarks
