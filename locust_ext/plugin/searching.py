"""`Searching`: the search for the limit in a run, in the process that owns it: fed once a second, told step by step."""

from __future__ import annotations

from locust import FastHttpUser, User
from locust.env import Environment

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from locust_ext.core.accounting.recorder import Recorder
from locust_ext.core.alerts.rules import Rule
from locust_ext.core.schedules import Stress as Wanted
from locust_ext.core.search import Broken, Criteria, Search, Seen
from locust_ext.model import NO_WORK, Check, LimitSearch, Snapshot
from locust_ext.model.search import BAD, SEARCHING
from locust_ext.outputs.search_line import step_line
from locust_ext.outputs.search_text import answer
from locust_ext.plugin.stress import Stress
from locust_ext.plugin.users.base import RealTimeUser

logger = logging.getLogger("locust_ext")

MESSAGES: Final = frozenset({"WS", "SIO", "SEND"})
"""Types of operations that are messages; all others that are work are requests."""

MOMENT_S: Final = 0.1

RulesNow = Callable[[], tuple[Rule, ...]]


class Searching:
    """One an extension, also for runs without a search: then it does nothing. What it found stays until the next run."""

    def __init__(self, environment: Environment, recorder: Recorder) -> None:
        self._environment = environment
        self._recorder = recorder
        self._search: Search | None = None
        self._wanted: Wanted | None = None
        self._rules_now: RulesNow = tuple
        self._rules: tuple[Rule, ...] = ()
        self._criteria: Criteria | None = None
        self._warmup_s = 0.0
        self._connects_from_s = 0.0
        self._told = 0
        """Steps that the log has told of."""
        self._is_told = False
        """The log has told the answer."""
        self._kinds: set[bool] = set()
        """Whether what finished were messages: True, False, or both."""

    # ── the run ────────────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self, rules: RulesNow, warmup_s: float = 0.0) -> None:
        """A run starts, at ``test_start``; with a `Stress` shape a search does. ``rules``: as they are at any moment."""
        self._search, self._criteria = None, None
        self._told, self._is_told = 0, False
        self._kinds.clear()
        self._recorder.validate_only(None)
        shape = self._environment.shape_class
        if not isinstance(shape, Stress):
            return
        self._wanted, self._rules_now, self._warmup_s = shape.make_schedule(), rules, warmup_s
        criteria = self._criteria_now()
        self._search = shape.search = Search(
            self._wanted,
            self._breaks,
            criteria=criteria.texts,
            longest_request_s=longest_request_s(self._environment.user_classes),
        )
        self._recorder.begin_stretch()
        self._begin_connects(self._search)
        logger.info("The %s: until %s", self._wanted.text, ", or ".join(criteria.texts) or "the users are all there")

    def _criteria_now(self) -> Criteria:
        """Anew where a rule's limit was changed in the meantime."""
        rules = self._rules_now()
        if self._criteria is None or rules != self._rules:
            assert self._wanted is not None
            self._rules, self._criteria = rules, Criteria(self._wanted, rules)
        return self._criteria

    def _begin_connects(self, search: Search) -> None:
        self._connects_from_s = search.connects_from_s
        self._recorder.begin_connects()

    def _breaks(self, stretch: Snapshot, connects: Snapshot | None = None) -> Broken | None:
        return self._criteria_now()(stretch, connects)

    def look(self) -> None:
        """A second of the run has closed."""
        search, runner = self._search, self._environment.runner
        if search is None or search.is_over or runner is None:
            return
        so_far = self._recorder.stretch()
        if so_far.now_s < self._warmup_s:
            return
        users, stretch = runner.user_count, so_far.snapshot
        if stretch is not None:
            stretch = replace(stretch, run=replace(stretch.run, users=users))
            self._kinds |= {
                each.type in MESSAGES for each in stretch.operations if each.finished and each.type not in NO_WORK
            }
        seen = Seen(
            now_s=_at_end_of_second(so_far.now_s),
            users=users,
            connecting=so_far.states.get("connecting", 0),
            waiting=so_far.states.get("waiting", 0),
            failed=so_far.states.get("failed", 0),
            stretch=stretch,
            from_s=so_far.from_s,
            to_s=so_far.to_s,
            is_bottleneck=so_far.is_bottleneck,
            connects=so_far.connects,
        )
        if search.look(seen):
            self._recorder.begin_stretch()
        if search.connects_from_s != self._connects_from_s:
            self._begin_connects(search)
        self._tell()

    def end(self) -> None:
        """The run is about to stop: whatever its users do from now on is no part of the search. Idempotent."""
        if self._search is not None:
            self._search.end(self._recorder.stretch().now_s)
            self._tell()

    def _tell(self) -> None:
        result = self.result()
        assert result is not None
        assert self._search is not None
        for number, step in enumerate(result.steps[self._told :], self._told + 1):
            logger.info("%s", step_line(number, step, result.unit))
        self._told = len(result.steps)
        self._recorder.validate_only(self._search.measured)
        if result.outcome != SEARCHING and not self._is_told:
            self._is_told = True
            logger.info("The search for the limit is over: %s", answer(result))

    # ── what it found ──────────────────────────────────────────────────────────────────────────────────────────────

    def result(self) -> LimitSearch | None:
        """The answer, or what is known so far, of this run or of the last one; None: it was no search."""
        if self._search is None:
            return None
        assert self._criteria is not None
        unit = "operations" if len(self._kinds) > 1 else "requests" if self._kinds == {False} else "messages"
        return replace(self._search.result(), unit=unit, criteria=self._criteria.texts)

    @property
    def rule_names(self) -> frozenset[str]:
        """The rules that are criteria of this run's search: breaking them is what it is for."""
        return frozenset() if self._criteria is None else self._criteria.rule_names

    def judged(self, check: Check) -> Check:
        """What came of a rule; one that was a criterion has not failed, and says where it broke."""
        result = self.result()
        if result is None or check.name not in self.rule_names:
            return check
        named = f"rule {check.name}:"
        broke = [
            step.users
            for step in result.steps
            if step.outcome == BAD and any(text.startswith(named) for text in (step.because, *step.notes))
        ]
        if not broke and not check.value:
            return check  # it had no data: what that means is the rule's own business
        how = f"broke at {min(broke):,} users" if broke else "held wherever the search has looked"
        return replace(check, outcome="passed", text=f"criterion of the search: {how}")


def _at_end_of_second(now_s: float) -> float:
    """A look a moment after the end of a second is one at its end: the next one is then as fresh as can be."""
    return float(int(now_s)) if now_s - int(now_s) <= MOMENT_S else now_s


def longest_request_s(user_classes: Iterable[type[User]]) -> float | None:
    """The longest timeout of their requests, as far as their classes say it; None: a class does not."""
    found: list[float | None] = []
    for each in user_classes:
        if issubclass(each, RealTimeUser):
            found.append(each.request_timeout_s)
        else:
            found.append(each.network_timeout if issubclass(each, FastHttpUser) else None)
    known = [timeout_s for timeout_s in found if timeout_s is not None]
    return max(known) if known and len(known) == len(found) else None
