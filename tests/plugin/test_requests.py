"""`plugin.requests`: what ``--ext-requests`` says, whose operations count, and how a master hands them out."""

from __future__ import annotations

from locust import HttpUser, User, task
from locust.env import Environment
from locust.runners import STATE_MISSING, STATE_RUNNING

import logging
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest

from locust_ext.core.portions import LEAST
from locust_ext.errors import ConfigError
from locust_ext.plugin.intake import drop_intake, intake_of
from locust_ext.plugin.requests import (
    DONE,
    GRANT,
    RETURN,
    MasterWork,
    WantedRequests,
    WorkerWork,
    check_counted,
    wanted_requests,
)
from locust_ext.plugin.users.agent import AgentUser
from locust_ext.plugin.users.pool import ConnectionPool
from locust_ext.runtime.quota import Quota
from tests.plugin.inside import idles, user_class


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1000", WantedRequests(1000)),
        ("1_000", WantedRequests(1000)),
        ("50/user", WantedRequests(50, of_each=True)),
        (None, None),
        ("", None),
    ],
)
def test_a_number_is_of_all_users_and_one_with_user_of_each(text: str | None, wanted: WantedRequests | None) -> None:
    assert wanted_requests(Namespace(ext_requests=text)) == wanted


@pytest.mark.parametrize("wrong", ["0", "-1", "1.5", "many", "50/users", "/user", "0/user", "²"])
def test_a_wrong_number_is_named(wrong: str) -> None:
    with pytest.raises(ConfigError, match="--ext-requests: expected a number of operations, such as 1000, or of each"):
        wanted_requests(Namespace(ext_requests=wrong))


class Line(AgentUser):
    abstract = True


class Caller(User):
    abstract = True
    pool = ConnectionPool(Line)


class Plain(HttpUser):
    abstract = True
    go = task(idles)


def test_only_operations_of_ours_can_be_counted_those_over_a_pool_only_all_together() -> None:
    ours = user_class(AgentUser, idles)
    check_counted(WantedRequests(5), [ours, Caller])
    check_counted(WantedRequests(5, of_each=True), [ours])
    for wanted, cls in (
        (WantedRequests(5), Plain),
        (WantedRequests(5, of_each=True), Plain),
        (WantedRequests(5, of_each=True), Caller),
    ):
        with pytest.raises(ConfigError, match=f"expected user classes of locust_ext: .*'{cls.__name__}'"):
            check_counted(wanted, [ours, cls])


class FakeMaster:
    """Locust's, as far as it is asked here."""

    def __init__(self) -> None:
        self.state = STATE_RUNNING
        self.clients = {each: SimpleNamespace(state=STATE_RUNNING) for each in ("a", "b")}
        self.listener: Any = None
        self.granted: dict[str, int] = {}
        self.asked: dict[str, int] = {}
        self.has_quit = False

    def register_message(self, _name: str, listener: Any) -> None:
        self.listener = listener

    def send_message(self, name: str, data: dict[str, Any], client_id: str) -> None:
        assert data["run"] == "run"
        if name == GRANT:
            assert data["answered"] == self.asked.get(client_id, 0)
            self.granted[client_id] = data["granted"]
        else:
            assert name == RETURN
            self.asked[client_id] = data["request"]

    def hear(
        self, worker: str, begun: Any, busy: Any = 0, wanting: Any = 0, run: str = "run", answered: Any = 0
    ) -> None:
        data = {"run": run, "begun": begun, "busy": busy, "wanting": wanting, "answered": answered}
        self.listener(None, SimpleNamespace(node_id=worker, data=data))

    def quit(self) -> None:
        self.has_quit = True


@contextmanager
def mastering(count: int) -> Iterator[tuple[MasterWork, FakeMaster]]:
    runner = FakeMaster()
    environment: Any = Environment(user_classes=[])
    environment.runner = runner
    work = MasterWork(environment, intake_of(environment), runner)  # type: ignore[arg-type]
    work.begin(WantedRequests(count), "run")
    work._ticker.close()
    try:
        yield work, runner
    finally:
        work.end()
        drop_intake(environment)


def test_a_master_grants_all_of_it_and_never_more_and_ends_once_all_have_their_outcome() -> None:
    with mastering(1000) as (work, runner):
        for worker in ("a", "b"):
            runner.hear(worker, 0)
        assert runner.granted == {}, "nobody there wants anything"
        for worker in ("a", "b"):
            runner.hear(worker, 0, wanting=10)
        assert runner.granted == {"a": LEAST, "b": LEAST}
        for _ in range(50):
            for worker in ("a", "b"):
                runner.hear(worker, runner.granted[worker], busy=1, wanting=10)
        assert sum(runner.granted.values()) == 1000
        work._tick(0.0)
        assert not work._has_ended
        for worker in ("a", "b"):
            runner.hear(worker, runner.granted[worker])
        work._tick(0.0)
        assert work._has_ended


