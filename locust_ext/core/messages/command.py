"""`Command`: agent commands with fitting parameters."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from locust_ext.core.messages.message import ALL, BoundGenerator, Message
from locust_ext.core.messages.metadata import WithMetadata
from locust_ext.core.messages.payload import Sizes, sizer, text
from locust_ext.core.messages.weights import unknown
from locust_ext.errors import ConfigError

Draw = Callable[[], float]
Parameters = Callable[[Draw], dict[str, Any]]

DATA_LIMIT_BYTES: Final = 99_000
"""The channel takes 100,000 characters of ``data``; the rest is room for the other keys."""


def _one(draw: Draw, *choices: str) -> str:
    return choices[int(draw() * len(choices))]


def _coordinate(draw: Draw) -> float:
    return round(draw() * 200 - 100, 2)


COMMANDS: Final[dict[str, dict[str, Parameters]]] = {
    "known": {
        "start": lambda draw: {"mode": _one(draw, "normal", "safe")},
        "stop": lambda draw: {"graceful": draw() < 0.8},
        "restart": lambda draw: {"delay_s": int(draw() * 10)},
        "status": lambda draw: {"verbose": draw() < 0.5},
        "update": lambda draw: {"priority": 1 + int(draw() * 10)},
        "create": lambda draw: {"template": _one(draw, "explorer", "guardian", "trader", "analyst")},
        "delete": lambda draw: {"force": draw() < 0.2},
    },
    "movement": {
        "move": lambda draw: {"x": _coordinate(draw), "y": _coordinate(draw), "speed": round(draw() * 5, 2)},
        "turn": lambda draw: {"degrees": int(draw() * 360)},
    },
    "observation": {
        "observe": lambda draw: {"radius": 1 + int(draw() * 20)},
        "scan": lambda draw: {"target": _one(draw, "agents", "resources", "terrain")},
    },
    "action": {
        "act": lambda draw: {"action": _one(draw, "collect", "share", "wait"), "strength": round(draw(), 2)},
    },
    "planning": {
        "plan": lambda draw: {"goal": _one(draw, "explore", "gather", "defend"), "horizon": 1 + int(draw() * 10)},
    },
    "coalition": {
        "form_coalition": lambda draw: {"goal": _one(draw, "explore", "gather", "defend"), "size": 2 + int(draw() * 4)},
        "join_coalition": lambda draw: {"coalition_id": f"coalition_{int(draw() * 10)}"},
        "leave_coalition": lambda draw: {"coalition_id": f"coalition_{int(draw() * 10)}"},
    },
}
"""Group -> command -> its parameters. The channel knows the group ``known``; it answers the others by an error."""

_REPLY = ("agent_command_result",)
_AGENT_ID = re.compile(r"[A-Za-z0-9_-]+")


def agent_ids(agents: int | Iterable[str]) -> tuple[str, ...]:
    """``agent_0`` … for a number, else the ids given. ``ConfigError`` if the channel would not take one of them."""
    ids: tuple[Any, ...] = ()
    if isinstance(agents, int) and not isinstance(agents, bool):
        ids = tuple(f"agent_{index}" for index in range(agents))
    elif isinstance(agents, Iterable) and not isinstance(agents, (str, bytes)):
        ids = tuple(agents)
    if not ids or not all(isinstance(one, str) and _AGENT_ID.fullmatch(one) for one in ids):
        raise ConfigError(
            "expected a number of agents above 0, or their ids (letters, digits, '_' and '-')",
            key="agents",
            value=agents,
        )
    return ids


@dataclass(frozen=True)
class Command(WithMetadata):
    """``agent_command`` messages, evenly over the commands of its groups and over the agents."""

    groups: tuple[str, ...] = ("known",)
    """Of :data:`COMMANDS`."""
    agents: int | tuple[str, ...] = 100
    payload_bytes: Sizes | None = None
    """Size of a text put into ``params.payload``; None: no such text."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.groups, str) or not self.groups:
            raise ConfigError("expected a tuple of command groups, such as ('known',)", key="groups", value=self.groups)
        for group in self.groups:
            if group not in COMMANDS:
                raise unknown("groups", group, COMMANDS)
        agent_ids(self.agents)
        if self.payload_bytes is not None:
            sizer("payload_bytes", self.payload_bytes, limit=DATA_LIMIT_BYTES)

    def bind(self, rng: random.Random, client_id: str) -> BoundGenerator:
        commands = [entry for group in self.groups for entry in COMMANDS[group].items()]
        return self.with_metadata(BoundCommand(rng, commands, self.agents, self.payload_bytes), rng)


class Asking:
    """One user's requests to agents: chosen evenly among kinds and agents, with a payload where a size is drawn for it."""

    __slots__ = ("_agents", "_kinds", "_random", "_rng", "_size")

    def __init__(
        self,
        rng: random.Random,
        kinds: list[tuple[str, Any]],
        agents: int | Iterable[str],
        payload_bytes: Sizes | None,
    ) -> None:
        self._rng = rng
        self._random = rng.random
        self._kinds = kinds
        self._agents = agent_ids(agents)
        self._size = None
        if payload_bytes is not None:
            self._size = sizer("payload_bytes", payload_bytes, limit=DATA_LIMIT_BYTES)

    def disconnected(self, channel: str | None = ALL) -> None:
        """Nothing of a request outlives its connection."""


class BoundCommand(Asking):
    """One user's commands."""

    __slots__ = ()

    def generate(self) -> Message:
        draw = self._random
        command, parameters = self._kinds[int(draw() * len(self._kinds))]
        params = parameters(draw)
        if self._size is not None:
            params["payload"] = text(self._rng, self._size(self._rng))
        agent_id = self._agents[int(draw() * len(self._agents))]
        data = {"agent_id": agent_id, "command": command, "params": params}
        return Message("agent_command", {"type": "agent_command", "data": data}, reply=_REPLY)
