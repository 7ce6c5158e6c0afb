"""A search for the limit: more and more users until a criterion breaks, then between the last good and the first bad.

    locust -f locustfiles/stress.py --headless                           # on the embedded server, about a minute
    locust -f locustfiles/stress.py --headless --ext-config my.yaml --host http://127.0.0.1:8000

Says how many users the target sustains, at which rate and response time, what broke with more of them, and how soon it
recovered. Here the embedded server takes 2 ms longer for each open connection, so that there is a limit to be found;
for a target of yours, my.yaml has shape: {stress: {max_users: 5000, initial: 100, p95_ms: 200, step_s: 30}}.
"""

from locust import between

import locust_ext
from locust_ext import AgentUser, ClosedLoop, messages

locust_ext.install(
    run={"stop_timeout": 5},
    shape={
        "stress": {
            "max_users": 200,
            "initial": 10,  # then twice as many from step to step; or "factor": 1.5, or "increment": 20
            "p95_ms": 100,  # the criteria; or average_ms; and every rule with a critical limit
            "error_ratio": 0.05,  # failed operations, and connect_failure_ratio: 5 % each, unless said otherwise
            "precision": 5,  # users between the last good and the first bad
            "step_s": 3,  # for a target of yours rather 30
            "settle_s": 1,
            "confirm_s": 5,
            "recovery_s": 20,
        }
    },
    embedded={"faults": {"latency_ms_per_connection": 2}},
)


class Agent(AgentUser):
    host = "embedded"
    generator = messages.Mixed({"command": 3, "query": 2, "ping": 1})
    pacing = ClosedLoop(think_time=between(0.1, 0.3))
