"""What one process counts: the ledger at every moment, latencies, names, connections, a new run."""

from __future__ import annotations

import gc
import tracemalloc
from collections import Counter

import pytest
from hypothesis import given, settings, strategies as st

from locust_ext.core.accounting import Recorder
from locust_ext.model import OperationStats, PushStats, Snapshot
from tests.core.accounting.streams import Event, Key, events, finished, others, perform


def recording(run_id: str = "r") -> Recorder:
    recorder = Recorder()
    recorder.begin(run_id, 10.0)
    return recorder


def only(snapshot: Snapshot) -> OperationStats:
    (operation,) = snapshot.operations
    return operation


def test_an_operation_is_in_flight_from_its_start_to_its_end() -> None:
    recorder = recording()
    recorder.started("WS", "ping")
    recorder.started("WS", "ping")
    assert (only(recorder.snapshot(11.0)).started, only(recorder.snapshot(11.0)).in_flight) == (2, 2)
    recorder.operation("WS", "ping", 1500, 10, was_started=True)
    stats = only(recorder.snapshot(11.0))
    assert (stats.started, stats.ok, stats.in_flight, stats.bytes_received) == (2, 1, 1, 10)
    assert stats.latency.sum_us == 1500


@pytest.mark.parametrize(
    ("outcome", "error_class", "column", "counted_class", "is_latency"),
    [
        ("ok", None, "ok", None, True),
        ("failed", "error_reply", "failed", "error_reply", True),
        ("failed", "check_failed", "failed", "check_failed", True),
        ("failed", "http_503", "failed", "http_503", True),
        ("failed", "protocol", "failed", "protocol", False),
        ("failed", None, "failed", "unknown", False),
        ("timed_out", "timeout", "timed_out", "timeout", False),
        ("timed_out", "connect_timeout", "timed_out", "connect_timeout", False),
        ("timed_out", None, "timed_out", "timeout", False),
        ("lost", "closed_1006", "lost", "closed_1006", False),
        ("lost", None, "lost", "lost", False),
        ("lost", "http_503", "lost", "http_503", False),
    ],
)
def test_only_what_was_answered_is_a_latency(
    outcome: str, error_class: str | None, column: str, counted_class: str | None, is_latency: bool
) -> None:
    recorder = recording()
    recorder.operation("WS", "q", 2000, 0, outcome, error_class, 1000)
    stats = only(recorder.snapshot(11.0))
    assert getattr(stats, column) == stats.started == stats.finished == 1
    assert stats.errors == ({} if counted_class is None else {counted_class: 1})
    assert stats.latency.count == is_latency
    assert (stats.service is not None) == is_latency


def test_an_operation_without_a_time_counts_and_is_no_latency() -> None:
    recorder = recording()
    recorder.operation("SEND", "event", None, 0)
    assert (only(recorder.snapshot(11.0)).ok, only(recorder.snapshot(11.0)).latency.count) == (1, 0)


def test_cancelled_is_neither_success_nor_failure() -> None:
    recorder = recording()
    recorder.started("WS", "q")
    recorder.cancelled("WS", "q")
    recorder.cancelled("WS", "q", was_started=False)
    stats = only(recorder.snapshot(11.0))
    assert (stats.started, stats.cancelled, stats.in_flight, stats.finished) == (2, 2, 0, 0)


def test_late_duplicate_and_unmatched_arrivals_stand_beside_the_ledger() -> None:
    recorder = recording()
    recorder.late("WS", "q")
    recorder.duplicate("WS", "q")
    recorder.unmatched("WS", "q")
    stats = only(recorder.snapshot(11.0))
    assert (stats.started, stats.late, stats.duplicate, stats.unmatched) == (0, 1, 1, 1)


def test_an_operation_in_flight_may_end_under_another_name() -> None:
    recorder = recording()
    recorder.started("GET", "/item/7")
    recorder.renamed("GET", "/item/7", "/item/[id]")
    recorder.operation("GET", "/item/[id]", 5, 0, was_started=True)
    stats = only(recorder.snapshot(11.0))
    assert (stats.name, stats.started, stats.in_flight) == ("/item/[id]", 1, 0)


