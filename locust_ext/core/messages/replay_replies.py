"""Which recorded message answered which: the expectations of a replay, and the correlation that follows from them.

In this order: a reply repeats the request's id (or, in Socket.IO, its ack id); else its type answers the request's type.
A type answers another if it came once after each of its messages and never unasked; where their names are not alike (as
``query`` and ``query_result`` are), also before anything else was sent. What the replay's author says goes before all this.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from locust_ext.core.messages.replay_frames import Said, kind_of
from locust_ext.core.protocols.exchange import PUSH
from locust_ext.errors import ConfigError

ID_FIELDS: Final = (
    *("id", "request_id", "requestId", "reqId", "req_id", "message_id", "messageId", "msg_id", "msgId"),
    *("correlation_id", "correlationId", "ref", "reply_to", "replyTo", "in_reply_to", "nonce"),
)
"""Fields in which a reply may repeat a request's id; in one of the same name, or of another of these."""

_ALIKE: Final = {frozenset(pair) for pair in (("ping", "pong"), ("login", "welcome"), ("hello", "welcome"))}
_ALIKE_CHARS: Final = 5


@dataclass
class Replies:
    """What the recordings tell of requests and replies."""

    ids: tuple[tuple[str, str], ...] = ()
    """Pairs of fields: of the request, and of the reply that repeats it."""
    types: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Type of the request -> types of which any one answers it."""
    by_id: dict[int, str] = field(default_factory=dict)
    """``id()`` of each sent message that was answered by its id -> the field that holds it."""
    answered_by: dict[int, str] = field(default_factory=dict)
    """``id()`` of each sent message that was answered -> the type of its reply."""
    answered_s: dict[int, float] = field(default_factory=dict)
    """``id()`` of each sent message that was answered -> when, in seconds from the connection's opening."""
    one_way: frozenset[str] = frozenset()
    """Types that are not to be performed as requests, whatever was recorded."""
    acked: set[str] = field(default_factory=set)
    """Socket.IO events that were acknowledged."""
    confirm: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    """Socket.IO events that another event confirmed, and the fields in which both agree, as `ConfirmedBy` takes them."""

    def is_request(self, said: Said) -> bool:
        """Whether a sent message is to be performed as a request."""
        return said.kind not in self.one_way and (id(said) in self.answered_by or said.kind in self.types)


class RecordedReplies:
    """The correlation of a replay on plain WebSockets: by id where the recorded replies repeat one, else by type.

    Messages of types that nothing answered get the key None: they are one-way.
    """

    in_order = False
    unasked = PUSH
    __slots__ = ("_ids", "_key_of_reply", "_types")

    def __init__(self, ids: Sequence[tuple[str, str]], types: Mapping[str, tuple[str, ...]]) -> None:
        self._ids = tuple(ids)
        # Types that share a reply wait in one queue, named by one of the types that answer it.
        queues: list[tuple[set[str], set[str]]] = []
        for kind, replies in types.items():
            kinds, answers = {kind}, set(replies)
            apart = []
            for other in queues:
                if other[1] & answers:
                    kinds |= other[0]
                    answers |= other[1]
                else:
                    apart.append(other)
            queues = [*apart, (kinds, answers)]
        self._types: dict[str, Hashable] = {}
        self._key_of_reply: dict[str, Hashable] = {}
        for kinds, answers in queues:
            key = ("type", min(answers))
            self._types.update(dict.fromkeys(kinds, key))
            self._key_of_reply.update(dict.fromkeys(answers, key))

    def outgoing(self, message: Any, next_id: Callable[[], int]) -> tuple[Any, Hashable]:
        key: Hashable = self._types.get(kind_of(message))
        if key is None and isinstance(message, dict):
            for name, _ in self._ids:
                if is_id(value := message.get(name)):
                    return message, ("id", value)
        return message, key

    def incoming(self, reply: Any) -> Hashable | None:
        key: Hashable = self._key_of_reply.get(kind_of(reply))
        if key is None and isinstance(reply, dict):
            for _, name in self._ids:
                if is_id(value := reply.get(name)):
                    return ("id", value)
        return key


