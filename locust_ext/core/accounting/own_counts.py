"""What one process counts itself: the methods of the hot path, and what they write to."""

from __future__ import annotations

from collections.abc import Callable

from locust_ext.core.accounting.ended import CountedConnection
from locust_ext.core.accounting.ledger import Ledger
from locust_ext.core.accounting.live import ConnectionStates, Traffic
from locust_ext.core.accounting.names import Key, Names
from locust_ext.core.accounting.sums import Sums
from locust_ext.model import OTHER


class OwnCounts:
    """Operations, pushes, connections and traffic of this process since they were last taken out.

    Any greenlet and the hub may call it: nothing in it waits, switches, logs or locks. Plain arguments, no object built.
    """

    def __init__(self, max_names: int, on_warning: Callable[[str], None]) -> None:
        self.traffic = Traffic()
        """Always the same object: the hot path may keep it."""
        self._names = Names(max_names, on_warning)
        self._live = Sums()
        self._by_raw_key: dict[Key, Ledger] = {}
        self._states = ConnectionStates()
        self._open_connections: set[CountedConnection] = set()

    def started(self, type: str, name: str, tags: tuple[str, ...] = ()) -> None:
        """One operation more is in flight; `operation` or `cancelled` with the same three ends it."""
        ledger = self._by_raw_key.get((type, name, tags))
        if ledger is None:
            ledger = self._ledger((type, name, tags))
        ledger.in_flight += 1

    def operation(
        self,
        type: str,
        name: str,
        latency_us: int | None,
        length: int,
        outcome: str = "ok",
        error_class: str | None = None,
        service_us: int | None = None,
        tags: tuple[str, ...] = (),
        was_started: bool = False,
    ) -> None:
        """One operation has ended: `outcome` is ok, failed, timed_out or lost.

        `latency_us` (from the intended send) and `service_us` (from the actual one, in paced modes) are whole
        microseconds, None where there is no time to tell; they count only if the operation was answered. `length` is
        the reply's payload in bytes. `was_started`: `started` was called for it.
        """
        ledger = self._by_raw_key.get((type, name, tags))
        if ledger is None:
            ledger = self._ledger((type, name, tags))
        if was_started and ledger.in_flight:
            ledger.in_flight -= 1
        ledger.bytes_received += length
        if outcome == "ok":
            ledger.ok += 1
        elif not ledger.fail(outcome, error_class):
            return
        if latency_us is not None:
            ledger.latency.record(latency_us)
        if service_us is not None:
            ledger.record_service(service_us)

    def cancelled(self, type: str, name: str, tags: tuple[str, ...] = (), was_started: bool = True) -> None:
        """The user was stopped in the middle of it: neither a success nor a failure."""
        ledger = self._ledger((type, name, tags))
        if was_started and ledger.in_flight:
            ledger.in_flight -= 1
        ledger.cancelled += 1

    def withdrawn(self, type: str, name: str, tags: tuple[str, ...] = ()) -> None:
        """`started` was called for what has not begun after all: it could not even be tried, or begins under another hand."""
        ledger = self._ledger((type, name, tags))
        if ledger.in_flight:
            ledger.in_flight -= 1

    def renamed(self, type: str, old_name: str, new_name: str, tags: tuple[str, ...] = ()) -> None:
        """An operation in flight has another name from now on (a response renamed in its `with` block)."""
        if old_name != new_name:
            ledger = self._ledger((type, old_name, tags))
            if ledger.in_flight:
                ledger.in_flight -= 1
                self._ledger((type, new_name, tags)).in_flight += 1

    def late(self, type: str, name: str, tags: tuple[str, ...] = ()) -> None:
        """A reply came after its request's deadline."""
        self._ledger((type, name, tags)).late += 1

    def duplicate(self, type: str, name: str, tags: tuple[str, ...] = ()) -> None:
        """A second reply to a request came."""
        self._ledger((type, name, tags)).duplicate += 1

    def unmatched(self, type: str, name: str, tags: tuple[str, ...] = ()) -> None:
        """Something that looks like a reply came, and nobody had asked."""
        self._ledger((type, name, tags)).unmatched += 1

    def _ledger(self, raw: Key) -> Ledger:
        ledger = self._by_raw_key.get(raw)
        if ledger is None:
            key = self._names.resolve(raw)
            ledger = self._live.ledgers.get(key)
            if ledger is None:
                ledger = self._live.ledgers[key] = Ledger(key)
            if len(self._by_raw_key) < 2 * self._names.max_names and (key[1] != OTHER or raw == key):
                self._by_raw_key[raw] = ledger  # not names beyond the cap: they would have no end
        return ledger

    def push(self, event: str, length: int, lag_us: int | None = None) -> None:
        """The server sent a message unasked: `length` bytes of payload, `lag_us` after it was sent, where known."""
        count = self._live.pushes.get(event)
        if count is None:
            count = self._live.push(self._names.event(event))
        count.received += 1
        count.bytes_received += length
        if lag_us is not None:
            count.lag.record(lag_us)

    def fan_out(self, event: str, expected: int, reached: int, spread_us: int | None = None) -> None:
        """One fan-out is over: how many should have got it, how many did, and from the first to the last of them."""
        count = self._live.push(self._names.event(event))
        count.expected += expected
        count.reached += reached
        if spread_us is not None:
            count.spread.record(spread_us)

    def inbox_dropped(self) -> None:
        """A message was dropped because its connection's inbox was full: its user reads too slowly."""
        self._live.inbox_dropped += 1

    def handler_call_dropped(self) -> None:
        """A push was received, and a handler never called for it: the handlers of its connection are too slow."""
        self._live.handler_calls_dropped += 1

    def connection_opened(self, connection: CountedConnection) -> None:
        """It is open, and one sample of the connections' distributions: at its end, or at that of the run."""
        self._open_connections.add(connection)

    def connection_ended(self, connection: CountedConnection) -> None:
        """It is open no more; does nothing if it never was, or if the run is over."""
        if connection in self._open_connections:
            self._open_connections.remove(connection)
            self._live.ended.record(connection)

    def connection_state(self, old: str | None, new: str | None) -> None:
        """A connection went from one state to another; None: it did not exist before, or is gone."""
        self._states.change(old, new)

    def reconnected(self) -> None:
        """A user's connection is open again after it had been away."""
        self._live.reconnects += 1

    def recovered(self, user: str, channel: str, took_us: int, is_failover: bool) -> None:
        """A channel of this user class is open again, `took_us` after its loss; on another host, if `is_failover`."""
        self._live.recoveries.record(user, channel, took_us, is_failover)

    def closed_in_order(self) -> None:
        """A connection ended with a clean close and nothing pending."""
        self._live.closed_in_order += 1

    def so_far(self) -> Sums:
        """What there is, not to be changed."""
        self._live.traffic = self.traffic.counts()
        return self._live

    def states_now(self) -> dict[str, int]:
        """Connection state -> connections."""
        return self._states.freeze()

    @property
    def peak_open(self) -> int:
        """Most connections that were open at once in the run."""
        return self._states.peak_open

    def _take(self) -> Sums:
        """What there is; from now on everything is zero but what is in flight."""
        taken = self.so_far()
        self._live, self._by_raw_key = Sums(), {}
        self.traffic.clear()
        for key, ledger in taken.ledgers.items():
            if ledger.in_flight:
                self._live.ledgers[key] = carried = Ledger(key)
                carried.in_flight = ledger.in_flight
        return taken

    def _forget_counts(self) -> None:
        self._take()
        self._states.restart_peak()

    def _end_connections(self) -> None:
        """The run is over: each connection that is still open becomes a sample as it is now."""
        for connection in self._open_connections:
            self._live.ended.record(connection)
        self._open_connections.clear()
