"""HTTP and real-time in turns: the same user asks over HTTP, then says something over Socket.IO, and so on.

    locust -f locustfiles/mixed_protocol.py --headless                   # on the embedded server, for 30 s
    locust -f locustfiles/mixed_protocol.py --headless --ext-rate 200    # on schedule, 200 messages a second of all users

Both protocols share the users, their ramp-up and their think time; each has its own rows in the report. Passes if 95 % of
the operations succeed, 95 % of the answers come within 500 ms over either protocol, and 20 operations a second are reached.
"""

from locust import between

import locust_ext
from locust_ext import ClosedLoop, ContextServerUser, messages

AT_THE_END = {"window": "run", "no_data": "fail"}  # judged over the whole run, which fails if nothing was answered
HTTP, LIVE = {"where": {"type": ["GET", "POST"]}}, {"where": {"type": "SIO"}}

locust_ext.install(
    run={"users": 20, "spawn_rate": 5, "run_time": "30s", "stop_timeout": 5},
    rules=[
        {"name": "95 % succeed", "metric": "success_ratio", "low_critical": "< 95 %", **AT_THE_END},
        {"name": "HTTP within 500 ms", "metric": "latency_p95", "critical": "500ms", **HTTP, **AT_THE_END},
        {"name": "live events within 500 ms", "metric": "latency_p95", "critical": "500ms", **LIVE, **AT_THE_END},
        {"name": "20 a second", "metric": "rate", "low_critical": "< 20/s", **AT_THE_END},
    ],
)


class Client(ContextServerUser):
    host = "embedded"
    pacing = ClosedLoop(think_time=between(0.2, 0.6))
    generator = messages.InTurn(
        [
            messages.ContextOps(reads=0.8),  # over HTTP
            messages.ContextOps(reads=0, live=True, marker=True),  # over Socket.IO; told to all others
        ]
    )
