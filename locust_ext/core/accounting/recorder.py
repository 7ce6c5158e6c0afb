"""The one place where a process counts what happened, and where the master adds up what all of them counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from locust_ext.core.accounting.arrivals import Arrivals
from locust_ext.core.accounting.facts import RunFacts
from locust_ext.core.accounting.fanout import FanOuts
from locust_ext.core.accounting.generators import Generators
from locust_ext.core.accounting.histogram import Histogram
from locust_ext.core.accounting.joining import FanOutJoin
from locust_ext.core.accounting.names import clean
from locust_ext.core.accounting.reading import Reading
from locust_ext.core.accounting.resources import Keeping, Resources, clean_values
from locust_ext.core.accounting.seconds import Seconds
from locust_ext.core.accounting.times import RunTimes
from locust_ext.core.accounting.totals import Totals
from locust_ext.core.accounting.validity import DEFAULT_LIMITS, Limits
from locust_ext.core.accounting.watched import Watched
from locust_ext.model import GENERATOR, SIDES, Delta, Distribution, GeneratorPeriod, ResourceSample, Snapshot

MAX_SAMPLES = 200
"""Of the resource monitor that wait for a drain."""
MAX_PERIODS = 120
"""Of the generator's own figures that wait for a drain."""


def _ignore(_warning: str) -> None:
    pass


def _leave(_delta: Delta) -> None:
    pass


def _do_nothing() -> None:
    pass