def test_what_a_lost_worker_had_left_is_handed_out_again() -> None:
    with mastering(2 * LEAST) as (work, runner):
        runner.hear("a", 0, wanting=10)
        runner.hear("b", 0, wanting=10)
        left = runner.granted["b"]
        runner.hear("b", 7, busy=1)
        runner.clients["b"].state = STATE_MISSING
        work._tick(0.0)
        for _ in range(20):
            runner.hear("a", runner.granted["a"], wanting=10)
        assert runner.granted["a"] == 2 * LEAST - 7
        assert left > 7
        runner.hear("a", runner.granted["a"])
        work._tick(0.0)
        assert work._has_ended


def test_what_a_worker_does_not_use_is_asked_back_and_handed_to_those_who_wait() -> None:
    with mastering(2 * LEAST) as (work, runner):
        runner.hear("a", 0, wanting=10)
        runner.hear("b", 0, wanting=10)
        had = runner.granted["b"]
        runner.hear("b", 3)
        for _ in range(20):
            runner.hear("a", runner.granted["a"], wanting=10)
        assert runner.granted["a"] == 2 * LEAST - had
        for second in range(1, 4):
            work._tick(monotonic() + 1.1 * second)
        assert runner.asked == {"b": 1}
        runner.hear("b", 4, answered=1)
        runner.hear("a", runner.granted["a"], wanting=10)
        for _ in range(20):
            runner.hear("a", runner.granted["a"], wanting=10)
        assert runner.granted == {"a": 2 * LEAST - 4, "b": had}
        runner.hear("a", 2 * LEAST - 4)
        work._tick(0.0)
        assert work._has_ended


def test_a_run_that_ends_before_all_has_begun_says_how_much_had(caplog: pytest.LogCaptureFixture) -> None:
    with mastering(120) as (work, runner):
        runner.hear("a", 0, wanting=10)
        work.end()
        runner.hear("a", 63, wanting=10)  # its last word, after which nothing is granted
        granted = dict(runner.granted)
        with caplog.at_level(logging.WARNING, "locust_ext"):
            work.conclude()
        missing = "63 of 120 operations of --ext-requests had begun when the run ended"
        assert work._intake.recorder.snapshot(0.0).run.unfinished == missing
        assert caplog.messages == [f"Less was done than was asked for: {missing}"]
        assert runner.granted == granted
        runner.hear("a", 120)
        caplog.clear()
        work.conclude()
        assert caplog.messages == []


class FakeWorker:
    """Locust's, as far as it is asked here."""

    def __init__(self) -> None:
        self.listeners: dict[str, Any] = {}
        self.said: list[dict[str, Any]] = []
        self.user_greenlets: list[Any] = []

    def register_message(self, name: str, listener: Any) -> None:
        self.listeners[name] = listener

    def send_message(self, name: str, data: dict[str, Any]) -> None:
        assert name == DONE
        self.said.append(data)

    def hear(self, name: str, **data: Any) -> None:
        self.listeners[name](None, SimpleNamespace(data={"run": "run", **data}))


def test_a_worker_gives_back_at_once_says_so_and_takes_no_grant_from_before_the_request() -> None:
    runner = FakeWorker()
    environment: Any = Environment(user_classes=[])
    environment.runner = runner
    work = WorkerWork(environment, intake_of(environment), runner)  # type: ignore[arg-type]
    work.begin(WantedRequests(100), "run")
    work._ticker.close()
    try:
        quota = work._intake.quota
        assert isinstance(quota, Quota)
        runner.hear(GRANT, granted=40, answered=0)
        user: Any = SimpleNamespace(operations_begun=0)
        quota.take(user)
        runner.hear(RETURN, request=1)
        assert (quota.granted, quota.begun) == (1, 1)
        assert (runner.said[-1]["begun"], runner.said[-1]["answered"]) == (1, 1)
        runner.hear(GRANT, granted=60, answered=0)  # was on its way
        assert quota.granted == 1
        runner.hear(GRANT, granted=30, answered=1)
        runner.hear(RETURN, request=1)  # was repeated
        assert (quota.granted, len(runner.said)) == (30, 2)
        runner.hear(RETURN, request=2, run="another")
        runner.hear(RETURN, request="3")
        assert quota.granted == 30
    finally:
        work.end()
        drop_intake(environment)


@pytest.mark.parametrize("data", [("5", 0, 0), (5, None, 0), (5, 0, "x"), (-5, 0, 0), (5, 0, 0, "another")], ids=str)
def test_what_a_worker_tells_wrongly_changes_nothing(data: tuple[Any, ...]) -> None:
    with mastering(100) as (work, runner):
        runner.hear("a", *data)
        assert (work._pile.begun, runner.granted) == (0, {})
