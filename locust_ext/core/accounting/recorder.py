"""The one place where a process counts what happened, and where the master adds up what all of them counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from locust_ext.core.accounting.facts import RunFacts
from locust_ext.core.accounting.fanout import FanOuts
from locust_ext.core.accounting.generators import Generators
from locust_ext.core.accounting.histogram import Histogram
from locust_ext.core.accounting.joining import FanOutJoin
from locust_ext.core.accounting.own_counts import OwnCounts
from locust_ext.core.accounting.reading import Reading
from locust_ext.core.accounting.seconds import Seconds
from locust_ext.core.accounting.times import RunTimes
from locust_ext.core.accounting.totals import Totals
from locust_ext.core.accounting.validity import DEFAULT_LIMITS, Limits
from locust_ext.model import Delta, Distribution, GeneratorPeriod, Snapshot

MAX_PERIODS = 120
"""Of the generator's own figures that wait for a drain."""


def _ignore(_warning: str) -> None:
    pass


def _leave(_delta: Delta) -> None:
    pass


class Recorder(OwnCounts):
    """Counts operations, pushes, connections and traffic of this process, and merges other processes' deltas.

    Any greenlet and the hub may call it: nothing in it waits, switches, logs or locks. Memory is bounded by the names
    and the buckets in use, never by the number of samples.

    A worker drains once a second and sends the delta; the master merges it. A process on its own may do both (drain,
    then merge its own delta), which is how it comes by windows and a timeline; its snapshot is whole at every moment.
    A worker's own snapshot shows what came since its last drain only.
    """

    def __init__(self, *, max_names: int = 500, on_warning: Callable[[str], None] = _ignore, worker: str = "") -> None:
        super().__init__(max_names, on_warning)
        self.fan_outs = FanOuts()
        """Always the same object: the hot path may keep it."""
        self._joins = FanOutJoin()
        self._totals = Totals(self._names)
        self._seconds = Seconds(self._names)
        self._facts = RunFacts()
        self._times = RunTimes()
        self._seq = 0
        self._drained_to_s: float | None = None
        self.on_drain: Callable[[Delta], None] = _leave
        """Is shown what each drain takes out, whoever asks for it."""
        self._epoch = 0
        self._limits = DEFAULT_LIMITS
        self._generators = Generators()
        self._periods: list[GeneratorPeriod] = []
        self._lateness = Histogram()
        self._reading = Reading(self, self._totals, self._seconds, self._generators, self._facts, self._times)
        self.worker = worker

    @property
    def worker(self) -> str:
        """This process's name in its deltas; empty for the master and a process on its own."""
        return self._reading.worker

    @worker.setter
    def worker(self, worker: str) -> None:
        self._reading.worker = worker

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
        self._facts.forget()
        self._times.begin(now, warmup_s)
        self._seq = self._epoch = 0
        self._drained_to_s = 0.0
        self._seconds.windows_from_s = warmup_s
        self._generators.clear(self._limits)
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
        self._times.reset(now)
        return self._epoch

    def end_warmup(self, now: float) -> Delta:
        """From now on it counts; gives what came before, to be merged or sent like any drain. In every process."""
        delta = self.drain(now)
        self._times.is_warming_up = False
        self._states.restart_peak()
        return delta

    def end(self, now: float) -> None:
        """The run is over: its duration stands still from here; what still arrives is counted."""
        self._times.ended = now
        self._end_connections()
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
        self._facts.time_of_day_s = time_of_day_s

    def label_worker(self, worker: str, label: str) -> None:
        """What people call this worker: its number."""
        self._reading.labels[worker] = label

    def mark_invalid(self, reason: str) -> None:
        """The measurement is not valid, and why; the same reason counts once."""
        self._facts.invalid(reason)

    @property
    def run_id(self) -> str:
        return self._totals.run_id

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
        taken = self._take()
        from_s, began = self._drained_to_s, self._times.began
        to_s = None if now is None or began is None else max(now - began, from_s or 0.0)
        fan_outs = None
        if now is not None:
            fan_outs = self.fan_outs.drain(round(now * 1e6), final or self._times.ended is not None)
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
            operations=tuple(ledger.freeze() for ledger in taken.ledgers.values()),
            pushes=tuple(count.freeze() for count in taken.pushes.values()),
            connections=taken.connection_stats(self.states_now(), self._states.drain_peak()),
            traffic=taken.traffic_stats(),
            generator=periods,
            epoch=self._epoch,
            warmup=self._times.is_warming_up,
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
        self._joins.add(delta, self._times.run_us(now))
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
            others = self._reading.others()
            waited_for = [source.to_s for source in others if not (source.is_final or source.is_lost)]
            self._seconds.close(min(waited_for, default=delta.to_s), self._reading.lost())
            self._join_fan_outs(round(delta.to_s * 1e6))
        self._finish_fan_outs()

    def _join_fan_outs(self, run_us: int, *, all_in: bool = False) -> None:
        """Count the fan-outs of which all is known."""
        for joined in self._joins.joined(self._totals.sources, run_us, all_in=all_in):
            sent_s = joined.sent_us / 1e6
            if sent_s >= self._times.counts_from_s or self._times.is_warming_up:
                self._live.push(self._names.event(joined.event)).add(joined)
            elif sent_s < self._times.warmup_s:
                self._totals.warmup.push(self._names.event(joined.event)).add(joined)

    def _finish_fan_outs(self) -> None:
        """At the end nothing is waited for any more."""
        ended = self._times.ended
        if ended is not None and not self.worker and not self.waiting_for:
            self._join_fan_outs(self._times.run_us(ended) or 0, all_in=True)

    def watch(self, length_s: int) -> None:
        """Keep a sliding window of so many whole seconds, for `window`; before the run begins."""
        self._seconds.watch(length_s)

    def window(self, length_s: int) -> Snapshot:
        """The last `length_s` closed seconds (fewer at the start: see `run.duration_s`); `watch` asked for it."""
        return self._reading.window(length_s)

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
        return self._reading.workers()

    @property
    def waiting_for(self) -> tuple[str, ...]:
        """Workers whose final delta is still to come; lost ones are not waited for."""
        sources = self._totals.sources
        return tuple(worker for worker in self.workers if not (sources[worker].is_final or sources[worker].is_lost))

    # -- the answer ------------------------------------------------------------------------------------------------

    def snapshot(self, now: float) -> Snapshot:
        """Everything as it stands: this process's counts and all merged ones; some microseconds a name."""
        return self._reading.snapshot(now)
