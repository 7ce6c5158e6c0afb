"""Targets that are made up, and a run against one of them on a clock of its own, second by second."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import floor

from locust_ext.core.accounting.histogram import Histogram
from locust_ext.core.alerts.rules import Rule
from locust_ext.core.schedules import Stress
from locust_ext.core.search import Criteria, Search, Seen
from locust_ext.model import LimitSearch, OperationStats, RunInfo, Snapshot

TICK_S = 0.02
"""So long after the end of a second it is looked at."""


@dataclass
class Ended:
    """What ended in one second, and what waits at its end."""

    samples_us: list[int] = field(default_factory=list)
    failed: int = 0
    timed_out: int = 0
    in_flight: int = 0
    connects: int = 0
    connect_failures: int = 0


Target = Callable[[float, int], Ended]
"""Start of a second, and the users in it -> what ended in it."""


@dataclass
class Linear:
    """Answers take longer by `slope_ms` with each user; each user asks, waits for the answer, thinks and asks again."""

    base_ms: float = 20.0
    slope_ms: float = 0.2
    noise: float = 0.2
    """Evenly spread around the mean, so that the 95th percentile is 1 + 0.9 × noise times the mean."""
    think_s: float = 1.0
    seed: int = 1

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._owed = 0.0

    def limit(self, p95_ms: float) -> float:
        """How many users keep the 95th percentile to this."""
        return (p95_ms / (1 + 0.9 * self.noise) - self.base_ms) / self.slope_ms

    def __call__(self, start_s: float, users: int) -> Ended:
        mean_ms = self.base_ms + self.slope_ms * users
        self._owed += users / (self.think_s + mean_ms / 1000)
        count, self._owed = int(self._owed), self._owed % 1
        spread = [1 + self.noise * (2 * self._random.random() - 1) for _ in range(count)]
        return Ended([round(mean_ms * 1000 * each) for each in spread])


@dataclass
class Queue:
    """Serves `per_s` requests a second, first come, first served; each user sends `each_per_s` whatever comes back."""

    per_s: int = 200
    each_per_s: float = 1.0
    service_ms: float = 5.0

    def __post_init__(self) -> None:
        self.waiting: deque[float] = deque()
        self._owed = 0.0

    def __call__(self, start_s: float, users: int) -> Ended:
        self._owed += users * self.each_per_s
        count, self._owed = int(self._owed), self._owed % 1
        self.waiting.extend(start_s + number / count for number in range(count))
        samples = []
        free_s = start_s
        while self.waiting and (done_s := max(free_s, self.waiting[0]) + 1 / self.per_s) <= start_s + 1:
            samples.append(round((done_s - self.waiting.popleft()) * 1e6 + self.service_ms * 1000))
            free_s = done_s
        return Ended(samples, in_flight=len(self.waiting))


@dataclass
class Run:
    """A search against a target."""

    wanted: Stress
    target: Target
    present: Callable[[float, int], int] = lambda now_s, planned: planned
    """(now, planned) -> the users that are there."""
    connecting: Callable[[float, int], int] = lambda now_s, users: 0
    waiting: Callable[[float, int], int] = lambda now_s, users: 0
    failed: Callable[[float, int], int] = lambda now_s, users: 0
    longest_request_s: float | None = None
    rules: tuple[Rule, ...] = ()
    bottleneck: Callable[[int], bool] = lambda users: False
    lag_s: int = 0
    """Seconds close so much later."""

    def __post_init__(self) -> None:
        criteria = Criteria(self.wanted, self.rules)
        self.search = Search(self.wanted, criteria, criteria=criteria.texts, longest_request_s=self.longest_request_s)
        self.now_s = 0.0
        self.planned: list[int] = []
        """Users at the start of each second."""
        self.phases: list[str] = []
        self._ended: list[Ended] = []
        self._was_limited: list[bool] = []
        self._first = 0
        """The first second of the stretch."""
        self._connects_first, self._connects_from_s = 0, self.search.connects_from_s

    def to_end(self, within_s: int = 20_000) -> LimitSearch:
        """Until the search is over, which must be by then."""
        while not self.search.is_over:
            assert len(self.planned) < within_s, f"still {self.search.result().phase} after {within_s} s"
            self.second()
        return self.search.result()

    def to(self, phase: str, within_s: int = 2000) -> LimitSearch:
        """Until the phase's text begins so."""
        while not self.search.result().phase.startswith(phase):
            assert len(self.planned) < within_s
            self.second()
        return self.search.result()

    def second(self) -> None:
        start_s = float(len(self.planned))
        users = self.present(start_s, self.search.planned(start_s))
        self.planned.append(users)
        self._ended.append(self.target(start_s, users))
        self._was_limited.append(self.bottleneck(users))
        self.now_s = start_s + 1 + TICK_S
        users = self.present(self.now_s, self.search.planned(self.now_s))
        closed = len(self.planned) - self.lag_s
        stretch = self._snapshot(self._ended[self._first : closed]) if closed > self._first else None
        connects = self._snapshot(self._ended[self._connects_first : closed]) if closed > self._connects_first else None
        seen = Seen(
            now_s=self.now_s,
            users=users,
            connecting=self.connecting(self.now_s, users),
            waiting=self.waiting(self.now_s, users),
            failed=self.failed(self.now_s, users),
            stretch=stretch,
            from_s=float(self._first),
            to_s=float(max(closed, self._first)),
            is_bottleneck=any(self._was_limited[self._first : closed]),
            connects=connects and replace(connects, operations=connects.operations[:1]),
        )
        first = max(closed, floor(self.now_s + 0.5), 0)
        if self.search.look(seen):
            self._first = first
        if self.search.connects_from_s != self._connects_from_s:
            self._connects_first, self._connects_from_s = first, self.search.connects_from_s
        self.phases.append(self.search.result().phase)

    @staticmethod
    def _snapshot(seconds: list[Ended]) -> Snapshot:
        histogram = Histogram()
        for second in seconds:
            for sample_us in second.samples_us:
                histogram.record(sample_us)
        failed, timed_out = sum(each.failed for each in seconds), sum(each.timed_out for each in seconds)
        refused = sum(each.connect_failures for each in seconds)
        operations = (
            OperationStats(
                "CONNECT",
                "/ws",
                ok=sum(each.connects for each in seconds) - refused,
                failed=refused,
                errors={"refused": refused},
            ),
            OperationStats(
                "WS",
                "query",
                ok=sum(len(each.samples_us) for each in seconds),
                failed=failed,
                timed_out=timed_out,
                in_flight=seconds[-1].in_flight,
                errors={"error_reply": failed, "timeout": timed_out},
                latency=histogram.freeze(),
            ),
        )
        return Snapshot(run=RunInfo(duration_s=float(len(seconds))), operations=operations)
