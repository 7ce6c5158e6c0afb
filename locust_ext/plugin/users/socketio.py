"""`FastSocketIOUser`: Socket.IO over WebSocket only, with acks and confirming events as round trips."""

from __future__ import annotations

import locust  # noqa: F401 – monkey-patches, before anything below imports a socket

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar

from locust_ext.core.accounting.fanout import Cause
from locust_ext.core.messages import Replay
from locust_ext.core.messages.message import Message
from locust_ext.core.protocols.correlation import ConfirmedBy
from locust_ext.core.protocols.ties import FanOut, as_fan_out
from locust_ext.errors import ConnectionLost, ErrorReply
from locust_ext.plugin.users.base import RealTimeUser
from locust_ext.plugin.users.caught import Caught
from locust_ext.plugin.users.channel import Channel
from locust_ext.plugin.users.failures import quiet
from locust_ext.plugin.users.reporting import as_tags
from locust_ext.runtime.address import endpoint
from locust_ext.runtime.inbox import ANY
from locust_ext.runtime.profile import MessagingProfile
from locust_ext.runtime.socketio import SocketIOConnection


def _arguments(data: Any) -> tuple[Any, ...]:
    """As python-socketio has it: None is no argument, a tuple several, anything else one."""
    return () if data is None else data if isinstance(data, tuple) else (data,)


def _value(args: list[Any]) -> Any:
    """What an ack or an event carries: nothing, one value, or a tuple of several."""
    return None if not args else args[0] if len(args) == 1 else tuple(args)


