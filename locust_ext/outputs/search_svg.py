"""`limit.svg`: the steps of a search for the limit as a picture, p95 against users, in the reader's light or dark mode."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from locust_ext.model import LimitSearch, LoadStep, Snapshot
from locust_ext.model.search import BAD, CONFIRM, GOOD
from locust_ext.outputs.search_axes import Axis, axis_of
from locust_ext.outputs.search_chart import by_users, p95_limit_us
from locust_ext.outputs.search_table import outcome_text, remarks
from locust_ext.outputs.search_text import answer, criteria_text, per_s_text, search_of, short_ms
from locust_ext.outputs.text import count_text, shown

WIDTH: Final = 760
HEIGHT: Final = 440
_LEFT, _RIGHT, _BOTTOM = 74, 22, 78
_TITLE_COLUMNS: Final = 80
_LABELS: Final = 34
"""Pixels above the plot for two lines of labels: within it they would hide steps."""
_LINE: Final = 17
"""Pixels from a line of text to the next."""

_STYLE: Final = """
  :root { color-scheme: light dark; }
  .back { fill: #ffffff; } .text { fill: #1f2328; } .faint { fill: #59636e; }
  .grid { stroke: #e4e8ec; } .axis { stroke: #8c959f; } .path { stroke: #afb8c1; fill: none; }
  .good { fill: #1a7f37; stroke: #1a7f37; } .bad { fill: none; stroke: #cf222e; }
  .ring { fill: none; stroke: #1a7f37; } .none { fill: #ffffff; stroke: #6e7781; }
  .limit { stroke: #9a6700; } .limit-text { fill: #9a6700; } .good-text { fill: #1a7f37; } .bad-text { fill: #cf222e; }
  .halo { stroke: #ffffff; stroke-width: 4px; paint-order: stroke; stroke-linejoin: round; }
  @media (prefers-color-scheme: dark) {
    .back { fill: #0d1117; } .text { fill: #e6edf3; } .faint { fill: #9198a1; }
    .grid { stroke: #21262d; } .axis { stroke: #656c76; } .path { stroke: #3d444d; }
    .good { fill: #3fb950; stroke: #3fb950; } .bad { stroke: #f85149; }
    .ring { stroke: #3fb950; } .none { fill: #0d1117; stroke: #9198a1; }
    .limit { stroke: #d29922; } .limit-text { fill: #d29922; } .good-text { fill: #3fb950; } .bad-text { fill: #f85149; }
    .halo { stroke: #0d1117; }
  }
"""


def limit_svg(snapshot: Snapshot) -> str:
    """The picture; empty where the run was no search, or no step of it was measured.

    A step without an answer has no p95: it stands on the line of users. Each step tells its figures when pointed at.
    """
    search = search_of(snapshot)
    steps = [] if search is None else by_users(search)
    if search is None or not steps:
        return ""
    title = textwrap.wrap(answer(search), _TITLE_COLUMNS) or [""]
    top = 30 + _LINE * len(title) + _LINE + _LABELS
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
            f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-family="system-ui, sans-serif" font-size="12">',
            f"<title>{_safe(' '.join(title))}</title>",
            f"<style>{_STYLE}</style>",
            f'<rect class="back" width="{WIDTH}" height="{HEIGHT}"/>',
            *_head(snapshot, search, title),
            *_Plot.of(search, steps, top).lines(),
            *_legend(),
            "</svg>",
            "",
        ]
    )


def _safe(text: str) -> str:
    return escape(shown(text, 1000), {'"': "&quot;", "'": "&#39;"})


def _text(x: float, y: float, text: str, style: str = "text", anchor: str = "start", more: str = "") -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{_safe(text)}</text>'


def _head(snapshot: Snapshot, search: LimitSearch, title: Sequence[str]) -> Iterator[str]:
    for number, line in enumerate(title):
        yield _text(16, 27 + _LINE * number, line, more=' font-size="14" font-weight="600"')
    facts = [shown(snapshot.run.scenario or "", 40), criteria_text(search) and f"breaks if {criteria_text(search)}"]
    line = shown(" · ".join(fact for fact in facts if fact), 105)
    yield _text(16, 27 + _LINE * len(title), line, "faint")


def _legend() -> Iterator[str]:
    y, x = HEIGHT - 16, _LEFT
    for mark, text, width in (
        (_good(x + 6, y - 4), "good", 62),
        (_ring(x + 68, y - 4), "confirmed", 94),
        (_bad(x + 162, y - 4), "breaks", 72),
        (_none(x + 234, y - 4), "says nothing (the generator was the limit, cut short, no data)", 0),
    ):
        yield mark
        yield _text(x + 18, y, text, "faint")
        x += width


def _good(x: float, y: float) -> str:
    return f'<circle class="good" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>'


def _ring(x: float, y: float) -> str:
    return f'{_good(x, y)}<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="8" stroke-width="1.5"/>'


def _bad(x: float, y: float) -> str:
    return f'<path class="bad" stroke-width="2.5" d="M{x - 5:.1f} {y - 5:.1f}l10 10m0 -10l-10 10"/>'


def _none(x: float, y: float) -> str:
    return f'<path class="none" stroke-width="1.5" d="M{x:.1f} {y - 6:.1f}l6 10h-12z"/>'


@dataclass(frozen=True, slots=True)
class _Plot:
    """Axes, lines and marks; coordinates in pixels."""

    search: LimitSearch
    steps: Sequence[LoadStep]
    limit_us: float | None
    users: Axis
    latency: Axis
    top: float

    @classmethod
    def of(cls, search: LimitSearch, steps: Sequence[LoadStep], top: float) -> _Plot:
        limit_us = p95_limit_us(search)
        known = [step.p95_us / 1000 for step in steps if step.p95_us]
        known += [limit_us / 1000] if limit_us else []
        bottom = HEIGHT - _BOTTOM
        return cls(
            search,
            steps,
            limit_us,
            axis_of([float(step.users) for step in steps], _LEFT, WIDTH - _RIGHT, whole=True),
            axis_of(known, bottom, top, may_be_logarithmic=True),
            top,
        )

    def lines(self) -> Iterator[str]:
        yield from self._axes()
        yield from self._levels()
        way = " ".join(
            f"{self.users.place(step.users):.1f},{self._y(step):.1f}"
            for step in self.steps
            if step.p95_us is not None and step.outcome in (GOOD, BAD)
        )
        yield f'<polyline class="path" stroke-width="1.5" points="{way}"/>'
        for step in self.steps:
            yield f"<g><title>{_safe(self._told(step))}</title>{self._mark(step)}</g>"

    def _y(self, step: LoadStep) -> float:
        return self.latency.from_px if step.p95_us is None else self.latency.place(step.p95_us / 1000)

    def _mark(self, step: LoadStep) -> str:
        x, y = self.users.place(step.users), self._y(step)
        if step.outcome == GOOD:
            return _ring(x, y) if step.kind == CONFIRM else _good(x, y)
        return _bad(x, y) if step.outcome == BAD else _none(x, y)

    def _told(self, step: LoadStep) -> str:
        p95 = "nothing was answered" if step.p95_us is None else f"p95 {short_ms(step.p95_us)}"
        rate = f"{per_s_text(step.per_s)} {self.search.unit}/s"
        said = "; ".join([outcome_text(step), *remarks(step)])
        return f"{step.kind}: {count_text(step.users, 'user')}, {rate}, {p95}: {said}"

    def _axes(self) -> Iterator[str]:
        left, right, bottom = self.users.from_px, self.users.to_px, self.latency.from_px
        for value, text in self.latency.ticks:
            y = self.latency.place(value)
            yield f'<path class="grid" d="M{left:.1f} {y:.1f}H{right:.1f}"/>'
            yield _text(left - 8, y + 4, text, "faint", "end")
        for value, text in self.users.ticks:
            x = self.users.place(value)
            yield f'<path class="grid" d="M{x:.1f} {self.top:.1f}V{bottom:.1f}"/>'
            yield _text(x, bottom + 18, text, "faint", "middle")
        yield f'<path class="axis" fill="none" d="M{left:.1f} {self.top:.1f}V{bottom:.1f}H{right:.1f}"/>'
        yield _text((left + right) / 2, bottom + 36, "users", anchor="middle")
        middle = (self.top + bottom) / 2
        scale = ", logarithmic" if self.latency.is_log else ""
        turned = f' transform="rotate(-90 18 {middle:.1f})"'
        yield _text(18, middle, f"p95, milliseconds{scale}", anchor="middle", more=turned)

    def _levels(self) -> Iterator[str]:
        """What was allowed, what was sustained, and where it broke."""
        left, right, bottom = self.users.from_px, self.users.to_px, self.latency.from_px
        good, bad = self.search.sustained, self.search.breaks_at
        if self.limit_us is not None:
            y = self.latency.place(self.limit_us / 1000)
            yield f'<path class="limit" stroke-width="1.5" stroke-dasharray="6 4" d="M{left:.1f} {y:.1f}H{right:.1f}"/>'
            yield _text(left + 6, y - 6, f"limit {short_ms(self.limit_us)}", "limit-text halo")
        for step, style, said, row in ((good, "ring", "sustained", 1), (bad, "bad", "breaks", 0)):
            if step is not None:
                x, y = self.users.place(step.users), self.top - 5 - 14 * row
                yield (
                    f'<path class="{style}" stroke-width="1.5" stroke-dasharray="2 3" d="M{x:.1f} {y + 3:.1f}V{bottom:.1f}"/>'
                )
                # The one ends at its line, the other begins there, unless the border is near.
                ends = x - left > 100 if row else right - x < 80
                colour = f"{'good' if row else 'bad'}-text"
                yield _text(x + 4, y, f"{said} {step.users:,}", colour, "end" if ends else "start")
