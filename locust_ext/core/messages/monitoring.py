"""`Monitoring`: sessions on the monitor channel: start, summaries and updates, stop."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Any, Final

from locust_ext.core.messages.command import agent_ids
from locust_ext.core.messages.message import ALL, BoundGenerator, Message
from locust_ext.core.messages.metadata import WithMetadata
from locust_ext.core.messages.weights import check_share
from locust_ext.errors import ConfigError

METRICS: Final = ("cpu_usage", "memory_usage", "inference_rate", "agent_count", "free_energy", "belief_entropy")

_STARTED = ("monitoring_started",)
_STOPPED = ("monitoring_stopped",)
_SUMMARY = ("metric_summary",)
_DURATIONS_S = (10, 60, 300)


@dataclass(frozen=True)
class Monitoring(WithMetadata):
    """One session after the other: ``start_monitoring``, then summaries and updates, then ``stop_monitoring``.

    It never starts twice without a stop between, which would double the stream of pushes. A session ends with
    the monitor channel's connection; what happens to the agent channel is nothing to it.
    """

    metrics: tuple[str, ...] = METRICS
    agents: int | tuple[str, ...] = 10
    sample_rate_s: float = 1.0
    """Seconds between two pushes of the session (the channel's ``sample_rate``)."""
    buffer_size: int = 100
    stops: float = 0.1
    """Share of stops among the messages of a session."""
    updates: float = 0.2
    """Share of ``update_monitoring`` (one-way) among the rest; what remains are summaries."""

    def __post_init__(self) -> None:
        super().__post_init__()
        names = self.metrics
        if isinstance(names, str) or not names or not all(isinstance(name, str) and name for name in names):
            raise ConfigError("expected a tuple of names of metrics", key="metrics", value=names)
        agent_ids(self.agents)
        rate_s = self.sample_rate_s
        if not isinstance(rate_s, (int, float)) or isinstance(rate_s, bool) or not 0 < rate_s < math.inf:
            raise ConfigError("expected seconds above 0", key="sample_rate_s", value=rate_s)
        if not isinstance(self.buffer_size, int) or isinstance(self.buffer_size, bool) or self.buffer_size < 1:
            raise ConfigError("expected a whole number of at least 1", key="buffer_size", value=self.buffer_size)
        check_share("stops", self.stops)
        check_share("updates", self.updates)

    def bind(self, rng: random.Random, client_id: str) -> BoundGenerator:
        return self.with_metadata(self.session(rng), rng)

    def session(self, rng: random.Random) -> BoundMonitoring:
        """One user's session, without metadata, with its single steps open to other generators."""
        return BoundMonitoring(rng, self)


class BoundMonitoring:
    """One user's session: whether it is started, and what may be said then."""

    __slots__ = ("_agents", "_options", "_random", "is_started")

    def __init__(self, rng: random.Random, options: Monitoring) -> None:
        self._random = rng.random
        self._options = options
        self._agents = agent_ids(options.agents)
        self.is_started = False

    def disconnected(self, channel: str | None = ALL) -> None:
        if channel in ("monitor", ALL):
            self.is_started = False

    def generate(self) -> Message:
        if not self.is_started:
            return self.start()
        options, draw = self._options, self._random
        if draw() < options.stops:
            return self.stop()
        if draw() < options.updates:
            update = {"type": "update_monitoring", "config": self._config()}
            return Message("update_monitoring", update, one_way=True, channel="monitor")
        body: dict[str, Any] = {
            "type": "get_summary",
            "metric_type": options.metrics[int(draw() * len(options.metrics))],
            "duration": _DURATIONS_S[int(draw() * len(_DURATIONS_S))],
        }
        return Message("get_summary", body, reply=_SUMMARY, channel="monitor")

    def start(self) -> Message:
        """Start a session; only while none is started."""
        self.is_started = True
        body = {"type": "start_monitoring", "config": self._config()}
        return Message("start_monitoring", body, reply=_STARTED, channel="monitor")

    def stop(self) -> Message:
        """Stop the session; only while one is started."""
        self.is_started = False
        return Message("stop_monitoring", {"type": "stop_monitoring"}, reply=_STOPPED, channel="monitor")

    def _config(self) -> dict[str, Any]:
        options, draw = self._options, self._random
        metrics = options.metrics[: 1 + int(draw() * len(options.metrics))]
        agents = self._agents[: 1 + int(draw() * len(self._agents))]
        return {
            "metrics": list(metrics),
            "agents": list(agents),
            "sample_rate": options.sample_rate_s,
            "buffer_size": options.buffer_size,
        }
