"""Concurrent reads of a context server: single values, and now and then the whole context or a key's history.

    locust -f locustfiles/context_reads.py --headless                    # on the embedded server, for 30 s
    locust -f locustfiles/context_reads.py --headless -u 50 -t 5m --host http://127.0.0.1:8080

30 users read every 50 to 100 ms, out of 100 keys that are set before they start. Passes if at least 95 % of the
reads succeed, within 100 ms on average, 100 a second or more.
"""

from locust import between, task

import locust_ext
from locust_ext import ContextServerUser

KEYS = 100
AT_THE_END = {"window": "run", "no_data": "fail"}  # judged over the whole run, which fails if nothing was answered

locust_ext.install(
    run={"users": 30, "spawn_rate": 30, "run_time": "30s", "stop_timeout": 5},
    rules=[
        {"name": "95 % succeed", "metric": "success_ratio", "low_critical": "< 95 %", **AT_THE_END},
        {"name": "100 ms on average", "metric": "latency_average", "critical": "100ms", **AT_THE_END},
        {"name": "100 a second", "metric": "rate", "low_critical": "< 100/s", **AT_THE_END},
    ],
)


class Reader(ContextServerUser):
    host = "embedded"
    wait_time = between(0.05, 0.1)
    prepared_entries = KEYS

    @task(18)
    def read(self):
        self.get(f"key_{self.random.randrange(KEYS)}")

    @task
    def read_all(self):
        self.all()

    @task
    def read_history(self):
        self.history(key=f"key_{self.random.randrange(KEYS)}")
