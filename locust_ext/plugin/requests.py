"""A run bounded by work (``--ext-requests``): so many operations over all users and workers, or for each user.

Every operation of ours asks before it begins (`runtime.quota`), so that none too many is ever sent. A master hands the
number out in portions that grow smaller towards the end (`core.portions`); what a lost worker had left, or one whose users
have gone, is handed out again. The run ends once all have been begun and each has had its outcome; where it ends before
that, it says so.
"""

from __future__ import annotations

from locust.env import Environment
from locust.runners import STATE_MISSING, STATE_RUNNING, MasterRunner, WorkerRunner

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

import gevent

from locust_ext.core.portions import Pile
from locust_ext.errors import ConfigError
from locust_ext.model import NO_WORK
from locust_ext.plugin.intake import Intake
from locust_ext.plugin.users.base import RealTimeUser
from locust_ext.plugin.users.pool import ConnectionPool
from locust_ext.runtime.quota import Quota, QuotaOfEach
from locust_ext.runtime.ticker import Ticker

logger = logging.getLogger("locust_ext")

DONE = "locust_ext.done"
"""A worker's message to its master: what it has begun, and what it waits for."""
GRANT = "locust_ext.grant"
"""The master's answer: how many it may begin, all in all."""
RETURN = "locust_ext.return"
"""The master's request for what the worker has not begun; its next word says that it has given it back."""
INTERVAL_S = 0.1
WAIT_S = 0.005
"""Between two messages of a worker that waits for more."""
TOLD_S = 0.5
"""Every worker has told its state at least once in that time."""
LARGEST = 10**12
OF_EACH = "/user"


@dataclass(frozen=True, slots=True)
class WantedRequests:
    """How many operations; of all users together, or of each."""

    count: int
    of_each: bool = False

    def __str__(self) -> str:
        return f"the {self.count:,} operations of each user" if self.of_each else f"all {self.count:,} operations"


def wanted_requests(options: Any) -> WantedRequests | None:
    """What ``--ext-requests`` says; None: nothing. Raises `ConfigError`."""
    given = getattr(options, "ext_requests", None)
    if given is None or given == "":
        return None
    text = str(given).strip()
    number = text.removesuffix(OF_EACH).replace("_", "")
    if not (number.isascii() and number.isdigit()) or not 0 < int(number) <= LARGEST:
        raise ConfigError(
            "expected a number of operations, such as 1000, or of each user's, such as 50/user",
            source="--ext-requests",
            value=given,
        )
    return WantedRequests(int(number), text.endswith(OF_EACH))


def check_counted(wanted: WantedRequests, user_classes: Iterable[type[Any]]) -> None:
    """Whether the operations of these users can be counted before they begin. Raises `ConfigError`."""
    for cls in user_classes:
        uses_pool = any(isinstance(vars(each).get(name), ConnectionPool) for each in cls.__mro__ for name in vars(each))
        if not issubclass(cls, RealTimeUser) and (wanted.of_each or not uses_pool):
            raise ConfigError(
                "expected user classes of locust_ext: the requests of others are not counted before they are sent",
                source="--ext-requests",
                value=cls.__name__,
            )


