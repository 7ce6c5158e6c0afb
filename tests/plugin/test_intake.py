"""`plugin.intake`: Locust's request event on one side, the recorder on the other; each operation once."""

from __future__ import annotations

from locust.env import Environment

import gc
from decimal import Decimal
from time import monotonic
from typing import Any

import pytest

from locust_ext.errors import ERROR_CLASSES, OperationError, is_error_class
from locust_ext.model import OperationStats
from locust_ext.plugin.intake import Intake, drop_intake, intake_of
from locust_ext.plugin.users.agent import AgentUser
from locust_ext.plugin.users.context import ContextServerUser
from tests.e2e.runs import Server
from tests.peers import eventually
from tests.plugin.inside import user_class
from tests.runtime.locusting import running


class User:
    """As much of one as `Intake.report` asks for."""

    def __init__(self, **context: Any) -> None:
        self._context = context

    def context(self) -> dict[str, Any]:
        return self._context


@pytest.fixture
def intake() -> Intake:
    return intake_of(Environment())


def only(intake: Intake) -> OperationStats:
    (found,) = intake.recorder.snapshot(monotonic()).operations
    return found


FIRED = {"response_length": 5, "context": {}}


# ── other people's events ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_foreign_success_is_an_ok_operation(intake: Intake) -> None:
    """Its milliseconds become microseconds."""
    intake.fire(request_type="GET", name="/x", response_time=1.2345, exception=None, **FIRED)
    found = only(intake)
    assert (found.type, found.name, found.ok, found.started, found.bytes_received) == ("GET", "/x", 1, 1, 5)
    assert found.latency.sum_us == 1235


@pytest.mark.parametrize("response_time", [None, 0, 0.0])
def test_no_time_is_not_the_time_0(intake: Intake, response_time: Any) -> None:
    """None stays out of the latencies; 0 is what somebody measured."""
    intake.fire(request_type="SEND", name="x", response_time=response_time, exception=None, **FIRED)
    assert only(intake).latency.count == (0 if response_time is None else 1)


def test_a_foreign_failure_has_a_class(intake: Intake) -> None:
    """Also when the exception is a text, and when the length is missing or None."""
    for exception in (TimeoutError("secret"), "a text"):
        intake.fire(
            request_type="GET", name="/x", response_time=5.0, exception=exception, response_length=None, context={}
        )
    found = only(intake)
    assert (found.timed_out, found.failed) == (1, 1)
    assert dict(found.errors) == {"timeout": 1, "check_failed": 1}
    assert found.in_flight == 0


def test_events_with_more_arguments_than_known_are_taken(intake: Intake) -> None:
    """Locust's own clients add ``url``, ``response``, ``start_time``; others what they like."""
    intake.fire(request_type="GET", name="/x", response_time=1.0, exception=None, url="u", what="ever", **FIRED)
    assert only(intake).ok == 1


# ── our own ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_our_operations_travel_with_their_microseconds(intake: Intake) -> None:
    """Locust sees milliseconds, the recorder the exact ones, the service time and the tags; in flight ends."""
    intake.recorder.started("WS", "ask", ("t",))
    assert only(intake).in_flight == 1
    intake.report(User(), "WS", "ask", 1501, 7, None, 901, ("t",))
    found = only(intake)
    assert (found.ok, found.in_flight, found.tags) == (1, 0, ("t",))
    assert found.latency.sum_us == 1501
    assert found.service is not None
    assert found.service.sum_us == 901


def test_all_six_core_arguments_are_fired() -> None:
    """A missing one loses the sample in Locust's own listeners; contexts are merged."""
    environment = Environment()
    seen: list[dict[str, Any]] = []
    environment.events.request.add_listener(lambda **fired: seen.append(fired))
    intake = intake_of(environment)
    intake.recorder.started("WS", "ask")
    intake.report(User(a=1, b=1), "WS", "ask", 1500, 7, context={"b": 2})
    core = ("request_type", "name", "response_time", "response_length", "exception", "context")
    assert tuple(seen[0][each] for each in core) == ("WS", "ask", 1.5, 7, None, {"a": 1, "b": 2})


def test_a_listener_that_raises_costs_no_count(intake: Intake) -> None:
    """Locust logs it and goes on."""

    def raises(**_: Any) -> None:
        raise RuntimeError("on purpose")

    intake._request.add_listener(raises)
    intake.recorder.started("WS", "ask")
    intake.report(User(), "WS", "ask", 1500)
    assert only(intake).ok == 1


# ── one door ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_environment_has_one_intake() -> None:
    """Made at first use, dropped with its listener, and no reason to keep an environment alive."""
    environment = Environment()
    intake = intake_of(environment)
    assert intake_of(environment) is intake
    drop_intake(environment)
    drop_intake(environment)
    environment.events.request.fire(request_type="GET", name="/", response_time=1.0, exception=None, **FIRED)
    assert intake.recorder.snapshot(monotonic()).operations == ()
    assert intake_of(environment) is not intake
    drop_intake(environment)
    from locust_ext.plugin import intake as module

    before = len(module._intakes)
    intake_of(Environment())
    gc.collect()
    assert len(module._intakes) <= before + 1


