"""What is read back from the exporter's text, by readers that are not ours: prometheus-client's parser and promtool."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from locust_ext.model import Snapshot
from locust_ext.outputs.metrics import Live, RunMetrics, pieces

Series = tuple[str, frozenset[tuple[str, str]]]
LIVE = Live(10, 9)


def text_of(snapshot: Snapshot, metrics: RunMetrics | None = None, live: Live = LIVE) -> str:
    """The metrics in Prometheus' text format."""
    return b"".join(pieces((metrics or RunMetrics()).parts(snapshot, live), openmetrics=False)).decode()


class Scraped:
    """A text of metrics, as another program reads it."""

    def __init__(self, text: str, *, openmetrics: bool = False) -> None:
        families = list((openmetrics_families if openmetrics else text_string_to_metric_families)(text))
        assert len({family.name for family in families}) == len(families), "a family is told twice"
        self.types = {family.name: family.type for family in families}
        self.help = {family.name: family.documentation for family in families}
        self.values: dict[Series, float] = {}
        self.counters: dict[Series, float] = {}
        """Those that must never fall: counters, and the parts of histograms."""
        for family in families:
            for sample in family.samples:
                series = sample.name, frozenset(sample.labels.items())
                assert series not in self.values, f"{series} is told twice"
                self.values[series] = sample.value
                if family.type in ("counter", "histogram"):
                    self.counters[series] = sample.value

    def of(self, name: str, /, **labels: str) -> float:
        """The sum of the series that have at least these labels; fails where there is none."""
        found = [value for (each, have), value in self.values.items() if each == name and have >= labels.items()]
        assert found, f"no series {name}{labels}"
        return sum(found)

    def by(self, name: str, label: str, /, **labels: str) -> dict[str, float]:
        """Label value -> sum of the series that have at least these labels."""
        sums: dict[str, float] = {}
        for (each, have), value in self.values.items():
            if each == name and have >= labels.items():
                key = dict(have)[label]
                sums[key] = sums.get(key, 0.0) + value
        return sums

    def fallen(self, earlier: Scraped) -> Mapping[Series, tuple[float, float]]:
        """Counters that are less than they were, or gone."""
        return {
            series: (before, self.counters.get(series, -1.0))
            for series, before in earlier.counters.items()
            if self.counters.get(series, -1.0) < before
        }

    def bucket_of(self, name: str, q: float, /, **labels: str) -> tuple[float, float]:
        """(lower, upper edge in seconds) of the histogram's bucket that holds this quantile by nearest rank."""
        below = sorted((float(edge), count) for edge, count in self.by(f"{name}_bucket", "le", **labels).items())
        rank = q * below[-1][1]
        lower = 0.0
        for edge, count in below:
            if count >= rank:
                return lower, edge
            lower = edge
        raise AssertionError("a histogram without +Inf")


def assert_promtool_takes(text: str) -> None:
    """`promtool check metrics`: it parses, and breaks no convention of names and units."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("needs promtool")
    checked = subprocess.run([promtool, "check", "metrics"], input=text.encode(), capture_output=True, timeout=30)
    said = checked.stdout.decode() + checked.stderr.decode()
    assert (checked.returncode, said) == (0, "")
