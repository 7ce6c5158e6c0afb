"""`Shape`: what tells Locust how many users there shall be, at which moment; and what its parameters are.

Locust asks a shape once a second, and waits for what it answers. So that the users follow the plan within a second, each
answer is one step: a spawn rate of no less than the change, which does not hold Locust up, neither here nor on a master.
An answer is also held back until the moment of the change. ``--run-time`` ends the run, which Locust leaves to shapes.
"""

from __future__ import annotations

from locust import LoadTestShape
from locust.runners import STATE_RUNNING, STATE_SPAWNING, MasterRunner, Runner

from abc import abstractmethod
from dataclasses import MISSING, fields
from difflib import get_close_matches
from math import inf
from typing import Any, ClassVar, Final

import gevent

from locust_ext.core.schedules import Target
from locust_ext.errors import ConfigError

TICK_S: Final = 1.0
"""Locust's own pace."""
MENDING_S: Final = 5.0
"""How long after users were asked to leave (and Locust's stop timeout) missing ones are still made up for."""

_Tick = tuple[int, float, list[Any] | None]


class Shape(LoadTestShape):
    """Tells Locust what `planned` says, at the moments that `next_change_s` says; both are a subclass's.

    One instance serves run after run. All is called by Locust's shape greenlet but `planned_users`, which anybody may ask.
    """

    abstract = True
    use_common_options = True  # --run-time holds, and stands in the web UI's form

    def __init__(self) -> None:
        super().__init__()
        self._last: _Tick | None = None
        self._planned_users = 0
        self._has_started = False
        """Locust has begun the run: `test_start` is over."""
        self._mends_until_s = 0.0
        self._listens_to: Any = None

    @abstractmethod
    def planned(self, elapsed_s: float) -> Target | None:
        """What is planned so many seconds after the start of the run; None: the run is over."""

    @abstractmethod
    def next_change_s(self, elapsed_s: float) -> float:
        """When something else is planned next, in seconds after the start of the run; `inf`: never."""

    def check(self) -> None:
        """Raise `ConfigError` if the parameters are wrong; called before the run."""

    @property
    def peak_users(self) -> int:
        """The most that may be planned, as far as that is known before the run."""
        return 0

    @property
    def moves(self) -> bool:
        """False: the users come at once, and then their number stands."""
        return True

    @property
    def text(self) -> str:
        """What it is, for a report's line."""
        return type(self).__name__

    @property
    def planned_users(self) -> int | None:
        """How many users there should be now; None: no run of this shape is going on."""
        if self._last is None or not self._has_started or self._runner.state not in (STATE_SPAWNING, STATE_RUNNING):
            return None
        elapsed_s = self.get_run_time()
        target = None if elapsed_s >= self.run_time_s else self.planned(elapsed_s)
        return None if target is None else target.users

    @property
    def run_time_s(self) -> float:
        """``--run-time``, or what the web UI's form says; `inf`: none was given."""
        given = getattr(self._runner.environment.parsed_options, "run_time", None)
        return float(given) if given else inf

    @property
    def _runner(self) -> Runner:
        assert self.runner is not None, "Locust sets the runner"
        return self.runner

    # ── Locust asks ────────────────────────────────────────────────────────────────────────────────────────────────

    def tick(self) -> tuple[int, float, list[Any] | None] | None:
        """Locust's question, once a second: how many users, how many of them a second, of which classes."""
        if self._runner.shape_last_tick is None:
            return self._begin()
        if not self._has_started:
            return self._wait_for_start()
        now_s = self.get_run_time()
        change_s = min(self.next_change_s(now_s), self.run_time_s)
        if now_s < change_s < now_s + TICK_S <= self.next_change_s(change_s) and self._has_told(now_s):
            now_s = self._wait_until(change_s)
        target = None if now_s >= self.run_time_s else self._target(now_s)
        if target is None:
            self._last = None
            return None
        return self._answer(target, now_s)

    def _has_told(self, now_s: float) -> bool:
        """Whether Locust knows what holds now: what it does not know must not wait for what comes next."""
        target = self.planned(now_s)
        if target is None or self._last is None:
            return target is None
        return (target.users, self._classes(target.user_classes)) == (self._last[0], self._last[2])

    def _target(self, now_s: float) -> Target | None:
        """What to tell Locust. Of several changes before it asks again: half a second early is as good as late."""
        target = self.planned(now_s)
        if target is not None and self.next_change_s(now_s) < now_s + TICK_S:
            target = self.planned(now_s + TICK_S / 2) or target
        return target

    def _wait_until(self, moment_s: float) -> float:
        """Hold the answer back; gives the time that it is."""
        while (left_s := moment_s - self.get_run_time()) > 1e-6:
            gevent.sleep(left_s)
        return max(self.get_run_time(), moment_s)

    def _begin(self) -> _Tick | None:
        """The first tick of a run; Locust will fire `test_start` because of it."""
        self._listen()
        self._has_started, self._last = False, None
        self._planned_users, self._mends_until_s = 0, 0.0
        target = self._target(0.0)
        return None if target is None else self._answer(target, 0.0)

    def _listen(self) -> None:
        events = self._runner.environment.events
        if self._listens_to is not events:
            self._listens_to = events
            events.test_start.add_listener(self._on_test_start)

    def _on_test_start(self, **_: Any) -> None:
        """The plan's time begins with the run's, however long it took to come so far."""
        if self._runner.environment.shape_class is self:
            self._has_started = True
            self.reset_time()

    def _wait_for_start(self) -> _Tick | None:
        """Listeners take their time at `test_start`; a master that has not come so far by now has no workers."""
        if isinstance(self._runner, MasterRunner):
            self._last = None
        return self._last

    def _answer(self, target: Target, now_s: float) -> _Tick:
        """The last one, if there is nothing new to say."""
        present = self.get_current_user_count()
        user_classes = self._classes(target.user_classes)
        last = self._last
        if target.users < self._planned_users:
            self._mends_until_s = now_s + float(self._runner.environment.stop_timeout or 0.0) + MENDING_S
        # Locust takes users that are still closing for such as stay.
        is_short = present < target.users and now_s < self._mends_until_s
        if last is not None and last[0] == target.users and last[2] == user_classes and not is_short:
            return last
        change = max(abs(target.users - self._planned_users), abs(target.users - present), 1)
        rate = float(change)
        if last is not None and last[:2] == (target.users, rate):
            rate += 1.0
        self._planned_users = target.users
        self._last = (target.users, rate, user_classes)
        return self._last

    def _classes(self, names: tuple[str, ...] | None) -> list[Any] | None:
        """None: Locust goes on as it did."""
        if names is None:
            return None
        return [cls for cls in self._runner.user_classes if cls.__name__ in names]


