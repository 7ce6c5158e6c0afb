"""`Inbox`: the pushes of a connection: counted, kept for whoever receives them, and handed to their handlers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from time import monotonic
from typing import Any

from gevent.hub import Waiter

from locust_ext.errors import ConnectionLost, RequestTimeout
from locust_ext.runtime.deadline import Alarm
from locust_ext.runtime.dispatcher import Lane
from locust_ext.runtime.profile import MessagingProfile
from locust_ext.runtime.transport import Transport

ANY = "*"


class Inbox(Transport):
    """Adds to a transport what comes unasked; bounded, by the profile's policy."""

    __slots__ = ("_handlers", "_inbox", "_inbox_serial", "_lane", "_readers", "inbox_dropped", "profile", "waits")

    def __init__(self, *args: Any, profile: MessagingProfile, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.profile = profile
        self._handlers: dict[str, list[Callable[..., object]]] | None = None
        self._lane: Lane | None = None
        self._inbox: deque[Any] | None = None
        self._inbox_serial = 0
        self._readers: list[Waiter[None]] | None = None
        self.inbox_dropped = 0
        self.waits = 0
        """How often a `receive` did not find at once what it wanted."""

    def on(self, event: str, handler: Callable[..., object]) -> None:
        """Call ``handler(message)`` in the dispatcher greenlet for each push named ``event`` (``"*"``: each push).

        Where the peer wants an answer, the first handler is called as ``handler(message, answer)``, and gives it.
        Such a push can be received too; if it finds the inbox full it takes the oldest one's place, uncounted: a user
        that reads by handlers alone reads nothing too slowly.
        """
        if self._handlers is None:
            self._handlers = {}
            self._lane = Lane(self.profile.max_inbox or 1000, self._facts.handler_call_dropped)
        self._handlers.setdefault(event, []).append(handler)

    def forget(self) -> None:
        """Handlers and what was not yet received: the connection goes on to somebody else."""
        self._handlers = self._lane = self._inbox = None

    def _pushed(
        self,
        event: str,
        message: Any,
        length: int,
        lag_us: int | None = None,
        answer: Callable[[Any], None] | None = None,
    ) -> None:
        self._facts.push(event, length, lag_us)
        handlers = self._handlers
        takers: tuple[Callable[..., object], ...] = ()
        if handlers is not None and self._lane is not None:
            takers = (*handlers.get(event, ()), *handlers.get(ANY, ()))
            for handler in takers:
                if answer is None:
                    self._shared.dispatcher.post(self._lane, handler, message)
                else:
                    self._shared.dispatcher.post(self._lane, handler, message, answer)
                    answer = None
        if answer is not None:
            answer(None)
        limit = self.profile.max_inbox
        if not limit:
            return
        if self._inbox is None:
            self._inbox = deque()
        if len(self._inbox) >= limit:
            if not takers:
                if self.profile.inbox_policy == "close":
                    self._fail(1008, "lost")
                    return
                self.inbox_dropped += 1
                self._facts.inbox_dropped()
            self._inbox.popleft()
        self._inbox.append(message)
        self._inbox_serial += 1
        if self._readers:
            readers, self._readers = self._readers, None
            for reader in readers:
                self._shared.loop.run_callback(reader.switch, None)

    def receive(self, timeout_s: float, wanted: Callable[[Any], object] | None = None) -> Any:
        """The oldest push not yet received (of those for which ``wanted(push)`` is true; the others stay).

        Blocks the calling greenlet, in which ``wanted`` runs too. Raises `RequestTimeout`, `ConnectionLost`.
        """
        deadline_s = monotonic() + timeout_s
        looked_at = -1
        while True:
            inbox = self._inbox
            if inbox and wanted is None:
                return inbox.popleft()
            if inbox and wanted is not None:
                new = len(inbox) if looked_at < 0 else min(self._inbox_serial - looked_at, len(inbox))
                looked_at = self._inbox_serial
                for message in list(islice(inbox, len(inbox) - new, None)):  # a copy: ``wanted`` may block
                    if wanted(message) and self._take(message):
                        return message
            if self.state not in ("open", "closing"):
                raise ConnectionLost("lost")
            if monotonic() >= deadline_s:
                raise RequestTimeout()
            self.waits += 1
            waiter: Waiter[None] = Waiter(self._shared.hub)
            if self._readers is None:
                self._readers = []
            self._readers.append(waiter)
            alarm = Alarm(self._shared.wheel, deadline_s, lambda waiter=waiter: waiter.switch(None))
            try:
                waiter.get()
            finally:
                self._shared.wheel.disarm(alarm)
                if self._readers and waiter in self._readers:
                    self._readers.remove(waiter)

    def _take(self, message: Any) -> bool:
        """Take this very message out of the inbox; False: it is no longer there."""
        inbox = self._inbox or ()
        for index, each in enumerate(inbox):
            if each is message:
                del inbox[index]  # type: ignore[union-attr]
                return True
        return False
