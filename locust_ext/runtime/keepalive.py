"""`KeepAlive`: a connection's deadlines: its pings, and whatever its protocol adds, by one place in the wheel."""

from __future__ import annotations

import math

from locust_ext.errors import ConnectionLost
from locust_ext.runtime.facts import Facts, TransportSettings
from locust_ext.runtime.process import ProcessShared
from locust_ext.runtime.writing import FrameWriter

TICK_MIN_S = 0.02


class KeepAlive(FrameWriter):
    """Is woken by the wheel (`runtime.deadline`), pings, and finds out that a peer is gone."""

    __slots__ = (
        "_ping_sent_s",
        "armed_s",
        "armed_slot",
        "last_received_s",
        "ping_due_s",
        "settings",
    )

    def __init__(self, shared: ProcessShared, facts: Facts, settings: TransportSettings, state: str | None) -> None:
        super().__init__(shared, facts, state)
        self.settings = settings
        self._ping_sent_s = 0.0
        self.armed_s = math.inf
        self.armed_slot = -1
        self.ping_due_s = math.inf
        self.last_received_s = 0.0

    def rearm(self) -> None:
        """Ask to be woken at the earliest deadline."""
        self._shared.wheel.arm(self, min(self.ping_due_s, self._next_deadline()))

    def _waits_in_vain(self) -> bool:
        """Whether the peer has had its time to end the connection."""
        return False

    def _next_deadline(self) -> float:
        """The subclass's earliest deadline in monotonic seconds; ``math.inf``: none."""
        return math.inf

    def _on_due(self, now_s: float) -> None:
        """The subclass's deadlines: look which are past."""

    def on_deadline(self, now_s: float) -> float:
        """Called by the wheel, in the hub."""
        if self._waits_in_vain():
            self._gone(self.error_class or "lost")
            return math.inf
        self._on_due(now_s)
        if self._sock is None:
            return math.inf
        if now_s >= self.ping_due_s and self.state == "open":
            self._keep_alive(now_s)
            if self._sock is None:
                return math.inf
        return min(self.ping_due_s, self._next_deadline())

    def _keep_alive(self, now_s: float) -> None:
        """Ping each interval; a peer that has sent nothing at all since the ping, for the timeout, is gone."""
        if self._ping_sent_s:
            if self.last_received_s < self._ping_sent_s:
                self._fail(1011, "ping_timeout")
                return
            self.ping_due_s = self._ping_sent_s + max(self.settings.ping_interval_s, TICK_MIN_S)
            self._ping_sent_s = 0.0
            if self.ping_due_s > now_s:
                return
        self.send_ping()
        self._ping_sent_s = now_s
        self.ping_due_s = now_s + self.settings.ping_timeout_s

    def send_ping(self, payload: bytes = b"") -> None:
        """A WebSocket ping now; raises `ConnectionLost` if the connection is not open."""
        if self.state != "open":
            raise ConnectionLost(self.error_class or "lost")
        self._put(self._codec.encode_ping(payload), 0, 0)
