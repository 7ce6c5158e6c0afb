"""The monitor as a whole: its own process and the target's probes, at an interval, with and without load."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from itertools import pairwise
from time import monotonic

import gevent
import psutil
import pytest
from gevent import get_hub

from locust_ext.errors import ConfigError
from locust_ext.model.resources import GENERATOR, MASTER, TARGET
from locust_ext.runtime.generator_watch import GeneratorWatch
from locust_ext.runtime.monitor import census
from locust_ext.runtime.monitor.network import NetworkRates
from locust_ext.runtime.monitor.pace import Absences
from locust_ext.runtime.monitor.ports import port_range
from locust_ext.runtime.probes import Reading, metrics_probe, pid_probe, port_probe
from locust_ext.runtime.resources import ResourceMonitor, monitor_interval
from tests.peers import eventually
from tests.runtime.monitor.test_ports import listener
from tests.runtime.watching import answering, http, obedient, sending

Sample = tuple[str, str, float, dict[str, float], dict[str, float]]


@pytest.fixture(autouse=True)
def any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that runs tests is bigger than one that makes load."""
    monkeypatch.setattr(census, "MAX_BLOCKS", 10**9)


class Samples(list[Sample]):
    """What a monitor reported."""

    def __call__(self, *sample: object) -> None:
        self.append(sample)  # type: ignore[arg-type]

    def of(self, side: str, source: str = "") -> list[Sample]:
        return [each for each in self if each[:2] == (side, source)]

    def values(self, side: str, source: str = "") -> list[dict[str, float]]:
        return [each[3] for each in self.of(side, source)]


ALWAYS = {
    "cpu_percent",
    "memory_bytes",
    "descriptors",
    "descriptors_percent",
    "threads",
    "greenlets",
    "loop_lag_p99_ms",
    "loop_lag_max_ms",
    "sent_bytes_per_second",
    "received_bytes_per_second",
}


def test_it_samples_its_own_process_as_psutil_does_with_no_load_at_all() -> None:
    samples = Samples()
    monitor = ResourceMonitor(0.2, samples)
    begun_s = monotonic()
    monitor.start()
    monitor.start()
    assert monitor.is_running
    eventually(lambda: len(samples) >= 3)
    monitor.stop()
    side, source, at_s, values, limits = samples[0]
    assert (side, source) == (GENERATOR, "")
    assert set(values) - {"memory_percent"} == ALWAYS
    assert at_s - begun_s >= 0.2
    me = psutil.Process()
    assert values["memory_bytes"] == pytest.approx(me.memory_info().rss, rel=0.1)
    assert values["descriptors"] == pytest.approx(len(os.listdir("/proc/self/fd")), abs=4)
    assert values["threads"] == pytest.approx(me.num_threads(), abs=2)
    assert limits["descriptors_limit"] == me.rlimit(psutil.RLIMIT_NOFILE)[0]
    assert values["descriptors_percent"] == pytest.approx(values["descriptors"] / limits["descriptors_limit"] * 100)
    assert all(later[2] - earlier[2] >= 0.19 for earlier, later in pairwise(samples))


def test_the_first_cpu_is_real_and_what_the_process_does_is_seen() -> None:
    samples = Samples()
    monitor = ResourceMonitor(0.5, samples)
    monitor.start()

    def burn() -> None:
        used = psutil.Process().cpu_times().user
        while psutil.Process().cpu_times().user - used < 0.2:
            sum(range(10_000))

    begun_s = monotonic()
    burn()  # it holds the loop as well
    burnt_s = monotonic() - begun_s
    eventually(lambda: samples)
    sleepers = [gevent.spawn(gevent.sleep, 60) for _ in range(50)]
    eventually(lambda: len(samples) >= 2)
    monitor.stop()
    gevent.killall(sleepers)
    first, second = samples.values(GENERATOR)[:2]
    length_s = samples[0][2] - begun_s
    assert 18 <= first["cpu_percent"] * length_s <= 110 * length_s
    assert first["loop_lag_max_ms"] >= burnt_s * 1000 - 80
    assert second["greenlets"] == first["greenlets"] + 50


def test_stop_and_start_may_be_repeated_and_nothing_comes_between() -> None:
    samples = Samples()
    monitor = ResourceMonitor(0.1, samples, side=MASTER, source="")
    for _ in range(3):
        monitor.start()
        count = len(samples)
        eventually(lambda count=count: len(samples) >= count + 2)
        monitor.stop()
        monitor.stop()
        assert not monitor.is_running
        count = len(samples)
        gevent.sleep(0.25)
        assert len(samples) == count
    assert {each[:2] for each in samples} == {(MASTER, "")}
    assert all(set(values) >= ALWAYS for values in samples.values(MASTER))


def test_the_ports_left_to_the_target_are_among_its_values() -> None:
    samples = Samples()
    with listener() as (host, port):
        monitor = ResourceMonitor(0.1, samples, host=lambda: f"http://{host}:{port}")
        monitor.start()
        eventually(lambda: samples and samples[-1][3].get("ports_left") == port_range())
        monitor.stop()


def test_it_watches_a_target_and_goes_on_when_that_ends_and_is_back(caplog: pytest.LogCaptureFixture) -> None:
    samples = Samples()
    with obedient() as first:
        port = first.ask("listen", 0)
        monitor = ResourceMonitor(0.1, samples, probes=[port_probe(port), pid_probe(first.pid)])
        monitor.start()
        eventually(lambda: samples.of(TARGET, f"port {port}") and samples.of(TARGET, f"pid {first.pid}"))
    eventually(lambda: "it ended" in caplog.text and "nobody listens" in caplog.text, 20.0)
    count = len(samples.of(TARGET, f"port {port}"))
    eventually(lambda: len(samples.of(GENERATOR)) > 3)
    with obedient() as second:
        second.ask("listen", port)
        eventually(lambda: len(samples.of(TARGET, f"port {port}")) > count + 1, 30.0)
        back = samples.values(TARGET, f"port {port}")[count:]
        assert "cpu_percent" not in back[0]
        monitor.stop()
    assert len(caplog.records) == 2


