"""`ConnectionPool`: connections that users share, instead of each having one of its own."""

from __future__ import annotations

from locust.env import Environment

import weakref
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from time import monotonic
from types import new_class
from typing import Any, cast, overload

import gevent

from locust_ext.errors import ConfigError, OperationError
from locust_ext.plugin.embedded import EMBEDDED
from locust_ext.plugin.intake import intake_of
from locust_ext.plugin.users.base import SHUTDOWN_S, RealTimeUser
from locust_ext.plugin.users.channel import Channel
from locust_ext.plugin.users.failures import quiet
from locust_ext.plugin.users.group import AT_ONCE, Outcome, broadcast_over
from locust_ext.runtime.pool import Lease, Pool, PoolLimits
from locust_ext.runtime.process import shared

TYPE = "POOL"
CHECK_S = 2.0
LOOKS_EVERY_S = 0.005


class ConnectionPool:
    """Connections that users share; a class attribute of theirs.

    ``user_class`` (abstract) says how a connection is made: its path, correlation, headers; each has a ``{client_id}`` of
    its own. In each process the pool is made when a user first asks for it, and closed at the end of the run. The wait
    for a connection is recorded as ``POOL``, named as its ``CONNECT``s are; one that takes too long fails ``timeout``.

        class Caller(User):
            pool = ConnectionPool(Line, min=2, max=10)

            @task
            def ask(self):
                with self.pool.acquire() as ws:
                    ws.request({"type": "ping"})
    """

    def __init__(
        self,
        user_class: type[RealTimeUser],
        *,
        min: int = 0,
        max: int = 10,
        acquire_timeout_s: float = 10.0,
        check_after_s: float = 5.0,
        check: Callable[[Any], object] | None = None,
        idle_s: float = 60.0,
        leak_after_s: float | None = 60.0,
        opens_at_once: int = 10,
    ) -> None:
        """``check_after_s``: a connection that has said nothing for so long is asked before it is lent, by a ping, or by
        ``check(channel)``, which may give False or raise an `OperationError`. The rest as in `PoolLimits`.
        """
        if not (isinstance(user_class, type) and issubclass(user_class, RealTimeUser)):
            raise ConfigError("expected a real-time user class", key="ConnectionPool", value=user_class)
        for name, number, least in (("min", min, 0), ("max", max, 1), ("opens_at_once", opens_at_once, 1)):
            if isinstance(number, bool) or not isinstance(number, int) or number < least:
                raise ConfigError(
                    f"expected a whole number of at least {least}", key=f"ConnectionPool.{name}", value=number
                )
        if max < min:
            raise ConfigError("expected max to be at least min", key="ConnectionPool.max", value=max)
        times = {"acquire_timeout_s": acquire_timeout_s, "check_after_s": check_after_s, "idle_s": idle_s}
        if leak_after_s is not None:
            times["leak_after_s"] = leak_after_s
        for name, seconds in times.items():
            if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < float("inf"):
                raise ConfigError("expected seconds", key=f"ConnectionPool.{name}", value=seconds)
        self.user_class = user_class
        self.limits = PoolLimits(min, max, acquire_timeout_s, idle_s, leak_after_s, opens_at_once)
        self.check_after_s = check_after_s
        self.check = check

    @overload
    def __get__(self, user: None, owner: type[Any]) -> ConnectionPool: ...

    @overload
    def __get__(self, user: Any, owner: type[Any]) -> SharedConnections: ...

    def __get__(self, user: Any, owner: type[Any]) -> ConnectionPool | SharedConnections:
        return self if user is None else self.of(user.environment, user.host)

    def of(self, environment: Environment, host: str | None = None) -> SharedConnections:
        """The connections of this process and run, made at the first call. ``host``: where the class says none."""
        pools = _pools.get(environment)
        if pools is None:
            pools = _pools[environment] = {}
            if environment.events not in _listened_to:
                _listened_to.add(environment.events)
                environment.events.test_stop.add_listener(_on_end)
                environment.events.quitting.add_listener(_on_end)
        if self not in pools:
            pools[self] = SharedConnections(self, environment, host)
        return pools[self]


class SharedConnections:
    """What a `ConnectionPool` is in one process, for one run."""

    def __init__(self, wanted: ConnectionPool, environment: Environment, host: str | None) -> None:
        own = wanted.user_class.host
        line = _Line(wanted, environment, environment.host or (own if own != EMBEDDED else None) or host)
        self._intake = intake_of(environment)
        self._pool = Pool[Channel[Any]](line, wanted.limits, shared())
        line.on_lost = self._pool.lost
        self.name = line.name
        """What its waits are recorded under."""
        self._pool.start()

    def acquire(self, timeout_s: float | None = None) -> Lease[Channel[Any]]:
        """A healthy connection, first come, first served: ``with pool.acquire() as ws: ws.request(…)``.

        Blocks the calling greenlet; the wait is recorded as ``POOL``. Without ``with``: ``lease.member`` is the channel,
        and ``lease.release()`` gives it back. Its handlers and inbox are new each time. Raises `RequestTimeout`.
        """
        intake, name = self._intake, self.name
        intake.recorder.started(TYPE, name)
        begun_s = monotonic()
        try:
            lease = self._pool.acquire(timeout_s)
        except OperationError as error:
            intake.report(_Nobody, TYPE, name, round((monotonic() - begun_s) * 1e6), 0, error)
            raise quiet(error) from None
        except BaseException:
            intake.recorder.cancelled(TYPE, name)
            raise
        intake.report(_Nobody, TYPE, name, round((monotonic() - begun_s) * 1e6))
        return lease

    def broadcast(
        self,
        message: Any,
        *,
        name: str | None = None,
        timeout_s: float | None = None,
        tags: Iterable[str] | None = None,
        one_way: bool = False,
        limit: int = AT_ONCE,
    ) -> list[Outcome]:
        """Say ``message`` over all open connections of the pool, the lent ones too; see `RealTimeUser.broadcast`."""
        those = [each for each in self._pool.members if each.is_connected]
        return broadcast_over(
            those, message, name=name, timeout_s=timeout_s, tags=tags, one_way=one_way, limit=limit
        )  # fmt: skip

    @property
    def size(self) -> int:
        """Connections that are open or being opened."""
        return self._pool.size

    @property
    def idle(self) -> int:
        return self._pool.idle

    @property
    def lent(self) -> int:
        return self._pool.lent

    @property
    def waiting(self) -> int:
        """Users that wait for a connection."""
        return self._pool.waiting

    @property
    def leaked(self) -> int:
        """Connections that were not given back, and so were taken back."""
        return self._pool.leaked

    @property
    def replaced(self) -> int:
        """Connections that died or failed their check."""
        return self._pool.replaced

    def close(self) -> None:
        """Close all connections and end the upkeep; idempotent, blocks for two seconds at the most."""
        self._pool.close()


