"""`ResourceMonitor`: samples the process it is made in, and what can be seen of the target, at a steady interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from time import monotonic

from locust_ext.errors import ConfigError
from locust_ext.model.resources import GENERATOR, TARGET
from locust_ext.runtime.generator_watch import GeneratorWatch
from locust_ext.runtime.monitor.own_process import OwnProcess
from locust_ext.runtime.monitor.pace import Absences
from locust_ext.runtime.monitor.ports import PortsLeft
from locust_ext.runtime.probes import Probe
from locust_ext.runtime.ticker import Ticker

MIN_INTERVAL_S = 0.1
MAX_INTERVAL_S = 60.0
PROBE_DEADLINE_S = 5.0
LAG_INTERVAL_S = 0.05
"""Of the monitor's own timer: 20 moments a second, for 0.2 % of a core."""

Report = Callable[[str, str, float, dict[str, float], dict[str, float]], None]
"""``(side, source, now_monotonic_s, values, limits)``: what was read of one source at one moment."""


def monitor_interval(value: object, source: str = "", key: str = "") -> float:
    """``value`` as the seconds between two samples. Raises `ConfigError` outside 0.1 to 60, in the name of ``source``."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not MIN_INTERVAL_S <= value <= MAX_INTERVAL_S:  # type: ignore[operator]  # it is a number
        raise ConfigError(
            f"expected seconds from {MIN_INTERVAL_S:g} to {MAX_INTERVAL_S:g}", source=source, key=key, value=value
        )
    return float(value)  # type: ignore[arg-type]


class ResourceMonitor:
    """Calls ``report`` for each sample, from greenlets of its own, between `start` and `stop`; both may be repeated.

    To be made in the process that it watches (after ``--processes`` has forked). It needs no run and no load.

    ``interval_s``: see `monitor_interval`. ``side``, ``source``: of this process's own samples. ``host``: gives the
    target's base address, for the ports left to it; None: no target. ``probes``: of the target. ``watch``: measures the
    lag of the loop; whoever made it starts and stops it, and without it the monitor makes one of its own.
    """

    def __init__(
        self,
        interval_s: float,
        report: Report,
        *,
        side: str = GENERATOR,
        source: str = "",
        host: Callable[[], str | None] | None = None,
        probes: Iterable[Probe] = (),
        watch: GeneratorWatch | None = None,
    ) -> None:
        self.interval_s = monitor_interval(interval_s)
        self._report = report
        self._side, self._source = side, source
        self._absences = Absences()
        self._own_watch = GeneratorWatch(lambda *_: None, LAG_INTERVAL_S) if watch is None else None
        self._probes = tuple(probes)
        name = f"this process ({side} {source})" if source else f"this process ({side})"
        self._own = OwnProcess((watch or self._own_watch).take_lag, self._absences, name)  # type: ignore[union-attr]
        self._ports = None if host is None else PortsLeft(host, self._absences, name)
        self._tickers: list[Ticker] = []

    @property
    def is_running(self) -> bool:
        """Whether it samples."""
        return bool(self._tickers)

    def start(self) -> None:
        """Take the baselines, and sample from now on: first after one interval. Does nothing if it runs.

        The first start of all looks for the greenlets that there are, for some milliseconds: best before the load.
        """
        if self._tickers:
            return
        now_s = monotonic()
        if self._own_watch is not None:
            self._own_watch.start(now_s)
        self._own.begin(now_s)
        self._tickers = [Ticker(self.interval_s, self._sample_own)]
        if self._ports is not None:
            self._ports.begin()
            self._tickers.append(Ticker(self.interval_s, self._sample_ports))
        for probe in self._probes:
            probe.begin()
            self._tickers.append(Ticker(self.interval_s, partial(self._sample_target, probe)))
        for ticker in self._tickers:
            ticker.start()

    def stop(self) -> None:
        """Sample no more; idempotent. A reading that is under way in a real thread comes to nothing."""
        tickers, self._tickers = self._tickers, []
        for ticker in tickers:
            ticker.close()
        if tickers and self._own_watch is not None:
            self._own_watch.stop()

    def _sample_own(self, now_s: float) -> None:
        values = self._own.read(now_s)
        if self._ports is not None and self._ports.value is not None:
            values["ports_left"] = self._ports.value
        self._tell(self._side, self._source, now_s, values, self._own.limits)

    def _sample_ports(self, _: float) -> None:
        assert self._ports is not None
        self._ports.refresh()

    def _sample_target(self, probe: Probe, _: float) -> None:
        reading = probe.read(self._absences, PROBE_DEADLINE_S)
        if reading is not None:
            self._tell(TARGET, probe.source, reading.at_s, reading.values, reading.limits)

    def _tell(
        self, side: str, source: str, at_s: float, values: Mapping[str, float], limits: Mapping[str, float]
    ) -> None:
        if values and self._tickers:  # a probe that was slow may come when all is over
            self._report(side, source, at_s, dict(values), dict(limits))
