"""`ConnectionInfo`: what a locustfile may ask of a channel's connection."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """One channel's connection, for the locustfile: the counts are those of the present, or last, connection."""

    state: str
    """``idle connecting open closing waiting closed failed``"""
    times_connected: int
    """How often the channel has been opened."""
    times_lost: int
    """How often it went, not by our doing."""
    lifetime_s: float | None
    """Seconds from its opening to now, or to its end; None: it was never open."""
    messages_sent: int
    messages_received: int
    bytes_sent: int
    """Of payload, before compression."""
    bytes_received: int
    last_error: str | None
    """Error class of the last failed connect or loss; None: none yet."""
