"""The one place where a process counts what happened, and where the master adds up what all of them counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from locust_ext.core.accounting.facts import RunFacts
from locust_ext.core.accounting.ledger import Ledger
from locust_ext.core.accounting.live import ConnectionStates, Traffic
from locust_ext.core.accounting.names import Key, Names, clean
from locust_ext.core.accounting.seconds import Seconds
from locust_ext.core.accounting.sums import Sums
from locust_ext.core.accounting.totals import Source, Totals
from locust_ext.model import OTHER, ConnectionStats, Delta, RunInfo, Snapshot, TrafficStats


def _ignore(_warning: str) -> None:
    pass


class Recorder:
    """Counts operations, pushes, connections and traffic of this process, and merges other processes' deltas.

    Any greenlet and the hub may call it: nothing in it waits, switches, logs or locks. Memory is bounded by the names
    and the buckets in use, never by the number of samples.

    A worker drains once a second and sends the delta; the master merges it. A process on its own may do both (drain,
    then merge its own delta), which is how it comes by windows and a timeline; its snapshot is whole at every moment.
    A worker's own snapshot shows what came since its last drain only.
    """

    def __init__(self, *, max_names: int = 500, on_warning: Callable[[str], None] = _ignore, worker: str = "") -> None:
        self.worker = worker
        """This process's name in its deltas; empty for the master and a process on its own."""
        self.traffic = Traffic()
        """Always the same object: the hot path may keep it."""
        self._names = Names(max_names, on_warning)
        self._totals = Totals(self._names)
        self._seconds = Seconds(self._names)
        self._live = Sums()
        self._by_raw_key: dict[Key, Ledger] = {}
        self._states = ConnectionStates()
        self._facts = RunFacts()
        self._run_began: float | None = None
        self._counts_began: float | None = None
        self._ended: float | None = None
        self._seq = 0
        self._drained_to_s: float | None = None

    # -- the run ---------------------------------------------------------------------------------------------------

    def begin(self, run_id: str, now: float) -> None:
        """A new run: every count to zero; what is in flight stays so, and counts as started in the new run.

        Facts told by `describe` and reasons of `mark_invalid` are forgotten, and so are workers: expect them anew.
        """
        self._forget_counts()
        self._totals.clear(run_id)
        self._seconds.clear()
        self._names.forget()
        for key in self._live.ledgers:
            self._names.resolve(key)  # the names of what is in flight count first
        self._facts = RunFacts()
        self._run_began = self._counts_began = now
        self._ended = None
        self._seq = 0
        self._drained_to_s = 0.0

    def reset(self, now: float) -> None:
        """Locust's reset of the statistics: every count to zero within the same run, which lasts from now.

        Sequence numbers, gauges, workers and the timeline go on. A delta drained before and merged after it counts.
        """
        self._forget_counts()
        self._totals.reset()
        self._counts_began, self._ended = now, None

    def end(self, now: float) -> None:
        """The run is over: its duration stands still from here; what still arrives is counted."""
        self._ended = now
        if not self.worker:
            self.tick(now)  # the timeline gets the last part of a second

    def describe(
        self,
        *,
        started_at: str | None = None,
        host: str | None = None,
        scenario: str | None = None,
        seed: int | None = None,
        users: int | None = None,
        versions: Mapping[str, str] | None = None,
    ) -> None:
        """Tell facts of the run that the recorder cannot know; may be called several times, None says nothing.

        `users` keeps the largest number told; `host` loses a password or a query it may have.
        """
        told = {"started_at": started_at, "host": host, "scenario": scenario, "seed": seed, "users": users}
        self._facts.tell(told, versions)

    def mark_invalid(self, reason: str) -> None:
        """The measurement is not valid, and why; the same reason counts once."""
        self._facts.invalid(reason)

    @property
    def run_id(self) -> str:
        return self._totals.run_id

    # -- operations ------------------------------------------------------------------------------------------------

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

    # -- pushes and connections ------------------------------------------------------------------------------------

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

    def connection_state(self, old: str | None, new: str | None) -> None:
        """A connection went from one state to another; None: it did not exist before, or is gone."""
        self._states.change(old, new)

    def reconnected(self) -> None:
        """A user's connection is open again after it had been away."""
        self._live.reconnects += 1

    def closed_in_order(self) -> None:
        """A connection ended with a clean close and nothing pending."""
        self._live.closed_in_order += 1

    # -- over processes --------------------------------------------------------------------------------------------

    def drain(self, now: float | None = None, final: bool = False) -> Delta:
        """What came since the last drain; the gauges are absolute, the peak is that since then.

        Costs some microseconds a name, whatever the number of samples. `now` dates the delta for the timeline.
        """
        live = self._live
        self._renew_live()
        from_s = self._drained_to_s
        to_s = None if now is None or self._run_began is None else max(now - self._run_began, from_s or 0.0)
        traffic = self.traffic.freeze()
        self.traffic.clear()
        connections = ConnectionStats(
            self._states.freeze(),
            self._states.drain_peak(),
            live.reconnects,
            live.closed_in_order,
            live.inbox_dropped,
        )
        self._drained_to_s = from_s if to_s is None else to_s
        seq, self._seq = self._seq, self._seq + 1
        return Delta(
            run_id=self.run_id,
            worker=self.worker,
            seq=seq,
            final=final,
            from_s=None if to_s is None else from_s,
            to_s=to_s,
            operations=tuple(ledger.freeze() for ledger in live.ledgers.values()),
            pushes=tuple(count.freeze() for count in live.pushes.values()),
            connections=connections,
            traffic=traffic,
        )

    def merge(self, delta: Delta) -> bool:
        """Add a delta, or one part of one; False: refused, because it is another run's or was merged before."""
        if not self._totals.merge(delta):
            return False
        self._seconds.add(delta)
        return True

    def tick(self, now: float) -> None:
        """Once a second in the master and in a process on its own, never in a worker: closes the seconds that are over.

        Takes this process's own counts in first.
        """
        delta = self.drain(now)
        if delta.to_s is not None:
            self._seconds.advance(delta.to_s)
        self.merge(delta)
        if delta.to_s is not None:
            sources = self._other_sources()
            waited_for = [source.to_s for source in sources if not (source.is_final or source.is_lost)]
            self._seconds.close(min(waited_for, default=delta.to_s), self._lost())

    def watch(self, length_s: int) -> None:
        """Keep a sliding window of so many whole seconds, for `window`; before the run begins."""
        self._seconds.watch(length_s)

    def window(self, length_s: int) -> Snapshot:
        """The last `length_s` closed seconds (fewer at the start: see `run.duration_s`); `watch` asked for it."""
        return self._seconds.windows[length_s].snapshot(self.run_id, self._in_flight(), self._connections())

    def expect_worker(self, worker: str) -> None:
        """This worker takes part: the run is not complete before its final delta is in."""
        self._totals.source(worker)

    def mark_lost(self, worker: str) -> None:
        """The worker is gone. Its counts stay; unless its final delta is in, the run is not valid and says so."""
        self._totals.source(worker).is_lost = True

    def is_final(self, worker: str) -> bool:
        """Whether the worker's final delta, and every one before it, is in."""
        source = self._totals.sources.get(worker)
        return source is not None and source.is_final

    @property
    def workers(self) -> tuple[str, ...]:
        """Workers that are expected or have reported, in order of their names."""
        return tuple(sorted(worker for worker in self._totals.sources if worker != self.worker))

    @property
    def waiting_for(self) -> tuple[str, ...]:
        """Workers whose final delta is still to come; lost ones are not waited for."""
        sources = self._totals.sources
        return tuple(worker for worker in self.workers if not (sources[worker].is_final or sources[worker].is_lost))

    # -- the answer ------------------------------------------------------------------------------------------------

    def snapshot(self, now: float) -> Snapshot:
        """Everything as it stands: this process's counts and all merged ones; some microseconds a name."""
        sums = self._totals.sums
        if self._live.ledgers or self._live.pushes:
            sums = Sums()
            sums.merge(self._totals.sums)
            sums.merge(self._live)
        merged, live = self._totals.sums.traffic, self.traffic
        return Snapshot(
            run=self._run_info(now),
            operations=sums.operations(self._in_flight()),
            connections=self._connections(),
            traffic=TrafficStats(
                live.messages_sent + merged[0],
                live.messages_received + merged[1],
                live.bytes_sent + merged[2],
                live.bytes_received + merged[3],
            ),
            pushes=sums.push_stats(),
            timeline=self._seconds.rows(with_open=self._ended is not None, lost=self._lost()),
        )

    def _in_flight(self) -> dict[Key, int]:
        in_flight = self._totals.in_flight(without=self.worker)
        for key, ledger in self._live.ledgers.items():
            in_flight[key] = in_flight.get(key, 0) + ledger.in_flight
        return in_flight

    def _connections(self) -> ConnectionStats:
        states = self._states.freeze()
        others = self._other_sources()
        for source in others:
            for state, connections in source.states[1].items():
                states[state] = states.get(state, 0) + connections
        return ConnectionStats(
            states,
            self._states.peak_open + sum(source.peak_open for source in others),
            self._live.reconnects + self._totals.sums.reconnects,
            self._live.closed_in_order + self._totals.sums.closed_in_order,
            self._live.inbox_dropped + self._totals.sums.inbox_dropped,
        )

    def _other_sources(self) -> list[Source]:
        return [source for worker, source in self._totals.sources.items() if worker != self.worker]

    def _lost(self) -> set[str]:
        return {worker for worker, source in self._totals.sources.items() if source.is_lost}

    def _run_info(self, now: float) -> RunInfo:
        sources = self._totals.sources
        workers = self.workers
        reasons = list(self._facts.reasons)
        for worker in workers:
            if sources[worker].is_lost and not sources[worker].is_final:
                reasons.append(f"worker {clean(worker)} was lost: what it did after its last report is missing")
        end = now if self._ended is None else self._ended
        began = self._counts_began
        return RunInfo(
            id=self.run_id,
            duration_s=0.0 if began is None else max(0.0, end - began),
            workers=sum(1 for worker in workers if sources[worker].has_reported),
            invalid_because=tuple(reasons),
            complete=self._ended is not None and all(sources[worker].is_final for worker in workers),
            **self._facts.fields(),
        )

    def _renew_live(self) -> None:
        """Everything to zero but what is in flight."""
        ledgers = self._live.ledgers
        self._live, self._by_raw_key = Sums(), {}
        for key, ledger in ledgers.items():
            if ledger.in_flight:
                self._live.ledgers[key] = carried = Ledger(key)
                carried.in_flight = ledger.in_flight

    def _forget_counts(self) -> None:
        self._renew_live()
        self.traffic.clear()
        self._states.restart_peak()
