"""What can be seen of the target: real processes, real endpoints, the reference server."""

from __future__ import annotations

import gc
import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic, thread_time
from typing import Any

import gevent
import psutil
import pytest
from gevent import get_hub
from psutil import _pslinux

from locust_ext.errors import ConfigError
from locust_ext.runtime.monitor.pace import Absences
from locust_ext.runtime.probes import (
    ContextProbe,
    MetricsProbe,
    PidProbe,
    PortProbe,
    Probe,
    Reading,
    context_probe,
    metrics_probe,
    pid_probe,
    port_probe,
)
from tests.e2e.runs import server
from tests.peers import eventually
from tests.runtime.watching import answering, http, obedient, sending


class Eager:
    """Reads a probe whenever it is asked: what it costs makes no pause."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        self.absences = Absences()

    def read(self, within_s: float = 2.0) -> Reading | None:
        for name in ("_pace", "_search"):
            if hasattr(self.probe, name):
                getattr(self.probe, name)._share = 1e9
        return self.probe.read(self.absences, within_s)

    def values(self, within_s: float = 2.0) -> dict[str, float]:
        reading = self.read(within_s)
        return {} if reading is None else dict(reading.values)


@contextmanager
def no_stall(limit_ms: float = 8.0) -> Iterator[None]:
    """No turn of the loop uses more CPU time (5 ms, and some for a slow machine; this one's wall time says nothing)."""
    gc.collect()
    gc.disable()  # its pauses are Python's own, and long in a process that runs tests
    longest_ms = 0.0
    turned_s = thread_time()

    def turned() -> None:
        nonlocal longest_ms, turned_s
        now_s = thread_time()
        longest_ms, turned_s = max(longest_ms, (now_s - turned_s) * 1e3), now_s

    loop = get_hub().loop
    check, timer = loop.check(), loop.timer(0.002, 0.002)
    check.start(turned)
    timer.start(lambda: None)
    try:
        yield
    finally:
        for watcher in (check, timer):
            watcher.stop()
            watcher.close()
        gc.enable()
    assert longest_ms < limit_ms


# ── by pid ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_process_is_watched_and_what_it_does_is_seen() -> None:
    with obedient() as child:
        probe = Eager(pid_probe(child.pid))
        first = probe.values()
        assert "cpu_percent" not in first
        assert first["memory_bytes"] == pytest.approx(psutil.Process(child.pid).memory_info().rss, rel=0.02)
        child.ask("allocate", 50_000_000)
        child.ask("open", 25)
        begun_s = monotonic()
        child.ask("burn", 0.3)
        second = probe.read()
        assert second is not None
        length_s = monotonic() - begun_s
        assert second.values["memory_bytes"] - first["memory_bytes"] == pytest.approx(50_000_000, rel=0.1)
        assert second.values["descriptors"] == first["descriptors"] + 25
        assert second.values["cpu_percent"] == pytest.approx(30 / length_s, rel=0.25)
        assert second.limits == {}


def test_a_process_that_ends_is_absent_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    with obedient() as child:
        probe = Eager(pid_probe(child.pid))
        assert probe.values()["processes"] == 1
    for _ in range(3):
        assert probe.read() is None
    assert [record.getMessage() for record in caplog.records] == [
        f"monitor: every value of pid {child.pid} is absent: it ended"
    ]


def test_one_that_comes_later_is_taken_and_another_program_with_its_number_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with obedient() as first, obedient() as again:
        probe = pid_probe(2**22)  # nobody has it
        eager = Eager(probe)
        assert eager.read() is None
        probe.pid = first.pid
        assert eager.values()["processes"] == 1
        first.process.kill()
        eventually(lambda: eager.read() is None)
        probe.pid = 1
        assert eager.read() is None
        probe.pid = again.pid
        values = eager.values()
        assert values["processes"] == 1
        assert "cpu_percent" not in values, "it has no baseline yet"
    texts = [record.getMessage().partition("absent: ")[2] for record in caplog.records]
    assert texts == [
        "there is no such process (yet)",
        "it ended",
        "it ended, and its number is another program's now",
    ]


def test_one_that_the_system_does_not_let_us_see_is_there_with_what_it_does(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(self: _pslinux.Process) -> Any:
        raise psutil.AccessDenied(self.pid)

    with obedient() as child:
        for name in ("memory_info", "cmdline"):
            monkeypatch.setattr(_pslinux.Process, name, refuse)
        probe = Eager(pid_probe(child.pid))
        for _ in range(3):
            assert set(probe.values()) >= {"descriptors", "threads", "processes"}
        assert len(caplog.records) == 1
        assert "memory_bytes" in caplog.text


# ── by port ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_port_is_watched_through_who_listens_there_at_the_time(caplog: pytest.LogCaptureFixture) -> None:
    with obedient() as first, obedient() as second:
        port = first.ask("listen", 0)
        probe = Eager(port_probe(port))
        first.ask("open", 30)
        assert probe.values()["descriptors"] == psutil.Process(first.pid).num_fds()
        first.process.kill()
        eventually(lambda: probe.read() is None)
        second.ask("listen", port)
        values = probe.values()
        assert values["descriptors"] == psutil.Process(second.pid).num_fds()
        assert "cpu_percent" not in values, "it has no baseline yet"
    assert [record.getMessage() for record in caplog.records] == [
        f"monitor: every value of port {port} is absent: nobody listens there"
    ]


def test_one_that_lives_on_but_listens_no_more_is_given_up() -> None:
    with obedient() as first, obedient() as second:
        port = first.ask("listen", 0)
        probe = port_probe(port)
        eager = Eager(probe)
        first.ask("threads", 3)
        assert eager.values()["threads"] == 4
        first.ask("unlisten")
        second.ask("listen", port)
        probe._recheck_s = 0.0
        assert eager.values()["threads"] == 1


def test_a_server_with_workers_is_one_with_them() -> None:
    with obedient() as parent:
        port = parent.ask("listen", 0)
        pids = {parent.ask("fork", 0.0, 60.0) for _ in range(3)}  # they have inherited the listening socket
        with no_stall():
            values = Eager(port_probe(port)).values()
        assert values["processes"] == 4
        assert values["memory_bytes"] == pytest.approx(
            sum(psutil.Process(pid).memory_info().rss for pid in (parent.pid, *pids)), rel=0.02
        )


# ── by its Prometheus endpoint ────────────────────────────────────────────────────────────────────────────────────────


def test_the_reference_servers_endpoint_gives_what_psutil_and_its_counters_say() -> None:
    with server() as target:
        chosen = ["refserver_http_requests_total", "refserver_context_keys", 'refserver_open_sockets{channel="agent"}']
        probe = Eager(metrics_probe(f"{target.url}/metrics", chosen))
        first = probe.read()
        assert first is not None
        (process,) = [
            psutil.Process(each.pid)
            for each in psutil.net_connections("tcp")
            if each.status == "LISTEN" and each.laddr.port == int(target.url.rpartition(":")[2])
        ]
        assert first.values["memory_bytes"] == pytest.approx(process.memory_info().rss, rel=0.05)
        assert first.values["descriptors"] == pytest.approx(process.num_fds(), abs=3)
        assert first.limits == {"descriptors_limit": process.rlimit(psutil.RLIMIT_NOFILE)[0]}
        assert first.values["refserver_context_keys"] == 0
        assert first.values['refserver_open_sockets{channel="agent"}'] == 0
        assert "cpu_percent" not in first.values
        for number in range(30):
            body = json.dumps({"key": f"k{number}", "value": 1}).encode()
            request = urllib.request.Request(f"{target.url}/ctx", body, {"Content-Type": "application/json"})
            urllib.request.urlopen(request, timeout=5).close()
        second = probe.read()
        assert second is not None
        length_s = second.at_s - first.at_s
        assert second.values["refserver_http_requests_per_second"] == pytest.approx(30 / length_s, rel=0.01)
        assert second.values["refserver_context_keys"] == 30
        assert 0 <= second.values["cpu_percent"] <= 110


def test_a_counter_that_begins_anew_gives_no_rate_and_then_one_again() -> None:
    bodies = iter([b"a_total 10\n", b"a_total 30\n", b"a_total 5\n", b"a_total 6\n"])
    with answering(lambda sock, _: sock.sendall(http(next(bodies)))) as (port, _):
        probe = Eager(metrics_probe(f"http://127.0.0.1:{port}/", ["a_total"]))
        found = []
        for _ in range(4):
            found.append(probe.values().get("a_per_second"))
            gevent.sleep(0.02)
    assert [value is not None and value > 0 for value in found] == [False, True, False, True]


def test_a_metric_that_is_not_there_is_absent_with_one_warning_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    with answering(sending(http(b"a 1\n"))) as (port, _):
        probe = Eager(metrics_probe(f"http://me:hunter2@127.0.0.1:{port}/m?token=abc", ["a", "b"]))
        for _ in range(3):
            assert probe.values() == {"a": 1}
    for _ in range(2):
        assert probe.read() is None
    label = f"the target's http://127.0.0.1:{port}/m"
    assert [record.getMessage() for record in caplog.records] == [
        f"monitor: b of {label} is absent: its answer does not name it, or not with a finite number",
        f"monitor: every value of {label} is absent: it refused the connection",
    ]


def test_what_rules_want_is_read_without_being_selected(caplog: pytest.LogCaptureFixture) -> None:
    bodies = iter([b"jobs_total 10\nqueue 4\n", b"jobs_total 30\nqueue 5\n"])
    wanted = {"target.jobs_per_second": ["jobs_total", "jobs_per_second"], "target.queue": ["queue"]}
    with answering(lambda sock, _: sock.sendall(http(next(bodies)))) as (port, _):
        probe = Eager(metrics_probe(f"http://127.0.0.1:{port}/", ["queue"], wanted=wanted))
        assert probe.values() == {"queue": 4}
        gevent.sleep(0.02)
        found = probe.values()
    assert (sorted(found), found["queue"]) == (["jobs_per_second", "queue"], 5)
    assert found["jobs_per_second"] > 0
    assert caplog.records == []


def test_what_rules_want_and_the_endpoint_never_tells_is_said_once_after_some_answers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bodies = iter([b"a 1\n", b"a 1\nlate 1\n", b"a 1\n", b"a 1\n", b"a 1\n"])
    wanted = {
        "target.late": ["late"],
        "target.nowhere": ["nowhere"],
        "target.no_per_second": ["no_total", "no_per_second"],
    }
    with answering(lambda sock, _: sock.sendall(http(next(bodies)))) as (port, _):
        probe = Eager(metrics_probe(f"http://127.0.0.1:{port}/m", wanted=wanted))
        for _ in range(2):
            probe.read()
        assert caplog.records == []
        for _ in range(3):
            probe.read()
    label = f"the target's http://127.0.0.1:{port}/m"
    assert [record.getMessage() for record in caplog.records] == [
        f"monitor: target.nowhere of {label} is absent: the endpoint does not tell it",
        f"monitor: target.no_per_second of {label} is absent: the endpoint does not tell it",
    ]


def test_a_megabyte_of_metrics_is_read_while_the_loop_goes_on() -> None:
    lines = b"".join(b'http_requests_total{route="/path/%d",code="200"} %d\n' % (n, n) for n in range(20_000))
    assert len(lines) > 10**6
    with answering(sending(http(lines + b"open_sockets 7\n"))) as (port, _):
        probe = Eager(metrics_probe(f"http://127.0.0.1:{port}/", ["open_sockets"]))
        probe.values()
        with no_stall():
            assert probe.values() == {"open_sockets": 7}


def slow(sock: Any, _: bytes) -> None:
    for byte in http(b"a 1\n" * 100):
        sock.sendall(bytes([byte]))
        gevent.sleep(0.02)


@pytest.mark.parametrize("make", [metrics_probe, lambda url: context_probe(url)])
def test_an_endpoint_that_drips_costs_nothing_but_its_values(make: Callable[[str], Probe]) -> None:
    with answering(slow) as (port, _), no_stall():
        begun_s = monotonic()
        assert Eager(make(f"http://127.0.0.1:{port}")).read(0.4) is None
        assert 0.3 < monotonic() - begun_s < 2.0


# ── by the context server's API ───────────────────────────────────────────────────────────────────────────────────────


def test_the_context_servers_keys_are_counted() -> None:
    with server() as target:
        probe = Eager(context_probe(target.url))
        assert probe.values() == {"context_keys": 0, "connected_clients": 0}
        for number in range(12):
            body = json.dumps({"key": f'k"{number}', "value": {"a": [1, {"b": 2}]}}).encode()
            request = urllib.request.Request(f"{target.url}/ctx", body, {"Content-Type": "application/json"})
            urllib.request.urlopen(request, timeout=5).close()
        assert probe.values() == {"context_keys": 12, "connected_clients": 0}


def test_a_megabyte_of_context_is_counted_while_the_loop_goes_on() -> None:
    context = {f"key-{number}": {"value": "x" * 30} for number in range(20_000)}
    body = json.dumps({"context": context, "connected_clients": 5}).encode()
    with answering(sending(http(body))) as (port, heads), no_stall():
        values = Eager(context_probe(f"http://127.0.0.1:{port}")).values()
        assert values == {"context_keys": 20_000, "connected_clients": 5}
        assert heads[0].startswith(b"GET /ctx/all HTTP/1.1\r\n")


def test_a_server_without_that_api_is_absent_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    with answering(sending(http(b"", "404 Not Found"))) as (port, _):
        probe = Eager(context_probe(f"http://127.0.0.1:{port}"))
        assert probe.read() is None
        assert probe.read() is None
    assert len(caplog.records) == 1
    assert "HTTP status 404" in caplog.text


# ── bad input, cost ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("make", "value"),
    [(pid_probe, 0), (pid_probe, True), (pid_probe, "1"), (pid_probe, 2**22 + 1), (port_probe, 0), (port_probe, 65536)],
)
def test_a_wrong_number_is_an_error_that_names_its_source(make: Callable[..., object], value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        make(value, "--ext-target")
    assert caught.value.source == "--ext-target"
    assert f"(got {value!r})" in str(caught.value)


def test_sources_are_called_as_people_call_them() -> None:
    url = "http://127.0.0.1:1"
    probes = [PidProbe(12), PortProbe(80), metrics_probe(url), context_probe(url)]
    assert [each.source for each in probes] == ["pid 12", "port 80", "metrics", "context"]
    assert isinstance(probes[2], MetricsProbe)
    assert isinstance(probes[3], ContextProbe)


def test_a_dear_reading_makes_the_next_one_later() -> None:
    with obedient() as child:
        probe = pid_probe(child.pid)
        absences = Absences()
        assert probe.read(absences, 1.0) is not None
        assert probe.read(absences, 1.0) is None, "its cost is no small share of the time yet"
        eventually(lambda: probe.read(absences, 1.0) is not None, 20.0)
