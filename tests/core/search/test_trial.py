"""`core.search.trial`: how a step of load comes to be measured: users, what was before, enough samples."""

from __future__ import annotations

import pytest

from locust_ext.core.schedules import Stress
from locust_ext.model import LoadStep
from locust_ext.model.search import BAD, FOUND, GENERATOR_LIMIT, GOOD, NO_DATA, NOT_REACHED, UP
from tests.core.search.simulated import TICK_S, Ended, Linear, Run

WANTED = Stress(1000, p95_ms=100)


def steady(start_s: float, users: int) -> Ended:
    """One answer a second for each user, in 10 ms."""
    return Ended([10_000] * users)


def first(run: Run, count: int = 1) -> tuple[LoadStep, ...]:
    """The first steps that were judged."""
    while len(run.search.result().steps) < count:
        run.second()
        assert len(run.planned) < 2000
    return run.search.result().steps[:count]


def once(wanted: Stress = WANTED, **given: object) -> LoadStep:
    return first(Run(wanted, steady, **given))[0]  # type: ignore[arg-type]


# ── the users ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_step_is_measured_only_when_its_users_are_there() -> None:
    step = once(present=lambda now_s, planned: planned if now_s > 7.5 else planned - 3)
    assert (step.outcome, step.length_s, step.finished) == (GOOD, 10.0, 100)
    assert step.start_s >= 7.5 + 2


def test_users_that_do_not_come_are_the_reason_why_it_is_bad() -> None:
    run = Run(Stress(430, p95_ms=100), steady, present=lambda _, planned: min(planned, 300))
    found = run.to_end()
    step = next(step for step in found.steps if step.outcome == BAD)
    assert (step.users, step.because, step.value) == (320, "only 300 of 320 users came", "")
    assert (step.finished, step.length_s, step.p95_us) == (0, 0.0, None)
    assert found.outcome == FOUND
    assert found.sustained is not None
    assert 284 <= found.sustained.users <= 300


def test_the_wait_for_users_is_as_long_as_was_asked_for_beyond_their_time_at_the_rate() -> None:
    at_once = once(Stress(1000, p95_ms=100, arrive_s=12), present=lambda *_: 9)
    assert (at_once.because, at_once.start_s) == ("only 9 of 10 users came", pytest.approx(12, abs=0.1))
    at_rate = once(Stress(1000, p95_ms=100, arrive_s=12, rate=0.5), present=lambda *_: 9)
    assert at_rate.start_s == pytest.approx(12 + 20, abs=0.1)


def test_connections_that_are_being_opened_are_waited_for() -> None:
    step = once(connecting=lambda now_s, _: 5 if now_s < 9.5 else 0)
    assert step.start_s >= 9.5 + 2
    assert step.notes == ()
    never = once(connecting=lambda *_: 5)
    assert (never.outcome, never.because) == (BAD, "5 connections of 10 users were not open in time")


def test_a_few_connections_that_are_always_being_opened_hold_nobody_up() -> None:
    step = once(Stress(1000, initial=200, p95_ms=100), connecting=lambda *_: 10)
    assert step.notes == ("10 connections were still being opened",)
    assert step.start_s == pytest.approx(9, abs=1.1)


def test_users_that_do_not_go_are_said_and_the_step_is_measured_all_the_same() -> None:
    clings = Run(
        Stress(160, initial=160, p95_ms=100, recovery_s=0),
        lambda _, users: Ended([10_000 if users < 150 else 500_000] * users),
        present=lambda _, planned: planned if planned == 160 else planned + 7,
    )
    bad, good = first(clings, 2)
    assert (bad.users, bad.outcome, bad.notes) == (160, BAD, ())
    assert (good.users, good.outcome, good.notes) == (80, GOOD, ("7 users too many had not gone",))


def test_a_step_whose_users_go_is_begun_anew_and_given_up_the_third_time() -> None:
    step = once(present=lambda now_s, planned: planned - 2 if 8 < now_s < 12 else planned)
    assert (step.outcome, step.notes) == (GOOD, ("begun anew: 2 users had gone",))
    assert step.start_s >= 12 + 2
    assert (step.length_s, step.finished) == (10.0, 100)
    restless = once(present=lambda now_s, planned: planned - (int(now_s) % 10 == 9))
    assert (restless.outcome, restless.because) == (BAD, "only 9 of 10 users stayed")
    assert restless.notes == ("begun anew: 1 user had gone",)


def test_users_that_a_busy_generator_could_not_start_are_the_generators_limit() -> None:
    found = Run(
        Stress(430, p95_ms=100),
        steady,
        present=lambda _, planned: min(planned, 300),
        bottleneck=lambda users: users >= 300,
    ).to_end()
    step = next(step for step in found.steps if step.outcome != GOOD)
    assert (step.outcome, step.because) == (GENERATOR_LIMIT, "only 300 of 320 users came")


# ── what was before ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_answers_to_what_was_asked_before_the_users_were_there_are_no_part_of_it() -> None:
    """For nine seconds answers come that were under way before: each took as long as the run has lasted."""
    step = first(Run(Stress(1000, p95_ms=100), lambda at_s, users: Ended([round(min(at_s, 9) * 1e6)] * users)))[0]
    assert step.outcome == BAD  # from then on 9 s each, begun when the users were there
    slow = first(
        Run(Stress(1000, p95_ms=100), lambda at_s, users: Ended([round(at_s * 1e6) if at_s < 9 else 10_000] * users))
    )[0]
    assert (slow.start_s, slow.outcome, slow.p95_us, slow.notes) == (10.0, GOOD, 10_000, ())


