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
from random import Random
from time import monotonic
from typing import Any

from locust_ext.core.pacing import OpenLoop
from locust_ext.core.rate import shares
from locust_ext.plugin.intake import Intake
from locust_ext.plugin.wanted_rate import INTERVAL_S, WantedRate, are_all_open
from locust_ext.runtime.process import shared
from locust_ext.runtime.ticker import Ticker
from locust_ext.runtime.turns import Turns

logger = logging.getLogger("locust_ext")

PACED = "locust_ext.paced"
"""A worker's message to its master: how many of its users talk by the rate."""
PACE = "locust_ext.pace"
"""The master's answer: messages a second for this worker."""
AGAIN_S = 0.25
"""What has not changed is told again after so long."""
SILENT_S = 1.5
"""A worker that has told nothing for so long gets no part of the rate."""
BEHIND_S = 1.0
"""Messages that are due for so long are worth a warning."""
LOOK_BEHIND_S = 0.5
"""How often it is looked whether they are."""


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
        self._ended_s: float | None = None
        self._planned = self._wanted_in_all = 0.0
        """Messages of a plan of stages so far."""
        self._open_loops_before = self._left_out_before = 0.0
        """What the process's open loops had come to before this run."""
        self._from: tuple[float, float] | None = None
        """The end of the warm-up, and how many messages had been wanted until then."""
        self._looked_behind_s = -math.inf
        self._is_behind = False
        self._is_on = self._has_open_loops = self._adds_up = False
        self.rate_now: float | None = None
        """Messages a second that are wanted now over all users and workers; None: no rate is."""

    # ── the run ────────────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self, wanted: WantedRate | None, run_id: str, warmup_s: float = 0.0, seed: int | None = None) -> None:
        """A run starts; before its users are made."""
        self.end()
        self._wanted = wanted
        self._began_s = self._looked_s = monotonic()
        self._warmup_s = warmup_s
        self._ended_s, self._from, self._planned = None, None, 0.0
        loops = self._intake.open_loops
        self._open_loops_before, self._left_out_before = loops.messages(self._began_s), loops.left_out
        self._looked_behind_s = -math.inf
        self._is_behind, self._is_on = False, True
        self._run_id = run_id
        self.rate_now = None
        if wanted is not None and self._makes_load:
            rng = Random(shared().random.getrandbits(64) if seed is None else seed)
            self._intake.turns = Turns(shared(), rng, wanted.is_poisson)
        user_classes = self.environment.user_classes
        self._has_open_loops = any(isinstance(getattr(cls, "pacing", None), OpenLoop) for cls in user_classes)
        self._adds_up = are_all_open(user_classes)
        if wanted is not None or self._has_open_loops:
            self._tick(self._began_s)
            self._ticker.start()

    _makes_load = True

    def wind_down(self) -> None:
        """The run is about to end (``test_stopping``): from now on nothing is wanted. Idempotent."""
        if not self._is_on or self._ended_s is not None:
            return
        now_s = monotonic()
        self._add_up(now_s)
        self._ended_s, self._wanted_in_all = now_s, self._wanted_until(now_s)
        if self.rate_now is not None and (paced_s := now_s - self._began_s - self._warmup_s) > 0:
            self.recorder.describe(paced_s=paced_s)
        if self._makes_load:
            self._tell_what_is_left(now_s)

    def end(self) -> None:
        """The run is over, or this process leaves it; idempotent."""
        if not self._is_on:
            return
        self.wind_down()
        self._is_on = False
        self._ticker.close()
        self._tell_target()
        turns, self._intake.turns = self._intake.turns, None
        if turns is not None:
            turns.close()

    def _tell_target(self) -> None:
        """What was wanted over the whole run."""
        if self.rate_now is None or self._ended_s is None:
            return
        from_s, before = self._from or (self._began_s, 0.0)
        constant = None if self._wanted is None else self._wanted.constant
        if constant is not None:
            self.recorder.describe(target_rate_per_s=constant)
        elif self._ended_s > from_s:
            messages = self._wanted_in_all - before
            self.recorder.describe(target_rate_per_s=messages / (self._ended_s - from_s))

    def _tell_what_is_left(self, now_s: float) -> None:
        """In the process that makes the load: what was due, or would have been, and was not said."""
        turns, loops = self._intake.turns, self._intake.open_loops
        if turns is not None:
            behind_s, left_out = turns.behind(now_s), turns.left_out(now_s)
            turns.stop(now_s)
            unsent = turns.unsent
        else:
            (behind_s, _), unsent = loops.behind(now_s), loops.unsent(now_s)
            left_out = int(loops.left_out - self._left_out_before)
        if behind_s > BEHIND_S:
            logger.warning(
                "%s messages had not been sent when the run ended, the oldest %.1f s after it was due",
                f"{unsent:,}",
                behind_s,
            )
        if left_out:
            why = (
                "while no user was connected"
                if turns is not None
                else "whose users' connections went before they were sent"
            )
            logger.warning("%s messages were left out %s", f"{left_out:,}", why)

    def close(self) -> None:
        """Idempotent."""
        self.end()

    # ── ten times a second ─────────────────────────────────────────────────────────────────────────────────────────

    def _tick(self, now_s: float) -> None:
        if self._ended_s is not None:
            return
        self._add_up(now_s)
        turns = self._intake.turns
        if self._wanted is not None and turns is not None:
            rate = self._wanted.at(now_s - self._began_s, turns.present)
            turns.change_rate(now_s, rate)
            self._tell(rate)
        elif self._adds_up and ((rate := self._intake.open_loops.rate_per_s) or self.rate_now is not None):
            self._tell(rate)
        self._look_behind(now_s)

    def _tell(self, rate: float) -> None:
        if rate != self.rate_now:
            self.rate_now = rate
            self.recorder.describe(target_rate_per_s=rate)

    def _add_up(self, now_s: float) -> None:
        """Before the rate changes."""
        self._planned += (self.rate_now or 0.0) * (now_s - self._looked_s)
        self._looked_s = now_s
        if self._from is None and 0 < self._warmup_s <= now_s - self._began_s:
            self._from = (now_s, self._wanted_until(now_s))

    def _wanted_until(self, now_s: float) -> float:
        """Messages that were wanted since the run began."""
        if self._wanted is None:
            return self._open_loops_until(now_s)
        if self._wanted.per_user is not None:
            return self._wanted.per_user * self._user_seconds_until(now_s)
        return self._planned

    def _open_loops_until(self, now_s: float) -> float:
        return self._intake.open_loops.messages(now_s) - self._open_loops_before

    def _user_seconds_until(self, now_s: float) -> float:
        turns = self._intake.turns
        return 0.0 if turns is None else turns.user_seconds(now_s)

    def _look_behind(self, now_s: float) -> None:
        """Once a second: say when messages are late, and when no more."""
        if now_s - self._looked_behind_s < LOOK_BEHIND_S:
            return
        self._looked_behind_s = now_s
        turns, loops = self._intake.turns, self._intake.open_loops
        behind_s, count = loops.behind(now_s) if turns is None else (turns.behind(now_s), turns.present)
        if behind_s > BEHIND_S and not self._is_behind:
            self._is_behind = True
            whole = "all " if turns is not None and count > 1 else ""
            who = f"{whole}{count} user{'s wait' if count > 1 else ' waits'} for replies, or this process is too slow"
            logger.warning(
                "Messages are sent %.1f s after they were due: %s; what is late is made up for, and the corrected latency"
                " holds the delay",
                behind_s,
                who if count else "no user is connected",
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
        self._user_seconds: dict[str, float] = {}
        self._messages: dict[str, float] = {}
        """What each worker's users, and its open loops' messages, have added up to; also of workers that have left."""
        self._heard_s: dict[str, float] = {}
        self._told: dict[str, tuple[float, float]] = {}
        """Worker -> its part of the rate, and when it was told."""
        runner.register_message(PACED, self._on_paced)

    def begin(self, wanted: WantedRate | None, run_id: str, warmup_s: float = 0.0, seed: int | None = None) -> None:
        tables = (self._users, self._open_loops, self._heard_s, self._told, self._user_seconds, self._messages)
        for table in tables:
            table.clear()
        super().begin(wanted, run_id, warmup_s, seed)

    def _on_paced(self, environment: Environment, msg: Any, **_: Any) -> None:
        """What arrives is not trusted."""
        told = msg.data if isinstance(msg.data, dict) else {}
        users = told.get("users")
        if not self._is_on or told.get("run") != self._run_id or msg.node_id not in self._runner.clients:
            return
        if isinstance(users, int) and users >= 0:
            is_first = users > 0 and not self._users.get(msg.node_id)
            self._users[msg.node_id] = users
            self._heard_s[msg.node_id] = monotonic()
            for name, table in (
                ("open_loops_per_s", self._open_loops),
                ("user_s", self._user_seconds),
                ("messages", self._messages),
            ):
                number = told.get(name)
                if isinstance(number, int | float) and 0 <= number < math.inf:
                    table[msg.node_id] = float(number)
            if is_first:
                self._tick(monotonic())

    def _open_loops_until(self, now_s: float) -> float:
        since = sum(self._open_loops.get(worker, 0.0) * (now_s - heard_s) for worker, heard_s in self._heard_s.items())
        return sum(self._messages.values()) + since

    def _user_seconds_until(self, now_s: float) -> float:
        since = sum(self._users[worker] * (now_s - heard_s) for worker, heard_s in self._heard_s.items())
        return sum(self._user_seconds.values()) + since

    def _tick(self, now_s: float) -> None:
        if self._ended_s is not None:
            return
        self._add_up(now_s)
        for worker in [each for each, heard_s in self._heard_s.items() if now_s - heard_s > SILENT_S]:
            del self._heard_s[worker], self._users[worker]
            self._open_loops.pop(worker, None)
            self._told.pop(worker, None)
        if self._wanted is None:
            rate = sum(self._open_loops.values())
            if self._adds_up and (rate or self.rate_now is not None):
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
        if self._ended_s is not None:
            return
        turns = self._intake.turns
        news = (turns.present if turns is not None else 0, self._intake.open_loops.rate_per_s)
        self._look_behind(now_s)
        if turns is None and not news[1] and self._told is None:
            return  # nothing here is paced
        if news != self._told or now_s - self._told_s >= AGAIN_S:
            self._told, self._told_s = news, now_s
            self._report(now_s, *news)

    def _report(self, now_s: float, users: int, open_loops_per_s: float) -> None:
        told = {"run": self._run_id, "users": users, "open_loops_per_s": open_loops_per_s}
        told |= {"user_s": self._user_seconds_until(now_s), "messages": self._open_loops_until(now_s)}
        self._runner.send_message(PACED, told)

    def wind_down(self) -> None:
        if self._is_on and self._ended_s is None and self._told is not None:
            self._told = None
            self._report(monotonic(), 0, 0.0)
        super().wind_down()


def pace_of(environment: Environment, intake: Intake) -> Pace:
    """The one that fits this process."""
    runner = environment.runner
    if isinstance(runner, WorkerRunner):
        return WorkerPace(environment, intake, runner)
    if isinstance(runner, MasterRunner):
        return MasterPace(environment, intake, runner)
    return Pace(environment, intake)
