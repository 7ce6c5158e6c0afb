"""One line that says what a run came to."""

from __future__ import annotations

from typing import Final

from locust_ext.model import Snapshot
from locust_ext.outputs.search_text import answer, search_of
from locust_ext.outputs.text import count_text, percent_text, shown

GOOD: Final = "good: "
"""How the verdict on a run without a fault begins."""


def verdict(snapshot: Snapshot) -> str:
    """The result in one line: not valid, rules failed, regression, failures, good, …; `so far` while figures are missing.

    It is never good where the locustfile's own code raised exceptions, where rules were given and one failed or none had
    data, or where less was done than was asked for. Of a search for the limit it is the answer: its failures are those of
    steps that were meant to break.
    """
    search = search_of(snapshot)
    if not snapshot.run.valid:
        beside = "" if search is None else f"; {answer(search)}"
        return "not valid: " + "; ".join(shown(reason, 200) for reason in snapshot.run.invalid_because) + beside
    so_far = "" if snapshot.run.complete else " so far"
    failed = [shown(rule.name, 40) for rule in snapshot.rules if rule.outcome == "failed"]
    if failed:
        more = f" and {len(failed) - 3:,} more" if len(failed) > 3 else ""
        word = "rule" if len(failed) == 1 else "rules"
        return f"{word} failed{so_far}: {', '.join(failed[:3])}{more}; {_beside(snapshot)}"
    if snapshot.rules and not snapshot.has_verdict and search is None:
        return f"nothing to judge{so_far}: no rule had data; {_beside(snapshot)}"
    comparison = snapshot.comparison
    if comparison is not None and comparison.regressions:
        worse = count_text(len(comparison.regressions), "figure")
        return f"regression{so_far}: {worse} worse than in the baseline; {_beside(snapshot)}"
    if comparison is not None and not comparison.is_conclusive:
        why = "the baseline was not valid" if not comparison.baseline_valid else "no figure is in both runs"
        return f"nothing to compare with{so_far}: {why}; {_beside(snapshot)}"
    if snapshot.run.unfinished:
        return f"not all was done: {_beside(snapshot)}"
    return _of_itself(snapshot, so_far)


def _beside(snapshot: Snapshot) -> str:
    """The figures alone, beside a judgement that stands already."""
    unfinished = f"{shown(snapshot.run.unfinished, 200)}; " if snapshot.run.unfinished else ""
    return unfinished + _of_itself(snapshot, "").removeprefix(GOOD)


def _of_itself(snapshot: Snapshot, so_far: str) -> str:
    if not snapshot.finished and snapshot.warmup is not None and not snapshot.run.duration_s:
        return "no result so far: warming up" if so_far else "no result: the run ended within its warm-up"
    if not snapshot.finished:
        started = sum(operation.started for operation in snapshot.operations)
        if started or snapshot.traffic.messages_sent:
            what = (
                count_text(started, "operation") if started else count_text(snapshot.traffic.messages_sent, "message")
            )
            return f"no result{so_far}: {what} started, none finished"
        return f"no load{so_far}: nothing was sent"
    finished = count_text(snapshot.finished, "operation")
    search = search_of(snapshot)
    if search is not None:
        raised = count_text(snapshot.run.exceptions, "exception")
        return f"the locustfile raised {raised}; {answer(search)}" if snapshot.run.exceptions else answer(search)
    if snapshot.run.exceptions:
        raised = count_text(snapshot.run.exceptions, "exception")
        failed = f"{snapshot.failures:,} of {finished} failed" if snapshot.failures else f"{finished}, no failure"
        return f"the locustfile raised {raised}{so_far}; {failed}"
    if not snapshot.failures:
        return f"good{so_far}: {finished}, no failure"
    share = percent_text(snapshot.failures, snapshot.finished)
    often = "".join(f", most often {shown(error_class, 40)}" for error_class in list(snapshot.errors_by_class)[:1])
    return f"failures{so_far}: {snapshot.failures:,} of {finished} ({share}){often}"
