"""`core.search.search`: it finds the limit that a made-up target has, and comes to an end whatever the target does."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from locust_ext.core.schedules import Stress
from locust_ext.core.search.criteria import NOTHING_ANSWERED
from locust_ext.model import LimitSearch
from locust_ext.model.search import (
    BAD,
    BISECT,
    CONFIRM,
    CUT_SHORT,
    FOUND,
    GENERATOR_LIMIT,
    GOOD,
    INTERRUPTED,
    NEVER_GOOD,
    NO_DATA,
    NOT_REACHED,
    RECOVER,
    SEARCHING,
    UP,
)
from tests.core.search.simulated import Ended, Linear, Queue, Run


def levels(found: LimitSearch, *kinds: str) -> list[tuple[int, str]]:
    return [(step.users, step.outcome) for step in found.steps if step.kind in kinds]


# ── the limit ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "growth", [{"factor": 2.0}, {"factor": 1.5, "initial": 7}, {"increment": 60}], ids=["double", "by half", "by 60"]
)
def test_it_finds_the_limit_of_a_noisy_target_within_the_precision(seed: int, growth: dict[str, float]) -> None:
    target = Linear(base_ms=20, slope_ms=random.Random(seed).uniform(0.15, 1.5), noise=0.2, seed=seed)
    limit = target.limit(p95_ms=100)
    found = Run(Stress(1000, p95_ms=100, step_s=5, confirm_s=10, **growth), target).to_end()  # type: ignore[arg-type]
    assert found.outcome == FOUND
    assert found.sustained is not None
    assert found.breaks_at is not None
    first_bad = next(users for users, outcome in levels(found, UP) if outcome == BAD)
    sampled = 0.03 * limit  # the 95th percentile of some hundred samples is known to a few per cent
    assert found.breaks_at.users - found.sustained.users <= max(1, first_bad // 20)
    assert limit - first_bad // 20 - sampled <= found.sustained.users <= limit + sampled
    assert found.is_confirmed


def test_the_answer_has_the_figures_of_its_step() -> None:
    run = Run(Stress(1000, p95_ms=100, connect_failure_ratio=0.5), Linear(base_ms=20, slope_ms=0.2, noise=0))
    found = run.to_end()
    assert found.criteria == ("p95 > 100 ms", "error ratio > 5 %", "connect failures > 50 %")
    assert (found.outcome, found.max_users, found.unit, found.phase) == (FOUND, 1000, "messages", "")
    step = found.sustained
    assert step is not None
    assert (step.users, step.kind, step.length_s) == (400, CONFIRM, 30.0)
    # 400 users, an answer of 100 ms and a second of thought: 363.6 a second
    assert (step.finished, step.failures, step.per_s) == (10_909, 0, pytest.approx(363.6, abs=0.1))
    assert (step.average_us, step.p50_us, step.p95_us, step.p99_us) == (100_000, 100_000, 100_000, 100_000)
    broken = found.breaks_at
    assert broken is not None
    assert (broken.users, broken.because, broken.value) == (420, "p95 > 100 ms", "104 ms")
    assert found.recovery is not None
    assert (found.recovery.users, found.recovery.outcome) == (10, GOOD)


def test_steps_are_in_the_order_of_time_and_each_bad_one_is_followed_by_a_recovery() -> None:
    found = Run(Stress(500, p95_ms=100), Linear()).to_end()
    assert all(before.start_s + before.length_s <= step.start_s + 0.1 for before, step in pairwise(found.steps))
    after_bad = [step.kind for before, step in pairwise(found.steps) if before.outcome == BAD]
    assert len(after_bad) >= 3
    assert set(after_bad) == {RECOVER}


def test_users_that_come_at_a_rate_are_planned_on_their_way() -> None:
    run = Run(Stress(400, initial=100, p95_ms=100, rate=20), Linear())
    assert [run.search.planned(now_s) for now_s in (0, 0.025, 1, 2.5, 5, 60)] == [0, 1, 20, 50, 100, 100]
    assert run.search.next_change_s(0) == pytest.approx(0.025)
    assert run.search.next_change_s(1) == pytest.approx(1.025)
    assert run.search.next_change_s(5) == float("inf")
    run.to_end()
    assert max(abs(after - before) for before, after in pairwise(run.planned)) == 20


def test_the_users_are_gone_when_it_is_over() -> None:
    run = Run(Stress(50, p95_ms=1000), Linear())
    assert (run.search.users, run.search.is_over, run.search.result().outcome) == (10, False, SEARCHING)
    run.to_end()
    assert (run.search.users, run.search.planned(run.now_s), run.search.is_over) == (0, 0, True)


def test_it_says_what_it_is_doing() -> None:
    run = Run(Stress(400, initial=200, p95_ms=100, min_samples=100), Linear(slope_ms=0.3, noise=0))
    run.to_end()
    seen = dict.fromkeys(run.phases)
    for phase in (
        "up: 200 users, waiting for what was before to drain",
        "up: 200 users, measured for 6 of 10 s",
        "up: 400 users, 200 of them are there",
        "recover: 200 users, the target has had 2 of 60 s",
        "bisect: 300 users, 200 of them are there",
        "confirm: 262 users, measured for 29 of 30 s",
    ):
        assert phase in seen, list(seen)
    assert run.phases[-1] == ""


# ── other answers ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_most_users_that_are_allowed_may_all_be_sustained() -> None:
    found = Run(Stress(100, p95_ms=1000), Linear()).to_end()
    assert found.outcome == NOT_REACHED
    assert levels(found, UP) == [(10, GOOD), (20, GOOD), (40, GOOD), (80, GOOD), (100, GOOD)]
    assert levels(found, CONFIRM) == [(100, GOOD)]
    assert (found.sustained and found.sustained.users, found.breaks_at) == (100, None)


def test_a_limit_below_the_first_step_is_found_too() -> None:
    found = Run(Stress(1000, initial=100, p95_ms=100), Linear(base_ms=10, slope_ms=6, noise=0)).to_end()
    assert levels(found, UP) == [(100, BAD)]
    assert (found.outcome, found.sustained and found.sustained.users) == (FOUND, 15)
    assert found.breaks_at is not None
    assert found.breaks_at.users <= 19


def test_a_target_that_is_never_good_enough_is_asked_down_to_a_single_user() -> None:
    found = Run(Stress(1000, p95_ms=100, recovery_s=5), Linear(base_ms=200)).to_end()
    assert found.outcome == NEVER_GOOD
    assert levels(found, UP, BISECT) == [(10, BAD), (1, BAD)]  # it has not recovered: down to one at once
    assert (found.sustained, found.breaks_at and found.breaks_at.users) == (None, 1)
    without = Run(Stress(1000, p95_ms=100, recovery_s=0), Linear(base_ms=200)).to_end()
    assert levels(without, UP, BISECT, RECOVER) == [(10, BAD), (5, BAD), (2, BAD), (1, BAD)]


def test_a_generator_that_breaks_first_is_told_and_the_last_good_step_confirmed() -> None:
    run = Run(Stress(1000, p95_ms=100), Linear(), bottleneck=lambda users: users > 200)
    found = run.to_end()
    assert found.outcome == GENERATOR_LIMIT
    assert levels(found, UP)[-3:] == [(160, GOOD), (320, GENERATOR_LIMIT), (320, GENERATOR_LIMIT)]
    assert levels(found, CONFIRM) == [(160, GOOD)]
    assert (found.is_confirmed, found.breaks_at, levels(found, RECOVER)) == (True, None, [])


def test_a_generator_that_is_its_own_limit_hides_that_the_target_seemed_to_break() -> None:
    run = Run(Stress(1000, p95_ms=100), Linear(noise=0), bottleneck=lambda users: users > 400)
    first, again = run.to_end().steps[6:8]
    assert (first.users, first.outcome, first.because) == (640, GENERATOR_LIMIT, "")
    assert first.notes == ("p95 > 100 ms too: 148 ms", "once more")
    assert (again.users, again.outcome, again.notes) == (640, GENERATOR_LIMIT, ("p95 > 100 ms too: 148 ms",))


def test_one_noisy_moment_of_the_generator_does_not_change_the_answer() -> None:
    noisy = Run(Stress(1000, p95_ms=100), Linear(noise=0))
    noisy.bottleneck = lambda users: users == 320 and noisy.planned.count(320) == 9
    found, quiet = noisy.to_end(), Run(Stress(1000, p95_ms=100), Linear(noise=0)).to_end()
    assert levels(found, UP) == [*levels(quiet, UP)[:5], (320, GENERATOR_LIMIT), (320, GOOD), (640, BAD)]
    assert (found.outcome, found.sustained and found.sustained.users) == (FOUND, 400)
    spoiled = next(step for step in found.steps if step.outcome == GENERATOR_LIMIT)
    assert spoiled.notes == ("once more",)


def test_errors_that_the_target_answers_are_its_own_however_busy_the_generator_is() -> None:
    def refuses(start_s: float, users: int) -> Ended:
        return Ended([10_000] * users, failed=0 if users <= 200 else users)

    run = Run(Stress(1000, p95_ms=100, precision=200), refuses, bottleneck=lambda users: users > 200)
    found = run.to_end()
    assert (found.outcome, levels(found, UP)[-1]) == (FOUND, (320, BAD))
    broken = found.breaks_at
    assert broken is not None
    assert (broken.because, broken.value) == ("error ratio > 5 %", "50 %")
    assert broken.notes == ("the generator was at its limit too",)
    sustained = found.sustained
    assert sustained is not None
    assert run.search.measured == ((sustained.start_s, sustained.start_s + sustained.length_s - 1),)


# ── targets that do not answer, and that refuse connections ────────────────────────────────────────────────────────────


@pytest.mark.parametrize("longest_request_s", [None, 5.0])
def test_a_target_on_which_everything_times_out_is_bad_also_where_only_times_are_asked_for(
    longest_request_s: float | None,
) -> None:
    def hangs(start_s: float, users: int) -> Ended:
        return Ended([10_000] * users) if users <= 37 else Ended(timed_out=users // 5, in_flight=users)

    wanted = Stress(80, p95_ms=100, error_ratio=None, precision=2)
    run = Run(wanted, hangs, longest_request_s=longest_request_s)
    found = run.to_end()
    assert (found.outcome, found.sustained and found.sustained.users) == (FOUND, 37)
    assert found.breaks_at is not None
    assert (found.breaks_at.users, found.breaks_at.because) in [(38, NOTHING_ANSWERED), (39, NOTHING_ANSWERED)]
    bad = [step for step in found.steps if step.outcome == BAD]
    waited = {any("had not drained" in note for note in step.notes) for step in bad}
    assert waited == {longest_request_s is None}, "it need not wait for what it knows is over"
    assert all((step.recovered_s or 0) < 1 for step in found.steps if step.kind == RECOVER)


class Door:
    """Lets 30 connections in and refuses the others, who try again every second; or give up, and stay in the way."""

    def __init__(self, gives_up: bool) -> None:
        self.gives_up = gives_up
        self.open = self.refused = self.users = 0

    def __call__(self, start_s: float, users: int) -> Ended:
        if users < self.users:  # Locust takes any of them
            share = users / self.users
            self.open, self.refused = users - int(self.refused * share), int(self.refused * share)
        tries = users - self.open - (self.refused if self.gives_up else 0)
        comes = min(tries, 30 - self.open)
        self.open, self.users = self.open + comes, users
        self.refused = users - self.open
        return Ended([10_000] * self.open, connects=tries, connect_failures=tries - comes)

    def run(self, wanted: Stress) -> Run:
        def out(now_s: float, users: int) -> int:
            return self.refused

        return Run(wanted, self, failed=out) if self.gives_up else Run(wanted, self, waiting=out)


@pytest.mark.parametrize("recovery_s", [60.0, 0.0])
@pytest.mark.parametrize("gives_up", [True, False])
@pytest.mark.parametrize(("initial", "most"), [(60, 60), (37, 37), (10, 60)])
def test_a_target_that_refuses_connections_breaks_where_it_does(
    gives_up: bool, initial: int, most: int, recovery_s: float
) -> None:
    wanted = Stress(most, initial=initial, p95_ms=100, precision=2, recovery_s=recovery_s, step_s=5)
    run = Door(gives_up).run(wanted)
    found = run.to_end(within_s=400)
    assert found.outcome == FOUND
    assert found.sustained is not None
    assert found.breaks_at is not None
    assert 28 <= found.sustained.users <= 31, "one of 31 may be refused: that is less than 5 %"
    for step in found.steps:
        if step.outcome == BAD and step.kind != RECOVER:
            assert step.because == "connect failures > 5 %", step
            assert step.connects - step.connect_failures <= 30
            assert step.connect_failures >= step.users - 30
        elif step.kind != RECOVER:
            assert step.users <= 31
    recovered = [step.recovered_s for step in found.steps if step.kind == RECOVER]
    assert bool(recovered) == bool(recovery_s)
    assert all(took_s is not None and took_s <= 3 for took_s in recovered)


def test_connects_that_fail_while_the_users_come_break_a_step_in_which_nothing_else_fails() -> None:
    def target(start_s: float, users: int) -> Ended:
        came = start_s < 1
        return Ended([10_000] * users, connects=30 if came else 0, connect_failures=10 if came else 0)

    run = Run(Stress(20, initial=20, p95_ms=100), target)
    run.to("recover")
    (step,) = run.search.result().steps
    assert (step.outcome, step.because, step.value) == (BAD, "connect failures > 5 %", "33.3 %")
    assert (step.connects, step.connect_failures, step.length_s, step.finished) == (30, 10, 10.0, 200)
    run.to_end()
    assert {step.connects for step in run.search.result().steps[1:]} == {0}, "each step has those of its own only"


def test_where_nothing_ever_finishes_there_is_no_data() -> None:
    run = Run(Stress(1000), lambda *_: Ended(in_flight=10))
    found = run.to_end()
    assert found.outcome == NO_DATA
    assert [(step.outcome, step.because, step.length_s) for step in found.steps] == [
        (NO_DATA, "nothing finished", 60.0)
    ]
    assert found.sustained is None


def test_a_target_that_goes_mute_is_broken_once_it_has_answered_to_fewer_users() -> None:
    linear = Linear(noise=0)
    found = Run(
        Stress(160), lambda start_s, users: linear(start_s, users) if users <= 60 else Ended(in_flight=users)
    ).to_end()
    assert found.outcome == FOUND
    assert found.breaks_at is not None
    assert (found.breaks_at.because, found.breaks_at.value, found.breaks_at.length_s) == ("nothing finished", "", 60.0)
    assert found.sustained is not None
    assert 56 <= found.sustained.users <= 60


# ── a confirmation that fails, and targets of two minds ────────────────────────────────────────────────────────────────


def test_a_level_that_does_not_hold_for_longer_is_bad_and_the_search_goes_on_below() -> None:
    """More than a hundred users tire the target: it holds for ten seconds, and not for thirty."""
    level = asked_s = 0

    def tires(start_s: float, users: int) -> Ended:
        nonlocal level, asked_s
        level, asked_s = users, asked_s + 1 if users == level else 0
        return Ended([220_000 if asked_s > 20 and users > 100 else 20_000] * users)

    found = Run(Stress(150, p95_ms=100, precision=10), tires).to_end()
    confirmed = levels(found, CONFIRM)
    assert confirmed[0] == (150, BAD)
    assert confirmed[-1][1] == GOOD
    assert found.outcome == FOUND
    assert found.sustained is not None
    assert found.breaks_at is not None
    assert 90 <= found.sustained.users <= 100 < found.breaks_at.users <= 110
    assert found.is_confirmed


@pytest.mark.parametrize("seed", range(8))
def test_a_target_that_is_good_and_bad_by_chance_is_not_searched_for_ever(seed: int) -> None:
    chance = random.Random(seed)
    mood = {"until_s": 0.0, "ms": 10.0}

    def moody(start_s: float, users: int) -> Ended:
        if start_s >= mood["until_s"]:
            mood.update(until_s=start_s + chance.uniform(5, 40), ms=chance.choice([10.0, 300.0]))
        return Ended([round(mood["ms"] * 1000)] * users)

    run = Run(Stress(5000, p95_ms=100, precision=1), moody)
    found = run.to_end(within_s=60 * 150)
    assert len([step for step in found.steps if step.kind != RECOVER]) <= 10 + 60
    if found.outcome == FOUND:
        assert found.sustained is not None
        assert found.breaks_at is not None
        assert found.sustained.users < found.breaks_at.users


# ── the run ends before the search ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("phase", "kind", "notes", "sustained"),
    [
        ("up: 20 users, 10 of them", UP, ("its users were still coming",), 10),
        ("up: 20 users, waiting", UP, ("what was before was still draining",), 10),
        ("up: 20 users, measured for 5", UP, (), 10),
        ("up: 10 users, measured for 5", UP, (), None),
        ("recover: 10 users", RECOVER, (), 320),
        ("bisect: 480 users, measured for 3", BISECT, (), 320),
        ("confirm: 320 users, measured for 3", CONFIRM, (), 320),
    ],
)
def test_a_run_that_ends_within_it_leaves_what_is_known(
    phase: str, kind: str, notes: tuple[str, ...], sustained: int | None
) -> None:
    run = Run(Stress(1000, p95_ms=100), Linear())
    run.to(phase)
    run.search.end(run.now_s)
    found = run.search.result()
    assert (found.outcome, found.phase, run.search.is_over, run.search.users) == (INTERRUPTED, "", True, 0)
    last = found.steps[-1]
    assert (last.kind, last.outcome, last.notes) == (kind, CUT_SHORT, notes)
    assert (found.sustained.users if found.sustained else None) == sustained
    assert not found.is_confirmed
    run.search.end(run.now_s + 1)
    assert run.search.result() == found


def test_what_was_measured_of_a_step_that_was_cut_short_is_kept() -> None:
    run = Run(Stress(1000, p95_ms=100), Linear(noise=0, base_ms=0, slope_ms=0))
    run.to("up: 20 users, measured for 5")
    run.search.end(run.now_s)
    step = run.search.result().steps[-1]
    assert (step.users, step.length_s, step.finished, step.per_s) == (20, 5.0, 100, 20.0)


def test_an_end_after_its_own_end_changes_nothing() -> None:
    run = Run(Stress(20, p95_ms=1000), Linear())
    found = run.to_end()
    run.search.end(run.now_s)
    assert run.search.result() == found


# ── overload ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_queue_that_an_overload_leaves_behind_does_not_spoil_the_next_step() -> None:
    """A server of 200 a second: 320 users leave some 1,200 requests behind them, 5 s of its work."""
    found = Run(Stress(2000, p95_ms=100), Queue(per_s=200)).to_end()
    assert found.outcome == FOUND
    assert found.sustained is not None
    assert found.breaks_at is not None
    assert (found.sustained.users, found.breaks_at.users) == (200, 210)
    assert all(step.outcome == (GOOD if step.users <= 200 else BAD) for step in found.steps)


def test_without_a_wait_for_recovery_the_step_itself_waits_while_the_times_fall() -> None:
    wanted = Stress(2000, p95_ms=100, recovery_s=0, step_s=5, drain_s=120)
    found = Run(wanted, Queue(per_s=200)).to_end()
    assert all(step.outcome == (GOOD if step.users < 200 else BAD) for step in found.steps if step.users != 200)
    impatient = Run(Stress(2000, p95_ms=100, recovery_s=0, step_s=5, drain_s=0, settle_s=0), Queue(per_s=200)).to_end()
    assert any(step.outcome == BAD and step.users < 200 for step in impatient.steps), "the test's queue spoils nothing"
