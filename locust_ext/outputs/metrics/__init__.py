"""A run as Prometheus metrics: `RunMetrics` turns each `Snapshot` into metric families, whose counters never fall.

    catalogue.py    every family: name, labels, HELP
    bins.py         the edges of the histograms, and samples sorted into them
    slots.py        which names have series of their own; the rest fall under `__other__`
    tally.py        what a Snapshot (or a worker's Delta) counts, family by family
    running.py      counters that go on over resets of the statistics
    gauges.py       what stands as it stands: connections, users, resources, alerts, the run itself
    exposition.py   families as text, in pieces

Pure: a Snapshot in, plain data of prometheus-client out. Serving it is the business of `locust_ext.plugin.exporter`.
"""

from __future__ import annotations

from locust_ext.outputs.metrics.bins import DEFAULT_EDGES_S, Edges
from locust_ext.outputs.metrics.exposition import content_type, is_openmetrics, pieces
from locust_ext.outputs.metrics.gauges import Live
from locust_ext.outputs.metrics.running import RunMetrics

__all__ = ["DEFAULT_EDGES_S", "Edges", "Live", "RunMetrics", "content_type", "is_openmetrics", "pieces"]
