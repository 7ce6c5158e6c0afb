"""The rules: what is asked of a run while it goes on and at its end, and the YAML file that they stand in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from locust_ext.core.alerts.metrics import Metric, metric_named
from locust_ext.core.alerts.units import Limit, limit_of, parse_limit
from locust_ext.core.alerts.where import EVERYTHING, Where
from locust_ext.errors import ConfigError
from locust_ext.model import SEVERITIES, WARNING

ACTIONS: Final = ("log", "record", "stop", "fail", "webhook")
"""What a rule may have done when it fires: a line in the log, a failure in Locust's statistics, the end of the run, a
failed rule although it was a warning, a message to the file's webhook."""
NO_DATA: Final = ("pass", "fail", "ignore")
"""What it means at the end that a rule's metric had no value; `ignore`: neither passed nor failed."""
LIMITS: Final = ("warning", "critical", "low_warning", "low_critical")
DEFAULT_WINDOW_S: Final = 10
MAX_WINDOW_S: Final = 3600
MAX_RULES: Final = 1000


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule."""

    name: str
    metric: str
    """A name of `METRICS`, or `target.<name>`."""
    where: Where = EVERYTHING
    window_s: int | None = DEFAULT_WINDOW_S
    """None: judged over the whole run only, at its end."""
    warning: Limit | None = None
    critical: Limit | None = None
    low_warning: Limit | None = None
    low_critical: Limit | None = None
    for_s: float = 0.0
    """For how long a limit must be broken without a break before the alert fires."""
    no_data: str = "ignore"
    on_warning: tuple[str, ...] = ("log",)
    on_critical: tuple[str, ...] = ("log",)
    hysteresis: float = 0.05
    """By which part of the limit the value must be back before a firing alert resolves."""
    resolve_after: int = 2
    """For how many evaluations in a row."""

    def limits(self, severity: str) -> tuple[Limit | None, Limit | None]:
        """The limits from above and from below."""
        if severity == WARNING:
            return self.warning, self.low_warning
        return self.critical, self.low_critical

    def actions(self, severity: str) -> tuple[str, ...]:
        return self.on_warning if severity == WARNING else self.on_critical

    @property
    def of(self) -> Metric:
        """The metric; `ConfigError` where there is none of that name."""
        metric = metric_named(self.metric)
        if metric is None:
            raise ConfigError("unknown metric; see locust-ext metrics", key="metric", value=self.metric)
        return metric

    @property
    def has_limits(self) -> bool:
        return any(limit is not None for severity in SEVERITIES for limit in self.limits(severity))

    @property
    def subject(self) -> str:
        """For people: `response time p95 of WS query`."""
        scope = self.where.text
        return f"{self.of.title} of {scope}" if scope else self.of.title

    @property
    def limits_text(self) -> str:
        """For people: `warning > 100 ms, critical > 500 ms`."""
        told = [(severity, limit) for severity in SEVERITIES for limit in self.limits(severity) if limit is not None]
        return ", ".join(f"{severity} {limit.text}" for severity, limit in told)

    def checked(self) -> Rule:
        """This rule; `ConfigError` (key: the limit) where its limits contradict each other."""
        for mild, severe in (("warning", "critical"), ("low_warning", "low_critical")):
            warning, critical = getattr(self, mild), getattr(self, severe)
            if warning is not None and critical is not None and warning.excess(critical.value) < 0:
                raise ConfigError(f"expected a limit that is not milder than {mild}", key=severe, value=critical.text)
        for low_key in LIMITS[2:]:
            for high_key in LIMITS[:2]:
                low, high = getattr(self, low_key), getattr(self, high_key)
                if low is not None and high is not None and not _leave_room(low, high):
                    raise ConfigError(
                        f"expected a limit under {high_key}: no value keeps both", key=low_key, value=low.text
                    )
        return self

    def with_limit(self, key: str, given: object) -> Rule:
        """With one of `LIMITS` changed: a text, a number in the metric's unit, or None for no such limit.

        `warning` and `critical` mean the limit from below where the text says so (`< 1/s`), or where the rule has none
        but that. `ConfigError` for what is no limit, and for one that contradicts the others.
        """
        metric, low_key = self.of, f"low_{key}"
        has_low_only = low_key in LIMITS and getattr(self, key) is None and getattr(self, low_key) is not None
        default = "<" if key.startswith("low_") or has_low_only else ">"
        try:
            if given is None:
                limit = None
            elif isinstance(given, int | float) and not isinstance(given, bool):
                limit = limit_of(given, metric.unit, default, at_most=metric.at_most, at_least=metric.at_least)
            else:
                limit = parse_limit(
                    given, metric.unit, default=default, at_most=metric.at_most, at_least=metric.at_least
                )
        except ConfigError as error:
            raise error.under(key) from None
        return self.with_limits({slot(key, limit, default): limit})

    def with_limits(self, limits: Mapping[str, Limit | None]) -> Rule:
        """With the limits of these fields instead of its own; `ConfigError` as `checked`."""
        changed: dict[str, Any] = dict(limits)
        return replace(self, **changed).checked()


def _leave_room(low: Limit, high: Limit) -> bool:
    """Whether some value keeps both limits."""
    return low.value < high.value or (low.value == high.value and low.is_strict and high.is_strict)


def slot(key: str, limit: Limit | None, default: str) -> str:
    """The field of a `Rule` that a limit given under `key` belongs to; `ConfigError` for a high one under a low key."""
    is_low = limit.is_low if limit is not None else default == "<"
    if not is_low:
        if key.startswith("low_"):
            raise ConfigError("expected a limit from below, such as < 1", key=key, value=limit.text if limit else None)
        return key
    return key if key.startswith("low_") else f"low_{key}"


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where messages go to for the rules that say `webhook`."""

    url: str = field(repr=False)
    """May hold a secret: never shown."""
    timeout_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Rules:
    """What a file of rules holds."""

    rules: tuple[Rule, ...] = ()
    webhook: Webhook | None = None
