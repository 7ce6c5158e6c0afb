"""Prometheus' text format, only as much of it as was selected: `Selector`, and `Scrape`, which is fed pieces of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from locust_ext.errors import ConfigError
from locust_ext.runtime.monitor.pace import Pace

MAX_LINE_BYTES = 65_536
MAX_SERIES = 2_000
"""Series that are parsed for one name: each costs some 20 µs."""
PARSED_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Selector:
    """Which series: all that have this name and at least these labels. Their sum is the value."""

    text: str
    """As it was given, without spaces around it."""
    name: str
    labels: Mapping[str, str] = field(hash=False)


def selectors(texts: Iterable[str], source: str = "") -> tuple[Selector, ...]:
    """``name`` or ``name{label="value"}``, each once. Raises `ConfigError` in the name of ``source``."""
    found: dict[str, Selector] = {}
    for text in texts:
        try:
            if "\n" in text or "#" in text.partition("{")[0]:
                raise ValueError
            families = [
                sample for family in text_string_to_metric_families(f"{text.strip()} 1\n") for sample in family.samples
            ]
            (sample,) = families
            if sample.value != 1 or sample.timestamp is not None or not sample.name:
                raise ValueError
        except (ValueError, KeyError, IndexError):
            raise ConfigError(
                'expected the name of a series, such as open_sockets or open_sockets{channel="agent"}',
                source=source,
                value=text,
            ) from None
        found[text.strip()] = Selector(text.strip(), sample.name, dict(sample.labels))
    return tuple(found.values())


class Scrape:
    """One answer of an endpoint: `feed` keeps the lines of selected names, `values` parses and sums them."""

    def __init__(self, selected: Iterable[Selector], pace: Pace) -> None:
        self._selected = tuple(selected)
        self._prefixes = tuple(dict.fromkeys(selector.name.encode() for selector in self._selected))
        self._pace = pace
        self._rest = b""
        self._is_skipping = False
        self._lines: dict[bytes, list[bytes]] = {prefix: [] for prefix in self._prefixes}
        self.too_many: set[str] = set()
        """Names with more series than are parsed."""
        self.is_malformed = False
        """Whether a line of a selected name could not be read."""

    def feed(self, piece: bytes) -> None:
        """The next piece of the answer's body; does not switch."""
        with self._pace.spending():
            lines = (self._rest + piece).split(b"\n")
            self._rest = lines.pop()
            if self._is_skipping and lines:
                del lines[0]
                self._is_skipping = False
            if len(self._rest) > MAX_LINE_BYTES:
                self._rest, self._is_skipping = b"", True
            self._keep(lines)

    def _keep(self, lines: list[bytes]) -> None:
        prefixes = self._prefixes
        for line in lines:
            if line.startswith(prefixes):
                name = line.partition(b"{")[0].split(None, 1)[0]
                kept = self._lines.get(name)
                if kept is not None:
                    if len(kept) < MAX_SERIES:
                        kept.append(line)
                    else:
                        self.too_many.add(name.decode())

    def values(self, turn: Callable[[], object]) -> dict[Selector, float]:
        """The sum of each selector's series; absent: no series, too many, or one that is no finite number.

        ``turn`` is called after some lines each, for other greenlets to run.
        """
        if self._rest and not self._is_skipping:
            self._keep([self._rest])
            self._rest = b""
        sums: dict[Selector, float] = {}
        for name, lines in self._lines.items():
            if name.decode() in self.too_many:
                continue
            wanted = [selector for selector in self._selected if selector.name.encode() == name]
            for begin in range(0, len(lines), PARSED_AT_ONCE):
                with self._pace.spending():
                    self._parse(lines[begin : begin + PARSED_AT_ONCE], wanted, sums)
                turn()
        return {selector: value for selector, value in sums.items() if math.isfinite(value)}

    def _parse(self, lines: list[bytes], wanted: list[Selector], sums: dict[Selector, float]) -> None:
        for line in lines:
            try:
                text = line.decode() + "\n"
                for family in text_string_to_metric_families(text):
                    for sample in family.samples:
                        for selector in wanted:
                            if selector.labels.items() <= sample.labels.items():
                                sums[selector] = sums.get(selector, 0.0) + sample.value
            except (ValueError, KeyError, IndexError):
                self.is_malformed = True
                for selector in wanted:
                    sums[selector] = math.nan
