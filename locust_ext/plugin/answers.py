"""`Answers`: what code may ask of an extension, and change, while a run goes on."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import Any

from locust_ext.model import Snapshot
from locust_ext.outputs import REPORTS
from locust_ext.outputs.series import series
from locust_ext.plugin.alerting import Alerting


class Answers(ABC):
    """Any greenlet may call it, with a run or without one."""

    alerting: Alerting

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """Everything measured so far."""

    def stats(self) -> dict[str, Any]:
        """The live figures, with the keys of ``summary.json``."""
        figures: dict[str, Any] = json.loads(REPORTS["summary.json"](self.snapshot()) or "{}")
        return figures

    def series(self, metric: str, seconds: float) -> list[tuple[int, float]]:
        """`(second, value)` of the run's last ``seconds``, oldest first, by the names of `locust_ext.outputs.series.SERIES`,
        by those of the rules (``latency_p95``), or of what the monitor reads: ``generator.cpu_percent`` is the highest of
        all workers, ``generator[2].cpu_percent`` that of worker 2, ``target.memory_bytes``, ``target.queue_depth``.

        Seconds count from the start of the run; those in which nothing was measured are left out. `ConfigError` for an
        unknown metric.
        """
        return series(self.snapshot(), metric, seconds)

    def set_threshold(self, rule: str, severity: str, value: str | float | None) -> None:
        """Change a rule's limit while the run goes on: ``set_threshold("response time", "critical", "> 800ms")``.

        ``severity`` is ``warning``, ``critical``, ``low_warning`` or ``low_critical``; a number is in the metric's unit,
        None takes the limit away. `ConfigError` for what the rule cannot have.
        """
        self.alerting.set_threshold(rule, severity, value)

    def acknowledge(self, alert: int) -> bool:
        """Somebody has seen the alert of this id; False: none of this id is firing."""
        return self.alerting.acknowledge(alert)
