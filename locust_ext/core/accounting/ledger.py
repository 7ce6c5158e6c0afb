"""The ledger of one operation while it is being written, and the rules of what an outcome counts as."""

from __future__ import annotations

from typing import Final

from locust_ext.core.accounting.histogram import Histogram
from locust_ext.core.accounting.names import Key, clean
from locust_ext.model import OperationStats

MAX_ERROR_CLASSES: Final = 100
"""Distinct classes of one operation; the vocabulary is closed, but other people's clients are not bound by it."""
_COUNTS: Final = (
    "ok",
    "failed",
    "timed_out",
    "lost",
    "cancelled",
    "late",
    "duplicate",
    "unmatched",
    "bytes_received",
)
_DEFAULT_CLASS: Final = {"timed_out": "timeout", "lost": "lost"}


def was_answered(error_class: str) -> bool:
    """Whether a failure of this class is a reply that came, so that the time it took is a latency."""
    return error_class in ("error_reply", "check_failed") or error_class.startswith("http_")


class Ledger:
    """Counts of one operation; `started` is not stored but follows from the others, so it always balances."""

    __slots__ = (
        "bytes_received",
        "cancelled",
        "duplicate",
        "errors",
        "failed",
        "in_flight",
        "key",
        "late",
        "latency",
        "lost",
        "ok",
        "service",
        "timed_out",
        "unmatched",
    )

    def __init__(self, key: Key) -> None:
        self.key = key
        self.ok = self.failed = self.timed_out = self.lost = self.cancelled = self.in_flight = 0
        self.late = self.duplicate = self.unmatched = self.bytes_received = 0
        self.errors: dict[str, int] = {}
        self.latency = Histogram()
        self.service: Histogram | None = None

    def record_service(self, service_us: int) -> None:
        """One sample from the actual send."""
        service = self.service
        if service is None:
            service = self.service = Histogram()
        service.record(service_us)

    def fail(self, outcome: str, error_class: str | None) -> bool:
        """Count a failure; true if it was a reply, whose time is a latency."""
        if outcome == "timed_out":
            self.timed_out += 1
        elif outcome == "lost":
            self.lost += 1
        else:
            self.failed += 1
        if error_class is None:
            error_class = _DEFAULT_CLASS.get(outcome, "unknown")
        self._count_error(error_class, 1)
        return outcome == "failed" and was_answered(error_class)

    def _count_error(self, error_class: str, count: int) -> None:
        if error_class not in self.errors:
            error_class = clean(error_class) if len(self.errors) < MAX_ERROR_CLASSES else "unknown"
        self.errors[error_class] = self.errors.get(error_class, 0) + count

    def merge(self, stats: OperationStats) -> None:
        """Add another process's counts; its `in_flight`, a gauge, is not this one's business."""
        self.ok += stats.ok
        self.failed += stats.failed
        self.timed_out += stats.timed_out
        self.lost += stats.lost
        self.cancelled += stats.cancelled
        self.late += stats.late
        self.duplicate += stats.duplicate
        self.unmatched += stats.unmatched
        self.bytes_received += stats.bytes_received
        for error_class, count in stats.errors.items():
            self._count_error(error_class, count)
        self.latency.merge(stats.latency)
        if stats.service is not None:
            if self.service is None:
                self.service = Histogram()
            self.service.merge(stats.service)

    def subtract(self, stats: OperationStats) -> None:
        """Take out counts that were merged before."""
        for count in _COUNTS:
            setattr(self, count, getattr(self, count) - getattr(stats, count))
        for error_class, number in stats.errors.items():
            found = min(self.errors.get(error_class, 0), number)
            self._discount_error(error_class, found)
            self._discount_error("unknown", number - found)  # merged when there was no room for its class
        self.latency.subtract(stats.latency)
        if stats.service is not None and self.service is not None:
            self.service.subtract(stats.service)

    def _discount_error(self, error_class: str, number: int) -> None:
        if number:
            self.errors[error_class] -= number
            if not self.errors[error_class]:
                del self.errors[error_class]

    @property
    def size(self) -> int:
        """How much work it is to add it somewhere, in buckets."""
        return 20 + len(self.latency.buckets) + (0 if self.service is None else len(self.service.buckets))

    @property
    def failures(self) -> int:
        return self.failed + self.timed_out + self.lost

    @property
    def is_empty(self) -> bool:
        """Whether nothing is counted; `in_flight` left aside."""
        is_finished = self.ok or self.failed or self.timed_out or self.lost or self.cancelled
        return not (is_finished or self.late or self.duplicate or self.unmatched or self.bytes_received)

    def freeze(self) -> OperationStats:
        """What it holds now, which does not change any more."""
        return OperationStats(
            *self.key,
            self.ok,
            self.failed,
            self.timed_out,
            self.lost,
            self.cancelled,
            self.in_flight,
            self.late,
            self.duplicate,
            self.unmatched,
            self.bytes_received,
            self.errors.copy(),
            self.latency.freeze(),
            None if self.service is None else self.service.freeze(),
        )
