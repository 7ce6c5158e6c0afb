"""`MessagingProfile`: what all connections of a user class have in common."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from locust_ext.core.protocols.correlation import Correlation
from locust_ext.core.protocols.ties import FanOut


class MessagingProfile:
    """What all connections of a user class have in common; one object for all of them."""

    __slots__ = (
        "correlation",
        "decode",
        "encode",
        "fan_out",
        "heartbeat_message",
        "heartbeat_s",
        "heartbeat_timeout_s",
        "inbox_policy",
        "is_binary",
        "max_inbox",
        "push_name",
    )

    def __init__(
        self,
        *,
        correlation: Correlation,
        encode: Callable[[Any], str | bytes],
        decode: Callable[[str | bytes], Any],
        push_name: Callable[[Any], str],
        is_binary: bool = False,
        max_inbox: int = 1000,
        inbox_policy: str = "drop_oldest",
        heartbeat_s: float = math.inf,
        heartbeat_timeout_s: float = 10.0,
        heartbeat_message: Any = None,
        fan_out: FanOut | None = None,
    ) -> None:
        self.correlation = correlation
        self.encode = encode
        self.decode = decode
        self.push_name = push_name
        self.is_binary = is_binary
        """Whether the bytes that ``encode`` gives go out as binary messages; False: they are UTF-8 text."""
        self.max_inbox = max_inbox
        """Pushes kept for `receive`; 0: none are kept."""
        self.inbox_policy = inbox_policy
        """When the inbox is full: ``drop_oldest`` (and count it) or ``close`` the connection."""
        self.heartbeat_s = heartbeat_s
        """Seconds of our own silence after which `send_heartbeat` is called; infinite: never."""
        self.heartbeat_timeout_s = heartbeat_timeout_s
        self.heartbeat_message = heartbeat_message
        self.fan_out = fan_out
        """Which pushes are tied to the sends that caused them; None: none are."""
