"""`WebSocketUser`: application messages over plain WebSockets."""

from __future__ import annotations

import locust  # noqa: F401 – monkey-patches, before anything below imports a socket

from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any, ClassVar

import orjson

from locust_ext.core.messages import Replay
from locust_ext.core.messages.message import Message
from locust_ext.core.protocols.correlation import ById, as_correlation
from locust_ext.core.protocols.ties import as_fan_out
from locust_ext.errors import ConnectionLost, ErrorReply
from locust_ext.plugin.users.base import RealTimeUser
from locust_ext.plugin.users.caught import Caught
from locust_ext.plugin.users.channel import Channel
from locust_ext.plugin.users.failures import quiet
from locust_ext.plugin.users.reporting import as_tags
from locust_ext.runtime.address import endpoint
from locust_ext.runtime.profile import MessagingProfile
from locust_ext.runtime.websocket import WebSocketConnection


def push_name(message: Any) -> str:
    """The statistics name of a push (and of a request that names none): its ``type``, ``event``, ``method`` or kind."""
    if isinstance(message, dict):
        for field in ("type", "event", "method"):
            value = message.get(field)
            if isinstance(value, str) and value:
                return value
        return "message"
    return "binary" if isinstance(message, bytes) else "text" if isinstance(message, str) else "message"


class WebSocketChannel(Channel[WebSocketConnection]):
    """What ``self.ws`` is. ``message`` is anything that ``encode`` takes; ``str`` and ``bytes`` go out as they are."""

    type_ = "WS"

    def __init__(self, user: Any, path: str, profile: MessagingProfile) -> None:
        super().__init__(user, path)
        self.profile = profile
        self.client_id: str | None = None
        """Stands for ``{client_id}`` where it is not the user's."""

    def _new_connection(self, host: str | None) -> WebSocketConnection:
        user = self._user
        path = self.path if self.client_id is None else self.path.replace("{client_id}", self.client_id)
        target = endpoint(host or user.base_url(self), *user.path_and_query(path))
        return WebSocketConnection(
            target,
            shared=user.shared,
            facts=user.intake.recorder,
            options=user.handshake_options(target),
            settings=user.transport_settings(),
            on_gone=self._on_gone,
            state=self.connection.state if self.connection is not None else self._state,
            profile=self.profile,
            on_done=self._report_call,
        )

    def request(
        self,
        message: Any,
        name: str | None = None,
        timeout_s: float | None = None,
        tags: Iterable[str] | None = None,
        *,
        catch_response: bool = False,
        intended_s: float | None = None,
    ) -> Any:
        """Send ``message`` and wait for its reply; gives it decoded, or a `Caught` with ``catch_response=True``.

        Raises `RequestTimeout`, `ConnectionLost` or `ErrorReply`, each recorded; uncaught in a task it ends that turn
        quietly. ``intended_s`` (monotonic) is when an open-loop schedule wanted it sent.
        """
        if self.profile.fan_out is not None and (begun := self._begin_fan_out(message)) is not None:
            message, cause = begun
            return self._fan_out(
                cause,
                lambda: self.request(
                    message, name, timeout_s, tags, catch_response=catch_response, intended_s=intended_s
                ),
            )
        user = self._user
        if user.is_being_killed:
            user.wait_for_kill()
        if (quota := self._intake.quota) is not None:
            quota.take(user)
        name = push_name(message) if name is None else name
        if type(tags) is not tuple:
            tags = () if tags is None else as_tags(tags)
        timeout_s = user.request_timeout_s if timeout_s is None else self._timeout(timeout_s)
        connection = self.connection
        if connection is not None and connection.state == "open":
            call = connection.begin(message, name, timeout_s, tags, intended_s, None, True)
        else:
            deadline_s = monotonic() + timeout_s
            connection = self._open_for(name, tags, deadline_s)
            call = connection.begin(message, name, timeout_s, tags, intended_s, deadline_s, True)
        connection.wait_for(call)
        failure = call.error
        if catch_response and (failure is None or isinstance(failure, ErrorReply)):
            return Caught(self, call)
        self._report_call(call)
        if failure is not None:
            raise quiet(failure)
        return call.reply

    def submit(
        self,
        message: Any,
        name: str | None = None,
        timeout_s: float | None = None,
        tags: Iterable[str] | None = None,
        *,
        intended_s: float | None = None,
    ) -> None:
        """Send ``message`` and return at once; its outcome is recorded when it comes.

        Blocks while ``max_in_flight`` requests are open. Raises `RequestTimeout`, `ConnectionLost` if it could not be sent.
        """
        if self.profile.fan_out is not None and (begun := self._begin_fan_out(message)) is not None:
            message, cause = begun
            self._fan_out(cause, lambda: self.submit(message, name, timeout_s, tags, intended_s=intended_s))
            return
        user = self._user
        if user.is_being_killed:
            user.wait_for_kill()
        if (quota := self._intake.quota) is not None:
            quota.take(user)
        name = push_name(message) if name is None else name
        if type(tags) is not tuple:
            tags = () if tags is None else as_tags(tags)
        timeout_s = user.request_timeout_s if timeout_s is None else self._timeout(timeout_s)
        connection = self.connection
        if connection is None or connection.state != "open" or len(connection.pending) >= user.max_in_flight:
            connection = self._open_for(name, tags, monotonic() + timeout_s, user.max_in_flight)
        connection.watch(connection.begin(message, name, timeout_s, tags, intended_s))

    def say(
        self, message: Any, name: str | None, timeout_s: float | None, tags: Iterable[str] | None, one_way: bool
    ) -> Any:
        body = message.body if isinstance(message, Message) else message
        return self.send(body, name, tags) if one_way else self.request(body, name, timeout_s, tags)

    def send(self, message: Any, name: str | None = None, tags: Iterable[str] | None = None) -> None:
        """Send without expecting a reply; recorded as ``SEND``. Raises `ConnectionLost`, `RequestTimeout`."""
        if self.profile.fan_out is not None and (begun := self._begin_fan_out(message)) is not None:
            message, cause = begun
            self._fan_out(cause, lambda: self.send(message, name, tags))
            return
        self._record_send(
            push_name(message) if name is None else name, tags, lambda connection: connection.send_one_way(message)
        )

    def expect(self, predicate: Callable[[Any], object], timeout_s: float | None = None, name: str = "expect") -> Any:
        """The first push for which ``predicate(push)`` is true; others stay for `receive`.

        Recorded under ``name``, with the time that was waited; one that was there already has no response time. Raises
        `RequestTimeout` or `ConnectionLost`.
        """
        return self._expect(name, timeout_s, predicate)


