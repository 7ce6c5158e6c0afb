"""`Pool`: connections that several greenlets share: fair waiting, upkeep, and what was not given back.

Pure waiting over a `Source`, which knows how a connection is opened, checked and closed. Connections are opened by
greenlets of the pool, never by who waits for one: a waiting greenlet may be killed at any moment and leaves nothing.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

import gevent
from gevent.hub import Waiter

from locust_ext.core.lifecycle.backoff import FullJitter
from locust_ext.errors import ConnectionLost, OperationError, RequestTimeout
from locust_ext.runtime.deadline import Alarm
from locust_ext.runtime.process import ProcessShared
from locust_ext.runtime.ticker import Ticker

logger = logging.getLogger("locust_ext")

M = TypeVar("M")

UPKEEP_S = 0.5
END_S = 1.0
BACKOFF = FullJitter(base_s=0.1, cap_s=5.0)


class Source(Protocol[M]):
    """How the members of a pool come and go."""

    def open(self) -> M:
        """A new member; blocks, within a deadline of its own. What it raises is a failed attempt."""
        ...

    def is_alive(self, member: M) -> bool:
        """Whether it still stands; at once."""
        ...

    def is_healthy(self, member: M, deadline_s: float) -> bool:
        """Whether it answers; may block the calling greenlet until monotonic ``deadline_s``. Raises nothing."""
        ...

    def clean(self, member: M) -> None:
        """It was given back: the next borrower gets it as if it were new. Does not block."""
        ...

    def discard(self, member: M) -> None:
        """End it at once; idempotent, does not block."""
        ...

    def close(self, members: Sequence[M]) -> None:
        """End them in order, within a second; blocks the calling greenlet."""
        ...


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How many members a pool has, and for how long it waits for what."""

    min: int = 0
    """So many are kept open."""
    max: int = 10
    acquire_timeout_s: float = 10.0
    idle_s: float = 60.0
    """One above ``min`` that nobody has wanted for so long is closed."""
    leak_after_s: float | None = 60.0
    """One that was not given back for so long is taken back; None: only those whose borrower has ended."""
    opens_at_once: int = 10


class Lease(Generic[M]):
    """A member that is lent; a context manager that gives it back. ``release()`` does the same."""

    __slots__ = ("_pool", "is_over", "member", "owner", "since_s")

    def __init__(self, pool: Pool[M], member: M) -> None:
        self._pool = pool
        self.member = member
        self.owner: Any = gevent.getcurrent()
        """The greenlet that has borrowed it."""
        self.since_s = monotonic()
        self.is_over = False
        """It was given back, or taken back."""

    def release(self) -> None:
        """Give the member back; idempotent, does not block."""
        self._pool.give_back(self)

    def __enter__(self) -> M:
        return self.member

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


class _Ticket(Generic[M]):
    """A place in the queue."""

    __slots__ = ("error", "lease", "owner", "waiter")

    def __init__(self, waiter: Waiter[None]) -> None:
        self.waiter = waiter
        self.owner: Any = gevent.getcurrent()
        self.lease: Lease[M] | None = None
        self.error: Exception | None = None


