"""`Seen`: what the owner of a run knows once a second, as the search for the limit is told it."""

from __future__ import annotations

from dataclasses import dataclass

from locust_ext.model import Snapshot


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at the run; all times are seconds since its start."""

    now_s: float
    users: int
    """That are present."""
    connecting: int = 0
    """Connections that are being opened."""
    waiting: int = 0
    """Connections that could not be opened, or were lost, and will be tried again."""
    failed: int = 0
    """Connections that were given up; their users stay, and do nothing any more."""
    stretch: Snapshot | None = None
    """What ended in the whole closed seconds from `from_s` to `to_s`; `run.duration_s` is their length. None: no second
    has closed since the stretch began."""
    from_s: float = 0.0
    to_s: float = 0.0
    is_bottleneck: bool = False
    """A generator was its own limit at some time between `from_s` and `to_s`."""
    connects: Snapshot | None = None
    """The CONNECT operations that ended in the closed seconds since `Search.connects_from_s`; `run.duration_s` is their
    number. None: no second has closed since."""

    @property
    def missing(self) -> int:
        """Connections that are not there: being opened, tried again later, or given up."""
        return self.connecting + self.waiting + self.failed
