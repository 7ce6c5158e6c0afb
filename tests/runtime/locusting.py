"""A real Locust runner in this process, with users against scripted peers."""

from __future__ import annotations

from locust import User
from locust.env import Environment
from locust.runners import LocalRunner

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from locust_ext.core.accounting.recorder import Recorder
from locust_ext.model import OperationStats
from locust_ext.plugin.intake import drop_intake, intake_of
from tests.peers import eventually
from tests.runtime.connecting import ledger


@dataclass
class Event:
    """One request event of Locust."""

    type: str
    name: str
    response_time: float | None
    exception: Any
    at_s: float


@dataclass
class Run:
    """A running load test."""

    environment: Environment
    runner: LocalRunner
    recorder: Recorder
    events: list[Event] = field(default_factory=list)

    @property
    def users(self) -> list[Any]:
        return [greenlet.args[0] for greenlet in self.runner.user_greenlets]

    @property
    def user(self) -> Any:
        return eventually(lambda: self.users)[0]

    def of_type(self, *types: str) -> list[Event]:
        return [each for each in self.events if each.type in types]

    def failures(self, *types: str) -> list[str]:
        """The failure texts of these types, in order."""
        return [str(each.exception) for each in self.of_type(*types) if each.exception is not None]

    def ledger(self, type_: str, name: str | None = None) -> OperationStats:
        return ledger(self.recorder, type_, name)

    @property
    def states(self) -> dict[str, int]:
        return dict(self.recorder.snapshot(monotonic()).connections.states)

    def balance(self) -> dict[str, OperationStats]:
        """All ledgers by type and name, each of which balances and agrees with Locust's own events."""
        found = {}
        for each in self.recorder.snapshot(monotonic()).operations:
            ended = each.ok + each.failed + each.timed_out + each.lost
            assert each.started == ended + each.cancelled + each.in_flight
            told = [event for event in self.events if (event.type, event.name) == (each.type, each.name)]
            assert len(told) == ended, f"{each.type} {each.name}: {len(told)} events, {ended} outcomes"
            assert sum(event.exception is not None for event in told) == ended - each.ok
            found[f"{each.type} {each.name}"] = each
        return found

    def stop(self, within_s: float = 2.0) -> float:
        """Stop all users; seconds that it took."""
        begun_s = monotonic()
        self.runner.stop()
        took_s = monotonic() - begun_s
        assert took_s < within_s
        return took_s


@contextmanager
def running(user_class: type[User], host: str, count: int = 1, **settings: Any) -> Iterator[Run]:
    """``count`` users, all spawned at once; stopped at the end, with every ledger in balance and nothing in flight."""
    environment = Environment(user_classes=[user_class], host=host, **settings)
    runner = environment.create_local_runner()
    run = Run(environment, runner, intake_of(environment).recorder)

    def note(request_type: str, name: str, response_time: Any, exception: Any = None, **_: Any) -> None:
        run.events.append(Event(request_type, name, response_time, exception, monotonic()))

    environment.events.request.add_listener(note)
    try:
        runner.start(count, spawn_rate=max(count, 1), wait=False)
        yield run
    finally:
        try:
            runner.stop()
            for each in run.balance().values():
                assert each.in_flight == 0, f"{each.type} {each.name} is still in flight"
            assert run.states == {}
        finally:
            runner.quit()
            runner.greenlet.kill()
            drop_intake(environment)