def test_an_operation_that_did_not_begin_after_all_leaves_nothing() -> None:
    recorder = recording()
    recorder.started("WS", "ask", ("a",))
    assert only(recorder.snapshot(11.0)).in_flight == 1
    recorder.withdrawn("WS", "ask", ("a",))
    recorder.withdrawn("WS", "ask", ("a",))
    assert recorder.snapshot(11.0).operations == ()


def test_an_end_without_a_start_counts_as_started_and_never_makes_the_gauge_negative() -> None:
    recorder = recording()
    recorder.operation("WS", "q", 5, 0, was_started=True)
    assert (only(recorder.snapshot(11.0)).started, only(recorder.snapshot(11.0)).in_flight) == (1, 0)


@settings(deadline=None)
@given(events, st.lists(st.integers(0, 60), max_size=5))
def test_the_ledger_balances_at_every_moment_whenever_it_is_drained(stream: list[Event], drains: list[int]) -> None:
    """`started` is compared with a count of its own: begun and still going, plus every end."""
    recorder = recording()
    in_flight: Counter[Key] = Counter()
    started: Counter[Key] = Counter()
    for number, event in enumerate(stream):
        ended_before = in_flight[event.key]
        perform(recorder, event, in_flight)
        if event.what == "started" or (
            event.what in ("end", "operation", "cancel") and in_flight[event.key] == ended_before
        ):
            started[event.key] += 1
        if number in drains:
            recorder.merge(recorder.drain(10.0 + number))
        for stats in recorder.snapshot(12.0).operations:
            key = (stats.type, stats.name, stats.tags)
            ends = stats.ok + stats.failed + stats.timed_out + stats.lost + stats.cancelled
            assert stats.in_flight == in_flight[key]
            assert stats.started == started[key] == ends + stats.in_flight
            assert sum(stats.errors.values()) == stats.failures


@settings(deadline=None)
@given(st.lists(st.one_of(finished, others), max_size=40))
def test_a_snapshot_does_not_change_afterwards(stream: list[Event]) -> None:
    recorder = recording()
    in_flight: Counter[Key] = Counter()
    taken = []
    for event in stream:
        perform(recorder, event, in_flight)
        snapshot = recorder.snapshot(12.0)
        taken.append((snapshot, repr(snapshot)))
        if len(taken) % 7 == 0:
            recorder.merge(recorder.drain(12.0))
    assert all(repr(snapshot) == text for snapshot, text in taken)


def test_a_new_run_starts_at_zero_but_for_what_is_in_flight() -> None:
    recorder = recording("first")
    recorder.started("WS", "q")
    recorder.operation("WS", "q", 5, 5)
    recorder.push("news", 5)
    recorder.traffic.messages_sent += 3
    recorder.connection_state(None, "open")
    recorder.connection_state(None, "open")
    recorder.connection_state("open", "closed")
    recorder.describe(users=5, host="http://h")
    recorder.mark_invalid("something")
    traffic = recorder.traffic
    recorder.begin("second", 20.0)
    snapshot = recorder.snapshot(21.5)
    assert (snapshot.run.id, snapshot.run.duration_s, snapshot.run.users, snapshot.run.host) == (
        "second",
        1.5,
        None,
        None,
    )
    assert snapshot.run.valid
    assert (only(snapshot).started, only(snapshot).in_flight, only(snapshot).ok) == (1, 1, 0)
    assert snapshot.pushes == ()
    assert snapshot.traffic.messages_sent == 0
    assert snapshot.connections.states == {"open": 1, "closed": 1}
    assert snapshot.connections.peak_open == 1
    assert recorder.traffic is traffic


def test_reset_is_a_new_beginning_within_the_run() -> None:
    recorder = recording()
    recorder.describe(users=7)
    recorder.started("WS", "q")
    recorder.operation("WS", "q", 5, 5)
    recorder.merge(recorder.drain(11.0))
    recorder.operation("WS", "q", 5, 5)
    recorder.reset(12.0)
    snapshot = recorder.snapshot(13.0)
    assert (snapshot.run.id, snapshot.run.users, snapshot.run.duration_s) == ("r", 7, 1.0)
    assert (only(snapshot).started, only(snapshot).in_flight) == (1, 1)
    assert recorder.drain(13.0).seq == 1


def test_duration_stands_still_after_the_end_and_the_run_is_complete() -> None:
    recorder = recording()
    assert not recorder.snapshot(11.0).run.complete
    recorder.end(14.0)
    assert recorder.snapshot(99.0).run.duration_s == 4.0
    assert recorder.snapshot(99.0).run.complete


