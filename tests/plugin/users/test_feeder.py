"""`plugin.users.feeding`: rows of unique feeders as users come and go, and over the workers of a run."""

from __future__ import annotations

from locust import constant
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from argparse import Namespace
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from locust_ext import AgentUser
from locust_ext.core.messages import Feeder, Mixed, Template
from locust_ext.core.messages.rows import SHARE
from locust_ext.errors import ConfigError
from locust_ext.plugin.extension import attach
from locust_ext.plugin.users.feeding import check_feeders, share_out, use_share
from tests.e2e.runs import Server
from tests.peers import eventually
from tests.runtime.locusting import running


@pytest.fixture(autouse=True)
def share() -> Iterator[None]:
    before = (SHARE.slot, SHARE.workers, SHARE.run)
    yield
    SHARE.use(*before)


def crowd(rows: int, **more: Any) -> type[AgentUser]:
    """A class whose users say their row's name; its generator is inside a mix."""
    feeder = Feeder([{"name": f"n{number}"} for number in range(rows)], "unique", source="users.csv")
    template = Template({"body": {"type": "{csv:name}"}, "one_way": True}, feeder)

    class Crowd(AgentUser):
        abstract = False
        generator = Mixed([(template, 1)])
        wait_time = constant(0.02)

    for name, value in more.items():
        setattr(Crowd, name, value)
    return Crowd


def said(server: Server) -> dict[str, int]:
    counted = server.counters()["by_type"]
    return {name: number for name, number in counted.items() if name.startswith("n")}


def rows_in_use(user_class: Any) -> dict[str, int]:
    [(template, _)] = user_class.generator.parts
    held: dict[str, int] = template.feeder._numbers._held
    return dict(held)


def test_users_that_ramp_down_and_up_and_a_second_run_find_rows_again(server: Server) -> None:
    """Three rows for three users at any time."""
    cls = crowd(3)
    with running(cls, server.url, count=3) as run:
        eventually(lambda: set(said(server)) == {"n0", "n1", "n2"})
        run.runner.start(1, spawn_rate=10)
        eventually(lambda: len(rows_in_use(cls)) == 1)
        run.runner.start(3, spawn_rate=10)
        eventually(lambda: sorted(rows_in_use(cls).values()) == [0, 1, 2])
        run.stop()
        assert rows_in_use(cls) == {}
        assert SHARE.holders == {}
        run.runner.start(3, spawn_rate=10)
        eventually(lambda: sorted(rows_in_use(cls).values()) == [0, 1, 2])
        assert run.environment.process_exit_code is None
        assert set(rows_in_use(cls)) == {user.client_id for user in run.users}
        run.stop()


def test_a_user_without_a_row_ends_with_one_message(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    cls = crowd(1)
    with running(cls, server.url, count=3) as run:
        eventually(lambda: len(run.users) == 1 and said(server))
        assert run.environment.process_exit_code == 1
        told = [each.getMessage() for each in caplog.records if "rows are not enough" in each.getMessage()]
        assert told == ["Crowd cannot run: users.csv: 1 rows are not enough: with unique each user needs its own"]
        run.stop()
    assert set(said(server)) == {"n0"}


def test_the_master_tells_the_workers_and_each_has_its_place_among_them() -> None:
    """Also where workers of an earlier run have left; who comes later has none."""
    master: Any = object.__new__(MasterRunner)
    master.greenlet = None
    master.worker_indexes, master.worker_index_max = {"w-b": 0, "w-gone": 1, "w-a": 2}, 3
    master.clients = SimpleNamespace(
        ready=[SimpleNamespace(id="w-b"), SimpleNamespace(id="w-a")], spawning=[], running=[]
    )
    options = Namespace(ext_run_id="r1")
    share_out(SimpleNamespace(runner=master, parsed_options=options))
    assert options.ext_worker_indexes == [2, 0]
    found = {}
    for index in (0, 2, 3):
        worker: Any = object.__new__(WorkerRunner)
        worker.greenlet, worker.worker_index = None, index
        use_share(SimpleNamespace(runner=worker, parsed_options=options))
        found[index] = (SHARE.slot, SHARE.workers, SHARE.run)
    assert found == {0: (1, 2, "r1"), 2: (0, 2, "r1"), 3: (None, 2, "r1")}


@pytest.mark.parametrize(
    ("users", "classes", "is_enough"),
    [
        (6, [crowd(6)], True),
        (7, [crowd(6)], False),
        (None, [crowd(1)], True),
        (12, [crowd(6), crowd(6)], True),
        (14, [crowd(6), crowd(7)], False),
        (9, [crowd(6, weight=2), crowd(3)], True),
        (9, [crowd(5, weight=2), crowd(3)], False),
        (9, [crowd(2, fixed_count=2), crowd(7)], True),
        (9, [crowd(1, fixed_count=2), crowd(7)], False),
    ],
)
def test_too_few_rows_for_the_users_asked_for_are_told_before_the_start(
    users: int | None, classes: list[Any], is_enough: bool
) -> None:
    environment = SimpleNamespace(user_classes=classes, shape_class=None)
    if is_enough:
        check_feeders(environment, users)
        return
    with pytest.raises(ConfigError, match=r"^users.csv: \d rows are not enough for \d users: with unique"):
        check_feeders(environment, users)
    check_feeders(SimpleNamespace(user_classes=classes, shape_class=object()), users)


def test_the_extension_checks_rows_before_the_run(server: Server) -> None:
    environment = Environment(user_classes=[crowd(2)], host=server.url)
    runner = environment.create_local_runner()
    try:
        with pytest.raises(ConfigError, match="2 rows are not enough for 3 users"):
            attach(environment, num_users=3)
    finally:
        runner.quit()
        runner.greenlet.kill()
