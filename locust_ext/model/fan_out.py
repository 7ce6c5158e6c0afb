"""What one process knows of fan-outs, on its way to the master; a part of the model (`locust_ext.model`)."""

from __future__ import annotations

from dataclasses import dataclass

from locust_ext.model.distribution import Distribution


@dataclass(frozen=True, slots=True)
class FanOutPart:
    """What one process knows of one fan-out; times are microseconds of its own monotonic clock."""

    id: int
    """The same in every process: a hash of the audience and of what ties a push to its cause. Below 2**53."""
    kind: int
    """`HEARD`, `SENT`, `WAITING` or `VOID` of `core.accounting.fanout`."""
    event: str = ""
    """What the pushes are called; in the sender's part only, as the next three."""
    audience: str = ""
    sent_us: int = 0
    skips: int = 0
    """1: the sender's own connection was open all the time and is not among the receivers; else 0."""
    heard: int = 0
    """Receivers, without those in `unsure`."""
    gone: int = 0
    """How many of them have closed before the grace was over, so that they are no part of the reach."""
    first_us: int = 0
    last_us: int = 0
    unsure: tuple[tuple[int, int, int], ...] = ()
    """`(joined, left or 0, heard)` of receivers that may have come too late or gone too early: the send decides."""
    offsets: Distribution | None = None
    """From `first_us` to each receiver, where the send's time is known to the sender alone."""


@dataclass(frozen=True, slots=True)
class AudienceChanges:
    """Connections that joined and left an audience, in microseconds of the process's monotonic clock."""

    name: str
    joined_us: tuple[int, ...] = ()
    left_us: tuple[tuple[int, int], ...] = ()
    """`(left, joined)`."""


@dataclass(frozen=True, slots=True)
class FanOutDelta:
    """The part of a `Delta` that fan-outs are joined from."""

    host: str
    """Processes that say the same share a monotonic clock."""
    clock_us: int
    """That clock, at the drain."""
    blind_from_us: int | None = None
    """Fan-outs sent since then are not all in here: there were too many. None: all are."""
    audiences: tuple[AudienceChanges, ...] = ()
    parts: tuple[FanOutPart, ...] = ()
