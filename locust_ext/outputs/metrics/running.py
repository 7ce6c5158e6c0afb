"""`RunMetrics`: a run's Snapshots as metric families; counters go on where a reset of the statistics takes counts away."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from itertools import islice
from typing import Any, Final

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from locust_ext.model import Delta, Snapshot
from locust_ext.outputs.metrics.bins import Bins, Edges
from locust_ext.outputs.metrics.catalogue import COUNTED, HISTOGRAM, RUN, Family
from locust_ext.outputs.metrics.gauges import Live, gauges
from locust_ext.outputs.metrics.slots import Labels, Slots, limits_of
from locust_ext.outputs.metrics.tally import Tally, tally_generators, tallying

MAX_SERIES: Final = 10_000
MAX_NAMES: Final = 200
MAX_KEPT: Final = 10
"""Parts of a run that wait for the next scrape to be added up."""
SAMPLES: Final = 60
"""Of one part of a family: some 0.5 ms of work, with its text."""


class RunMetrics:
    """The counters of one run over all that a process shows of it.

    What the statistics lose is handed to `keep` before: the whole snapshot at Locust's reset, and in a worker every
    drained delta, also while somebody goes through `parts`.
    """

    def __init__(
        self,
        edges: Edges | None = None,
        max_series: int = MAX_SERIES,
        max_names: int = MAX_NAMES,
        worker: str | None = None,
    ) -> None:
        """`max_names`: so many have series of their own. `worker`: whose own deltas are kept, where they are."""
        self.worker = worker
        self._edges = edges or Edges()
        self._limits = limits_of(max_series, max_names, self._edges.series)
        self._begin("")

    def _begin(self, run_id: str) -> None:
        self._run_id = run_id
        self._slots = Slots(self._limits)
        self._base = Tally(self._edges)
        """What was kept and added up; never changed, only replaced."""
        self._kept: list[Snapshot | Delta] = []

    def keep(self, counted: Snapshot | Delta) -> None:
        """These counts are about to leave the run's statistics. Costs next to nothing; every tenth time, milliseconds."""
        run_id = counted.run_id if isinstance(counted, Delta) else counted.run.id
        if not run_id or (isinstance(counted, Delta) and counted.warmup):
            return
        if run_id != self._run_id:
            self._begin(run_id)
        self._kept.append(counted)
        if len(self._kept) >= MAX_KEPT:
            for _ in self._adding_up():
                pass

    def _adding_up(self) -> Generator[None, None, Tally]:
        """The base with all that is kept now, in pieces; it becomes the base, unless `keep` was faster."""
        base, kept, slots = self._base, list(self._kept), self._slots
        if not kept:
            return base
        whole = Tally(self._edges)
        whole.merge(base)
        for counted in kept:
            yield from tallying(whole, counted, slots)
            if isinstance(counted, Delta):
                worker = self.worker or counted.worker
                tally_generators(whole, ((worker, each.cpu_us, each.lag) for each in counted.generator), slots)
        if self._base is base:
            self._base = whole
            del self._kept[: len(kept)]
        return whole

    # ── at a scrape ──────────────────────────────────────────────────────────────────────────────────────────────────

    def collect(self, snapshot: Snapshot, live: Live) -> Iterator[Metric]:
        """Each family whole, as a registry of prometheus-client wants them."""
        found: dict[str, Metric] = {}
        for part in self.parts(snapshot, live):
            if part is not None:
                whole = found.setdefault(part.name, part)
                if whole is not part:
                    whole.samples.extend(part.samples)
        yield from found.values()

    def parts(self, snapshot: Snapshot, live: Live) -> Iterator[Metric | None]:
        """The families as of the snapshot, the parts of each in a row; None: a piece of work is done, others may run.

        The first step must follow the taking of the snapshot without a switch of greenlets.
        """
        run_id = snapshot.run.id
        if run_id != self._run_id:
            self._begin(run_id)
        slots = self._slots
        if run_id:
            yield from self._of_run(snapshot, slots)
        for family, values in gauges(snapshot, live, slots).items():
            for some in _in_parts(values, SAMPLES):
                gauge = GaugeMetricFamily(family.name, family.help, labels=family.labels)
                for labels, value in some:
                    gauge.add_metric(labels, value)
                yield gauge

    def _of_run(self, snapshot: Snapshot, slots: Slots) -> Iterator[Metric | None]:
        adding_up = self._adding_up()
        base: Tally | None = None
        while base is None:
            try:
                next(adding_up)
            except StopIteration as end:
                base = end.value
            else:
                yield None
        now = Tally(self._edges)
        for _ in tallying(now, snapshot, slots):
            yield None
        tally_generators(now, ((each.worker, each.cpu_us, each.lag) for each in snapshot.generators), slots)
        yield _info(snapshot, slots)
        for family in COUNTED:
            if family.kind == HISTOGRAM:
                yield from _histograms(family, base, now)
            else:
                yield from _counters(family, base, now)


def _counters(family: Family, base: Tally, now: Tally) -> Iterator[Metric]:
    before, since = base.counts.get(family, {}), now.counts.get(family, {})
    for some in _in_parts(before | since, SAMPLES):
        counter = CounterMetricFamily(family.name, family.help, labels=family.labels)
        for labels, _ in some:
            counter.add_metric(labels, (before.get(labels, 0) + since.get(labels, 0)) * family.scale)
        yield counter


def _histograms(family: Family, base: Tally, now: Tally) -> Iterator[Metric]:
    before, since = base.histograms.get(family, {}), now.histograms.get(family, {})
    edges = now.edges_of(family)
    for some in _in_parts(before | since, max(1, SAMPLES // edges.series)):
        histogram = HistogramMetricFamily(family.name, family.help, labels=family.labels)
        for labels, _ in some:
            bins = Bins(edges)
            for part in (before.get(labels), since.get(labels)):
                if part is not None:
                    bins.merge(part)
            histogram.add_metric(labels, bins.cumulative(edges), bins.sum_us / 1e6)
        yield histogram


def _info(snapshot: Snapshot, slots: Slots) -> Metric:
    run = snapshot.run
    told = {"id": run.id, "scenario": run.scenario, "host": run.host}
    labels = {name: slots.text(str(value)) for name, value in told.items() if value}
    for name, version in sorted(run.versions.items())[:20]:
        labels["version_" + re.sub(r"\W", "_", name, flags=re.ASCII)] = slots.text(str(version))
    info = InfoMetricFamily(RUN.name, RUN.help)
    info.add_metric((), labels)
    return info


def _in_parts(values: dict[Labels, Any], length: int) -> Iterator[list[tuple[Labels, Any]]]:
    """In the order of labels, so many at a time."""
    rest = iter(sorted(values.items(), key=lambda item: item[0]))
    while some := list(islice(rest, length)):
        yield some