class Recorder(Watched):
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
        self._arrivals = Arrivals()
        self._totals = Totals(self._names)
        self._seconds = Seconds(self._names)
        self._facts = RunFacts()
        self._times = RunTimes()
        self._seq = 0
        self._drained_to_s: float | None = None
        self.on_drain: Callable[[Delta], None] = _leave
        """Is shown what each drain takes out, whoever asks for it."""
        self.on_reset: Callable[[], None] = _do_nothing
        """Is called before a `reset` takes the counts away."""
        self._epoch = 0
        self._limits = DEFAULT_LIMITS
        self._generators = Generators()
        self._periods: list[GeneratorPeriod] = []
        self._lateness = Histogram()
        self._keeping = Keeping()
        self._resources = Resources(on_warning)
        self._samples: list[ResourceSample] = []
        self._resource_limits: Mapping[str, float] = {}
        self._reading = Reading(
            self, self._totals, self._seconds, self._generators, self._facts, self._times, self._resources
        )
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
        self._arrivals.clear()
        self._names.forget()
        for key in self._live.ledgers:
            self._names.resolve(key)  # the names of what is in flight count first
        self._facts.forget()
        self._times.begin(now, warmup_s)
        self._seq = self._epoch = 0
        self._drained_to_s = 0.0
        self._seconds.windows_from_s = warmup_s
        self._generators.clear(self._limits)
        self._resources.clear(self._keeping, warmup_s)
        self._samples.clear()
        self._periods.clear()
        self._lateness = Histogram()

    def reset(self, now: float, epoch: int | None = None) -> int:
        """Locust's reset of the statistics: every count to zero within the same run, which lasts from now.

        The rows of the timeline are dropped, as Locust clears its history; its seconds go on counting from the start of
        the run. Sequence numbers, gauges, workers and the generators' figures go on. Gives the number of the epoch that
        begins, which the master tells its workers: what they counted before they know of it counts no more, whenever it
        comes.
        """
        self.on_reset()
        self._forget_counts()
        self._epoch = self._epoch + 1 if epoch is None else epoch
        self._totals.reset(self._epoch)
        self._times.reset(now)
        self._drained_to_s = max(self._times.run_s(now), self._drained_to_s or 0.0)
        self._seconds.reset(self._drained_to_s)
        return self._epoch

    def end_warmup(self, now: float) -> Delta:
        """From now on it counts; gives what came before, to be merged or sent like any drain. In every process."""
        delta = self.drain(now)
        self._times.is_warming_up = False
        self._states.restart_peak()
        return delta

    def end(self, now: float, stopped: float | None = None) -> None:
        """The run is over: its duration stands still from here; what still arrives is counted.

        `stopped`, in a master: when the run was stopped, so that since then the workers' last figures were waited for.
        The duration then lasts until the last figures of any worker, and at least until the stop if one owes its own.
        """
        self._times.ended = now if stopped is None else self._last_figures(now, stopped)
        self._end_connections()
        if not self.worker:
            self.tick(now)  # the timeline gets the last part of a second

    def _last_figures(self, now: float, stopped: float) -> float:
        sources = self._reading.others()
        last = (self._times.began or 0.0) + max((source.to_s for source in sources), default=0.0)
        if not (sources and all(source.is_final for source in sources)):
            last = max(last, stopped)
        return min(now, last)

    def describe(
        self,
        *,
        started_at: str | None = None,
        host: str | None = None,
        scenario: str | None = None,
        seed: int | None = None,
        users: int | None = None,
        shape: str | None = None,
        ended_because: str | None = None,
        unfinished: str | None = None,
        target_rate_per_s: float | None = None,
        paced_s: float | None = None,
        versions: Mapping[str, str] | None = None,
    ) -> None:
        """Tell facts of the run that the recorder cannot know; may be called several times, None says nothing.

        `users` keeps the largest number told; `host` loses a password or a query it may have.
        """
        told: dict[str, str | float | None] = {
            "started_at": started_at,
            "host": host,
            "scenario": scenario,
            "seed": seed,
            "users": users,
        }
        told |= {"shape": shape, "ended_because": ended_because, "unfinished": unfinished}
        told |= {"target_rate_per_s": target_rate_per_s, "paced_s": paced_s}
        self._facts.tell(told, versions)

    def users(self, now: float, present: int, planned: int | None = None) -> None:
        """So many users there are at this monotonic time, over all workers, and so many the run's shape has planned.

        About once a second in the master and in a process on its own, before `tick`; for the timeline.
        """
        if self._times.ended is None:
            self._seconds.tell_users(self._times.run_s(now), present, planned)

    def limit_generator(self, limits: Limits) -> None:
        """Up to where the processes that make the load are trusted, from the next run on."""
        self._limits = limits

    def keep_resources(self, keeping: Keeping) -> None:
        """How much of what the resource monitor reads is kept, from the next run on."""
        self._keeping = keeping

    def began_at(self, time_of_day_s: float) -> None:
        """The time of day (seconds after midnight) at which the run began, for what is said to people."""
        self._facts.time_of_day_s = time_of_day_s

    def label_worker(self, worker: str, label: str) -> None:
        """What people call this worker: its number."""
        self._reading.labels[worker] = label

    def leave_warnings_to_the_master(self) -> None:
        """A worker's: it says nothing of names beyond the cap, because the master does so once for all."""
        self._names.on_warning = _ignore

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

    def resource(
        self, side: str, source: str, now: float, values: Mapping[str, float], limits: Mapping[str, float] | None = None
    ) -> None:
        """What the resource monitor read at this monotonic time; nothing of it is taken in once the run has ended.

        `side` is one of `model.SIDES` (else `ValueError`), `source` which of that side; `limits` is what that source
        may use. A worker's goes to the master with its next drain, where it is the worker's, whatever `source` is.
        """
        if self._times.ended is not None:
            return
        if side not in SIDES:
            raise ValueError(f"expected a side of {', '.join(SIDES)}, not {side!r}")
        sample = ResourceSample(side, clean(source), max(0.0, now - (self._times.began or 0.0)), clean_values(values))
        if not self.worker:
            self._resources.limit(side, source, limits or {})
            self._resources.add(sample)
        elif side == GENERATOR:
            if len(self._samples) >= MAX_SAMPLES:
                del self._samples[0]
            self._samples.append(sample)
            self._resource_limits = clean_values(limits or {})

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
        samples = tuple(self._samples)
        self._samples.clear()
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
            samples=samples,
            limits=self._resource_limits if samples else {},
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
        is_other = delta.worker != self.worker
        if now is not None and is_other and delta.run_id == self.run_id:
            delta = self._arrivals.on_our_clock(delta, self._times.run_s(now))
            self._seconds.advance(self._times.run_s(now))
        if not self._totals.merge(delta):
            return False
        if is_other:
            self._names.look_for_cap(delta)
            if self._times.ended is None:
                self._totals.source(delta.worker).is_lost = False  # it was only silent for a while
        if delta.epoch >= self._epoch:  # else it was counted before a reset, and is in no total either
            self._seconds.add(delta)
        self._generators.add(delta.worker, delta.generator)
        self._resources.limit(GENERATOR, delta.worker, delta.limits)
        for sample in delta.samples:
            if sample.side == GENERATOR:
                self._resources.add(replace(sample, source=delta.worker))
        self._joins.add(delta, self._times.run_us(now))
        if delta.final:
            self._finish_fan_outs()
        if is_other and self._times.ended is not None and now is not None:
            self._times.lasts_until(delta.to_s, now)
            self._close_seconds()
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
            self._close_seconds()
            self._join_fan_outs(round(delta.to_s * 1e6))
        self._finish_fan_outs()

    def _close_seconds(self) -> None:
        self._seconds.close(self._reading.waited_for_s(), self._reading.complete_to_s(), self._reading.lost())

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
