"""`core.search.recovery`: after how many seconds the target is itself again, once the load has fallen."""

from __future__ import annotations

import pytest

from locust_ext.core.schedules import Stress
from locust_ext.model import LimitSearch
from locust_ext.model.search import BAD, CUT_SHORT, FOUND, GOOD, NO_DATA, NOT_RECOVERED, RECOVER
from tests.core.search.simulated import Ended, Queue, Run

WANTED = Stress(320, p95_ms=100, initial=10, precision=40, confirm_s=0)


class Breaks:
    """More than 200 users break it; then it stays so for `ill_s` seconds after they have gone."""

    def __init__(self, ill_s: float, ill: Ended | None = None) -> None:
        self.ill_s = ill_s
        self.ill = ill
        self.broke_s = -1e9

    def __call__(self, start_s: float, users: int) -> Ended:
        if users > 200:
            self.broke_s = start_s + 1
        if start_s < self.broke_s + self.ill_s:
            return Ended([500_000] * users) if self.ill is None or users > 200 else self.ill
        return Ended([10_000] * users)


def recovered(found: LimitSearch) -> list[tuple[str, float | None]]:
    return [
        (step.outcome, None if step.recovered_s is None else round(step.recovered_s))
        for step in found.steps
        if step.kind == RECOVER
    ]


@pytest.mark.parametrize("ill_s", [1, 6, 23, 55])
def test_the_time_to_recover_is_right_to_the_second(ill_s: int) -> None:
    found = Run(WANTED, Breaks(ill_s)).to_end()
    assert found.outcome == FOUND
    assert set(recovered(found)) == {(GOOD, ill_s)}
    assert found.recovery is not None
    assert (found.recovery.users, found.recovery.length_s) == (10, pytest.approx(ill_s + 3, abs=0.1))
    assert (found.recovery.finished, found.recovery.per_s, found.recovery.p95_us) == (30, 10.0, 10_000)


def test_a_target_that_was_never_away_is_back_within_the_first_whole_second() -> None:
    found = Run(WANTED, Breaks(0)).to_end()
    assert found.recovery is not None
    assert found.recovery.recovered_s is not None
    assert 0 <= found.recovery.recovered_s <= 1


def test_a_second_that_is_good_by_luck_is_no_recovery() -> None:
    breaks = Breaks(0)

    def lucky(start_s: float, users: int) -> Ended:
        ended = breaks(start_s, users)
        since_s = start_s - breaks.broke_s
        bad = 0 <= since_s < 9 and since_s not in (2, 5, 6)
        return Ended([500_000] * users) if bad else ended

    assert set(recovered(Run(WANTED, lucky).to_end())) == {(GOOD, 9)}


def test_a_target_that_stands_still_has_not_recovered_before_it_answers() -> None:
    found = Run(WANTED, Breaks(12, Ended(in_flight=10))).to_end()
    assert set(recovered(found)) == {(GOOD, 12)}


def test_a_target_that_does_not_come_back_ends_the_search() -> None:
    found = Run(WANTED, Breaks(10_000)).to_end()
    assert found.outcome == NOT_RECOVERED
    step = found.steps[-1]
    assert (step.kind, step.outcome, step.recovered_s) == (RECOVER, BAD, None)
    assert (step.because, step.value, step.length_s) == ("p95 > 100 ms", "500 ms", pytest.approx(60))
    assert (found.sustained and found.sustained.users, found.breaks_at and found.breaks_at.users) == (160, 320)


def test_a_target_that_gives_no_answer_any_more_has_not_come_back_either() -> None:
    found = Run(WANTED, Breaks(10_000, Ended(in_flight=10))).to_end()
    assert found.outcome == NOT_RECOVERED
    assert (found.steps[-1].outcome, found.steps[-1].because) == (BAD, "nothing finished")


def test_users_that_ask_nothing_for_a_minute_leave_it_open() -> None:
    found = Run(WANTED, Breaks(60, Ended())).to_end()
    assert found.outcome == FOUND
    assert set(recovered(found)) == {(NO_DATA, None)}


def test_a_recovery_that_has_begun_in_time_is_seen_to_its_end() -> None:
    found = Run(WANTED, Breaks(59)).to_end()
    assert set(recovered(found)) == {(GOOD, 59)}


def test_nobody_looks_where_nobody_wants_to() -> None:
    found = Run(Stress(320, p95_ms=100, precision=40, recovery_s=0), Breaks(3)).to_end()
    assert (found.outcome, recovered(found), found.recovery) == (FOUND, [], None)


def test_it_takes_as_long_as_the_queue_that_the_overload_left() -> None:
    """320 users ask 320 a second of a server of 200: each second leaves 120 behind, 0.6 s of its work."""
    run = Run(Stress(320, initial=10, p95_ms=100, precision=40, settle_s=0), Queue(per_s=200))
    found = run.to_end()
    broken = next(step for step in found.steps if step.outcome == BAD)
    overload_s = sum(1 for users in run.planned[: int(broken.start_s + broken.length_s) + 1] if users == 320)
    backlog_s = overload_s * 120 / (200 - 10)
    recovery = next(step for step in found.steps if step.kind == RECOVER)
    assert recovery.recovered_s == pytest.approx(backlog_s, abs=1.1)


def test_a_run_that_ends_before_the_target_is_back_says_so() -> None:
    run = Run(WANTED, Breaks(20))
    run.to("recover: 10 users, the target has had 8")
    run.search.end(run.now_s)
    step = run.search.result().steps[-1]
    assert (step.kind, step.outcome, step.recovered_s, round(step.length_s)) == (RECOVER, CUT_SHORT, None, 8)
