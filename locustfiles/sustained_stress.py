"""Sustained stress: a heavy load of small and large messages for a long time, and who is still connected at its end.

    locust -f locustfiles/sustained_stress.py --headless                 # on the embedded server, for a minute
    locust -f locustfiles/sustained_stress.py --headless -u 2000 -r 100 -t 1h --host http://127.0.0.1:8000

What a minute hides: connections that are lost one by one, queues and memory that grow. Passes if at least 60 % of the
users are connected in every ten seconds, those at the end included, and 95 % of the operations succeed.
"""

from locust import between

import locust_ext
from locust_ext import AgentUser, ClosedLoop, messages

AT_THE_END = {"window": "run", "no_data": "fail"}  # judged over the whole run, which fails if nothing was answered
ALL_THE_TIME = {"window": "10s", "no_data": "fail"}  # judged over ten seconds, once a second

locust_ext.install(
    run={"users": 100, "spawn_rate": 20, "run_time": "60s", "stop_timeout": 5},
    rules=[
        {"name": "60 % stay connected", "metric": "connected_ratio", "low_critical": "< 60 %", **ALL_THE_TIME},
        {"name": "95 % succeed", "metric": "success_ratio", "low_critical": "< 95 %", **AT_THE_END},
        {"name": "target memory", "metric": "target.memory_bytes", "warning": "1GB"},
    ],
)


class Client(AgentUser):
    host = "embedded"
    generator = messages.Mixed({"event": 1, "command": 3, "query": 2}, payload_bytes=(100, 10_000))
    pacing = ClosedLoop(think_time=between(0.2, 0.5))
