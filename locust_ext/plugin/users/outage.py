"""`Outage`: from the loss of a channel's connection to the moment at which it is open again."""

from __future__ import annotations


class Outage:
    """One channel's; times are monotonic seconds. A close that the user wanted is none."""

    __slots__ = ("_closed_s", "_host", "_since_s")

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._closed_s: float | None = None
        """When we closed a connection that stood, if nothing was tried since."""
        self._host: str | None = None
        """Where the connection stood last."""

    def begins(self, lost_s: float) -> None:
        """The connection went, not by our doing."""
        if self._since_s is None:
            self._since_s = lost_s

    def close(self, now_s: float) -> None:
        """We begin to close the connection: nobody misses it, unless a backoff follows at once."""
        self._since_s = None
        self._closed_s = now_s

    def backs_off(self) -> None:
        """A backoff follows. Right after our own close, it was closed for being unhealthy: that was the loss."""
        if self._since_s is None:
            self._since_s = self._closed_s

    def tries(self) -> None:
        """A connect begins."""
        self._closed_s = None

    def ends(self, host: str, opened_s: float) -> tuple[int, bool] | None:
        """The connection is open: microseconds without one, and whether it now stands elsewhere; None: none was missed."""
        since_s, self._since_s = self._since_s, None
        before, self._host = self._host, host
        return None if since_s is None else (max(0, round((opened_s - since_s) * 1e6)), host != before)
