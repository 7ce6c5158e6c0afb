"""The run second by second: a bounded timeline, and sliding windows for the rules.

A second is open until every worker has reported beyond it, or 4 s have passed; then its row joins the timeline and its
counts the windows. What comes still later is counted in the oldest open second, so that the rows add up to the totals.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from itertools import takewhile
from math import floor
from typing import Final

from locust_ext.core.accounting.histogram import Histogram
from locust_ext.core.accounting.names import Names
from locust_ext.core.accounting.stretch import Stretch
from locust_ext.core.accounting.sums import Sums
from locust_ext.core.accounting.windows import Windows
from locust_ext.model import PUSH, ROUND_TRIP_TYPES, Delta, Distribution, Second

PATIENCE_S: Final = 4
MAX_ROWS: Final = 3600
"""Beyond an hour the oldest rows are joined two and two, one pair a second."""


_ADDS: Final = (
    "length_s",
    "finished",
    "failures",
    "messages_sent",
    "messages_received",
    "bytes_sent",
    "bytes_received",
    "pushes_received",
)


class OpenSecond:
    """What has come for a second that is not closed."""

    __slots__ = ("by_worker", "gauges", "round_trips", "sums")

    def __init__(self) -> None:
        self.sums = Sums()
        self.by_worker: dict[str, Sums] = {}
        """Of the workers that have windows of their own."""
        self.round_trips = Histogram()
        """Added up as the parts come: hundreds of histograms at once would hold the loop up."""
        self.gauges: dict[str, list[int]] = {}
        """Worker -> [sequence number, open connections, operations in flight] at its last drain of the second."""

    def add(self, delta: Delta, names: Names, is_by_worker: bool) -> None:
        self.sums.add(delta, names)
        if is_by_worker:
            self.by_worker.setdefault(delta.worker, Sums()).add(delta, names)
        for stats in delta.operations:
            if stats.type in ROUND_TRIP_TYPES:
                self.round_trips.merge(stats.latency)
        gauges = self.gauges.get(delta.worker)
        if gauges is None or gauges[0] < delta.seq:
            gauges = self.gauges[delta.worker] = [delta.seq, 0, 0]
        if gauges[0] == delta.seq:
            gauges[2] += sum(stats.in_flight for stats in delta.operations)
            if delta.connections is not None:
                gauges[1] = delta.connections.states.get("open", 0)

    def row(self, start_s: int, gauges: dict[str, list[int]], is_complete: bool) -> tuple[Second, Distribution]:
        """The timeline's row, and its round trips."""
        finished = failures = 0
        for (type_, _, _), ledger in self.sums.ledgers.items():
            if type_ != PUSH:
                finished += ledger.ok + ledger.failures
                failures += ledger.failures
        latency = self.round_trips.freeze()
        messages_sent, messages_received, bytes_sent, bytes_received = self.sums.traffic
        second = Second(
            start_s=start_s,
            finished=finished,
            failures=failures,
            messages_sent=messages_sent,
            messages_received=messages_received,
            bytes_sent=bytes_sent,
            bytes_received=bytes_received,
            pushes_received=sum(count.received for count in self.sums.pushes.values()),
            open_connections=sum(gauge[1] for gauge in gauges.values()) if gauges else None,
            in_flight=sum(gauge[2] for gauge in gauges.values()) if gauges else None,
            worst_failures=failures,
            least_finished=finished,
            complete=is_complete,
        )
        return _with_latency(second, latency), latency


def _with_latency(row: Second, latency: Distribution) -> Second:
    p50, p95, p99 = latency.percentiles_us((50, 95, 99))
    return replace(
        row,
        round_trips=latency.count,
        min_us=latency.min_us,
        p50_us=p50,
        p95_us=p95,
        p99_us=p99,
        max_us=latency.max_us,
    )


