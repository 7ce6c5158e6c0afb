"""`plugin.users.base`: a user's life against the real reference server."""

from __future__ import annotations

from locust import constant, task
from locust.exception import RescheduleTask, StopUser

import logging
from itertools import pairwise
from time import monotonic
from typing import Any

import gevent
import pytest

from locust_ext.core.lifecycle import Intermittent
from locust_ext.core.pacing import ClosedLoop, OpenLoop
from locust_ext.core.protocols.correlation import ByType, Fifo
from locust_ext.errors import (
    CheckFailed,
    ConfigError,
    ConnectFailed,
    ConnectionLost,
    ErrorReply,
    OperationError,
    RequestTimeout,
)
from locust_ext.plugin.users import base
from locust_ext.plugin.users.agent import AgentUser
from locust_ext.plugin.users.context import ContextServerUser
from locust_ext.plugin.users.failures import quiet
from locust_ext.plugin.users.socketio import FastSocketIOUser
from locust_ext.plugin.users.websocket import WebSocketUser
from locust_ext.runtime import driver
from tests.e2e.runs import Server
from tests.peers import Peer, eventually, read_request, reset, send, stall, text, upgrade, wait, wait_messages
from tests.plugin.inside import QUICK, idles, inside, user_class
from tests.runtime.locusting import running

PING = {"type": "ping"}
OPEN = text('0{"sid":"e","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}')


class Agent(AgentUser):
    abstract = True
    pattern = QUICK
    wait_time = constant(0.01)
    request_timeout_s = 2.0


# ── life ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_life_from_on_start_to_on_stop(server: Server) -> None:
    """Connected in both; a request of ``on_stop`` works and is recorded; the server counts the same as we do."""
    seen: list[Any] = []

    class Talker(Agent):
        abstract = False

        def on_start(self) -> None:
            seen.append(self.ws.request(PING, name="first")["type"])

        def on_stop(self) -> None:
            seen.append(self.ws.request(PING, name="last")["type"])

        @task
        def talk(self) -> None:
            self.ws.request(PING)

    with running(Talker, server.url) as run:
        eventually(lambda: len(run.of_type("WS")) > 5)
        run.stop()
        balance = run.balance()
        assert seen == ["pong", "pong"]
        assert (balance["WS first"].ok, balance["WS last"].ok) == (1, 1)
        sent = sum(each.started for key, each in balance.items() if key.startswith("WS"))
        counted = server.counters()
        assert (counted["connections"], counted["messages_received"]) == (1, sent)
        assert counted["messages_sent"] == run.recorder.traffic.messages_received
        assert run.runner.exceptions == {}


def test_stop_user_in_a_task_ends_the_user_and_its_connection(server: Server) -> None:
    """In order, while the run goes on."""

    def leaves(user: Any) -> None:
        user.ws.request(PING)
        raise StopUser

    with running(user_class(Agent, leaves), server.url) as run:
        eventually(lambda: run.of_type("WS"))
        eventually(lambda: run.runner.user_count == 0)
        assert run.states == {}
        eventually(lambda: server.counters()["open_connections"] == 0)
        assert run.failures("WS", "DROP", "CONNECT") == []
        assert run.runner.exceptions == {}


def test_killed_users_leave_nothing(server: Server) -> None:
    """Fifty, in the middle of requests that are never answered: all are cancelled, and the server is empty."""
    server.misbehave(silent_ratio=1.0)

    def asks(user: Any) -> None:
        user.ws.request(PING, timeout_s=60)

    with running(user_class(Agent, asks), server.url, count=50) as run:
        eventually(lambda: server.counters()["messages_received"] == 50)
        run.stop()
        assert run.states == {}
        assert run.balance()["WS ping"].cancelled == 50
        eventually(lambda: server.counters()["open_connections"] == 0, 1.0)
        assert [each for each in run.events if each.exception is not None] == []


def test_client_ids_are_unique_also_over_runs(server: Server) -> None:
    """Also of a second run in the same process."""
    found: list[str] = []
    for _ in range(2):
        with running(user_class(Agent, idles), server.url, count=20) as run:
            eventually(lambda: run.states.get("open") == 20)
            found += [user.client_id for user in run.users]
    assert len(set(found)) == 40
    assert all(each.replace("-", "").isalnum() for each in found)


