"""Which reply belongs to which request: the rules to choose from.

    ById         the reply repeats the request's id (the default)      ConfirmedBy     Socket.IO events that confirm
    ByType       its type follows from the request's, in order         AgentChannel    by type and by what is echoed
    Fifo         every arrival answers the oldest open request         MonitorChannel  by type, most are one-way
    ByCall       a callable gives the key of both

The table that applies them, ``PendingTable``, is in ``pending.py``; all its names can be had from here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Final, cast

import orjson

from locust_ext.core.protocols.exchange import (
    ANSWERED,
    CANCELLED,
    DUPLICATE,
    ERROR,
    EXPIRED,
    FAILED,
    LATE,
    LOST,
    OLDEST,
    OPEN,
    PUSH,
    REPLY,
    UNMATCHED,
    WITHOUT_REPLY,
    Correlation,
    ErrorFor,
    Exchange,
)
from locust_ext.core.protocols.pending import PendingTable
from locust_ext.errors import ConfigError

__all__ = [
    "ANSWERED",
    "CANCELLED",
    "DUPLICATE",
    "ERROR",
    "EXPIRED",
    "FAILED",
    "LATE",
    "LOST",
    "OLDEST",
    "OPEN",
    "PUSH",
    "REPLY",
    "UNMATCHED",
    "WITHOUT_REPLY",
    "AgentChannel",
    "ByCall",
    "ById",
    "ByType",
    "ConfirmedBy",
    "Correlation",
    "ErrorFor",
    "Exchange",
    "Fifo",
    "MonitorChannel",
    "PendingTable",
    "as_correlation",
]


class ById:
    """The reply repeats the request's id (the default rule). Requests without one get one.

    ``make`` turns a number into the id: by default text such as ``lx81604000017``, so that ids of the server's own messages
    (which are numbers as a rule) cannot be taken for ours; ``make=int`` for servers that insist on integers.
    """

    in_order = False
    unique_keys = True
    unasked = PUSH
    __slots__ = ("field", "make")

    def __init__(self, field: str = "id", make: Callable[[int], str | int] | None = None) -> None:
        self.field = field
        self.make = make

    def outgoing(self, message: Any, next_id: Callable[[], int]) -> tuple[Any, Hashable]:
        """Raises ``ConfigError`` if the message is no object, or has an id that is neither text nor an integer."""
        if type(message) is not dict and not isinstance(message, Mapping):
            raise ConfigError(
                "a JSON object, into which ById can put an id; other messages need Fifo() or a callable",
                key="correlate",
                value=type(message).__name__,
            )
        key = message.get(self.field)
        if key is None:
            number = next_id()
            key = f"lx{number}" if self.make is None else self.make(number)
            return {**message, self.field: key}, key
        if type(key) not in _ID_TYPES:
            raise ConfigError("text or an integer as a message's id", key=self.field, value=key)
        return message, key

    def incoming(self, reply: Any) -> Hashable | None:
        if type(reply) is not dict:
            return None
        key = reply.get(self.field)
        # By exact type: True would equal the id 1.
        return key if type(key) in _ID_TYPES else None

    def __repr__(self) -> str:
        return f"ById({self.field!r})"


_ID_TYPES: Final = frozenset((str, int, bytes))


class ByType:
    """The reply's type follows from the request's; the replies of one type come in order.

    ``replies`` names for each request type the type of its reply, or several types of which any one answers. Request
    types that share a reply type wait in one queue. A request type that is not named is never answered (key None).
    ``error``: the type of error replies that name no cause; such a one answers the oldest open request.

    An arrival of a reply type with nothing open is ``DUPLICATE`` if that type answered before on this connection, else
    ``UNMATCHED``: without ids a second answer and an answer to nothing differ in nothing else. Other types are pushes.
    """

    in_order = True
    unasked = UNMATCHED
    __slots__ = ("_key_of_reply", "_key_of_request", "type_field")

    def __init__(
        self,
        replies: Mapping[str, str | Sequence[str]],
        type_field: str = "type",
        *,
        error: str | None = None,
    ) -> None:
        self.type_field = type_field
        # Request types whose replies overlap share a queue, named by the first reply type met.
        self._key_of_reply: dict[str, Hashable] = {}
        self._key_of_request: dict[str, Hashable] = {}
        for request, answers in replies.items():
            names = (answers,) if isinstance(answers, str) else tuple(answers)
            if not names or any(not isinstance(name, str) for name in names):
                raise ConfigError("the type of the reply, or several", key=f"correlate.{request}", value=answers)
            shared = {self._key_of_reply[name] for name in names if name in self._key_of_reply}
            key = min(shared, key=str) if shared else names[0]
            for table in (self._key_of_reply, self._key_of_request):
                for name, other in table.items():
                    if other in shared:
                        table[name] = key
            for name in names:
                self._key_of_reply[name] = key
            self._key_of_request[request] = key
        if error is not None:
            self._key_of_reply[error] = OLDEST

    def outgoing(self, message: Any, next_id: Callable[[], int]) -> tuple[Any, Hashable]:
        kind = message.get(self.type_field) if type(message) is dict or isinstance(message, Mapping) else None
        return message, self._key_of_request.get(kind) if type(kind) is str else None

    def incoming(self, reply: Any) -> Hashable | None:
        if type(reply) is not dict:
            return None
        kind = reply.get(self.type_field)
        return self._key_of_reply.get(kind) if type(kind) is str else None


class Fifo:
    """Every arrival answers the oldest open request; with none open it is a push.

    For channels on which the server says nothing unasked (echo): any push would answer a request.
    """

    in_order = True
    unasked = PUSH
    remembers = False
    __slots__ = ()

    def outgoing(self, message: Any, next_id: Callable[[], int]) -> tuple[Any, Hashable]:
        return message, "fifo"

    def incoming(self, reply: Any) -> Hashable | None:
        return "fifo"


class ByCall:
    """``key_of(message)`` gives the key of a request, and the same key of its reply; None: no request, or no reply.

    A plain function in its place is enough (``correlate = lambda message: message.get("ref")``). Requests of one key
    are answered in order; those of different keys in any. What ``key_of`` raises on an arrival makes that one a push.
    """

    in_order = False
    unasked = PUSH
    __slots__ = ("key_of",)

    def __init__(self, key_of: Callable[[Any], Hashable | None]) -> None:
        self.key_of = key_of

    def outgoing(self, message: Any, next_id: Callable[[], int]) -> tuple[Any, Hashable]:
        return message, self.key_of(message)

    def incoming(self, reply: Any) -> Hashable | None:
        return self.key_of(reply)


class ConfirmedBy:
    """Socket.IO: an event is confirmed by another event with the same values. Messages are ``(event, args)`` pairs.

    ``ConfirmedBy({"context_set": ("context_set_confirmed", ("key", "value"))})``: the fields are those of the first
    argument; without fields the events alone decide. ``error`` names the event that answers the oldest open request
    as a failure; None: there is no such event.

    A confirming event alone is enough where no field tells (``{"join": "joined"}``).

    Not ``in_order``: a server may perform events side by side. A confirmation of nothing is ``UNMATCHED``. Keys that are
    integers are ids of acks.
    """

    in_order = False
    unasked = UNMATCHED
    numbers_are_ids = True
    __slots__ = ("_confirming", "_error", "_fields")

    def __init__(self, events: Mapping[str, str | tuple[str, Sequence[str]]], *, error: str | None = "error") -> None:
        self._confirming = {event: _confirming(event, rule) for event, rule in events.items()}
        self._fields: dict[str, tuple[str, ...]] = {}
        for confirming, fields in self._confirming.values():
            if self._fields.setdefault(confirming, fields) != fields:
                raise ConfigError("the same fields wherever this event confirms", key=confirming, value=fields)
        self._error = error

    def outgoing(self, message: Any, next_id: Callable[[], int]) -> tuple[Any, Hashable]:
        event, args = message
        rule = self._confirming.get(event)
        if rule is None:
            return message, None
        confirming, fields = rule
        return message, _confirmation(confirming, fields, args) or WITHOUT_REPLY

    def incoming(self, reply: Any) -> Hashable | None:
        event, args = reply
        fields = self._fields.get(event)
        if fields is None:
            return OLDEST if event == self._error else None
        return _confirmation(event, fields, args)


def _confirming(event: str, rule: Any) -> tuple[str, tuple[str, ...]]:
    """The confirming event and the fields that tell, as a locustfile may write them."""
    if isinstance(rule, str):
        return rule, ()
    if isinstance(rule, Sequence) and len(rule) == 2 and isinstance(rule[0], str):
        fields = (rule[1],) if isinstance(rule[1], str) else tuple(rule[1])
        if all(isinstance(field, str) for field in fields):
            return rule[0], fields
    raise ConfigError(
        "the confirming event, or a pair of it and the fields that tell", key=f"confirm.{event}", value=rule
    )


def _confirmation(confirming: str, fields: tuple[str, ...], args: Sequence[Any]) -> tuple[Any, ...] | None:
    """The key of a confirming event; None if its first argument has not all fields."""
    if not fields:
        return (confirming,)
    values = args[0] if args else None
    if type(values) is not dict:
        return None
    try:
        return (confirming, *[_comparable(values[field]) for field in fields])
    except KeyError:
        return None


def _comparable(value: Any) -> Hashable:
    """A JSON value as part of a key: equal where the values are, also for objects, and True is not 1."""
    kind = type(value)
    if kind is str or kind is int or kind is float:
        return cast(Hashable, value)
    return ("json", orjson.dumps(value, default=repr, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS))


def _word(value: Any) -> str | int | None:
    """A field that the server echoes, if it can be compared."""
    return value if type(value) is str or type(value) is int else None


class AgentChannel:
    """The agent channel's rules: by the reply's type and what it echoes, in order.

    ``agent_command`` is told apart by agent and command, ``query`` by its type, ``prompt_submitted`` by ``prompt_id``
    (its reply is ``prompt_acknowledged``; the ``agent_created`` that follows is a push), ``clear_conversation`` by
    conversation. Message types that the server does not know are answered by an error alone. An ``error`` answers the
    oldest open request, unless it names a ``prompt_id``: then that prompt's, or, once that is acknowledged, it is a
    push about it.
    """

    in_order = True
    unasked = UNMATCHED
    __slots__ = ()

    def outgoing(self, message: Any, next_id: Callable[[], int]) -> tuple[Any, Hashable]:
        kind = message.get("type") if type(message) is dict or isinstance(message, Mapping) else None
        if type(kind) is not str:
            return message, WITHOUT_REPLY
        simple = _AGENT_REPLIES.get(kind)
        if simple is not None:
            return message, simple
        if kind == "prompt_submitted":
            return message, ("prompt_acknowledged", _word(message.get("prompt_id")))
        data = message.get("data")
        if type(data) is dict:
            if kind == "agent_command":
                return message, ("agent_command_result", _word(data.get("agent_id")), _word(data.get("command")))
            if kind == "query":
                return message, ("query_result", _word(data.get("query_type")))
            if kind == "clear_conversation":
                return message, ("conversation_cleared", _word(data.get("conversationId")))
        return message, WITHOUT_REPLY

    def incoming(self, reply: Any) -> Hashable | None:
        if type(reply) is not dict:
            return None
        kind = reply.get("type")
        if type(kind) is not str:
            return None
        if kind in _AGENT_PLAIN:
            return kind
        echoed = _AGENT_ECHOED.get(kind)
        if echoed is not None:
            return (kind, *[_word(reply.get(field)) for field in echoed])
        if kind == "error":
            prompt_id = _word(reply.get("prompt_id"))
            return OLDEST if prompt_id is None else ErrorFor(("prompt_acknowledged", prompt_id))
        return None


_AGENT_REPLIES: Final = {
    "ping": "pong",
    "subscribe": "subscription_confirmed",
    "unsubscribe": "unsubscription_confirmed",
    "heartbeat": "heartbeat_ack",
}
_AGENT_PLAIN: Final = frozenset(_AGENT_REPLIES.values())
_AGENT_ECHOED: Final = {
    "agent_command_result": ("agent_id", "command"),
    "query_result": ("query_type",),
    "prompt_acknowledged": ("prompt_id",),
    "conversation_cleared": ("conversation_id",),
}


class MonitorChannel(ByType):
    """The monitor channel's rules: four requests have replies, in order; every other message is one-way (key None)."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(
            {
                "start_monitoring": "monitoring_started",
                "stop_monitoring": "monitoring_stopped",
                "get_summary": "metric_summary",
                "ping": "pong",
            },
            error="error",
        )


def as_correlation(value: object) -> Correlation:
    """``value`` as a rule: an object with ``outgoing`` and ``incoming`` as it is, a callable as ``ByCall``.

    Raises ``ConfigError`` for anything else, a class such as ``Fifo`` in place of ``Fifo()`` included.
    """
    if not isinstance(value, type):
        if isinstance(value, Correlation):
            return value
        if callable(value) and not hasattr(value, "outgoing") and not hasattr(value, "incoming"):
            return ByCall(value)
    raise ConfigError(
        'a rule such as ById("id"), ByType({…}) or Fifo(), or a callable that gives a message\'s key',
        key="correlate",
        value=value,
    )
