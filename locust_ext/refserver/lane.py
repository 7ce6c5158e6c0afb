"""The order in which one connection's messages are handled and answered, under the faults in force."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from locust_ext.refserver.faults import Verdict
    from locust_ext.refserver.state import State

Answer = Callable[[str, Any], None]
"""Sends one reply: its type for the counters, and its encoding (a frame, or an Engine.IO packet)."""
Handle = Callable[[Answer], None]
"""Handles one message, which it knows, and replies through the Answer it is given."""


class Party(Protocol):
    """The other end of a lane, as far as faults reach it."""

    @property
    def is_open(self) -> bool:
        """Whether a reply can still be sent."""

    def drop(self, why: str) -> None:
        """Abort the connection."""

    def end(self, code: int, why: str) -> None:
        """Close the connection in order."""


class Lane:
    """One connection's messages. Latency and stalls keep their order, ``late_ms`` does not. No lane awaits another."""

    __slots__ = ("_loop", "_party", "_put_off", "_state", "_timer")

    def __init__(self, state: State, party: Party) -> None:
        self._state = state
        self._party = party
        self._loop = asyncio.get_running_loop()
        self._put_off: deque[tuple[float, Callable[[], None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def admit(self, handle: Handle, fail: Handle, answer: Answer) -> None:
        """Take a message that was just read: ``handle`` answers it, ``fail`` answers it with an error instead.

        ``answer`` is what takes a reply where no fault is in its way.
        """
        faults = self._state.faults
        if faults.touches_messages:
            self._perform(faults.judge(self._loop.time(), self._state.open_count), handle, fail, answer)
        else:
            handle(answer)

    def _perform(self, verdict: Verdict, handle: Handle, fail: Handle, answer: Answer) -> None:
        if verdict.drops:
            self._party.drop("drop_ratio")
        elif verdict.close_code is not None:
            self._party.end(verdict.close_code, "close_code")
        else:
            chosen = fail if verdict.fails else handle
            misled = self._mislead(answer, verdict)
            if verdict.delay_s > 0 or self._put_off:
                self._put_off_by(verdict.delay_s, lambda: chosen(misled))
            else:
                chosen(misled)

    def _mislead(self, answer: Answer, verdict: Verdict) -> Answer:
        def send(kind: str, encoded: Any) -> None:
            for _ in range(0 if verdict.silent else verdict.answers):
                if verdict.late_s:
                    self._loop.call_later(verdict.late_s, answer, kind, encoded)
                else:
                    answer(kind, encoded)

        return send

    def _put_off_by(self, delay_s: float, act: Callable[[], None]) -> None:
        due = self._loop.time() + delay_s
        if self._put_off:
            due = max(due, self._put_off[-1][0])
        self._put_off.append((due, act))
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._act)
            self._state.waiting_lanes.add(self)

    def _act(self) -> None:
        self._timer = None
        now = self._loop.time() + 0.0005  # timers may fire a little early
        while self._put_off and self._put_off[0][0] <= now:
            _, act = self._put_off.popleft()
            if self._party.is_open:
                act()
        if not self._put_off:
            self._state.waiting_lanes.discard(self)
        elif self._timer is None:
            self._timer = self._loop.call_at(self._put_off[0][0], self._act)

    def release(self) -> None:
        """Do at once, in order, what was put off."""
        self._put_off = deque((0.0, act) for _, act in self._put_off)
        if self._timer is not None:
            self._timer.cancel()
        self._act()

    def clear(self) -> None:
        """Forget what was put off: the connection has ended."""
        self._put_off.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._state.waiting_lanes.discard(self)
