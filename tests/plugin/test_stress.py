"""The search for the limit in a run: the shape `Stress` and its `Searching`, second by second on a clock of the test's own."""

from __future__ import annotations

from locust import FastHttpUser
from locust.env import Environment
from locust.event import Events

import logging
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

import pytest

from locust_ext.core.alerts.rules import Rule
from locust_ext.core.alerts.units import parse_limit
from locust_ext.errors import ConfigError
from locust_ext.model import Snapshot
from locust_ext.model.search import BAD, FOUND, GENERATOR_LIMIT, GOOD, INTERRUPTED, SEARCHING
from locust_ext.plugin import shapes
from locust_ext.plugin.searching import longest_request_s
from locust_ext.plugin.shape_choice import choose_shape
from locust_ext.plugin.shapes import SHAPES, Shape
from locust_ext.plugin.users.websocket import WebSocketUser
from locust_ext.settings import Settings
from tests.plugin.played_search import Idle, Play, lag, rule, steps

OTHERS = ", or error ratio > 5 %, or connect failures > 5 %"


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO, "locust_ext"):
        yield


# ── the run ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_finds_the_limit_and_ends_the_run(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    play = Play(monkeypatch)
    found = play.run()
    assert found.outcome == FOUND
    assert found.sustained is not None
    assert found.breaks_at is not None
    assert (found.sustained.users, found.sustained.kind, found.breaks_at.users) == (20, "confirm", 21)
    assert steps(found)[:4] == [(4, GOOD), (8, GOOD), (16, GOOD), (32, BAD)]
    assert found.sustained.p95_us == pytest.approx(200_000, rel=0.01)
    assert found.sustained.per_s == 40
    assert max(play.users) == 32
    said = [record.message for record in caplog.records]
    assert said[0] == f"The search for the limit, 4 to 100 users in steps of 2 s, × 2 each: until p95 > 205 ms{OTHERS}"
    assert said[1] == "step 1: 4 users good: p95 40 ms, 8.0 messages/s"
    assert "step 4: 32 users break: p95 320 ms > 205 ms; 64.0 messages/s" in said
    assert said[-1].startswith("The search for the limit is over: sustains 20 users (40.0 messages/s, p95 200 ms); ")


def test_a_second_run_searches_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(monkeypatch)
    for _ in range(12):
        assert play.second()
    play.stop()
    assert (play.result.outcome, steps(play.result)[0]) == (INTERRUPTED, (4, GOOD))
    assert play.shape.planned_users is None
    play.ms_per_user = 20.0
    found = play.run()
    assert play.users[0] == 4
    assert found.outcome == FOUND
    assert found.sustained is not None
    assert found.sustained.users == 10


def test_run_time_ends_it_with_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(monkeypatch)
    play.environment.parsed_options.run_time = 10
    found = play.run()
    assert len(play.users) == 10
    assert found.outcome == INTERRUPTED
    assert found.sustained is not None
    assert found.steps[-1].outcome == "cut_short"


def test_users_come_and_go_at_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(monkeypatch, rate=4, increment=8, initial=8)
    play.run(30)
    rises = [after - before for before, after in zip(play.users, play.users[1:], strict=False)]
    assert play.users[0] < 8, "not all at once"
    assert max(rises) <= 6, "of several changes in a second half a second early is as good as late"
    assert {8, 16, 24} <= set(play.users)


def test_requests_are_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(monkeypatch)
    play.type = "GET"
    assert play.run().unit == "requests"
    play.type = "SEND"
    assert play.run(6).unit == "messages"


# ── rules ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_rule_that_is_a_criterion_neither_stops_nor_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = rule("slow", "latency_p95", "> 155ms", window_s=2, on_critical=("stop", "fail"))
    kept = rule("kept", "error_ratio", "> 1 %", window_s=2)
    wanted = Rule("wanted", "search.sustained_users", low_critical=parse_limit("< 16", "", default="<"))
    play = Play(monkeypatch, slow, kept, wanted, p95_ms=None)
    found = play.run()
    assert found.criteria[2:] == ("rule slow: response time p95 > 155 ms", "rule kept: error ratio > 1 %")
    assert found.sustained is not None
    assert found.sustained.users == 15
    told = play.alerting.told(Snapshot())
    assert [alert.rule for alert in told.alerts][:1] == ["slow"], "it is told while the run goes on"
    assert [(check.name, check.outcome, check.text) for check in told.rules] == [
        ("slow", "passed", "criterion of the search: broke at 16 users"),
        ("kept", "passed", "criterion of the search: held wherever the search has looked"),
        ("wanted", "failed", "sustained users 15 over the run; critical < 16 is broken over the whole run"),
    ]


