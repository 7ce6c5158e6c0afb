"""The waist: what was measured, as plain frozen data; every output hangs off one `Snapshot`.

    Snapshot ─┬─ RunInfo            which run, how long, whether it is valid
              ├─ OperationStats …   the ledger of one (type, name, tags), with its latencies
              ├─ ConnectionStats    connections by state, peak, reconnects; what those that ended came to
              ├─ TrafficStats       messages and payload bytes
              ├─ PushStats …        messages that the server sent unasked, by event
              ├─ Second …           the timeline, a row for each second (fewer after an hour)
              ├─ GeneratorStats …   the processes that make the load: CPU, loop lag, send lateness
              ├─ ResourceStats …    what the monitor read of them and of the target, with trends and leak verdicts
              ├─ Warmup             what was counted before the warm-up was over
              ├─ Alert, AlertEvent …   what the rules found while the run went on
              └─ Check …, Comparison   what was asked of the run, and the run beside a baseline
    Delta                           what one process counted since it was last drained, on its way to the master

Units stand in the names: `_us` is whole microseconds, `_s` seconds, `bytes` payload bytes before compression. Sums are
integers, so that adding them up in any order gives the same number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from locust_ext.model.alerts import (
    ACKNOWLEDGED as ACKNOWLEDGED,
    ALERT_STATES as ALERT_STATES,
    CRITICAL as CRITICAL,
    FIRING as FIRING,
    PENDING as PENDING,
    RESOLVED as RESOLVED,
    SEVERITIES as SEVERITIES,
    WARNING as WARNING,
    Alert as Alert,
    AlertEvent as AlertEvent,
)
from locust_ext.model.comparison import (
    Check as Check,
    ComparedFigure as ComparedFigure,
    Comparison as Comparison,
)
from locust_ext.model.connections import (
    NO_CONNECTIONS as NO_CONNECTIONS,
    ConnectionStats as ConnectionStats,
    ConnectionTotals as ConnectionTotals,
    RecoveryStats as RecoveryStats,
)
from locust_ext.model.distribution import (
    BUCKETS as BUCKETS,
    EMPTY as EMPTY,
    EXACT_BELOW_US as EXACT_BELOW_US,
    LARGEST_US as LARGEST_US,
    Distribution as Distribution,
    bucket_bounds_us as bucket_bounds_us,
    bucket_of as bucket_of,
)
from locust_ext.model.fan_out import (
    AudienceChanges as AudienceChanges,
    FanOutDelta as FanOutDelta,
    FanOutPart as FanOutPart,
)
from locust_ext.model.generators import (
    GeneratorPeriod as GeneratorPeriod,
    GeneratorRow as GeneratorRow,
    GeneratorStats as GeneratorStats,
)
from locust_ext.model.resources import (
    GENERATOR as GENERATOR,
    MASTER as MASTER,
    SIDES as SIDES,
    TARGET as TARGET,
    Leak as Leak,
    ResourceFigures as ResourceFigures,
    ResourceSample as ResourceSample,
    ResourceStats as ResourceStats,
    Trend as Trend,
)
from locust_ext.model.search import (
    LimitSearch as LimitSearch,
    LoadStep as LoadStep,
)
from locust_ext.model.second import Second as Second

ROUND_TRIP_TYPES: Final = ("WS", "SIO")
"""The operation types whose latency is a message's round trip."""
NO_WORK: Final = frozenset({"CONNECT", "DROP", "POOL", "PUSH", "ALERT"})
"""Types that are no message or request of a user's: what rates and ``--ext-requests`` do not count."""
PUSH: Final = "PUSH"
OTHER: Final = "__other__"
"""The name that takes what comes after the cap on distinct names."""


@dataclass(frozen=True, slots=True)
class OperationStats:
    """The ledger of one operation, exact at every moment, and its latencies.

    `latency` holds the operations that were answered: the successes, and failures whose class says that a reply came
    (`error_reply`, `check_failed`, `http_<status>`). Timeouts, losses and cancellations are never latency samples.
    """

    type: str
    name: str
    tags: tuple[str, ...] = ()
    ok: int = 0
    failed: int = 0
    timed_out: int = 0
    lost: int = 0
    cancelled: int = 0
    in_flight: int = 0
    late: int = 0
    duplicate: int = 0
    unmatched: int = 0
    bytes_received: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    """Error class -> failures; its sum is `failures`."""
    latency: Distribution = EMPTY
    """From the intended send in paced modes, else from the actual one."""
    service: Distribution | None = None
    """From the actual send; None in unpaced modes, where `latency` is that."""

    @property
    def started(self) -> int:
        return self.ok + self.failed + self.timed_out + self.lost + self.cancelled + self.in_flight

    @property
    def failures(self) -> int:
        return self.failed + self.timed_out + self.lost

    @property
    def finished(self) -> int:
        """Ended with a result: what an error rate is a part of. Cancelled ones have none."""
        return self.ok + self.failures

    @property
    def error_rate(self) -> float | None:
        """0 to 1; None while nothing has finished."""
        return self.failures / self.finished if self.finished else None


