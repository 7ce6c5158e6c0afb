"""Counting what happened: exact, bounded, mergeable over processes; pure, time comes as an argument."""

from __future__ import annotations

from locust_ext.core.accounting.histogram import Histogram
from locust_ext.core.accounting.live import Traffic
from locust_ext.core.accounting.recorder import Recorder

__all__ = ["Histogram", "Recorder", "Traffic"]
