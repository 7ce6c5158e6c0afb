"""A ramp: a few users first, then more and more of them, step by step.

    locust -f locustfiles/ramp.py --headless                             # on the embedded server: 10 to 60 users, 30 s
    locust -f locustfiles/ramp.py --headless --ext-config my.yaml        # shape: {ramp: {users: 1000, steps: 20, step_s: 30}}

How response times and resources grow with the load: timeline.csv has them beside the users. Passes if 99 % of the
operations succeed and 95 % of the answers come within 500 ms, up to the last step.
"""

from locust import between

import locust_ext
from locust_ext import AgentUser, ClosedLoop, messages

AT_THE_END = {"window": "run", "no_data": "fail"}  # judged over the whole run, which fails if nothing was answered

locust_ext.install(
    run={"stop_timeout": 5},
    shape={"ramp": {"initial": 10, "users": 60, "steps": 5, "step_s": 5}},
    rules=[
        {"name": "99 % succeed", "metric": "success_ratio", "low_critical": "< 99 %", **AT_THE_END},
        {"name": "95 % within 500 ms", "metric": "latency_p95", "critical": "500ms", "window": "5s", "no_data": "fail"},
    ],
)


class Agent(AgentUser):
    host = "embedded"
    generator = messages.Mixed({"event": 3, "command": 3, "query": 2, "ping": 1})
    pacing = ClosedLoop(think_time=between(0.2, 0.6))
