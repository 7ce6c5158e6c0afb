"""`plugin.rate`: what ``--ext-rate`` says, who can share a rate, and how a master shares it out."""

from __future__ import annotations

from locust import User, task
from locust.env import Environment

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from types import SimpleNamespace
from typing import Any

import gevent
import pytest

from locust_ext.core.lifecycle import Bursty
from locust_ext.core.messages import ContextOps, Message
from locust_ext.core.pacing import OpenLoop
from locust_ext.errors import ConfigError
from locust_ext.plugin.intake import drop_intake, intake_of
from locust_ext.plugin.rate import PACE, SILENT_S, MasterPace, Pace
from locust_ext.plugin.users.agent import AgentUser
from locust_ext.plugin.users.context import ContextServerUser
from locust_ext.plugin.users.websocket import WebSocketUser
from locust_ext.plugin.wanted_rate import WantedRate, are_all_open, check_rated, wanted_rate
from locust_ext.settings.rate import RateSettings, RateStageSettings
from tests.e2e.runs import Server
from tests.peers import eventually
from tests.plugin.inside import QUICK, idles, user_class
from tests.runtime.locusting import running

PING = {"ping": 1}


# ── what is asked for ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_flag_stands_before_the_file_which_may_still_ask_for_poisson_gaps() -> None:
    settings = RateSettings(per_s=10, poisson=True)
    assert wanted_rate(Namespace(ext_rate="2000"), settings) == WantedRate(constant=2000.0, is_poisson=True)
    assert wanted_rate(Namespace(ext_rate=None), settings) == WantedRate(constant=10.0, is_poisson=True)
    assert wanted_rate(Namespace(), None) is None


@pytest.mark.parametrize("wrong", ["0", "-5", "fast", "nan", "inf", "1e9"])
def test_a_wrong_rate_is_named(wrong: str) -> None:
    with pytest.raises(ConfigError, match=r"--ext-rate: expected messages a second, more than 0"):
        wanted_rate(Namespace(ext_rate=wrong), None)


def test_a_rate_may_follow_stages_or_the_users_that_there_are() -> None:
    stages = [RateStageSettings(for_s=10, rate=0, to=100), RateStageSettings(for_s=10, rate=20)]
    staged = wanted_rate(Namespace(), RateSettings(stages=stages))
    assert staged is not None
    assert [round(staged.at(at, 7), 3) for at in (0.0, 5.0, 15.0, 99.0)] == [0.5, 50.5, 20.0, 20.0]
    per_user = wanted_rate(Namespace(), RateSettings(per_user=1.5))
    assert per_user is not None
    assert [per_user.at(0.0, users) for users in (0, 4)] == [0.0, 6.0]


def speaker(**attributes: Any) -> type[Any]:
    return user_class(AgentUser, generator=PING, **attributes)


@pytest.mark.parametrize(
    ("cls", "why"),
    [
        (user_class(WebSocketUser, idles), "it is driven by its tasks, and wait_time says how often"),
        (speaker(pattern=Bursty()), "bursts keep an interval of their own"),
        (type("Foreign", (User,), {"abstract": False, "go": task(idles)}), "it is none of locust_ext's"),
    ],
)
def test_who_cannot_share_a_rate_is_named_with_the_reason(cls: type[Any], why: str) -> None:
    with pytest.raises(ConfigError) as raised:
        check_rated([speaker(), cls])
    assert str(raised.value) == (
        f"--ext-rate: expected user classes that are driven by a generator: {why} (got {cls.__name__!r})"
    )


def test_users_who_only_listen_may_be_beside_those_who_speak_but_not_alone() -> None:
    listener = user_class(AgentUser)
    check_rated([speaker(), listener])
    with pytest.raises(ConfigError, match="expected a user class with a generator"):
        check_rated([listener])


# ── in one process ─────────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def paced(cls: type[Any], server: Server, wanted: WantedRate | None, count: int) -> Iterator[tuple[Any, Pace]]:
    """Users under a rate, as the extension sets it up."""
    environments: list[Environment] = []

    class Told(cls):  # type: ignore[misc]
        abstract = False

        def __init__(self, environment: Environment) -> None:
            if not environments:
                environments.append(environment)
                pace.environment = environment
                pace._intake = intake_of(environment)
                pace.recorder = pace._intake.recorder
                pace.recorder.begin("run", monotonic())
                pace.begin(wanted, "run")
            super().__init__(environment)

    made = Environment(user_classes=[])
    pace = Pace(made, intake_of(made))
    drop_intake(made)
    try:
        with running(Told, server.url, count=count) as run:
            yield run, pace
            pace.end()
            run.stop()
    finally:
        pace.end()


