"""Alerts: what the rules found while the run went on; a part of the model (`locust_ext.model`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

WARNING: Final = "warning"
CRITICAL: Final = "critical"
SEVERITIES: Final = (WARNING, CRITICAL)

PENDING: Final = "pending"
FIRING: Final = "firing"
ACKNOWLEDGED: Final = "acknowledged"
RESOLVED: Final = "resolved"
ALERT_STATES: Final = (PENDING, FIRING, ACKNOWLEDGED, RESOLVED)


@dataclass(frozen=True, slots=True)
class Alert:
    """One spell in which one rule's limit was broken, at one severity, by one subject."""

    id: int
    """Unique within the run, in the order of their beginnings."""
    rule: str
    metric: str
    severity: str
    """`warning` or `critical`."""
    state: str
    """`pending` (broken, but not yet for as long as the rule's `for`), `firing`, `acknowledged` or `resolved`."""
    subject: str
    """The worker that it is about, as people call it; empty: the whole run, or the target."""
    value: float
    """The latest, in the metric's unit; of a resolved one, that at which it resolved."""
    worst: float
    """The value that was furthest beyond the limit."""
    limit: str
    """As text with its unit: `> 200 ms`."""
    since_s: float
    """When the limit was first broken, in seconds of the run (or of the monitor, where there is no run)."""
    fired_s: float | None = None
    acknowledged_s: float | None = None
    resolved_s: float | None = None
    value_text: str = ""
    """The value for people, with its unit: `404 ms`; empty: not known (of an earlier report)."""
    worst_text: str = ""


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """One change of an alert's state."""

    at_s: float
    alert: int
    """Its id."""
    rule: str
    severity: str
    state: str
    """The new one; a pending alert that never fired ends without an event."""
    value: float
    limit: str
    subject: str = ""
    text: str = ""
    """For people, on one line: `critical: response time p95 812 ms > 500 ms (worker 3)`."""
    value_text: str = ""
    """The value for people, with its unit; empty: not known (of an earlier report)."""
