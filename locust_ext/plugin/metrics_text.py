"""`MetricsText`: the text of a process's metrics, made in pieces when somebody asks; `serve`: the port that it is asked at."""

from __future__ import annotations

import gc
import ipaddress
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Final

import gevent
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from locust_ext.model import Snapshot
from locust_ext.outputs.metrics import Live, RunMetrics, pieces
from locust_ext.runtime.metrics_server import Login, MetricsServer, Page
from locust_ext.runtime.monitor.pace import next_turn

logger = logging.getLogger("locust_ext")

SLICE_S: Final = 0.004
"""How long the text is written before others run."""
FRESH_S: Final = 1.0
"""So long a text answers further scrapes."""
RENDER_S: Final = 9.0
"""How long a scrape waits for its text."""


class _RunCollector(Collector):
    """The one collector of a registry of its own: prometheus-client's door to the same figures."""

    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        return self._collect()

    def describe(self) -> Iterable[Metric]:
        """None: it would take a snapshot before there is a run."""
        return ()


@dataclass(slots=True)
class Text:
    """One text of the metrics."""

    body: bytes
    run_id: str
    is_final: bool
    taken_s: float
    made_s: float


class MetricsText:
    """The text of the metrics of this moment, made once for all who ask at a time. For any greenlet."""

    def __init__(self, metrics: RunMetrics, take: Callable[[], tuple[Snapshot, Live]]) -> None:
        """``take`` must not switch greenlets."""
        self.metrics = metrics
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(_RunCollector(lambda: metrics.collect(*take())))
        self._take = take
        self._texts: dict[bool, Text] = {}
        self._making: dict[bool, gevent.Greenlet[..., Text]] = {}
        self._busy = 0
        self._collects = False

    def get(self, *, openmetrics: bool) -> Text:
        """At most a second old. Raises `TimeoutError`, and what went wrong at making it."""
        text = self._texts.get(openmetrics)
        if text is not None and monotonic() < text.made_s + FRESH_S:
            return text
        making = self._making.get(openmetrics)
        if making is None:
            making = self._making[openmetrics] = gevent.spawn(self._make, openmetrics)
        making.join(RENDER_S)
        if not making.ready():
            raise TimeoutError("this process is too busy to write its metrics")
        if not isinstance(making.value, Text):
            raise RuntimeError("the metrics could not be written") from making.exception
        return making.value

    def _make(self, openmetrics: bool) -> Text:
        try:
            with self._without_collections():
                return self._made(openmetrics)
        finally:
            del self._making[openmetrics]

    @contextmanager
    def _without_collections(self) -> Iterator[None]:
        """What a text is made of has no cycles and is gone with it: thousands of objects, which would only make Python look
        through all of its memory, for 50 ms and more on end, to find nothing.
        """
        self._busy += 1
        if self._busy == 1:
            self._collects = gc.isenabled()
            gc.disable()
        try:
            yield
        finally:
            self._busy -= 1
            if not self._busy and self._collects:
                gc.enable()

    def _made(self, openmetrics: bool) -> Text:
        taken_s = monotonic()
        snapshot, live = self._take()
        found: list[bytes] = []
        until_s = taken_s  # the snapshot was a slice of its own
        for piece in pieces(self.metrics.parts(snapshot, live), openmetrics=openmetrics):
            found.append(piece)
            if monotonic() >= until_s:
                next_turn()
                until_s = monotonic() + SLICE_S
        run = snapshot.run
        text = Text(b"".join(found), run.id, run.complete, taken_s, monotonic())
        self._texts[openmetrics] = text
        return text

    def forget(self) -> None:
        """The next scrape gets figures of its own moment."""
        self._texts.clear()

    def close(self) -> None:
        """Idempotent."""
        gevent.killall(list(self._making.values()), block=False)


def serve(host: str, port: int, page: Callable[[str], Page], login: Login | None, whose: str) -> MetricsServer | None:
    """A server that listens, which the log tells; None after one error in the log: the run goes on without it."""
    server = MetricsServer(host, port, page, login)
    try:
        server.open()
    except OSError as error:
        reason = (error.strerror or str(error)).partition(":")[0].lower()
        logger.error("No %s: %s:%d cannot be listened on: %s. The run goes on without them.", whose, host, port, reason)
        return None
    logger.info("%s%s: %s", whose[0].upper(), whose[1:], server.url)
    if login is None and not _is_loopback(host):
        logger.warning(
            "Who reaches %s can read the run's metrics: LOCUST_EXT_METRICS_USER and LOCUST_EXT_METRICS_PASSWORD ask for a "
            "password",
            server.url,
        )
    return server


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
