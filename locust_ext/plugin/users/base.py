"""`RealTimeUser`: what WebSocket and Socket.IO users share: their life, their channels, and who drives them.

A user with tasks is driven by them: it is connected before ``on_start`` runs, and reconnects by its pattern's rules. One
without tasks is driven by its lifecycle pattern and its generator. Whatever ends a user (stop, kill, an exception in
``on_start``), its connections are closed, its requests have an outcome, and nothing of it stays behind.
"""

from __future__ import annotations

from locust import User
from locust.exception import StopUser
from locust.user.task import LOCUST_STATE_RUNNING, LOCUST_STATE_STOPPING, LOCUST_STATE_WAITING

import logging
import math
from collections.abc import Callable
from functools import cached_property
from http.cookiejar import CookieJar
from random import Random
from time import monotonic
from typing import Any, ClassVar, NoReturn, cast

import gevent
from gevent import GreenletExit

from locust_ext.core.lifecycle import Persistent, pattern
from locust_ext.core.lifecycle.actions import LifecyclePattern
from locust_ext.core.lifecycle.failover import EMBEDDED
from locust_ext.core.messages import bind
from locust_ext.core.messages.channels import check_channels
from locust_ext.core.messages.message import BoundGenerator, Message, TimedGenerator
from locust_ext.core.messages.rows import SHARE
from locust_ext.core.pacing import OpenLoop, Pacing
from locust_ext.core.protocols.ties import FanOut
from locust_ext.errors import ConfigError, ConnectFailed, OperationError, explain
from locust_ext.plugin.intake import Intake, intake_of
from locust_ext.plugin.users.channel import Channel
from locust_ext.plugin.users.feeding import use_share
from locust_ext.plugin.users.group import ActsOnMany
from locust_ext.plugin.users.http_side import close_http, share_headers
from locust_ext.plugin.users.kept import KeptChannel
from locust_ext.plugin.users.settings import ConnectionSettings
from locust_ext.plugin.users.states import ToldOfStates
from locust_ext.runtime.driver import Driver
from locust_ext.runtime.process import ProcessShared, shared
from locust_ext.runtime.proxy import ENVIRONMENT, parse_proxy
from locust_ext.runtime.turns import A_TURN_OF_THE_LOOP_S, GREEDY, Turns

logger = logging.getLogger("locust_ext")

SHUTDOWN_S = 0.8
KILL_COMES_S = 5.0
BRINGS_BACK = Persistent(talks=False)
ON_START_RETRY_S = (0.5, 5.0)
LATE_S = 0.005


def _drive(user: Any) -> None:
    """The one task of a user that is driven by its pattern."""
    user._drive()


_said: set[str] = set()


class OwnRandom:
    """A user's `random`, which is not made before it is asked: a pattern whose connection holds draws no number."""

    __slots__ = ("_user",)

    def __init__(self, user: RealTimeUser) -> None:
        self._user = user

    def __getattr__(self, name: str) -> Any:
        return getattr(self._user.random, name)


