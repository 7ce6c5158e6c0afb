"""What connections came to by their end: a sample each, however they are spread over processes and periods."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings, strategies as st

from locust_ext.core.accounting import Histogram, Recorder, wire
from locust_ext.model import NO_CONNECTIONS, ConnectionTotals


@dataclass(eq=False)
class Connection:
    lifetime_s: float | None
    messages_sent: int = 0
    messages_received: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0


def distributions(connections: list[Connection]) -> ConnectionTotals:
    histograms = [Histogram() for _ in range(5)]
    for each in connections:
        figures = (each.messages_sent, each.messages_received, each.bytes_sent, each.bytes_received)
        for histogram, figure in zip(histograms, (round((each.lifetime_s or 0) * 1000), *figures), strict=True):
            histogram.record(figure)
    return ConnectionTotals(*(histogram.freeze() for histogram in histograms))


counts = st.integers(0, 10**9)
connections = st.builds(Connection, st.floats(0, 10**6), counts, counts, counts, counts)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.booleans(), connections), max_size=20))
def test_each_connection_is_one_sample_in_whichever_process_and_period(
    lives: list[tuple[int, bool, Connection]],
) -> None:
    """Those that are open at the end of the run are counted there."""
    workers = [Recorder(worker=f"w{number}") for number in range(3)]
    master = Recorder()
    for recorder in (master, *workers):
        recorder.begin("r", 0.0)
    for second, (number, ends, connection) in enumerate(lives):
        workers[number].connection_opened(connection)
        if ends:
            workers[number].connection_ended(connection)
        master.merge(wire.unpack(wire.pack(workers[number].drain(second + 1.0))[0]))
    for worker in workers:
        worker.end(30.0)
        master.merge(wire.unpack(wire.pack(worker.drain(30.0, final=True))[0]))
    assert master.snapshot(30.0).connections.ended == distributions([connection for _, _, connection in lives])


def test_a_connection_is_counted_once_and_only_if_it_was_open() -> None:
    recorder = Recorder()
    recorder.begin("r", 0.0)
    never, once, still = (Connection(float(number)) for number in range(3))
    for connection in (once, still):
        recorder.connection_opened(connection)
    for connection in (never, once, once):
        recorder.connection_ended(connection)
    assert recorder.snapshot(1.0).connections.ended == distributions([once])
    recorder.end(2.0)
    recorder.connection_ended(still)
    assert recorder.snapshot(3.0).connections.ended == distributions([once, still])


def test_windows_hold_the_connections_that_ended_in_them() -> None:
    recorder = Recorder()
    recorder.watch(2)
    recorder.begin("r", 0.0)
    lives = []
    for second in range(6):
        lives.append(Connection(second / 10, second))
        recorder.connection_opened(lives[-1])
        recorder.connection_ended(lives[-1])
        recorder.tick(second + 0.9)
    recorder.tick(6.1)
    ended = recorder.window(2).connections.ended
    assert (ended.lifetime_ms.count, ended.messages_sent.sum_us) == (2, 4 + 5)


def test_a_lifetime_of_days_keeps_its_resolution() -> None:
    recorder = Recorder()
    recorder.begin("r", 0.0)
    connection = Connection(30 * 86_400.0)
    recorder.connection_opened(connection)
    recorder.end(1.0)
    assert recorder.snapshot(1.0).connections.ended.lifetime_ms.percentile_us(50) == 30 * 86_400_000


def test_without_connections_there_is_nothing() -> None:
    recorder = Recorder()
    recorder.begin("r", 0.0)
    assert recorder.snapshot(1.0).connections.ended == NO_CONNECTIONS
