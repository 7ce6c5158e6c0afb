"""`core.rate`: the schedule that many users share, on a clock and with random numbers that the test gives."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from locust_ext.core.rate import Arrivals, Integral, RateStage, StagedRate, mean_rate, shares


def arrivals(rate: float, is_poisson: bool = False, seed: int = 1) -> Arrivals:
    made = Arrivals(random.Random(seed), is_poisson)
    made.change(100.0, rate)
    return made


def taken_until(schedule: Arrivals, until_s: float) -> list[float]:
    taken = []
    while schedule.due_s <= until_s:
        taken.append(schedule.take())
    return taken


def test_messages_are_due_at_even_gaps_from_a_random_point_of_the_first_one_on() -> None:
    due_s = taken_until(arrivals(4.0), 110.0)
    assert 100.0 <= due_s[0] < 100.25
    assert [after - before for before, after in pairwise(due_s)] == pytest.approx([0.25] * (len(due_s) - 1))
    assert len(due_s) == 40


def test_poisson_gaps_have_the_same_mean_and_a_deviation_that_equals_it() -> None:
    due_s = taken_until(arrivals(100.0, is_poisson=True), 300.0)
    gaps = [after - before for before, after in pairwise(due_s)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert mean == pytest.approx(0.01, rel=0.03)
    assert deviation == pytest.approx(0.01, rel=0.05)


def test_what_is_not_taken_stays_due_at_its_time() -> None:
    schedule = arrivals(10.0)
    assert schedule.behind(100.0) == 0.0
    first_s = schedule.due_s
    assert schedule.behind(105.0) == pytest.approx(105.0 - first_s)
    assert taken_until(schedule, 105.0) == pytest.approx([first_s + number * 0.1 for number in range(50)])


def test_a_change_of_the_rate_keeps_the_part_of_the_gap_that_is_over() -> None:
    """Half a gap of 1 s has passed; the other half takes 0.05 s at ten a second."""
    schedule = arrivals(1.0)
    due_s = schedule.take()
    schedule.change(due_s + 0.5, 10.0)
    assert schedule.due_s == pytest.approx(due_s + 0.55)


def test_a_change_of_the_rate_leaves_what_was_due_before_it_as_it_was() -> None:
    schedule = arrivals(10.0)
    first_s = schedule.due_s
    schedule.change(101.0, 100.0)
    due_s = taken_until(schedule, 102.0)
    assert due_s[:10] == pytest.approx([first_s + number * 0.1 for number in range(10)])
    assert sum(each > 101.0 for each in due_s) == pytest.approx(100, abs=1)


def test_a_rate_of_0_stops_and_the_next_one_goes_on_where_it_stopped() -> None:
    schedule = arrivals(1.0)
    due_s = schedule.take()
    schedule.change(due_s + 0.25, 0.0)
    assert schedule.due_s == math.inf
    schedule.change(due_s + 60.0, 2.0)
    assert schedule.due_s == pytest.approx(due_s + 60.375)


def test_before_any_rate_nothing_is_due() -> None:
    assert Arrivals(random.Random(1)).due_s == math.inf


def test_a_backlog_is_counted_and_stays() -> None:
    schedule = arrivals(10.0)
    schedule.change(101.0, 100.0)
    first_s = schedule.due_s
    assert schedule.backlog(102.0) == pytest.approx(110, abs=2)
    assert schedule.backlog(first_s - 0.001) == 0
    assert schedule.take() == first_s


def test_users_who_come_and_go_add_up_to_user_seconds() -> None:
    users = Integral()
    users.change(10.0, 2)
    users.change(12.0, 1)
    assert users.total(13.0) == 2 * 2 + 3
    users.change(14.0, -3)
    assert (users.level, users.total(20.0)) == (0, 2 * 2 + 3 * 2)


@given(
    st.lists(st.tuples(st.floats(0.05, 3.0), st.sampled_from([0.0, 0.5, 1.0, 7.0, 40.0])), min_size=1, max_size=12),
    st.integers(0, 1000),
)
def test_so_many_messages_are_due_as_the_rate_says_whatever_its_changes_and_whenever_they_are_taken(
    pieces: list[tuple[float, float]], seed: int
) -> None:
    """Both the schedule that is followed at once and the one that nobody has looked at until its end."""
    followed, left = Arrivals(random.Random(seed)), Arrivals(random.Random(seed))
    now_s, wanted, found = 50.0, 0.0, []
    for length_s, rate in pieces:
        followed.change(now_s, rate)
        left.change(now_s, rate)
        now_s += length_s
        wanted += length_s * rate
        found += taken_until(followed, now_s)
    assert abs(len(found) - wanted) <= 1.0 + 1e-6
    assert taken_until(left, now_s) == pytest.approx(found)
    assert found == sorted(found)


def test_a_plan_of_ten_minutes_is_followed_exactly() -> None:
    """100/s for 2 min, evenly up to 500/s in 5 min, 500/s for 2 min, and down to 0 in the last one."""
    plan = StagedRate(
        [RateStage(120, 100), RateStage(300, 100, 500), RateStage(120, 500), RateStage(60, 500, 0)],
    )
    assert [plan(at) for at in (0, 119.9, 120, 270, 419.999, 420, 539, 570, 600, 900)] == pytest.approx(
        [100, 100, 100, 300, 500, 500, 500, 250, 0, 0], abs=0.01
    )
    schedule = Arrivals(random.Random(1))
    counts = dict.fromkeys(range(10), 0)
    for tick in range(6000):
        now_s = tick / 10
        schedule.change(now_s, mean_rate(plan, now_s, now_s + 0.1))
        for due_s in taken_until(schedule, now_s + 0.1):
            counts[int(due_s // 60)] += 1
    wanted = [6000, 6000, 8400, 13200, 18000, 22800, 27600, 30000, 30000, 15000]
    assert list(counts.values()) == pytest.approx(wanted, abs=2)


def test_workers_share_the_rate_by_their_users() -> None:
    assert shares({"a": 30, "b": 10, "c": 0}) == {"a": 0.75, "b": 0.25, "c": 0.0}
    assert shares({"a": 0, "b": 0}) == {"a": 0.0, "b": 0.0}


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 10_000), max_size=20))
def test_the_shares_add_up_to_the_whole_or_there_are_no_users(users: dict[str, int]) -> None:
    assert sum(shares(users).values()) == pytest.approx(1.0 if any(users.values()) else 0.0)
