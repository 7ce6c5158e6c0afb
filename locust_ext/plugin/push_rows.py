"""Pushes in Locust's own table: a row for each event, of type ``PUSH``, without an event fired for each message.

Locust has no door for counts in bulk: its ``RequestStats.log_request`` takes one request a call and adds it to
"Aggregated", where pushes do not belong. So the row's entry is written to as Locust's own ``StatsEntry.log`` would write
it for so many requests without a response time. A worker's entries then reach the master in Locust's own reports.
"""

from __future__ import annotations

from locust.env import Environment

from time import time

from locust_ext.model import PUSH, Delta


class PushRows:
    """Of one environment with users: not of a master, whose rows are the sum of its workers' reports."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def add(self, delta: Delta) -> None:
        """Count the pushes that one drain took out; each drain once."""
        now_s = time()
        for push in delta.pushes:
            if not push.received:
                continue
            # Looked up each time: Locust puts new statistics in place at each start.
            entry = self._environment.stats.get(push.event, PUSH)
            entry.num_requests += push.received
            entry.num_none_requests += push.received
            entry.num_reqs_per_sec[int(now_s)] += push.received
            entry.last_request_timestamp = now_s
            entry.total_content_length += push.bytes_received
