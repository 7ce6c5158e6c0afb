"""Percentiles of a context server's response times under a steady, moderate load: 80 % reads, 20 % writes.

    locust -f locustfiles/context_percentiles.py --headless                    # on the embedded server, for 30 s
    locust -f locustfiles/context_percentiles.py --headless -u 50 -t 5m --host http://127.0.0.1:8080

20 users act every 100 to 200 ms: some 4,000 operations, 40 of them beyond the 99th percentile. Passes if at least 95 %
succeed, 95 % are answered within 300 ms, and 99 % within 1 s.
"""

from locust import between, task

import locust_ext
from locust_ext import ContextServerUser

KEYS = 100
AT_THE_END = {"window": "run", "no_data": "fail"}  # judged over the whole run, which fails if nothing was answered

locust_ext.install(
    run={"users": 20, "spawn_rate": 20, "run_time": "30s", "stop_timeout": 5},
    rules=[
        {"name": "95 % succeed", "metric": "success_ratio", "low_critical": "< 95 %", **AT_THE_END},
        {"name": "95 % within 300 ms", "metric": "latency_p95", "critical": "300ms", **AT_THE_END},
        {"name": "99 % within 1 s", "metric": "latency_p99", "critical": "1s", **AT_THE_END},
    ],
)


class Client(ContextServerUser):
    host = "embedded"
    wait_time = between(0.1, 0.2)
    prepared_entries = KEYS

    @task(8)
    def read(self):
        self.get(f"key_{self.random.randrange(KEYS)}")

    @task(2)
    def write(self):
        value = self.random.randbytes(self.random.randint(8, 128)).hex()
        self.set(f"key_{self.random.randrange(KEYS)}", value)
