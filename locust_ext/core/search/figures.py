"""What a stretch of a run comes to: the figures of a `LoadStep`, and what the search has to know of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from locust_ext.core.accounting.ledger import was_answered
from locust_ext.core.alerts.view import CONNECT, NOT_REQUESTS
from locust_ext.model import EMPTY, NO_WORK, Distribution, LoadStep, Snapshot


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one stretch, or of several as one."""

    finished: int
    """Messages and requests that ended with a result; CONNECT, DROP and POOL are none."""
    failures: int
    """Of those."""
    timed_out: int
    answered: int
    """Of all: it succeeded, or failed with an answer."""
    in_flight: int
    """At the end of the last one."""
    connects: int
    connect_failures: int
    slowest_us: int | None
    """None: nothing was answered."""

    @classmethod
    def of(cls, *stretches: Snapshot) -> Figures:
        work = [each for stretch in stretches for each in stretch.operations if each.type not in NO_WORK]
        connects = [each for stretch in stretches for each in stretch.operations if each.type == CONNECT]
        last = stretches[-1].operations if stretches else ()
        return cls(
            finished=sum(each.finished for each in work),
            failures=sum(each.failures for each in work),
            timed_out=sum(each.timed_out for each in work),
            answered=sum(
                each.ok + sum(count for name, count in each.errors.items() if was_answered(name)) for each in work
            ),
            in_flight=sum(each.in_flight for each in last if each.type not in NO_WORK),
            connects=sum(each.finished for each in connects),
            connect_failures=sum(each.failures for each in connects),
            slowest_us=max((each.latency.max_us for each in work if each.latency.max_us is not None), default=None),
        )

    @property
    def is_unanswered(self) -> bool:
        """Operations have finished, and there was no answer to any of them."""
        return self.finished > 0 and not self.answered

    @property
    def samples(self) -> int:
        """What can be judged: users that cannot connect do not work, and that is an answer too."""
        return self.finished + self.connect_failures


def answers(*stretches: Snapshot) -> Distribution:
    """The response times, as the rules know them: those of CONNECT, POOL and PUSH left out."""
    return EMPTY.plus(
        *(each.latency for stretch in stretches for each in stretch.operations if each.type not in NOT_REQUESTS)
    )


def made_step(
    kind: str,
    users: int,
    start_s: float,
    length_s: float,
    outcome: str,
    stretches: Sequence[Snapshot] = (),
    *,
    connects: Snapshot | None = None,
    because: str = "",
    value: str = "",
    notes: tuple[str, ...] = (),
    recovered_s: float | None = None,
) -> LoadStep:
    """A step with the figures of its stretches, whose seconds are what the rate is taken from.

    `connects`: those of the whole step, where they are more than the stretches'.
    """
    figures = Figures.of(*stretches)
    of_connects = figures if connects is None else Figures.of(connects)
    seconds = sum(stretch.run.duration_s for stretch in stretches)
    answered = answers(*stretches)
    return LoadStep(
        kind=kind,
        users=users,
        start_s=start_s,
        length_s=length_s,
        outcome=outcome,
        because=because,
        value=value,
        finished=figures.finished,
        failures=figures.failures,
        per_s=figures.finished / seconds if seconds else 0.0,
        average_us=round(answered.sum_us / answered.count) if answered.count else None,
        p50_us=answered.percentile_us(50),
        p95_us=answered.percentile_us(95),
        p99_us=answered.percentile_us(99),
        connects=of_connects.connects,
        connect_failures=of_connects.connect_failures,
        notes=notes,
        recovered_s=recovered_s,
    )
