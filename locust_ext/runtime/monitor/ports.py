"""`PortsLeft`: how many local ports are left for connections to the target, before `no_ports`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic, thread_time

from gevent import get_hub

from locust_ext.errors import ConfigError, OperationError
from locust_ext.runtime.address import endpoint, resolve
from locust_ext.runtime.monitor.pace import Absences
from locust_ext.runtime.monitor.proc_net import sockets_to
from locust_ext.runtime.process import shared

IPV4 = Path("/proc/sys/net/ipv4")
SHARE = 0.001
LONGEST_S = 10.0
RESOLVE_S = 5.0


def port_range(folder: Path = IPV4) -> int:
    """How many local ports the system chooses from, without those reserved. Raises `OSError`, `ValueError`."""
    low, high = (int(word) for word in (folder / "ip_local_port_range").read_text().split())
    try:
        reserved = (folder / "ip_local_reserved_ports").read_text().strip()
    except OSError:
        reserved = ""
    count = high - low + 1
    for part in reserved.split(",") if reserved else ():
        first, _, last = part.partition("-")
        count -= max(0, min(int(last or first), high) - max(int(first), low) + 1)
    return count


def count_left(addresses: Sequence[str], port: int, sources: Sequence[str]) -> int:
    """Ports left to that of the target's addresses which has the fewest; addresses that nobody uses do not count.

    ``sources``: the local addresses that connections are opened from; empty: one, that the system chooses. Reads the
    whole table of sockets: for a real thread. Raises `OSError`, `ValueError`.
    """
    size = port_range() * max(1, len(sources))
    return max(0, size - max(sockets_to(address, port, sources) for address in addresses))


class PortsLeft:
    """Keeps `value` fresh: at most 10 s old, and for 0.1 % of a core where the table is short enough."""

    def __init__(self, host: Callable[[], str | None], absences: Absences, source: str) -> None:
        self._host = host
        self._absences = absences
        self._source = source
        self._due_s = 0.0
        self.value: float | None = None
        """None: no target, or not readable."""

    def begin(self) -> None:
        """Forget what was read."""
        self._due_s, self.value = 0.0, None

    def refresh(self) -> None:
        """Read anew if it is time to; blocks the calling greenlet, not the loop."""
        if monotonic() < self._due_s:
            return
        self.value, cost_s = None, 0.0
        host = self._host()
        if not host:
            return
        try:
            target = endpoint(host, "")
            found = {str(each[3][0]) for each in resolve(target.hostname, target.port, monotonic() + RESOLVE_S)}
            sources = shared().source_addresses
            self.value, cost_s = get_hub().threadpool.apply(_timed, (sorted(found), target.port, sources))
        except (ConfigError, OperationError) as error:
            why = "its host is no address" if isinstance(error, ConfigError) else "its name cannot be resolved"
            self._absences.tell(self._source, "ports_left", f"of the target: {why}")
        else:
            if self.value is None:
                self._absences.tell(self._source, "ports_left", "the system's tables of sockets are not readable")
        rest_s = LONGEST_S if self.value is None else min(cost_s / SHARE, LONGEST_S)
        self._due_s = monotonic() + rest_s


def _timed(addresses: Sequence[str], port: int, sources: Sequence[str]) -> tuple[float | None, float]:
    """(ports left, None if they cannot be read; seconds of CPU). Raises nothing: gevent's threads print what is raised."""
    begun_s = thread_time()
    try:
        left: float | None = float(count_left(addresses, port, sources))
    except (OSError, ValueError):
        left = None
    return left, thread_time() - begun_s
