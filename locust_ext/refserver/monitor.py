"""The monitor channel, ``/api/v1/ws/monitor/{client_id}`` (CONTRACTS, section 2): metrics pushed at a chosen rate.

Timestamps are float seconds here, there is no greeting, and errors have no code. As in the real server a second start
without a stop doubles the stream, and the first update may come before the reply: it does at every odd start that the
server sees, so that clients meet both orders.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import deque
from functools import partial
from statistics import fmean
from typing import Any, Final

import orjson
import psutil
from aiohttp import web

from locust_ext.refserver.connection import Connection, upgrade
from locust_ext.refserver.frames import json_frame
from locust_ext.refserver.gate import Gate
from locust_ext.refserver.lane import Answer
from locust_ext.refserver.options import MAX_MESSAGE_BYTES
from locust_ext.refserver.replies import reply
from locust_ext.refserver.state import State

_SHORTEST_PERIOD_S: Final = 0.01
_SAMPLES_KEPT: Final = 1000
Message = dict[str, Any]


def _error(answer: Answer, message: str) -> None:
    reply(answer, "error", message=message)


def _injected_error(answer: Answer) -> None:
    _error(answer, "the fault error_ratio struck")


class MonitorChannel:
    """All connections of the monitor channel, and the samples they are told of."""

    def __init__(self, state: State, gate: Gate) -> None:
        self._state = state
        self._gate = gate
        self._process = psutil.Process()
        self._process.cpu_percent()
        self._samples: dict[str, deque[tuple[float, float]]] = {}
        self.starts = 0
        """Streams started so far, by all clients."""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One connection, from the upgrade to its end."""
        with self._gate.enter(request):
            connection = await upgrade(request, "monitor", MAX_MESSAGE_BYTES, self._state)
            talk = _Talk(self, self._state, connection)
            try:
                await talk.run()
            finally:
                talk.stop()
                await connection.forget()
            return connection.response

    def sample(self) -> dict[str, float]:
        """The metrics now, each kept for the summaries."""
        counters = self._state.counters
        with self._process.oneshot():
            metrics = {
                "cpu_percent": self._process.cpu_percent(),
                "memory_bytes": float(self._process.memory_info().rss),
                "connections": float(self._state.open_count),
                "messages_received": float(sum(c.messages_received for c in counters.channels.values())),
                "uptime_s": time.monotonic() - self._state.started_at,
            }
        now = time.time()
        for name, value in metrics.items():
            self._samples.setdefault(name, deque(maxlen=_SAMPLES_KEPT)).append((now, value))
        return metrics

    def counts(self) -> dict[str, int]:
        """The counters that an update carries."""
        totals = self._state.counters.channels.values()
        return {
            "connections": sum(c.connections for c in totals),
            "messages_received": sum(c.messages_received for c in totals),
            "messages_sent": sum(c.messages_sent for c in totals),
        }

    def summary(self, metric_type: str, duration_s: float | None) -> dict[str, float | int | None]:
        """Count, mean, min, max and latest of a metric's samples of the last ``duration_s``; nulls if there is none."""
        self.sample()
        since = 0.0 if duration_s is None else time.time() - duration_s
        values = [value for at, value in self._samples.get(metric_type, ()) if at >= since]
        if not values:
            return {"count": 0, "mean": None, "min": None, "max": None, "latest": None}
        return {
            "count": len(values),
            "mean": fmean(values),
            "min": min(values),
            "max": max(values),
            "latest": values[-1],
        }


class _Talk:
    """One connection's conversation and its streams."""

    def __init__(self, channel: MonitorChannel, state: State, connection: Connection) -> None:
        self._channel = channel
        self._state = state
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        """Session id -> its stream's next update."""
        self._session_id: str | None = None
        """The latest session's."""

    async def run(self) -> None:
        while (data := await self._connection.read()) is not None:
            try:
                message = orjson.loads(data) if isinstance(data, str) else None
            except orjson.JSONDecodeError:
                message = None
            kind = message.get("type") if isinstance(message, dict) else None
            kind = kind if isinstance(kind, str) else "__invalid__"
            self._state.counters.received("monitor", kind)
            handle = partial(self._handle, kind, message)
            self._connection.lane.admit(handle, _injected_error, self._connection.answer)

    def stop(self) -> None:
        """End every stream."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _handle(self, kind: str, message: Any, answer: Answer) -> None:
        if kind == "start_monitoring":
            self._start(message, answer)
        elif kind == "stop_monitoring":
            if self._session_id is None:
                _error(answer, "nothing is being monitored")
            else:
                self.stop()
                session_id, self._session_id = self._session_id, None
                reply(answer, "monitoring_stopped", session_id=session_id)
        elif kind == "get_summary":
            metric_type, duration = message.get("metric_type"), message.get("duration")
            if not isinstance(metric_type, str) or not isinstance(duration, int | float | None):
                _error(answer, "metric_type must be a name, duration a number of seconds")
            else:
                summary = self._channel.summary(metric_type, duration)
                reply(answer, "metric_summary", metric_type=metric_type, summary=summary)
        elif kind == "ping":
            reply(answer, "pong", timestamp=time.time())
        elif message is None:
            _error(answer, "the message is not JSON")

    def _start(self, message: Message, answer: Answer) -> None:
        asked = message.get("config", {})
        period_s = asked.get("sample_rate", 1.0) if isinstance(asked, dict) else None
        if not isinstance(period_s, int | float) or isinstance(period_s, bool) or period_s <= 0:
            _error(answer, "config must be an object, sample_rate a number of seconds above 0")
            return
        config = {"metrics": [], "agents": [], "sample_rate": 1.0, "buffer_size": 100, **asked}
        session_id = uuid.uuid4().hex
        self._session_id = session_id
        self._channel.starts += 1
        comes_first = self._channel.starts % 2 == 1
        if comes_first:
            self._update(session_id, config)
        reply(answer, "monitoring_started", session_id=session_id, config=config)
        if not comes_first:
            self._update(session_id, config)

    def _update(self, session_id: str, config: Message) -> None:
        if not self._connection.is_open:
            self._timers.pop(session_id, None)
            return
        wanted = config["metrics"]
        metrics = {
            n: v for n, v in self._channel.sample().items() if not isinstance(wanted, list) or not wanted or n in wanted
        }
        message = {
            "type": "metrics_update",
            "session_id": session_id,
            "timestamp": time.time(),
            "metrics": metrics,
            "counters": self._channel.counts(),
        }
        self._connection.push("metrics_update", json_frame(message))
        period_s = max(_SHORTEST_PERIOD_S, config["sample_rate"])
        self._timers[session_id] = self._loop.call_later(period_s, self._update, session_id, config)