def joined(first: Second, second: Second, latency: Distribution) -> Second:
    """Two neighbouring rows as one: counts added, gauges of the later, extremes kept, percentiles of `latency`."""
    row = replace(
        second,
        start_s=first.start_s,
        worst_failures=max(first.worst_failures, second.worst_failures),
        least_finished=min(first.least_finished, second.least_finished),
        complete=first.complete and second.complete,
        **{count: getattr(first, count) + getattr(second, count) for count in _ADDS},
    )
    return _with_latency(row, latency)


def is_empty(row: Second) -> bool:
    """Whether nothing happened in it."""
    return not any(getattr(row, count) for count in _ADDS if count != "length_s")


class Timeline:
    """At most `MAX_ROWS` rows. Histograms are kept as text (about 1 KB each), to join rows without averaging."""

    def __init__(self, max_rows: int = MAX_ROWS) -> None:
        self._max_rows = max_rows
        self._texts: list[str] = []
        self._cursor = 0
        self.rows: list[Second] = []

    def append(self, row: Second, latency: Distribution) -> None:
        self.rows.append(row)
        self._texts.append(latency.to_text())
        if len(self.rows) > self._max_rows:
            self._join(self._cursor)
            self._cursor += 1
            if self._cursor >= len(self.rows) - 1:
                self._cursor = 0

    def _join(self, position: int) -> None:
        latency = Distribution.from_text(self._texts[position]).plus(
            Distribution.from_text(self._texts.pop(position + 1))
        )
        self._texts[position] = latency.to_text()
        self.rows[position] = joined(self.rows[position], self.rows.pop(position + 1), latency)


