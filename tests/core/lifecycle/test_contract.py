"""What holds for every entry of PATTERNS, whatever the server does."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from locust_ext.core.lifecycle import (
    PATTERNS,
    Actions,
    Connect,
    ConnectionState,
    GiveUp,
    LifecyclePattern,
    Lost,
    Pause,
    Refused,
    may_follow,
    state_after,
    state_in,
)
from tests.core.lifecycle.conversation import World


def reckless(rng: random.Random, now_s: float) -> Actions:
    while True:
        yield Connect()
        yield Pause(0)


EXAMPLES: dict[str, dict[str, Any]] = {
    "persistent": {},
    "intermittent": {"connected_s": (1, 20), "away_s": (0, 5)},
    "bursty": {"idle_s": (0, 3)},
    "failover": {"backups": ("http://b", "http://c"), "return_after_s": (5, 10)},
    "churn": {},
    "custom": {"function": reckless},
}

every_pattern = pytest.mark.parametrize("name", list(PATTERNS))


def example(name: str) -> LifecyclePattern:
    pattern: LifecyclePattern = PATTERNS[name](**EXAMPLES[name])
    assert isinstance(pattern, LifecyclePattern)
    return pattern


def world(seed: int, refuses: float, loses: float, name: str) -> World:
    made = World(random.Random(seed), refuses=refuses, loses=loses)
    if name == "custom":  # ``reckless`` does not look at its outcomes, so nothing may stay open
        made.refuses = 1.0
    return made


@every_pattern
@given(seed=st.integers(), refuses=st.floats(0, 1), loses=st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_between_a_failure_and_the_next_connect_there_is_a_backoff(
    name: str, seed: int, refuses: float, loses: float
) -> None:
    played = world(seed, refuses, loses, name)
    played.run(example(name), 300)
    has_failed = False
    for _, action, outcome in played.log:
        if isinstance(action, Connect):
            assert not has_failed, "a connect right after a failure"
        if isinstance(action, Pause) and action.backoff:
            has_failed = False
        if isinstance(outcome, (Refused, Lost)):
            has_failed = True


@every_pattern
@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_a_server_that_refuses_everything_sees_few_connects(name: str, seed: int) -> None:
    played = world(seed, 1.0, 0.0, name)
    played.run(example(name), 400)
    connects = [at for at, action, _ in played.log if isinstance(action, Connect)]
    pauses = sum(action.for_s or 0 for _, action, _ in played.log if isinstance(action, Pause))
    assert len(connects) > 50
    # Full jitter's mean wait is 15 s once it has reached its cap; a good half of that is certain enough over 100 waits.
    assert pauses >= 8 * (len(connects) - 30)


@every_pattern
@given(seed=st.integers(), refuses=st.floats(0, 1), loses=st.floats(0, 1), steps=st.integers(0, 60))
@settings(max_examples=40, deadline=None)
def test_its_generator_closes_cleanly_at_any_point(
    name: str, seed: int, refuses: float, loses: float, steps: int
) -> None:
    world(seed, refuses, loses, name).run(example(name), steps)  # run() closes it


@every_pattern
def test_nothing_follows_giving_up(name: str) -> None:
    played = World(random.Random(1), refuses=1.0, error_class="http_401")
    played.run(example(name), 100)
    assert isinstance(played.log[-1][1], GiveUp)
    assert [isinstance(action, GiveUp) for _, action, _ in played.log].count(True) == 1


@every_pattern
@given(seed=st.integers(), refuses=st.floats(0, 1), loses=st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_its_connection_goes_only_through_transitions_of_the_table(
    name: str, seed: int, refuses: float, loses: float
) -> None:
    played = world(seed, refuses, loses, name)
    played.run(example(name), 200)
    state = ConnectionState.IDLE
    for _, action, outcome in played.log:
        for following in (state_in(action, state), None):
            following = following or state_after(outcome, state)
            assert may_follow(state, following), f"{state} -> {following} by {action}, {outcome}"
            state = following


@every_pattern
def test_the_same_seed_asks_for_the_same(name: str) -> None:
    logs = []
    for _ in range(2):
        played = world(7, 0.3, 0.05, name)
        played.run(example(name), 300)
        logs.append(played.log)
    assert logs[0] == logs[1]
    assert len(logs[0]) > 10


def test_one_pattern_serves_many_users_at_once() -> None:
    pattern = example("intermittent")
    alone = World(random.Random(3), refuses=0.2, loses=0.02)
    alone.run(pattern, 100)
    first, second = World(random.Random(3), refuses=0.2, loses=0.02), World(random.Random(4), refuses=0.5)
    conversations = [(one, pattern.actions(one.rng, 0.0)) for one in (first, second)]
    wanted = [next(actions) for _, actions in conversations]
    for _ in range(100):
        for index, (one, actions) in enumerate(conversations):
            wanted[index] = actions.send(one.perform(wanted[index]))
    assert first.log == alone.log