def is_id(value: object) -> bool:
    """Text or a whole number; not a truth value, which would equal 0 or 1."""
    return type(value) is int or (type(value) is str and value != "")


def check_replies(given: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """What a replay's author says of replies, as types; none for None. Raises ``ConfigError``."""
    checked: dict[str, tuple[str, ...]] = {}
    for kind, answers in given.items():
        names = () if answers is None else (answers,) if isinstance(answers, str) else answers
        if not isinstance(names, tuple | list) or not all(isinstance(name, str) and name for name in names):
            raise ConfigError("expected the type of the reply, several, or None", key=f"replies.{kind}", value=answers)
        checked[str(kind)] = tuple(names)
    return checked


def replies_in(conversations: Iterable[Sequence[Said]], told: Mapping[str, tuple[str, ...]]) -> Replies:
    """The expectations that all conversations of one kind agree on; ``told`` is what the author says, by type."""
    conversations = list(conversations)
    found = Replies(
        types={kind: answers for kind, answers in told.items() if answers},
        one_way=frozenset(kind for kind, answers in told.items() if not answers),
    )
    taken: set[int] = set()
    ids: dict[tuple[str, str], None] = {}
    for said in conversations:
        ids.update(_answer_by_id(said, found, taken, told))
    found.ids = tuple(ids)
    by_id = {each.kind for said in conversations for each in said if id(each) in found.by_id}
    skipped = by_id | set(told) | found.acked
    for kind, answer in _answer_by_type(conversations, taken, skipped).items():
        found.types[kind] = (answer,)
    for said in conversations:
        _assign(said, found, taken)
    _agree_on_fields(found)
    return found


def _answer_by_id(
    said: Sequence[Said], found: Replies, taken: set[int], told: Mapping[str, tuple[str, ...]]
) -> dict[tuple[str, str], None]:
    """Pair messages by ack id and by id; gives the pairs of fields."""
    open_: dict[Hashable, Said] = {}
    fields: dict[Hashable, str] = {}
    pairs: dict[tuple[str, str], None] = {}
    for each in said:
        if each.is_sent:
            if each.ack is not None and not each.is_ack:
                open_["ack", each.ack] = each
            elif each.kind not in told and isinstance(each.body, dict):
                for name in ID_FIELDS:
                    if is_id(value := each.body.get(name)):
                        open_.setdefault((type(value), value), each)
                        fields.setdefault((type(value), value), name)
                        break
            continue
        if each.is_ack:
            request = open_.pop(("ack", each.ack), None)
            if request is not None:
                found.answered_by[id(request)] = "ack"
                found.answered_s[id(request)] = each.t_s
                found.acked.add(request.kind)
                taken.add(id(each))
        elif isinstance(each.body, dict):
            for name in ID_FIELDS:
                if is_id(value := each.body.get(name)) and (key := (type(value), value)) in open_:
                    request = open_.pop(key)
                    field_name = fields.pop(key)
                    found.answered_by[id(request)] = each.kind
                    found.answered_s[id(request)] = each.t_s
                    found.by_id[id(request)] = field_name
                    pairs[field_name, name] = None
                    taken.add(id(each))
                    break
    return pairs


def _answer_by_type(conversations: Sequence[Sequence[Said]], taken: set[int], skipped: Iterable[str]) -> dict[str, str]:
    """For each type of request the type that answers it, where there is one; no type answers two."""
    skipped = set(skipped)
    places = [_places(said, taken) for said in conversations]
    kinds = dict.fromkeys(kind for each in places for kind in each.sent if kind not in skipped)
    answers = dict.fromkeys(kind for each in places for kind in each.received)
    pairs: list[tuple[bool, int, str, str]] = []
    for kind in kinds:
        for answer in answers:
            alike = is_alike(kind, answer)
            distance = _distance(kind, answer, places, alike)
            if distance is not None:
                pairs.append((not alike, distance, kind, answer))
    chosen: dict[str, str] = {}
    for _, _, kind, answer in sorted(pairs, key=lambda pair: pair[:2]):
        if kind not in chosen and answer not in chosen.values():
            chosen[kind] = answer
    return chosen


@dataclass
class Places:
    """Where in a conversation each type was sent, and where received."""

    sent: dict[str, list[int]] = field(default_factory=dict)
    received: dict[str, list[int]] = field(default_factory=dict)
    sends: list[int] = field(default_factory=list)
    """Of any type."""


def _places(said: Sequence[Said], taken: set[int]) -> Places:
    places = Places()
    for place, each in enumerate(said):
        if each.is_sent and not each.is_ack:
            places.sent.setdefault(each.kind, []).append(place)
            places.sends.append(place)
        elif not each.is_sent and id(each) not in taken:
            places.received.setdefault(each.kind, []).append(place)
    return places


def _distance(kind: str, answer: str, places: Sequence[Places], alike: bool) -> int | None:
    """How far behind the requests their replies came, in messages; None: ``answer`` does not answer ``kind``.

    In each conversation the replies came one for one behind the requests, of which only the last may be without: the
    recording may have ended first. Unless the names are alike, nothing else was sent between a request and its reply.
    """
    total, answered = 0, 0
    for each in places:
        asked, came = each.sent.get(kind, []), each.received.get(answer, [])
        if not 0 <= len(asked) - len(came) <= 1:
            return None
        for before, after in zip(asked, came, strict=False):
            if after < before or (not alike and bisect_left(each.sends, after) - bisect_left(each.sends, before) > 1):
                return None
            total += after - before
            answered += 1
    return total if answered else None


def is_alike(kind: str, answer: str) -> bool:
    """Whether the names of two types say that one answers the other: ``ping pong``, ``subscribe subscription_confirmed``."""
    kind, answer = kind.lower(), answer.lower()
    if frozenset((kind, answer)) in _ALIKE:
        return True
    same = 0
    for ours, theirs in zip(kind, answer, strict=False):
        if ours != theirs:
            break
        same += 1
    return same >= min(_ALIKE_CHARS, len(kind))


def _assign(said: Sequence[Said], found: Replies, taken: set[int]) -> None:
    """Give each request the reply that it got by type, in order; and note what confirmed a Socket.IO event."""
    waiting: dict[str, deque[tuple[int, Said]]] = {}
    for place, each in enumerate(said):
        if not each.is_sent and id(each) not in taken:
            waiting.setdefault(each.kind, deque()).append((place, each))
    for place, each in enumerate(said):
        if not each.is_sent or id(each) in found.answered_by or each.kind not in found.types:
            continue
        queues = [waiting[kind] for kind in found.types[each.kind] if kind in waiting]
        for queue in queues:
            while queue and queue[0][0] < place:
                queue.popleft()
        if queues := [queue for queue in queues if queue]:
            _, reply = min(queues, key=lambda queue: queue[0][0]).popleft()
            found.answered_by[id(each)] = reply.kind
            found.answered_s[id(each)] = reply.t_s
            _note_confirmation(each, reply, found)


def _note_confirmation(request: Said, reply: Said, found: Replies) -> None:
    """Fields in which an event and the one that confirms it agree, over all recorded pairs."""
    if not isinstance(request.body, list) or not isinstance(reply.body, list):
        return
    ours, theirs = (args[0] if args and isinstance(args[0], dict) else {} for args in (request.body, reply.body))
    same = tuple(name for name, value in ours.items() if name in theirs and theirs[name] == value)
    known = found.confirm.get(request.kind)
    if known is not None:
        same = tuple(name for name in known[1] if name in same)
    found.confirm[request.kind] = (reply.kind, same)


def _agree_on_fields(found: Replies) -> None:
    """Events that the same event confirms are told apart by the same fields."""
    common: dict[str, tuple[str, ...]] = {}
    for answer, names in found.confirm.values():
        common[answer] = tuple(name for name in common.get(answer, names) if name in names)
    found.confirm = {kind: (answer, common[answer]) for kind, (answer, _) in found.confirm.items()}
