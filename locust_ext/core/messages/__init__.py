"""What to say: message generators. Pure, seeded by the caller: the same seed gives the same messages.

A user class names a generator; each of its users binds it (:func:`bind`) to its own random numbers. To add a generator:
one file here, one line in :data:`GENERATORS`.
"""

from __future__ import annotations

from typing import Any, Final

from locust_ext.core.marker import MARKER
from locust_ext.core.messages.command import COMMANDS, Command
from locust_ext.core.messages.context_ops import ContextOps
from locust_ext.core.messages.custom import Custom, bind
from locust_ext.core.messages.event import EVENT_TYPES, Event, Heartbeat, Ping
from locust_ext.core.messages.feeder import Feeder
from locust_ext.core.messages.in_turn import InTurn
from locust_ext.core.messages.message import BoundGenerator, Message, MessageGenerator
from locust_ext.core.messages.mixed import Mixed
from locust_ext.core.messages.monitoring import Monitoring
from locust_ext.core.messages.query import QUERY_TYPES, Query
from locust_ext.core.messages.realistic import Realistic
from locust_ext.core.messages.replay import Replay
from locust_ext.core.messages.template import Template

__all__ = [
    "COMMANDS",
    "EVENT_TYPES",
    "GENERATORS",
    "MARKER",
    "QUERY_TYPES",
    "BoundGenerator",
    "Command",
    "ContextOps",
    "Custom",
    "Event",
    "Feeder",
    "Heartbeat",
    "InTurn",
    "Message",
    "MessageGenerator",
    "Mixed",
    "Monitoring",
    "Ping",
    "Query",
    "Realistic",
    "Replay",
    "Template",
    "bind",
]

GENERATORS: Final[dict[str, type[Any]]] = {
    "event": Event,
    "command": Command,
    "query": Query,
    "monitoring": Monitoring,
    "ping": Ping,
    "heartbeat": Heartbeat,
    "context_ops": ContextOps,
    "mixed": Mixed,
    "in_turn": InTurn,
    "realistic": Realistic,
    "template": Template,
    "replay": Replay,
    "custom": Custom,
}
