"""`Custom`: a pattern of one's own, as a generator function."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from locust_ext.core.lifecycle.actions import Action, Actions, Connect, Connected, GiveUp, Lost, Pause, Refused
from locust_ext.core.lifecycle.backoff import Reconnecting
from locust_ext.errors import ConfigError

_ACTIONS = get_args(Action)


@dataclass(frozen=True)
class Custom(Reconnecting):
    """What ``function(rng, now_s)`` yields: a generator of actions, to which the outcomes are sent.

    It cannot storm: if it asks to connect again after a failure without having paused, a backoff is put between (the
    function does not see it), and what the rules do not retry ends the pattern there.
    """

    function: Callable[[random.Random, float], Actions]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not callable(self.function):
            raise ConfigError(
                "expected a generator function f(rng, now_s) that yields actions", key="function", value=self.function
            )

    def actions(self, rng: random.Random, now_s: float) -> Actions:
        """A fresh conversation for one user. ``ConfigError`` if the function yields anything but actions."""
        conversation = self.function(rng, now_s)
        if not hasattr(conversation, "send"):
            raise ConfigError(
                "expected a generator function: it must yield actions", key="function", value=conversation
            )
        reconnection = self.reconnection(rng)
        failure: Refused | Lost | None = None
        try:
            action = next(conversation)
            while True:
                if not isinstance(action, _ACTIONS):
                    raise ConfigError(
                        "expected an action: Connect, Send, Pause, Disconnect or GiveUp", key="function", value=action
                    )
                if failure is not None and isinstance(action, Connect):
                    backoff = reconnection.failed(failure)
                    yield backoff
                    if isinstance(backoff, GiveUp):
                        return
                    failure = None
                elif isinstance(action, Pause) and (action.for_s is None or action.for_s > 0):
                    failure = None
                outcome = yield action
                if isinstance(action, GiveUp):
                    return
                if isinstance(outcome, Connected):
                    reconnection.opened(outcome.now_s)
                elif isinstance(outcome, (Refused, Lost)):
                    failure = outcome
                action = conversation.send(outcome)
        except StopIteration:
            return
        finally:
            conversation.close()