def test_timeouts_and_a_silence_are_waited_out_too() -> None:
    def silent(at_s: float, users: int) -> Ended:
        if at_s < 8:
            return Ended(in_flight=users)
        return Ended(timed_out=users) if at_s < 11 else Ended([10_000] * users)

    step = first(Run(Stress(1000, p95_ms=100), silent))[0]
    assert (step.start_s, step.outcome, step.failures, step.notes) == (12.0, GOOD, 0, ())


def test_what_does_not_drain_in_time_is_said() -> None:
    wanted = Stress(1000, p95_ms=100, drain_s=6, error_ratio=0.1)
    step = first(Run(wanted, lambda _, users: Ended([10_000] * users, timed_out=1)))[0]
    assert (step.outcome, step.failures, step.finished) == (GOOD, 10, 110)
    assert step.notes == ("what was before had not drained after 6 s",)
    assert step.start_s == pytest.approx(1 + 6, abs=1.1)


def test_it_settles_for_as_long_as_was_asked_for() -> None:
    assert [once(Stress(1000, p95_ms=100, settle_s=settle_s)).start_s for settle_s in (0, 2, 5)] == [3.0, 3.0, 6.0]


@pytest.mark.parametrize("lag_s", [1, 4])
def test_seconds_that_close_late_are_told_from_those_of_the_step_before(lag_s: int) -> None:
    """On a master the seconds of before are still closing when the users are there."""
    run = Run(Stress(40, p95_ms=100), lambda at_s, users: Ended([users * 1000] * users), lag_s=lag_s)
    found = run.to_end()
    assert found.outcome == NOT_REACHED
    for step in found.steps:
        assert (step.p50_us, step.finished) == (step.users * 1000, step.users * round(step.length_s))


# ── enough samples ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_step_with_few_samples_is_extended() -> None:
    step = once(Stress(1000, p95_ms=100, min_samples=320))
    assert (step.length_s, step.finished, step.notes) == (32.0, 320, ("extended to 32 s for 320 samples",))


def test_an_extension_has_an_end() -> None:
    step = once(Stress(1000, p95_ms=100, min_samples=2000))
    assert (step.length_s, step.finished, step.notes) == (60.0, 600, ("only 600 samples in 60 s",))
    step = once(Stress(1000, p95_ms=100, min_samples=2000, max_step_s=15))
    assert (step.length_s, step.finished) == (15.0, 150)


def test_refused_connections_are_samples_too() -> None:
    wanted = Stress(1000, connect_failure_ratio=0.5, error_ratio=None)
    step = first(Run(wanted, lambda _, users: Ended(connects=users, connect_failures=users)))[0]
    # the three seconds count too in which the users came, and what was before would have drained
    assert (step.length_s, step.connects, step.connect_failures, step.finished) == (10.0, 130, 130, 0)
    assert (step.outcome, step.because, step.value) == (BAD, "connect failures > 50 %", "100 %")


def test_users_that_ask_nothing_are_no_reason_to_call_the_target_bad() -> None:
    found = Run(Stress(1000, p95_ms=100, max_step_s=12), lambda *_: Ended()).to_end()
    assert [(step.kind, step.outcome, step.length_s) for step in found.steps] == [(UP, NO_DATA, 12.0)]


def test_a_run_whose_seconds_do_not_close_comes_to_an_end() -> None:
    run = Run(Stress(1000, p95_ms=100), steady, lag_s=100_000)
    found = run.to_end(within_s=300)
    assert [step.outcome for step in found.steps] == [NO_DATA]


# ── the whole step ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_one_noisy_second_does_not_break_a_step_and_a_little_noise_in_each_does() -> None:
    """Four answers in ten of one second are slow: 4 % of the ten seconds; or one in ten of every second."""
    one = first(
        Run(Stress(1000, p95_ms=100), lambda at_s, users: Ended([10_000] * 6 + [400_000 if at_s == 7 else 10_000] * 4))
    )[0]
    assert (one.outcome, one.p95_us, one.p99_us) == (GOOD, pytest.approx(10_000, rel=0.01), 400_000)
    each = first(Run(Stress(1000, p95_ms=100), lambda *_: Ended([10_000] * 9 + [400_000])))[0]
    assert (each.outcome, each.value) == (BAD, "400 ms")


def test_every_step_has_a_histogram_of_its_own() -> None:
    steps = first(Run(Stress(80, p95_ms=100), lambda _, users: Ended([users * 1000] * users)), 4)
    assert [(step.users, step.p50_us, step.p99_us, step.per_s) for step in steps] == [
        (10, 10_000, 10_000, 10.0),
        (20, 20_000, 20_000, 20.0),
        (40, 40_000, 40_000, 40.0),
        (80, 80_000, 80_000, 80.0),
    ]


def test_closed_loop_users_that_wait_longer_ask_less_and_are_judged_all_the_same() -> None:
    step = first(Run(Stress(1000, initial=500, p95_ms=100, step_s=5), Linear(base_ms=0, slope_ms=4, noise=0)))[0]
    assert (step.outcome, step.value, step.per_s) == (BAD, "2,000 ms", pytest.approx(500 / 3, abs=0.3))
    assert step.start_s % 1 == 0
    assert TICK_S < 0.1


def test_times_that_differ_by_a_hair_from_second_to_second_are_not_taken_for_falling_ones() -> None:
    run = Run(Stress(1000, p95_ms=100), lambda at_s, users: Ended([400_000 + 500 * (int(at_s) % 2)] * users))
    (step,) = first(run)
    assert (step.outcome, step.notes) == (BAD, ())
    assert step.start_s <= 6
