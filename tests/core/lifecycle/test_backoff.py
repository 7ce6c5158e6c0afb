from __future__ import annotations

import random

import pytest
from hypothesis import given, strategies as st

from locust_ext.core.lifecycle import FullJitter, GiveUp, Lost, Pause, Persistent, Reconnection, Refused
from locust_ext.errors import ConfigError
from tests.core.lifecycle.conversation import Half


def reconnection(jitter: FullJitter | None = None, **options: object) -> Reconnection:
    return Persistent(reconnect=jitter or FullJitter(), **options).reconnection(Half())  # type: ignore[arg-type]


def delays(memory: Reconnection, failures: list[Refused | Lost]) -> list[object]:
    """The backoff after each failure in seconds, or the error class given up with."""
    answers = [memory.failed(failure) for failure in failures]
    return [answer.for_s if isinstance(answer, Pause) else answer.error_class for answer in answers]


@given(n=st.integers(0, 2000), seed=st.integers(), base=st.floats(0.01, 5), factor=st.floats(1, 1000))
def test_a_delay_is_between_0_and_the_capped_exponential(n: int, seed: int, base: float, factor: float) -> None:
    jitter = FullJitter(base_s=base, cap_s=base * factor)
    delay_s = jitter.delay_s(n, random.Random(seed))
    assert 0 <= delay_s <= jitter.cap_s
    assert delay_s <= base * 2.0 ** min(n, 64)


def test_delays_fill_the_whole_range_evenly() -> None:
    rng = random.Random(4)
    jitter = FullJitter(base_s=1, cap_s=8)
    tenths = [0] * 10
    for _ in range(10_000):
        tenths[int(jitter.delay_s(3, rng) / 8 * 10)] += 1
    assert min(tenths) > 850
    assert max(tenths) < 1150


def test_the_backoff_doubles_up_to_the_cap() -> None:
    failures = [Refused(float(index), "refused") for index in range(9)]
    assert delays(reconnection(), failures) == [0.25, 0.5, 1, 2, 4, 8, 15, 15, 15]


def test_n_starts_again_only_after_a_stable_period() -> None:
    memory = reconnection(FullJitter(stable_s=10))
    assert delays(memory, [Refused(0, "refused"), Refused(1, "refused")]) == [0.25, 0.5]
    memory.opened(2)
    assert delays(memory, [Lost(11.9, "reset")]) == [1]
    memory.opened(20)
    assert delays(memory, [Lost(30, "reset"), Refused(31, "refused")]) == [0.25, 0.5]


def test_a_connection_closed_in_order_by_the_user_starts_n_again() -> None:
    memory = reconnection()
    delays(memory, [Refused(0, "refused"), Refused(1, "refused")])
    memory.opened(2)
    memory.left()
    assert delays(memory, [Refused(3, "refused")]) == [0.25]


@pytest.mark.parametrize(("asked", "waited"), [(0.0, 0.25), (-5.0, 0.25), (7.0, 7.25), (300.0, 300.25), (9999, 300.25)])
def test_retry_after_is_waited_at_least_up_to_its_cap_with_jitter_on_top(asked: float, waited: float) -> None:
    assert delays(reconnection(), [Refused(0, "http_429", retry_after_s=asked)]) == [waited]


def test_the_cap_on_retry_after_can_be_set() -> None:
    memory = reconnection(FullJitter(retry_after_cap_s=60))
    assert delays(memory, [Refused(0, "http_503", retry_after_s=1e9)]) == [60.25]


@pytest.mark.parametrize(("error_class", "rule"), [("tls", "tls_verification"), ("http_401", None)])
def test_what_asking_again_cannot_change_is_not_retried(error_class: str, rule: str | None) -> None:
    assert reconnection().failed(Refused(0, error_class, rule=rule)) == GiveUp(error_class)
    memory = reconnection(reconnect_after=(error_class,))
    assert delays(memory, [Refused(0, error_class, rule=rule)] * 3) == [0.25, 0.5, 1]


def test_a_tls_handshake_that_broke_off_is_retried_without_limit() -> None:
    memory = reconnection()
    assert delays(memory, [Refused(0, "tls")] * 6 + [Lost(1, "tls")]) == [0.25, 0.5, 1, 2, 4, 8, 15]


def test_a_namespace_that_is_refused_is_retried_three_times_and_other_bad_handshakes_for_ever() -> None:
    memory = reconnection()
    refused = Refused(0, "bad_handshake", rule="namespace_refused")
    assert delays(memory, [refused] * 4) == [0.25, 0.5, 1, "bad_handshake"]
    assert delays(reconnection(), [Refused(0, "bad_handshake")] * 5) == [0.25, 0.5, 1, 2, 4]


def test_403_is_retried_three_times_and_then_given_up() -> None:
    memory = reconnection()
    assert delays(memory, [Refused(float(index), "http_403") for index in range(4)]) == [0.25, 0.5, 1, "http_403"]
    assert memory.gave_up


def test_403s_are_counted_anew_after_a_connection() -> None:
    memory = reconnection()
    delays(memory, [Refused(0, "http_403"), Refused(1, "http_403"), Refused(2, "http_403")])
    memory.opened(3)
    assert delays(memory, [Lost(4, "reset"), Refused(5, "http_403")]) == [2, 4]


@pytest.mark.parametrize("code", [1002, 1003, 1007, 1008, 1009, 1010, 4001, 4002, 4003])
def test_closes_that_blame_the_client_are_not_followed_by_a_connect_unless_asked_for(code: int) -> None:
    word = f"closed_{code}"
    assert reconnection().failed(Lost(0, word)) == GiveUp(word)
    memory = reconnection(reconnect_after=(word,))
    assert delays(memory, [Lost(float(index), word) for index in range(5)]) == [0.25, 0.5, 1, 2, 4]


@pytest.mark.parametrize("word", ["closed_1000", "closed_1001", "closed_1006", "closed_1011", "closed_4000", "reset"])
def test_other_losses_are_followed_by_a_connect_with_jitter(word: str) -> None:
    assert delays(reconnection(), [Lost(0, word)]) == [0.25]


@pytest.mark.parametrize("word", ["closed_1012", "closed_1013"])
def test_after_a_restart_or_overload_the_wait_is_longer(word: str) -> None:
    assert delays(reconnection(), [Lost(0, word)]) == [17.5]


def test_the_limit_of_attempts_counts_refused_connects_in_a_row() -> None:
    memory = reconnection(max_attempts=3)
    assert delays(memory, [Refused(float(index), "refused") for index in range(3)]) == [0.25, 0.5, "refused"]


def test_lost_connections_are_no_attempts() -> None:
    memory = reconnection(max_attempts=2)
    for index in range(5):
        memory.opened(index)
        assert isinstance(memory.failed(Lost(index + 0.5, "reset")), Pause)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"base_s": 0}, "base_s: expected a number above 0 (got 0)"),
        ({"base_s": "1"}, "base_s: expected a number above 0 (got '1')"),
        ({"base_s": 2, "cap_s": 1}, "cap_s: expected a number of at least 2 (got 1)"),
        ({"stable_s": -1}, "stable_s: expected a number of at least 0 (got -1)"),
        ({"retry_after_cap_s": float("inf")}, "retry_after_cap_s: expected a number of at least 0 (got inf)"),
        (
            {"restart_s": (9, 3)},
            "restart_s: expected seconds, or a pair (low, high) with 0 <= low <= high (got (9, 3))",
        ),
    ],
)
def test_wrong_parameters_are_named(options: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        FullJitter(**options)  # type: ignore[arg-type]
    assert str(caught.value) == text
