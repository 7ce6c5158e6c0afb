"""The master's side of fan-outs: who sent, who should have heard, who heard; of all processes, joined once all is in.

Processes of one host share a clock, so their times are compared as they are. Between hosts clocks are only known to the
time that a delta takes: there the connections that came or went near the send, or near the end of its grace, are left
out, whether they heard it or not, and neither lag nor spread is told.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from locust_ext.core.accounting.fanout import GRACE_US, HEARD, MARGIN_US, SENT, UNSURE_US, VOID, Joined
from locust_ext.core.accounting.histogram import Histogram
from locust_ext.core.accounting.totals import Source
from locust_ext.model import Delta, Distribution, FanOutDelta, FanOutPart, bucket_bounds_us, bucket_of

HOLD_US: Final = 30_000_000
"""Fan-outs that are not complete after this time never will be: nothing is told of them."""
MAX_OPEN: Final = 50_000
"""Fan-outs that may wait for their parts at a time."""


class _Presence:
    """When the connections of one audience in one process joined and left."""

    __slots__ = ("_before", "_is_sorted", "_joined", "_left")

    def __init__(self) -> None:
        self._joined: list[int] = []
        self._left: list[tuple[int, int]] = []
        self._before = 0
        self._is_sorted = True

    def add(self, joined_us: tuple[int, ...], left_us: tuple[tuple[int, int], ...]) -> None:
        self._joined.extend(joined_us)
        self._left.extend(left_us)
        self._is_sorted = False

    def stable(self, from_us: int, to_us: int) -> int:
        """Connections that were open from `from_us` until `to_us`."""
        if not self._is_sorted:
            self._joined.sort()
            self._left.sort()
            self._is_sorted = True
        joined = self._before + bisect_right(self._joined, from_us)
        first, last = bisect_left(self._left, (from_us, 0)), bisect_left(self._left, (to_us, 0))
        return joined - first - sum(joined_us <= from_us for _, joined_us in self._left[first:last])

    def forget_before(self, us: int) -> None:
        """Nobody will ask for times before this one."""
        if (self._joined and self._joined[0] < us) or (self._left and self._left[0][0] < us):
            self.stable(us, us)
            joined, left = bisect_left(self._joined, us), bisect_left(self._left, (us, 0))
            self._before += joined - left
            del self._joined[:joined], self._left[:left]


class _Process:
    """What is known of one process: its clock, its connections, and when it could not keep up."""

    __slots__ = ("began_us", "blind", "host", "offset_us", "presence")

    def __init__(self, host: str) -> None:
        self.host = host
        self.began_us = 0
        self.offset_us: int | None = None
        """What its clock must be advanced by to show at most what the master's shows."""
        self.presence: dict[str, _Presence] = {}
        self.blind: deque[tuple[int, int]] = deque(maxlen=32)

    def add(self, told: FanOutDelta, to_s: float, now_us: int | None) -> None:
        self.began_us = told.clock_us - round(to_s * 1e6)
        offset_us = (round(to_s * 1e6) if now_us is None else now_us) - told.clock_us
        self.offset_us = offset_us if self.offset_us is None else min(self.offset_us, offset_us)
        if told.blind_from_us is not None:
            self.blind.append((told.blind_from_us, told.clock_us))
        for change in told.audiences:
            self.presence.setdefault(change.name, _Presence()).add(change.joined_us, change.left_us)

    def was_blind(self, sent_us: int) -> bool:
        return any(from_us <= sent_us <= to_us for from_us, to_us in self.blind)


class _FanOut:
    """The parts of one fan-out that have come."""

    __slots__ = ("is_over", "is_void", "parts", "senders", "sent", "since_us")

    def __init__(self, since_us: int) -> None:
        self.since_us = since_us
        self.parts: dict[str, FanOutPart] = {}
        self.senders: set[str] = set()
        self.sent: FanOutPart | None = None
        self.is_void = self.is_over = False


