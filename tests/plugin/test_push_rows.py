"""Pushes in Locust's own table."""

from __future__ import annotations

from locust.env import Environment
from locust.event import Events
from locust.stats import setup_distributed_stats_event_listeners

from typing import Any

from locust_ext.model import Delta, PushStats
from locust_ext.plugin.push_rows import PushRows


def drained(**events: int) -> Delta:
    return Delta("r", "w", 0, pushes=tuple(PushStats(event, count, 10 * count) for event, count in events.items()))


def test_a_drain_counts_its_pushes_without_response_time_and_outside_aggregated() -> None:
    environment = Environment(events=Events())
    rows = PushRows(environment)
    rows.add(drained(news=3, beat=1))
    rows.add(drained(news=4, silence=0))
    entry = environment.stats.get("news", "PUSH")
    assert (entry.num_requests, entry.num_none_requests, entry.num_failures) == (7, 7, 0)
    assert (entry.total_content_length, entry.avg_response_time, entry.response_times) == (70, 0.0, {})
    assert entry.get_response_time_percentile(0.95) == 0
    assert sum(entry.num_reqs_per_sec.values()) == 7
    assert environment.stats.total.num_requests == 0
    assert set(environment.stats.entries) == {("news", "PUSH"), ("beat", "PUSH")}


def test_a_row_is_found_anew_after_locust_has_reset_or_replaced_its_statistics() -> None:
    environment = Environment(events=Events())
    rows = PushRows(environment)
    rows.add(drained(news=3))
    environment.stats.reset_all()
    rows.add(drained(news=2))
    assert environment.stats.get("news", "PUSH").num_requests == 2
    environment.stats.clear_all()
    rows.add(drained(news=5))
    assert environment.stats.get("news", "PUSH").num_requests == 5


def test_workers_rows_reach_the_master_once_in_locusts_own_reports() -> None:
    master = Environment(events=Events())
    setup_distributed_stats_event_listeners(master.events, master.stats)
    for _ in range(2):
        worker = Environment(events=Events())
        setup_distributed_stats_event_listeners(worker.events, worker.stats)
        rows = PushRows(worker)
        for count in (2, 3):
            rows.add(drained(news=count))
            data: dict[str, Any] = {}
            worker.events.report_to_master.fire(client_id="w", data=data)
            master.events.worker_report.fire(client_id="w", data=data)
    entry = master.stats.get("news", "PUSH")
    assert (entry.num_requests, entry.num_none_requests) == (10, 10)
    assert master.stats.total.num_requests == 0
