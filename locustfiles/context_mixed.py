"""Mixed operations of a context server: 80 % reads, 20 % writes, over the same 100 keys.

    locust -f locustfiles/context_mixed.py --headless                    # on the embedded server, for 30 s
    locust -f locustfiles/context_mixed.py --headless -u 50 -t 5m --host http://127.0.0.1:8080

30 users act every 50 to 100 ms. Passes if at least 92 % of the operations succeed, within 150 ms on average, 75 a
second or more.
"""

from locust import between, task

import locust_ext
from locust_ext import ContextServerUser

KEYS = 100
AT_THE_END = {"window": "run", "no_data": "fail"}  # judged over the whole run, which fails if nothing was answered

locust_ext.install(
    run={"users": 30, "spawn_rate": 30, "run_time": "30s", "stop_timeout": 5},
    rules=[
        {"name": "92 % succeed", "metric": "success_ratio", "low_critical": "< 92 %", **AT_THE_END},
        {"name": "150 ms on average", "metric": "latency_average", "critical": "150ms", **AT_THE_END},
        {"name": "75 a second", "metric": "rate", "low_critical": "< 75/s", **AT_THE_END},
    ],
)


class Client(ContextServerUser):
    host = "embedded"
    wait_time = between(0.05, 0.1)
    prepared_entries = KEYS

    @task(8)
    def read(self):
        self.get(f"key_{self.random.randrange(KEYS)}")

    @task(2)
    def write(self):
        value = self.random.randbytes(self.random.randint(8, 128)).hex()
        self.set(f"key_{self.random.randrange(KEYS)}", value)
