"""The whole rate of a run (``--ext-rate``): what is wanted, each worker's part of it, and how it is told.

A worker tells its master ten times a second at most how many of its users talk by the rate; the master shares the rate out
by that, and tells each worker its part as messages a second for the time to come. The parts add up to the rate at every
moment, also when workers join, leave or fall silent. Within a worker its users take turns (`runtime.turns`).
"""

from __future__ import annotations

from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from time import monotonic
from typing import Any

from locust_ext.core.lifecycle import Bursty, pattern
from locust_ext.core.pacing import OpenLoop
from locust_ext.core.rate import RateOf, RateStage, StagedRate, mean_rate, shares
from locust_ext.errors import ConfigError
from locust_ext.plugin.intake import Intake
from locust_ext.plugin.users.base import RealTimeUser
from locust_ext.runtime.process import shared
from locust_ext.runtime.ticker import Ticker
from locust_ext.runtime.turns import Turns
from locust_ext.settings.rate import RateSettings

logger = logging.getLogger("locust_ext")

PACED = "locust_ext.paced"
"""A worker's message to its master: how many of its users talk by the rate."""
PACE = "locust_ext.pace"
"""The master's answer: messages a second for this worker."""
INTERVAL_S = 0.1
AGAIN_S = 0.25
"""What has not changed is told again after so long."""
SILENT_S = 1.5
"""A worker that has told nothing for so long gets no part of the rate."""
BEHIND_S = 1.0
"""Messages that are due for so long are worth a warning."""
MAX_RATE = 1e7


@dataclass(frozen=True, slots=True)
class WantedRate:
    """What is asked for: a plan, or so much for each user that talks."""

    rate_of: RateOf | None = None
    per_user: float | None = None
    is_poisson: bool = False
    constant: float | None = None
    """The rate, where it never changes."""

    def at(self, elapsed_s: float, users: int) -> float:
        """Messages a second, for the next interval."""
        if self.constant is not None:
            return self.constant
        if self.per_user is not None:
            return self.per_user * users
        assert self.rate_of is not None
        return mean_rate(self.rate_of, elapsed_s, elapsed_s + INTERVAL_S)


def wanted_rate(options: Any, settings: RateSettings | None) -> WantedRate | None:
    """What ``--ext-rate`` says, or else the settings' ``rate``; None: no rate is given. Raises `ConfigError`."""
    given = getattr(options, "ext_rate", None)
    is_poisson = settings is not None and settings.poisson
    if given is not None and given != "":
        try:
            rate = float(given)
        except (TypeError, ValueError):
            rate = 0.0
        if not 0 < rate <= MAX_RATE:
            raise ConfigError("expected messages a second, more than 0", source="--ext-rate", value=given)
        return WantedRate(constant=rate, is_poisson=is_poisson)
    if settings is None:
        return None
    if settings.stages is not None:
        plan = StagedRate([RateStage(each.for_s, each.rate, each.to) for each in settings.stages])
        return WantedRate(rate_of=plan, is_poisson=is_poisson)
    return WantedRate(constant=settings.per_s, per_user=settings.per_user, is_poisson=is_poisson)


def check_rated(user_classes: Iterable[type[Any]], source: str = "--ext-rate") -> None:
    """Whether users of these classes can share a rate. Raises `ConfigError`, which names the class that cannot."""
    speakers = 0
    classes = list(user_classes)
    for cls in classes:
        why = None
        if not issubclass(cls, RealTimeUser):
            why = "it is none of locust_ext's"
        elif cls._is_task_driven:
            why = "it is driven by its tasks, and wait_time says how often"
        elif isinstance(pattern(cls.pattern), Bursty):
            why = "bursts keep an interval of their own"
        elif cls.plays_profiles or cls.generator is not None:
            speakers += 1
        if why is not None:
            raise ConfigError(
                f"expected user classes that are driven by a generator: {why}", source=source, value=cls.__name__
            )
    if classes and not speakers:
        raise ConfigError("expected a user class with a generator", source=source, value=classes[0].__name__)