class Seconds:
    """Sorts deltas into seconds, and closes them in order."""

    def __init__(self, names: Names, max_rows: int = MAX_ROWS) -> None:
        self._names = names
        self._max_rows = max_rows
        self.windows = Windows()
        self.clear()

    def clear(self) -> None:
        """A new run: no second has passed."""
        self.now_s = 0.0
        """How late it is in the run, as of the last tick."""
        self.windows_from_s = 0.0
        """Windows hold no second that began before: the warm-up's, or that of a reset."""
        self._gauges: dict[str, list[int]] = {}
        self._users: dict[int, tuple[int, int | None]] = {}
        """Second that is not closed -> (users, planned users) at its end."""
        self.windows.stretch.end()
        self.windows.connects.end()
        self._begin_at(0)

    def reset(self, now_s: float) -> None:
        """The counts begin anew: so does the timeline, with the second that it is now, and the windows with the next.

        What is left of this second has a row only if something is in it.
        """
        self.advance(now_s)
        self.windows_from_s = max(self.windows_from_s, now_s)
        self._begin_at(int(self.now_s))
        self._optional = self._next

    def _begin_at(self, second: int) -> None:
        self.timeline = Timeline(self._max_rows)
        self._recent: deque[Second] = deque()
        self._open: dict[int, OpenSecond] = {}
        self._next = second
        self._optional = -1
        self.windows.clear()

    def watch(self, length_s: int | None, by_worker: bool) -> None:
        """Keep a window of this many seconds, from now on and in later runs; by worker as well, if asked for."""
        self.windows.watch(length_s, by_worker)

    def add(self, delta: Delta) -> None:
        """Count a delta in the second that holds its middle, or the half second before its end if it is long."""
        if delta.to_s is None or delta.from_s is None:
            second = int(self.now_s)
        else:
            second = int(max((delta.from_s + delta.to_s) / 2, delta.to_s - 0.5))
        # Another process's clock is not trusted beyond two seconds.
        second = max(self._next, min(second, int(self.now_s) + 2))
        if second not in self._open:
            self._open[second] = OpenSecond()
        # What the master itself counts is no worker's; a process on its own has one window for both.
        is_by_worker = bool(delta.worker) and self.windows.has_room_for(delta.worker)
        self._open[second].add(delta, self._names, is_by_worker)
        if is_by_worker:
            self.windows.count(delta, self._names)

    def begin_stretch(self) -> None:
        """A stretch from here on: its first second is the next that closes, but none that is more than half over."""
        self._begin(self.windows.stretch)

    def begin_connects(self) -> None:
        """The same for the stretch of connects."""
        self._begin(self.windows.connects)

    def _begin(self, stretch: Stretch) -> None:
        self.windows.finish()
        stretch.begin(max(self._next, floor(self.now_s + 0.5)))

    def stretch(self) -> Stretch:
        """The stretch as far as seconds have closed."""
        self.windows.finish()
        return self.windows.stretch

    def connects(self) -> Stretch:
        """The connects as far as seconds have closed."""
        self.windows.finish()
        return self.windows.connects

    def rows_between(self, from_s: float, to_s: float) -> tuple[Second, ...]:
        """The timeline's rows that lie in this time, which is the latest; not those that were joined with others."""
        found = takewhile(lambda row: row.start_s >= from_s, reversed(self.timeline.rows))
        return tuple(row for row in found if row.start_s + row.length_s <= to_s)[::-1]

    def tell_users(self, now_s: float, present: int, planned: int | None) -> None:
        """So many users are there at the end of the second that is nearest."""
        second = round(now_s) - 1
        if second >= self._next:
            self._users[second] = (present, planned)

    def advance(self, now_s: float) -> None:
        """So late is it in the run."""
        self.now_s = max(now_s, self.now_s)

    def close(self, waited_for_s: float, complete_to_s: float, lost: set[str]) -> None:
        """Close the seconds that are over: all up to `waited_for_s`, and what has been waited for long enough.

        Up to `complete_to_s` every worker has reported; `lost` ones have no gauges any more.
        """
        while self._next + 1 <= self.now_s:
            if waited_for_s < self._next + 1 and self.now_s < self._next + 1 + PATIENCE_S:
                break
            is_complete = complete_to_s >= self._next + 1
            second = self._open.pop(self._next, None) or OpenSecond()
            row, round_trips = self._row(second, self._next, is_complete, lost, self._gauges)
            if self._next != self._optional or not is_empty(row):
                self.timeline.append(row, round_trips)
            if self._next >= self.windows_from_s:
                self._recent.append(row)
                if len(self._recent) > self.windows.longest_s:
                    self._recent.popleft()
                self.windows.close(self._next, second.sums, second.by_worker)
            self._users.pop(self._next, None)
            self._next += 1

    def recent(self, length_s: int) -> tuple[Second, ...]:
        """The rows of the last `length_s` closed seconds, as far as windows hold them."""
        return tuple(self._recent)[-length_s:]

    def rows(self, ended_s: float | None, complete_to_s: float, lost: set[str]) -> tuple[Second, ...]:
        """The timeline; of a run that has ended, up to there and with all that is in seconds that never closed.

        What is left of a last second, or the time after the end, has a row only if something is in it.
        """
        rows = list(self.timeline.rows)
        if ended_s is not None:
            gauges = dict(self._gauges)
            for start_s in range(self._next, max([int(ended_s), *(second + 1 for second in self._open)])):
                is_complete = complete_to_s >= min(start_s + 1, ended_s)
                row = self._row(self._open.get(start_s) or OpenSecond(), start_s, is_complete, lost, gauges)[0]
                if start_s != self._optional or not is_empty(row):
                    rows.append(row)
            while rows and rows[-1].start_s >= int(ended_s) and is_empty(rows[-1]):
                rows.pop()
        return tuple(rows)

    def _row(
        self, second: OpenSecond, start_s: int, is_complete: bool, lost: set[str], gauges: dict[str, list[int]]
    ) -> tuple[Second, Distribution]:
        gauges.update(second.gauges)
        for worker in lost:
            gauges.pop(worker, None)
        row, latency = second.row(start_s, gauges, is_complete)
        if start_s in self._users:
            users, planned = self._users[start_s]
            row = replace(row, users=users, planned_users=planned)
        return row, latency
