"""``/metrics``: the server's figures in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from locust_ext.refserver.state import State


class _Figures(Collector):
    """Reads the state when it is scraped."""

    def __init__(self, state: State) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        state, counters = self._state, self._state.counters
        sockets = GaugeMetricFamily("refserver_open_sockets", "WebSockets open now.", labels=["channel"])
        for channel, count in state.open_by_channel().items():
            sockets.add_metric([channel], count)
        yield sockets
        yield GaugeMetricFamily("refserver_context_keys", "Keys in the context.", len(state.context.values))
        yield GaugeMetricFamily("refserver_history_entries", "Changes remembered.", len(state.context.history))
        yield CounterMetricFamily("refserver_http_requests", "HTTP requests but for these.", counters.http_requests)
        yield CounterMetricFamily("refserver_refused_upgrades", "Upgrades refused.", counters.refused_upgrades)
        yield CounterMetricFamily("refserver_dropped", "Connections dropped.", counters.dropped_by.total())
        for field, help_text in (
            ("connections", "Upgrades completed."),
            ("messages_received", "Messages read."),
            ("messages_sent", "Messages handed to a transport."),
            ("pushes_sent", "Messages sent unasked."),
            ("answered", "Replies sent."),
        ):
            family = CounterMetricFamily(f"refserver_{field}", help_text, labels=["channel"])
            for channel, counts in counters.channels.items():
                family.add_metric([channel], getattr(counts, field))
            yield family
        faults = CounterMetricFamily("refserver_faults_injected", "Faults that struck.", labels=["kind"])
        for kind, count in counters.faults_injected.copy().items():
            faults.add_metric([kind], count)
        yield faults


class Metrics:
    """A registry of one server's own, so that nothing is global."""

    def __init__(self, state: State) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Figures(state))
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """The exposition; called in the event loop's thread, it takes about a millisecond."""
        return generate_latest(self._registry)
