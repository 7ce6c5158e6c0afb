"""Tables of what each pattern asks for; chance always lands in the middle."""

from __future__ import annotations

import random
from typing import Any

import pytest

from locust_ext.core.lifecycle import (
    Actions,
    Bursty,
    Churn,
    Connect,
    Connected,
    Custom,
    Disconnect,
    Disconnected,
    Failover,
    GiveUp,
    Intermittent,
    Lost,
    Outcome,
    Pause,
    Persistent,
    Refused,
    Rested,
    Send,
    Sent,
    pattern,
)
from locust_ext.errors import ConfigError
from tests.core.lifecycle.conversation import END, Half, converse

BASE_ADDRESS = "expected a base address such as http://127.0.0.1:8000 or wss://example.org"


def backoff(seconds: float) -> Pause:
    return Pause(seconds, backoff=True)


def test_persistent_talks_without_end_and_reconnects_after_a_loss() -> None:
    converse(
        Persistent(),
        [
            (Connect(), Refused(1, "refused")),
            (backoff(0.25), Rested(1.25)),
            (Connect(), Connected(2)),
            (Send(), Sent(3)),
            (Send(), Sent(4, good=False)),
            (Send(), Lost(20, "closed_1001")),
            (backoff(0.25), Rested(20.25)),
            (Connect(), Connected(21)),
            (Send(), Sent(22)),
            (Send(), None),
        ],
    )


def test_persistent_that_only_listens_waits_for_a_loss() -> None:
    converse(
        Persistent(talks=False),
        [
            (Connect(), Connected(1)),
            (Pause(None), Lost(99, "closed_1006")),
            (backoff(0.25), Rested(100)),
            (Connect(), Connected(101)),
            (Pause(None), None),
        ],
    )


def test_persistent_gives_up_at_its_limit_of_attempts() -> None:
    converse(
        Persistent(max_attempts=2),
        [
            (Connect(), Refused(1, "connect_timeout")),
            (backoff(0.25), Rested(2)),
            (Connect(), Refused(3, "connect_timeout")),
            (GiveUp("connect_timeout"), Rested(3)),
            (END, None),
        ],
    )


def test_persistent_gives_up_after_a_close_that_is_not_retried() -> None:
    converse(
        Persistent(),
        [(Connect(), Connected(1)), (Send(), Lost(2, "closed_4001")), (GiveUp("closed_4001"), Rested(2)), (END, None)],
    )


def test_a_connection_closed_by_the_users_own_code_is_opened_again_after_a_backoff() -> None:
    converse(
        Persistent(),
        [(Connect(), Connected(1)), (Send(), Disconnected(2)), (backoff(0.25), Rested(3)), (Connect(), None)],
    )


def test_intermittent_stays_then_is_away_and_comes_back() -> None:
    converse(
        Intermittent(connected_s=(60, 300), away_s=(5, 30), cycles=2),
        [
            (Connect(), Connected(10)),
            (Send(until_s=190), Sent(100)),
            (Send(until_s=190), Rested(190)),
            (Disconnect(), Disconnected(190.1)),
            (Pause(17.5), Rested(207.6)),
            (Connect(), Connected(208)),
            (Send(until_s=388), Sent(390)),
            (Disconnect(), Disconnected(391)),
            (END, None),
        ],
    )


def test_intermittent_reconnects_for_the_rest_of_the_stay() -> None:
    converse(
        Intermittent(connected_s=100, away_s=10),
        [
            (Connect(), Connected(0)),
            (Send(until_s=100), Lost(50, "reset")),
            (backoff(0.25), Rested(50.25)),
            (Connect(), Connected(51)),
            (Send(until_s=100), Rested(100)),
            (Disconnect(), Disconnected(100)),
            (Pause(10), None),
        ],
    )


def test_intermittent_goes_away_if_the_backoff_outlasts_the_stay() -> None:
    converse(
        Intermittent(connected_s=100, away_s=10),
        [
            (Connect(), Connected(0)),
            (Send(until_s=100), Lost(99, "closed_1012")),
            (backoff(17.5), Rested(116.5)),
            (Pause(10), Rested(126.5)),
            (Connect(), None),
        ],
    )


def test_intermittent_that_only_listens_pauses_for_its_stay() -> None:
    converse(
        Intermittent(connected_s=100, away_s=10, talks=False),
        [(Connect(), Connected(5)), (Pause(100), Rested(105)), (Disconnect(), Disconnected(105)), (Pause(10), None)],
    )