def test_a_recorder_that_never_began_still_counts() -> None:
    recorder = Recorder()
    recorder.operation("WS", "q", 5, 5)
    assert recorder.snapshot(5.0).run.duration_s == 0.0
    assert only(recorder.snapshot(5.0)).ok == 1
    assert recorder.drain(5.0).to_s is None


def test_connections_are_counted_by_state_with_the_most_open_at_once() -> None:
    recorder = recording()
    for _ in range(3):
        recorder.connection_state(None, "connecting")
    recorder.connection_state("connecting", "open")
    recorder.connection_state("connecting", "open")
    recorder.connection_state("open", "waiting")
    recorder.connection_state("waiting", None)
    recorder.reconnected()
    recorder.closed_in_order()
    recorder.inbox_dropped()
    connections = recorder.snapshot(11.0).connections
    assert connections.states == {"connecting": 1, "open": 1}
    assert (connections.peak_open, connections.reconnects, connections.closed_in_order) == (2, 1, 1)
    assert connections.inbox_dropped == 1
    assert recorder.drain(11.0).connections == connections
    # The peak since that drain is what is open now; the run's stays.
    drained = recorder.drain(12.0).connections
    assert drained is not None
    assert drained.peak_open == 1
    assert recorder.snapshot(12.0).connections.peak_open == 2


def test_pushes_and_fan_outs_are_counted_by_event() -> None:
    recorder = recording()
    recorder.push("set", 100, 1500)
    recorder.push("set", 50)
    recorder.push("clear", 1)
    recorder.fan_out("set", expected=10, reached=9, spread_us=700)
    clear, changed = recorder.snapshot(11.0).pushes
    assert clear == PushStats("clear", 1, 1)
    assert (changed.received, changed.bytes_received, changed.expected, changed.reached) == (2, 150, 10, 9)
    assert changed.lag is not None
    assert changed.lag.sum_us == 1500
    assert changed.spread is not None
    assert changed.spread.max_us == 700
    recorder.merge(recorder.drain())
    assert recorder.snapshot(11.0).pushes == (clear, changed)


def test_a_name_with_an_id_in_it_is_capped_with_one_warning() -> None:
    warnings: list[str] = []
    recorder = Recorder(max_names=500, on_warning=warnings.append)
    recorder.begin("r", 0.0)
    for number in range(20_000):
        recorder.operation("GET", f"/item/{number}", 100, 1)
        recorder.push(f"event {number}", 1)
        if number % 5000 == 0:
            recorder.merge(recorder.drain(1.0))
    recorder.operation("WS", "one more", 100, 1)
    snapshot = recorder.snapshot(1.0)
    assert len(snapshot.operations) == 502
    assert sum(stats.ok for stats in snapshot.operations) == 20_001
    assert {stats.name: stats.ok for stats in snapshot.operations if stats.type == "GET"}["__other__"] == 19_500
    assert [stats.name for stats in snapshot.of_type("WS")] == ["__other__"]
    assert len(snapshot.pushes) == 501
    assert snapshot.pushes_received == 20_000
    assert len(warnings) == 1
    assert "more than 500 distinct names" in warnings[0]
    assert "name=" in warnings[0]
    # Nothing grows with the number of names.
    assert len(recorder._by_raw_key) + len(recorder._names._known) < 2500


def test_types_tags_and_lengths_are_bounded_too() -> None:
    recorder = recording()
    for number in range(1000):
        recorder.operation(f"T{number}", "x" * 5000 + str(number), 1, 1, tags=tuple("abcdefghijklmnopqrstuvwxyz"))
        recorder.operation("WS", "q", None, 0, "failed", f"http_{number}")
    snapshot = recorder.snapshot(11.0)
    assert len({stats.type for stats in snapshot.operations}) == 101
    assert max(len(stats.name) for stats in snapshot.operations) == 300
    assert max(len(stats.tags) for stats in snapshot.operations) == 16
    (asked,) = snapshot.of_type("WS")
    assert (len(asked.errors), sum(asked.errors.values())) == (101, 1000)


