"""`core.search.climb`: which number of users comes next."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from locust_ext.core.schedules import Stress
from locust_ext.core.search.climb import MAX_FURTHER, Climb
from locust_ext.model import LimitSearch, LoadStep
from locust_ext.model.search import (
    BAD,
    BISECT,
    CONFIRM,
    FOUND,
    GENERATOR_LIMIT,
    GOOD,
    NEVER_GOOD,
    NO_DATA,
    NOT_REACHED,
    UP,
)


def climbed(wanted: Stress, outcome_of: Callable[[str, int], str]) -> tuple[Climb, list[tuple[str, int, str]]]:
    """The climb to its end, and its steps as (kind, users, outcome)."""
    climb, steps = Climb(wanted), []
    while climb.outcome is None:
        kind, users = climb.kind, climb.users
        outcome = outcome_of(kind, users)
        steps.append((kind, users, outcome))
        climb.made(outcome)
    return climb, steps


def limit_of(users: int) -> Callable[[str, int], str]:
    return lambda _, tried: GOOD if tried <= users else BAD


def answer(steps: list[tuple[str, int, str]]) -> LimitSearch:
    made = (LoadStep(kind, users, float(at), 1.0, outcome) for at, (kind, users, outcome) in enumerate(steps))
    return LimitSearch("", steps=tuple(made))


def test_it_doubles_until_a_step_is_bad_and_then_halves_what_is_between() -> None:
    climb, steps = climbed(Stress(1000), limit_of(430))
    assert [users for kind, users, _ in steps if kind == UP] == [10, 20, 40, 80, 160, 320, 640]
    assert [(users, outcome) for kind, users, outcome in steps if kind == BISECT] == [
        (480, BAD),
        (400, GOOD),
        (440, BAD),
        (420, GOOD),
    ]
    assert steps[-1] == (CONFIRM, 420, GOOD)
    assert climb.outcome == FOUND


def test_it_grows_by_an_increment_where_one_is_given_and_to_the_most_users_at_last() -> None:
    climb, steps = climbed(Stress(100, initial=25, increment=30), limit_of(1000))
    assert steps == [(UP, 25, GOOD), (UP, 55, GOOD), (UP, 85, GOOD), (UP, 100, GOOD), (CONFIRM, 100, GOOD)]
    assert climb.outcome == NOT_REACHED


def test_a_factor_near_one_adds_a_user_at_the_least() -> None:
    _, steps = climbed(Stress(14, initial=10, factor=1.01), limit_of(1000))
    assert [users for _, users, _ in steps] == [10, 11, 12, 13, 14, 14]


@given(
    limit=st.integers(0, 3000),
    most=st.integers(1, 3000),
    initial=st.integers(1, 3000),
    step=st.one_of(st.integers(20, 500), st.floats(1.1, 5.0)),
    precision=st.one_of(st.none(), st.integers(1, 50)),
    confirm_s=st.sampled_from([0.0, 30.0]),
)
def test_it_comes_within_the_precision_of_any_limit(
    limit: int, most: int, initial: int, step: int | float, precision: int | None, confirm_s: float
) -> None:
    initial = min(initial, most)
    growth = {"increment": step} if isinstance(step, int) else {"factor": step}
    wanted = Stress(most, initial=initial, precision=precision, confirm_s=confirm_s, **growth)  # type: ignore[arg-type]
    climb, steps = climbed(wanted, limit_of(limit))
    found = answer(steps)
    first_bad = next((users for _, users, outcome in steps if outcome == BAD), None)
    if limit >= most:
        assert climb.outcome == NOT_REACHED
        assert found.sustained is not None
        assert found.sustained.users == most
    elif limit < 1:
        assert (climb.outcome, found.sustained) == (NEVER_GOOD, None)
        assert found.breaks_at is not None
        assert found.breaks_at.users == 1
    else:
        assert climb.outcome == FOUND
        assert found.sustained is not None
        assert found.breaks_at is not None
        assert first_bad is not None
        assert found.sustained.users <= limit < found.breaks_at.users
        assert found.breaks_at.users - found.sustained.users <= (precision or max(1, first_bad // 20))
        assert found.is_confirmed == bool(confirm_s)
    assert len(steps) <= wanted.up_steps + 14


@given(
    outcomes=st.lists(st.sampled_from([GOOD, BAD, GENERATOR_LIMIT]), min_size=1, max_size=300),
    most=st.integers(1, 5000),
)
def test_whatever_comes_of_the_steps_it_ends_and_the_answer_is_one_of_those_that_were_good(
    outcomes: list[str], most: int
) -> None:
    given_out = iter(outcomes)
    wanted = Stress(most, initial=min(10, most), precision=1)
    climb, steps = climbed(wanted, lambda *_: next(given_out, outcomes[-1]))
    assert len(steps) <= wanted.up_steps + MAX_FURTHER
    assert all(1 <= users <= most for _, users, _ in steps)
    found = answer(steps)
    assert (found.sustained.users if found.sustained else 0) == climb.good
    assert (found.breaks_at.users if found.breaks_at else None) == climb.bad
    if climb.outcome in (FOUND, NOT_REACHED):
        assert found.sustained is not None
    if climb.outcome == NEVER_GOOD:
        assert found.sustained is None


def test_what_was_sustained_once_and_not_when_it_was_confirmed_is_bad() -> None:
    def second_time_is_worse(kind: str, users: int) -> str:
        return GOOD if users <= (300 if kind == CONFIRM else 430) else BAD

    climb, steps = climbed(Stress(1000, precision=20), second_time_is_worse)
    assert [(users, outcome) for kind, users, outcome in steps if kind == CONFIRM] == [
        (420, BAD),
        (400, BAD),
        (380, BAD),
        (360, BAD),
        (340, BAD),
        (320, BAD),
        (300, GOOD),
    ]
    assert climb.outcome == FOUND
    found = answer(steps)
    assert (found.sustained and found.sustained.users, found.breaks_at and found.breaks_at.users) == (300, 320)


def test_where_the_generator_was_the_limit_twice_it_goes_down_to_the_last_good_one_and_ends() -> None:
    climb, steps = climbed(Stress(1000), lambda _, users: GOOD if users <= 200 else GENERATOR_LIMIT)
    assert steps[-4:] == [
        (UP, 160, GOOD),
        (UP, 320, GENERATOR_LIMIT),
        (UP, 320, GENERATOR_LIMIT),
        (CONFIRM, 160, GOOD),
    ]
    assert climb.outcome == GENERATOR_LIMIT


@pytest.mark.parametrize("kind", [UP, BISECT, CONFIRM])
def test_a_step_that_the_generator_has_spoiled_once_is_made_once_more_and_nothing_else_changes(kind: str) -> None:
    clean, steps = climbed(Stress(1000), limit_of(430))
    spoiled: set[int] = set()

    def noisy(of: str, users: int) -> str:
        if of == kind and users not in spoiled:
            spoiled.add(users)
            return GENERATOR_LIMIT
        return limit_of(430)(of, users)

    climb, made = climbed(Stress(1000), noisy)
    assert [step for step in made if step[2] != GENERATOR_LIMIT] == steps
    assert len(made) == len(steps) + sum(step[0] == kind for step in steps)
    assert (climb.outcome, climb.good, climb.bad) == (clean.outcome, clean.good, clean.bad)


def test_a_target_that_breaks_below_the_generators_limit_has_a_limit_of_its_own() -> None:
    def outcome(kind: str, users: int) -> str:
        if users > 200:
            return GENERATOR_LIMIT
        return GOOD if users <= (100 if kind == CONFIRM else 160) else BAD

    climb, steps = climbed(Stress(1000), outcome)
    assert climb.outcome == FOUND
    found = answer(steps)
    assert found.sustained is not None
    assert found.sustained.users <= 100
    assert climb.bad is not None
    assert climb.bad <= 160


@pytest.mark.parametrize(("outcome", "times"), [(GENERATOR_LIMIT, 2), (NO_DATA, 1)])
def test_a_first_step_that_says_nothing_of_the_target_ends_it(outcome: str, times: int) -> None:
    climb, steps = climbed(Stress(1000), lambda *_: outcome)
    assert steps == [(UP, 10, outcome)] * times
    assert (climb.outcome, climb.good) == (outcome, 0)


def test_a_target_that_did_not_recover_is_asked_with_a_single_user_next() -> None:
    climb = Climb(Stress(1000, initial=200))
    climb.made(BAD)
    assert climb.users == 100
    climb.try_one()
    assert climb.users == 1
    climb.made(GOOD)
    assert climb.users == 100
    climb.try_one()
    assert climb.users == 100
