"""`core.pacing`: when the next message is due, on a clock and with random numbers that the test gives."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest

from locust_ext.core.pacing import ClosedLoop, OpenLoop
from locust_ext.errors import ConfigError


def schedule(pacing: OpenLoop, count: int, seed: int = 1) -> list[float]:
    rng = random.Random(seed)
    due_s = [pacing.first_s(100.0, rng)]
    while len(due_s) < count:
        due_s.append(pacing.next_s(due_s[-1], rng))
    return due_s


# ── closed ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_closed_loop_thinks_for_so_many_seconds() -> None:
    """A number, or whatever one of Locust's wait times says of the user."""
    assert ClosedLoop(2).seconds(None) == 2.0
    assert ClosedLoop(0).seconds(None) == 0.0
    assert ClosedLoop(lambda user: user["think"]).seconds({"think": 3}) == 3.0


@pytest.mark.parametrize("wrong", [-1, True, "1", None])
def test_a_wrong_think_time_is_named(wrong: Any) -> None:
    """At its definition."""
    with pytest.raises(ConfigError, match=r"ClosedLoop\.think_time: expected seconds or a Locust wait time"):
        ClosedLoop(wrong)


# ── open ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_open_loop_is_due_at_even_intervals() -> None:
    """From a random point of the first one on."""
    due_s = schedule(OpenLoop(4.0), 50)
    assert 100.0 <= due_s[0] < 100.25
    assert [after - before for before, after in pairwise(due_s)] == pytest.approx([0.25] * 49)


def test_users_of_an_open_loop_do_not_send_in_step() -> None:
    """Their first messages fill the first interval evenly."""
    firsts = [schedule(OpenLoop(1.0), 1, seed)[0] - 100.0 for seed in range(1000)]
    assert 0.45 < sum(firsts) / 1000 < 0.55
    assert min(firsts) < 0.01
    assert max(firsts) > 0.99


def test_poisson_gaps_have_the_same_mean_and_the_right_spread() -> None:
    """Exponential: the standard deviation equals the mean."""
    due_s = schedule(OpenLoop(10.0, is_poisson=True), 20_001)
    gaps = [after - before for before, after in pairwise(due_s)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert mean == pytest.approx(0.1, rel=0.03)
    assert deviation == pytest.approx(0.1, rel=0.05)
    assert min(gaps) >= 0.0


def test_the_schedule_does_not_wait_for_late_messages() -> None:
    """What was sent late changes nothing: the next is due a gap after the last was *due*."""
    pacing = OpenLoop(10.0)
    assert pacing.next_s(5.0, random.Random(1)) == pytest.approx(5.1)


@pytest.mark.parametrize("wrong", [0, -1, True, "1", None])
def test_a_wrong_rate_is_named(wrong: Any) -> None:
    """At its definition."""
    with pytest.raises(ConfigError, match=r"OpenLoop\.rate: expected messages per second, more than 0"):
        OpenLoop(wrong)
