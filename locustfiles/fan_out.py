"""Fan-out: one writer changes the context, and every change is told to many listeners.

    locust -f locustfiles/fan_out.py --headless                          # on the embedded server: 60 listeners, 20 s
    locust -f locustfiles/fan_out.py --headless -u 2001 -r 100 -t 5m --host http://127.0.0.1:8080

Whom a change reaches, how late, and how far apart the first and the last of them are. Passes if 99 % of the deliveries
arrive, 95 % of them within 500 ms, and nothing of what is written fails.
"""

from locust import constant

import locust_ext
from locust_ext import ClosedLoop, ContextServerUser, FastSocketIOUser, messages

AT_THE_END = {"window": "run", "no_data": "fail"}  # judged over the whole run, which fails if nothing was told
CHANGES = {"where": {"name": "context_updated"}, **AT_THE_END}

locust_ext.install(
    run={"users": 61, "spawn_rate": 30, "run_time": "20s", "stop_timeout": 5},
    rules=[
        {"name": "99 % are reached", "metric": "push_reach", "low_critical": "< 99 %", **CHANGES},
        {"name": "95 % within 500 ms", "metric": "push_lag_p95", "critical": "500ms", **CHANGES},
        {"name": "all is written", "metric": "success_ratio", "low_critical": "< 100 %", **AT_THE_END},
    ],
)


class Writer(ContextServerUser):
    host = "embedded"
    fixed_count = 1
    generator = messages.ContextOps(reads=0, keys=20, marker=True)  # the marker tells listeners when it was written
    pacing = ClosedLoop(think_time=constant(0.2))


class Listener(FastSocketIOUser):  # says nothing
    host = "embedded"
    fan_out = "context_updated"