@pytest.mark.alone
def test_users_who_come_and_go_keep_the_rate_among_them(server: Server) -> None:
    """Two of six connections are lost in the middle, and come back: 200/s all the while."""
    with paced(speaker(pattern=QUICK), server, WantedRate(constant=200.0), 6) as (run, pace):
        eventually(lambda: len(run.of_type("WS")) > 20)
        begun, at_s = len(run.of_type("WS")), monotonic()
        gevent.sleep(0.7)
        for user in run.users[:2]:
            user.ws.connection.abort()
        gevent.sleep(0.8)
        rate = (len(run.of_type("WS")) - begun) / (monotonic() - at_s)
        assert rate == pytest.approx(200, rel=0.04)
        assert pace.rate_now == 200.0
        assert pace.recorder.snapshot(monotonic()).run.target_rate_per_s == 200.0
    assert len(run.of_type("DROP")) == 2


def test_requests_over_http_have_both_latencies_too(server: Server) -> None:
    """One user at 100/s, a server that takes 50 ms: from when it was due, a request takes longer and longer."""
    server.misbehave(latency_ms=50)
    cls = user_class(ContextServerUser, generator=ContextOps(reads=1.0))
    with paced(cls, server, WantedRate(constant=100.0), 1) as (run, _):
        eventually(lambda: len(run.of_type("GET")) >= 20)
    found = run.ledger("GET", "/ctx")
    assert found.service is not None
    assert (found.service.min_us or 0) >= 50_000
    assert (found.latency.max_us or 0) > max(600_000, 2 * (found.service.max_us or 0))
    assert max(each.response_time for each in run.of_type("GET")) > 600


def test_the_open_loops_of_classes_add_up_to_what_is_wanted(server: Server) -> None:
    with paced(speaker(pacing=OpenLoop(5.0)), server, None, 4) as (run, pace):
        eventually(lambda: pace.rate_now == 20.0, 5.0)
        assert len(run.users) == 4
    assert 0 < (pace.recorder.snapshot(monotonic()).run.target_rate_per_s or 0) <= 20.0


def test_only_where_all_that_speak_have_an_open_loop_their_rates_are_what_is_wanted() -> None:
    opened, closed = speaker(pacing=OpenLoop(5.0)), speaker()
    listening = user_class(AgentUser)
    assert are_all_open([opened])
    assert are_all_open([opened, listening])
    assert not are_all_open([opened, closed])
    assert not are_all_open([opened, user_class(User, wait_time=idles)])
    assert not are_all_open([listening])
    assert not are_all_open([])


def test_what_open_loops_wanted_over_a_run_is_by_the_time_for_which_their_users_were_there(server: Server) -> None:
    """Half a second nobody is there, then four users at 5/s: as many messages as are due to them."""
    with paced(speaker(pacing=OpenLoop(5.0)), server, None, 4) as (run, pace):
        eventually(lambda: len(run.of_type("CONNECT")) == 4)
        gevent.sleep(1.5)
        pace._began_s -= 0.5
        pace.wind_down()
        sent = len(run.of_type("WS"))
        pace.end()
        info = pace.recorder.snapshot(monotonic()).run
    assert info.paced_s is not None
    assert (info.target_rate_per_s or 0) * info.paced_s == pytest.approx(sent, abs=4)


