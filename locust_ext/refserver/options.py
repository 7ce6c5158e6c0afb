"""What the server is started with; every field is a flag of ``python -m locust_ext.refserver``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
"""Largest WebSocket message of the agent, monitor and echo channels; more is closed with 1009."""

MAX_PAYLOAD_BYTES: Final = 1_000_000
"""Engine.IO's ``maxPayload``: python-socketio's default, which real context servers run with."""

TOKEN_MODE_CONNECTS_PER_MINUTE: Final = 300
TOKEN_MODE_MESSAGES_PER_S: Final = 50.0


@dataclass(frozen=True, slots=True)
class Options:
    """One server's settings. With ``token`` None it is *open*: no token is asked for, every client has every right."""

    dump_dir: Path
    token: str | None = None
    """The HS256 secret that tokens of the agent and monitor channels are signed with, or None."""
    silence_s: float = 30.0
    """A connection of the agent channel that sends no text message for so long is dropped without a close frame."""
    heartbeat_s: float = 30.0
    """Period of the agent channel's ``heartbeat`` push."""
    ping_interval_s: float = 25.0
    ping_timeout_s: float = 20.0
    max_connects_per_minute: int | None = None
    """Upgrades of the agent and monitor channels that one address may ask for in a minute; None: any number."""
    rate_limit_per_s: float | None = None
    """Messages a second of one agent connection, with a burst of one second's worth; None: any number."""
    max_connections_per_account: int = 5
    max_backlog_bytes: int = 4 * 1024 * 1024
    """Bytes a connection may leave unread in our buffer before it is dropped (the kernel's buffers come on top)."""
