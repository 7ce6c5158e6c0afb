"""Numbers and foreign names as text that is safe to show; shared by all outputs."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable
from typing import Final

from locust_ext.model import EMPTY, ComparedFigure, ConnectionStats, OperationStats, PushStats

PERCENTILES: Final = {"p50": 50.0, "p95": 95.0, "p99": 99.0, "p999": 99.9}
"""Key in reports -> per cent."""


def shown(text: str, width: int = 60) -> str:
    """`text` on one line without control, formatting or direction characters, at most `width` characters long."""
    safe = "".join("?" if unicodedata.category(char)[0] in "CZ" and char != " " else char for char in text[: width + 1])
    return safe if len(safe) <= width else safe[: width - 1] + "…"


def operation_text(operation: OperationStats) -> str:
    """`WS query [eu] [beta]`: type, name and tags, as everywhere; what came from outside is not yet made safe."""
    return " ".join([operation.type, operation.name, *(f"[{tag}]" for tag in operation.tags)])


_FORMULA: Final = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


def cell(text: str) -> str:
    """A foreign text as a spreadsheet's cell: nothing in it is a formula (OWASP, CSV injection)."""
    safe = shown(text, 300)
    return f"'{safe}" if safe.lstrip().startswith(_FORMULA) else safe


def uncelled(text: str) -> str:
    """What `cell` was given, if that was short and harmless to show."""
    return text[1:] if text.startswith("'") and text[1:].lstrip().startswith(_FORMULA) else text


def ms(microseconds: float) -> float:
    """Milliseconds, to the microsecond."""
    return round(microseconds / 1000, 3)


def ms_text(microseconds: float | None) -> str:
    """Milliseconds to three significant digits with their unit, or `-`."""
    if microseconds is None:
        return "-"
    milliseconds = microseconds / 1000
    digits = 0 if milliseconds >= 100 else 1 if milliseconds >= 10 else 2
    return f"{milliseconds:,.{digits}f} ms"


def count_text(count: int, noun: str = "", plural: str = "") -> str:
    """`1,234 connections`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}" if noun else f"{count:,}"


def percent_text(part: int, whole: int) -> str:
    """A share in per cent to two significant digits; never `0 %` of something nor `100 %` of less than all."""
    percent = 100 * part / whole
    if part in (0, whole):
        return f"{percent:.0f} %"
    rest = float(f"{min(percent, 100 - percent):.1e}")
    return f"{percent:.{max(0, 1 - math.floor(math.log10(rest)))}f} %"


def fan_out_text(pushes: Iterable[PushStats]) -> str:
    """How many of the deliveries that fan-outs should have made were made, and how far apart; empty: none is known."""
    known = [push for push in pushes if push.expected]
    expected = sum(push.expected or 0 for push in known)
    if not expected:
        return ""
    reached = sum(push.reached or 0 for push in known)
    told = [f"{reached:,} of {count_text(expected, 'delivery', 'deliveries')} ({percent_text(reached, expected)})"]
    if reached < expected:
        told.append(f"{expected - reached:,} never came")
    spread = EMPTY.plus(*(push.spread for push in known if push.spread is not None))
    if spread.count:
        told.append(f"first to last p95 {ms_text(spread.percentile_us(95))}")
    return ", ".join(told)


def rate_text(count: int, seconds: float) -> str:
    """`12.3/s`; empty where no time has passed."""
    if seconds <= 0:
        return ""
    rate = count / seconds
    return f"{rate:,.0f}/s" if rate >= 100 else f"{rate:.1f}/s"


def change_text(figure: ComparedFigure) -> str:
    """`+12 %`; a difference of error rates in percentage points."""
    if figure.before is None or figure.after is None:
        return "-"
    if figure.figure == "error_rate":
        return f"{100 * (figure.after - figure.before):+.2g} points"
    return f"{100 * (figure.after / figure.before - 1):+.0f} %" if figure.before else "-"


def recovery_text(connections: ConnectionStats) -> str:
    """How soon connections that were lost, or refused by the first host, were open, and how many elsewhere; else empty."""
    time = connections.recovery
    if not time.count:
        return ""
    p50, p95 = time.percentiles_us((50, 95))
    failovers = f", {connections.failovers:,} of them on another host" if connections.failovers else ""
    return (
        f"{count_text(time.count, 'connection')}{failovers}: p50 {ms_text(p50)}, p95 {ms_text(p95)}, "
        f"max {ms_text(time.max_us)}"
    )
