"""Churn: clients that connect, say a word or two, leave, and come back soon, all the time.

    locust -f locustfiles/churn.py --headless                            # on the embedded server, for 20 s
    locust -f locustfiles/churn.py --headless -u 500 -r 100 -t 5m --host http://127.0.0.1:8000

How many connections a second a server takes, and what each costs it: handshakes, logins, memory that is given back or
not. Passes if 99 % of the connects succeed, 95 % of them within 1 s, and 5 a second or more are reached.
"""

import locust_ext
from locust_ext import AgentUser, lifecycle, messages

AT_THE_END = {"window": "run", "no_data": "fail"}  # judged over the whole run, which fails if nobody came

locust_ext.install(
    run={"users": 20, "spawn_rate": 10, "run_time": "20s", "stop_timeout": 5},
    rules=[
        {"name": "99 % connect", "metric": "connect_failure_ratio", "critical": "1 %", **AT_THE_END},
        {"name": "95 % within 1 s", "metric": "connect_p95", "critical": "1s", **AT_THE_END},
        {"name": "5 connects a second", "metric": "connect_rate", "low_critical": "< 5/s", **AT_THE_END},
    ],
)


class Visitor(AgentUser):
    host = "embedded"
    pattern = lifecycle.Churn(exchanges=(1, 3), pause_s=(0.2, 0.8))
    generator = messages.Mixed({"query": 2, "ping": 1})
