"""The one place where a process counts what happened, and where the master adds up what all of them counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from locust_ext.core.accounting.ended import CountedConnection, EndedConnections
from locust_ext.core.accounting.facts import RunFacts
from locust_ext.core.accounting.fanout import FanOuts
from locust_ext.core.accounting.generators import Generators
from locust_ext.core.accounting.histogram import Histogram
from locust_ext.core.accounting.joining import FanOutJoin
from locust_ext.core.accounting.ledger import Ledger
from locust_ext.core.accounting.live import ConnectionStates, Traffic
from locust_ext.core.accounting.names import Key, Names, clean
from locust_ext.core.accounting.seconds import Seconds
from locust_ext.core.accounting.sums import Sums
from locust_ext.core.accounting.totals import Source, Totals
from locust_ext.core.accounting.validity import DEFAULT_LIMITS, Limits, Spell, overlaps, sentence
from locust_ext.model import (
    OTHER,
    ConnectionStats,
    ConnectionTotals,
    Delta,
    Distribution,
    GeneratorPeriod,
    RunInfo,
    Second,
    Snapshot,
    TrafficStats,
    Warmup,
)

MAX_PERIODS = 120
"""Of the generator's own figures that wait for a drain."""


def _ignore(_warning: str) -> None:
    pass


def _leave(_delta: Delta) -> None:
    pass


