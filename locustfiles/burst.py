"""Bursts: a base load, and on top of it again and again many users at once for a short time, with quiet between.

    locust -f locustfiles/burst.py --headless                            # on the embedded server: three bursts, 35 s
    locust -f locustfiles/burst.py --headless --ext-config my.yaml       # shape: {burst: {burst_users: 500, burst_s: 30}}

What a system does when everybody comes at once: failed connects, the slowest answers, and whether it is as fast as
before when they have gone. Passes if 99 % of the connects and of all operations succeed, 95 % of the answers within 1 s.
"""

from locust import between

import locust_ext
from locust_ext import AgentUser, ClosedLoop, messages

AT_THE_END = {"window": "run", "no_data": "fail"}  # judged over the whole run, which fails if nothing was answered

locust_ext.install(
    run={"stop_timeout": 5},
    shape={"burst": {"base_users": 10, "burst_users": 40, "burst_s": 5, "idle_s": 5, "bursts": 3}},
    rules=[
        {"name": "99 % connect", "metric": "connect_failure_ratio", "critical": "1 %", **AT_THE_END},
        {"name": "99 % succeed", "metric": "success_ratio", "low_critical": "< 99 %", **AT_THE_END},
        {"name": "95 % within 1 s", "metric": "latency_p95", "critical": "1s", **AT_THE_END},
    ],
)


class Agent(AgentUser):
    host = "embedded"
    generator = messages.Mixed({"event": 3, "command": 3, "query": 2, "ping": 1})
    pacing = ClosedLoop(think_time=between(0.2, 0.6))