def test_the_same_tags_in_any_order_and_number_are_one_operation_with_what_is_in_flight() -> None:
    recorder = recording()
    recorder.started("WS", "q", ("b", "a"))
    recorder.operation("WS", "q", 5, 1, tags=("a", "b"))
    recorder.operation("WS", "q", 5, 1, tags=("b", "a", "b"), was_started=True)
    recorder.cancelled("WS", "q", ("b", "a"), was_started=False)
    (stats,) = recorder.snapshot(11.0).operations
    assert (stats.tags, stats.ok, stats.cancelled, stats.in_flight) == (("a", "b"), 2, 1, 0)
    assert recorder._by_raw_key["WS", "q", ("b", "a")] is recorder._by_raw_key["WS", "q", ("a", "b")], "once each"


def test_a_master_warns_once_for_all_workers_that_have_too_many_names_and_they_do_not() -> None:
    said: dict[str, list[str]] = {"w0": [], "w1": [], "": []}
    master = Recorder(max_names=10, on_warning=said[""].append)
    master.begin("r", 0.0)
    for worker in ("w0", "w1"):
        recorder = Recorder(max_names=10, on_warning=said[worker].append, worker=worker)
        recorder.leave_warnings_to_the_master()
        recorder.begin("r", 0.0)
        for second in (1.0, 2.0):
            for number in range(30):
                recorder.operation("GET", f"/item/{number}", 100, 1)
            assert master.merge(recorder.drain(second))
    assert [len(said[who]) for who in ("w0", "w1", "")] == [0, 0, 1]
    assert "more than 10 distinct names" in said[""][0]
    assert {each.name: each.ok for each in master.snapshot(3.0).operations}["__other__"] == 80


def test_a_master_keeps_room_for_names_that_a_full_worker_did_not_have() -> None:
    master, worker = Recorder(max_names=3), Recorder(max_names=3, worker="w")
    for recorder in (master, worker):
        recorder.begin("r", 0.0)
    for name in "abc":
        worker.operation("GET", name, 1, 1)
    worker.drain()  # on its way
    worker.operation("GET", "d", 1, 1)
    master.merge(worker.drain())
    master.operation("GET", "e", 1, 1)
    assert [each.name for each in master.snapshot(1.0).operations] == ["__other__", "e"]


def test_names_that_no_encoding_takes_are_made_into_text() -> None:
    recorder = recording()
    recorder.operation("GET", "a\ud800b", 1, 1)
    recorder.operation("GET", None, 1, 1)  # type: ignore[arg-type]
    assert [stats.name for stats in recorder.snapshot(11.0).operations] == ["None", "a?b"]


def test_a_host_is_told_without_its_secrets() -> None:
    recorder = recording()
    recorder.describe(host="wss://user:pa@ss@h.example:8443/ws?token=abc#x", scenario="s", seed=3, started_at="t")
    recorder.describe(users=5, versions={"locust": "2"})
    recorder.describe(users=3, versions={"gevent": "3"})
    run = recorder.snapshot(11.0).run
    assert run.host == "wss://h.example:8443/ws"
    assert (run.scenario, run.seed, run.started_at, run.users) == ("s", 3, "t", 5)
    assert run.versions == {"locust": "2", "gevent": "3"}


def test_reasons_against_the_run_are_named_once_each() -> None:
    recorder = recording()
    recorder.mark_invalid("the generator was the bottleneck")
    recorder.mark_invalid("the generator was the bottleneck")
    assert recorder.snapshot(11.0).run.invalid_because == ("the generator was the bottleneck",)
    assert not recorder.snapshot(11.0).run.valid


@pytest.mark.parametrize("max_names", [500, 1000], ids=["beyond the cap", "below the cap"])
def test_memory_is_flat_over_samples_of_600_names_once_the_buckets_are_there(max_names: int) -> None:
    """`benchmarks.recorder` does the same with ten million samples."""
    recorder = Recorder(max_names=max_names)
    recorder.begin("r", 0.0)

    def a_few_seconds(start: int) -> None:
        for second in range(start, start + 3):
            for name in range(600):
                for sample in range(0, 100_000, 10_000):
                    recorder.operation("WS", f"name {name}", sample, 10, service_us=sample // 2)
            recorder.tick(float(second + 1))

    def held() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    a_few_seconds(0)
    tracemalloc.start()
    try:
        a_few_seconds(3)
        before = held()
        a_few_seconds(6)
        growth = held() - before
    finally:
        tracemalloc.stop()
    # 18,000 samples and three rows of the timeline later: a row is some 1.5 KB.
    assert growth < 30_000, growth
