"""`Criteria`: what has to hold at a step of load, judged by the code that judges the rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Protocol

from locust_ext.core.accounting.ledger import was_answered
from locust_ext.core.alerts.reads import Values
from locust_ext.core.alerts.rules import Rule
from locust_ext.core.alerts.units import Limit, limit_of, value_text
from locust_ext.core.alerts.values import Reader
from locust_ext.core.alerts.view import CONNECT
from locust_ext.core.alerts.where import matches
from locust_ext.core.schedules.stress import DEFAULT_P95_MS, Stress
from locust_ext.core.search.figures import Figures
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
_OF_CONNECTS: Final = frozenset({"connect_failures", "connect_failure_ratio"})
_OF_FAILURES: Final = frozenset({"error_ratio", "success_ratio", "errors", "errors_rate"}) | _OF_CONNECTS
"""Metrics that failures make worse, whose classes say whose fault they are."""
NOTHING_ANSWERED: Final = "nothing was answered"
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
    is_targets_own: bool = False
    """No generator, however slow, could be the reason: most of the failures are answers, or refusals, of the target."""
    others: tuple[Broken, ...] = ()
    """The other criteria that did not hold."""

    @property
    def also(self) -> tuple[str, ...]:
        """Those as notes: ``error ratio > 5 % too: 12 %``."""
        return tuple(each.as_note for each in self.others)

    @property
    def as_note(self) -> str:
        return f"{self.text} too: {self.value}" if self.value else f"{self.text} too"

    @property
    def targets_own(self) -> Broken | None:
        """The same with the first that `is_targets_own` before all others; None: none is."""
        every = (replace(self, others=()), *self.others)
        sure = next((each for each in every if each.is_targets_own), None)
        return None if sure is None else replace(sure, others=tuple(each for each in every if each is not sure))


class Breaks(Protocol):
    """What did not hold over a stretch; None: all did."""

    def __call__(self, stretch: Snapshot, connects: Snapshot | None = None) -> Broken | None:
        """`connects`: those of the step, from when its users were asked for, in place of the stretch's own."""


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

    @property
    def is_of_connects(self) -> bool:
        """It is about nothing but the opening of connections."""
        return self.rule.metric.startswith("connect_") or self.rule.where.types == (CONNECT,)


class Criteria:
    """Those of a `Stress`, and with its `rules` the critical limits of the run's; `criteria(stretch, connects)` judges.

    Where operations have finished and none was answered, the stretch is bad whatever is asked of it. A rule's limits are
    asked of the whole stretch instead of its window, without its `for`; counts are taken down to the window's length.
    What cannot serve: a limit from below on what grows with the users (`rate`, open connections), because a small load
    would break it; what is asked of each worker alone; and the metrics of the search itself.
    """

    def __init__(self, wanted: Stress, rules: Iterable[Rule] = ()) -> None:
        """`rules`: all of the run; which of them serve is said by `rule_names`."""
        found = [_shorthand(wanted, key) for key in SHORTHANDS if getattr(wanted, key) is not None]
        serving = [each for rule in rules if wanted.rules and (each := _of_rule(rule)) is not None]
        says_how_fast = wanted.p95_ms is not None or wanted.average_ms is not None
        if not says_how_fast and all(each.is_generator for each in serving):
            found.insert(0, _shorthand(replace(wanted, p95_ms=DEFAULT_P95_MS), "p95_ms"))
        self._criteria = (*found, *serving)
        self._seen: dict[str, set[str]] = {}
        """Rule of a tally -> the subjects that had a value before: what is not in the stretch now is 0."""
        self.texts = tuple(text for each in self._criteria for text in each.texts)
        """As their breach is written."""
        self.rule_names = frozenset(each.rule.name for each in serving)
        """The rules that serve as criteria, and so do not fail the run nor stop it."""

    def __call__(self, stretch: Snapshot, connects: Snapshot | None = None) -> Broken | None:
        """What did not hold over this stretch; None: all held, or nothing was measured.

        `connects`: what criteria about connects look at in its place, as `Breaks` says. Of several broken ones the one of
        the generator, which makes all others doubtful, or else the first, with the rest in `others`.
        """
        reader = Reader(lambda *_: stretch, ("",))
        of_connects = reader if connects is None else Reader(lambda *_: connects, ("",))
        broken = [Broken(NOTHING_ANSWERED, "")] if Figures.of(stretch).is_unanswered else []
        for each in self._criteria:
            found = self._judge(each, of_connects if each.is_of_connects else reader)
            broken += [] if found is None else [found]
        if not broken:
            return None
        broken.sort(key=lambda each: not each.is_generator)
        return replace(broken[0], others=tuple(broken[1:]))

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
        is_targets_own = rule.metric in _OF_FAILURES and _is_targets_own(rule, reader)
        return Broken(f"{criterion.title} {limit.text}", told, subject, criterion.is_generator, is_targets_own)

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


def _is_targets_own(rule: Rule, reader: Reader) -> bool:
    """Whether more than half of the failures that the rule is about are answers of the target, or connects it refused."""
    view, where = reader.view(None), rule.where
    operations = view.operations(where, CONNECT) if rule.metric in _OF_CONNECTS else view.counted(where)
    counted = [
        (name, count)
        for each in operations
        for name, count in each.errors.items()
        if where.error_class is None or matches(where.error_class, name)
    ]
    its_own = sum(count for name, count in counted if name == "refused" or was_answered(name))
    return its_own * 2 > sum(count for _, count in counted)


def _part_of_window(rule: Rule, seconds: float) -> float:
    """By what a value is multiplied so that it is one of the rule's window; 1: it is as it stands."""
    if rule.metric not in _COUNTS or rule.window_s is None or seconds <= rule.window_s:
        return 1.0
    return rule.window_s / seconds
