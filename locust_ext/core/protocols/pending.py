"""The open requests of one connection: each arrival gets exactly one verdict, each request exactly one outcome.

Time comes in as monotonic seconds; nothing waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Any, Final, cast

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
    Correlation,
    ErrorFor,
    Exchange,
    Match,
)

_ASK: Final = object()


class PendingTable:
    """The open requests of one connection; every method is O(1) but for what it returns.

    *Unique keys* (``ById``, Socket.IO's acks): of the last ``memory`` to ``2 × memory`` keys that ended it is known how,
    so that a second arrival is ``DUPLICATE`` and one after the deadline or a cancellation ``LATE``; an unknown key is a
    push.

    *Keys that come again* (``ByType``, ``Fifo``, ``AgentChannel``, ``ConfirmedBy``, callables): requests of one key are
    answered in order. One that expires or is cancelled leaves a tombstone in its place: the next arrival of that key
    is ``LATE``, removes the tombstone and is given to nobody else. A tombstone goes

    * when a reply arrives to a request that was sent after it and the channel is ``in_order``: its own reply would have
      come before (whatever the keys; of the same key it would have taken that reply itself);
    * when its deadline has passed by one more of its own timeout;
    * with the connection.

    A request that expires although, while it was open, an arrival of its key was taken by a tombstone sets
    ``order_lost``: the tombstone's reply may never have existed. Close the connection and open another: from here on
    nothing on it can be attributed safely. The doubt travels along a pipeline: when a doubtful request is answered
    while others of its key are open, these are doubtful too.

    An ``OLDEST`` error is taken by the oldest request still owed an answer, tombstones included (then ``LATE``).

    What no rule can see without ids, and so is not claimed: a server that leaves one of several open requests of the
    same key unanswered, a duplicate that arrives when the next request of its key is open, and a reply that comes
    more than a whole timeout after its deadline. With one open request a key and silent or late faults, nothing is
    ever given to a wrong request.
    """

    __slots__ = (
        "_by_key",
        "_doubtful",
        "_doubtful_all",
        "_in_order",
        "_incoming",
        "_memory",
        "_numbers_are_ids",
        "_open",
        "_past",
        "_past_older",
        "_remembers",
        "_rising",
        "_serial",
        "_settled",
        "_tombstones",
        "_unasked",
        "_unique",
        "order_lost",
        "past_name",
    )

    def __init__(self, correlation: Correlation, *, memory: int = 128) -> None:
        self._incoming = correlation.incoming
        self._in_order = correlation.in_order
        self._unique: bool = getattr(correlation, "unique_keys", False)
        self._numbers_are_ids: bool = getattr(correlation, "numbers_are_ids", False)
        self._unasked: int = getattr(correlation, "unasked", PUSH)
        self._remembers: bool = getattr(correlation, "remembers", True)
        self._memory = memory
        self._serial = 0
        self._reset()

    def _reset(self) -> None:
        self._open: dict[int, Exchange] = {}
        """By serial, so in the order of sending."""
        self._rising = True
        """The deadlines of ``_open`` rise with its order: the first is the next."""
        self._by_key: dict[Hashable, Exchange | deque[Exchange]] = {}
        """Open requests and tombstones; a deque only where a key has several."""
        self._tombstones: dict[int, Exchange] = {}
        """By serial, in the order in which they ended."""
        self._settled = 0
        """No request with a smaller serial is owed a reply any more (in-order channels)."""
        self._doubtful: dict[Hashable, int] = {}
        """By key, the serial up to which a request's reply may have been taken by a tombstone."""
        self._doubtful_all = 0
        """The same for an error, which may have been meant for any key."""
        self._past: dict[Hashable, str | tuple[str]] = {}
        self._past_older: dict[Hashable, str | tuple[str]] = {}
        """Ended keys: the request's name if it was answered, in a tuple if it expired. In two generations: bounded, and
        no list to keep."""
        self.past_name = ""
        """Name of the request that the last ``DUPLICATE`` or ``LATE`` without an exchange belonged to."""
        self.order_lost = False
        """True: replies can no longer be told apart; close the connection."""

    def __len__(self) -> int:
        """How many requests are open."""
        return len(self._open)

    def add(self, exchange: Exchange) -> None:
        """Opens a request, just before its bytes are sent: the order of the calls is the order on the wire."""
        key = exchange.key
        slot = self._by_key.get(key)  # first: a key that cannot be one raises here, and nothing has changed
        self._serial = exchange.serial = serial = self._serial + 1
        exchange.state = OPEN
        waiting = self._open
        if not waiting:
            self._rising = True
        elif self._rising and exchange.deadline_s < waiting[next(reversed(waiting))].deadline_s:
            self._rising = False
        waiting[serial] = exchange
        if slot is None:
            self._by_key[key] = exchange
        elif type(slot) is deque:
            slot.append(exchange)
        else:
            self._by_key[key] = deque((cast(Exchange, slot), exchange))

    def match_key(self, key: Hashable | None, now_s: float) -> Match:
        """As ``match``, for an arrival whose key the caller knows, such as a Socket.IO ack. Never raises."""
        return self.match(None, now_s, key)

    def match(self, reply: Any, now_s: float, key: Hashable | None = _ASK) -> Match:
        """The verdict on one arrival, whose ``key`` the rule tells. Never raises."""
        try:
            if key is _ASK:
                key = self._incoming(reply)
        # The rule may be the locustfile's own, and this runs in the event loop: what it cannot read is no reply.
        except Exception:  # noqa: BLE001
            return _PUSHED
        if key is None:
            return _PUSHED
        by_key = self._by_key
        try:
            slot = by_key.get(key)
        except TypeError:  # a callable gave what cannot be a key
            return _PUSHED
        if slot is None:
            return self._without_request(key, now_s)
        exchange: Any = slot  # not by `cast`, which is a call
        if type(slot) is deque or exchange.state != OPEN:
            return self._match_queue(key, now_s)
        del by_key[key]
        exchange.state = ANSWERED
        serial = exchange.serial
        del self._open[serial]
        if serial > self._settled:
            self._settled = serial
        if self._doubtful:
            self._doubtful.pop(key, None)
        past = self._past
        past[key] = exchange.name
        if len(past) > self._memory:
            self._past_older = past
            self._past = {}
        return (REPLY, exchange)

    def expire(self, now_s: float) -> list[Exchange]:
        """Closes and gives the requests whose deadline has come, in the order of sending."""
        tombstones = self._tombstones
        while tombstones:
            first = next(iter(tombstones.values()))
            if not self._is_void(first, now_s):
                break
            del tombstones[first.serial]
            self._head(first.key, now_s)
        if not self._open:
            self._open.clear()  # gives back the room of a burst
            self._doubtful.clear()
            return []
        due: list[Exchange] = []
        for exchange in self._open.values():
            if exchange.deadline_s <= now_s:
                due.append(exchange)
            elif self._rising:
                break
        for exchange in due:
            if self._is_doubtful(exchange):
                self.order_lost = True
            self._bury(exchange, EXPIRED)
        return due

    def next_deadline_s(self) -> float | None:
        """When ``expire`` has something to give next; None while nothing is open."""
        if not self._open:
            return None
        if self._rising:
            return next(iter(self._open.values())).deadline_s
        return min(exchange.deadline_s for exchange in self._open.values())

    def remove(self, exchange: Exchange) -> bool:
        """Closes a request that nobody waits for any more (its user was stopped); False if it was not open."""
        if self._open.get(exchange.serial) is not exchange:
            return False
        self._bury(exchange, CANCELLED)
        return True

    def drain(self) -> list[Exchange]:
        """Closes and gives all open requests: the connection is lost. The table is then as new."""
        lost = list(self._open.values())
        for exchange in lost:
            exchange.state = LOST
        self._reset()
        return lost

    # -- rarer ways ---------------------------------------------------------------------------------------------------

    def _without_request(self, key: Hashable, now_s: float) -> Match:
        """No request and no tombstone waits under ``key``."""
        if key is OLDEST:
            return self._match_oldest(now_s)
        if type(key) is ErrorFor:
            return self._match_error(key.key, now_s)
        past = self._past.get(key) or self._past_older.get(key)
        if past is None or not self._remembers:
            return (self._unasked, None)
        if type(past) is str:
            self.past_name = past
            return (DUPLICATE, None)
        self.past_name = name = past[0]
        self._remember(key, name)  # late once; the next one is the second answer
        return (LATE, None)

    def _match_queue(self, key: Hashable, now_s: float) -> Match:
        """An arrival for a key with a tombstone, or with several requests."""
        exchange = self._head(key, now_s)
        if exchange is None:
            return self._without_request(key, now_s)
        self._take(exchange)
        if exchange.serial > self._settled:
            self._settled = exchange.serial
        self._remember(key, exchange.name)
        if exchange.state != OPEN:
            return (LATE, exchange)
        exchange.state = ANSWERED
        del self._open[exchange.serial]
        return (REPLY, exchange)

    def _match_oldest(self, now_s: float) -> Match:
        """An error without a cause: its taker is the oldest request that is owed an answer."""
        oldest = next(iter(self._open.values()), None)
        if self._in_order and oldest is not None and oldest.serial < self._settled:
            # Requests passed over in favour of a later one take it only if there is no other.
            oldest = next((other for other in self._open.values() if other.serial > self._settled), oldest)
        owed = [grave for grave in self._tombstones.values() if not self._is_void(grave, now_s)]
        if owed:
            grave = min(owed, key=_serial_of)
            if oldest is None or grave.serial < oldest.serial:
                self._pop(grave)
                self._doubtful_all = self._serial
                return (LATE, grave)
        if oldest is None:
            return (UNMATCHED, None)
        return self._answer_by_error(oldest)

    def _match_error(self, key: Hashable, now_s: float) -> Match:
        exchange = self._head(key, now_s)
        if exchange is None:
            return _PUSHED
        if exchange.state != OPEN:
            self._take(exchange)
            return (LATE, exchange)
        return self._answer_by_error(exchange)

    def _answer_by_error(self, exchange: Exchange) -> Match:
        self._take(exchange)
        exchange.state = FAILED
        del self._open[exchange.serial]
        self._remember(exchange.key, exchange.name)
        return (ERROR, exchange)

    def _bury(self, exchange: Exchange, state: int) -> None:
        """Closes an open request without an answer."""
        del self._open[exchange.serial]
        exchange.state = state
        if self._unique or (self._numbers_are_ids and type(exchange.key) is int):
            self._pop(exchange)
            self._remember(exchange.key, (exchange.name,))
        else:
            self._tombstones[exchange.serial] = exchange

    def _is_void(self, grave: Exchange, now_s: float) -> bool:
        """Whether the reply that this tombstone waits for will not come any more."""
        if self._in_order and grave.serial < self._settled:
            return True
        return now_s > grave.deadline_s + (grave.deadline_s - grave.sent_s)

    def _head(self, key: Hashable, now_s: float) -> Exchange | None:
        """The one of a key that is owed the next reply; void tombstones before it are removed."""
        slot = self._by_key.get(key)
        while slot is not None:
            head = slot[0] if type(slot) is deque else cast(Exchange, slot)
            if head.state == OPEN:
                if type(slot) is deque and self._in_order and head.serial < self._settled:
                    return self._first_unsettled(slot, now_s) or head
                return head
            if not self._is_void(head, now_s):
                return head
            self._pop(head)
            slot = self._by_key.get(key)
        return None

    def _first_unsettled(self, queue: deque[Exchange], now_s: float) -> Exchange | None:
        """The first that may still be answered: those before it were passed over in favour of a later request."""
        for exchange in queue:
            if exchange.serial > self._settled and (exchange.state == OPEN or not self._is_void(exchange, now_s)):
                return exchange
        return None

    def _pop(self, exchange: Exchange) -> None:
        """Takes one out of its key's queue, wherever it stands there."""
        self._tombstones.pop(exchange.serial, None)
        key = exchange.key
        slot = self._by_key[key]
        if type(slot) is not deque:
            del self._by_key[key]
            return
        if slot[0] is exchange:
            slot.popleft()
        else:
            slot.remove(exchange)
        if len(slot) == 1:
            self._by_key[key] = slot[0]

    def _take(self, exchange: Exchange) -> None:
        """Takes one that an arrival is given to out of its key's queue, and passes its doubt on to those behind it."""
        is_doubtful = exchange.state != OPEN or self._is_doubtful(exchange)
        self._pop(exchange)
        if exchange.key not in self._by_key:
            self._doubtful.pop(exchange.key, None)
        elif is_doubtful:
            self._doubtful[exchange.key] = self._serial

    def _is_doubtful(self, exchange: Exchange) -> bool:
        """Whether its reply may have been taken by a tombstone."""
        return exchange.serial <= self._doubtful_all or exchange.serial <= self._doubtful.get(exchange.key, 0)

    def _remember(self, key: Hashable, name: str | tuple[str]) -> None:
        self._past[key] = name
        if len(self._past) > self._memory:
            self._past_older = self._past
            self._past = {}


_PUSHED: Final[Match] = (PUSH, None)


def _serial_of(exchange: Exchange) -> int:
    return exchange.serial
