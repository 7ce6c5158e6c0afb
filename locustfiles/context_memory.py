"""A context server's memory under load: 2,000 large entries (32 MiB) within some ten seconds, then held and read.

    locust -f locustfiles/context_memory.py --headless                    # on the embedded server, for a minute
    locust -f locustfiles/context_memory.py --headless -u 50 -t 5m --host http://127.0.0.1:8080

20 users set 100 keys each, of 8 to 24 KiB, and read them from then on. The report tells whether the server's memory
stays level once all is there, or goes on growing. Passes if at least 85 % of the operations succeed, and the server's
memory stays under 1 GiB: the embedded server is watched by itself, yours by --ext-target-pid, --ext-target-port or
--ext-target-metrics; where it is not, that rule says "no data". A server that goes on keeps the entries of earlier runs.
"""

from locust import between, task

import locust_ext
from locust_ext import ContextServerUser

ENTRIES = 100
AT_THE_END = {"window": "run", "no_data": "fail"}  # judged over the whole run, which fails if nothing was answered

locust_ext.install(
    run={"users": 20, "spawn_rate": 20, "run_time": "60s", "stop_timeout": 5},
    rules=[
        {"name": "85 % succeed", "metric": "success_ratio", "low_critical": "< 85 %", **AT_THE_END},
        {"name": "target memory up to 1 GiB", "metric": "target.memory_bytes", "critical": "1GiB"},
    ],
)


class Grower(ContextServerUser):
    host = "embedded"
    wait_time = between(0.05, 0.1)
    entries = 0

    @task
    def grow_then_read(self):
        if self.entries < ENTRIES:
            value = self.random.randbytes(self.random.randint(4096, 12288)).hex()
            self.set(f"key_{self.client_id}_{self.entries}", value)
            self.entries += 1
        else:
            self.get(f"key_{self.client_id}_{self.random.randrange(ENTRIES)}")
