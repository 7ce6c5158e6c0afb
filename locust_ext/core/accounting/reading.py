"""The answer of a `Recorder`: what it counted and what it merged, as one `Snapshot`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from locust_ext.core.accounting.facts import RunFacts
from locust_ext.core.accounting.generators import Generators
from locust_ext.core.accounting.names import Key, clean
from locust_ext.core.accounting.own_counts import OwnCounts
from locust_ext.core.accounting.seconds import Seconds
from locust_ext.core.accounting.sums import Sums
from locust_ext.core.accounting.times import RunTimes
from locust_ext.core.accounting.totals import Source, Totals
from locust_ext.core.accounting.validity import Spell, overlaps, sentence
from locust_ext.model import ConnectionStats, RunInfo, Second, Snapshot, Warmup


@dataclass(slots=True)
class Reading:
    """Reads what the recorder writes; changes nothing."""

    own: OwnCounts
    totals: Totals
    seconds: Seconds
    generators: Generators
    facts: RunFacts
    times: RunTimes
    worker: str = ""
    """Which of the merged processes this one is."""
    labels: dict[str, str] = field(default_factory=dict)
    """What people call the workers."""

    def snapshot(self, now: float) -> Snapshot:
        """Everything as it stands at this monotonic time; some microseconds a name."""
        sums = self._with_own(self.totals.sums, not self.times.is_warming_up)
        states, peak_open = self._connections()
        return Snapshot(
            run=self._run_info(now),
            operations=sums.operations(self._in_flight()),
            connections=sums.connection_stats(states, peak_open),
            traffic=sums.traffic_stats(),
            pushes=sums.push_stats(),
            timeline=self._timeline(),
            generators=self.generators.stats(self.labels, self.times.counts_from_s),
            warmup=self._warmup(now),
        )

    def window(self, length_s: int) -> Snapshot:
        """The last closed seconds; the gauges are of now."""
        gauges = ConnectionStats(*self._connections())
        return self.seconds.windows[length_s].snapshot(self.totals.run_id, self._in_flight(), gauges)

    def lost(self) -> set[str]:
        """Workers that are gone."""
        return {worker for worker, source in self.totals.sources.items() if source.is_lost}

    def others(self) -> list[Source]:
        """What came from other processes."""
        return [source for worker, source in self.totals.sources.items() if worker != self.worker]

    def workers(self) -> tuple[str, ...]:
        """Workers that are expected or have reported, in order of their names."""
        return tuple(sorted(worker for worker in self.totals.sources if worker != self.worker))

    def _with_own(self, merged: Sums, counts_own: bool) -> Sums:
        own = self.own.so_far()
        if not counts_own or own.is_empty:
            return merged
        sums = Sums()
        sums.merge(merged)
        sums.merge(own)
        return sums

    def _warmup(self, now: float) -> Warmup | None:
        if not self.times.warmup_s:
            return None
        is_going_on = self.times.is_warming_up
        sums = self._with_own(self.totals.warmup, is_going_on)
        peak_open = sum(source.warmup_peak_open for source in self.others())
        if is_going_on:
            peak_open += self.own.peak_open
        elif self.worker in self.totals.sources:
            peak_open += self.totals.sources[self.worker].warmup_peak_open
        return Warmup(
            self.times.warmup_lasted_s(now),
            tuple(operation for operation in sums.operations({}) if operation.started),
            sums.connection_stats({}, peak_open),
            sums.traffic_stats(),
            sums.push_stats(),
        )

    def _timeline(self) -> tuple[Second, ...]:
        """The rows, with what speaks against them."""
        rows = self.seconds.rows(with_open=self.times.ended is not None, lost=self.lost())
        bottlenecks = self.generators.bottlenecks(self.times.counts_from_s)
        spells = [spell for each in bottlenecks.values() for spell in each]
        if not spells and not self.times.warmup_s:
            return rows
        return tuple(self._marked(row, spells) for row in rows)

    def _marked(self, row: Second, spells: list[Spell]) -> Second:
        is_warmup = row.start_s < self.times.warmup_s
        if not is_warmup and not overlaps(spells, row.start_s, row.start_s + row.length_s):
            return row
        return replace(row, valid=is_warmup, warmup=is_warmup)

    def _in_flight(self) -> dict[Key, int]:
        in_flight = self.totals.in_flight(without=self.worker)
        for key, ledger in self.own.so_far().ledgers.items():
            in_flight[key] = in_flight.get(key, 0) + ledger.in_flight
        return in_flight

    def _connections(self) -> tuple[dict[str, int], int]:
        """Connections by state now, and the most that were open."""
        states = self.own.states_now()
        others = self.others()
        for source in others:
            for state, connections in source.states[1].items():
                states[state] = states.get(state, 0) + connections
        return states, self.own.peak_open + sum(source.peak_open for source in others)

    def _run_info(self, now: float) -> RunInfo:
        sources, workers = self.totals.sources, self.workers()
        reasons = list(self.facts.reasons)
        for worker in workers:
            if sources[worker].is_lost and not sources[worker].is_final:
                reasons.append(f"worker {clean(worker)} was lost: what it did after its last report is missing")
        for worker, spells in self.generators.bottlenecks(self.times.counts_from_s).items():
            reasons.append(sentence(self.labels.get(worker, clean(worker)), spells, self.facts.time_of_day_s))
        return RunInfo(
            id=self.totals.run_id,
            duration_s=self.times.duration_s(now),
            workers=sum(1 for worker in workers if sources[worker].has_reported),
            invalid_because=tuple(reasons),
            complete=self.times.ended is not None and all(sources[worker].is_final for worker in workers),
            **self.facts.fields(),
        )
