"""Probes: what can be seen of the target, by its pid, its port, its Prometheus endpoint or its context server's API.

Each is read by a greenlet of its own, which may block: what walks ``/proc`` does so in a real thread, what asks over HTTP
does so by a deadline. A dear reading makes the next one later: a probe uses some 0.1 % of a core, and as much to look who
belongs to a process.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol

import psutil
from gevent import get_hub

from locust_ext.errors import ConfigError
from locust_ext.runtime.monitor.context_scan import ContextScan
from locust_ext.runtime.monitor.family import Family, is_alive
from locust_ext.runtime.monitor.pace import Absences, Pace, next_turn
from locust_ext.runtime.monitor.proc_net import holders_of, listening_inodes
from locust_ext.runtime.monitor.prometheus_text import Scrape, Selector, selectors
from locust_ext.runtime.monitor.watched_url import FetchFailed, WatchedUrl, fetch, new_tls_context, watched_url

SHARE = 0.003
CONTEXT_SHARE = 0.002
"""A megabyte of context costs some 30 ms to look through: it is read every 15 s."""
RECHECK_S = 10.0
MAX_SEARCH_S = 5.0
"""The longest pause between two searches for who listens, each through all descriptors of the machine."""
MAX_PID = 2**22
FAMILY = "every value"
PATIENCE = 3
"""Answers in which a name that a rule uses may be missing: some series begin with the first load."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read at one moment; what could not be is absent."""

    at_s: float
    """Monotonic."""
    values: Mapping[str, float]
    limits: Mapping[str, float] = field(default_factory=dict)


class Probe(Protocol):
    """Something of the target that can be read."""

    source: str
    """As it is shown: ``port 8080``."""

    def begin(self) -> None:
        """Forget all earlier readings: the next one is a baseline."""

    def read(self, absences: Absences, within_s: float) -> Reading | None:
        """Blocks the calling greenlet, while it asks over a network for ``within_s`` at most.

        None: there is nothing now, or it is not due yet.
        """


class PidProbe:
    """A process and its children. One that ends is absent; it is back when its number runs the same command again."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.source = f"pid {pid}"
        self._command: list[str] | None = None
        self._family: Family | None = None
        self._pace = Pace(SHARE)

    def begin(self) -> None:
        self._family = None

    def read(self, absences: Absences, within_s: float) -> Reading | None:
        if not self._pace.is_due():
            return None
        reading: Reading | None = get_hub().threadpool.apply(self._read, (absences,))
        return reading

    def _read(self, absences: Absences) -> Reading | None:
        reading = _of_family(self._family, self._pace, absences, self.source)
        if reading is None:
            self._family = self._open(absences)
            reading = _of_family(self._family, self._pace, absences, self.source)  # no CPU yet, the rest at once
        self._pace.rest()
        return reading

    def _open(self, absences: Absences) -> Family | None:
        try:
            process = psutil.Process(self.pid)
            if not is_alive(process):
                raise psutil.NoSuchProcess(self.pid)
            command = process.cmdline()
        except psutil.NoSuchProcess:
            absences.tell(
                self.source, FAMILY, "there is no such process (yet)" if self._command is None else "it ended"
            )
            return None
        except psutil.Error:
            command = []
        if self._command is not None and command != self._command:
            absences.tell(self.source, FAMILY, "it ended, and its number is another program's now")
            return None
        self._command = command
        return Family([process], monotonic())


class PortProbe:
    """The process that listens on a TCP port of this machine, and its children; whichever it is at the time."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.source = f"port {port}"
        self._family: Family | None = None
        self._inodes: set[str] = set()
        self._recheck_s = 0.0
        self._pace = Pace(SHARE)
        self._search = Pace(SHARE, longest_s=MAX_SEARCH_S)

    def begin(self) -> None:
        self._family, self._inodes = None, set()

    def read(self, absences: Absences, within_s: float) -> Reading | None:
        if not self._pace.is_due():
            return None
        reading: Reading | None = get_hub().threadpool.apply(self._read, (absences,))
        return reading

    def _read(self, absences: Absences) -> Reading | None:
        now_s = monotonic()
        if self._family is not None and now_s >= self._recheck_s:
            self._recheck_s = now_s + RECHECK_S
            if self._listening(absences) != self._inodes:
                self._family = None
        reading = _of_family(self._family, self._pace, absences, self.source)
        if reading is None:
            self._family = self._find(absences)
            self._recheck_s = now_s + RECHECK_S
            reading = _of_family(self._family, self._pace, absences, self.source)  # no CPU yet, the rest at once
        self._pace.rest()
        return reading

    def _listening(self, absences: Absences) -> set[str]:
        try:
            return listening_inodes(self.port)
        except OSError:
            absences.tell(self.source, FAMILY, "the system's tables of sockets are not readable")
            return set()

    def _find(self, absences: Absences) -> Family | None:
        self._inodes = self._listening(absences)
        if not self._inodes:
            absences.tell(self.source, FAMILY, "nobody listens there")
            return None
        if not self._search.is_due():
            return None
        with self._search.spending():
            roots = _first_of(holders_of(self._inodes))
        self._search.rest()
        if not roots:
            absences.tell(self.source, FAMILY, "the system does not let us see who listens there")
            return None
        return Family(roots, monotonic())