class ParameterShape(Shape):
    """A shape whose parameters are those of a schedule of `core.schedules`, and attributes of the class."""

    abstract = True
    schedule: ClassVar[type[Any] | None] = None
    """Of `core.schedules`."""
    place: ClassVar[tuple[str, str]] = ("", "")
    """For errors: the file and the key that the parameters stand under; the class, if empty."""

    def make_schedule(self) -> Any:
        """From the parameters. Raises `ConfigError`."""
        assert self.schedule is not None, "a shape without a schedule makes its own plan"
        names = [field.name for field in fields(self.schedule)]
        given = {name: getattr(self, name) for name in names if hasattr(self, name)}
        try:
            self._look_for_misspelt(names)
            for field in fields(self.schedule):
                if field.name not in given and field.default is MISSING:
                    raise ConfigError("this parameter is required", key=field.name)
            return self.schedule(**given)
        except ConfigError as error:
            source, key = self.place
            raise error.under(key or type(self).__name__, source) from None

    def _look_for_misspelt(self, names: list[str]) -> None:
        """A parameter that does not exist would be ignored in silence."""
        for cls in type(self).__mro__:
            if cls is ParameterShape:
                break
            for name, value in vars(cls).items():
                if name.startswith("_") or name in names or hasattr(ParameterShape, name):
                    continue
                if not callable(value) and not isinstance(value, property | classmethod | staticmethod):
                    near = get_close_matches(name, names, n=1)
                    expected = f"unknown parameter, expected one of {', '.join(names)}"
                    raise ConfigError(expected, key=name, nearest=near[0] if near else None)

    @property
    def text(self) -> str:
        text: str = self.make_schedule().text if self.schedule is not None else super().text
        return text