@dataclass(frozen=True, slots=True)
class PushStats:
    """Messages of one event that the server sent unasked."""

    event: str
    received: int = 0
    bytes_received: int = 0
    lag: Distribution | None = None
    """Delivery lag, where the message says when it was sent."""
    expected: int | None = None
    """Deliveries that the fan-outs whose receivers are known should have made; None where none is known."""
    reached: int | None = None
    """Deliveries that those same fan-outs made."""
    spread: Distribution | None = None
    """From the first receiver to the last, a sample for each fan-out whose receivers are all on one host."""

    @property
    def reach(self) -> float | None:
        """Reached ÷ expected, 0 to 1; None where it is not known."""
        return (self.reached or 0) / self.expected if self.expected else None

    @property
    def never_came(self) -> int | None:
        """Deliveries that should have been made and were not, within the grace; None where it is not known."""
        return None if self.expected is None else self.expected - (self.reached or 0)


@dataclass(frozen=True, slots=True)
class TrafficStats:
    """Application messages and their payload bytes; control frames and Engine.IO packets are none."""

    messages_sent: int = 0
    messages_received: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0


@dataclass(frozen=True, slots=True)
class Warmup:
    """What was counted before the warm-up was over; it is in no other figure."""

    duration_s: float
    operations: tuple[OperationStats, ...] = ()
    connections: ConnectionStats = field(default_factory=ConnectionStats)
    traffic: TrafficStats = field(default_factory=TrafficStats)
    pushes: tuple[PushStats, ...] = ()


