"""What is known of a run besides its counts: who, where, when, and what speaks against it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from locust_ext.core.accounting.names import clean, public_url

MAX_REASONS: Final = 100


class RunFacts:
    """Facts told from outside; text is made fit to travel, and a host loses its secrets."""

    def __init__(self) -> None:
        self.time_of_day_s = 0.0
        """Seconds after midnight at which the run began, for what is said to people."""
        self.forget()

    def forget(self) -> None:
        """A new run."""
        self.reasons: dict[str, None] = {}
        """Why the measurement is not valid, each once, in the order in which they were told."""
        self._told: dict[str, Any] = {}
        self._versions: dict[str, str] = {}

    def tell(self, facts: Mapping[str, str | float | None], versions: Mapping[str, str] | None) -> None:
        """Fields of `RunInfo` by name; None says nothing. `users` keeps the largest number."""
        for fact, value in facts.items():
            if value is None:
                continue
            if isinstance(value, str):
                self._told[fact] = public_url(value) if fact == "host" else clean(value)
            elif fact == "users":
                self._told[fact] = max(value, self._told.get(fact, value))
            else:
                self._told[fact] = value
        self._versions.update({clean(name): clean(version) for name, version in (versions or {}).items()})

    def invalid(self, reason: str) -> None:
        """The measurement is not valid for this reason; bounded."""
        if len(self.reasons) < MAX_REASONS:
            self.reasons[reason] = None

    @property
    def target_rate_per_s(self) -> float | None:
        """Messages a second that are wanted now; None: none are."""
        told: float | None = self._told.get("target_rate_per_s")
        return told

    def fields(self) -> dict[str, Any]:
        """The fields of `RunInfo` that were told."""
        return {**self._told, "versions": dict(self._versions)}
