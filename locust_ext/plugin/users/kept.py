"""`KeptChannel`: how a channel beside the main channel is brought back after a loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from locust_ext.plugin.users.channel import Channel


class KeptChannel:
    """What a driver sees of a channel beside the main one: it only brings it back after a loss (`runtime.driver.Driven`)."""

    def __init__(self, channel: Channel[Any]) -> None:
        self._channel = channel

    @property
    def is_connected(self) -> bool:
        return self._channel.is_connected

    def drive_connect(self, host: str | None) -> None:
        self._channel.connect(host=host)

    def drive_exchange(self, intended_s: float | None) -> bool:
        return True

    def drive_close(self, code: int) -> None:
        self._channel.close(code)

    def drive_due_s(self, now_s: float) -> float:
        return now_s

    def drive_state(self, state: str) -> None:
        self._channel.rest(state)

    def drive_rest(self, rests: bool) -> None:
        """The user is not concerned."""
