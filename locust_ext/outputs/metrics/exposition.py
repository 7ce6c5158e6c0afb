"""Metric families as text, in pieces: prometheus-client writes each part of a family, and a part tells its HELP once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

OPENMETRICS: Final = "application/openmetrics-text"
_END: Final = b"# EOF\n"


class _One(Collector):
    """A registry with one part of a family in it."""

    def __init__(self, part: Metric) -> None:
        self._part = part

    def collect(self) -> Iterable[Metric]:
        return (self._part,)


def content_type(accept: str) -> str:
    """What a reader gets that sends this ``Accept`` header."""
    return choose_encoder(accept)[1]


def is_openmetrics(accept: str) -> bool:
    """Whether that is OpenMetrics; all other answers are Prometheus' text format, the same text for every reader."""
    return content_type(accept).startswith(OPENMETRICS)


def pieces(parts: Iterable[Metric | None], *, openmetrics: bool) -> Iterator[bytes]:
    """The text, a piece for each part; an empty piece for None. Parts of a family follow one another."""
    encode, _ = choose_encoder(OPENMETRICS if openmetrics else "")
    before = ""
    for part in parts:
        if part is None:
            yield b""
            continue
        text = encode(_One(part)).removesuffix(_END)
        if part.name == before:
            while text.startswith(b"# "):
                text = text.partition(b"\n")[2]
        before = part.name
        yield text
    if openmetrics:
        yield _END
