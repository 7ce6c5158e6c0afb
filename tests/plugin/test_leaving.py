"""`plugin.leaving`: a run that a worker has left is not valid, and not good where nobody stayed."""

from __future__ import annotations

from locust.env import Environment

from types import SimpleNamespace
from typing import Any

import pytest

from locust_ext.core.accounting.recorder import Recorder
from locust_ext.plugin.leaving import LONGEST_REASON, Leavers


class Master:
    """As much of Locust's as is needed."""

    def __init__(self) -> None:
        self.environment = Environment()
        self.listeners: dict[str, Any] = {}
        self.clients: dict[str, Any] = {}

    def register_message(self, name: str, listener: Any) -> None:
        self.listeners[name] = listener

    def get_worker_index(self, client_id: str) -> int:
        return {"first": 0, "second": 1}[client_id]

    def hears(self, worker: str, data: object) -> None:
        (listener,) = self.listeners.values()
        listener(environment=self.environment, msg=SimpleNamespace(node_id=worker, data=data))


@pytest.fixture
def recorder() -> Recorder:
    made = Recorder()
    made.begin("run", 0.0)
    return made


def test_the_reason_of_each_worker_is_a_reason_of_the_run(recorder: Recorder) -> None:
    master = Master()
    leavers = Leavers(master, recorder)  # type: ignore[arg-type]
    leavers.begin()
    master.hears("second", {"reason": "t.yaml: no such file"})
    master.hears("first", {"reason": "x\n\x1b[31m" + "y" * 9000})
    first, second = sorted(recorder.snapshot(1.0).run.invalid_because)
    assert first == "worker 0 left: x[31m" + "y" * (LONGEST_REASON - 5)
    assert second == "worker 1 left: t.yaml: no such file"


def test_a_run_that_ends_because_its_last_worker_has_quit_is_not_valid(recorder: Recorder) -> None:
    master = Master()
    leavers = Leavers(master, recorder)  # type: ignore[arg-type]
    leavers.begin()
    leavers.look()
    assert recorder.snapshot(1.0).run.invalid_because == ("all its workers had left before it was over",)


def test_workers_that_quit_when_the_run_is_over_do_not_make_it_invalid(recorder: Recorder) -> None:
    """Locust then says a second time that the run ends."""
    master = Master()
    leavers = Leavers(master, recorder)  # type: ignore[arg-type]
    leavers.begin()
    master.clients = {"first": object()}
    leavers.look()
    master.clients = {}
    leavers.look()
    assert recorder.snapshot(1.0).run.invalid_because == ()
    leavers.begin()
    leavers.look()
    assert recorder.snapshot(1.0).run.invalid_because == ("all its workers had left before it was over",)


@pytest.mark.parametrize("data", [None, [], {"reason": None}, {"reason": {1: 2}}])
def test_whatever_a_worker_says_harms_nothing(recorder: Recorder, data: object) -> None:
    master = Master()
    Leavers(master, recorder).begin()  # type: ignore[arg-type]
    master.hears("first", data)
    (reason,) = recorder.snapshot(1.0).run.invalid_because
    assert reason.startswith("worker 0 left: ")


def test_the_exit_code_is_1_where_nobody_made_any_load_and_each_run_starts_anew(recorder: Recorder) -> None:
    master = Master()
    leavers = Leavers(master, recorder)  # type: ignore[arg-type]
    leavers.decide_exit_code(recorder.snapshot(1.0))
    assert master.environment.process_exit_code is None
    master.hears("first", {"reason": "x"})
    leavers.begin()
    leavers.decide_exit_code(recorder.snapshot(1.0))
    assert master.environment.process_exit_code is None, "it left an earlier run"
    master.hears("first", {"reason": "x"})
    recorder.operation("WS", "ping", 5, 5)
    leavers.decide_exit_code(recorder.snapshot(1.0))
    assert master.environment.process_exit_code is None, "somebody made load"
    recorder.begin("next", 2.0)
    leavers.decide_exit_code(recorder.snapshot(3.0))
    assert master.environment.process_exit_code == 1