def test_a_rule_that_is_no_criterion_is_a_rule_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = rule("slow", "latency_p95", "> 155ms", window_s=2)
    play = Play(monkeypatch, slow, rules=False)
    found = play.run()
    assert found.sustained is not None
    assert found.sustained.users == 20
    assert play.searching.rule_names == frozenset()
    assert [check.outcome for check in play.alerting.told(Snapshot()).rules] == ["failed"]


def test_a_limit_that_is_changed_in_the_run_is_the_searchs_too(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(monkeypatch, rule("slow", "latency_p95", "> 155ms", window_s=2), p95_ms=None)
    play.run(5)
    play.alerting.set_threshold("slow", "critical", "> 95ms")
    found = play.run()
    assert found.sustained is not None
    assert found.sustained.users == 9
    assert found.criteria == ("error ratio > 5 %", "connect failures > 5 %", "rule slow: response time p95 > 95 ms")


# ── the generator ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_generator_that_is_its_own_limit_ends_the_search_below(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(monkeypatch)
    for _ in range(300):
        play.lag_us = 400_000 if play.runner.user_count >= 16 else 1000
        if not play.second():
            play.stop()
            break
    found = play.result
    assert found.outcome == GENERATOR_LIMIT
    assert steps(found) == [(4, GOOD), (8, GOOD), (16, GENERATOR_LIMIT), (16, GENERATOR_LIMIT), (8, GOOD)]
    snapshot = play.recorder.snapshot(play.now_s)
    assert snapshot.generators[0].bottleneck, "it was one"
    assert snapshot.run.valid, "but in a step that the search has discarded"
    play.recorder.validate_only(None)
    assert not play.recorder.snapshot(play.now_s).run.valid


def test_a_noisy_moment_of_the_generator_costs_a_step_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(monkeypatch)
    for _ in range(300):
        play.lag_us = 400_000 if 2 <= play.users.count(16) <= 5 else 1000
        if not play.second():
            play.stop()
            break
    assert (play.result.outcome, steps(play.result)[2:5]) == (FOUND, [(16, GENERATOR_LIMIT), (16, GOOD), (32, BAD)])
    assert play.result.sustained is not None
    assert play.result.sustained.users == 20
    assert play.recorder.snapshot(play.now_s).run.valid


def test_errors_of_the_target_are_its_limit_and_the_run_is_valid_though_the_generator_was_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    play = Play(monkeypatch, p95_ms=5000, precision=8)
    for _ in range(300):
        is_much = play.runner.user_count > 8
        play.lag_us, play.error = (400_000, "http_503") if is_much else (1000, "")
        if not play.second():
            play.stop()
            break
    found = play.result
    assert (found.outcome, steps(found)[:3]) == (FOUND, [(4, GOOD), (8, GOOD), (16, BAD)])
    assert found.breaks_at is not None
    assert (found.breaks_at.because, found.breaks_at.value) == ("error ratio > 5 %", "100 %")
    snapshot = play.recorder.snapshot(play.now_s)
    assert snapshot.generators[0].bottleneck
    assert snapshot.run.valid


# ── connections ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("state", ["waiting", "failed"])
def test_users_whose_connections_are_refused_break_it(monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    """The target has room for twenty."""
    play = Play(monkeypatch, p95_ms=5000)
    play.room, play.refused_state = 20, state
    found = play.run()
    assert found.outcome == FOUND
    assert found.sustained is not None
    assert found.breaks_at is not None
    assert (found.sustained.users, found.breaks_at.users) == (20, 21)
    assert (found.breaks_at.because, found.breaks_at.notes) == (
        "connect failures > 5 %",
        ("1 connection was not open",),
    )
    first_bad = next(step for step in found.steps if step.outcome == BAD)
    assert (first_bad.users, first_bad.connects - first_bad.connect_failures) == (32, 4)
    assert (first_bad.length_s, first_bad.notes) == (0.0, ("12 connections were not open",)), "it need not be measured"
    assert found.recovery is not None
    assert found.recovery.recovered_s is not None
    assert (0 in play.users) == (state == "failed"), "those that gave up go, with all others"


def test_how_long_a_request_may_take_is_known_where_all_classes_say_it() -> None:
    class Http(FastHttpUser):
        abstract, network_timeout = True, 7.0

    class RealTime(WebSocketUser):
        abstract, request_timeout_s = True, 3.0

    assert longest_request_s([Http, RealTime]) == 7.0
    assert longest_request_s([RealTime]) == 3.0
    assert longest_request_s([Http, Idle]) is None
    assert longest_request_s([]) is None


def test_an_answer_that_a_bottlenecked_generator_has_measured_is_not_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(monkeypatch)
    found = play.run()
    assert found.sustained is not None
    assert play.recorder.snapshot(play.now_s).run.valid
    for second in range(5):  # what a worker reports late
        play.recorder.generator_period(found.sustained.start_s - 1 + second, 1.0, 10_000, lag(400_000))
    play.recorder.merge(play.recorder.drain(play.now_s))
    (reason,) = play.recorder.snapshot(play.now_s).run.invalid_because
    assert reason.startswith("the generator was the bottleneck")


# ── before the run, and without a search ───────────────────────────────────────────────────────────────────────────────


def test_a_run_without_a_search_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(monkeypatch, shape=type("Load", (shapes.Steady,), {"users": 3, "time_s": 5})())
    for _ in range(9):
        play.second()
    play.searching.end()
    assert play.searching.result() is None
    assert play.recorder.stretch().snapshot is None


def test_without_the_extension_it_says_so_and_ends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    play = Play(monkeypatch)
    play.environment.events.test_start = type(play.environment.events.test_start)()  # nobody listens
    play.recorder.begin("r", play.now_s)
    assert play.second()
    assert not play.second()
    assert "the shape Limit needs locust_ext.install() in the locustfile" in caplog.text
    assert play.environment.process_exit_code == 1


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({}, "Limit.max_users: this parameter is required"),
        ({"max_users": 5}, "Limit.initial: expected no more users than max_users (5) (got 10)"),
        ({"max_users": 50, "facter": 2}, "Limit.facter: unknown parameter, expected one of max_users, initial,"),
    ],
)
def test_a_wrong_parameter_is_named_before_the_run(parameters: dict[str, Any], said: str) -> None:
    environment = Environment(
        user_classes=[Idle], shape_class=type("Limit", (shapes.Stress,), parameters)(), events=Events()
    )
    with pytest.raises(ConfigError) as caught:
        choose_shape(environment, Namespace(), Settings(), "my.yaml")
    assert str(caught.value).startswith(said)


def test_the_settings_give_the_environment_a_search_and_statistics_that_are_reset_are_refused() -> None:
    settings = Settings.model_validate({"shape": {"stress": {"max_users": 60, "p95_ms": 50, "factor": 1.5}}})
    for reset_stats in (False, True):
        environment = Environment(user_classes=[Idle], events=Events(), reset_stats=reset_stats)
        environment.create_local_runner()
        if reset_stats:
            with pytest.raises(ConfigError, match="expected no Stress shape beside it"):
                choose_shape(environment, Namespace(), settings, "my.yaml")
            continue
        choose_shape(environment, Namespace(), settings, "my.yaml")
        shape = environment.shape_class
        assert isinstance(shape, shapes.Stress)
        assert (shape.make_schedule().max_users, shape.make_schedule().p95_ms, shape.peak_users) == (60, 50, 60)
        assert isinstance(shape, Shape)
        assert SHAPES["stress"] is shapes.Stress
        assert shape.text == "search for the limit, 10 to 60 users in steps of 10 s, × 1.5 each"


def test_the_phase_is_told_while_it_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(monkeypatch)
    play.run(4)
    assert play.result.outcome == SEARCHING
    assert play.result.phase.startswith("up: 4 users, ")
