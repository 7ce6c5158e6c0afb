"""What the hot path writes to without asking anybody: traffic counts, and connections by state."""

from __future__ import annotations


class Traffic:
    """Application messages and payload bytes; whoever sends or receives adds to it: `traffic.messages_sent += 1`."""

    __slots__ = ("bytes_received", "bytes_sent", "messages_received", "messages_sent")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.messages_sent = self.messages_received = self.bytes_sent = self.bytes_received = 0

    def counts(self) -> list[int]:
        """In the order of `TrafficStats`."""
        return [self.messages_sent, self.messages_received, self.bytes_sent, self.bytes_received]


class ConnectionStates:
    """How many connections are in which state, and the most that were open since the last drain and in the run."""

    __slots__ = ("_counts", "_peak_of_run", "_peak_since_drain")

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._peak_since_drain = self._peak_of_run = 0

    def change(self, old: str | None, new: str | None) -> None:
        """One connection went from `old` to `new`; None: it did not exist before, or is gone."""
        counts = self._counts
        if old is not None:
            counts[old] = counts.get(old, 0) - 1
        if new is not None:
            counts[new] = count = counts.get(new, 0) + 1
            if new == "open" and count > self._peak_since_drain:
                self._peak_since_drain = count

    def freeze(self) -> dict[str, int]:
        """State -> connections, empty states left out."""
        return {state: count for state, count in self._counts.items() if count > 0}

    @property
    def peak_open(self) -> int:
        """Most that were open at once in the run."""
        return max(self._peak_of_run, self._peak_since_drain)

    def drain_peak(self) -> int:
        """Most that were open at once since the last call."""
        peak, self._peak_since_drain = self._peak_since_drain, self._counts.get("open", 0)
        self._peak_of_run = max(self._peak_of_run, peak)
        return peak

    def restart_peak(self) -> None:
        """A new run: the peak starts from what is open now."""
        self._peak_since_drain = self._peak_of_run = self._counts.get("open", 0)