class FanOutJoin:
    """Fed with the deltas of all processes, each once, in any order; asked once a second what is complete."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """A new run."""
        self._processes: dict[str, _Process] = {}
        self._open: dict[int, _FanOut] = {}
        self._now_us = 0

    def add(self, delta: Delta, now_us: int | None) -> None:
        """Take in a delta that was merged for the first time.

        `now_us`: so late is it in the run by the master's clock; None: as late as the delta says of itself.
        """
        told = delta.fan_outs
        if told is None or delta.to_s is None:
            return
        process = self._processes.get(delta.worker)
        if process is None:
            process = self._processes[delta.worker] = _Process(told.host)
        process.add(told, delta.to_s, now_us)
        self._now_us = max(self._now_us, now_us or 0)
        for part in told.parts:
            self._take(delta.worker, part)

    def _take(self, worker: str, part: FanOutPart) -> None:
        found = self._open.get(part.id)
        if found is None:
            if len(self._open) >= MAX_OPEN:
                return
            found = self._open[part.id] = _FanOut(self._now_us)
        if part.kind == VOID:
            found.is_void = True
        elif part.kind == HEARD:
            found.parts[worker] = part
        else:
            found.senders.add(worker)
            if len(found.senders) > 1:
                found.is_void = True
            if part.kind == SENT:
                found.sent = found.parts[worker] = part

    def joined(self, sources: Mapping[str, Source], now_us: int, *, all_in: bool = False) -> Iterator[Joined]:
        """The fan-outs that are complete now, each once; `all_in`: nothing more will come."""
        self._now_us = max(self._now_us, now_us)
        until = {
            worker: process.began_us + round(sources[worker].to_s * 1e6)
            for worker, process in self._processes.items()
            if worker in sources
        }
        for number, found in list(self._open.items()):
            if not (found.is_void or found.is_over) and found.sent is not None:
                complete = self._look(found, found.sent, sources, until, all_in)
                if complete is not None:
                    yield complete
            if all_in or self._now_us > found.since_us + HOLD_US:
                del self._open[number]
        for process in self._processes.values():
            for presence in process.presence.values():
                presence.forget_before(self._now_us - (process.offset_us or 0) - HOLD_US - UNSURE_US)

    def _look(
        self,
        found: _FanOut,
        sent: FanOutPart,
        sources: Mapping[str, Source],
        until: Mapping[str, int],
        all_in: bool,
    ) -> Joined | None:
        """What became of this fan-out; None: parts of it are missing, or nothing can be said of it."""
        (sender,) = found.senders
        count = _Count(sent, self._processes[sender].host)
        for worker, process in self._processes.items():
            is_here = process.host == count.host
            margin_us = 0 if is_here else MARGIN_US
            sent_us = sent.sent_us
            if not is_here:
                sent_us += (self._processes[sender].offset_us or 0) - (process.offset_us or 0)
            until_us = until.get(worker, 0)
            if until_us < sent_us + 2 * GRACE_US + 3 * margin_us:
                source = sources.get(worker)
                if source is None or (source.is_lost and not source.is_final):
                    continue  # what its connections heard will never be known: they are no part of this
                if not (source.is_final or all_in):
                    return None
            if process.was_blind(sent_us):
                found.is_over = True
                return None
            presence = process.presence.get(sent.audience)
            stable: int | None = None  # it has ended within the grace: nobody was seen to stay
            if until_us >= sent_us + GRACE_US + margin_us:
                stable = -sent.skips if worker == sender else 0
                if presence is not None:
                    stable += presence.stable(sent_us - margin_us, sent_us + GRACE_US + margin_us)
            count.add(found.parts.get(worker), stable, sent_us, margin_us, process.host)
        found.is_over = True
        if not (count.expected or count.is_heard):
            return None
        return count.joined(sent.sent_us + (self._processes[sender].offset_us or 0))


class _Count:
    """One fan-out, while its processes are gone through."""

    def __init__(self, sent: FanOutPart, host: str) -> None:
        self.sent = sent
        self.host = host
        self.expected = self.reached = 0
        self._first_us: int | None = None
        self._last_us = 0
        self._heard_on: set[str] = set()
        self._lag = Histogram()

    def add(self, part: FanOutPart | None, stable: int | None, sent_us: int, margin_us: int, host: str) -> None:
        """`stable`: connections of the process that were open all the time, so that they should have heard it (None:
        it cannot be said of any); `sent_us`: on its clock.
        """
        if part is None or (part.heard and part.kind == HEARD and part.first_us > sent_us + GRACE_US + margin_us):
            self.expected += stable or 0
            return
        reached = part.heard - part.gone
        measure: Callable[[int], object] | None = None
        if part.offsets is not None and not margin_us:
            measure = self._lag.record
            self._lag.merge(_shifted(part.offsets, part.first_us - sent_us))
        if part.heard:
            self._note(part.first_us, part.last_us, host)
        for joined_us, left_us, heard_us in part.unsure:
            is_late = joined_us > sent_us + margin_us or heard_us > sent_us + GRACE_US + margin_us
            if is_late or 0 < left_us < sent_us - margin_us:
                continue
            stays = not left_us or left_us >= sent_us + GRACE_US + margin_us
            reached += joined_us <= sent_us - margin_us and stays
            self._note(heard_us, heard_us, host)
            if measure is not None:
                measure(heard_us - sent_us)
        if stable is not None:
            self.reached += reached
            self.expected += max(stable, reached)

    @property
    def is_heard(self) -> bool:
        """By anybody, also such as did not stay."""
        return bool(self._heard_on)

    def _note(self, first_us: int, last_us: int, host: str) -> None:
        self._heard_on.add(host)
        self._first_us = first_us if self._first_us is None else min(self._first_us, first_us)
        self._last_us = max(self._last_us, last_us)

    def joined(self, sent_us: int) -> Joined:
        spread_us = None
        if self._first_us is not None and len(self._heard_on) == 1:
            spread_us = self._last_us - self._first_us
        return Joined(self.sent.event, sent_us, self.expected, self.reached, spread_us, self._lag.freeze())


def _shifted(offsets: Distribution, by_us: int) -> Distribution:
    """Lags, out of times from the first receiver on and that one's lag: as exact as the buckets of both."""
    buckets: dict[int, int] = {}
    sum_us, min_us, max_us = 0, None, 0
    for bucket in sorted(offsets.buckets):
        low_us, high_us = bucket_bounds_us(bucket)
        offset_us = min(max((low_us + high_us + 1) // 2, offsets.min_us or 0), offsets.max_us or 0)
        lag_us = max(0, by_us + offset_us)
        count = offsets.buckets[bucket]
        buckets[bucket_of(lag_us)] = buckets.get(bucket_of(lag_us), 0) + count
        sum_us += lag_us * count
        min_us, max_us = lag_us if min_us is None else min_us, lag_us
    return Distribution(offsets.count, sum_us, min_us, max_us if buckets else None, buckets)