def test_intermittent_gives_up_in_the_middle_of_a_stay() -> None:
    converse(
        Intermittent(),
        [
            (Connect(), Connected(0)),
            (Send(until_s=180), Lost(9, "closed_1008")),
            (GiveUp("closed_1008"), Rested(9)),
            (END, None),
        ],
    )


def test_bursty_sends_a_burst_at_its_interval_and_then_is_silent() -> None:
    converse(
        Bursty(messages=3, interval_s=0.1, idle_s=(10, 20), cycles=2),
        [
            (Connect(), Connected(0)),
            (Send(paced=False), Sent(0.1)),
            (Pause(0.1), Rested(0.2)),
            (Send(paced=False), Sent(0.3)),
            (Pause(0.1), Rested(0.4)),
            (Send(paced=False), Sent(0.5)),
            (Pause(15), Rested(15.5)),
            (Send(paced=False), Sent(15.6)),
            (Pause(0.1), Rested(15.7)),
            (Send(paced=False), Sent(15.8)),
            (Pause(0.1), Rested(15.9)),
            (Send(paced=False), Sent(16)),
            (Disconnect(), Disconnected(16)),
            (END, None),
        ],
    )


def test_bursty_goes_on_with_the_rest_after_a_loss() -> None:
    converse(
        Bursty(messages=2, interval_s=0, idle_s=10),
        [
            (Connect(), Connected(0)),
            (Send(paced=False), Lost(1, "reset")),
            (backoff(0.25), Rested(2)),
            (Connect(), Connected(3)),
            (Send(paced=False), Sent(4)),
            (Pause(10), Lost(6, "reset")),
            (backoff(0.5), Rested(7)),
            (Connect(), Connected(8)),
            (Pause(6), Rested(14)),
            (Send(paced=False), None),
        ],
    )


def test_bursty_can_leave_for_the_silence() -> None:
    converse(
        Bursty(messages=1, idle_s=10, stays_connected=False),
        [
            (Connect(), Connected(0)),
            (Send(paced=False), Sent(1)),
            (Disconnect(), Disconnected(1)),
            (Pause(10), Rested(11)),
            (Connect(), None),
        ],
    )


def test_churn_connects_exchanges_and_leaves() -> None:
    converse(
        Churn(exchanges=2, pause_s=1, cycles=2),
        [
            (Connect(), Connected(0)),
            (Send(paced=False), Sent(1)),
            (Send(paced=False), Sent(2)),
            (Disconnect(), Disconnected(2)),
            (Pause(1), Rested(3)),
            (Connect(), Connected(3)),
            (Send(paced=False), Lost(4, "reset")),
            (END, None),
        ],
    )


def test_churn_backs_off_after_a_loss_instead_of_its_own_pause() -> None:
    converse(
        Churn(),
        [
            (Connect(), Connected(0)),
            (Send(paced=False), Lost(4, "reset")),
            (backoff(0.25), Rested(5)),
            (Connect(), Connected(6)),
            (Send(paced=False), Sent(7)),
            (Disconnect(), Disconnected(7)),
            (Pause(0), None),
        ],
    )


def test_failover_goes_to_the_backup_at_the_threshold() -> None:
    converse(
        Failover(backups=("http://b",), threshold=3),
        [
            (Connect(), Connected(0)),
            (Send(), Sent(1)),
            (Send(), Lost(60, "reset")),
            (backoff(0.25), Rested(61)),
            (Connect(), Refused(62, "refused")),
            (backoff(0.5), Rested(63)),
            (Connect(), Refused(64, "refused")),
            (backoff(0.25), Rested(65)),
            (Connect("http://b"), Connected(66)),
            (Send(), Sent(67)),
            (Send(), None),
        ],
    )


def test_failover_to_an_embedded_backup_asks_for_it_by_that_word() -> None:
    converse(
        Failover(backups=("embedded",), threshold=1),
        [
            (Connect(), Refused(1, "refused")),
            (backoff(0.25), Rested(1.25)),
            (Connect("embedded"), Connected(2)),
            (Send(), None),
        ],
    )


def test_failover_goes_round_all_hosts_and_its_backoff_grows_by_host() -> None:
    converse(
        Failover(primary="http://a", backups=("http://b",), threshold=1),
        [
            (Connect("http://a"), Refused(1, "refused")),
            (backoff(0.25), Rested(2)),
            (Connect("http://b"), Refused(3, "refused")),
            (backoff(0.5), Rested(4)),
            (Connect("http://a"), Refused(5, "refused")),
            (backoff(0.5), Rested(6)),
            (Connect("http://b"), Refused(7, "refused")),
            (backoff(1), Rested(8)),
            (Connect("http://a"), None),
        ],
    )


