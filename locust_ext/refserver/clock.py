"""The timestamps of the contracts."""

from __future__ import annotations

from datetime import UTC, datetime


def iso_now() -> str:
    """The present, ISO 8601 with microseconds, in UTC."""
    return datetime.now(UTC).isoformat()
