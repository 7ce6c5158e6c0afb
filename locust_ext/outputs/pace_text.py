"""The wanted rate beside the achieved one, and how late messages were sent, for people."""

from __future__ import annotations

from locust_ext.model import EMPTY, Snapshot
from locust_ext.outputs.text import ms_text


def pace_text(snapshot: Snapshot) -> str:
    """``2,000/s wanted, 1,998/s achieved (99.9 %); sent late by p50 …``; empty where no rate was wanted."""
    wanted, achieved = snapshot.run.target_rate_per_s, snapshot.achieved_rate_per_s
    if wanted is None:
        return ""
    text = f"{per_second(wanted)} wanted"
    if achieved is not None:
        share = f" ({100 * achieved / wanted:.1f} %)" if wanted else ""
        text += f", {per_second(achieved)} achieved{share}"
    lateness = EMPTY.plus(*(generator.lateness for generator in snapshot.generators))
    if lateness.count:
        p50, p99 = lateness.percentiles_us((50, 99))
        text += f"; sent after they were due: p50 {ms_text(p50)}, p99 {ms_text(p99)}, max {ms_text(lateness.max_us)}"
    return text


def per_second(rate: float) -> str:
    """``1,998/s``, small ones with decimals."""
    return f"{rate:,.0f}/s" if rate >= 100 else f"{rate:,.1f}/s" if rate >= 10 else f"{rate:.2f}/s"