def test_an_open_loop_that_is_late_says_so_while_it_is_and_when_it_is_no_more(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """50 ms a reply, at 100/s: 0.8 s later every second."""
    caplog.set_level("INFO", "locust_ext")
    server.misbehave(latency_ms=50)
    with paced(speaker(pacing=OpenLoop(100.0)), server, None, 1):
        eventually(lambda: "after they were due: 1 user waits for replies, or" in caplog.text, 10.0)
        assert "have been made up for" not in caplog.text
        server.misbehave(latency_ms=0)
        eventually(lambda: "The messages that were late have been made up for" in caplog.text, 10.0)
    assert "had not been sent" not in caplog.text


def test_what_was_never_said_of_a_rate_is_told_at_the_end(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """20/s come through of 200/s that are wanted: a user who comes in the middle is no reason to forget the rest."""
    server.misbehave(latency_ms=100)
    with paced(speaker(), server, WantedRate(constant=200.0), 2) as (run, pace):
        eventually(lambda: run.of_type("WS"))
        gevent.sleep(1.5)
        pace.wind_down()
        sent, info = len(run.of_type("WS")), pace.recorder.snapshot(monotonic()).run
    (told,) = (each.getMessage() for each in caplog.records if "when the run ended" in each.getMessage())
    assert info.paced_s is not None
    assert int(told.split()[0]) == pytest.approx(200 * info.paced_s - sent, rel=0.15)


class OneWay:
    """Says what nobody answers, so that its user never waits."""

    def generate(self) -> Message:
        return Message("told", {"type": "heartbeat"}, one_way=True)

    def disconnected(self, channel: str | None = None) -> None:
        """It knows nothing of its connection."""


@pytest.mark.parametrize("of_each", [True, False], ids=["OpenLoop", "--ext-rate"])
def test_who_can_never_keep_the_rate_and_never_waits_leaves_the_loop_to_others(server: Server, of_each: bool) -> None:
    """A million one-way messages a second: more than any process sends."""
    cls = user_class(AgentUser, generator=OneWay, pacing=OpenLoop(1e6) if of_each else None)
    with paced(cls, server, None if of_each else WantedRate(constant=1e6), 1) as (run, _):
        eventually(lambda: run.of_type("SEND"))
        begun_s = monotonic()
        for _ in range(20):
            gevent.sleep(0.001)
        assert monotonic() - begun_s < 0.5


# ── on a master ────────────────────────────────────────────────────────────────────────────────────────────────────────


class FakeMaster:
    """Locust's, as far as it is asked here."""

    def __init__(self) -> None:
        self.clients: dict[str, Any] = {"a": 1, "b": 1}
        self.listener: Any = None
        self.sent: list[tuple[str, float]] = []

    def register_message(self, _name: str, listener: Any) -> None:
        self.listener = listener

    def send_message(self, name: str, data: dict[str, Any], client_id: str) -> None:
        assert (name, data["run"]) == (PACE, "run")
        self.sent.append((client_id, data["rate"]))

    def hear(self, worker: str, **data: Any) -> None:
        self.listener(None, SimpleNamespace(node_id=worker, data={"run": "run", **data}))

    def told(self) -> dict[str, float]:
        told, self.sent = dict(self.sent), []
        return told


@contextmanager
def mastering(wanted: WantedRate) -> Iterator[tuple[MasterPace, FakeMaster]]:
    environment, runner = Environment(user_classes=[]), FakeMaster()
    pace = MasterPace(environment, intake_of(environment), runner)  # type: ignore[arg-type]
    pace.begin(wanted, "run")
    pace._ticker.close()
    try:
        yield pace, runner
    finally:
        pace.end()
        drop_intake(environment)


def test_a_master_gives_each_worker_its_part_by_its_users_and_again_when_they_change() -> None:
    with mastering(WantedRate(constant=1000.0)) as (pace, runner):
        now_s = monotonic()
        runner.hear("a", users=10)
        assert runner.told() == {"a": 1000.0}
        runner.hear("b", users=30)
        assert runner.told() == {"a": 250.0, "b": 750.0}
        pace._tick(now_s + 0.1)
        assert runner.told() == {}
        runner.hear("b", users=10)
        pace._tick(now_s + 0.2)
        assert runner.told() == {"a": 500.0, "b": 500.0}


def test_a_worker_that_falls_silent_loses_its_part_and_gets_it_back_when_it_speaks_again() -> None:
    with mastering(WantedRate(constant=100.0)) as (pace, runner):
        runner.hear("a", users=1)
        runner.hear("b", users=1)
        runner.told()
        pace._heard_s["b"] -= SILENT_S
        pace._tick(monotonic() + 0.05)
        assert runner.told() == {"a": 100.0}
        runner.hear("b", users=1)
        assert runner.told() == {"a": 50.0, "b": 50.0}


def test_a_rate_of_each_user_is_wanted_for_as_long_as_the_workers_say_that_users_were_there() -> None:
    with mastering(WantedRate(per_user=10.0)) as (pace, runner):
        pace._began_s -= 4.0
        runner.hear("a", users=2, user_s=8.0)
        runner.hear("b", users=3, user_s=4.5)
        assert pace.rate_now == 50.0
        pace._heard_s["b"] -= 1.0
        pace.wind_down()
        runner.hear("a", users=0, user_s=99.0)
        pace.end()
        info = pace.recorder.snapshot(monotonic()).run
    assert info.paced_s == pytest.approx(4.0, abs=0.1)
    assert (info.target_rate_per_s or 0) * info.paced_s == pytest.approx(155.0, abs=1.0)


@pytest.mark.parametrize(
    "data", [{"users": "many"}, {"users": -1}, {"users": None}, {"users": 3, "run": "another"}, {}], ids=str
)
def test_what_a_worker_tells_wrongly_changes_nothing(data: dict[str, Any]) -> None:
    with mastering(WantedRate(constant=100.0)) as (pace, runner):
        runner.hear("a", users=1)
        runner.hear("b", **data)
        runner.hear("stranger", users=5)
        pace._tick(monotonic())
        assert set(runner.told()) == {"a"}
        assert pace._users == {"a": 1}