class Pool(Generic[M]):
    """To be used by any greenlet of the process that made it; `start` begins the upkeep, `close` ends everything."""

    def __init__(
        self,
        source: Source[M],
        limits: PoolLimits,
        shared: ProcessShared,
        on_leak: Callable[[str], None] = logger.warning,
    ) -> None:
        self.limits = limits
        self.leaked = 0
        """Members that were not given back, and so were taken back."""
        self.replaced = 0
        """Members that died, or failed their health check."""
        self._source = source
        self._shared = shared
        self._on_leak = on_leak
        self._idle: dict[M, float] = {}
        """Member -> since when nobody has it; the one that was given back last stands last, and is lent first."""
        self._leases: dict[M, Lease[M]] = {}
        self._tickets: deque[_Ticket[M]] = deque()
        self._openers: set[gevent.Greenlet[..., None]] = set()
        self._failures = 0
        self._retry: Alarm | None = None
        self._upkeep = Ticker(UPKEEP_S, self._look_after)
        self._has_warned = False
        self._is_closed = False

    # ── what there is ──────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def size(self) -> int:
        """Members that are open or being opened."""
        return len(self._idle) + len(self._leases) + len(self._openers)

    @property
    def members(self) -> list[M]:
        """All that are open, lent or not."""
        return [*self._idle, *self._leases]

    @property
    def idle(self) -> int:
        return len(self._idle)

    @property
    def lent(self) -> int:
        return len(self._leases)

    @property
    def waiting(self) -> int:
        """Greenlets in the queue."""
        return len(self._tickets)

    # ── borrowing ──────────────────────────────────────────────────────────────────────────────────────────────────

    def acquire(self, timeout_s: float | None = None) -> Lease[M]:
        """A healthy member, first come, first served; blocks the calling greenlet.

        Raises `RequestTimeout` at the deadline, `ConnectionLost` if the pool is closed, and what `Source.open` raises
        that is no `OperationError`.
        """
        deadline_s = monotonic() + (self.limits.acquire_timeout_s if timeout_s is None else timeout_s)
        comes_first = False
        while True:
            lease = self._next(deadline_s, comes_first)
            try:
                if self._source.is_healthy(lease.member, deadline_s):
                    return lease
            except BaseException:
                lease.release()
                raise
            self._replace(lease)
            comes_first = True  # it has waited its turn already

    def _next(self, deadline_s: float, comes_first: bool) -> Lease[M]:
        if self._is_closed:
            raise ConnectionLost("lost", "the pool is closed")
        waiter: Waiter[None] = Waiter(self._shared.hub)
        ticket: _Ticket[M] = _Ticket(waiter)
        (self._tickets.appendleft if comes_first else self._tickets.append)(ticket)
        alarm = None
        try:
            self._serve()
            if ticket.lease is None:
                alarm = Alarm(self._shared.wheel, deadline_s, lambda: waiter.switch(None))
                waiter.get()
        except BaseException:
            if ticket.lease is not None:  # it came together with the kill
                ticket.lease.release()
            raise
        finally:
            if alarm is not None:
                self._shared.wheel.disarm(alarm)
            if ticket in self._tickets:
                self._tickets.remove(ticket)
        if ticket.lease is not None:
            return ticket.lease
        if ticket.error is not None:
            raise ticket.error
        if self._is_closed:
            raise ConnectionLost("lost", "the pool is closed")
        raise RequestTimeout("timeout", "no connection of the pool was free by the deadline")

    def give_back(self, lease: Lease[M]) -> None:
        """The member may be lent again, if it still stands. Idempotent, does not block."""
        if lease.is_over:
            return
        lease.is_over = True
        self._leases.pop(lease.member, None)
        if self._source.is_alive(lease.member):
            self._source.clean(lease.member)
            self._idle[lease.member] = monotonic()
        else:
            self.replaced += 1
            self._source.discard(lease.member)
        self._serve()

    def _replace(self, lease: Lease[M]) -> None:
        if lease.is_over:
            return
        lease.is_over = True
        self.replaced += 1
        self._leases.pop(lease.member, None)
        self._source.discard(lease.member)

    def lost(self, member: M) -> None:
        """The source says that a member has died; from the hub or any greenlet."""
        self._shared.loop.run_callback(self._bury, member)

    def _bury(self, member: M) -> None:
        if self._idle.pop(member, None) is not None:
            self.replaced += 1
            self._source.discard(member)
            self._serve()

    # ── serving: never blocks, and may run in the hub ──────────────────────────────────────────────────────────────

    def _serve(self) -> None:
        """Lend what is free to who has waited longest, and open what is missing."""
        while self._tickets and self._idle and not self._is_closed:
            member, _ = self._idle.popitem()
            if not self._source.is_alive(member):
                self.replaced += 1
                self._source.discard(member)
                continue
            ticket = self._tickets.popleft()
            ticket.lease = self._leases[member] = Lease(self, member)
            ticket.lease.owner = ticket.owner
            self._shared.loop.run_callback(ticket.waiter.switch, None)
        if not self._is_closed and self._retry is None:
            opening = len(self._openers)
            wanted = max(self.limits.min - self.size, min(len(self._tickets) - opening, self.limits.max - self.size))
            for _ in range(min(wanted, self.limits.opens_at_once - opening)):
                opener = gevent.spawn(self._open)
                self._openers.add(opener)
                opener.link(self._opened)

    def _open(self) -> None:
        """In a greenlet of its own: one attempt."""
        try:
            member = self._source.open()
        except Exception as error:  # noqa: BLE001 – a locustfile's token() may raise anything; who waits is told
            self._failures += 1
            delay_s = BACKOFF.delay_s(self._failures - 1, self._shared.random)
            if not isinstance(error, OperationError):  # no attempt will ever succeed: who waits is told
                self._tell(error)
            if self._retry is None and not self._is_closed:
                self._retry = Alarm(self._shared.wheel, monotonic() + delay_s, self._try_again)
            return
        self._failures = 0
        if self._is_closed:
            self._source.discard(member)
        else:
            self._idle[member] = monotonic()

    def _tell(self, error: Exception) -> None:
        if self._tickets:
            ticket = self._tickets.popleft()
            ticket.error = error
            self._shared.loop.run_callback(ticket.waiter.switch, None)
        else:
            self._shared.warn_once(f"pool {error!r}", f"a pool cannot open a connection: {error}")

    def _opened(self, opener: Any) -> None:
        self._openers.discard(opener)
        self._serve()

    def _try_again(self) -> None:
        self._retry = None
        self._serve()

    # ── upkeep ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Open ``min`` members in the background, and look after them from now on."""
        self._upkeep.start()
        self._serve()

    def _look_after(self, now_s: float) -> None:
        """In the ticker's greenlet: leaks, idle ones above ``min``, and what is missing."""
        for lease in list(self._leases.values()):
            limit_s = self.limits.leak_after_s
            if lease.owner.dead or (limit_s is not None and now_s - lease.since_s > limit_s):
                self._take_back(lease, now_s)
        too_many = len(self._idle) + len(self._leases) - self.limits.min
        old = [member for member, since_s in self._idle.items() if now_s - since_s > self.limits.idle_s]
        surplus = old[: max(0, too_many)]
        for member in surplus:
            del self._idle[member]
        self._serve()
        if surplus:
            self._source.close(surplus)

    def _take_back(self, lease: Lease[M], now_s: float) -> None:
        self.leaked += 1
        lease.is_over = True
        self._leases.pop(lease.member, None)
        self._source.discard(lease.member)  # its borrower may still hold it: a new one takes its place
        if not self._has_warned:
            self._has_warned = True
            why = "its borrower has ended" if lease.owner.dead else f"after {now_s - lease.since_s:.0f} s"
            self._on_leak(
                f"a connection of a pool was not given back ({why}); it is replaced, and this is not said again. "
                "Borrow with `with pool.acquire() as connection:`"
            )

    def close(self) -> None:
        """End the upkeep, the queue and every member; blocks for two seconds at the most. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        self._upkeep.close()
        if self._retry is not None:
            self._shared.wheel.disarm(self._retry)
            self._retry = None
        for ticket in self._tickets:
            self._shared.loop.run_callback(ticket.waiter.switch, None)
        self._tickets.clear()
        members = self.members
        for lease in self._leases.values():
            lease.is_over = True
        self._idle.clear()
        self._leases.clear()
        gevent.killall(list(self._openers), timeout=END_S)
        self._openers.clear()
        self._source.close(members)
