"""What all parts of one running server share."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING

from locust_ext.refserver.counters import CHANNELS, Counters
from locust_ext.refserver.faults import Faults, FaultSet
from locust_ext.refserver.store import ContextStore

if TYPE_CHECKING:
    from locust_ext.refserver.connection import Connection
    from locust_ext.refserver.lane import Lane
    from locust_ext.refserver.options import Options


class State:
    """The settings, figures, faults, connections and the context of one server; made inside its event loop."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.started_at = time.monotonic()
        self.counters = Counters()
        self.faults = Faults(lambda: self.counters.faults_injected)
        self.connections: set[Connection] = set()
        """Every open WebSocket, of all channels."""
        self.waiting_lanes: set[Lane] = set()
        """Lanes in which latency or a stall holds something back."""
        self.context = ContextStore()
        self.reading = asyncio.Event()
        """Cleared while the fault ``slow_reader`` is in force."""
        self.reading.set()

    @property
    def open_count(self) -> int:
        """WebSockets open now."""
        return len(self.connections)

    def open_by_channel(self) -> dict[str, int]:
        """WebSockets open now, of each channel."""
        counts = Counter(connection.channel for connection in self.connections)
        return {channel: counts[channel] for channel in CHANNELS}

    def put_faults(self, chosen: FaultSet) -> None:
        """Replace the faults in force; what latency or a stall of the old ones held back is done at once."""
        self.faults.put(chosen, asyncio.get_running_loop().time())
        connections = list(self.connections)
        for lane in list(self.waiting_lanes):
            lane.release()
        if chosen.slow_reader and self.reading.is_set():
            self.reading.clear()
            for connection in connections:
                self.faults.note("slow_reader")
                connection.stop_reading()
        elif not chosen.slow_reader and not self.reading.is_set():
            self.reading.set()
            for connection in connections:
                connection.start_reading()
