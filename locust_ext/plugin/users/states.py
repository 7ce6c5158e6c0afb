"""`ToldOfStates`: each change of a connection's state reaches the user's ``on_state_change``."""

from __future__ import annotations

import locust  # noqa: F401 – monkey-patches, before anything below imports a socket

import inspect
import logging
from typing import TYPE_CHECKING, Any, ClassVar

from locust_ext.errors import OperationError
from locust_ext.runtime.dispatcher import Lane

if TYPE_CHECKING:
    from locust_ext.plugin.users.channel import Channel
    from locust_ext.runtime.process import ProcessShared

logger = logging.getLogger("locust_ext")


class ToldOfStates:
    """Adds ``on_state_change`` to a user; costs nothing where no class overrides it."""

    environment: Any
    shared: ProcessShared
    is_told_of_states: ClassVar[bool] = False
    _takes_channel: ClassVar[bool] = False
    _state_lane: Lane | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.is_told_of_states = cls.on_state_change is not ToldOfStates.on_state_change
        if cls.is_told_of_states:
            parameters = inspect.signature(cls.on_state_change).parameters.values()
            cls._takes_channel = sum(each.kind is not each.KEYWORD_ONLY for each in parameters) > 3

    def on_state_change(self, old: str, new: str) -> None:
        """A connection of this user went from ``old`` to ``new``: idle, connecting, open, closing, waiting, closed, failed.

        Override it; with a third parameter, it also gets the channel. It runs in the dispatcher greenlet, in the order of
        the changes, soon after them: it may block or raise without harm to anybody (an exception is counted by Locust as
        one of the user's). Of a user whose calls are 1,000 behind, the oldest are left out.
        """

    def state_changed(self, channel: Channel[Any], old: str | None, new: str | None) -> None:
        """A channel's state changed; from the hub or any greenlet. None: there is no connection (yet, or any more)."""
        old, new = old or "idle", new or "closed"
        if old == new:
            return
        if self._state_lane is None:
            self._state_lane = Lane()
        self.shared.dispatcher.post(self._state_lane, self._tell_state, channel, old, new)

    def _tell_state(self, channel: Channel[Any], old: str, new: str) -> None:
        try:
            if self._takes_channel:
                self.on_state_change(old, new, channel)  # type: ignore[call-arg]
            else:
                self.on_state_change(old, new)
        except OperationError:
            pass  # recorded already
        except Exception as error:
            logger.error("on_state_change raised", exc_info=error)
            self.environment.events.user_error.fire(user_instance=self, exception=error, tb=error.__traceback__)