def test_a_probe_that_is_slow_holds_up_nobody_else() -> None:
    samples = Samples()
    with answering(sending(b"", pause_s=5.0)) as (port, _), answering(sending(http(b"a 1\n"))) as (quick, _):
        probes = [metrics_probe(f"http://127.0.0.1:{port}"), metrics_probe(f"http://127.0.0.1:{quick}", ["a"])]
        monitor = ResourceMonitor(0.1, samples, probes=probes)
        monitor.start()
        eventually(lambda: len(samples.of(GENERATOR)) >= 5 and len(samples.of(TARGET, "metrics")) >= 2)
        monitor.stop()
    assert samples.values(TARGET, "metrics")[0] == {"a": 1}


def test_a_probe_that_raises_stops_nothing() -> None:
    class Broken:
        source = "broken"

        def begin(self) -> None:
            return None

        def read(self, absences: Absences, within_s: float) -> Reading | None:
            raise RuntimeError("a bug")

    samples = Samples()
    monitor = ResourceMonitor(0.1, samples, probes=[Broken()])
    monitor.start()
    eventually(lambda: len(samples) >= 3)
    monitor.stop()
    assert {each[0] for each in samples} == {GENERATOR}


def test_a_reading_that_comes_after_the_stop_is_not_reported() -> None:
    class Slow:
        source = "slow"

        def begin(self) -> None:
            return None

        def read(self, absences: Absences, within_s: float) -> Reading | None:
            monitor.stop()
            return Reading(monotonic(), {"a": 1.0})

    samples = Samples()
    monitor = ResourceMonitor(0.1, samples, probes=[Slow()])
    monitor.start()
    eventually(lambda: not monitor.is_running)
    assert not samples.of(TARGET, "slow")


def test_a_watch_of_somebody_else_is_used_and_left_to_run() -> None:
    samples = Samples()
    watch = GeneratorWatch(lambda *_: None)
    monitor = ResourceMonitor(0.1, samples, watch=watch)
    monitor.start()
    eventually(lambda: len(samples) >= 2)
    assert "loop_lag_max_ms" not in samples[-1][3], "it does not run"
    watch.start(monotonic())
    eventually(lambda: "loop_lag_max_ms" in samples[-1][3])
    monitor.stop()
    assert get_hub().loop.activecnt > 0
    assert watch.take_lag() is not None
    watch.stop()


@pytest.mark.parametrize("value", [0, 0.09, 60.1, -1, float("nan"), float("inf"), True, "1", None])
def test_an_interval_outside_its_range_is_an_error_that_names_its_source(value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        monitor_interval(value, "--ext-monitor-interval")
    assert str(caught.value).startswith("--ext-monitor-interval: expected seconds from 0.1 to 60")


def test_an_interval_inside_is_taken_as_it_is() -> None:
    assert [monitor_interval(value) for value in (0.1, 1, 60)] == [0.1, 1.0, 60.0]


def counters(monkeypatch: pytest.MonkeyPatch, *moments: Mapping[str, tuple[int, int]] | None) -> NetworkRates:
    rates = NetworkRates()
    coming = iter(moments)
    monkeypatch.setattr(rates, "_counters", lambda: next(coming))
    return rates


def test_network_bytes_are_rates_of_all_interfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = counters(monkeypatch, {"lo": (100, 100), "eth0": (0, 50)}, {"lo": (300, 300), "eth0": (50, 650)})
    rates.begin(10.0)
    assert rates.read(12.0) == {"sent_bytes_per_second": 125, "received_bytes_per_second": 400}


def test_a_counter_that_wrapped_or_an_interface_that_went_gives_no_rate_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = counters(
        monkeypatch, {"a": (9, 9), "b": (0, 0)}, {"a": (1, 19), "b": (0, 0)}, {"a": (2, 20)}, {"a": (3, 22)}, None, None
    )
    rates.begin(0.0)
    assert [rates.read(float(now_s)) for now_s in range(1, 6)] == [
        {},
        {},
        {"sent_bytes_per_second": 1, "received_bytes_per_second": 2},
        {},
        {},
    ]


def test_an_interface_that_is_new_counts_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = counters(monkeypatch, {"a": (0, 0)}, {"a": (1, 1), "b": (500, 500)}, {"a": (1, 1), "b": (510, 500)})
    rates.begin(0.0)
    assert rates.read(1.0)["sent_bytes_per_second"] == 1
    assert rates.read(2.0)["sent_bytes_per_second"] == 10


def test_sent_bytes_are_those_that_were_sent() -> None:
    rates = NetworkRates()
    rates.begin(0.0)
    with answering(sending(http(b"x" * 3_000_000))) as (port, _):
        from locust_ext.runtime.monitor.watched_url import fetch, watched_url

        fetch(watched_url(f"http://127.0.0.1:{port}/"), 5.0, lambda _: None, None)
    found = rates.read(1.0)
    assert found["sent_bytes_per_second"] >= 3_000_000
    assert found["received_bytes_per_second"] >= 3_000_000


IMPORTED = """
import locust, psutil, threading
made = []
real = psutil.Process.__init__
psutil.Process.__init__ = lambda self, *more: (made.append(more), real(self, *more))[1]
import locust_ext.runtime.resources, locust_ext.runtime.probes
assert not made and threading.active_count() == 1, made
"""


def test_importing_makes_nothing() -> None:
    subprocess.run([sys.executable, "-c", IMPORTED], check=True, timeout=60)
