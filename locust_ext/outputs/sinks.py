"""Sinks: outputs that stream while a run goes on. One class each, fed with a `Snapshot` a second; `SINKS` names them.

A sink turns Snapshots into text; writing it somewhere is the caller's business. To add one: a file here, and a line in
`SINKS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Protocol

from locust_ext.model import Snapshot
from locust_ext.outputs.json_lines import JsonLines


class Sink(Protocol):
    """One run's stream. Called from one greenlet at a time, in the process of the run or its master."""

    def feed(self, snapshot: Snapshot) -> Iterator[str]:
        """Once a second: all that is known of the run by now. Counts are totals: the sink forms the differences.

        Gives the text to be appended, in pieces of some 0.1 ms of work: other greenlets run in between.
        """

    def end(self, snapshot: Snapshot) -> Iterator[str]:
        """Once, after the last `feed`: the run is over and its figures are complete."""


SINKS: Final[dict[str, Callable[[], Sink]]] = {
    "jsonl": JsonLines,
}
"""The name in ``--ext-sink NAME=FILE`` -> the class that makes the text."""
