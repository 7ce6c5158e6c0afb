"""`Channel`: one of a user's real-time connections through all its reconnections; what stands behind ``self.ws``.

Each connect makes a new connection of the runtime; handlers, waiting requests and statistics names stay. Every attempted
operation is recorded here, once, by Locust's request event.
"""

from __future__ import annotations

import logging
import math
import weakref
from collections.abc import Callable, Iterable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from gevent import GreenletExit
from gevent.hub import Waiter

from locust_ext.core.protocols.frames import check_close
from locust_ext.errors import ConfigError, ConnectFailed, ConnectionLost, OperationError, RequestTimeout
from locust_ext.plugin.users.failures import quiet
from locust_ext.plugin.users.info import ConnectionInfo
from locust_ext.plugin.users.outage import Outage
from locust_ext.plugin.users.reporting import Reporting, as_tags
from locust_ext.runtime.deadline import Alarm
from locust_ext.runtime.messaging import MessagingConnection

if TYPE_CHECKING:
    from locust_ext.plugin.users.base import RealTimeUser

logger = logging.getLogger("locust_ext")

C = TypeVar("C", bound=MessagingConnection)


class Channel(Reporting, Generic[C]):
    """Base of `WebSocketChannel` and `SocketIOChannel`. All methods are for the user's own greenlets.

    A request on a connection that is down waits, within its deadline, for the connection to come back.
    """

    type_ = "WS"

    def __init__(self, user: RealTimeUser, path: str) -> None:
        self._user: Any = user
        """A plain reference until the shutdown, then a weak one: a proxy costs at each look, a circle when it is garbage."""
        self._intake = user.intake
        self.path = path
        self.name = path.partition("?")[0]
        """The statistics name of its CONNECTs and DROPs: the template, without a query that may hold a secret."""
        self.label: str | None = None
        """What generators call it (``monitor``, ``live``); the main channel needs no label."""
        self.connection: C | None = None
        self._state: str | None = None
        self._handlers: list[tuple[str, Callable[..., object]]] = []
        self._reopened: list[Waiter[None]] = []
        self._is_lost = False
        self._is_shut = False
        self._outage = Outage()
        self.is_kept = True
        """False: after a loss nobody brings it back (a pool replaces it), and nothing waits for that."""
        self.last_error: str | None = None
        """Error class of the last failed connect or loss; None: none yet."""
        self._times_connected = self._times_lost = 0

    # ── what a protocol adds ───────────────────────────────────────────────────────────────────────────────────────

    def _new_connection(self, host: str | None) -> C:
        raise NotImplementedError  # each protocol's own: there is no channel without one

    def say(
        self, message: Any, name: str | None, timeout_s: float | None, tags: Iterable[str] | None, one_way: bool
    ) -> Any:
        """A request, or with ``one_way`` a send, in the protocol's own way; for what is said on several channels."""
        raise NotImplementedError

    # ── connecting and closing ─────────────────────────────────────────────────────────────────────────────────────

    @property
    def is_connected(self) -> bool:
        return self.connection is not None and self.connection.state == "open"

    @property
    def is_lost(self) -> bool:
        """It went, not by our doing, and is being brought back."""
        return self._is_lost

    @property
    def state(self) -> str:
        """``idle connecting open closing waiting closed failed``"""
        return (self.connection.state if self.connection is not None else self._state) or "idle"

    @property
    def info(self) -> ConnectionInfo:
        """What there is to know of the connection: as of now, while it is open, or as it ended."""
        connection = self.connection
        return ConnectionInfo(
            state=self.state,
            times_connected=self._times_connected,
            times_lost=self._times_lost,
            lifetime_s=None if connection is None else connection.lifetime_s,
            messages_sent=0 if connection is None else connection.messages_sent,
            messages_received=0 if connection is None else connection.messages_received,
            bytes_sent=0 if connection is None else connection.bytes_sent,
            bytes_received=0 if connection is None else connection.bytes_received,
            last_error=self.last_error,
        )

    @property
    def audience(self) -> str:
        """The channels that expect the same fan-outs say the same."""
        return f"{self._user.host or ''}{self.name}"

    def connect(self, timeout_s: float | None = None, *, host: str | None = None) -> None:
        """Open the connection; one attempt, recorded as ``CONNECT``. Does nothing if it is open.

        Raises `ConnectFailed`; killed meanwhile, the attempt is recorded as cancelled.
        """
        if self.is_connected:
            return
        user = self._user
        timeout_s = user.connect_timeout_s if timeout_s is None else timeout_s
        if self.state == "connecting":  # another greenlet is at it (the reconnection after a loss): share its attempt
            try:
                self._open_until(monotonic() + timeout_s)
            except RequestTimeout:
                raise quiet(ConnectFailed("connect_timeout")) from None
            return
        with user.shared.connects:
            self._connect(host, timeout_s)

    def _connect(self, host: str | None, timeout_s: float) -> None:
        if self.is_connected:
            return  # meanwhile, by another greenlet
        user = self._user
        facts = user.intake.recorder
        connection = self._new_connection(host)
        if connection.profile.fan_out is not None:
            connection.audience = self.audience
        if user.is_told_of_states:
            connection.on_state = partial(user.state_changed, self)
        for event, handler in self._handlers:  # before: the first pushes may come with the answer to the upgrade
            connection.on(event, handler)
        self.connection = connection
        self._outage.tries()
        facts.started("CONNECT", self.name)
        begun_s = monotonic()
        try:
            cookies = connection.connect(begun_s + timeout_s)
            if self._is_shut:  # a reconnection came to its end between the stop of the user and its own
                connection.begin_close(1000)
                raise GreenletExit
        except ConnectFailed as error:
            self.last_error = error.error_class
            self._outage.refused(connection.target.label, begun_s)
            elapsed_us = round((monotonic() - begun_s) * 1e6)
            if self._is_shut:  # `finish_shutdown` has been there already
                connection.become(None)
            user.intake.report(user, "CONNECT", self.name, elapsed_us, 0, error)
            raise quiet(error) from error.__cause__
        except BaseException:
            facts.cancelled("CONNECT", self.name)
            if self._is_shut:
                connection.abort()
                connection.become(None)
            raise
        if cookies:
            user.remember_cookies(connection.target, cookies)
        user.intake.report(user, "CONNECT", self.name, round((connection.connected_s - begun_s) * 1e6))  # type: ignore[operator]
        self._times_connected += 1
        if self._is_lost:
            facts.reconnected()
        self._is_lost = False
        if (recovery := self._outage.ends(connection.target.label, connection.connected_s)) is not None:  # type: ignore[arg-type]
            facts.recovered(type(user).__name__, self.name, *recovery)
        user.channel_opened(self)
        waiting, self._reopened = self._reopened, []
        for waiter in waiting:
            user.shared.loop.run_callback(waiter.switch, None)

    def ensure(self) -> None:
        """`connect`, unless the connection is open or is being brought back after a loss (requests then wait for it)."""
        if not self._is_lost:
            self.connect()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close in order; waits up to 0.8 s for the server's close frame. Idempotent. Raises `ConfigError`."""
        check_close(code, reason)
        self._is_lost = False
        if self.connection is not None:
            if self.is_connected:
                self._outage.close(monotonic())
            self.connection.close(code, reason)

    def rest(self, state: str) -> None:
        """The pattern's word on a connection that is down: ``idle``, ``waiting`` or ``failed``."""
        if self._is_shut:
            return  # the user is stopped, its driver has not noticed yet
        if state == "waiting":
            self._outage.backs_off()
        if self.connection is not None:
            self.connection.become(state)
        else:
            self._become(state)

    def _become(self, state: str | None) -> None:
        """A step of a channel that has never had a connection."""
        old, self._state = self._state, state
        self._user.intake.recorder.connection_state(old, state)
        if self._user.is_told_of_states:
            self._user.state_changed(self, old, state)

    def begin_shutdown(self) -> None:
        """The user is stopped: say goodbye without waiting. What nobody waits for any more is cancelled."""
        self._is_shut = True
        if self.connection is not None:
            self.connection.is_user_stopping = True
            self.connection.begin_close(1000)

    def finish_shutdown(self, timeout_s: float) -> None:
        """Wait for the server's goodbye, at most ``timeout_s``; then the descriptor is gone in any case."""
        connection = self.connection
        try:
            if connection is not None:
                connection.close(1000, timeout_s=timeout_s)
        finally:
            if connection is not None:
                connection.abort()
                connection.become(None)
            elif self._state is not None:
                self._become(None)
            self.connection = None
            self._state = None
            if type(self._user) is not weakref.ProxyType:
                self._user = weakref.proxy(self._user)

    def _on_gone(self, connection: C, error_class: str, is_orderly: bool) -> None:
        """In the hub, or in the greenlet that closes: only notes and queues."""
        self.last_error = error_class
        user = self._user
        facts = user.intake.recorder
        if is_orderly:
            facts.closed_in_order()
        elif not self._is_shut:
            user.shared.dispatcher.report(self._report_drop, error_class)
        if not connection.is_close_ours:
            self._times_lost += 1
        if not connection.is_close_ours and not self._is_shut:
            self._is_lost = True
            self._outage.begins(connection.lost_s or monotonic())
            user.channel_lost(self, error_class)

    # ── talking ────────────────────────────────────────────────────────────────────────────────────────────────────

    def on(self, event: str, handler: Callable[..., object]) -> None:
        """Call ``handler(message)`` in the dispatcher greenlet for each push named ``event`` (``"*"``: for each)."""
        if not callable(handler):
            raise ConfigError("expected a function to call for each push", key=f"on({event!r})", value=handler)
        handler = self._guarded(handler)
        self._handlers.append((event, handler))
        if self.connection is not None:
            self.connection.on(event, handler)

    def forget(self, handlers: int) -> None:
        """As if it were new: only the first ``handlers`` of its handlers are left, and nothing in its inbox."""
        del self._handlers[handlers:]
        if self.connection is not None:
            self.connection.forget()
            for event, handler in self._handlers:
                self.connection.on(event, handler)

    def _guarded(self, handler: Callable[..., object]) -> Callable[[Any], None]:
        """``handler``, whose exceptions are counted among Locust's, as those of a task are."""
        user = self._user

        def guarded(message: Any, answer: Callable[[Any], None] | None = None) -> None:
            try:
                value = handler(message)
                if answer is not None:
                    answer(value)
            except OperationError:
                pass  # recorded already
            except Exception as error:
                logger.error("a push handler raised", exc_info=error)
                user.environment.events.user_error.fire(user_instance=user, exception=error, tb=error.__traceback__)

        return guarded

    def ping(self) -> None:
        """Send a WebSocket ping now. Raises `ConnectionLost`."""
        connection = self._open_until(monotonic() + self._user.request_timeout_s)
        connection.send_ping()

    def receive(self, timeout_s: float | None = None) -> Any:
        """The oldest push not yet received. Raises `RequestTimeout` (nothing is recorded: it is a look), `ConnectionLost`."""
        return self._receive(timeout_s, None)

    def _receive(self, timeout_s: float | None, wanted: Callable[[Any], object] | None) -> Any:
        deadline_s = monotonic() + self._timeout(timeout_s)
        connection = self.connection if self.connection is not None else self._open_until(deadline_s)
        try:
            return connection.receive(max(0.0, deadline_s - monotonic()), wanted)
        except OperationError as error:
            raise quiet(error) from None

    def _expect(self, name: str, timeout_s: float | None, wanted: Callable[[Any], object]) -> Any:
        user = self._user
        if (quota := self._intake.quota) is not None:
            quota.take(user)
        facts = user.intake.recorder
        facts.started(self.type_, name)
        begun_s = monotonic()
        connection = self.connection
        waits = -1 if connection is None else connection.waits
        try:
            found = self._receive(timeout_s, wanted)
        except OperationError as error:
            took_us = round((monotonic() - begun_s) * 1e6) if isinstance(error, RequestTimeout) else None
            user.intake.report(user, self.type_, name, took_us, 0, error)
            raise
        except Exception:  # the predicate's own
            facts.withdrawn(self.type_, name)
            raise
        except BaseException:
            facts.cancelled(self.type_, name)
            raise
        was_there = connection is not None and connection.waits == waits
        user.intake.report(user, self.type_, name, None if was_there else round((monotonic() - begun_s) * 1e6))
        return found

    def _timeout(self, timeout_s: float | None) -> float:
        """``timeout_s``, or the user's own. Raises `ConfigError` if that is no time to wait."""
        if timeout_s is None:
            timeout_s = self._user.request_timeout_s
        if not isinstance(timeout_s, int | float) or not 0 < timeout_s < math.inf:
            raise ConfigError("expected seconds above 0", key="timeout_s", value=timeout_s)
        return timeout_s

    def _open_for(self, name: str, tags: tuple[str, ...], deadline_s: float, max_in_flight: int | None = None) -> C:
        """The open connection, waited for (and for room on it) by a request, which is in flight meanwhile.

        Raises `OperationError`, recorded.
        """
        user = self._user
        facts = user.intake.recorder
        facts.started(self.type_, name, tags)
        try:
            connection = self._open_until(deadline_s)
            if max_in_flight is not None:
                connection.wait_for_slot(max_in_flight, deadline_s)
        except OperationError as error:
            user.intake.report(user, self.type_, name, None, 0, error, None, tags)
            raise quiet(error) from None
        except BaseException:
            facts.cancelled(self.type_, name, tags)
            raise
        facts.withdrawn(self.type_, name, tags)  # it starts anew as the connection's own
        return connection

    def _open_until(self, deadline_s: float) -> C:
        """The open connection, waited for until ``deadline_s`` if it is down. Raises `RequestTimeout`."""
        while True:
            connection = self.connection
            if connection is not None and connection.state == "open":
                return connection
            if not self.is_kept and self.state != "connecting":
                raise quiet(ConnectionLost("lost", "the connection is gone, and the pool replaces it"))
            if self._user.is_leaving and self.state != "connecting":
                raise quiet(ConnectionLost("lost", "the user is stopped, and its connection is not open"))
            if monotonic() >= deadline_s:
                raise quiet(RequestTimeout("timeout", "the connection was down until the deadline"))
            shared = self._user.shared
            waiter: Waiter[None] = Waiter(shared.hub)
            self._reopened.append(waiter)
            alarm = Alarm(shared.wheel, deadline_s, lambda waiter=waiter: waiter.switch(None))
            try:
                waiter.get()
            finally:
                shared.wheel.disarm(alarm)
                if waiter in self._reopened:
                    self._reopened.remove(waiter)

    def _record_send(self, name: str, tags: Any, send: Callable[[C], int]) -> None:
        """Perform a one-way send and record it as ``SEND``, without a response time. Raises `OperationError`.

        It is good once the kernel has it all; a peer that does not read is waited for, up to ``request_timeout_s``.
        """
        user = self._user
        if user.is_being_killed:
            user.wait_for_kill()
        if (quota := self._intake.quota) is not None:
            quota.take(user)
        if type(tags) is not tuple:
            tags = as_tags(tags)
        facts = user.intake.recorder
        error: OperationError | None = None
        facts.started("SEND", name, tags)
        try:
            deadline_s = monotonic() + user.request_timeout_s
            connection = self._open_until(deadline_s)
            send(connection)
            if connection._queue:
                connection.wait_written(deadline_s)
        except OperationError as failure:
            error = failure
        except Exception:  # what cannot be encoded
            facts.withdrawn("SEND", name, tags)
            raise
        except BaseException:
            facts.cancelled("SEND", name, tags)
            raise
        user.intake.report(user, "SEND", name, None, 0, error, None, tags)
        if error is not None:
            raise quiet(error)
