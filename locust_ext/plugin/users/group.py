"""One deed on many connections, with a limit on how many at once: `broadcast` and `connect_many`."""

from __future__ import annotations

import locust  # noqa: F401 – monkey-patches, before anything below imports a socket

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gevent

from locust_ext.core.messages.message import Message
from locust_ext.errors import ConfigError, OperationError

if TYPE_CHECKING:
    from locust_ext.plugin.users.channel import Channel

AT_ONCE = 50
END_S = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it on one connection; it has been recorded as an operation of its own."""

    channel: Channel[Any]
    reply: Any = None
    """The decoded reply; None of a one-way message, and of a connect."""
    error: OperationError | None = None
    """None: it succeeded."""

    @property
    def succeeded(self) -> bool:
        return self.error is None


def on_each(channels: Sequence[Channel[Any]], deed: Callable[[Channel[Any]], Any], limit: int) -> list[Outcome]:
    """``deed(channel)`` on each channel, on at most ``limit`` at once; the outcomes in the order of the channels.

    Blocks the calling greenlet; killed meanwhile, what is under way is recorded as cancelled and nothing more begins. An
    `OperationError` is an outcome; anything else ends the whole and is raised.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise ConfigError("expected a whole number of at least 1", key="limit", value=limit)
    outcomes: list[Outcome | None] = [None] * len(channels)
    left = iter(enumerate(channels))
    raised: list[Exception] = []

    def work() -> None:
        for index, channel in left:
            if raised:
                return
            try:
                outcomes[index] = Outcome(channel, deed(channel))
            except OperationError as error:
                outcomes[index] = Outcome(channel, None, error)
            except Exception as error:  # noqa: BLE001 – the locustfile's own (a body that cannot be encoded): raised below
                raised.append(error)

    workers = [gevent.spawn(work) for _ in range(min(limit, len(channels)))]
    try:
        gevent.joinall(workers)
    finally:
        gevent.killall(workers, timeout=END_S)
    if raised:
        raise raised[0]
    return [outcome for outcome in outcomes if outcome is not None]


def broadcast_over(
    channels: Iterable[Channel[Any]],
    message: Any,
    *,
    name: str | None = None,
    timeout_s: float | None = None,
    tags: Iterable[str] | None = None,
    one_way: bool = False,
    limit: int = AT_ONCE,
) -> list[Outcome]:
    """Say ``message`` on each of the channels; each is an operation of its own. See `on_each`.

    A message is what `WebSocketChannel.request` takes, or a `messages.Message`; on Socket.IO the name of an event, or a
    pair of it and its data. ``one_way``: no reply is expected, each is recorded as ``SEND``.
    """
    if isinstance(message, Message):
        name, one_way = name or message.name, one_way or message.one_way

    def say(channel: Channel[Any]) -> Any:
        return channel.say(message, name, timeout_s, tags, one_way)

    return on_each(list(channels), say, limit)


class ActsOnMany:
    """Adds to a user what it does on several of its connections."""

    channels: list[Channel[Any]]

    def another_channel(self) -> Channel[Any]:
        """A further connection like the user's main one, not yet open."""
        raise ConfigError(
            "expected a user class with a real-time connection", key=f"{type(self).__name__}.connect_many"
        )

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
        """Say ``message`` over all connections of this user, on at most ``limit`` at once; the outcomes, in their order.

        Each is recorded as an operation of its own, and none raises. Channels of another kind beside the main one (those
        with a label: ``monitor``, ``live``) and those that were closed in order are left out; on one that was just lost
        it waits for the connection to come back. On Socket.IO, ``message`` is an event, or a pair of it and its data.
        """
        those = [each for each in self.channels if each.label is None and (each.is_connected or each.is_lost)]
        return broadcast_over(
            those, message, name=name, timeout_s=timeout_s, tags=tags, one_way=one_way, limit=limit
        )  # fmt: skip

    def connect_many(self, channels: int | Iterable[Channel[Any]], *, limit: int = AT_ONCE) -> list[Outcome]:
        """Open these channels, or so many further ones like the main one, at most ``limit`` at once.

        Each attempt is recorded as ``CONNECT``; the outcomes say which failed, and nothing raises. What was opened is
        brought back after a loss, and closed with the user; what failed may be tried again.
        """
        if isinstance(channels, bool) or (isinstance(channels, int) and channels < 0):
            raise ConfigError("expected channels, or a whole number of them", key="connect_many", value=channels)
        those = [self.another_channel() for _ in range(channels)] if isinstance(channels, int) else list(channels)
        return on_each(those, lambda channel: channel.connect(), limit)
