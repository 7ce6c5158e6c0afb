"""``locust-ext metrics``: what a rule can be about, as a table of 80 columns or as JSON. Loads neither Locust nor gevent."""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from locust_ext.core.alerts.metrics import Metric

WIDTH: Final = 80
_HEAD: Final = (
    "What a rule can be about (config/rules.yaml shows how). Over a window, rates go by "
    "its real length, counts are those of the window, gauges their average over it, "
    "percentiles those of all its samples. Without where, a response or service time is that "
    "of all operations but CONNECT, POOL and PUSH; where: {type: CONNECT} selects these. "
    "Metrics of generators and loop lag are judged for each worker."
)
_TAIL: Final = (
    'target.<name> is what the target\'s own endpoint (--ext-target-metrics) calls <name>, or <name>{label="value"}: what '
    "rules name is read by itself. A counter jobs_total is target.jobs_per_second. The unit follows from the end of the "
    "name: _bytes, _seconds, _ms, _percent, _ratio, _per_second, otherwise a number."
)


def metrics(arguments: Sequence[str]) -> int:
    """The command with the arguments after its name; gives its exit code."""
    from locust_ext.core.alerts.metrics import METRICS

    parser = argparse.ArgumentParser(
        prog="locust-ext metrics",
        description="The metrics that rules (--ext-rules) can be about, with their units.",
        allow_abbrev=False,
    )
    parser.add_argument("--format", choices=("table", "json"), default="table", help="table (default) or json")
    options = parser.parse_args(arguments)
    if options.format == "json":
        rows = [
            {"metric": name, "unit": metric.unit, "help": metric.help, "where": list(metric.scopes)}
            for name, metric in METRICS.items()
        ]
        text = json.dumps(rows, indent=2, ensure_ascii=False) + "\n"
    else:
        text = "".join(f"{line}\n" for line in table(METRICS))
    return _print(text)


def table(entries: Mapping[str, Metric]) -> Iterator[str]:
    """Its lines, none wider than `WIDTH`; a heading wherever the keys of ``where`` change."""
    yield from textwrap.wrap(_HEAD, WIDTH)
    name_width = max(map(len, entries))
    unit_width = max(len(metric.unit) for metric in entries.values())
    indent = " " * (name_width + unit_width + 4)
    scopes: tuple[str, ...] | None = None
    for name, metric in entries.items():
        if metric.scopes != scopes:
            scopes = metric.scopes
            yield ""
            yield f"where: {', '.join(scopes)}" if scopes else "without where"
        first, *more = textwrap.wrap(metric.help, WIDTH - len(indent))
        yield f"{name:<{name_width}}  {metric.unit:<{unit_width}}  {first}"
        yield from (indent + line for line in more)
    yield ""
    yield from textwrap.wrap(_TAIL, WIDTH)


def _print(text: str) -> int:
    """As UTF-8 whatever the terminal says of itself; a reader that has gone (``| head``) is no error."""
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8"))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
