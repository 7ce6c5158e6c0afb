"""Steady load: the same number of users all the time, each speaking about once a second.

    locust -f locustfiles/steady.py --headless                           # on the embedded server, for 30 s
    locust -f locustfiles/steady.py --headless -u 500 -r 50 -t 10m --host http://127.0.0.1:8000

What a system does on an ordinary hour: rates, response times and memory that stay as they are. Passes if 99 % of the
operations succeed and 95 % of the answers come within 500 ms.
"""

from locust import between

import locust_ext
from locust_ext import AgentUser, ClosedLoop, messages

AT_THE_END = {"window": "run", "no_data": "fail"}  # judged over the whole run, which fails if nothing was answered

locust_ext.install(
    run={"users": 50, "spawn_rate": 25, "run_time": "30s", "stop_timeout": 5},
    rules=[
        {"name": "99 % succeed", "metric": "success_ratio", "low_critical": "< 99 %", **AT_THE_END},
        {"name": "95 % within 500 ms", "metric": "latency_p95", "critical": "500ms", **AT_THE_END},
    ],
)


class Agent(AgentUser):
    host = "embedded"
    generator = messages.Mixed({"event": 3, "command": 3, "query": 2, "ping": 1})
    pacing = ClosedLoop(think_time=between(0.5, 1.5))