def test_failover_returns_to_the_primary_and_back_if_it_is_still_down() -> None:
    converse(
        Failover(backups=("http://b",), threshold=1, return_after_s=30),
        [
            (Connect(), Refused(0, "refused")),
            (backoff(0.25), Rested(1)),
            (Connect("http://b"), Connected(2)),
            (Send(until_s=32), Sent(3)),
            (Send(until_s=32), Rested(32)),
            (Disconnect(), Disconnected(32)),
            (Connect(), Refused(33, "refused")),
            (backoff(0.25), Rested(34)),
            (Connect("http://b"), Connected(35)),
            (Send(until_s=65), Rested(65)),
            (Disconnect(), Disconnected(65)),
            (Connect(), Connected(66)),
            (Send(), None),
        ],
    )


def test_failover_leaves_a_host_whose_operations_keep_failing() -> None:
    converse(
        Failover(backups=("http://b",), unhealthy_after=2),
        [
            (Connect(), Connected(0)),
            (Send(), Sent(1, good=False)),
            (Send(), Sent(2)),
            (Send(), Sent(3, good=False)),
            (Send(), Sent(4, good=False)),
            (Disconnect(), Disconnected(4)),
            (backoff(0.25), Rested(5)),
            (Connect("http://b"), None),
        ],
    )


def test_failover_leaves_out_a_host_that_is_not_retried_and_gives_up_with_the_last() -> None:
    converse(
        Failover(backups=("http://b",), return_after_s=30),
        [
            (Connect(), Refused(0, "tls", rule="tls_verification")),
            (backoff(0.25), Rested(1)),
            (Connect("http://b"), Connected(2)),
            (Send(), Lost(3, "closed_1008")),
            (GiveUp("closed_1008"), Rested(3)),
            (END, None),
        ],
    )


def three_lines(rng: random.Random, now_s: float) -> Actions:
    outcome: Outcome = yield Connect()
    while isinstance(outcome, Connected):
        outcome = yield Send()
        outcome = yield Connect()


def test_custom_performs_what_the_function_yields_with_a_backoff_where_it_would_storm() -> None:
    converse(
        Custom(three_lines),
        [
            (Connect(), Connected(0)),
            (Send(), Lost(1, "reset")),
            (backoff(0.25), Rested(2)),
            (Connect(), Connected(3)),
            (Send(), Lost(4, "closed_1008")),
            (GiveUp("closed_1008"), Rested(4)),
            (END, None),
        ],
    )


def test_a_custom_function_that_pauses_itself_is_left_alone() -> None:
    def patient(rng: random.Random, now_s: float) -> Actions:
        while True:
            yield Connect()
            yield Pause(1)

    converse(
        Custom(patient),
        [(Connect(), Refused(0, "refused")), (Pause(1), Rested(1)), (Connect(), Refused(2, "tls")), (Pause(1), None)],
    )


