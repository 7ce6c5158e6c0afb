"""`MessagingConnection`: requests and their replies, pushes and who wants them, over a `Transport`.

The protocols (`websocket.py`, `socketio.py`) say how a message is encoded and which arrival answers what; this says
what happens then. A request has exactly one outcome, whatever happens to its connection or its greenlet.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, cast

from gevent import GreenletExit
from gevent.hub import Waiter

from locust_ext.core.accounting.fanout import Member
from locust_ext.core.protocols.correlation import DUPLICATE, LATE, Exchange, PendingTable
from locust_ext.core.protocols.ties import FanOut
from locust_ext.errors import ConnectionLost, OperationError, RequestTimeout
from locust_ext.runtime.call import Call
from locust_ext.runtime.deadline import Alarm
from locust_ext.runtime.inbox import Inbox
from locust_ext.runtime.profile import MessagingProfile

MAX_OUTBOX = 64
"""So that a request waits for the doings of some other users at most, not for those of thousands."""


class MessagingConnection(Inbox):
    """Adds the open requests."""

    __slots__ = (
        "_calls_waiting",
        "audience",
        "is_user_stopping",
        "member",
        "on_done",
        "pending",
    )

    def __init__(
        self, *args: Any, profile: MessagingProfile, on_done: Callable[[Call], None] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, profile=profile, **kwargs)
        self.on_done = on_done
        """Told, in the dispatcher greenlet, of the outcome of each request that nobody waits for."""
        self.pending = PendingTable(profile.correlation)
        self._calls_waiting: deque[Waiter[None]] | None = None
        self.audience = ""
        """Connections that say the same expect the same fan-outs."""
        self.member: Member | None = None
        """Its place in the audience, from its opening on; None where the profile has no fan-out."""
        self.is_user_stopping = False
        """Requests that nobody waits for are then cancelled with the connection, not lost."""

    # ── fan-outs ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _on_open(self) -> None:
        super()._on_open()
        if self.profile.fan_out is not None:
            self.member = self._facts.fan_outs.join(self.audience, round(monotonic() * 1e6))

    def _on_leaving(self) -> None:
        if self.member is not None:
            self._facts.fan_outs.leave(self.member, round(monotonic() * 1e6))

    def _lag_us(self, fan_out: FanOut, payload: str | bytes, message: Any, now_s: float) -> int | None:
        """A push came that may belong to a fan-out. Gives its delivery lag, if that is known here and now."""
        member = self.member
        tie = None if member is None else fan_out.tie(payload, message)
        if member is None or tie is None:
            return None
        return self._facts.fan_outs.receive(member, tie, int(now_s * 1e6))

    # ── requests ───────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, call: Call, frame: bytes, payload_bytes: int, is_waited_for: bool = False) -> None:
        """Send a request; from here on it is in flight and will have exactly one outcome.

        One that is waited for at once goes out with those of all other users that run in this turn of the loop, and
        counts as sent then: system calls one after the other, not one between every two users' doings, save a sixth of
        the round trip's CPU (a system call costs the interpreter its place in the processor's caches).

        Raises nothing but the `TypeError` of a key that cannot be one: then nothing has begun.
        """
        self.pending.add(call)  # first: what a locustfile's rule gave may be no key
        self._facts.started(call.type, call.name, call.tags)
        if is_waited_for and self.state == "open":
            shared = self._shared
            if not shared.outbox:
                shared.loop.run_callback(shared.flush)
            shared.outbox.append((self, call, frame, payload_bytes))
            if len(shared.outbox) >= MAX_OUTBOX:
                shared.flush()
        else:
            self.send_call(call, frame, payload_bytes)

    def send_call(self, call: Call, frame: bytes, payload_bytes: int) -> None:
        """Send a request that has been started."""
        try:
            self.send_frame(frame, payload_bytes)
        except ConnectionLost:
            if not call.has_ended:
                self.pending.remove(call)
                self._end(call, ConnectionLost("lost"))
            return
        call.sent_s = self.last_sent_s
        if call.deadline_s < self.armed_s:
            self._shared.wheel.arm(self, call.deadline_s)

    def watch(self, call: Call) -> None:
        """Nobody waits for ``call``: its outcome goes to ``on_done``, in the dispatcher greenlet."""
        if call.has_ended:
            if self.on_done is not None:
                self._shared.dispatcher.report(self.on_done, call)
        else:
            call.on_done = self.on_done

    def wait_for(self, call: Call) -> None:
        """Block the calling greenlet until ``call`` has ended; killed meanwhile, the call is recorded as cancelled."""
        if call.has_ended:
            return
        waiter: Waiter[None] = Waiter(self._shared.hub)
        call.waiter = waiter
        try:
            waiter.get()
        except BaseException:
            # It may have ended while the kill was on its way: nobody has reported that, nobody will.
            call.waiter = None
            if not call.has_ended:
                call.has_ended = True
                self.pending.remove(call)
            self._facts.cancelled(call.type, call.name, call.tags)
            self._release_slot()
            raise

    def wait_for_slot(self, max_in_flight: int, deadline_s: float) -> None:
        """Block until fewer than ``max_in_flight`` requests are open. Raises `RequestTimeout`, `ConnectionLost`."""
        while len(self.pending) >= max_in_flight:
            if self.state != "open":
                raise ConnectionLost("lost")
            if monotonic() >= deadline_s:
                raise RequestTimeout()
            if self._calls_waiting is None:
                self._calls_waiting = deque()
            waiter: Waiter[None] = Waiter(self._shared.hub)
            self._calls_waiting.append(waiter)
            alarm = Alarm(self._shared.wheel, deadline_s, lambda waiter=waiter: waiter.switch(None))
            try:
                waiter.get()
            finally:
                self._shared.wheel.disarm(alarm)
                if self._calls_waiting and waiter in self._calls_waiting:
                    self._calls_waiting.remove(waiter)

    def _release_slot(self) -> None:
        if self._calls_waiting:
            self._shared.loop.run_callback(self._calls_waiting.popleft().switch, None)

    def _end(self, call: Call, error: OperationError | None) -> None:
        """The call's outcome; in the hub or in any greenlet."""
        call.has_ended = True
        call.error = error
        if not call.ended_s:
            call.ended_s = monotonic()
        if call.waiter is not None:
            self._shared.loop.run_callback(self._wake, call)
        elif call.on_done is not None:
            self._shared.dispatcher.report(call.on_done, call)
        if self._calls_waiting:
            self._release_slot()

    @staticmethod
    def _wake(call: Call) -> None:
        waiter = call.waiter
        if waiter is not None:
            call.waiter = None
            waiter.switch(None)

    def _answer(self, call: Call, reply: Any, length: int, now_s: float, error: OperationError | None) -> None:
        """The reply came; in the hub only.

        The waiting greenlet is woken when all sockets of this turn of the loop are read: doing the same thing for one
        connection after the other, instead of all things for one, saves a fifth of the whole round trip's CPU (caches).
        """
        call.reply = reply
        call.length = length
        call.ended_s = now_s
        call.error = error
        call.has_ended = True
        if self._calls_waiting:
            self._release_slot()
        waiter = call.waiter
        if waiter is not None:
            call.waiter = None
            self._shared.loop.run_callback(waiter.switch, None)
        elif call.on_done is not None:
            self._shared.dispatcher.report(call.on_done, call)

    def _astray(self, verdict: int, exchange: Exchange | None, type_: str, name: str) -> None:
        """An arrival that answers no open request: counted beside the ledger, given to nobody."""
        if exchange is not None:
            type_, name = exchange.type, exchange.name
        elif verdict in (LATE, DUPLICATE):
            name = self.pending.past_name
        if verdict == LATE:
            self._facts.late(type_, name)
        elif verdict == DUPLICATE:
            self._facts.duplicate(type_, name)
        else:
            self._facts.unmatched(type_, name)

    # ── ends and deadlines ─────────────────────────────────────────────────────────────────────────────────────────

    def _gone(self, error_class: str, lingers: bool = False) -> None:
        if self._sock is None:
            return
        try:
            super()._gone(error_class, lingers)
        finally:  # whatever `on_gone` raises: nobody may wait for ever
            for exchange in self.pending.drain():
                call = cast(Call, exchange)
                if not self.is_user_stopping:
                    self._end(call, ConnectionLost("lost"))
                elif call.waiter is None:
                    call.has_ended = True
                    self._facts.cancelled(call.type, call.name, call.tags)
                else:  # a greenlet beside the user's own: its wait ends as the user's would, by a kill
                    self._shared.loop.run_callback(call.waiter.throw, GreenletExit)
            for waiters in (self._readers, self._calls_waiting):
                for waiter in waiters or ():
                    self._shared.loop.run_callback(waiter.switch, None)
            self._readers = self._calls_waiting = None

    def _has_open_work(self) -> bool:
        return len(self.pending) > 0 and not self.pending.order_lost  # then the end is ours, and in order

    def _next_deadline(self) -> float:
        due_s = self.pending.next_deadline_s()
        if due_s is None:
            due_s = math.inf
        heartbeat_s = self.profile.heartbeat_s
        if heartbeat_s != math.inf and self.state == "open":
            due_s = min(due_s, self.last_sent_s + heartbeat_s)
        return due_s

    def _on_due(self, now_s: float) -> None:
        for exchange in self.pending.expire(now_s):
            call = cast(Call, exchange)
            call.ended_s = now_s
            self._end(call, RequestTimeout())
        if self.pending.order_lost and self.state == "open":
            self._start_afresh()
            return
        heartbeat_s = self.profile.heartbeat_s
        if self.state == "open" and now_s >= self.last_sent_s + heartbeat_s:
            self.send_heartbeat()

    def _start_afresh(self) -> None:
        """Replies carry no id and one never came: which is whose cannot be told any more. The connection is renewed."""
        self.error_class = "closed_1000"  # but not `is_close_ours`: the user's pattern has to reconnect
        self._fail(1000, "closed_1000")

    def send_heartbeat(self) -> None:
        """What the application wants to hear of a silent client; the protocol's own."""
