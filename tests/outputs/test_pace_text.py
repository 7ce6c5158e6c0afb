"""The wanted rate beside the achieved one, in all places where people and programs look."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from locust_ext.core.accounting.histogram import Histogram
from locust_ext.model import EMPTY, GeneratorStats, OperationStats, RunInfo, Snapshot
from locust_ext.outputs.console import console
from locust_ext.outputs.live_line import live_line
from locust_ext.outputs.pace_text import pace_text, per_second
from locust_ext.outputs.read import read_summary
from locust_ext.outputs.summary_json import summary_json
from locust_ext.outputs.summary_md import summary_md


def distribution(*values_us: int) -> object:
    histogram = Histogram()
    for value_us in values_us:
        histogram.record(value_us)
    return histogram.freeze()


def run(wanted: float | None = 100.0) -> Snapshot:
    """10 s in which 950 messages, 20 connects and 3 drops ended."""
    operations = (
        OperationStats("CONNECT", "/ws", ok=20),
        OperationStats("DROP", "/ws", failed=3),
        OperationStats("GET", "/ctx", ok=50),
        OperationStats("SEND", "told", ok=400),
        OperationStats("WS", "ping", ok=490, timed_out=10),
    )
    return Snapshot(RunInfo(id="r", duration_s=10.0, target_rate_per_s=wanted), operations)


def test_the_achieved_rate_counts_messages_and_requests_and_no_connects() -> None:
    assert run().work_finished == 950
    assert run().achieved_rate_per_s == 95.0
    assert replace(run(), run=RunInfo()).achieved_rate_per_s is None


def test_the_time_in_which_users_only_finish_is_none_in_which_a_rate_was_wanted() -> None:
    stopped = replace(run(), run=replace(run().run, paced_s=9.5))
    assert pace_text(stopped) == "100/s wanted, 100/s achieved (100.0 %)"
    assert read_summary(summary_json(stopped)).achieved_rate_per_s == 100.0
    assert json.loads(summary_json(stopped))["run"]["paced_s"] == 9.5


def test_both_rates_and_the_lateness_of_the_generators_are_told() -> None:
    generator = GeneratorStats("", lateness=distribution(*[1000] * 98, 5000, 9000))  # type: ignore[arg-type]
    told = pace_text(replace(run(), generators=(generator,)))
    assert told == (
        "100/s wanted, 95.0/s achieved (95.0 %); sent after they were due: p50 1.00 ms, p99 5.01 ms, max 9.00 ms"
    )
    assert pace_text(run(90.0)) == "90.0/s wanted, 95.0/s achieved (105.6 %)"
    assert pace_text(run(0.0)) == "0.00/s wanted, 95.0/s achieved"
    assert pace_text(run(None)) == ""
    assert generator.lag == EMPTY


@pytest.mark.parametrize(("rate", "text"), [(2000.4, "2,000/s"), (99.5, "99.5/s"), (0.5, "0.50/s"), (0.0, "0.00/s")])
def test_a_rate_is_shown_with_three_digits_at_least(rate: float, text: str) -> None:
    assert per_second(rate) == text


def test_reports_show_it_where_a_rate_was_wanted_and_only_there() -> None:
    assert "Rate           100/s wanted, 95.0/s achieved" in console(run())
    assert "| Rate | 100/s wanted, 95.0/s achieved" in summary_md(run())
    assert "wanted" not in console(run(None)) + summary_md(run(None))


def test_the_line_of_a_run_that_goes_on_says_what_came_of_the_wanted_rate() -> None:
    before = replace(run(), run=RunInfo(id="r", duration_s=5.0), operations=())
    assert "190/s of 100/s wanted" in live_line(before, run())
    assert "wanted" not in live_line(before, run(None))


def test_summary_json_has_both_and_is_read_again() -> None:
    document = json.loads(summary_json(run()))
    assert (document["run"]["target_rate_per_s"], document["run"]["achieved_rate_per_s"]) == (100.0, 95.0)
    assert read_summary(summary_json(run())).run.target_rate_per_s == 100.0
    assert "target_rate_per_s" not in json.loads(summary_json(run(None)))["run"]
