"""`core.portions`: all of a pile is handed out, never more, and in portions that shrink."""

from __future__ import annotations

from hypothesis import given, strategies as st

from locust_ext.core.portions import LEAST, portion


def test_a_worker_that_has_just_begun_gets_some_and_more_the_more_it_has_done() -> None:
    assert portion(1_000_000, 0, 0, 0, 4) == LEAST
    assert portion(1_000_000, 0, 0, 40_000, 4) == 10_000


def test_a_worker_with_enough_in_hand_gets_nothing() -> None:
    assert portion(1_000_000, LEAST // 2 + 1, 0, 0, 4) == 0
    assert portion(1_000_000, LEAST // 2, 0, 0, 4) == LEAST // 2


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