@dataclass(frozen=True, slots=True)
class RunInfo:
    """Which run this is; what is not known is None or empty."""

    id: str = ""
    started_at: str | None = None
    """Wall clock, ISO 8601, UTC."""
    duration_s: float = 0.0
    """Without the warm-up."""
    host: str | None = None
    scenario: str | None = None
    seed: int | None = None
    users: int | None = None
    """Most users that were asked for."""
    shape: str | None = None
    """What planned the number of users, where a shape did."""
    workers: int = 0
    """Workers that have reported; 0 in one process."""
    versions: Mapping[str, str] = field(default_factory=dict)
    invalid_because: tuple[str, ...] = ()
    ended_because: str | None = None
    """Why the run ended before its time, where a rule or the number of its operations ended it."""
    unfinished: str | None = None
    """What of the work that was asked for (``--ext-requests``) had not been done at the end of the run; None: nothing."""
    target_rate_per_s: float | None = None
    """Messages a second that were wanted over all users: now, of a run that is over on average; None: no rate was."""
    paced_s: float | None = None
    """Seconds in which a rate was wanted: a run's without its end, while users finish. None: none was, or it goes on."""
    exceptions: int = 0
    """Raised by the locustfile's own code; those of our requests that failed are none."""
    complete: bool = False
    """The run has ended and every worker's last figures are in."""

    @property
    def valid(self) -> bool:
        return not self.invalid_because


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that is known of a run at one moment."""

    run: RunInfo = field(default_factory=RunInfo)
    operations: tuple[OperationStats, ...] = ()
    """In the order of type, name and tags."""
    connections: ConnectionStats = field(default_factory=ConnectionStats)
    traffic: TrafficStats = field(default_factory=TrafficStats)
    pushes: tuple[PushStats, ...] = ()
    """In the order of events."""
    timeline: tuple[Second, ...] = ()
    generators: tuple[GeneratorStats, ...] = ()
    """The processes that made the load, in the order of workers."""
    resources: tuple[ResourceStats, ...] = ()
    """What the monitor read: generators in the order of workers, then the master, then the target's sources."""
    warmup: Warmup | None = None
    """Where a warm-up was asked for."""
    rules: tuple[Check, ...] = ()
    """The rules' results, where rules were given."""
    alerts: tuple[Alert, ...] = ()
    """Those that fired, in the order of their ids; bounded, the oldest resolved ones leave first."""
    alert_events: tuple[AlertEvent, ...] = ()
    """In the order of time; bounded, the oldest leave first."""
    comparison: Comparison | None = None
    """Where a baseline was given."""
    search: LimitSearch | None = None
    """Where the run's shape was a search for the limit."""

    @property
    def has_verdict(self) -> bool:
        """Whether what was asked of the run, by rules or by a baseline, could be answered at all."""
        is_judged = any(rule.outcome != "no_data" for rule in self.rules)
        return is_judged or (self.comparison is not None and self.comparison.is_conclusive)

    def of_type(self, *types: str) -> tuple[OperationStats, ...]:
        return tuple(operation for operation in self.operations if operation.type in types)

    def _total(self, column: str, *types: str) -> int:
        return sum(getattr(operation, column) for operation in self.operations if not types or operation.type in types)

    @property
    def latency(self) -> Distribution:
        """The round trips: WebSocket and Socket.IO requests as one distribution."""
        return EMPTY.plus(*(operation.latency for operation in self.of_type(*ROUND_TRIP_TYPES)))

    @property
    def finished(self) -> int:
        """Operations that ended with a result, without PUSH."""
        return self._total("finished") - self._total("finished", PUSH)

    @property
    def work_finished(self) -> int:
        """Messages and requests that ended with a result: `finished` without connects, drops and waits for connections."""
        return sum(operation.finished for operation in self.operations if operation.type not in NO_WORK)

    @property
    def achieved_rate_per_s(self) -> float | None:
        """`work_finished` a second, beside `RunInfo.target_rate_per_s`; None before anything could finish."""
        seconds = self.run.paced_s or self.run.duration_s
        return self.work_finished / seconds if seconds else None

    @property
    def failures(self) -> int:
        """Failed, timed out and lost operations, without PUSH."""
        return self._total("failures") - self._total("failures", PUSH)

    @property
    def error_rate(self) -> float | None:
        """`failures` ÷ `finished`, 0 to 1; None while nothing has finished."""
        return self.failures / self.finished if self.finished else None

    @property
    def errors_by_class(self) -> dict[str, int]:
        """Error class -> failures without PUSH, most frequent first."""
        found: dict[str, int] = {}
        for operation in self.operations:
            if operation.type != PUSH:
                for error_class, count in operation.errors.items():
                    found[error_class] = found.get(error_class, 0) + count
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    @property
    def in_flight(self) -> int:
        return self._total("in_flight")

    @property
    def cancelled(self) -> int:
        return self._total("cancelled")

    @property
    def connects(self) -> int:
        """Attempts to open a connection that have finished."""
        return self._total("finished", "CONNECT")

    @property
    def connects_ok(self) -> int:
        return self._total("ok", "CONNECT")

    @property
    def dropped(self) -> int:
        """Connections lost that neither side closed in order."""
        return self._total("finished", "DROP")

    @property
    def pushes_received(self) -> int:
        return sum(push.received for push in self.pushes)


@dataclass(frozen=True, slots=True)
class Delta:
    """What one process counted since it was last drained, or one part of that.

    The counts are differences; `in_flight` and the connections' states are gauges: their value at the drain.
    """

    run_id: str
    worker: str
    seq: int
    """Number of the drain within the run, from 0."""
    part: int = 0
    parts: int = 1
    final: bool = False
    """The worker's last of this run."""
    from_s: float | None = None
    """Start of the period, in seconds since this process began the run; None where the drain was not told the time."""
    to_s: float | None = None
    operations: tuple[OperationStats, ...] = ()
    pushes: tuple[PushStats, ...] = ()
    connections: ConnectionStats | None = None
    """In part 0 only."""
    traffic: TrafficStats = field(default_factory=TrafficStats)
    generator: tuple[GeneratorPeriod, ...] = ()
    """In part 0 only."""
    samples: tuple[ResourceSample, ...] = ()
    """What the monitor read since the last drain. In part 0 only."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """What the process may use (see `ResourceStats.limits`). In part 0 only."""
    epoch: int = 0
    """How often the run's counts had been reset: those of an earlier epoch count no more."""
    warmup: bool = False
    """Counted before the end of the warm-up."""
    fan_outs: FanOutDelta | None = None