class Work:
    """The bound in a process on its own; on it the other two build. `begin` and `end` once a run."""

    def __init__(self, environment: Environment, intake: Intake) -> None:
        self.environment = environment
        self._intake = intake
        self._wanted: WantedRequests | None = None
        self._run_id = ""
        self._ticker = Ticker(INTERVAL_S, self._tick)
        self._is_on = False
        """Between `begin` and `end`, if a number is wanted."""
        self._is_begun = False
        """All that is wanted has begun, as of the last look."""
        self._begun_here = 0
        """Operations of this process, once the run is over."""
        self._has_ended = False

    @property
    def _quota(self) -> Quota | None:
        return self._intake.quota if isinstance(self._intake.quota, Quota) else None

    def begin(self, wanted: WantedRequests | None, run_id: str) -> None:
        """A run starts; before its users are made."""
        self.end()
        self._wanted, self._run_id = wanted, run_id
        self._is_begun = self._has_ended = False
        self._begun_here = 0
        if wanted is None:
            return
        self._is_on = True
        self._make_quota(wanted)
        self._ticker.start()

    def _make_quota(self, wanted: WantedRequests) -> None:
        if wanted.of_each:
            self._intake.quota = QuotaOfEach(wanted.count)
        else:
            quota = self._intake.quota = Quota()
            quota.grant(wanted.count)

    def end(self) -> None:
        """The run is over: who waits for more operations ends. Idempotent."""
        self._ticker.close()
        if self._is_on:
            self._is_on = False
            self._tell_begun()
        quota, self._intake.quota = self._intake.quota, None
        if quota is not None:
            quota.finish()

    def _tell_begun(self) -> None:
        """The last look, at the end of the run."""
        if self._quota is not None:
            self._begun_here = self._quota.begun

    def conclude(self) -> None:
        """Once all figures of the run are in; not in a worker: say so, if less was done than was wanted."""
        wanted = self._wanted
        if wanted is None or self._has_ended or self._is_begun:
            return
        if wanted.of_each:
            what = f"not every user had begun its {wanted.count:,} operations of --ext-requests when the run ended"
        elif self._begun_in_all() >= wanted.count:
            return
        else:
            begun = self._begun_in_all()
            what = f"{begun:,} of {wanted.count:,} operations of --ext-requests had begun when the run ended"
        logger.warning("Less was done than was asked for: %s", what)
        self._intake.recorder.describe(unfinished=what)

    def _begun_in_all(self) -> int:
        return self._begun_here

    def close(self) -> None:
        """Idempotent."""
        self.end()

    # ── is it done? ────────────────────────────────────────────────────────────────────────────────────────────────

    def in_flight(self) -> int:
        """Operations of this process that have begun and not yet had their outcome."""
        ledgers = self._intake.recorder.so_far().ledgers
        return sum(ledger.in_flight for (type_, *_), ledger in ledgers.items() if type_ not in NO_WORK)

    def busy_users(self) -> int:
        """Users of this process who have not yet begun all that is wanted of each."""
        runner = self.environment.runner
        if runner is None or self._wanted is None:
            return 0
        users = [greenlet.args[0] for greenlet in runner.user_greenlets if greenlet.args]
        return sum(_can_work(user) and user.operations_begun < self._wanted.count for user in users)

    def _tick(self, now_s: float) -> None:
        assert self._wanted is not None
        quota = self._quota
        self._is_begun = self._all_are_here() and not self.busy_users() if quota is None else not quota.left
        if self._is_begun and not self.in_flight():
            self._end_run()

    def _all_are_here(self) -> bool:
        runner = self.environment.runner
        return runner is not None and runner.state == STATE_RUNNING

    def _end_run(self) -> None:
        """As the end of its time would: with a web UI the process stays."""
        runner = self.environment.runner
        if self._has_ended or runner is None or self._wanted is None:
            return
        self._has_ended = True
        what = f"{self._wanted} of --ext-requests were done"
        logger.info("The run ends: %s", what)
        self._intake.recorder.describe(ended_because=what)
        if self._intake.quota is not None:
            self._intake.quota.finish()
        gevent.spawn(runner.quit if self.environment.web_ui is None else runner.stop)


def _can_work(user: Any) -> bool:
    return isinstance(user, RealTimeUser) and (user._is_task_driven or user.setting("generator") is not None)


class MasterWork(Work):
    """The bound on a master, which hands the operations out."""

    def __init__(self, environment: Environment, intake: Intake, runner: MasterRunner) -> None:
        super().__init__(environment, intake)
        self._runner = runner
        self._pile = Pile(0)
        self._here_since_s: float | None = None
        self._busy: dict[str, int] = {}
        """Operations in flight and, where each user has its own number, users who still begin some."""
        runner.register_message(DONE, self._on_done)

    def begin(self, wanted: WantedRequests | None, run_id: str) -> None:
        self._pile = Pile(0 if wanted is None else wanted.count)
        self._busy.clear()
        self._here_since_s = None
        super().begin(wanted, run_id)

    def _make_quota(self, wanted: WantedRequests) -> None:
        """It makes no load."""

    def _begun_in_all(self) -> int:
        return self._pile.begun

    def _all_are_here(self) -> bool:
        """And every worker has told so."""
        if not super()._all_are_here():
            self._here_since_s = None
        elif self._here_since_s is None:
            self._here_since_s = monotonic()
        return self._here_since_s is not None and monotonic() - self._here_since_s > TOLD_S

    def _on_done(self, environment: Environment, msg: Any, **_: Any) -> None:
        """What arrives is not trusted. After the end of the run it only counts."""
        told: Mapping[str, Any] = msg.data if isinstance(msg.data, dict) else {}
        said = [told.get(key) for key in ("begun", "busy", "wanting", "answered")]
        numbers = [each for each in said if isinstance(each, int) and each >= 0]
        if self._wanted is None or told.get("run") != self._run_id or len(numbers) < len(said):
            return
        begun, busy, wanting, answered = numbers
        worker: str = msg.node_id
        self._busy[worker] = busy
        granted = self._pile.told(worker, begun, wanting, answered, monotonic())
        if granted is not None and self._is_on and not self._wanted.of_each:
            data = {"run": self._run_id, "granted": granted, "answered": answered}
            self._runner.send_message(GRANT, data, client_id=worker)

    def _tick(self, now_s: float) -> None:
        assert self._wanted is not None
        for worker in self._busy:
            if self._is_lost(worker):
                self._pile.lost(worker)
                self._busy[worker] = 0
        if self._wanted.of_each:
            self._is_begun = self._all_are_here() and bool(self._busy)
        else:
            for worker, request in self._pile.hoarders(now_s):
                if not self._is_lost(worker):
                    self._runner.send_message(RETURN, {"run": self._run_id, "request": request}, client_id=worker)
            self._is_begun = self._pile.begun >= self._wanted.count
        if self._is_begun and not any(self._busy.values()):
            self._end_run()

    def _is_lost(self, worker: str) -> bool:
        node = self._runner.clients.get(worker)
        return node is None or bool(node.state == STATE_MISSING)