def test_on_start_that_fails_is_tried_again_until_it_succeeds(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user lives on, is not refilled, and nothing is printed; tasks begin after it."""
    monkeypatch.setattr(base, "ON_START_RETRY_S", (0.02, 0.03))
    server.misbehave(error_ratio=1.0)
    order: list[str] = []

    class Starter(Agent):
        abstract = False

        def on_start(self) -> None:
            order.append("on_start")
            self.ws.request(PING, name="login")

        @task
        def talk(self) -> None:
            order.append("task")

    with running(Starter, server.url) as run:
        eventually(lambda: len(order) >= 3)
        assert set(order) == {"on_start"}
        server.misbehave()
        eventually(lambda: "task" in order)
        failed = run.ledger("WS", "login")
        assert (failed.failed, failed.ok) == (order.count("on_start") - 1, 1)
        assert run.failures("WS")[0] == "error_reply - INJECTED_FAULT"
        assert run.runner.exceptions == {}
        assert run.runner.user_count == 1
        assert server.counters()["connections"] == 1


def test_a_stop_during_the_pause_before_on_start_is_tried_again(server: Server) -> None:
    """Ends the user at once, and its connection."""
    server.misbehave(error_ratio=1.0)

    def fails(user: Any) -> None:
        user.ws.request(PING, name="login")

    with running(user_class(Agent, idles, on_start=fails), server.url) as run:
        eventually(lambda: run.failures("WS"))
        assert run.stop() < 1.0
        assert run.states == {}
    eventually(lambda: server.counters()["open_connections"] == 0, 1.0)


def test_a_locustfile_that_can_never_work_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """Each user ends; the process's exit code says it too."""
    base._said.clear()
    with running(user_class(WebSocketUser, idles), "nonsense", count=5) as run:
        eventually(lambda: run.environment.process_exit_code == 1)
        eventually(lambda: run.runner.user_count == 0)
    assert caplog.text.count("cannot run: host: expected a base address") == 1


def test_a_stop_during_a_reconnection_forgets_the_connection_for_good() -> None:
    """The reconnection is a greenlet of its own, which may end after the user: it brings no state back to life."""
    scripts: list[Any] = [[upgrade(), wait(0.02), reset()], [read_request(), stall()]]
    for base_class in (WebSocketUser, FastSocketIOUser):
        opens = [upgrade(), send(OPEN), wait_messages(), send(text('40{"sid":"s"}')), wait(0.02), reset()]
        first = scripts[0] if base_class is WebSocketUser else opens
        with Peer(first, scripts[1]) as peer, running(user_class(base_class, idles), peer.url) as run:
            eventually(lambda: len(peer.connections) == 2 and run.states == {"connecting": 1})
            run.stop()
            gevent.sleep(0.02)
            assert run.states == {}
            assert next(each for each in run.balance().values() if each.type == "CONNECT").cancelled == 1


# ── who drives ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_tasks_and_a_generator_exclude_each_other() -> None:
    """An error at the definition of the class, which it names."""
    with pytest.raises(ConfigError) as caught:

        class Both(WebSocketUser):
            generator = {"ping": 1}  # noqa: RUF012 – as locustfiles write it

            @task
            def talk(self) -> None: ...

    assert str(caught.value).startswith("Both: generator: set either tasks or a generator")


def test_tasks_and_a_pacing_are_an_error_of_the_definition() -> None:
    """Its author would believe that a schedule is kept, and that latencies are corrected."""
    with pytest.raises(ConfigError, match="Paced: pacing: set either tasks or pacing"):
        type("Paced", (WebSocketUser,), {"abstract": False, "tasks": [idles], "pacing": OpenLoop(20)})


@pytest.mark.parametrize(
    "wrong", [{"pattern": "persistnt"}, {"correlate": Fifo}, {"proxy": "ftp://h"}, {"correlate": None}]
)
def test_a_wrong_setting_is_an_error_of_the_definition(wrong: dict[str, Any]) -> None:
    """Not of the run."""
    with pytest.raises(ConfigError):
        type("Wrong", (WebSocketUser,), {"abstract": False, **wrong})


def test_a_generator_for_other_channels_is_an_error_of_the_definition() -> None:
    """Of a class whose messages our own code performs; bases add up, and code of the locustfile's own may do as it likes."""
    with pytest.raises(ConfigError, match=r"Ops\.generator: expected .*, and not to: http \(got 'context_ops'\)"):
        type("Ops", (AgentUser,), {"generator": "context_ops"})
    with pytest.raises(ConfigError, match=r"Mix\.generator: expected .* \(http, live\), and not to: the main one"):
        type("Mix", (ContextServerUser,), {"generator": {"ping": 1, "context_ops": 3}})
    mix = {"context_ops": 1, "ping": 1, "monitoring": 1}
    assert type("Both", (AgentUser, ContextServerUser), {"generator": mix}).generator == mix
    own = type("Own", (), {"channel_of": lambda self, message: self.ws})
    assert type("Any", (own, AgentUser), {"generator": "context_ops"}).generator == "context_ops"
    assert type("Sio", (FastSocketIOUser,), {"generator": "monitoring"}).generator == "monitoring"


def test_a_generator_that_raises_each_time_is_asked_at_a_pause(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not as fast as its tracebacks can be written; the connection stays."""
    monkeypatch.setattr(driver, "AFTER_RAISE_S", 0.25)
    asked_s: list[float] = []

    class Broken:
        def generate(self) -> Any:
            asked_s.append(monotonic())
            raise KeyError("mine")

    with running(user_class(Agent, generator=Broken), server.url) as run:
        eventually(lambda: len(asked_s) >= 4)
        run.stop()
        assert server.counters()["connections"] == 1
        [error] = run.runner.exceptions.values()
        assert "KeyError" in error["traceback"]
    assert min(later_s - earlier_s for earlier_s, later_s in pairwise(asked_s)) >= 0.25


def test_a_generator_drives_a_user_without_tasks(server: Server) -> None:
    """Its messages, by its pacing; every reply is matched, and both sides agree on the counts."""
    made = user_class(
        Agent, generator={"ping": 1, "query": 1, "command": 1, "event": 1}, pacing=ClosedLoop(constant(0.005))
    )
    with running(made, server.url, count=3) as run:
        eventually(lambda: len(run.of_type("WS")) > 60)
        run.stop()
        balance = run.balance()
        sent = sum(each.started for key, each in balance.items() if key.split()[0] in ("WS", "SEND"))
        assert sent == server.counters()["messages_received"]
        assert {key.split()[0] for key in balance} <= {"CONNECT", "WS", "SEND"}
        assert sum(each.failed + each.timed_out + each.lost for each in balance.values()) == 0


def test_a_pattern_lets_a_user_come_and_go(server: Server) -> None:
    """Orderly: no DROP, no failure, and between its stays it is idle."""
    pattern = Intermittent(connected_s=(0.15, 0.15), away_s=(0.1, 0.1), reconnect=QUICK.reconnect)
    made = user_class(Agent, generator={"ping": 1}, pattern=pattern, pacing=ClosedLoop(constant(0.02)))
    with running(made, server.url) as run:
        seen = set()

        def looks() -> bool:
            seen.update(run.states)
            return server.counters()["connections"] >= 3

        eventually(looks)
        run.stop()
        assert {"open", "idle"} <= seen
        assert run.failures("CONNECT", "WS", "DROP") == []
        assert run.recorder.snapshot(0.0).connections.reconnects == 0


def test_a_user_of_tasks_may_have_a_pattern_that_comes_and_goes(server: Server) -> None:
    """Its requests wait while it is away."""
    pattern = Intermittent(connected_s=(0.1, 0.1), away_s=(0.1, 0.1), reconnect=QUICK.reconnect)

    def asks(user: Any) -> None:
        user.ws.request(PING)

    with running(user_class(Agent, asks, pattern=pattern), server.url) as run:
        eventually(lambda: server.counters()["connections"] >= 4)
        run.stop()
        found = run.balance()["WS ping"]
        assert (found.failed, found.timed_out) == (0, 0)
        assert found.lost <= 3  # those in flight when it left


def test_an_open_loop_counts_from_the_intended_time(server: Server) -> None:
    """A server slower than the rate: the latency grows by the backlog, the service time does not."""
    server.misbehave(latency_ms=50)
    made = user_class(Agent, generator={"ping": 1}, pacing=OpenLoop(100.0))
    with running(made, server.url) as run:
        eventually(lambda: len(run.of_type("WS")) >= 20)
        run.stop()
        found = run.ledger("WS", "ping")
        assert found.service is not None
        assert 50_000 <= (found.service.min_us or 0) <= (found.service.max_us or 0)
        assert (found.latency.max_us or 0) > max(600_000, 2 * (found.service.max_us or 0))


def test_subclasses_of_concrete_classes() -> None:
    """A driven one may get tasks, one with tasks keeps its own and adds; an abstract one decides nothing."""

    class Driven(Agent):
        abstract = False
        generator = {"ping": 1}  # noqa: RUF012 – as locustfiles write it

    class Tasked(Agent):
        abstract = False

        @task
        def one(self) -> None: ...

    class Again(Driven):
        pass

    class More(Tasked):
        @task
        def two(self) -> None: ...

    class Bare(Agent):
        abstract = False

    class Grown(Bare):
        @task
        def one(self) -> None: ...

    assert [each._is_task_driven for each in (Driven, Tasked, Again, More, Bare, Grown)] == [
        False,
        True,
        False,
        True,
        False,
        True,
    ]
    assert [each.__name__ for each in More.tasks] == ["one", "two"]
    assert [each.__name__ for each in Grown.tasks] == ["one"]
    assert [each.__name__ for each in Again.tasks] == ["_drive"]
    with pytest.raises(ConfigError, match="Late: generator"):

        class Late(Tasked):
            generator = {"ping": 1}  # noqa: RUF012 – as locustfiles write it


def test_an_inherited_class_talks_like_its_parent(server: Server) -> None:
    """Both in one run, each with its own settings."""

    class Parent(Agent):
        abstract = False
        request_timeout_s = 1.0

        @task
        def talk(self) -> None:
            self.ws.request(PING, name=type(self).__name__)

    class Child(Parent):
        request_timeout_s = 3.0
        correlate = ByType({"ping": "pong"})

    for each in (Parent, Child):
        with running(each, server.url) as run:
            eventually(lambda: len(run.of_type("WS")) > 2)
            assert set(run.balance()) == {"CONNECT /api/v1/ws/{client_id}", f"WS {each.__name__}"}


# ── settings ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_seed_makes_users_random_numbers_repeatable() -> None:
    """By the number of the user and of the worker; without a seed they differ."""

    class Runner:
        worker_index = 2

    class Environment:
        runner = Runner()

        class parsed_options:
            ext_seed = 7

    made = object.__new__(user_class(Agent, idles))
    made.environment = Environment()
    assert made._seed(1) == made._seed(1)
    assert len({made._seed(number) for number in range(100)}) == 100
    Runner.worker_index = 3
    assert made._seed(1) not in {made._seed(number) for number in range(2, 100)}


def test_on_connected_is_called_at_each_connect_and_may_fail(server: Server) -> None:
    """A failed operation in it counts as a failed connect: closed, and tried again after the backoff."""
    server.misbehave(error_ratio=1.0)
    calls: list[int] = []

    class Login(Agent):
        abstract = False

        def on_connected(self) -> None:
            calls.append(1)
            self.ws.request(PING, name="login")

        @task
        def rest(self) -> None:
            gevent.sleep(0.01)

    with running(Login, server.url) as run:
        eventually(lambda: len(calls) >= 3)
        server.misbehave()
        eventually(lambda: run.states == {"open": 1} and run.ledger("WS", "login").ok == 1)
        assert run.ledger("CONNECT").ok == len(calls) == server.counters()["connections"]
        assert run.failures("DROP", "CONNECT") == []


def test_context_of_the_user_is_merged_into_every_event(server: Server) -> None:
    """CONNECT, WS and SEND; as Locust's own clients do it."""
    seen: dict[str, Any] = {}

    class Described(Agent):
        abstract = True

        def context(self) -> dict[str, Any]:
            return {"tenant": "t1"}

        def on_start(self) -> None:
            self.environment.events.request.add_listener(self.listens)

        @staticmethod
        def listens(request_type: str, context: Any, **_: Any) -> None:
            seen[request_type] = context

    def talks(user: Any) -> None:
        user.ws.request(PING)
        user.ws.send({"type": "heartbeat"})
        user.open("/echo").close()

    inside(Described, server.url, talks)
    assert seen == {key: {"tenant": "t1"} for key in ("WS", "SEND", "CONNECT")}


def test_an_operation_error_says_its_class_first() -> None:
    """The quiet kind too, also in ``repr``, which Locust shows."""
    for kind in (ConnectFailed, RequestTimeout, ConnectionLost, ErrorReply, CheckFailed):
        error = quiet(kind("refused") if kind is ConnectFailed else kind())
        assert isinstance(error, RescheduleTask)
        assert isinstance(error, kind)
        assert isinstance(error, OperationError)
        assert repr(error) == str(error)
        assert str(error).split()[0] == error.error_class


def test_nothing_is_logged_in_an_ordinary_life(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Not one line of ours."""
    with caplog.at_level(logging.DEBUG, "locust_ext"):
        inside(Agent, server.url, lambda user: user.ws.request(PING))
    assert [each for each in caplog.records if each.name.startswith("locust_ext")] == []