def _both(merged: EndedConnections, live: EndedConnections) -> ConnectionTotals:
    ended = EndedConnections()
    ended.merge(merged.freeze())
    ended.merge(live.freeze())
    return ended.freeze()


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
        self.fan_outs = FanOuts()
        """Always the same object, too."""
        self._joins = FanOutJoin()
        self._open_connections: set[CountedConnection] = set()
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
        self.on_drain: Callable[[Delta], None] = _leave
        """Is shown what each drain takes out, whoever asks for it."""
        self._epoch = 0
        self._warmup_s = 0.0
        self._is_warming_up = False
        self._limits = DEFAULT_LIMITS
        self._generators = Generators()
        self._periods: list[GeneratorPeriod] = []
        self._lateness = Histogram()
        self._labels: dict[str, str] = {}
        self._time_of_day_s = 0.0

    # -- the run ---------------------------------------------------------------------------------------------------

    def begin(self, run_id: str, now: float, warmup_s: float = 0.0) -> None:
        """A new run: every count to zero; what is in flight stays so, and counts as started in the new run.

        Facts told by `describe` and reasons of `mark_invalid` are forgotten, and so are workers: expect them anew.
        With `warmup_s`, what comes before `end_warmup` is kept apart.
        """
        self._forget_counts()
        self._totals.clear(run_id)
        self._seconds.clear()
        self.fan_outs.begin()
        self._joins.clear()
        self._names.forget()
        for key in self._live.ledgers:
            self._names.resolve(key)  # the names of what is in flight count first
        self._facts = RunFacts()
        self._run_began = self._counts_began = now
        self._ended = None
        self._seq = self._epoch = 0
        self._drained_to_s = 0.0
        self._warmup_s, self._is_warming_up = warmup_s, warmup_s > 0
        self._seconds.windows_from_s = warmup_s
        self._generators = Generators(self._limits)
        self._periods.clear()
        self._lateness = Histogram()

    def reset(self, now: float, epoch: int | None = None) -> int:
        """Locust's reset of the statistics: every count to zero within the same run, which lasts from now.

        Sequence numbers, gauges, workers, the generators' figures and the timeline go on. Gives the number of the
        epoch that begins, which the master tells its workers: what they counted before they know of it counts no more,
        whenever it comes.
        """
        self._forget_counts()
        self._epoch = self._epoch + 1 if epoch is None else epoch
        self._totals.reset(self._epoch)
        self._counts_began = now
        if self._ended is not None:
            self._ended = now  # after the run: nothing is left, and nothing more comes
        return self._epoch

    def end_warmup(self, now: float) -> Delta:
        """From now on it counts; gives what came before, to be merged or sent like any drain. In every process."""
        delta = self.drain(now)
        self._is_warming_up = False
        self._states.restart_peak()
        return delta

    def end(self, now: float) -> None:
        """The run is over: its duration stands still from here; what still arrives is counted."""
        self._ended = now
        for connection in self._open_connections:
            self._live.ended.record(connection)
        self._open_connections.clear()
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

    def limit_generator(self, limits: Limits) -> None:
        """Up to where the processes that make the load are trusted, from the next run on."""
        self._limits = limits

    def began_at(self, time_of_day_s: float) -> None:
        """The time of day (seconds after midnight) at which the run began, for what is said to people."""
        self._time_of_day_s = time_of_day_s

    def label_worker(self, worker: str, label: str) -> None:
        """What people call this worker: its number."""
        self._labels[worker] = label

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

    def closed_in_order(self) -> None:
        """A connection ended with a clean close and nothing pending."""
        self._live.closed_in_order += 1

    # -- this process as a generator of load -------------------------------------------------------------------------

    def sent_late(self, late_us: int) -> None:
        """Paced modes: an operation was sent so long after it was intended."""
        self._lateness.record(late_us)

    def generator_period(self, start_s: float, length_s: float, cpu_us: int, lag: Distribution) -> None:
        """How this process fared since the last call; about once a second."""
        if len(self._periods) >= MAX_PERIODS:
            del self._periods[0]
        self._periods.append(GeneratorPeriod(start_s, length_s, cpu_us, lag, self._lateness.freeze()))
        self._lateness = Histogram()

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
            live.ended.freeze(),
        )
        fan_outs = None
        if now is not None:
            fan_outs = self.fan_outs.drain(round(now * 1e6), final or self._ended is not None)
        self._drained_to_s = from_s if to_s is None else to_s
        seq, self._seq = self._seq, self._seq + 1
        periods = tuple(self._periods)
        self._periods.clear()
        delta = Delta(
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
            generator=periods,
            epoch=self._epoch,
            warmup=self._is_warming_up,
            fan_outs=fan_outs,
        )
        self.on_drain(delta)
        return delta

    def merge(self, delta: Delta, now: float | None = None) -> bool:
        """Add a delta, or one part of one; False: refused, because it is another run's or was merged before.

        `now` is when it came: the clocks of several hosts are compared by that.
        """
        if not self._totals.merge(delta):
            return False
        self._seconds.add(delta)
        self._generators.add(delta.worker, delta.generator)
        self._joins.add(delta, self._run_us(now))
        if delta.final:
            self._finish_fan_outs()
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
            self._join_fan_outs(round(delta.to_s * 1e6))
        self._finish_fan_outs()

    def _run_us(self, now: float | None) -> int | None:
        return None if now is None or self._run_began is None else round((now - self._run_began) * 1e6)

    def _join_fan_outs(self, run_us: int, *, all_in: bool = False) -> None:
        """Count the fan-outs of which all is known."""
        for joined in self._joins.joined(self._totals.sources, run_us, all_in=all_in):
            sent_s = joined.sent_us / 1e6
            if sent_s >= self._counts_from_s or self._is_warming_up:
                self._live.push(self._names.event(joined.event)).add(joined)
            elif sent_s < self._warmup_s:
                self._totals.warmup.push(self._names.event(joined.event)).add(joined)

    def _finish_fan_outs(self) -> None:
        """At the end nothing is waited for any more."""
        if self._ended is not None and not self.worker and not self.waiting_for:
            self._join_fan_outs(self._run_us(self._ended) or 0, all_in=True)

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
        self._finish_fan_outs()

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
        sums = self._with_live(self._totals.sums, not self._is_warming_up)
        return Snapshot(
            run=self._run_info(now),
            operations=sums.operations(self._in_flight()),
            connections=self._connections(),
            traffic=self._traffic(self._totals.sums, not self._is_warming_up),
            pushes=sums.push_stats(),
            timeline=self._timeline(),
            generators=self._generators.stats(self._labels, self._counts_from_s),
            warmup=self._warmup(now),
        )

    def _with_live(self, merged: Sums, counts_live: bool) -> Sums:
        if not counts_live or not (self._live.ledgers or self._live.pushes):
            return merged
        sums = Sums()
        sums.merge(merged)
        sums.merge(self._live)
        return sums

    def _traffic(self, merged: Sums, counts_live: bool) -> TrafficStats:
        if not counts_live:
            return merged.traffic_stats()
        live, counts = self.traffic, merged.traffic
        return TrafficStats(
            live.messages_sent + counts[0],
            live.messages_received + counts[1],
            live.bytes_sent + counts[2],
            live.bytes_received + counts[3],
        )

    def _warmup(self, now: float) -> Warmup | None:
        if not self._warmup_s:
            return None
        merged, is_live = self._totals.warmup, self._is_warming_up
        sums = self._with_live(merged, is_live)
        live = self._live if is_live else Sums()
        lasted_s = (now if self._ended is None else self._ended) - (self._run_began or 0.0)
        return Warmup(
            max(0.0, min(self._warmup_s, lasted_s)),
            tuple(operation for operation in sums.operations({}) if operation.started),
            ConnectionStats(
                {},
                sum(source.warmup_peak_open for source in self._other_sources())
                + (self._states.peak_open if is_live else self._own_warmup_peak()),
                merged.reconnects + live.reconnects,
                merged.closed_in_order + live.closed_in_order,
                merged.inbox_dropped + live.inbox_dropped,
                _both(merged.ended, live.ended),
            ),
            self._traffic(merged, is_live),
            sums.push_stats(),
        )

    def _own_warmup_peak(self) -> int:
        own = self._totals.sources.get(self.worker)
        return own.warmup_peak_open if own is not None else 0

    def _timeline(self) -> tuple[Second, ...]:
        """The rows, with what speaks against them."""
        rows = self._seconds.rows(with_open=self._ended is not None, lost=self._lost())
        spells = [spell for each in self._generators.bottlenecks(self._counts_from_s).values() for spell in each]
        if not spells and not self._warmup_s:
            return rows
        return tuple(self._marked(row, spells) for row in rows)

    def _marked(self, row: Second, spells: list[Spell]) -> Second:
        is_warmup = row.start_s < self._warmup_s
        if not is_warmup and not overlaps(spells, row.start_s, row.start_s + row.length_s):
            return row
        return replace(row, valid=is_warmup, warmup=is_warmup)

    @property
    def _counts_from_s(self) -> float:
        """Since when, in seconds of the run, its figures count: the end of the warm-up, or the last reset."""
        reset_s = (self._counts_began or 0.0) - (self._run_began or 0.0)
        return max(self._warmup_s, reset_s)

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
            _both(self._totals.sums.ended, self._live.ended),
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
        for worker, spells in self._generators.bottlenecks(self._counts_from_s).items():
            reasons.append(sentence(self._labels.get(worker, clean(worker)), spells, self._time_of_day_s))
        end = now if self._ended is None else self._ended
        began = None if self._run_began is None else self._run_began + self._counts_from_s
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
