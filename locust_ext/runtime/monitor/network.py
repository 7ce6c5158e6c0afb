"""`NetworkRates`: bytes that the machine's interfaces sent and received each second, from their counters."""

from __future__ import annotations

import psutil


class NetworkRates:
    """The loopback is one of the interfaces, because a target may be on this machine. Any greenlet."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, int]] | None = None
        self._at_s = 0.0

    def begin(self, now_s: float) -> None:
        """Take the baseline."""
        self._seen, self._at_s = self._counters(), now_s

    def read(self, now_s: float) -> dict[str, float]:
        """``sent_bytes_per_second`` and ``received_bytes_per_second`` since the last call, of those that were there then.

        Both are absent where an interface went away or a counter went backwards (it wrapped, or was made anew).
        """
        before, length_s = self._seen, now_s - self._at_s
        self.begin(now_s)
        after = self._seen
        if before is None or after is None or length_s <= 0:
            return {}
        sent = received = 0
        for name, (sent_before, received_before) in before.items():
            sent_after, received_after = after.get(name, (-1, -1))
            if sent_after < sent_before or received_after < received_before:
                return {}
            sent += sent_after - sent_before
            received += received_after - received_before
        return {"sent_bytes_per_second": sent / length_s, "received_bytes_per_second": received / length_s}

    def _counters(self) -> dict[str, tuple[int, int]] | None:
        try:
            found = psutil.net_io_counters(pernic=True, nowrap=False)
        except (OSError, psutil.Error, ValueError):
            return None
        return {name: (each.bytes_sent, each.bytes_recv) for name, each in found.items()} or None
