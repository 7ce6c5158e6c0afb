"""What the watched run of this folder does: the realistic users of config/compose.yaml, and some that are paced.

The paced ones give service times beside the corrected ones; a rate is asked for, as a shape with one would.
"""

from locust import events

from typing import Any

import locust_ext
from locust_ext import AgentUser, OpenLoop, RealisticUser, messages
from locust_ext.plugin.extension import extension_of

locust_ext.install()


class Person(RealisticUser):
    weight = 3


class Machine(AgentUser):
    generator = messages.Mixed({"query": 1, "ping": 1})
    pacing = OpenLoop(5)


@events.init.add_listener
def ask_for_a_rate(environment: Any, **_: Any) -> None:
    extension_of(environment)._exporter.rate_wanted = lambda: 100.0
