"""What came of a rule at the end of a run: its alerts, and its value over the whole run, as one `Check`."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from locust_ext.core.alerts.metrics import METRICS, endpoint_series
from locust_ext.core.alerts.reads import Values
from locust_ext.core.alerts.rules import Rule
from locust_ext.core.alerts.units import Limit, value_text
from locust_ext.model import CRITICAL, SEVERITIES, WARNING, Check


@dataclass(slots=True)
class Fired:
    """The alerts of one rule at one severity that have fired."""

    limit: Limit
    """That of the worst value."""
    worst: float
    first_s: float
    subject: str
    """Whose the worst value was."""
    times: int = 0

    def note(self, limit: Limit, value: float, subject: str) -> None:
        """One more value that broke the limit."""
        if limit.excess(value) > self.limit.excess(self.worst):
            self.limit, self.worst, self.subject = limit, value, subject


@dataclass(frozen=True, slots=True)
class _Broken:
    """A limit that the value over the whole run breaks."""

    limit: Limit
    value: float
    subject: str


def check(rule: Rule, values: Values, fired: Mapping[str, Fired], *, judges_low: bool = True) -> Check:
    """The rule's outcome. `values`: over the whole run, by subject; `fired`: severity -> what fired while it went on.

    Failed: a critical alert fired, or the value over the run breaks a critical limit; with `fail` among the actions of
    a warning the same of that. Counts, and gauges that follow the users, are judged over the run only by a rule whose
    window is the run. Without any data the rule's `no_data` decides.
    """
    judges = rule.window_s is None or rule.of.judges_run
    broken = {each: _broken(rule, each, values, judges_low) for each in SEVERITIES} if judges else {}
    is_bad = {each: each in fired or broken.get(each) is not None for each in SEVERITIES}
    if is_bad[CRITICAL] or (is_bad[WARNING] and "fail" in rule.on_warning):
        outcome = "failed"
    elif is_bad[WARNING]:
        outcome = "warned"
    elif values:
        outcome = "passed"
    else:
        outcome = {"pass": "passed", "fail": "failed"}.get(rule.no_data, "no_data")
    subject, value = _shown(rule, values, broken)
    unit = rule.of.unit
    told = "" if value is None else f"{value_text(value, unit)}{_worker(subject)}"
    texts = list(_texts(rule, fired, broken, unit))
    if not values and not texts:
        texts = [_no_data(rule)]
    head = f"{rule.subject} {told} over the run" if told else rule.subject
    return Check(
        name=rule.name,
        outcome=outcome,
        text="; ".join([head, *texts]),
        value=told,
        limit=rule.limits_text,
    )


def _broken(rule: Rule, severity: str, values: Values, judges_low: bool) -> _Broken | None:
    """The limit of this severity that is broken furthest."""
    high, low = rule.limits(severity)
    worst: _Broken | None = None
    for limit in (high, low if judges_low else None):
        if limit is None:
            continue
        for subject, value in values.items():
            if limit.is_broken_by(value) and (worst is None or limit.excess(value) > worst.limit.excess(worst.value)):
                worst = _Broken(limit, value, subject)
    return worst


def _shown(rule: Rule, values: Values, broken: Mapping[str, _Broken | None]) -> tuple[str, float | None]:
    """Of several subjects the one that broke a limit, or came nearest to one."""
    worst = broken.get(CRITICAL) or broken.get(WARNING)
    if worst is not None:
        return worst.subject, worst.value
    if not values:
        return "", None
    high, low = rule.limits(CRITICAL)
    warning_high, warning_low = rule.limits(WARNING)
    is_low = (high or warning_high) is None and (low or warning_low) is not None
    choose = min if is_low else max
    return choose(values.items(), key=lambda item: item[1])


def _texts(rule: Rule, fired: Mapping[str, Fired], broken: Mapping[str, _Broken | None], unit: str) -> Iterator[str]:
    for severity in reversed(SEVERITIES):
        if (alerts := fired.get(severity)) is not None:
            times = "once" if alerts.times == 1 else f"{alerts.times:,} times"
            worst = value_text(alerts.worst, unit)
            yield (
                f"{severity} {alerts.limit.text} fired {times}, first at {alerts.first_s:.0f} s, "
                f"worst {worst}{_worker(alerts.subject)}"
            )
        elif (over_run := broken.get(severity)) is not None:
            yield f"{severity} {over_run.limit.text} is broken over the whole run"


def _worker(subject: str) -> str:
    return f" (worker {subject})" if subject else ""


def _no_data(rule: Rule) -> str:
    near = [] if rule.metric in METRICS else difflib.get_close_matches(rule.metric, METRICS, n=1, cutoff=0.8)
    hint = f" (the endpoint of --ext-target-metrics has not told it{f'; did you mean {near[0]}?' if near else ''})"
    hint = hint if endpoint_series(rule.metric) else ""
    meaning = {"pass": "which passes", "fail": "which fails"}.get(rule.no_data, "so nothing to judge")
    return f"no data, {meaning}{hint}"
