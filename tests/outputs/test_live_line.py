"""The line of live figures, and the table of what the generators used."""

from __future__ import annotations

from dataclasses import replace

from locust_ext.core.accounting import Recorder
from locust_ext.core.accounting.histogram import Histogram
from locust_ext.model import Alert, Snapshot
from locust_ext.outputs import REPORTS
from locust_ext.outputs.advice import advice
from locust_ext.outputs.live_line import live_line


def recorder() -> Recorder:
    made = Recorder()
    made.begin("r", 0.0)
    made.connection_state(None, "open")
    return made


def test_it_tells_what_happened_since_the_line_before() -> None:
    told = recorder()
    for _ in range(100):
        told.operation("WS", "ask", 500_000, 1)
    before = told.snapshot(10.0)
    for _ in range(95):
        told.operation("WS", "ask", 200, 1)
    for _ in range(5):
        told.operation("WS", "ask", None, 0, "timed_out")
    told.traffic.messages_sent, told.traffic.messages_received = 100, 95
    assert live_line(before, told.snapshot(20.0)) == (
        "20 s; 1 open; 10.0/s finished; messages 10.0/s sent, 9.5/s received; round trips p50 0.20 ms, p99 0.20 ms; "
        "5 failures (5.0 %)"
    )


def test_the_states_that_last_are_told_and_those_that_pass_are_not() -> None:
    told = recorder()
    for state in ("open", "waiting", "waiting", "failed", "idle", "connecting", "closed"):
        told.connection_state(None, state)
    assert (
        live_line(Snapshot(), told.snapshot(5.0))
        == "5 s; 2 open, 2 waiting, 1 failed, 1 idle; 0.0/s finished; no failure"
    )


def test_after_a_reset_it_tells_what_happened_since_then() -> None:
    told = recorder()
    for _ in range(100):
        told.operation("WS", "ask", 500_000, 1)
    before = told.snapshot(10.0)
    told.reset(15.0)
    told.operation("WS", "ask", 3000, 1)
    assert live_line(before, told.snapshot(20.0)) == (
        "5 s; 1 open; 0.2/s finished; round trips p50 3.00 ms, p99 3.00 ms; no failure"
    )


def test_a_run_that_warms_up_says_so() -> None:
    told = Recorder()
    told.begin("r", 0.0, 30.0)
    told.operation("WS", "ask", 3000, 1)
    assert live_line(Snapshot(), told.snapshot(4.0)) == "warming up, 4 s; 1 operation finished, not counted"


def slow() -> Snapshot:
    told = recorder()
    lag = Histogram()
    lag.record(80_000)
    for start_s in range(5):
        told.sent_late(700)
        told.generator_period(start_s, 1.0, 950_000, lag.freeze())
    told.operation("WS", "ask", 3000, 1)
    told.end(5.0)
    return told.snapshot(5.0)


def test_a_generator_that_was_the_bottleneck_is_told_in_every_report() -> None:
    snapshot = slow()
    assert live_line(Snapshot(), snapshot).endswith("; not valid")
    assert REPORTS["resources.csv"](snapshot).splitlines()[:2] == [
        "side,source,at_s,start_s,length_s,cpu_percent,memory_bytes,memory_percent,descriptors,descriptors_percent,"
        "threads,processes,greenlets,loop_lag_p99_ms,loop_lag_max_ms,sent_bytes_per_second,received_bytes_per_second,"
        "ports_left,context_keys,connected_clients,send_lateness_p99_ms,over_limit",
        "generator,,,0,1.0,95,,,,,,,,80,80,,,,,,0.7,1",
    ]
    sentence = advice(snapshot)[0]
    assert "(--processes), more machines, or fewer users" in sentence
    assert "Look at: the load generator was too slow" in REPORTS["summary.md"](snapshot)
    assert [line.split(",")[-2] for line in REPORTS["timeline.csv"](snapshot).splitlines()[1:]] == ["0"] * 5


def test_a_workers_name_is_no_formula() -> None:
    snapshot = slow()
    named = replace(snapshot, generators=tuple(replace(each, worker="=1+1") for each in snapshot.generators))
    assert REPORTS["resources.csv"](named).splitlines()[1].startswith("generator,'=1+1,")


def test_alerts_that_fire_are_counted_in_the_live_line() -> None:
    states = ("firing", "acknowledged", "resolved", "pending")
    alerts = tuple(
        Alert(number, "p95", "latency", "critical", state, "", 9.0, 9.0, "> 5 ms", 1.0)
        for number, state in enumerate(states)
    )
    assert "; 2 alerts firing" in live_line(Snapshot(), Snapshot(alerts=alerts))
