"""Dumps of a context server's 100 entries in all four formats, each format a row of its own.

    locust -f locustfiles/context_dumps.py --headless                    # on the embedded server, for 30 s
    locust -f locustfiles/context_dumps.py --headless -u 50 -t 5m --host http://127.0.0.1:8080

20 users write a dump every 0.5 to 1 s, each to files of its own on the server. Passes if at least 85 % of the dumps
succeed, within 2 s on average, 5 a second or more.
"""

from locust import between, task

import locust_ext
from locust_ext import ContextServerUser

FORMATS = ("json", "pretty", "csv", "txt")
AT_THE_END = {"window": "run", "no_data": "fail"}  # judged over the whole run, which fails if nothing was answered

locust_ext.install(
    run={"users": 20, "spawn_rate": 20, "run_time": "30s", "stop_timeout": 5},
    rules=[
        {"name": "85 % succeed", "metric": "success_ratio", "low_critical": "< 85 %", **AT_THE_END},
        {"name": "2 s on average", "metric": "latency_average", "critical": "2s", **AT_THE_END},
        {"name": "5 a second", "metric": "rate", "low_critical": "< 5/s", **AT_THE_END},
    ],
)


class Dumper(ContextServerUser):
    host = "embedded"
    wait_time = between(0.5, 1.0)
    prepared_entries = 100

    @task
    def write_dump(self):
        chosen = self.random.choice(FORMATS)
        self.dump(chosen, filename=f"dump_{self.client_id}", name=f"/ctx/dump {chosen}")
