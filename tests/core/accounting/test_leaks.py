"""Leak verdicts over one-minute runs: leaks are found, and nothing else is called one."""

from __future__ import annotations

import random

import pytest

from locust_ext.core.accounting.leaks import leak_of
from locust_ext.model import Leak
from tests.core.accounting.memory import Course, arenas, collected, jumps, leak, noise, warm_up

RUNS = 300
INNOCENT: dict[str, Course] = {
    "independent noise": noise(0.0),
    "alike noise": noise(0.5),
    "slow noise": noise(0.8),
    "one jump": jumps(1),
    "two jumps": jumps(2),
    "warm-up of 5 s": warm_up(5),
    "warm-up of 10 s": warm_up(10),
    "warm-up of 15 s": warm_up(15),
    "arenas": arenas,
    "collector": collected,
}


def verdict(course: Course, seed: int) -> Leak:
    """Of a process of 60 MB."""
    rng = random.Random(seed)
    values = course(rng)
    return leak_of([(at + 0.5 + rng.uniform(-0.02, 0.02), 60e6 + value) for at, value in enumerate(values)])


@pytest.mark.parametrize("name", INNOCENT)
def test_a_process_that_does_not_leak_is_not_accused(name: str) -> None:
    accused = [seed for seed in range(RUNS) if verdict(INNOCENT[name], seed).verdict == "leak likely"]
    assert accused == []


@pytest.mark.parametrize(
    ("course", "least"),
    [
        (leak(3.5), 0.95),
        (leak(3.5, 0.05), 0.95),
        (leak(5.0, 0.1), 0.95),
        (leak(3.5, 0.01, 10), 0.95),
    ],
    ids=["3.5", "3.5 with noise", "5 with noise", "3.5 after a warm-up of 10 MB"],
)
def test_a_leak_of_some_megabytes_a_minute_is_found_within_a_minute(course: Course, least: float) -> None:
    found = sum(verdict(course, seed).verdict == "leak likely" for seed in range(100))
    assert found >= 100 * least


def small_leak(seconds: int, seed: int) -> Leak:
    """Of half a megabyte a minute, with a little noise."""
    rng = random.Random(seed)
    return leak_of([(float(at), 6e7 + at * 0.5e6 / 60 + rng.gauss(0, 0.02e6)) for at in range(seconds)])


def test_a_small_leak_takes_as_long_as_it_needs_to_add_up() -> None:
    """A healthy process gathers as much in its first minute."""
    within_a_minute = [small_leak(60, seed) for seed in range(50)]
    assert {each.verdict for each in within_a_minute} <= {"too short to say", "flat"}
    assert "in all: too short to say" in within_a_minute[0].text
    assert sum(small_leak(480, seed).verdict == "leak likely" for seed in range(20)) >= 19


def test_a_leak_is_told_with_its_rate_its_error_and_how_well_the_line_fits() -> None:
    rng = random.Random(3)
    found = leak_of([(float(at), 4e7 + at * 1.2 * 2**20 / 60 + rng.gauss(0, 2e4)) for at in range(300)])
    assert found.verdict == "leak likely"
    assert found.text.startswith("grows 1.2 MiB/min ± 0.")
    assert found.text.endswith("): leak likely")
    assert found.slope_bytes_per_min == pytest.approx(1.2 * 2**20, rel=0.1)
    assert found.slope_error_bytes_per_min is not None
    assert 0 < found.slope_error_bytes_per_min < 0.2 * 2**20
    assert found.r_squared is not None
    assert found.r_squared > 0.98


def test_growth_that_slows_down_is_flat_and_says_why() -> None:
    found = leak_of([(float(at), 5e7 + 20e6 * (1 - 0.9**at)) for at in range(60)])
    assert found.verdict == "flat"
    assert found.text.endswith("but slows down, jumps or falls back: flat")
    assert leak_of([(float(at), 5e7) for at in range(60)]) == Leak("flat", "flat", 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [(0, "too short to say"), (20, "too short to say"), (31, "too short to say"), (34, "leak likely")],
)
def test_a_short_run_says_nothing(seconds: int, verdict: str) -> None:
    assert leak_of([(float(at), 1e5 * at) for at in range(seconds)]).verdict == verdict


def test_the_warm_up_of_the_run_and_what_was_asked_for_is_left_out() -> None:
    steep = [(float(at), 1e6 * min(at, 40)) for at in range(100)]
    assert leak_of(steep, warmup_s=0.0, leave_out_s=0.0).verdict == "flat"
    late = [(float(at), 1e7 + max(0, at - 30) * 1e5) for at in range(100)]
    assert leak_of(late, warmup_s=30.0, leave_out_s=0.0).slope_bytes_per_min == pytest.approx(6e6)
    assert leak_of(late, 0.0, 30.0).slope_bytes_per_min == pytest.approx(6e6)


def test_the_last_sample_which_the_end_of_the_run_may_have_spoilt_does_not_count() -> None:
    assert leak_of([(float(at), 1e7 + (at == 59) * 1e9) for at in range(60)]).verdict == "flat"


def test_samples_at_one_time_are_no_danger() -> None:
    assert leak_of([(float(at // 2), 1e5 * at) for at in range(120)]).verdict in ("flat", "leak likely")
