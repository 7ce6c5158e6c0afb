"""`core.portions`: all of a pile is handed out, never more, in portions that shrink; what nobody uses is taken back."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Final

from hypothesis import given, settings, strategies as st

from locust_ext.core.portions import LEAST, LOOK_S, Pile, portion


def test_a_worker_that_has_just_begun_gets_some_and_more_the_more_it_has_done() -> None:
    assert portion(1_000_000, 0, 1, 0, 4) == LEAST
    assert portion(1_000_000, 0, 0, 40_000, 4) == 10_000


def test_a_worker_with_enough_in_hand_gets_nothing() -> None:
    assert portion(1_000_000, LEAST // 2 + 1, 0, 0, 4) == 0
    assert portion(1_000_000, LEAST // 2, 0, 1, 4) == LEAST // 2


def test_a_worker_that_has_begun_nothing_since_its_last_word_and_wants_nothing_gets_nothing() -> None:
    pile = Pile(1000)
    assert pile.told("a", 0, 0, 0, now_s=0.0) is None
    assert pile.told("a", 5, 0, 0, now_s=0.1) == 105
    assert pile.told("a", 80, 0, 0, now_s=0.2) == 180
    assert pile.told("a", 80, 0, 0, now_s=0.3) is None


def test_towards_the_end_portions_shrink_and_users_who_wait_get_their_fair_part() -> None:
    assert portion(40, 0, 0, 10_000, 2) == 10
    assert portion(40, 0, 15, 10_000, 2) == 15
    assert portion(40, 0, 50, 10_000, 2) == 20
    assert portion(1, 0, 3, 10_000, 4) == 1
    assert portion(0, 0, 3, 10_000, 4) == 0


@given(st.integers(0, 5000), st.lists(st.integers(1, 50), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_any_order_of_asking_hands_out_all_of_it_and_never_more(total: int, users: list[int], rng: object) -> None:
    """Workers use up what they have, some of it or all, and ask again."""
    granted, begun = [0] * len(users), [0] * len(users)
    for _ in range(100_000):
        if sum(begun) == total:
            break
        worker = rng.randrange(len(users))  # type: ignore[attr-defined]
        in_hand = granted[worker] - begun[worker]
        begun[worker] += rng.randint(0, in_hand)  # type: ignore[attr-defined]
        in_hand = granted[worker] - begun[worker]
        wanting = users[worker] if not in_hand else 0
        granted[worker] += portion(total - sum(granted), in_hand, wanting, begun[worker], len(users))
        assert sum(granted) <= total
    assert sum(begun) == total


def test_what_a_worker_without_users_has_is_taken_back_for_those_who_wait() -> None:
    pile = Pile(120)
    granted = pile.told("a", 0, 20, 0, now_s=0.0)
    assert granted == 60
    assert pile.told("b", 0, 1, 0, now_s=0.0) == 15
    assert pile.told("a", 7, 0, 0, now_s=0.1) is None  # its users have gone
    begun = 0
    while (more := pile.told("b", begun, 1, 0, now_s=0.2)) is not None and more > begun:
        begun = more
    assert (begun, pile.remaining) == (60, 0)
    assert pile.hoarders(LOOK_S - 0.01) == []
    pile.hoarders(LOOK_S)  # in this second a has begun 7
    assert pile.hoarders(2 * LOOK_S) == [("a", 1)]
    assert pile.told("a", 7, 3, 0, now_s=2.1) is None, "it has not answered yet: nothing for it meanwhile"
    assert pile.hoarders(3 * LOOK_S) == [("a", 1)], "a request may be lost: it is made again"
    assert pile.told("a", 9, 0, 1, now_s=3.1) is None  # two began before it read the request
    assert pile.remaining == 120 - 60 - 9
    assert pile.told("b", 60, 1, 0, now_s=3.2) == 60 + 12


def test_nobody_is_asked_to_give_back_while_something_remains_or_nobody_waits() -> None:
    pile = Pile(1000)
    pile.told("a", 0, 1, 0, now_s=0.0)
    pile.told("b", 0, 1, 0, now_s=0.0)
    assert pile.remaining > 0
    assert pile.hoarders(5.0) == []
    alone = Pile(10)
    alone.told("a", 0, 10, 0, now_s=0.0)
    assert (alone.remaining, alone.hoarders(5.0)) == (0, [])


def test_what_a_lost_worker_had_left_goes_back() -> None:
    pile = Pile(100)
    assert pile.told("a", 0, 80, 0, now_s=0.0) == 80
    pile.told("a", 30, 0, 0, now_s=0.1)
    pile.lost("a")
    pile.lost("nobody")
    assert (pile.begun, pile.remaining) == (30, 70)


@dataclass
class Worker:
    """A worker as it is: users who come and go, each taking an operation now and then; messages that travel in any order."""

    name: str
    users: int = 0
    granted: int = 0
    begun: int = 0
    answered: int = 0
    inbox: list[tuple[float, str, int, int]] = field(default_factory=list)

    def read(self, now_s: float) -> None:
        for message in [each for each in self.inbox if each[0] <= now_s]:
            self.inbox.remove(message)
            _, kind, number, answered = message
            if kind == "grant" and answered == self.answered:
                self.granted = number
            elif kind == "return" and number > self.answered:
                self.granted, self.answered = min(self.granted, self.begun), number

    def word(self) -> tuple[int, int, int]:
        return self.begun, self.users if self.begun >= self.granted else 0, self.answered


STEP_S: Final = 0.1


@settings(max_examples=150, deadline=None)
@given(
    total=st.integers(1, 600),
    workers=st.integers(1, 4),
    slowest_s=st.floats(0.0, 1.5),
    restless=st.floats(0.0, 0.3),
    seed=st.integers(0, 2**32),
)
def test_users_who_come_and_go_and_messages_out_of_order_never_make_one_operation_too_many_and_in_the_end_all_are_done(
    total: int, workers: int, slowest_s: float, restless: float, seed: int
) -> None:
    """And so it does where many messages are late by more than a look, and some of a request are lost."""
    rng = random.Random(seed)
    pile = Pile(total)
    simulated = [Worker(str(number), users=rng.randint(0, 5)) for number in range(workers)]
    words: list[tuple[float, str, tuple[int, int, int]]] = []

    def later(now_s: float) -> float:
        return now_s + rng.uniform(0.0, slowest_s)

    for step in range(20_000):
        now_s = step * STEP_S
        if sum(each.begun for each in simulated) == total:
            break
        for each in simulated:
            if rng.random() < restless and step < 1000:
                each.users = rng.choice((0, 0, 1, 5))  # a ramp down, a burst
            elif step >= 1000:
                each.users = int(each is simulated[0])  # from now on there is one, in one worker
            each.read(now_s)
            each.begun += min(rng.randint(0, each.users), max(0, each.granted - each.begun))
            words.append((later(now_s), each.name, each.word()))
            assert sum(one.begun for one in simulated) <= total
        for word in [each for each in words if each[0] <= now_s]:
            words.remove(word)
            worker = simulated[int(word[1])]
            granted = pile.told(worker.name, *word[2], now_s=now_s)
            if granted is not None:
                worker.inbox.append((later(now_s), "grant", granted, word[2][2]))
        for name, request in pile.hoarders(now_s):
            if rng.random() < 0.8:
                simulated[int(name)].inbox.append((later(now_s), "return", request, 0))
    assert sum(each.begun for each in simulated) == total
    assert pile.begun <= total