class WorkerWork(Work):
    """The bound in a worker: it begins what its master has granted, and asks for more before that is used up."""

    def __init__(self, environment: Environment, intake: Intake, runner: WorkerRunner) -> None:
        super().__init__(environment, intake)
        self._runner = runner
        self._told: tuple[int, ...] | None = None
        self._answered = 0
        """The last request of the master's to give back what has not begun."""
        self._asker: Any = None
        runner.register_message(GRANT, self._on_grant)
        runner.register_message(RETURN, self._on_return)

    def _make_quota(self, wanted: WantedRequests) -> None:
        self._told, self._answered = None, 0
        if wanted.of_each:
            self._intake.quota = QuotaOfEach(wanted.count)
            return
        self._intake.quota = Quota()
        self._asker = gevent.spawn(self._ask, self._intake.quota)

    def _ask(self, quota: Quota) -> None:
        """Tell the master at once when the first user waits, and again until there is something for all."""
        while self._intake.quota is quota:
            quota.is_wanted.wait(INTERVAL_S)
            quota.is_wanted.clear()
            if quota.wanting:
                granted = quota.granted
                self._report()
                gevent.sleep(WAIT_S)
                if quota.granted == granted:  # there may be nothing left
                    gevent.sleep(INTERVAL_S / 2)

    def _heard(self, msg: Any, key: str) -> int:
        """The number in a message of the master's for this run; -1: it has none."""
        told = msg.data if isinstance(msg.data, dict) else {}
        number = told.get(key)
        return number if told.get("run") == self._run_id and isinstance(number, int) else -1

    def _on_grant(self, environment: Environment, msg: Any, **_: Any) -> None:
        """One that was made before the last request to give back is void."""
        granted, quota = self._heard(msg, "granted"), self._quota
        if quota is not None and granted >= 0 and self._heard(msg, "answered") == self._answered:
            quota.grant(granted)

    def _on_return(self, environment: Environment, msg: Any, **_: Any) -> None:
        """Give back, and say so: not once more for a request that was repeated, because since then there may be a grant."""
        request, quota = self._heard(msg, "request"), self._quota
        if quota is None or request <= 0:
            return
        if request > self._answered:
            quota.give_back()
            self._answered = request
        self._told = None
        self._report()

    def _tick(self, now_s: float) -> None:
        self._report()

    def _report(self) -> None:
        quota = self._quota
        busy = self.in_flight()
        if quota is None:
            busy += self.busy_users()
        begun, wanting = (0, 0) if quota is None else (quota.begun, quota.wanting)
        news = (begun, busy, wanting, self._answered)
        if news != self._told or wanting:
            self._told = news
            data = {"run": self._run_id, "begun": begun, "busy": busy, "wanting": wanting, "answered": self._answered}
            self._runner.send_message(DONE, data)

    def _tell_begun(self) -> None:
        """While the master still listens."""
        if self._intake.quota is not None:
            self._report()

    def conclude(self) -> None:
        """The master says what there is to say."""

    def end(self) -> None:
        asker, self._asker = self._asker, None
        super().end()
        if asker is not None and asker is not gevent.getcurrent():
            asker.kill(block=False)


def work_of(environment: Environment, intake: Intake) -> Work:
    """The one that fits this process."""
    runner = environment.runner
    if isinstance(runner, WorkerRunner):
        return WorkerWork(environment, intake, runner)
    if isinstance(runner, MasterRunner):
        return MasterWork(environment, intake, runner)
    return Work(environment, intake)
