"""`core.schedules`: how many users there shall be at which moment, on a clock that the test gives."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise
from math import inf
from typing import Any

import pytest
from hypothesis import given, strategies as st
from pydantic import BaseModel

from locust_ext.core.schedules import (
    SCHEDULES,
    Burst,
    Piece,
    Plan,
    Ramp,
    Realistic,
    Schedule,
    Stage,
    Stages,
    Steady,
    Stress,
    Target,
)
from locust_ext.errors import ConfigError
from locust_ext.settings.shapes import ShapeSettings, StageSettings


def users(schedule: Schedule | Plan, *moments_s: float) -> list[int | None]:
    """Those planned at each moment; None: it is over."""
    plan = schedule if isinstance(schedule, Plan) else schedule.plan()
    return [None if (target := plan.at(moment_s)) is None else target.users for moment_s in moments_s]


def changes(plan: Plan, from_s: float = 0.0, to_s: float = inf) -> list[tuple[float, int | None]]:
    """(when, users) of each change, as `next_change_s` tells it."""
    return [(round(now_s, 4), users(plan, now_s)[0]) for now_s in moments(plan, from_s, to_s)]


def moments(plan: Plan, from_s: float, to_s: float) -> list[float]:
    found = []
    while (from_s := plan.next_change_s(from_s)) <= min(to_s, 1e6):
        found.append(from_s)
    return found


# ── steady ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_steady_users_come_at_once_and_stay_for_ever() -> None:
    plan = Steady(users=50).plan()
    assert users(plan, 0, 1, 1e6) == [50, 50, 50]
    assert (plan.length_s, plan.next_change_s(0.0), plan.peak_users) == (inf, inf, 50)


def test_steady_users_may_come_at_a_rate_and_stay_for_a_time_from_then_on() -> None:
    plan = Steady(users=4, rate=2, time_s=10).plan()
    assert changes(plan) == [(0.25, 1), (0.75, 2), (1.25, 3), (1.75, 4), (12.0, None)]
    assert users(plan, 0, 1, 11.99, 12) == [0, 2, 4, None]


# ── burst ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_bursts_come_on_top_of_the_base_load_with_idle_times_around_them() -> None:
    plan = Burst(burst_users=20, base_users=5, burst_s=3, idle_s=10, bursts=2).plan()
    assert users(plan, 0)[0] == 5
    assert changes(plan) == [(10.0, 25), (13.0, 5), (23.0, 25), (26.0, 5), (36.0, None)]


def test_bursts_go_on_for_ever_where_their_number_is_not_given() -> None:
    plan = Burst(burst_users=20, burst_s=3, idle_s=10).plan()
    assert changes(plan, 13_000, 13_026) == [(13_010.0, 20), (13_013.0, 0), (13_023.0, 20), (13_026.0, 0)]
    assert plan.length_s == inf


def test_a_burst_at_a_rate_rises_within_its_time_and_falls_after_it() -> None:
    schedule = Burst(burst_users=20, base_users=10, burst_s=5, idle_s=10, bursts=1, rate=10)
    assert users(schedule, 0, 1, 10.9, 11, 12, 13, 16, 17, 18, 27.9, 28) == [
        0,
        10,
        10,
        10,
        20,
        30,
        30,
        20,
        10,
        10,
        None,
    ]


def test_a_burst_whose_users_cannot_all_come_in_time_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"rate: expected a rate at which 100 users have come within burst_s \(5 s\)"):
        Burst(burst_users=100, burst_s=5, rate=10)


# ── ramp ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_ramp_in_steps_has_so_many_steps_above_the_initial_level_and_each_lasts_as_long() -> None:
    plan = Ramp(initial=10, users=40, steps=3, step_s=10).plan()
    assert users(plan, 0)[0] == 10
    assert changes(plan) == [(10.0, 20), (20.0, 30), (30.0, 40), (40.0, None)]


def test_steps_that_do_not_divide_the_rise_are_rounded_and_end_at_the_top() -> None:
    assert users(Ramp(users=10, steps=4, step_s=1), 0, 1, 2, 3, 4, 5) == [0, 3, 5, 8, 10, None]


def test_a_linear_ramp_changes_at_the_moment_of_each_user() -> None:
    plan = Ramp(users=5, linear_s=10, hold_s=3).plan()
    assert changes(plan) == [(1.0, 1), (3.0, 2), (5.0, 3), (7.0, 4), (9.0, 5), (13.0, None)]


def test_a_ramp_may_lead_down_and_hold_for_ever() -> None:
    plan = Ramp(initial=4, users=0, linear_s=8, hold_s=None).plan()
    assert users(plan, 0, 2, 4, 6, 8, 1e6) == [4, 3, 2, 1, 0, 0]


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"users": 5}, "steps: expected steps and step_s, or linear_s"),
        ({"users": 5, "steps": 2}, "steps: expected steps and step_s, or linear_s"),
        (
            {"users": 5, "steps": 2, "step_s": 5, "linear_s": 5},
            "linear_s: expected either linear_s, or steps and step_s",
        ),
        ({"users": 5, "initial": 5, "linear_s": 5}, "users: expected another number of users than initial"),
        ({"users": 5, "steps": 2, "step_s": 0.5}, "step_s: expected seconds, 1 or more"),
    ],
)
def test_a_ramp_that_makes_no_sense_is_refused(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Ramp(**parameters)
    assert str(caught.value).startswith(said)


# ── realistic ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_day_has_its_night_its_morning_its_noon_and_its_decline() -> None:
    """A day of 240 s: 10 s are an hour. The morning and the decline are half waves, which pass the middle in the middle."""
    schedule = Realistic(peak_users=100, night_users=10, day_s=240, start_hour=0)
    hours = {0: 10, 5.9: 10, 6: 10, 8.5: 55, 11: 100, 13.9: 100, 14: 100, 18: 55, 22: 10, 23.9: 10, 24: 10, 32.5: 55}
    assert users(schedule, *(10 * hour for hour in hours)) == list(hours.values())


def test_a_day_begins_at_any_hour_and_ends_after_so_many_days() -> None:
    schedule = Realistic(peak_users=100, night_users=10, day_s=240, days=2)
    assert users(schedule, 0, 25, 50, 79, 120, 160, 240, 290, 479.9, 480) == [
        *(10, 55, 100, 100, 55),
        *(10, 10, 100, 10, None),
    ]
    assert users(Realistic(peak_users=8, day_s=240, start_hour=12), 0, 19, 100) == [8, 8, 0]
    assert users(Realistic(peak_users=8, day_s=240, start_hour=24), 0, 60, 110) == [0, 0, 8]


# ── stages ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_stages_follow_each_other_from_no_users_on_each_at_its_rate() -> None:
    schedule = Stages([{"users": 10, "time_s": 60}, Stage(30, 5, rate=10), Stage(0, 10, rate=5)])
    assert users(schedule, 0, 59, 61, 62, 64.9, 65, 67, 71, 74.9, 75) == [10, 10, 20, 30, 30, 30, 20, 0, 0, None]


def test_what_a_rate_does_not_reach_in_time_is_left_to_the_next_stage() -> None:
    schedule = Stages([Stage(100, 5, rate=10), Stage(60, 2, rate=5)])
    assert users(schedule, 0, 4.9, 5, 6, 6.9) == [0, 49, 50, 55, 60]


def test_a_stage_says_which_classes_its_users_are_of() -> None:
    plan = Stages([Stage(5, 10, user_classes=["A"]), Stage(5, 10, user_classes=["A", "B"]), Stage(5)]).plan()
    assert [plan.at(moment_s) for moment_s in (0, 10, 20)] == [
        Target(5, ("A",)),
        Target(5, ("A", "B")),
        Target(5, None),
    ]
    assert changes(plan) == [(10.0, 5), (20.0, 5)]
    assert plan.user_classes == ("A", "B")


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ([], "stages: expected a list of stages"),
        ("ab", "stages: expected a list of stages"),
        ([5], "stages[0]: expected a stage"),
        ([{"users": 1, "time": 5}], "stages[0].time: unknown key, expected one of users, time_s, rate, user_classes"),
        ([{"time_s": 5}], "stages[0].users: this key is required"),
        ([{"users": 1, "time_s": 5}, {"users": -1}], "stages[1].users: expected a whole number of at least 0"),
        ([{"users": 1}, {"users": 2}], "stages[0].time_s: expected seconds: another stage follows"),
        ([{"users": 1, "rate": 0}], "stages[0].rate: expected users a second, more than 0"),
        ([{"users": 1, "user_classes": "A"}], "stages[0].user_classes: expected a list of names"),
    ],
)
def test_wrong_stages_are_named_by_their_number(stages: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Stages(stages)
    assert str(caught.value).startswith(said)


# ── all of them ────────────────────────────────────────────────────────────────────────────────────────────────────────

EXAMPLES: dict[str, Schedule] = {
    "steady": Steady(users=30, rate=7, time_s=600),
    "burst": Burst(burst_users=50, base_users=5, burst_s=7, idle_s=13, rate=9),
    "ramp": Ramp(initial=3, users=90, linear_s=300, hold_s=300),
    "realistic": Realistic(peak_users=77, night_users=3, day_s=150),
    "stages": Stages([Stage(100, 120, rate=3), Stage(40, 240, rate=1), Stage(200, 240)]),
}


def test_every_schedule_has_an_example_here() -> None:
    assert EXAMPLES.keys() == SCHEDULES.keys()
    assert {name: type(example) for name, example in EXAMPLES.items()} == SCHEDULES


@pytest.mark.parametrize("name", EXAMPLES)
def test_ten_minutes_are_followed_exactly_by_who_looks_at_each_change(name: str) -> None:
    """Users as of the last change told are those planned at every moment between that and the next one."""
    plan = EXAMPLES[name].plan()
    moments_s = [0.0, *moments(plan, 0.0, 599.999), 600.0]
    assert len(moments_s) > 20
    for begins_s, ends_s in pairwise(moments_s):
        told = plan.at(begins_s)
        assert told == plan.at(begins_s + 0.3 * (ends_s - begins_s))
        assert told == plan.at(max(begins_s, ends_s - 0.001))
        assert ends_s == 600 or plan.at(ends_s) != told


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(1, 60), st.sampled_from([None, 0.5, 7.0, 80.0])), min_size=1),
    st.floats(0, 100),
)
def test_no_stage_goes_beyond_its_users_nor_faster_than_its_rate(
    given_stages: list[tuple[int, int, float | None]], now_s: float
) -> None:
    stages = [Stage(count, time_s, rate) for count, time_s, rate in given_stages]
    plan = Stages(stages).plan()
    assert plan.length_s == sum(stage.time_s or 0 for stage in stages)
    if now_s + 1e-6 >= plan.length_s:
        assert plan.at(now_s) is None
        return
    target, change_s = plan.at(now_s), plan.next_change_s(now_s)
    assert target is not None
    assert 0 <= target.users <= plan.peak_users <= max(stage.users for stage in stages)
    assert now_s < change_s <= plan.length_s
    assert plan.at(now_s + 0.5 * (change_s - now_s)) == target


def test_a_plan_of_ones_own_is_made_of_pieces() -> None:
    saw = Plan([Piece(4, 0, 8), Piece(2, 8, 0)], lead=[Piece.level(10, 2)], repeats=True)
    assert users(saw, 0, 9.9, 10, 12, 14, 15, 16, 18, 6012) == [2, 2, 0, 4, 8, 4, 0, 4, 4]


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_settings_have_the_parameters_of_the_schedule_and_their_defaults(name: str) -> None:
    annotation = ShapeSettings.model_fields[name].annotation
    model, schedule = (
        (StageSettings, Stage) if name == "stages" else (next(iter(annotation.__args__)), SCHEDULES[name])  # type: ignore[union-attr]
    )
    assert issubclass(model, BaseModel)
    in_file = {key: None if field.is_required() else (field.default,) for key, field in model.model_fields.items()}
    in_code = {
        each.name: None if each.default.__class__.__name__ == "_MISSING_TYPE" else (each.default,)
        for each in fields(schedule)  # type: ignore[arg-type]
    }
    assert in_file == in_code


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        (Steady(users=1), "steady, 1 user"),
        (Steady(users=2000, rate=5, time_s=3600), "steady, 2,000 users for 60 min, 5 a second at the start"),
        (Burst(burst_users=50), "burst, 0 users and 50 more for 10 s after each 20 s"),
        (Burst(burst_users=50, bursts=3), "burst, 0 users and 50 more for 10 s after each 20 s, 3 times"),
        (Ramp(initial=10, users=100, steps=9, step_s=10), "ramp, 10 to 100 users in 9 steps of 10 s"),
        (Ramp(users=100, linear_s=90), "ramp, 0 to 100 users over 90 s"),
        (Realistic(peak_users=9, day_s=7200), "daily wave, 0 to 9 users, a day of 2 h"),
        (Stages([Stage(5)]), "1 stage, up to 5 users"),
    ],
)
def test_a_schedule_says_what_it_is(schedule: Schedule, text: str) -> None:
    assert schedule.text == text


# ── stress ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"max_users": 0}, "max_users: expected a whole number of at least 1 (got 0)"),
        ({"max_users": 5}, "initial: expected no more users than max_users (5) (got 10)"),
        ({"max_users": 50, "factor": 2, "increment": 5}, "increment: expected either factor or increment (got 5)"),
        ({"max_users": 50, "factor": 1}, "factor: expected a number above 1 (got 1)"),
        ({"max_users": 50, "factor": True}, "factor: expected a number above 1 (got True)"),
        (
            {"max_users": 20_000, "increment": 1},
            "increment: expected at most 1,000 steps from initial (10) to max_users (20,000) (got 1)",
        ),
        (
            {"max_users": 9_000_000, "factor": 1.001},
            "factor: expected at most 1,000 steps from initial (10) to max_users (9,000,000) (got 1.001)",
        ),
        ({"max_users": 50, "step_s": 0.5}, "step_s: expected seconds, 1 or more (got 0.5)"),
        ({"max_users": 50, "max_step_s": 9}, "max_step_s: expected no less than step_s (10 s) (got 9)"),
        ({"max_users": 50, "confirm_s": 0.5}, "confirm_s: expected seconds, 1 or more, or 0 for none (got 0.5)"),
        ({"max_users": 50, "recovery_s": False}, "recovery_s: expected seconds, 1 or more, or 0 for none (got False)"),
        ({"max_users": 50, "settle_s": -1}, "settle_s: expected seconds, 0 or more (got -1)"),
        ({"max_users": 50, "arrive_s": 0}, "arrive_s: expected seconds, 1 or more (got 0)"),
        ({"max_users": 50, "min_samples": 0}, "min_samples: expected a whole number of at least 1 (got 0)"),
        ({"max_users": 50, "p95_ms": 0}, "p95_ms: expected milliseconds, more than 0 (got 0)"),
        ({"max_users": 50, "average_ms": "9"}, "average_ms: expected milliseconds, more than 0 (got '9')"),
        (
            {"max_users": 50, "error_ratio": 5},
            "error_ratio: expected a share from 0 to less than 1 (5 % is 0.05) (got 5)",
        ),
        ({"max_users": 50, "rules": "no"}, "rules: expected true or false (got 'no')"),
        (
            {"max_users": 50, "precision": 0},
            "precision: expected a whole number of at least 1, or None for 5 % of the first bad (got 0)",
        ),
        ({"max_users": 50, "rate": 0}, "rate: expected users a second, more than 0 (got 0)"),
    ],
)
def test_a_wrong_parameter_of_a_search_is_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Stress(**given)
    assert str(caught.value) == said


def test_a_search_knows_how_many_steps_it_takes_up_to_the_most_users() -> None:
    assert Stress(1000).up_steps == 8  # 10, 20, 40, 80, 160, 320, 640, 1000
    assert Stress(100, initial=25, increment=30).up_steps == 4
    assert Stress(7, initial=7).up_steps == 1
    assert Stress(1009, increment=1).up_steps == 1000
    assert [Stress(1000).after(10), Stress(1000, factor=1.25).after(10), Stress(1000).after(640)] == [20, 13, 1000]


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        (Stress(1000), "search for the limit, 10 to 1,000 users in steps of 10 s, × 2 each"),
        (
            Stress(1000, factor=1.5, step_s=120),
            "search for the limit, 10 to 1,000 users in steps of 2 min, × 1.5 each",
        ),
        (Stress(500, initial=20, increment=25), "search for the limit, 20 to 500 users in steps of 10 s, + 25 each"),
    ],
)
def test_a_search_says_what_it_is(schedule: Stress, text: str) -> None:
    assert schedule.text == text


def test_a_step_of_a_search_lasts_six_times_as_long_at_most_unless_said() -> None:
    assert [Stress(50, step_s=5).longest_step_s, Stress(50, step_s=5, max_step_s=8).longest_step_s] == [30, 8]
