"""Many connections at the same time, each saying something every second or two.

    locust -f locustfiles/concurrent_connections.py --headless           # on the embedded server: 100, for 20 s
    locust -f locustfiles/concurrent_connections.py --headless -u 5000 -r 200 -t 5m --processes 4 --host http://127.0.0.1:8000

How many clients a server holds, and how fast it answers while it holds them. Passes if at least 80 % of the users are
connected, round trips take 1 s on average or less, and 10 messages a second or more are answered.
"""

from locust import between

import locust_ext
from locust_ext import AgentUser, ClosedLoop, messages

AT_THE_END = {"window": "run", "no_data": "fail"}  # judged over the whole run, which fails if nothing was answered
ROUND_TRIPS = {"where": {"type": "WS"}, **AT_THE_END}

locust_ext.install(
    run={"users": 100, "spawn_rate": 50, "run_time": "20s", "stop_timeout": 5},
    timeouts={"connects_at_once": 50},
    rules=[
        {"name": "80 % can connect", "metric": "connect_failure_ratio", "critical": "20 %", **AT_THE_END},
        {"name": "80 % are connected", "metric": "connected_ratio", "low_critical": "< 80 %", **AT_THE_END},
        {"name": "1 s on average", "metric": "latency_average", "critical": "1s", **ROUND_TRIPS},
        {"name": "10 messages a second", "metric": "rate", "low_critical": "< 10/s", **ROUND_TRIPS},
    ],
)


class Client(AgentUser):
    host = "embedded"
    generator = messages.Mixed({"event": 3, "command": 3, "query": 2, "ping": 1})
    pacing = ClosedLoop(think_time=between(1, 2))