class Pace:
    """The rate in a process that makes load by itself; on it the other two build. `begin` and `end` once a run."""

    def __init__(self, environment: Environment, intake: Intake) -> None:
        self.environment = environment
        self.recorder = intake.recorder
        self._intake = intake
        self._wanted: WantedRate | None = None
        self._run_id = ""
        self._ticker = Ticker(INTERVAL_S, self._tick)
        self._began_s = self._warmup_s = self._looked_s = 0.0
        self._messages = 0.0
        """That were wanted since the end of the warm-up."""
        self._open_loops_per_s = 0.0
        self._open_loops_at_s = -math.inf
        self._is_behind = False
        self._is_on = self._has_open_loops = False
        self.rate_now: float | None = None
        """Messages a second that are wanted now over all users and workers; None: no rate is."""

    # ── the run ────────────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self, wanted: WantedRate | None, run_id: str, warmup_s: float = 0.0, seed: int | None = None) -> None:
        """A run starts; before its users are made."""
        self.end()
        self._wanted = wanted
        self._began_s = self._looked_s = monotonic()
        self._warmup_s = warmup_s
        self._messages, self._open_loops_per_s, self._open_loops_at_s = 0.0, 0.0, -math.inf
        self._is_behind, self._is_on = False, True
        self._run_id = run_id
        self.rate_now = None
        if wanted is not None and self._makes_load:
            rng = Random(shared().random.getrandbits(64) if seed is None else seed)
            self._intake.turns = Turns(shared(), rng, wanted.is_poisson)
        self._has_open_loops = any(
            isinstance(getattr(cls, "pacing", None), OpenLoop) for cls in self.environment.user_classes
        )
        if wanted is not None or self._has_open_loops:
            self._tick(self._began_s)
            self._ticker.start()

    _makes_load = True

    def end(self) -> None:
        """The run is over, or this process leaves it; idempotent."""
        if not self._is_on:
            return
        self._is_on = False
        self._tick_last(monotonic())
        self._ticker.close()
        turns, self._intake.turns = self._intake.turns, None
        if turns is not None:
            turns.close()
            if turns.skipped > turns.taken / 100:
                logger.info(
                    "%s messages of the rate were left out while there were no users, or too few, to say them",
                    f"{turns.skipped:,}",
                )

    def _tick_last(self, now_s: float) -> None:
        self._add_up(now_s)
        lasted_s = now_s - self._began_s - self._warmup_s
        if self.rate_now is not None and lasted_s > 0:
            constant = None if self._wanted is None else self._wanted.constant
            self.recorder.describe(target_rate_per_s=self._messages / lasted_s if constant is None else constant)

    def close(self) -> None:
        """Idempotent."""
        self.end()

    # ── ten times a second ─────────────────────────────────────────────────────────────────────────────────────────

    def _tick(self, now_s: float) -> None:
        self._add_up(now_s)
        turns = self._intake.turns
        if self._wanted is not None and turns is not None:
            rate = self._wanted.at(now_s - self._began_s, turns.present)
            turns.change_rate(now_s, rate)
            self._tell(rate)
            self._look_behind(turns, now_s)
        elif (rate := self.open_loops_per_s(now_s)) or self.rate_now is not None:
            self._tell(rate)

    def _tell(self, rate: float) -> None:
        if rate != self.rate_now:
            self.rate_now = rate
            self.recorder.describe(target_rate_per_s=rate)

    def _add_up(self, now_s: float) -> None:
        from_s = max(self._looked_s, self._began_s + self._warmup_s)
        self._messages += (self.rate_now or 0.0) * max(0.0, now_s - from_s)
        self._looked_s = now_s

    def open_loops_per_s(self, now_s: float) -> float:
        """What the connected users of this process want to say by ``OpenLoop``s of their own; looked at once a second."""
        if now_s - self._open_loops_at_s >= 1.0:
            self._open_loops_at_s = now_s
            runner = self.environment.runner
            found = 0.0
            for greenlet in runner.user_greenlets if runner is not None and self._has_open_loops else ():
                user = greenlet.args[0] if greenlet.args else None
                if isinstance(user, RealTimeUser) and isinstance(user.pacing, OpenLoop) and user.is_connected:
                    found += user.pacing.rate
            self._open_loops_per_s = found
        return self._open_loops_per_s

    def _look_behind(self, turns: Turns, now_s: float) -> None:
        behind_s = turns.behind(now_s)
        if behind_s > BEHIND_S and not self._is_behind:
            self._is_behind = True
            logger.warning(
                "Messages are sent %.1f s after they were due: all %d users wait for their replies, or this process is"
                " too slow; what is late is made up for, and the corrected latency holds the delay",
                behind_s,
                turns.present,
            )
        elif behind_s < BEHIND_S / 10 and self._is_behind:
            self._is_behind = False
            logger.info("The messages that were late have been made up for")


