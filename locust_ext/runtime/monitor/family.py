"""`Family`: some processes with all their children, read as one. For a real thread: it walks ``/proc``."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import psutil

from locust_ext.runtime.monitor.pace import Pace

WALK_SHARE = 0.001
MIN_CPU_S = 0.05
"""The kernel counts CPU in hundredths of a second: over less than five of them there is no honest share."""
DENIED = "the system does not let us see it"
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
Absent = Callable[[str, str], None]
"""``(metric, reason)``."""


@dataclass(slots=True)
class _Member:
    own_s: float
    """CPU seconds that it has used itself."""
    reaped_s: float
    """CPU seconds of its children that have ended and that it has waited for."""


def descriptors_quickly(pid: int | str) -> int:
    """How many descriptors are open, without listing them (Linux 6.2 and later). Raises `OSError`."""
    count = os.stat(f"/proc/{pid}/fd").st_size
    if not count:
        raise OSError("this kernel does not count them")
    return count


def descriptors_of(process: psutil.Process) -> int:
    """How many descriptors are open; lists them where that is the only way. Raises `psutil.Error`."""
    try:
        return descriptors_quickly(process.pid)
    except OSError:
        return process.num_fds()


def is_alive(process: psutil.Process) -> bool:
    """Whether it is still this process, and no zombie: one that has ended, and whose parent has not looked yet."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True


def _times(process: psutil.Process) -> _Member:
    times = process.cpu_times()
    return _Member(times.user + times.system, times.children_user + times.children_system)


def _born_s(pid: int) -> float:
    """When a process began, in seconds of the boot's clock, to a tick (psutil's own time is rounded to a second).

    -inf: not known. Source: proc_pid_stat(5), field 22.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[19]) * TICK_S
    except (OSError, ValueError, IndexError):
        return -math.inf


class Family:
    """``roots`` and all below them. CPU is counted from the moment that this is made (monotonic ``now_s``).

    `look` sees who comes and goes; it is the dear part, on a machine with many processes.
    """

    def __init__(self, roots: Iterable[psutil.Process], now_s: float) -> None:
        self._roots = list(roots)
        self._at_s = now_s
        self._walk = Pace(WALK_SHARE, longest_s=30.0)
        self._found: set[psutil.Process] = set()
        self._known_until_s = self._walked_at_s = math.inf  # nobody is a newcomer yet
        self._members: dict[psutil.Process, _Member] = {}
        self.look()
        for process in self._found:
            try:
                self._members[process] = _times(process)
            except psutil.Error:
                continue

    @property
    def is_there(self) -> bool:
        """Whether any of the roots lives."""
        return any(is_alive(root) for root in self._roots)

    def look(self) -> None:
        """Find out who belongs to it now, if the last time was long enough ago for its cost."""
        if not self._walk.is_due():
            return
        self._known_until_s, self._walked_at_s = self._walked_at_s, time.clock_gettime(time.CLOCK_BOOTTIME)
        with self._walk.spending():
            for root in self._roots:
                self._found.add(root)
                try:
                    self._found.update(root.children(recursive=True))
                except psutil.Error:
                    continue
        self._walk.rest()

    def read(self, now_s: float, absent: Absent) -> dict[str, float]:
        """``cpu_percent`` since the last call, ``memory_bytes`` (RSS), ``descriptors``, ``threads``, ``processes``.

        Sums over all that live; a sum that would miss a member is absent, and ``absent`` is told. Memory that is shared
        counts in each process that has it. Children that came and went between two calls count with their CPU, if their
        parent waited for them.
        """
        length_s, self._at_s = now_s - self._at_s, now_s
        sums = {"memory_bytes": 0.0, "descriptors": 0.0, "threads": 0.0, "processes": 0.0}
        own_s = reaped_s = 0.0
        is_cpu_known = True
        denied: set[str] = set()
        before, self._members = self._members, {}
        for process in list(self._found):
            try:
                with process.oneshot():
                    if not process.is_running():
                        raise psutil.NoSuchProcess(process.pid)
                    times = _times(process)
                    was = before.pop(process, None)
                    if was is None:  # new: all of its CPU is, unless it is an old one that we had not been able to see
                        was = _Member(0.0, 0.0) if _born_s(process.pid) >= self._known_until_s - TICK_S else times
                    own_s += times.own_s - was.own_s
                    reaped_s += times.reaped_s - was.reaped_s
                    self._members[process] = times
                    if process.status() != psutil.STATUS_ZOMBIE:
                        self._add(process, sums, denied)
            except psutil.NoSuchProcess:
                self._found.discard(process)
            except psutil.Error:
                is_cpu_known = False
        ended_s = sum(member.own_s + member.reaped_s for member in before.values())
        for metric in denied:
            del sums[metric]
            absent(metric, DENIED)
        if not is_cpu_known:
            absent("cpu_percent", DENIED)
        elif length_s >= MIN_CPU_S:
            # What a parent waited for was counted while it lived; the rest of it is new.
            sums["cpu_percent"] = (own_s + max(0.0, reaped_s - ended_s)) / length_s * 100
        return sums

    def _add(self, process: psutil.Process, sums: dict[str, float], denied: set[str]) -> None:
        readings: tuple[tuple[str, Callable[[], float]], ...] = (
            ("memory_bytes", lambda: process.memory_info().rss),
            ("descriptors", lambda: descriptors_of(process)),
            ("threads", process.num_threads),
        )
        found: dict[str, float] = {"processes": 1}
        for metric, read in readings:
            try:
                found[metric] = read()
            except psutil.NoSuchProcess:
                raise
            except psutil.Error:
                denied.add(metric)
        for metric, value in found.items():
            sums[metric] += value
