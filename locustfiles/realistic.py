"""People with a dashboard: agent messages over WebSocket, a shared context over HTTP, live changes over Socket.IO.

    locust -f locustfiles/realistic.py                                    # web UI, on the embedded server
    locust -f locustfiles/realistic.py --headless                         # 50 users for a minute
    locust -f locustfiles/realistic.py --host http://127.0.0.1:8080 --ext-agent-host http://127.0.0.1:8000
    locust -f locustfiles/realistic.py --ext-profiles active:0.3 regular:0.7

Four profiles (active, regular, passive, idle); their shares and parameters are in config/realistic.yaml.
"""

import locust_ext
from locust_ext import RealisticUser

locust_ext.install(run={"users": 50, "spawn_rate": 10, "run_time": "60s", "stop_timeout": 5})


class Person(RealisticUser):
    host = "embedded"
