"""One connection: how long it takes to open, and each kind of message, one after the other, and their answers.

    locust -f locustfiles/single_connection.py --headless                # on the embedded server, some 10 s
    locust -f locustfiles/single_connection.py --headless --host http://127.0.0.1:8000 --ext-requests 1000

The first look at a server: does it speak the protocol at all, and how fast is it when nobody else is there? Ends after
120 messages. Passes if the connection opens within 5 s, all messages are answered, and within 1 s on average.
"""

from locust import constant

import locust_ext
from locust_ext import AgentUser, ClosedLoop, messages

AT_THE_END = {"window": "run", "no_data": "fail"}  # judged over the whole run, which fails if nothing was answered
PROMPT = {"type": "prompt_submitted", "prompt_id": "{uuid}", "prompt": "Who is there?", "conversation_id": "{user}"}

locust_ext.install(
    run={"users": 1, "requests": 120, "run_time": "60s", "stop_timeout": 5},
    rules=[
        {"name": "connects within 5 s", "metric": "connect_max", "critical": "5s", **AT_THE_END},
        {"name": "all succeed", "metric": "errors", "critical": "> 0", **AT_THE_END},
        {"name": "1 s on average", "metric": "latency_average", "critical": "1s", **AT_THE_END},
    ],
)


class Client(AgentUser):
    host = "embedded"
    pacing = ClosedLoop(think_time=constant(0.05))
    generator = messages.InTurn(
        [
            *("ping", "heartbeat", "command", "query"),
            messages.Event(pings=0, unsubscribes=1),  # subscribe and unsubscribe by turns
            messages.Monitoring(stops=0.2, updates=0.3),  # start, summaries and updates, stop; on the monitor channel
            messages.Template({"body": PROMPT, "reply": "prompt_acknowledged"}),
        ]
    )
