"""`Monitor`: the resource monitor of this process, what it watches by the flags given, and where its samples go."""

from __future__ import annotations

from locust.env import Environment
from locust.runners import MasterRunner

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from locust_ext.core.accounting.recorder import Recorder
from locust_ext.core.accounting.resources import Keeping, Resources, clean_values
from locust_ext.core.alerts.metrics import endpoint_series
from locust_ext.errors import ConfigError
from locust_ext.model import GENERATOR, MASTER, ResourceSample, ResourceStats, RunInfo, Snapshot
from locust_ext.plugin.options import flag_of
from locust_ext.runtime.generator_watch import GeneratorWatch
from locust_ext.runtime.monitor.prometheus_text import selectors
from locust_ext.runtime.probes import PidProbe, Probe, context_probe, metrics_probe, pid_probe, port_probe
from locust_ext.runtime.resources import ResourceMonitor, monitor_interval
from locust_ext.settings import Settings

logger = logging.getLogger("locust_ext")

CONTEXT_PATH = "/ctx/all"


@dataclass(frozen=True, slots=True)
class MonitorOptions:
    """How often to look, how much to keep, and which target to watch."""

    interval_s: float = 1.0
    keeping: Keeping = field(default_factory=Keeping)
    probes: tuple[Probe, ...] = ()
    """Of the target, as the flags say; not in a worker."""


def monitor_options(
    options: Any, settings: Settings, *, is_worker: bool = False, metrics: Iterable[str] = ()
) -> MonitorOptions:
    """From the flags, and where they are silent from the settings; the target is the master's. Raises `ConfigError`.

    ``metrics``: those that rules are about; of the target's own endpoint they are read without being selected.
    """
    monitor = settings.monitor
    probes: list[Probe] = []
    if is_worker:
        return MonitorOptions(_interval(options, settings), keeping_of(settings))
    if (pid := _number(options, "ext_target_pid")) is not None:
        probes.append(pid_probe(pid, "--ext-target-pid"))
    if (port := _number(options, "ext_target_port")) is not None:
        probes.append(port_probe(port, "--ext-target-port"))
    if url := getattr(options, "ext_target_metrics", None):
        path = urlsplit(url).path.rstrip("/")
        if path.endswith(CONTEXT_PATH):  # a context server tells its figures there
            probes.append(context_probe(url.partition(CONTEXT_PATH)[0], "--ext-target-metrics"))
        else:
            wanted = _wanted(metrics, getattr(options, "ext_rules", None) or "--ext-rules")
            probes.append(metrics_probe(url, monitor.target_metrics, "--ext-target-metrics", wanted))
    return MonitorOptions(_interval(options, settings), keeping_of(settings), tuple(probes))


def _wanted(metrics: Iterable[str], source: str) -> dict[str, tuple[str, ...]]:
    """What the rules call it -> the series of the endpoint that it may be. Raises `ConfigError` for what is none."""
    found: dict[str, tuple[str, ...]] = {}
    for metric in metrics:
        if series := endpoint_series(metric):
            try:
                selectors(series)
            except ConfigError:
                raise ConfigError(
                    'expected target. and the name of a series, such as target.queue_depth{of="a"}',
                    source=str(source),
                    key="metric",
                    value=metric,
                ) from None
            found[metric] = series
    return found


def keeping_of(settings: Settings) -> Keeping:
    """How much of the samples is kept."""
    monitor = settings.monitor
    return Keeping(monitor.history, monitor.max_age_s, monitor.warmup_s)


def _interval(options: Any, settings: Settings) -> float:
    given = getattr(options, "ext_monitor_interval", None)
    if given is None:
        return settings.monitor.interval_s
    flag = flag_of("ext_monitor_interval")
    try:
        return monitor_interval(float(given), flag)
    except ValueError:
        return monitor_interval(given, flag)


def _number(options: Any, name: str) -> int | None:
    value = getattr(options, name, None)
    try:
        return None if value is None else int(value)
    except ValueError:
        raise ConfigError("expected a whole number", source=flag_of(name), value=value) from None


class Monitor:
    """Samples this process (and, but for a worker, the target) from `start` to `stop`, with a run or without one.

    In a run the samples go into its `Snapshot`; `window` has the latest ones at any time. Both methods may be repeated,
    by any greenlet; a monitor that was stopped stays so, over the next run's start too.
    """

    def __init__(self, environment: Environment, recorder: Recorder) -> None:
        self._environment = environment
        self._recorder = recorder
        self._options = MonitorOptions()
        self._watch: GeneratorWatch | None = None
        self._extra: tuple[Probe, ...] = ()
        self._monitor: ResourceMonitor | None = None
        self._is_wanted = True
        self._began_s = monotonic()
        self._live = Resources(logger.warning)

    def use(self, options: MonitorOptions, watch: GeneratorWatch | None, target_pid: int | None = None) -> None:
        """What to watch from now on. ``watch``: of the run's loop lag; ``target_pid``: the embedded server's."""
        is_running = self.is_running
        self._end()
        self._options, self._watch = options, watch
        self._extra = () if target_pid is None else (PidProbe(target_pid),)
        self._live.clear(options.keeping, 0.0)
        self._recorder.keep_resources(options.keeping)
        if is_running:
            self._begin()

    @property
    def is_running(self) -> bool:
        """Whether it samples."""
        return self._monitor is not None

    @property
    def interval_s(self) -> float:
        return self._options.interval_s

    def start(self) -> None:
        """Sample from now on: the first values come after an interval. Does nothing if it runs."""
        self._is_wanted = True
        self._begin()

    def stop(self) -> None:
        """Sample no more, until `start`; idempotent."""
        self._is_wanted = False
        self._end()

    def resume(self) -> None:
        """As `start`, unless somebody has stopped it."""
        if self._is_wanted:
            self._begin()

    def _begin(self) -> None:
        if self._monitor is not None:
            return
        side = MASTER if isinstance(self._environment.runner, MasterRunner) else GENERATOR
        self._monitor = ResourceMonitor(
            self._options.interval_s,
            self._report,
            side=side,
            host=None if side == MASTER else self._host,
            probes=(*self._options.probes, *self._extra),
            watch=self._watch,
        )
        self._monitor.start()

    def _end(self) -> None:
        monitor, self._monitor = self._monitor, None
        if monitor is not None:
            monitor.stop()

    def close(self) -> None:
        """Idempotent."""
        self._end()

    def _host(self) -> str | None:
        environment = self._environment
        host = environment.host or next((each.host for each in environment.user_classes if each.host), None)
        return host or None

    def _report(
        self, side: str, source: str, now_s: float, values: Mapping[str, float], limits: Mapping[str, float]
    ) -> None:
        self._recorder.resource(side, source, now_s, values, limits)
        self._live.limit(side, source, limits)
        self._live.add(ResourceSample(side, source, max(0.0, now_s - self._began_s), clean_values(values)))

    def window(self, length_s: float) -> Snapshot:
        """What was read in the last seconds, also where there is no run; in the process's own view."""
        return Snapshot(RunInfo(users=0), resources=self._live.window(monotonic() - self._began_s - length_s, {}))

    def stats(self) -> tuple[ResourceStats, ...]:
        """All that was read since the monitor was made, with trends and leak verdicts."""
        return self._live.stats({}, is_over=True)