def encode_json(message: Any) -> bytes:
    """The default encoding: JSON by orjson, sent as text."""
    return orjson.dumps(message)


def decode_json(payload: str | bytes) -> Any:
    """The default decoding; what is no JSON is handed on as it came."""
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        return payload


BY_ID = ById("id")


class WebSocketUser(RealTimeUser):
    """A user of a WebSocket server; ``self.ws`` is its connection."""

    abstract = True

    path: str = "/"
    """Path (and query) of the endpoint, with ``{client_id}`` filled in; its template is the statistics name."""
    correlate: Any = BY_ID
    """Which reply answers which request: `ById`, `ByType`, `Fifo`, or a callable; unless set, a `Replay` brings its own."""
    encode: Callable[[Any], str | bytes] = staticmethod(encode_json)
    """``str`` goes out as text, ``bytes`` as binary (but those of orjson as text)."""
    decode: Callable[[str | bytes], Any] = staticmethod(decode_json)

    _profiles: ClassVar[dict[str, MessagingProfile]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._profiles = {}
        as_correlation(cls.correlate)  # a wrong one is an error of the locustfile, not of the run
        if isinstance(cls.generator, Replay):
            cls.generator.check_protocol(is_socketio=False)

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.ws = self.main = self.open(self.path, connect=False)

    def open(self, path: str, correlate: Any = None, *, connect: bool = True) -> WebSocketChannel:
        """A further connection of this user, with the same settings; closed with the user. Raises `ConnectFailed`."""
        channel = WebSocketChannel(self, path, self.profile(correlate))
        self.channels.append(channel)
        if connect:
            channel.connect()
        return channel

    def another_channel(self) -> WebSocketChannel:
        """With a ``{client_id}`` of its own: servers answer one connection of a client."""
        channel = self.open(self.path, connect=False)
        channel.client_id = f"{self.client_id}-{len(self.channels)}"
        return channel

    def profile(self, correlate: Any = None, **more: Any) -> MessagingProfile:
        """What this class's connections have in common; one object for each correlation."""
        cls = type(self)
        chosen = cls.correlate if correlate is None else correlate
        if chosen is BY_ID and isinstance(cls.generator, Replay):
            chosen = cls.generator.correlate
        key = str(id(chosen))
        known = cls._profiles.get(key)
        if known is None:
            correlation = as_correlation(chosen)
            # The defaults are orjson's functions themselves: what `decode_json` catches, the connection catches as well.
            encode = orjson.dumps if cls.encode is encode_json else cls.encode
            decode = orjson.loads if cls.decode is decode_json else cls.decode
            known = cls._profiles[key] = MessagingProfile(
                correlation=correlation,
                encode=encode,
                decode=decode,
                push_name=cls.push_name,
                is_binary=encode is not orjson.dumps,
                max_inbox=cls.max_inbox if cls._is_task_driven else 0,
                inbox_policy=cls.inbox_policy,
                fan_out=as_fan_out(cls.fan_out),
                **more,
            )
        return known

    push_name: Callable[[Any], str] = staticmethod(push_name)
    """The statistics name of a push, from the decoded message."""

    def base_url(self, channel: WebSocketChannel) -> str:
        """The address that a channel connects to; override it for channels on another host."""
        return self.host or ""

    def path_and_query(self, path: str) -> tuple[str, str]:
        """``path`` with this user's names filled in, and what else the query carries (perhaps secret)."""
        return path.replace("{client_id}", self.client_id), ""

    message_channels: ClassVar[frozenset[str | None]] = frozenset({None})

    def perform(self, message: Message, intended_s: float | None = None) -> bool:
        channel = self.channel_of(message)
        if channel is None:
            return super().perform(message, intended_s)
        if message.one_way:
            channel.send(message.body, message.name)
        elif self.max_in_flight > 1:
            channel.submit(message.body, message.name, intended_s=intended_s)
        else:
            channel.request(message.body, message.name, intended_s=intended_s)
        return True

    def channel_of(self, message: Message) -> WebSocketChannel | None:
        """Which channel carries ``message``; None: none of the WebSocket channels."""
        return self.ws if message.channel is None else None


__all__ = ["ConnectionLost", "WebSocketChannel", "WebSocketUser", "decode_json", "encode_json", "push_name"]
