"""The answer of a `Recorder`: what it counted and what it merged, as one `Snapshot`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf

from locust_ext.core.accounting.facts import RunFacts
from locust_ext.core.accounting.generators import Generators
from locust_ext.core.accounting.names import Key, clean
from locust_ext.core.accounting.own_counts import OwnCounts
from locust_ext.core.accounting.resources import Resources
from locust_ext.core.accounting.seconds import Seconds
from locust_ext.core.accounting.stretch import StretchSoFar
from locust_ext.core.accounting.sums import Sums
from locust_ext.core.accounting.times import RunTimes
from locust_ext.core.accounting.totals import Source, Totals
from locust_ext.core.accounting.validity import Spell, overlaps, sentence
from locust_ext.model import RunInfo, Second, Snapshot, Warmup


@dataclass(slots=True)
class Reading:
    """Reads what the recorder writes; changes nothing."""

    own: OwnCounts
    totals: Totals
    seconds: Seconds
    generators: Generators
    facts: RunFacts
    times: RunTimes
    resources: Resources
    worker: str = ""
    """Which of the merged processes this one is."""
    labels: dict[str, str] = field(default_factory=dict)
    """What people call the workers."""
    answering: Sequence[Spell] | None = None
    """The times at which a bottleneck speaks against the run; None: at any."""

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
            resources=self.resources.stats(self.labels, self.times.ended is not None),
            warmup=self._warmup(now),
        )

    def window(self, length_s: int | None, worker: str | None = None) -> Snapshot:
        """The last closed seconds, or all of the run; of all processes, or of the worker with this label.

        The gauges are of now.
        """
        if worker is not None and (worker or self.workers()):
            return self._window_of(self._worker_called(worker), length_s)
        if length_s is None:
            return self.snapshot((self.times.began or 0.0) + self.seconds.now_s)
        window = self.seconds.windows.of(length_s)
        rows = self.seconds.recent(length_s)
        return replace(
            self._period(window.sums, window.duration_s, self._in_flight(), self._connections(), self._mark(rows)),
            resources=self.resources.window(self._since_s(length_s), self.labels),
        )

    def stretch(self) -> StretchSoFar:
        """The stretch as far as its seconds have closed."""
        stretch, connections = self.seconds.stretch(), self._connections()
        seen = StretchSoFar(self.seconds.now_s, connections[0], connects=self._connects())
        if stretch.from_s is None:
            return seen
        from_s, to_s = float(stretch.from_s), float(stretch.to_s)
        rows = self._mark(self.seconds.rows_between(from_s, to_s))
        return replace(
            seen,
            snapshot=replace(
                self._period(stretch.sums, to_s - from_s, self._in_flight(), connections, rows),
                resources=self.resources.figures(from_s, to_s, self.labels),
            ),
            from_s=from_s,
            to_s=to_s,
            is_bottleneck=self.generators.were_bottleneck(max(from_s, self.times.counts_from_s), to_s),
        )

    def _connects(self) -> Snapshot | None:
        connects = self.seconds.connects()
        if connects.from_s is None:
            return None
        run = RunInfo(id=self.totals.run_id, duration_s=float(connects.to_s - connects.from_s))
        return Snapshot(run=run, operations=connects.sums.operations({}))

    def _since_s(self, length_s: int) -> float:
        """When the window begins that what was read last, which need not wait for other workers, is taken from."""
        return max(self.seconds.now_s - length_s, self.seconds.windows_from_s)

    def _window_of(self, worker: str, length_s: int | None) -> Snapshot:
        source = self.totals.sources.get(worker) or Source()
        in_flight = {key: count for key, (_, count) in source.in_flight.items()}
        gauges = (source.states[1], source.peak_open)
        windows = self.seconds.windows
        if length_s is None:
            duration_s = self.times.duration_s((self.times.began or 0.0) + self.seconds.now_s)
            whole = self._period(windows.whole(worker), duration_s, in_flight, gauges)
            return replace(whole, resources=self.resources.stats_of(worker, self.labels, self.times.ended is not None))
        window = windows.of_worker(worker, length_s)
        return replace(
            self._period(window.sums, window.duration_s, in_flight, gauges),
            resources=self.resources.window(self._since_s(length_s), self.labels, worker),
        )

    def _period(
        self,
        sums: Sums,
        duration_s: float,
        in_flight: dict[Key, int],
        gauges: tuple[Mapping[str, int], int],
        rows: tuple[Second, ...] = (),
    ) -> Snapshot:
        return Snapshot(
            run=RunInfo(id=self.totals.run_id, duration_s=duration_s, target_rate_per_s=self.facts.target_rate_per_s),
            operations=sums.operations(in_flight),
            connections=sums.connection_stats(*gauges),
            traffic=sums.traffic_stats(),
            pushes=sums.push_stats(),
            timeline=rows,
        )

    def _worker_called(self, label: str) -> str:
        """The worker that people call so; the label itself if none has it."""
        return next((worker for worker in self.workers() if self.labels.get(worker, worker) == label), label)

    def worker_labels(self) -> tuple[str, ...]:
        """What people call the workers that have reported, in order; an empty one for the one process of the run."""
        reported = [worker for worker in self.workers() if self.totals.sources[worker].has_reported]
        labels = sorted((self.labels.get(worker, worker) for worker in reported), key=lambda label: (len(label), label))
        return tuple(labels) or ("",)

    def lost(self) -> set[str]:
        """Workers that are gone."""
        return {worker for worker, source in self.totals.sources.items() if source.is_lost}

    def waited_for_s(self) -> float:
        """Up to which second of the run those have reported that are still to do so; lost ones are not waited for."""
        waited = [source.to_s for source in self.others() if not (source.is_final or source.is_lost)]
        return min(waited, default=inf)

    def complete_to_s(self) -> float:
        """Up to which second all that was done is known: what a lost worker did since its last report never will be."""
        return min((source.to_s for source in self.others() if not source.is_final), default=inf)

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
        return self._mark(self.seconds.rows(self.times.ended_s, self.complete_to_s(), self.lost()))

    def _mark(self, rows: tuple[Second, ...]) -> tuple[Second, ...]:
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
            if self.answering is None or any(overlaps(spells, *time) for time in self.answering):
                reasons.append(sentence(self.labels.get(worker, clean(worker)), spells, self.facts.time_of_day_s))
        return RunInfo(
            id=self.totals.run_id,
            duration_s=self.times.duration_s(now),
            workers=sum(1 for worker in workers if sources[worker].has_reported),
            invalid_because=tuple(reasons),
            complete=self.times.ended is not None and all(sources[worker].is_final for worker in workers),
            **self.facts.fields(),
        )
