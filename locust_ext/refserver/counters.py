"""What the server saw, counted exactly, so that a test compares both sides of a wire.

A *message* is one WebSocket text or binary message of an application, or one Socket.IO event or ack (attachments
included). Control frames and the Engine.IO open, ping, pong, connect and disconnect packets are none. A message counts
as received when the server has read it, whatever a fault makes of it afterwards; as sent when it was handed to the
transport. Every message sent is either unasked (``pushes_sent``: greetings, heartbeats, events, fan-outs) or a reply
(``answered``: errors, acks, duplicates and later replies such as ``agent_created`` included): ``messages_sent`` is
their sum. An upgrade to WebSocket is a connection or a refused upgrade, never an ``http_request``; requests to
``/faults``, ``/counters`` and ``/metrics`` are not counted at all.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Final

CHANNELS: Final = ("agent", "monitor", "live", "echo")
"""The WebSocket endpoints: agent and monitor channel, Socket.IO, echo."""

SECONDS_KEPT: Final = 600
_NAMES_KEPT: Final = 500
_OTHER: Final = "__other__"


@dataclass(slots=True)
class ChannelCounts:
    """The figures of one channel since the last reset."""

    connections: int = 0
    messages_received: int = 0
    messages_sent: int = 0
    pushes_sent: int = 0
    answered: int = 0


class Counters:
    """All figures of the server since its start or the last ``reset()``; read and written by the event loop only."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Zero for everything. Connections that stay open go on counting."""
        self.http_requests = 0
        self.refused_upgrades = 0
        self.polling_sessions = 0
        self.channels = {name: ChannelCounts() for name in CHANNELS}
        self.dropped_by: Counter[str] = Counter()
        self.closed_by: Counter[str] = Counter()
        self.faults_injected: Counter[str] = Counter()
        self.http_by_status: Counter[str] = Counter()
        self.by_type: Counter[str] = Counter()
        self.sent_by_type: Counter[str] = Counter()
        self._connects_by_second: dict[int, int] = {}

    def connected(self, channel: str) -> None:
        """An upgrade to WebSocket was completed."""
        self.channels[channel].connections += 1
        second = int(time.time())
        if second not in self._connects_by_second:
            self._connects_by_second[second] = 0
            while len(self._connects_by_second) > SECONDS_KEPT:
                del self._connects_by_second[next(iter(self._connects_by_second))]
        self._connects_by_second[second] += 1

    def received(self, channel: str, kind: str) -> None:
        """The server has read a message; ``kind`` is its type or event (500 names, then ``__other__``)."""
        self.channels[channel].messages_received += 1
        names = self.by_type
        names[kind if kind in names or len(names) < _NAMES_KEPT else _OTHER] += 1

    def answered(self, channel: str, kind: str) -> None:
        """A reply was handed to the transport."""
        counts = self.channels[channel]
        counts.messages_sent += 1
        counts.answered += 1
        self.sent_by_type[kind] += 1

    def pushed(self, channel: str, kind: str, receivers: int = 1) -> None:
        """``receivers`` unasked messages were handed to their transports."""
        counts = self.channels[channel]
        counts.messages_sent += receivers
        counts.pushes_sent += receivers
        self.sent_by_type[kind] += receivers

    def as_json(self, open_by_channel: dict[str, int]) -> dict[str, object]:
        """The body of ``GET /counters``; ``open_by_channel`` are the WebSockets open at this moment."""
        oldest = int(time.time()) - SECONDS_KEPT
        totals = {
            field: sum(getattr(counts, field) for counts in self.channels.values())
            for field in ChannelCounts.__dataclass_fields__
        }
        return {
            **totals,
            "http_requests": self.http_requests,
            "http_by_status": dict(self.http_by_status),
            "refused_upgrades": self.refused_upgrades,
            "polling_sessions": self.polling_sessions,
            "dropped": self.dropped_by.total(),
            "dropped_by": dict(self.dropped_by),
            "closed_by": dict(self.closed_by),
            "faults_injected": dict(self.faults_injected),
            "connects_by_second": {str(s): n for s, n in self._connects_by_second.items() if s > oldest},
            "open_connections": sum(open_by_channel.values()),
            "open_by_channel": open_by_channel,
            "by_channel": {name: asdict(counts) for name, counts in self.channels.items()},
            "by_type": dict(self.by_type),
            "sent_by_type": dict(self.sent_by_type),
        }
