"""`Criteria`: what has to hold at a step of load, judged by the code that judges the rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from locust_ext.core.alerts.reads import Values
from locust_ext.core.alerts.rules import Rule
from locust_ext.core.alerts.units import Limit, limit_of, value_text
from locust_ext.core.alerts.values import Reader
from locust_ext.core.schedules.stress import DEFAULT_ERROR_RATIO, DEFAULT_P95_MS, Stress
from locust_ext.model import CRITICAL, Snapshot

SHORTHANDS: Final = {
    "p95_ms": ("p95", "latency_p95"),
    "average_ms": ("average", "latency_average"),
    "error_ratio": ("error ratio", "error_ratio"),
    "connect_failure_ratio": ("connect failures", "connect_failure_ratio"),
}
"""A parameter of `Stress` -> what its criterion is called, and the metric that it is about."""
_COUNTS: Final = frozenset({"errors", "connect_failures", "drops", "reconnects", "inbox_dropped"})
"""Metrics that grow with the length of what is looked at: taken down to the rule's window."""
_VOLUMES: Final = ("/s", "B/s")
_SEARCH: Final = "search."
"""Metrics of the search's own answer."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A criterion that did not hold."""

    text: str
    """The criterion with its limit: ``p95 > 100 ms``, ``rule slow: response time p95 of WS query > 200 ms``."""
    value: str
    """What was measured, for people: ``143 ms``."""
    subject: str = ""
    """The worker whose value it is; empty: the whole run's."""
    is_generator: bool = False
    """It is about the processes that make the load, and says nothing of the target."""
    also: tuple[str, ...] = ()
    """The other criteria that did not hold, as notes: ``error ratio > 5 % too: 12 %``."""


@dataclass(frozen=True, slots=True)
class _Criterion:
    title: str
    """Before the limit."""
    rule: Rule
    limits: tuple[Limit, ...]
    is_generator: bool = False

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(f"{self.title} {limit.text}" for limit in self.limits)


class Criteria:
    """Those of a `Stress`, and with its `rules` the critical limits of the run's; `criteria(snapshot)` judges.

    A rule's limits are asked of the whole stretch instead of its window, without its `for`; counts are taken down to
    the window's length. What cannot serve: a limit from below on what grows with the users (`rate`, open connections),
    because a small load would break it; what is asked of each worker alone; and the metrics of the search itself.
    """

    def __init__(self, wanted: Stress, rules: Iterable[Rule] = ()) -> None:
        """`rules`: all of the run; which of them serve is said by `rule_names`."""
        found = [_shorthand(wanted, key) for key in SHORTHANDS if getattr(wanted, key) is not None]
        serving = [each for rule in rules if wanted.rules and (each := _of_rule(rule)) is not None]
        if not found and all(each.is_generator for each in serving):
            default = replace(wanted, p95_ms=DEFAULT_P95_MS, error_ratio=DEFAULT_ERROR_RATIO)
            found = [_shorthand(default, key) for key in ("p95_ms", "error_ratio")]
        self._criteria = (*found, *serving)
        self._seen: dict[str, set[str]] = {}
        """Rule of a tally -> the subjects that had a value before: what is not in the stretch now is 0."""
        self.texts = tuple(text for each in self._criteria for text in each.texts)
        """As their breach is written."""
        self.rule_names = frozenset(each.rule.name for each in serving)
        """The rules that serve as criteria, and so do not fail the run nor stop it."""

    def __call__(self, stretch: Snapshot) -> Broken | None:
        """What did not hold over this stretch; None: all held, or nothing was measured.

        Of several the one of the generator, which makes all others doubtful, or else the first, with the rest in `also`.
        """
        reader = Reader(lambda *_: stretch, ("",))
        broken = [found for each in self._criteria if (found := self._judge(each, reader)) is not None]
        if not broken:
            return None
        broken.sort(key=lambda each: not each.is_generator)
        return replace(broken[0], also=tuple(f"{each.text} too: {each.value}" for each in broken[1:]))

    def _judge(self, criterion: _Criterion, reader: Reader) -> Broken | None:
        rule = criterion.rule
        values = self._values(rule, reader)
        part = _part_of_window(rule, reader.view(None).seconds)
        worst: tuple[float, Limit, str, float] | None = None
        for limit in criterion.limits:
            for subject, value in values.items():
                if limit.is_broken_by(value * part):
                    excess = limit.excess(value * part)
                    if worst is None or excess > worst[0]:
                        worst = excess, limit, subject, value * part
        if worst is None:
            return None
        _, limit, subject, value = worst
        told = value_text(value, rule.of.unit)
        if part < 1:
            told += f" in {rule.window_s} s"
        return Broken(f"{criterion.title} {limit.text}", told, subject, criterion.is_generator)

    def _values(self, rule: Rule, reader: Reader) -> Values:
        values = reader.values(rule, None)
        if rule.of.is_tally:
            seen = self._seen.setdefault(rule.name, set())
            if reader.is_ticking(rule, None, ""):
                values = {**dict.fromkeys(seen, 0.0), **values}
            seen.update(values)
        return values


def _shorthand(wanted: Stress, key: str) -> _Criterion:
    title, name = SHORTHANDS[key]
    rule = Rule(name=title, metric=name)
    limit = limit_of(getattr(wanted, key), rule.of.unit, ">", at_most=rule.of.at_most, at_least=rule.of.at_least)
    return _Criterion(title, rule, (limit,))


def _of_rule(rule: Rule) -> _Criterion | None:
    """None: it has no limit that can serve."""
    metric = rule.of
    if rule.metric.startswith(_SEARCH) or (rule.where.worker is not None and not metric.is_by_worker):
        return None
    limits = tuple(_serving(rule))
    is_generator = metric.is_by_worker or rule.metric.startswith("master.")
    return _Criterion(f"rule {rule.name}: {rule.subject}", rule, limits, is_generator) if limits else None


def _serving(rule: Rule) -> Iterator[Limit]:
    metric = rule.of
    grows = metric.unit in _VOLUMES or not metric.judges_run
    for limit in rule.limits(CRITICAL):
        if limit is not None and not (limit.is_low and grows):
            yield limit


def _part_of_window(rule: Rule, seconds: float) -> float:
    """By what a value is multiplied so that it is one of the rule's window; 1: it is as it stands."""
    if rule.metric not in _COUNTS or rule.window_s is None or seconds <= rule.window_s:
        return 1.0
    return rule.window_s / seconds