def test_what_each_type_records(server: Server) -> None:
    """The vocabulary of the design: types, names, and when there is no response time."""

    class Both(AgentUser, ContextServerUser):
        abstract = True

    def does(user: Any) -> None:
        user.ws.request({"type": "ping"})
        user.ws.send({"type": "heartbeat"})
        user.live.ensure()
        user.live.call("context_set", {"key": "k", "value": 1})
        user.get("k")
        user.set("k", 2)
        if user.random.random() < 0.2:
            user.ws.connection.abort()

    with running(user_class(Both, does, heartbeat_s=0), server.url) as run:
        eventually(lambda: len(run.of_type("DROP")) >= 2, 10.0)
        run.stop()
        found: dict[str, set[Any]] = {}
        for each in run.events:
            found.setdefault(f"{each.type} {each.name}", set()).add(each.response_time is None)
        assert found == {
            "CONNECT /api/v1/ws/{client_id}": {False},
            "CONNECT /socket.io/": {False},
            "WS ping": {False},
            "SEND heartbeat": {True},
            "SIO context_set": {False},
            "GET /ctx": {False},
            "POST /ctx": {False},
            "DROP /api/v1/ws/{client_id}": {True},
        }
        stats = run.environment.stats
        assert stats.get("heartbeat", "SEND").avg_response_time == 0  # no sample, and so no average
        assert stats.get("heartbeat", "SEND").num_none_requests == stats.get("heartbeat", "SEND").num_requests
        assert stats.get("/api/v1/ws/{client_id}", "DROP").num_failures == len(run.of_type("DROP"))
        assert not [each for each in run.events if each.response_time == 0]


def test_the_first_word_of_every_failure_is_a_class(server: Server) -> None:
    """Under all faults together, of all clients; Locust has one row for each distinct text."""
    server.misbehave(drop_ratio=0.05, error_ratio=0.15, silent_ratio=0.05, seed=9)

    class Both(AgentUser, ContextServerUser):
        abstract = True

    def does(user: Any) -> None:
        operations = (
            lambda: user.ws.request({"type": "ping"}, timeout_s=0.1),
            lambda: user.ws.request({"type": "nonsense"}, timeout_s=0.1),
            lambda: user.get(""),
            lambda: user.get("k"),
            lambda: user.download("nothing"),
            lambda: user.open("/nowhere"),
            lambda: user.live.call("context_set", {"key": user.client_id}, timeout_s=0.1),
        )
        user.live.ensure()
        user.random.choice(operations)()

    with running(user_class(Both, does, heartbeat_s=0, connect_timeout_s=0.5), server.url, count=5) as run:
        eventually(lambda: len([each for each in run.events if each.exception is not None]) > 200, 15.0)
        run.stop()
        failures = [each.exception for each in run.events if each.exception is not None]
        assert all(isinstance(each, OperationError) for each in failures)
        words = {str(each).split()[0] for each in failures}
        assert all(is_error_class(word) for word in words), words
        assert words >= {"timeout", "lost", "error_reply", "http_400", "http_404", "http_500"}
        assert {repr(each) for each in failures} == {str(each) for each in failures}
        assert len({str(each) for each in failures}) < 20
        assert run.runner.exceptions == {}


def test_the_vocabulary_is_closed() -> None:
    """Besides the list only ``http_<status>`` and ``closed_<code>``."""
    assert all(is_error_class(each) for each in (*ERROR_CLASSES, "http_503", "closed_1011"))
    assert not any(is_error_class(each) for each in ("", "http_", "http_x", "closed", "Timeout", "http_503 ", "404"))


@pytest.mark.parametrize(
    ("length", "counted"),
    [(-1, 0), (12.4, 12), (2**80, 2**50), (None, 0), ("17", 17), ("much", 0), (float("nan"), 0), (True, 1)],
)
def test_what_others_say_of_lengths_can_be_added_up_and_sent(intake: Intake, length: Any, counted: int) -> None:
    intake.fire(request_type="X", name="x", response_time=1.0, response_length=length, exception=None, context={})
    found = only(intake)
    assert (found.ok, found.bytes_received) == (1, counted)
    assert type(found.bytes_received) is int


@pytest.mark.parametrize(
    ("time_ms", "counted_us"),
    [(-5, 0), (1e300, 2**50), (Decimal("3.5"), 3500), (float("inf"), 2**50), (float("nan"), None), (0.0004, 0)],
)
def test_what_others_say_of_times_can_be_added_up_and_sent(
    intake: Intake, time_ms: Any, counted_us: int | None
) -> None:
    intake.on_request("X", "x", time_ms, 1)
    found = only(intake)
    assert found.ok == 1
    assert found.latency.max_us == counted_us
