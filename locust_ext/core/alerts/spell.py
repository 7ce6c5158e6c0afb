"""One spell in which a limit was broken, from pending to resolved: the state machine behind an `Alert`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from locust_ext.core.alerts.rules import Rule
from locust_ext.core.alerts.units import Limit, value_text
from locust_ext.model import ACKNOWLEDGED, FIRING, PENDING, RESOLVED, Alert, AlertEvent

MISSING_S: Final = 30.0
"""For so long an alert keeps its state without data; then it resolves."""
WITHIN_MARGIN: Final = 10
"""How many times as long as beyond the margin a value within it must keep the limit: one that is right at its limit,
and cannot be further away, resolves too."""
TRANSITIONS: Final = {
    PENDING: frozenset({FIRING}),
    FIRING: frozenset({ACKNOWLEDGED, RESOLVED}),
    ACKNOWLEDGED: frozenset({RESOLVED}),
    RESOLVED: frozenset[str](),
}
"""From each state those that may follow; a pending spell may also end without a further state."""
_ROUNDING_S: Final = 1e-6


@dataclass(slots=True)
class Spell:
    """At one severity of one rule, by one subject. Its changes give the events."""

    id: int
    rule: Rule
    severity: str
    subject: str
    limit: Limit
    """The one that was broken last: a limit that was changed, and is kept, is not told of what fired before it."""
    value: float
    since_s: float
    seen_s: float
    """When there was a value last."""
    worst: float
    state: str = PENDING
    is_broken: bool = True
    """Whether the latest value broke the limit."""
    kept: int = 0
    """Evaluations in a row whose value kept the limit."""
    cleared: int = 0
    """Those that kept it by the margin."""
    fired_s: float | None = None
    acknowledged_s: float | None = None
    resolved_s: float | None = None
    _told: Alert | None = None

    @property
    def is_over(self) -> bool:
        """Resolved, or ended before it fired."""
        return self.resolved_s is not None

    def broken(self, rule: Rule, limit: Limit, value: float, now_s: float) -> AlertEvent | None:
        """The limit is broken by this value; gives the event if the alert fires now."""
        self.rule, self.limit = rule, limit
        if not self.is_broken:
            if self.state == PENDING:
                self.since_s = now_s
            self.is_broken = True
        self.kept = self.cleared = 0
        self._take(value, now_s)
        if limit.excess(value) > limit.excess(self.worst):
            self.worst = value
        if self.state != PENDING or now_s - self.since_s < rule.for_s - _ROUNDING_S:
            return None
        self.state, self.fired_s = FIRING, now_s
        return self._event(now_s)

    def kept_by(self, rule: Rule, limit: Limit | None, value: float, now_s: float) -> AlertEvent | None:
        """The limit (None: there is none any more) is kept by this value; gives the event if the alert resolves now."""
        is_other = limit is not self.limit
        self.is_broken = False
        self._take(value, now_s)
        self.kept += 1
        self.cleared = self.cleared + 1 if self.limit.is_cleared_by(value, rule.hysteresis) else 0
        if is_other or self.cleared >= rule.resolve_after or self.kept >= rule.resolve_after * WITHIN_MARGIN:
            return self.end(now_s, f"now {limit.text}" if limit is not None and limit.text != self.limit.text else "")
        return None

    def missing(self, now_s: float) -> AlertEvent | None:
        """There is no value; gives the event if the alert resolves for that."""
        if now_s - self.seen_s < MISSING_S - _ROUNDING_S:
            return None
        return self.end(now_s, f"no data for {MISSING_S:g} s")

    def end(self, now_s: float, why: str = "") -> AlertEvent | None:
        """The spell is over; the event, unless it never fired."""
        has_fired = self.state != PENDING
        self.resolved_s = now_s
        if not has_fired:
            return None
        self.state = RESOLVED
        return self._event(now_s, why)

    def acknowledge(self, now_s: float) -> AlertEvent | None:
        """Somebody has seen it; None: it is not firing."""
        if self.state != FIRING:
            return None
        self.state, self.acknowledged_s = ACKNOWLEDGED, now_s
        return self._event(now_s)

    def begun(self) -> AlertEvent:
        """The event of a spell that must wait for the rule's `for`."""
        return self._event(self.since_s)

    def _take(self, value: float, now_s: float) -> None:
        self.value, self.seen_s = value, now_s

    def _event(self, now_s: float, why: str = "") -> AlertEvent:
        return AlertEvent(
            at_s=now_s,
            alert=self.id,
            rule=self.rule.name,
            severity=self.severity,
            state=self.state,
            value=self.value,
            limit=self.limit.text,
            subject=self.subject,
            text=self._text(why),
            value_text=value_text(self.value, self.rule.of.unit),
        )

    def _text(self, why: str) -> str:
        """`critical: response time p95 812 ms > 500 ms (worker 3)`."""
        value = value_text(self.value, self.rule.of.unit)
        worker = f"worker {self.subject}" if self.subject else ""
        if self.state == RESOLVED:
            notes = ", ".join(note for note in (f"{self.severity} was {self.limit.text}", why, worker) if note)
            return f"resolved: {self.rule.subject} {value} ({notes})"
        head = self.severity if self.state == FIRING else f"{self.state} {self.severity}"
        return f"{head}: {self.rule.subject} {value} {self.limit.text}{f' ({worker})' if worker else ''}"

    def alert(self) -> Alert:
        """As it stands."""
        if self._told is not None:
            return self._told
        unit = self.rule.of.unit
        told = Alert(
            id=self.id,
            rule=self.rule.name,
            metric=self.rule.metric,
            severity=self.severity,
            state=self.state,
            subject=self.subject,
            value=self.value,
            worst=self.worst,
            limit=self.limit.text,
            since_s=self.since_s,
            fired_s=self.fired_s,
            acknowledged_s=self.acknowledged_s,
            resolved_s=self.resolved_s,
            value_text=value_text(self.value, unit),
            worst_text=value_text(self.worst, unit),
        )
        if self.is_over:
            self._told = told  # nothing changes any more: a history of a thousand is told in no time
        return told