def test_closing_a_custom_pattern_closes_its_function() -> None:
    closed = []

    def watched(rng: random.Random, now_s: float) -> Actions:
        try:
            yield Connect()
        finally:
            closed.append(True)

    actions = Custom(watched).actions(Half(), 0.0)
    next(actions)
    actions.close()
    assert closed == [True]


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (7, "function: expected a generator function f(rng, now_s) that yields actions (got 7)"),
        (lambda rng, now_s: 7, "function: expected a generator function: it must yield actions (got 7)"),
        (
            lambda rng, now_s: (word for word in ["connect"]),
            "function: expected an action: Connect, Send, Pause, Disconnect or GiveUp (got 'connect')",
        ),
    ],
)
def test_what_is_no_pattern_function_is_refused(function: Any, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        next(Custom(function).actions(Half(), 0.0))
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: Persistent(max_attempts=0),
            "max_attempts: expected a whole number of at least 1, or None for no limit (got 0)",
        ),
        (lambda: Persistent(reconnect=3), "reconnect: expected a FullJitter (got 3)"),
        (
            lambda: Persistent(reconnect_after=("closed_x",)),
            "reconnect_after: expected a tuple of error classes, such as ('closed_1008',) (got ('closed_x',))",
        ),
        (
            lambda: Intermittent(connected_s=(5, 1)),
            "connected_s: expected seconds, or a pair (low, high) with 0 <= low <= high (got (5, 1))",
        ),
        (lambda: Intermittent(cycles=0), "cycles: expected a whole number of at least 1, or None for no limit (got 0)"),
        (
            lambda: Bursty(messages=0),
            "messages: expected a whole number, or a pair (low, high) with 1 <= low <= high (got 0)",
        ),
        (
            lambda: Failover(),
            "backups: expected a tuple of one or more base addresses, such as ('http://backup:8000',) (got ())",
        ),
        (
            lambda: Failover(backups=("ws://b",), threshold=0),
            "threshold: expected a whole number of at least 1 (got 0)",
        ),
        (
            lambda: Failover(backups=("https://[::1]:9/base",), return_after_s=0),
            "return_after_s: expected a number above 0 (got 0.0)",
        ),
        (
            lambda: Failover(primary="embedded", backups=("embedded",)),
            f"primary: {BASE_ADDRESS}, or None for the user's own (got 'embedded')",
        ),
        (lambda: Failover(backups=["not a url"]), f"backups[0]: {BASE_ADDRESS} (got 'not a url')"),
        (lambda: Failover(backups=("http://b", "b:8000")), f"backups[1]: {BASE_ADDRESS} (got 'b:8000')"),
        (lambda: Failover(backups=("ftp://b",)), f"backups[0]: {BASE_ADDRESS} (got 'ftp://b')"),
        (lambda: Failover(backups=("http://",)), f"backups[0]: {BASE_ADDRESS} (got 'http://')"),
        (lambda: Failover(backups=("http://b:99999",)), f"backups[0]: {BASE_ADDRESS} (got 'http://b:99999')"),
        (lambda: Failover(backups=("http://[b",)), f"backups[0]: {BASE_ADDRESS} (got 'http://[b')"),
        (lambda: Failover(backups=("ann:pw@b",)), f"backups[0]: {BASE_ADDRESS}"),
        (lambda: Failover(backups=(5,)), f"backups[0]: {BASE_ADDRESS} (got 5)"),  # type: ignore[arg-type]
        (
            lambda: Failover(primary="x", backups=("http://b",)),
            f"primary: {BASE_ADDRESS}, or None for the user's own (got 'x')",
        ),
    ],
)
def test_wrong_parameters_are_named_at_construction(make: Any, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make()
    assert str(caught.value) == text


def test_a_pattern_may_be_given_by_name_by_mapping_by_class_or_as_a_function() -> None:
    assert pattern("churn") == Churn()
    assert pattern(Intermittent) == Intermittent()
    mapping = {"pattern": "intermittent", "away_s": [1, 2], "reconnect": {"base_s": 1}}
    assert pattern(mapping).away_s == (1, 2)  # type: ignore[attr-defined]
    assert pattern(mapping).reconnect.base_s == 1  # type: ignore[attr-defined]
    assert pattern(three_lines) == Custom(three_lines)
    kept = Persistent()
    assert pattern(kept) is kept


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            "presistent",
            "pattern: unknown name, expected one of persistent, intermittent, bursty, failover, churn, custom"
            " (got 'presistent'); did you mean 'persistent'?",
        ),
        (
            {"pattern": "churn", "pause": 1},
            "pause: unknown name, expected one of reconnect, max_attempts, reconnect_after, exchanges, pause_s, cycles"
            " (got 'pause'); did you mean 'pause_s'?",
        ),
        ("custom", "Custom needs its parameter 'function'"),
        (
            7,
            "pattern: expected a lifecycle pattern, the name of one, a mapping with the key 'pattern',"
            " or a generator function (got 7)",
        ),
    ],
)
def test_what_is_no_pattern_is_refused_with_the_nearest_name(value: Any, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pattern(value)
    assert str(caught.value) == text


# ── a pattern of one's own, as the README has it ───────────────────────────────────────────────────────────────────────


def regulars(rng: random.Random, now_s: float) -> Actions:
    while True:
        if isinstance((yield Connect()), Connected):
            yield Send()
            yield Disconnect()
            yield Pause(rng.uniform(5, 30))


def test_a_few_lines_are_a_pattern() -> None:
    converse(
        pattern(regulars),
        [
            (Connect(), Connected(0)),
            (Send(), Sent(1)),
            (Disconnect(), Disconnected(1)),
            (Pause(17.5), Rested(18.5)),
            (Connect(), Refused(19, "refused")),
            (Pause(0.25, backoff=True), Rested(19.25)),  # put between by `Custom`
            (Connect(), Connected(20)),
            (Send(), Lost(21, "reset")),
            (Disconnect(), Disconnected(21)),
            (Pause(17.5), Rested(38.5)),
            (Connect(), None),
        ],
    )
