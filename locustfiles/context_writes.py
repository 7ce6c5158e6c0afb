"""Concurrent writes to a context server: new values of 16 to 256 bytes under 100 keys that all users share.

    locust -f locustfiles/context_writes.py --headless                    # on the embedded server, for 30 s
    locust -f locustfiles/context_writes.py --headless -u 50 -t 5m --host http://127.0.0.1:8080

30 users write every 50 to 100 ms. Passes if at least 90 % of the writes succeed, within 200 ms on average, 50 a second
or more.
"""

from locust import between, task

import locust_ext
from locust_ext import ContextServerUser

KEYS = 100
AT_THE_END = {"window": "run", "no_data": "fail"}  # judged over the whole run, which fails if nothing was answered

locust_ext.install(
    run={"users": 30, "spawn_rate": 30, "run_time": "30s", "stop_timeout": 5},
    rules=[
        {"name": "90 % succeed", "metric": "success_ratio", "low_critical": "< 90 %", **AT_THE_END},
        {"name": "200 ms on average", "metric": "latency_average", "critical": "200ms", **AT_THE_END},
        {"name": "50 a second", "metric": "rate", "low_critical": "< 50/s", **AT_THE_END},
    ],
)


class Writer(ContextServerUser):
    host = "embedded"
    wait_time = between(0.05, 0.1)

    @task
    def write(self):
        value = self.random.randbytes(self.random.randint(8, 128)).hex()
        self.set(f"key_{self.random.randrange(KEYS)}", value)