class MasterPace(Pace):
    """The rate on a master, which makes no load and shares the rate out."""

    _makes_load = False

    def __init__(self, environment: Environment, intake: Intake, runner: MasterRunner) -> None:
        super().__init__(environment, intake)
        self._runner = runner
        self._users: dict[str, int] = {}
        self._open_loops: dict[str, float] = {}
        self._heard_s: dict[str, float] = {}
        self._told: dict[str, tuple[float, float]] = {}
        """Worker -> its part of the rate, and when it was told."""
        runner.register_message(PACED, self._on_paced)

    def begin(self, wanted: WantedRate | None, run_id: str, warmup_s: float = 0.0, seed: int | None = None) -> None:
        for table in (self._users, self._open_loops, self._heard_s, self._told):
            table.clear()
        super().begin(wanted, run_id, warmup_s, seed)

    def _on_paced(self, environment: Environment, msg: Any, **_: Any) -> None:
        """What arrives is not trusted."""
        told = msg.data if isinstance(msg.data, dict) else {}
        users, open_loops = told.get("users"), told.get("open_loops_per_s")
        if not self._is_on or told.get("run") != self._run_id or msg.node_id not in self._runner.clients:
            return
        if isinstance(users, int) and users >= 0:
            is_first = users > 0 and not self._users.get(msg.node_id)
            self._users[msg.node_id] = users
            self._heard_s[msg.node_id] = monotonic()
            if isinstance(open_loops, int | float) and 0 <= open_loops < math.inf:
                self._open_loops[msg.node_id] = float(open_loops)
            if is_first:
                self._tick(monotonic())

    def _tick(self, now_s: float) -> None:
        self._add_up(now_s)
        for worker in [each for each, heard_s in self._heard_s.items() if now_s - heard_s > SILENT_S]:
            del self._heard_s[worker], self._users[worker]
            self._open_loops.pop(worker, None)
            self._told.pop(worker, None)
        if self._wanted is None:
            rate = sum(self._open_loops.values())
            if rate or self.rate_now is not None:
                self._tell(rate)
            return
        rate = self._wanted.at(now_s - self._began_s, sum(self._users.values()))
        self._tell(rate)
        for worker, share in shares(self._users).items():
            part = rate * share
            told, told_s = self._told.get(worker, (-1.0, 0.0))
            if part != told or now_s - told_s >= AGAIN_S:
                self._told[worker] = (part, now_s)
                self._runner.send_message(PACE, {"run": self._run_id, "rate": part}, client_id=worker)


class WorkerPace(Pace):
    """The rate in a worker: its master says what its part is."""

    def __init__(self, environment: Environment, intake: Intake, runner: WorkerRunner) -> None:
        super().__init__(environment, intake)
        self._runner = runner
        self._told: tuple[int, float] | None = None
        self._told_s = 0.0
        runner.register_message(PACE, self._on_pace)

    def _on_pace(self, environment: Environment, msg: Any, **_: Any) -> None:
        turns = self._intake.turns
        told = msg.data if isinstance(msg.data, dict) else {}
        rate = told.get("rate")
        if turns is not None and told.get("run") == self._run_id and isinstance(rate, int | float) and rate >= 0:
            turns.change_rate(monotonic(), float(rate))

    def _tick(self, now_s: float) -> None:
        turns = self._intake.turns
        news = (turns.present if turns is not None else 0, self.open_loops_per_s(now_s))
        if turns is not None:
            self._look_behind(turns, now_s)
        elif not news[1] and self._told is None:
            return  # nothing here is paced
        if news != self._told or now_s - self._told_s >= AGAIN_S:
            self._told, self._told_s = news, now_s
            self._runner.send_message(PACED, {"run": self._run_id, "users": news[0], "open_loops_per_s": news[1]})

    def _tick_last(self, now_s: float) -> None:
        if self._told is not None:
            self._told = None
            self._runner.send_message(PACED, {"run": self._run_id, "users": 0, "open_loops_per_s": 0.0})


def pace_of(environment: Environment, intake: Intake) -> Pace:
    """The one that fits this process."""
    runner = environment.runner
    if isinstance(runner, WorkerRunner):
        return WorkerPace(environment, intake, runner)
    if isinstance(runner, MasterRunner):
        return MasterPace(environment, intake, runner)
    return Pace(environment, intake)
