"""Failover: the primary goes away in the middle of the run; its users go to the backup, and return later.

    locust -f locustfiles/failover.py --headless                         # two embedded servers; the first is gone for 8 s
    BACKUPS=http://127.0.0.1:8001 locust -f locustfiles/failover.py --headless --host http://127.0.0.1:8000

How long clients are without a connection (time to recover), and what is lost meanwhile. With servers of yours, end the
primary yourself while it runs. Passes if users failed over, and 95 % of them had a connection again within 5 s.
"""

from locust import between

import os

import locust_ext
from locust_ext import AgentUser, ClosedLoop, lifecycle, messages

AT_THE_END = {"window": "run", "no_data": "fail"}  # judged over the whole run, which fails if nothing was lost
BACKUPS = tuple(os.environ.get("BACKUPS", "embedded").split(","))

locust_ext.install(
    run={"users": 20, "spawn_rate": 20, "run_time": "30s", "stop_timeout": 5},
    embedded={"faults": {"after_s": 6, "for_s": 8, "drop_ratio": 1, "refuse_upgrades": True}},  # of the primary
    rules=[
        {"name": "users fail over", "metric": "failovers", "low_critical": "< 1", **AT_THE_END},
        {"name": "95 % are back within 5 s", "metric": "recovery_p95", "critical": "5s", **AT_THE_END},
        {"name": "60 % stay connected", "metric": "connected_ratio", "low_critical": "< 60 %"},
    ],
)


class Client(AgentUser):
    host = "embedded"
    pattern = lifecycle.Failover(
        backups=BACKUPS, threshold=2, return_after_s=(10, 12), reconnect=lifecycle.FullJitter(base_s=0.2, cap_s=2)
    )
    generator = messages.Mixed({"command": 3, "query": 2, "ping": 1})
    pacing = ClosedLoop(think_time=between(0.2, 0.6))
