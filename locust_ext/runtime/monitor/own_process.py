"""`OwnProcess`: what the process that makes the load (or the master) uses, and what it may use."""

from __future__ import annotations

import resource
from collections.abc import Callable
from time import process_time

import psutil
from gevent import get_hub

from locust_ext.model import Distribution
from locust_ext.runtime.monitor.census import Census
from locust_ext.runtime.monitor.cgroup import cgroup_limits
from locust_ext.runtime.monitor.family import descriptors_quickly
from locust_ext.runtime.monitor.network import NetworkRates
from locust_ext.runtime.monitor.pace import Absences

LIMITS_S = 10.0
"""How long limits hold: someone may change them while we run."""


class OwnProcess:
    """Made in the process that it watches; one greenlet reads it."""

    def __init__(self, lag: Callable[[], Distribution | None], absences: Absences, source: str) -> None:
        self._process = psutil.Process()
        self._lag = lag
        self._absences = absences
        self._source = source
        self._census = Census()
        self._network = NetworkRates()
        self._at_s = self._cpu_s = self._limits_due_s = 0.0
        self.limits: dict[str, float] = {}
        """`descriptors_limit`, `memory_limit_bytes`, `cpu_limit_cores`; what is not limited is absent."""

    def begin(self, now_s: float) -> None:
        """Take the baselines, so that the first reading is a real one."""
        self._census.start()
        self._network.begin(now_s)
        self._lag()
        self._limits_due_s = now_s
        self._at_s, self._cpu_s = now_s, process_time()

    def read(self, now_s: float) -> dict[str, float]:
        """The metrics of the generator, but for the ports; rates and lag are those since the last call. May switch."""
        values: dict[str, float] = {}
        cpu_s, length_s = process_time(), now_s - self._at_s
        if length_s > 0:
            values["cpu_percent"] = (cpu_s - self._cpu_s) / length_s * 100
        self._at_s, self._cpu_s = now_s, cpu_s
        lag = self._lag()
        if lag is not None and lag.count:
            p99_us, max_us = lag.percentile_us(99), lag.max_us
            if p99_us is not None and max_us is not None:
                values["loop_lag_p99_ms"], values["loop_lag_max_ms"] = p99_us / 1000, max_us / 1000
        rates = self._network.read(now_s)
        values.update(rates)
        if not rates:
            self._absences.tell(self._source, "network bytes", "not readable, or an interface went away")
        readings: dict[str, Callable[[], float]] = {
            "memory_bytes": lambda: self._process.memory_info().rss,
            "threads": self._process.num_threads,
            "descriptors": self._descriptors,
            "greenlets": self._greenlets,
        }
        for metric, read in readings.items():
            try:
                values[metric] = float(read())
            except (psutil.Error, OSError) as error:
                reason = (
                    "its process is too big to be searched for them" if metric == "greenlets" else type(error).__name__
                )
                self._absences.tell(self._source, metric, reason)
        self._read_limits(now_s)
        for metric, used, limit in (
            ("descriptors_percent", "descriptors", "descriptors_limit"),
            ("memory_percent", "memory_bytes", "memory_limit_bytes"),
        ):
            if used in values and limit in self.limits:
                values[metric] = values[used] / self.limits[limit] * 100
        return values

    def _descriptors(self) -> int:
        try:
            return descriptors_quickly("self")
        except (
            OSError
        ):  # before Linux 6.2, and elsewhere: listing 10,000 of them takes 10 ms, and not of the loop's time
            count: int = get_hub().threadpool.apply(self._process.num_fds)
            return count

    def _greenlets(self) -> int:
        count = self._census.count()
        if count is None:
            raise OSError
        return count

    def _read_limits(self, now_s: float) -> None:
        if now_s < self._limits_due_s:
            return
        self._limits_due_s = now_s + LIMITS_S
        limits = cgroup_limits()
        if limits.get("memory_limit_bytes", 0) >= psutil.virtual_memory().total:
            del limits["memory_limit_bytes"]  # the machine's end comes first
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY:
            limits["descriptors_limit"] = float(soft)
        self.limits = limits
