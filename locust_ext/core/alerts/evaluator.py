"""`Evaluator`: judges the rules once a second, keeps the alerts and their history, and says at the end who failed."""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from locust_ext.core.alerts.checks import Fired, check
from locust_ext.core.alerts.reads import Values
from locust_ext.core.alerts.rules import LIMITS, Rule
from locust_ext.core.alerts.spell import Spell
from locust_ext.core.alerts.units import Limit, value_text
from locust_ext.core.alerts.values import MAX_SUBJECTS, Reader, WindowOf
from locust_ext.errors import ConfigError
from locust_ext.model import PENDING, SEVERITIES, Alert, AlertEvent, Check

MAX_ALERTS: Final = 1000
"""Alerts that are kept, and that may be unresolved; beyond them the oldest resolved ones leave, or none begins."""
MAX_EVENTS: Final = 1000
_RESOURCES: Final = ("generator.", "master.", "target.")
_Key = tuple[int, str, str]
"""Number of the rule, severity, subject."""


class Evaluator:
    """The rules at work. Pure: it is handed the time and the windows, and never waits; any one greenlet.

    Warning and critical are two alerts of a rule, each with its own limit and its own spell for each subject; both may
    fire at once. A low limit is judged when its window has been filled once while users were there (those of
    generators, master and target at once). Metrics that are not there keep an alert as it is for 30 s.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = list(rules)
        self.begin()

    def begin(self) -> None:
        """A new run: no alert, no history, ids from 1. Limits that were changed stay changed."""
        self._active: dict[_Key, Spell] = {}
        self._subjects: dict[int, set[str]] = {}
        """Rule -> those with a spell."""
        self._kept: dict[int, Spell] = {}
        self._events: deque[AlertEvent] = deque(maxlen=MAX_EVENTS)
        self._fired: dict[tuple[int, str], Fired] = {}
        self._latest: dict[int, Values] = {}
        self._seen: dict[int, set[str]] = {}
        """Rule of a tally -> the subjects that had a value in this run: what is not in the window now is 0."""
        self._workers: tuple[str, ...] = ("",)
        self._users_since_s: float | None = None
        self._next_id = 1

    @property
    def rules(self) -> tuple[Rule, ...]:
        """With their limits as they are now."""
        return tuple(self._rules)

    @property
    def windows(self) -> set[tuple[int | None, bool]]:
        """The windows to keep: seconds (None: the whole run), and whether for each worker by itself too."""
        found: set[tuple[int | None, bool]] = set()
        for rule in self._rules:
            by_worker = rule.where.worker is not None and not rule.of.is_by_worker
            if rule.window_s is not None:
                found.add((rule.window_s, by_worker))
            elif by_worker:
                found.add((None, True))
        return found

    # ── while the run goes on ──────────────────────────────────────────────────────────────────────────────────────

    def evaluate(self, now_s: float, window: WindowOf, workers: tuple[str, ...] = ("",)) -> tuple[AlertEvent, ...]:
        """Judge every rule; gives the changes, in the order of rules. `now_s` counts from the start of the run.

        `workers` are the labels of those that have reported. The windows' `run.users` says whether there are users (0:
        none; None: not known, which counts as some).
        """
        self._workers = workers
        reader = Reader(window, workers)
        events: list[AlertEvent] = []
        for number, rule in enumerate(self._rules):
            if rule.window_s is None:
                continue
            values = self._values(number, rule, reader)
            self._follow_users(now_s, reader.view(rule.window_s).snapshot.run.users)
            if not values and number not in self._subjects:
                continue
            judges_low = self._judges_low(rule, reader, now_s)
            active = self._subjects.get(number, ())
            for severity in SEVERITIES:
                high, low = rule.limits(severity)
                for subject, value in values.items():
                    broken = high if high is not None and high.is_broken_by(value) else None
                    if broken is None and low is not None and judges_low and low.is_broken_by(value):
                        broken = low
                    if broken is None and subject not in active:
                        continue
                    self._judge((number, severity, subject), broken, value, judges_low, now_s, events)
            for subject in [each for each in active if each not in values]:
                for severity in SEVERITIES:
                    self._miss((number, severity, subject), now_s, events)
        self._events.extend(events)
        return tuple(events)

    def finish(self, now_s: float, why: str) -> tuple[AlertEvent, ...]:
        """What was looked at is over: all spells end. The events of those that had fired; `begin` is to come."""
        events: list[AlertEvent] = []
        for key, spell in list(self._active.items()):
            self._after(key, spell, spell.end(now_s, why), events)
        self._events.extend(events)
        return tuple(events)

    def _values(self, number: int, rule: Rule, reader: Reader) -> Values:
        values = reader.values(rule, rule.window_s)
        if rule.of.is_tally:
            seen = self._seen.setdefault(number, set())
            gone = [each for each in seen if each not in values and reader.is_ticking(rule, rule.window_s, each)]
            if gone:
                values = {**values, **dict.fromkeys(gone, 0.0)}
            if len(seen) < MAX_SUBJECTS:
                seen.update(values)
        self._latest[number] = values
        return values

    def _follow_users(self, now_s: float, users: int | None) -> None:
        if users == 0:
            self._users_since_s = None
        elif self._users_since_s is None:
            self._users_since_s = now_s if users is not None else float("-inf")

    def _judges_low(self, rule: Rule, reader: Reader, now_s: float) -> bool:
        """Whether there were users for as long as the window, which has been filled."""
        if rule.metric.startswith(_RESOURCES):
            return True
        length_s = rule.window_s or 0
        since_s = self._users_since_s
        return since_s is not None and now_s - since_s >= length_s and reader.view(length_s).seconds >= length_s

    def _judge(
        self,
        key: _Key,
        broken: Limit | None,
        value: float,
        judges_low: bool,
        now_s: float,
        events: list[AlertEvent],
    ) -> None:
        number, severity, _ = key
        rule = self._rules[number]
        spell = self._active.get(key)
        if spell is not None and broken is not None and broken.is_low != spell.limit.is_low:
            self._after(key, spell, spell.end(now_s), events)  # from far above to far below, or the other way round
            spell = None
        if spell is None:
            if broken is not None:
                self._begin(key, broken, value, now_s, events)
            return
        if broken is not None:
            self._after(key, spell, spell.broken(rule, broken, value, now_s), events)
            return
        limit = rule.limits(severity)[spell.limit.is_low]
        if limit is not None and limit.is_low and not judges_low:
            self._after(key, spell, spell.missing(now_s), events)
        else:
            self._after(key, spell, spell.kept_by(rule, limit, value, now_s), events)

    def _begin(self, key: _Key, limit: Limit, value: float, now_s: float, events: list[AlertEvent]) -> None:
        number, severity, subject = key
        rule = self._rules[number]
        if len(self._active) >= MAX_ALERTS:
            if not rule.for_s:
                self._note_fired(number, severity, limit, value, now_s, subject)
            return
        spell = Spell(self._next_id, rule, severity, subject, limit, value, now_s, now_s, value)
        self._next_id += 1
        self._active[key] = spell
        self._subjects.setdefault(number, set()).add(subject)
        if rule.for_s:
            events.append(spell.begun())
        self._after(key, spell, spell.broken(rule, limit, value, now_s), events)

    def _miss(self, key: _Key, now_s: float, events: list[AlertEvent]) -> None:
        spell = self._active.get(key)
        if spell is None:
            return
        number, severity, _ = key
        if self._rules[number].limits(severity)[spell.limit.is_low] is None:
            self._after(key, spell, spell.end(now_s, "its limit was taken away"), events)
        else:
            self._after(key, spell, spell.missing(now_s), events)

    def _after(self, key: _Key, spell: Spell, event: AlertEvent | None, events: list[AlertEvent]) -> None:
        """Keep what a spell's change leads to."""
        number, severity, subject = key
        if event is not None:
            events.append(event)
        if spell.is_over:
            del self._active[key]
            if not any((number, each, subject) in self._active for each in SEVERITIES):
                self._subjects[number].discard(subject)
                if not self._subjects[number]:
                    del self._subjects[number]
        elif event is not None:
            self._keep(spell)
            self._note_fired(number, severity, spell.limit, spell.value, event.at_s, subject)
        if spell.fired_s is not None and spell.is_broken:
            self._fired[number, severity].note(spell.limit, spell.worst, subject)

    def _keep(self, spell: Spell) -> None:
        self._kept[spell.id] = spell
        if len(self._kept) > MAX_ALERTS:
            oldest = min((each.id for each in self._kept.values() if each.is_over), default=None)
            if oldest is not None:
                del self._kept[oldest]

    def _note_fired(self, number: int, severity: str, limit: Limit, value: float, now_s: float, subject: str) -> None:
        fired = self._fired.get((number, severity))
        if fired is None:
            fired = self._fired[number, severity] = Fired(limit, value, now_s, subject)
        fired.times += 1
        fired.note(limit, value, subject)

    # ── the alerts ─────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """Those that fired, in the order of their ids; at most a thousand."""
        return tuple(self._kept[number].alert() for number in sorted(self._kept))

    @property
    def pending(self) -> tuple[Alert, ...]:
        """Those that wait for their rule's `for`, in the order of their ids."""
        spells = sorted((each for each in self._active.values() if each.state == PENDING), key=lambda each: each.id)
        return tuple(spell.alert() for spell in spells)

    @property
    def events(self) -> tuple[AlertEvent, ...]:
        """Every change, in the order of time; the last thousand."""
        return tuple(self._events)

    def actions(self, event: AlertEvent) -> tuple[str, ...]:
        """What the event's rule wants done at its severity."""
        rule = next((each for each in self._rules if each.name == event.rule), None)
        return () if rule is None else rule.actions(event.severity)

    def acknowledge(self, alert_id: int, now_s: float) -> bool:
        """Somebody has seen this alert; False: there is none of this id, or it is not firing. One event."""
        spell = self._kept.get(alert_id)
        event = None if spell is None else spell.acknowledge(now_s)
        if event is None:
            return False
        self._events.append(event)
        return True

    def set_threshold(self, rule: str, severity: str, value: str | float | None) -> None:
        """Change a limit: a text (`> 200ms`), a number in the metric's unit, or None for no such limit.

        `severity` is `warning`, `critical`, `low_warning` or `low_critical`. An alert that fires and whose limit is no
        longer broken resolves at the next evaluation. `ConfigError` for an unknown rule or severity, for what is no
        limit of this metric, and for a limit that contradicts the rule's others; nothing is changed then.
        """
        names = [each.name for each in self._rules]
        if rule not in names:
            near = difflib.get_close_matches(str(rule), names, n=1)
            raise ConfigError("expected the name of a rule", key="rule", value=rule, nearest=near[0] if near else None)
        if severity not in LIMITS:
            near = difflib.get_close_matches(str(severity), LIMITS, n=1)
            raise ConfigError(
                f"expected one of {', '.join(LIMITS)}",
                key="severity",
                value=severity,
                nearest=near[0] if near else None,
            )
        number = names.index(rule)
        try:
            self._rules[number] = self._rules[number].with_limit(severity, value)
        except ConfigError as error:
            raise error.under(rule) from None

    def describe(self) -> list[dict[str, Any]]:
        """The rules for a page or a program: their limits as text, and their latest values; ready for JSON."""
        return [self._described(number, rule) for number, rule in enumerate(self._rules)]

    def _described(self, number: int, rule: Rule) -> dict[str, Any]:
        unit = rule.of.unit
        values = self._latest.get(number, {})
        return {
            "name": rule.name,
            "metric": rule.metric,
            "title": rule.subject,
            "unit": unit,
            "window_s": rule.window_s,
            "for_s": rule.for_s,
            **{key: None if (limit := getattr(rule, key)) is None else limit.text for key in LIMITS},
            "values": [
                {"subject": subject, "value": value, "text": value_text(value, unit)}
                for subject, value in values.items()
            ],
        }

    # ── at the end ─────────────────────────────────────────────────────────────────────────────────────────────────

    def checks(self, window: WindowOf) -> tuple[Check, ...]:
        """What came of each rule that has limits; `window(None, …)` is the whole run."""
        reader = Reader(window, self._workers)
        found = []
        for number, rule in enumerate(self._rules):
            fired = {each: self._fired[number, each] for each in SEVERITIES if (number, each) in self._fired}
            if rule.has_limits or fired:
                has_users = reader.view(None).snapshot.run.users != 0 or rule.metric.startswith(_RESOURCES)
                found.append(check(rule, reader.values(rule, None), fired, judges_low=has_users))
        return tuple(found)