class SocketIOChannel(Channel[SocketIOConnection]):
    """What ``self.sio`` is."""

    type_ = "SIO"

    def __init__(
        self,
        user: Any,
        path: str,
        profile: MessagingProfile,
        namespace: str = "/",
        auth: Mapping[str, Any] | Callable[[Any], Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(user, path)
        self.profile = profile
        self.namespace = namespace
        self.auth = auth

    def _new_connection(self, host: str | None) -> SocketIOConnection:
        user = self._user
        target = endpoint(host or user.socketio_url(self), self.path, "EIO=4&transport=websocket")
        return SocketIOConnection(
            target,
            shared=user.shared,
            facts=user.intake.recorder,
            options=user.handshake_options(target),
            settings=user.transport_settings(),
            on_gone=self._on_gone,
            state=self.connection.state if self.connection is not None else self._state,
            profile=self.profile,
            on_done=self._report_call,
            namespace=self.namespace,
            auth=self.auth(user) if callable(self.auth) else self.auth,
        )

    @property
    def audience(self) -> str:
        """The channels that expect the same fan-outs say the same."""
        return f"{super().audience}{self.namespace.partition('?')[0]}"

    def _begin_event(self, event: str, data: Any) -> tuple[Any, Cause] | None:
        """The fan-out that this event begins; None: it begins none."""
        return self._begin_fan_out(data)

    def disconnect(self) -> None:
        """Leave the namespace and close in order; idempotent."""
        self.close()

    def call(
        self,
        event: str,
        data: Any = None,
        *,
        name: str | None = None,
        timeout_s: float | None = None,
        tags: Iterable[str] | None = None,
        catch_response: bool = False,
        intended_s: float | None = None,
    ) -> Any:
        """Emit ``event`` and wait for its ack, or for its confirming event (`FastSocketIOUser.confirm`).

        Gives what that carries: None, one value, or a tuple. On a lost connection it fails at once. Raises
        `RequestTimeout`, `ConnectionLost`, `ErrorReply`, each recorded; uncaught in a task it ends that turn quietly.
        """
        if self.profile.fan_out is not None and (begun := self._begin_event(event, data)) is not None:
            data, cause = begun
            return self._fan_out(
                cause, lambda: self._call(event, data, name, timeout_s, tags, catch_response, intended_s)
            )
        return self._call(event, data, name, timeout_s, tags, catch_response, intended_s)

    def _call(
        self,
        event: str,
        data: Any,
        name: str | None,
        timeout_s: float | None,
        tags: Iterable[str] | None,
        catch_response: bool,
        intended_s: float | None,
    ) -> Any:
        user = self._user
        if user.is_being_killed:
            user.wait_for_kill()
        if (quota := self._intake.quota) is not None:
            quota.take(user)
        name = event if name is None else name
        if type(tags) is not tuple:
            tags = () if tags is None else as_tags(tags)
        timeout_s = user.request_timeout_s if timeout_s is None else self._timeout(timeout_s)
        connection = self.connection
        if connection is None:  # it has never been open
            error = quiet(ConnectionLost("lost", "the connection is not open"))
            self._never_begun(name, tags, error)
            raise error
        call = connection.begin(event, _arguments(data), name, timeout_s, tags, intended_s, None, True)
        connection.wait_for(call)
        failure = call.error
        if call.reply is not None:
            call.reply = _value(call.reply)
        if catch_response and (failure is None or isinstance(failure, ErrorReply)):
            return Caught(self, call)
        self._report_call(call)
        if failure is not None:
            raise quiet(failure)
        return call.reply

    def say(
        self, message: Any, name: str | None, timeout_s: float | None, tags: Iterable[str] | None, one_way: bool
    ) -> Any:
        if isinstance(message, Message):
            event, data = message.name, message.body
        else:
            event, data = message if isinstance(message, tuple) else (message, None)
        if one_way:
            return self.emit(event, data, name=name, tags=tags)
        return self.call(event, data, name=name, timeout_s=timeout_s, tags=tags)

    def emit(self, event: str, data: Any = None, *, name: str | None = None, tags: Iterable[str] | None = None) -> None:
        """Emit ``event`` without expecting an answer; recorded as ``SEND``. Raises `ConnectionLost`."""
        send = partial(self._record_send, name or event, tags)
        if self.profile.fan_out is not None and (begun := self._begin_event(event, data)) is not None:
            data, cause = begun
            self._fan_out(cause, lambda: send(lambda connection: connection.emit(event, _arguments(data))))
        else:
            send(lambda connection: connection.emit(event, _arguments(data)))

    def on(self, event: str, handler: Callable[..., object]) -> None:
        """Call ``handler(*args)`` in the dispatcher greenlet for each ``event``; for ``"*"``, ``handler(event, *args)``.

        Where the server wants an ack, what the first handler returns is sent: None is no argument, a tuple several,
        anything else one. One that raises sends none. Without a handler an empty ack goes out at once.
        """
        if event == ANY:
            super().on(event, lambda pair: handler(pair[0], *pair[1]))
        else:
            super().on(event, lambda pair: handler(*pair[1]))

    def receive(self, timeout_s: float | None = None) -> list[Any]:
        """The oldest event not yet received, as ``[event, *args]``. Raises `RequestTimeout`, `ConnectionLost`."""
        event, args = super().receive(timeout_s)
        return [event, *args]

    def expect(
        self,
        event: str | Callable[[str, Any], object],
        predicate: Callable[[Any], object] | None = None,
        timeout_s: float | None = None,
        name: str | None = None,
    ) -> Any:
        """What the first ``event`` carries (for which ``predicate(data)`` is true); others stay for `receive`.

        ``event`` may itself be a predicate of ``(event, data)``. Recorded as `WebSocketChannel.expect` says, under
        ``name`` (default: the event). Raises `RequestTimeout` or `ConnectionLost`.
        """
        if callable(event):
            wanted: Callable[[Any], object] = lambda pair: event(pair[0], _value(pair[1]))  # noqa: E731
        else:
            wanted = lambda pair: pair[0] == event and (predicate is None or predicate(_value(pair[1])))  # noqa: E731
        found = self._expect(name or (event if isinstance(event, str) else "expect"), timeout_s, wanted)
        return _value(found[1])


class FastSocketIOUser(RealTimeUser):
    """A user of a Socket.IO server; ``self.sio`` is its connection. (Locust's own ``SocketIOUser`` keeps its name.)"""

    abstract = True

    socketio_path: str = "/socket.io/"
    namespace: str = "/"
    auth: Mapping[str, Any] | Callable[[Any], Mapping[str, Any]] | None = None
    """Sent with the CONNECT of the namespace; a callable is asked at each connect, with the user. Never shown."""
    confirm: Mapping[str, str | tuple[str, tuple[str, ...]]] | ConfirmedBy = MappingProxyType({})
    """Events that are confirmed by another event: ``{"context_set": ("context_set_confirmed", ("key", "value"))}``, or
    ``{"join": "joined"}`` where no field tells; or a `ConfirmedBy`, whose ``error`` then counts. Unless set, a `Replay`
    brings its own."""
    error_event: str | None = "error"
    """The event that answers the oldest open call as a failure; None: there is none."""
    ping_interval_s = 0.0  # the server pings (Engine.IO 4), and its silence is noticed

    _sio_profile: ClassVar[MessagingProfile | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._sio_profile = None
        _confirmed_by(cls.confirm, cls.error_event)  # a wrong one is an error of the locustfile, not of the run
        if isinstance(cls.generator, Replay):
            cls.generator.check_protocol(is_socketio=True)

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.sio = self.main = self.open_socketio(connect=False)

    def open_socketio(self, namespace: str | None = None, *, connect: bool = True) -> SocketIOChannel:
        """A further connection of this user, closed with it. Raises `ConnectFailed`."""
        channel = SocketIOChannel(
            self,
            self.socketio_path,
            self.socketio_profile(),
            self.namespace if namespace is None else namespace,
            self.setting("auth"),
        )
        self.channels.append(channel)
        if connect:
            channel.connect()
        return channel

    def another_channel(self) -> SocketIOChannel:
        return self.open_socketio(connect=False)

    def socketio_profile(self) -> MessagingProfile:
        cls = type(self)
        if cls._sio_profile is None:
            recorded = cls.generator.confirm if isinstance(cls.generator, Replay) else {}
            cls._sio_profile = socketio_profile(cls, cls.confirm or recorded, cls.error_event, as_fan_out(cls.fan_out))
        return cls._sio_profile

    def socketio_url(self, channel: SocketIOChannel) -> str:
        return self.host or ""

    def perform(self, message: Message, intended_s: float | None = None) -> bool:
        if message.one_way:
            self.sio.emit(message.name, message.body)
        else:
            self.sio.call(message.name, message.body, intended_s=intended_s)
        return True


def _confirmed_by(confirm: Any, error_event: str | None) -> ConfirmedBy:
    return confirm if isinstance(confirm, ConfirmedBy) else ConfirmedBy(confirm, error=error_event)


def socketio_profile(
    cls: type[RealTimeUser],
    confirm: Mapping[str, str | tuple[str, tuple[str, ...]]] | ConfirmedBy,
    error_event: str | None,
    fan_out: FanOut | None,
) -> MessagingProfile:
    """The profile of a class's Socket.IO connections."""
    return MessagingProfile(
        correlation=_confirmed_by(confirm, error_event),
        encode=str,
        decode=str,
        push_name=str,
        max_inbox=cls.max_inbox if cls._is_task_driven else 0,
        inbox_policy=cls.inbox_policy,
        fan_out=fan_out,
    )