class _Nobody:
    """Who waits for a connection has not been given one yet; outcomes of the wait carry no context."""

    @staticmethod
    def context() -> dict[str, Any]:
        return {}


class _PooledUser:
    """What the users behind pooled connections are, besides their class: they tell of a loss, and reconnect nothing."""

    on_lost: Callable[[Channel[Any]], None]

    def channel_lost(self, channel: Channel[Any], error_class: str) -> None:
        super().channel_lost(channel, error_class)  # type: ignore[misc]
        if channel is self.main:  # type: ignore[attr-defined]
            self.on_lost(channel)


@lru_cache(maxsize=100)
def _pooled(user_class: type[RealTimeUser]) -> type[Any]:
    bases = (_PooledUser, user_class)
    made: Any = new_class(user_class.__name__, bases, exec_body=lambda body: body.update(abstract=True))
    made._is_task_driven = True  # borrowers read what is pushed: there is an inbox
    return cast(type[Any], made)


class _Line:
    """Opens, checks and closes the connections of a pool (`runtime.pool.Source`); behind each stands a user of its own."""

    def __init__(self, wanted: ConnectionPool, environment: Environment, host: str | None) -> None:
        self._wanted = wanted
        self._environment = environment
        self._host = host
        self._class = _pooled(wanted.user_class)
        self._users: dict[Channel[Any], tuple[Any, int]] = {}
        """Channel -> its user, and how many handlers that has set up itself."""
        self.on_lost: Callable[[Channel[Any]], None] = _ignore
        user = self._new_user()
        if user.main is None:
            raise ConfigError(
                "expected a class whose users have a WebSocket or Socket.IO connection",
                key="ConnectionPool",
                value=wanted.user_class.__name__,
            )
        self.name: str = user.main.name
        self._end([user])

    def _new_user(self) -> Any:
        self._class.host = self._host  # an HTTP client wants it while it is being made
        user = self._class(self._environment)
        user.share_http()
        user.host = self._host
        return user

    def open(self) -> Channel[Any]:
        user = self._new_user()
        user.on_lost = self.on_lost
        channel: Channel[Any] = user.main
        channel.is_kept = False
        try:
            user.drive_connect(None)
        except BaseException:
            self._end([user])
            raise
        self._users[channel] = (user, len(channel._handlers))
        return channel

    def is_alive(self, member: Channel[Any]) -> bool:
        return member.is_connected

    def is_healthy(self, member: Channel[Any], deadline_s: float) -> bool:
        connection = member.connection
        if connection is None or not member.is_connected:
            return False
        now_s = monotonic()
        if now_s - connection.last_received_s < self._wanted.check_after_s:
            return True
        try:
            if self._wanted.check is not None:
                return self._wanted.check(member) is not False
            connection.send_ping()
        except OperationError:
            return False
        until_s = min(deadline_s, now_s + CHECK_S)
        while member.is_connected and connection.last_received_s < now_s and monotonic() < until_s:
            gevent.sleep(LOOKS_EVERY_S)
        if member.is_connected and connection.last_received_s < now_s:
            connection.abort("ping_timeout")
        return member.is_connected

    def clean(self, member: Channel[Any]) -> None:
        member.forget(self._users[member][1])

    def discard(self, member: Channel[Any]) -> None:
        if (found := self._users.pop(member, None)) is not None:
            self._end([found[0]])

    def close(self, members: Sequence[Channel[Any]]) -> None:
        users = [self._users.pop(member)[0] for member in members if member in self._users]
        channels = [channel for user in users for channel in user.channels]
        for channel in channels:
            channel.begin_shutdown()
        until_s = monotonic() + SHUTDOWN_S
        try:
            for channel in channels:
                channel.finish_shutdown(max(0.0, until_s - monotonic()))
        finally:
            self._end(users)

    def _end(self, users: Iterable[Any]) -> None:
        for user in users:
            user._clean_up(None)


def _ignore(_: Any) -> None:
    """Until the pool stands there is nobody to tell."""


_pools: weakref.WeakKeyDictionary[Environment, dict[ConnectionPool, SharedConnections]] = weakref.WeakKeyDictionary()
_listened_to: weakref.WeakSet[Any] = weakref.WeakSet()


def close_pools(environment: Environment) -> None:
    """Close all pools of this run; idempotent. Called at the run's end, before its last figures are taken."""
    for pool in (_pools.pop(environment, None) or {}).values():
        pool.close()


def _on_end(environment: Environment, **_: Any) -> None:
    close_pools(environment)