def _first_of(pids: set[int]) -> list[psutil.Process]:
    """Of the processes that share a listening socket those that no other one of them has started.

    systemd holds the sockets of the services that it starts on demand: it is none of them.
    """
    found: list[psutil.Process] = []
    for pid in sorted(pids):
        try:
            process = psutil.Process(pid)
            if len(pids) > 1 and process.name() == "systemd":
                continue
            if not any(parent.pid in pids and parent.name() != "systemd" for parent in process.parents()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def _of_family(family: Family | None, pace: Pace, absences: Absences, source: str) -> Reading | None:
    if family is None or not family.is_there:
        return None
    family.look()
    with pace.spending():
        now_s = monotonic()
        return Reading(now_s, family.read(now_s, lambda metric, reason: absences.tell(source, metric, reason)))


CPU, MEMORY, DESCRIPTORS, MAX_DESCRIPTORS = selectors(
    ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_max_fds")
)
PROCESS = (CPU, MEMORY, DESCRIPTORS, MAX_DESCRIPTORS)


class MetricsProbe:
    """The target's own Prometheus endpoint: its ``process_*`` figures, and what was selected beside them.

    ``wanted``: what rules call it -> the series that it may be; they are read too, and a name whose series are in none
    of the first answers is told.
    """

    source = "metrics"

    def __init__(
        self,
        url: WatchedUrl,
        selected: Iterable[Selector] = (),
        wanted: Mapping[str, tuple[Selector, ...]] | None = None,
    ) -> None:
        self._url = url
        self._selected = tuple(selected)
        self._awaited = dict(wanted or {})
        """Those that were in no answer yet, and of which nobody was told."""
        self._read_too = tuple(each for series in self._awaited.values() for each in series)
        self._answers = 0
        self._counters: dict[Selector, tuple[float, float]] = {}
        self._pace = Pace(SHARE)
        self._tls: ssl.SSLContext | None = None

    def begin(self) -> None:
        self._counters.clear()

    def read(self, absences: Absences, within_s: float) -> Reading | None:
        if not self._pace.is_due():
            return None
        scrape = Scrape(dict.fromkeys((*PROCESS, *self._selected, *self._read_too)), self._pace)
        if self._url.is_secure and self._tls is None:
            self._tls = new_tls_context()
        try:
            fetch(self._url, within_s, scrape.feed, self._tls)
            at_s = monotonic()
            found = scrape.values(next_turn)
        except FetchFailed as failure:
            absences.tell(f"the target's {self._url.label}", FAMILY, str(failure))
            return None
        finally:
            self._pace.rest()
        for selector in self._selected or (() if self._read_too else (CPU, MEMORY, DESCRIPTORS)):
            if selector not in found:
                self._tell_absent(selector, scrape, absences)
        self._await(found, scrape, absences)
        return self._reading(found, at_s)

    def _tell_absent(self, selector: Selector, scrape: Scrape, absences: Absences) -> None:
        reason = "its answer does not name it, or not with a finite number"
        if selector.name in scrape.too_many:
            reason = "it has more series than are read: give labels, such as " + selector.name + '{label="value"}'
        absences.tell(f"the target's {self._url.label}", selector.text, reason)

    def _await(self, found: Mapping[Selector, float], scrape: Scrape, absences: Absences) -> None:
        """Look for what the rules want; when there was time enough, say what the endpoint does not tell."""
        self._answers += 1
        for name, series in list(self._awaited.items()):
            if any(each in found for each in series):
                del self._awaited[name]
            elif self._answers >= PATIENCE:
                del self._awaited[name]
                if any(each.name in scrape.too_many for each in series):
                    self._tell_absent(next(each for each in series if each.name in scrape.too_many), scrape, absences)
                else:
                    absences.tell(f"the target's {self._url.label}", name, "the endpoint does not tell it")

    def _reading(self, found: Mapping[Selector, float], at_s: float) -> Reading | None:
        values: dict[str, float] = {}
        limits: dict[str, float] = {}
        for selector, value in found.items():
            if selector == CPU:
                rate = self._rate(selector, value, at_s)
                if rate is not None:
                    values["cpu_percent"] = rate * 100
            elif selector == MEMORY:
                values["memory_bytes"] = value
            elif selector == DESCRIPTORS:
                values["descriptors"] = value
            elif selector == MAX_DESCRIPTORS:
                if value > 0:
                    limits["descriptors_limit"] = value
            elif selector.name.endswith("_total"):
                rate = self._rate(selector, value, at_s)
                if rate is not None:
                    values[rate_name(selector)] = rate
            else:
                values[selector.text] = value
        if "descriptors" in values and limits:
            values["descriptors_percent"] = values["descriptors"] / limits["descriptors_limit"] * 100
        return Reading(at_s, values, limits) if values else None

    def _rate(self, selector: Selector, value: float, at_s: float) -> float | None:
        """A second, since the last answer; None: the first one, or the counter began anew."""
        before = self._counters.get(selector)
        self._counters[selector] = value, at_s
        if before is None or value < before[0] or at_s <= before[1]:
            return None
        return (value - before[0]) / (at_s - before[1])


def rate_name(selector: Selector) -> str:
    """The key of a counter's rate: ``requests_total{code="500"}`` -> ``requests_per_second{code="500"}``."""
    return selector.name.removesuffix("_total") + "_per_second" + selector.text.removeprefix(selector.name)


class ContextProbe:
    """A context server's own figures, from ``/ctx/all``: how many keys it holds and how many clients are connected."""

    source = "context"

    def __init__(self, url: WatchedUrl) -> None:
        self._url = url
        self._pace = Pace(CONTEXT_SHARE)
        self._tls: ssl.SSLContext | None = None

    def begin(self) -> None:
        """There is nothing to forget: it has no rates."""

    def read(self, absences: Absences, within_s: float) -> Reading | None:
        if not self._pace.is_due():
            return None
        scan = ContextScan()

        def feed(piece: bytes) -> None:
            with self._pace.spending():
                scan.feed(piece)

        if self._url.is_secure and self._tls is None:
            self._tls = new_tls_context()
        try:
            fetch(self._url, within_s, feed, self._tls)
            at_s = monotonic()
        except FetchFailed as failure:
            absences.tell(f"the target's {self._url.label}", FAMILY, str(failure))
            return None
        finally:
            self._pace.rest()
        values = scan.values
        for name in ("context_keys", "connected_clients"):
            if name not in values:
                absences.tell(f"the target's {self._url.label}", name, "its answer does not say it")
        return Reading(at_s, values) if values else None


def pid_probe(pid: object, source: str = "") -> PidProbe:
    """The probe of a process. Raises `ConfigError` in the name of ``source`` (a flag, a file)."""
    if isinstance(pid, bool) or not isinstance(pid, int) or not 1 <= pid <= MAX_PID:
        raise ConfigError(f"expected the number of a process, 1 to {MAX_PID}", source=source, value=pid)
    return PidProbe(pid)


def port_probe(port: object, source: str = "") -> PortProbe:
    """The probe of whoever listens on a TCP port of this machine. Raises `ConfigError`."""
    if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
        raise ConfigError("expected a TCP port, 1 to 65535", source=source, value=port)
    return PortProbe(port)


def metrics_probe(
    url: str, selected: Iterable[str] = (), source: str = "", wanted: Mapping[str, Iterable[str]] | None = None
) -> MetricsProbe:
    """The probe of a Prometheus endpoint. ``selected``: names or ``name{label="value"}``; ``wanted``: names of rules,
    each with the series that it may be. Raises `ConfigError`.
    """
    series = {name: selectors(texts, source) for name, texts in (wanted or {}).items()}
    return MetricsProbe(watched_url(url, source), selectors(selected, source), series)


def context_probe(base_url: str, source: str = "") -> ContextProbe:
    """The probe of the context server at this base URL. Raises `ConfigError`."""
    return ContextProbe(watched_url(base_url, source, "/ctx/all"))
