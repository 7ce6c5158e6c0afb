"""What a scrape of some 10,000 series costs, for how long it holds the loop, and what it takes from recording.

Run: ``python -m benchmarks.exporter``. In one process: 500 names of paced operations, each with hundreds of buckets, and a
scrape after the other through the real server. CPU time throughout (of this thread), medians over the rounds: what other
processes take from us is not the exporter's; the CPU time of a scrape is a lower bound of its wall time. Beside it
prometheus-client's own ``generate_latest`` over the same families, which writes all at once.
"""

from __future__ import annotations

import random
import time

from benchmarks.harness import Row, Table

ROUNDS = 7
NAMES = 500
SAMPLES = 500
SCRAPE_S = 0.3
STALL_MS = 20.0


def main() -> None:
    """Prints the rows; exits with 1 if one misses its limit."""
    import locust  # noqa: F401 – monkey-patches, before anything else imports a socket
    from locust.env import Environment

    import gevent
    from prometheus_client import generate_latest

    from locust_ext.core.accounting import Recorder
    from locust_ext.outputs.metrics import Live, RunMetrics
    from locust_ext.plugin import metrics_text
    from locust_ext.plugin.exporter import Exporter, ExporterOptions
    from locust_ext.settings import ExporterSettings

    rng = random.Random(1)
    recorder = Recorder()
    recorder.begin("run", time.monotonic())
    for number in range(NAMES):
        for _ in range(SAMPLES):
            latency_us = int(rng.lognormvariate(8, 1.5))
            recorder.operation("WS", f"/api/v1/path/{number}", latency_us, 10, service_us=latency_us)
        recorder.operation("WS", f"/api/v1/path/{number}", None, 0, "failed", "timeout")
    recorder.tick(time.monotonic())

    metrics_text.FRESH_S = 0.0
    settings = ExporterSettings(max_series=16_000)  # so that this run has more than 10,000
    environment = Environment()
    exporter = Exporter(environment, recorder, lambda: recorder.snapshot(time.monotonic()))
    exporter.open(ExporterOptions(port=0, settings=settings))
    assert exporter._text is not None
    series = 0
    scrapes_ms: list[float] = []
    stalls_ms: list[float] = []
    snapshots_ms: list[float] = []
    whole_ms: list[float] = []
    for _ in range(ROUNDS):
        begun_s = time.thread_time()
        recorder.snapshot(time.monotonic())
        snapshots_ms.append((time.thread_time() - begun_s) * 1e3)
        recorder.operation("WS", "/api/v1/path/0", 1000, 10)
        making = gevent.spawn(exporter._text.get, openmetrics=False)
        begun_s = turn_s = time.thread_time()
        longest_s = 0.0
        while not making.ready():
            gevent.sleep(0.0001)
            now_s = time.thread_time()
            longest_s, turn_s = max(longest_s, now_s - turn_s), now_s
        scrapes_ms.append((turn_s - begun_s) * 1e3)
        stalls_ms.append(longest_s * 1e3)
        body = making.value.body
        series = sum(not line.startswith(b"#") for line in body.splitlines())
    metrics = RunMetrics(max_series=settings.max_series)
    for _ in range(ROUNDS):
        begun_s = time.thread_time()
        families = metrics.collect(recorder.snapshot(time.monotonic()), Live())
        generate_latest(_Registry(list(families)))
        whole_ms.append((time.thread_time() - begun_s) * 1e3)
    exporter.close()

    print(f"{series:,} series, {len(body) / 1e6:.1f} MB")
    table = Table()
    limits_ms = [SCRAPE_S * 1e3] * ROUNDS
    table.add(Row("a scrape", f"limit of {limits_ms[0]:g} ms", scrapes_ms, limits_ms, at_most=1.0, unit="ms"))
    table.add(Row("longest turn", f"limit of {STALL_MS:g} ms", stalls_ms, [STALL_MS] * ROUNDS, at_most=1.0, unit="ms"))
    table.add(Row("its snapshot", "the whole scrape", snapshots_ms, scrapes_ms, unit="ms"))
    table.add(Row("a scrape", "generate_latest, all at once", scrapes_ms, whole_ms, unit="ms"))
    table.end()


class _Registry:
    """What prometheus-client writes as a whole."""

    def __init__(self, families: list[object]) -> None:
        self._families = families

    def collect(self) -> list[object]:
        return self._families


if __name__ == "__main__":
    main()
