"""`Outage`: from the loss of a channel's connection to the moment at which it is open again.

A user whose first host refuses it, and who finds a connection on another one, has been without it from its first try on.
"""

from __future__ import annotations


class Outage:
    """One channel's; times are monotonic seconds. A close that the user wanted is none."""

    __slots__ = ("_closed_s", "_first_try", "_host", "_since_s")

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._closed_s: float | None = None
        """When we closed a connection that stood, if nothing was tried since."""
        self._host: str | None = None
        """Where the connection stood last."""
        self._first_try: tuple[str, float] | None = None
        """Of a channel that has never had a connection: the host that refused it first, and when that was tried."""

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

    def refused(self, host: str, tried_s: float) -> None:
        """A connect that began then has failed."""
        if self._host is None and self._first_try is None:
            self._first_try = (host, tried_s)

    def ends(self, host: str, opened_s: float) -> tuple[int, bool] | None:
        """The connection is open: microseconds without one, and whether it now stands elsewhere; None: none was missed."""
        since_s, self._since_s = self._since_s, None
        before, self._host = self._host, host
        first_try, self._first_try = self._first_try, None
        if first_try is not None and first_try[0] != host:
            before, since_s = first_try
        return None if since_s is None else (max(0, round((opened_s - since_s) * 1e6)), host != before)