class RealTimeUser(ConnectionSettings, ActsOnMany, ToldOfStates, User):
    """Base class; not to be spawned itself. Class attributes are the settings of all its users."""

    abstract = True

    pattern: Any = Persistent()
    """When to connect, fall silent and return: a `lifecycle` pattern, or its name."""
    generator: Any = None
    """What to say, for a user without tasks: a `messages` generator, its name, a dict of weights, a callable or a class."""
    pacing: Pacing | None = None
    """How often: `ClosedLoop(think_time)` or `OpenLoop(rate)`; None: as a `Replay` was recorded, or ``wait_time``."""

    connect_timeout_s: float = 10.0
    """One deadline over DNS, TCP, TLS and the upgrade."""
    request_timeout_s: float = 10.0
    max_inbox: int = 1000
    """Pushes kept for ``receive`` and ``expect``; users without tasks keep none."""
    inbox_policy: str = "drop_oldest"
    """Of a full inbox: ``drop_oldest`` or ``close``."""
    max_in_flight: int = 1
    """Requests that may be open on a connection at once, for ``submit`` and open loops."""

    fan_out: FanOut | str | None = None
    """The push that a message with a marker in it (``messages.MARKER``) brings to all connections of its channel, by
    name or as a `FanOut`: its delivery lag and reach are measured. None: markers are not filled in."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._transport_settings = None
        own_tasks = [each for each in cls.tasks if each is not _drive]
        if own_tasks:
            cls.tasks = own_tasks
        cls._is_task_driven = bool(own_tasks)
        if not cls.__dict__.get("abstract", False):
            if own_tasks and cls.generator is not None:
                raise ConfigError(
                    "set either tasks or a generator: a user is driven by its tasks, or by its pattern and its generator",
                    source=cls.__name__,
                    key="generator",
                )
            if own_tasks and cls.pacing is not None:
                raise ConfigError(
                    "set either tasks or pacing: wait_time says how often tasks are run, and no schedule corrects them",
                    source=cls.__name__,
                    key="pacing",
                )
            if not own_tasks:
                cls.tasks = [_drive]
            pattern(cls.pattern)  # a wrong one is an error of the locustfile, not of the run
            if (channels := cls._channels_it_has()) is not None:
                check_channels(cls.generator, channels, cls.__name__)
            if cls.proxy is not None and cls.proxy != ENVIRONMENT:
                parse_proxy(cls.proxy)
            cls.check_settings()

    embedded_backup: ClassVar[str] = ""
    """Address of the second embedded server, for a `Failover` with ``embedded`` among its backups."""
    plays_profiles: ClassVar[bool] = False
    """Pattern, pace and generator come from the settings' profiles."""
    _is_task_driven: ClassVar[bool] = False
    _shared_turns: Turns | None = None
    """Of a whole rate (``--ext-rate``), instead of this user's own pace."""
    _late_in_a_row = 0
    operations_begun = 0
    """Of those that ``--ext-requests`` counts, as long as it is given."""

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.shared: ProcessShared = shared()
        self.intake: Intake = intake_of(environment)
        number = self.shared.next_number()
        use_share(environment)
        self.client_id = f"{self.shared.client_prefix}-{number}"
        """Unique over all workers and runs; fit for URLs and names."""
        self._random_seed = self._seed(number)
        self.channels: list[Channel[Any]] = []
        self.cookies: CookieJar | None = None
        self._driver: Driver | None = None
        self._keepers: dict[Channel[Any], Driver] = {}
        self._bound: BoundGenerator | None = None
        self._next_due_s: Callable[[float, float], float] | None = None
        self._due_s = 0.0
        self._shared_turns: Turns | None = None
        """Of a whole rate (``--ext-rate``), instead of this user's own pace."""
        self._late_in_a_row = 0
        self.operations_begun = 0
        """Of those that ``--ext-requests`` counts, as long as it is given."""
        self._is_present = False
        self._failure = ("lost", "")
        """Error class and detail of the last failed connect or loss of the main connection."""
        self.is_leaving = False
        """The user is stopped: its connection will not come back."""
        self.is_being_killed = False
        """The kill has been sent and not yet come: the user was resting, and must not begin anything new."""
        # Locust calls on_start and on_stop on the instance: what must happen around them does not depend on super() calls.
        self._own_on_start, self._own_on_stop = self.on_start, self.on_stop
        self.on_start = self._start_up  # type: ignore[method-assign]
        self.on_stop = self._shut_down  # type: ignore[method-assign]

    @cached_property
    def random(self) -> Random:
        """This user's own random numbers; from ``--ext-seed`` where one is given. Made at the first use: 2.8 KiB."""
        return Random(self._random_seed)

    def _seed(self, number: int) -> int:
        seed = getattr(self.environment.parsed_options, "ext_seed", None)
        if seed is None:
            return self.shared.random.getrandbits(64)
        worker = getattr(self.environment.runner, "worker_index", 0) or 0
        return hash((int(seed), max(worker, 0), number))

    # ── life ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, group: Any) -> Any:
        greenlet = super().start(group)
        greenlet.link(self._clean_up)
        return greenlet

    def share_http(self) -> None:
        """Called once, when the user has been made: its HTTP client, if it has one, talks as its upgrades do."""
        share_headers(self)

    def _start_up(self) -> None:
        self.share_http()
        if not self._is_task_driven and self.setting("generator") is not None:
            self._shared_turns = self.intake.turns
        self._driver = Driver(self._pattern(), self, cast(Random, OwnRandom(self)), self.shared, self._shared_turns)
        if not self._is_task_driven:
            self._own_on_start()
            return
        try:
            self._driver.establish()
        except ConfigError as error:
            self._end_for(error)
        while True:
            try:
                self._own_on_start()
                return
            except OperationError:
                # Recorded already. A server that fails must not kill the user (Locust would, with a traceback).
                self.drive_rest(True)
                gevent.sleep(self.random.uniform(*ON_START_RETRY_S))
                self.drive_rest(False)

    def _shut_down(self) -> None:
        self.is_being_killed = False  # it has come; what ``on_stop`` does is wanted
        self.is_leaving = True
        try:
            self._own_on_stop()
        except OperationError:
            pass  # recorded already; the user is on its way out
        finally:
            self._close_all()

    def _stop_driving(self) -> None:
        self.intake.open_loops.leave(self, monotonic())
        for driver in (self._driver, *self._keepers.values()):
            if driver is not None:
                driver.close()
        self._keepers.clear()

    def _close_all(self) -> None:
        self._stop_driving()
        channels, self.channels = self.channels, []
        for channel in channels:
            channel.begin_shutdown()
        until_s = monotonic() + SHUTDOWN_S
        try:
            for channel in channels:
                channel.finish_shutdown(max(0.0, until_s - monotonic()))
        except BaseException:
            for channel in channels:
                channel.finish_shutdown(0.0)
            raise

    def _clean_up(self, _: Any) -> None:
        """The user's greenlet has ended, however; ``on_stop`` may not have been called. Must not block: the hub calls."""
        self._stop_driving()
        channels, self.channels = self.channels, []
        for channel in channels:
            channel.begin_shutdown()
            channel.finish_shutdown(0.0)
        close_http(self)
        SHARE.give_back(self.client_id)
        # The wrapped methods are bound to this user: without this it would be garbage of the slow kind.
        for name in ("on_start", "on_stop", "_own_on_start", "_own_on_stop"):
            self.__dict__.pop(name, None)

    # ── channels ───────────────────────────────────────────────────────────────────────────────────────────────────

    def channel_lost(self, channel: Channel[Any], error_class: str) -> None:
        """A connection went, not by our doing; from the hub."""
        self._forget(channel)
        if channel is self.main:
            self._failure = (error_class, "")
            self.intake.open_loops.leave(self, monotonic())
        driver = self._driver if channel is self.main else self._keepers.get(channel)
        if driver is not None:
            driver.lost(error_class)

    def channel_opened(self, channel: Channel[Any]) -> None:
        """A connection is open (again). One beside the main one is brought back after a loss, by rules of its own."""
        if channel is not self.main and channel not in self._keepers:
            keeper = Driver(BRINGS_BACK, KeptChannel(channel), cast(Random, OwnRandom(self)), self.shared)
            self._keepers[channel] = keeper
            keeper.establish()

    # ── driving (see `runtime.driver.Driven`) ──────────────────────────────────────────────────────────────────────

    def _pattern(self) -> LifecyclePattern:
        return pattern(self.setting("pattern"))

    def _drive(self) -> None:
        assert self._driver is not None
        try:
            self._driver.run()
        except ConfigError as error:
            self._end_for(error)

    def _end_for(self, error: ConfigError) -> NoReturn:
        """What is wrong with the locustfile stays wrong: say it once, and end the user instead of raising for ever."""
        if (text := str(error)) not in _said:
            _said.add(text)
            logger.error("%s cannot run: %s", type(self).__name__, text)
            self.environment.process_exit_code = 1
        raise GreenletExit  # not StopUser: out of on_start Locust would print a traceback of it

    main: Channel[Any] | None = None
    """The channel whose connection the pattern opens and loses; None: the user has none, and is always there."""

    @property
    def is_connected(self) -> bool:
        return self._is_present if self.main is None else self.main.is_connected

    def on_connected(self) -> None:
        """The main connection is open (again): the place to log in, or to connect further channels.

        A failed operation in it counts as a failed connect: all is closed, and tried again by the pattern's rules.
        """

    def drive_connect(self, host: str | None) -> None:
        if self.main is not None:
            try:
                self.main.connect(host=self.embedded_backup if host == EMBEDDED else host)
            except OperationError as error:
                self._failure = (error.error_class, error.detail)
                raise
        self._is_present = True
        try:
            self.on_connected()
        except OperationError as error:
            self._failure = (error.error_class, error.detail)
            self.drive_close(1000)
            raise ConnectFailed(
                error.error_class,
                error.detail,
                retry_after_s=getattr(error, "retry_after_s", None),
                rule=getattr(error, "rule", None),
            ) from error
        now_s = monotonic()
        if self.setting("generator") is None:
            self._due_s = math.inf  # it only listens
        elif isinstance(self.pacing, OpenLoop):
            self._due_s = self.pacing.first_s(now_s, self.random)
            if self._shared_turns is None:
                self.intake.open_loops.enter(self, self.pacing.rate, now_s)
        elif self.pacing is None and getattr(self.setting("generator"), "is_timed", False):
            self._due_s = cast(TimedGenerator, self._bound_generator()).next_due_s(now_s, now_s)
        elif self._due_s == 0.0:
            self._due_s = now_s

    def _bound_generator(self) -> BoundGenerator:
        if self._bound is None:
            self._bound = bind(self.setting("generator"), self.random, self.client_id)
            self._next_due_s = getattr(self._bound, "next_due_s", None)
        return self._bound

    def drive_exchange(self, intended_s: float | None) -> bool:
        bound = self._bound if self._bound is not None else self._bound_generator()
        pacing = self.pacing
        if self._shared_turns is not None:
            if intended_s is not None:
                self.intake.recorder.sent_late(int((monotonic() - intended_s) * 1e6))
        elif not isinstance(pacing, OpenLoop):
            intended_s = None
        elif intended_s is not None:
            self._note_lateness(monotonic() - intended_s)
        try:
            return self.perform(bound.generate(), intended_s)
        except OperationError:
            return False  # recorded already
        finally:
            due_s = None if self._next_due_s is None else self._next_due_s(self._due_s, monotonic())
            if due_s is not None and (pacing is None or due_s == math.inf):
                self._due_s = due_s
            elif self._shared_turns is not None:
                pass
            elif pacing is None:
                think_s = self.wait_time()
                self._due_s = monotonic() + think_s
            elif isinstance(pacing, OpenLoop):
                self._due_s = pacing.next_s(self._due_s, self.random)
            else:
                think_s = pacing.seconds(self)
                self._due_s = monotonic() + think_s

    def _note_lateness(self, late_s: float) -> None:
        """Of an open loop; who catches up with one-way messages never waits, and leaves the loop to others now and then."""
        self.intake.recorder.sent_late(int(late_s * 1e6))
        self._late_in_a_row = self._late_in_a_row + 1 if late_s > LATE_S else 0
        if self._late_in_a_row >= GREEDY:
            self._late_in_a_row = 0
            gevent.sleep(A_TURN_OF_THE_LOOP_S)

    message_channels: ClassVar[frozenset[str | None]] = frozenset()
    """Labels of the channels that this class's own `perform` serves, beside those of its bases; None: the main one."""

    @classmethod
    def _channels_it_has(cls) -> frozenset[str | None] | None:
        """Labels of all channels that `perform` serves; None: a locustfile's own code decides."""
        found: frozenset[str | None] = frozenset()
        for each in cls.__mro__:
            if "message_channels" in each.__dict__:
                found |= each.__dict__["message_channels"]
            elif "perform" in each.__dict__ or "channel_of" in each.__dict__:
                return None
        return found

    def perform(self, message: Message, intended_s: float | None = None) -> bool:
        """Perform one generated message; override it for channels of your own. False or `OperationError`: it failed."""
        raise ConfigError(
            "expected a message for a channel that this user has",
            key=f"{type(self).__name__}.generator",
            value=message.channel,
        )

    def drive_close(self, code: int) -> None:
        self._is_present = False
        self.intake.open_loops.leave(self, monotonic())
        for channel in self.channels:
            channel.close(code)
            self._forget(channel)

    def begin_operation(self) -> None:
        """Called before an operation of the HTTP side: where ``--ext-requests`` is given, it may have to wait."""
        if (quota := self.intake.quota) is not None:
            quota.take(self)

    def end_of_quota(self) -> None:
        """This user has done all that ``--ext-requests`` wants of it, and leaves; see `runtime.quota.Takes`."""
        if gevent.getcurrent() is self._greenlet:
            self.drive_close(1000)

    def _forget(self, channel: Channel[Any]) -> None:
        """What the server knew of the generator's doings is gone with the connection."""
        if self._bound is not None:
            self._bound.disconnected(None if channel is self.main else channel.label)

    def drive_due_s(self, now_s: float) -> float:
        return self._due_s

    def drive_state(self, state: str) -> None:
        if self.main is None:
            return
        self.main.rest(state)
        if state == "failed":
            logger.warning(
                "%s %s has given up connecting to %s: %s",
                type(self).__name__,
                self.client_id,
                self.main.name,
                self._failure[1] or explain(self._failure[0]),
            )

    def stop(self, force: bool = False) -> bool:
        self.is_being_killed = force or self._state == LOCUST_STATE_WAITING
        return super().stop(force)

    def wait_for_kill(self) -> None:
        """Called by whatever would begin an operation: Locust's kill is on its way, and would cut it off."""
        if gevent.getcurrent() is self._greenlet:
            gevent.sleep(KILL_COMES_S)

    def drive_rest(self, rests: bool) -> None:
        """Locust may kill a waiting user at once; one that works is asked to stop, and gets its ``stop_timeout``."""
        if gevent.getcurrent() is not self._greenlet:
            return
        if self.is_being_killed:
            self.wait_for_kill()
        if self._state == LOCUST_STATE_STOPPING:
            raise StopUser
        self._state = LOCUST_STATE_WAITING if rests else LOCUST_STATE_RUNNING
