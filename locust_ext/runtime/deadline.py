"""One coarse timing wheel for all deadlines of a process: no timer, no greenlet and no heap entry for each request.

A connection asks to be woken once, at its *earliest* deadline; while a reply comes in time, arming costs one comparison
(``gevent.Timeout`` costs 11.5 µs a request). Deadlines are met within two ticks.
"""

from __future__ import annotations

import math
import sys
from time import monotonic
from typing import Any, Protocol

from gevent import get_hub

TICK_S = 0.01


class Armed(Protocol):
    """Whoever may be woken. The wheel owns both attributes; they start as ``math.inf`` and ``-1``."""

    armed_s: float
    armed_slot: int

    def on_deadline(self, now_s: float) -> float:
        """Called in the hub at ``armed_s`` or a little later; gives the next deadline (``math.inf``: none).

        It must neither block nor raise.
        """
        ...


class DeadlineWheel:
    """Slots of 10 ms, kept in a dict, so that an empty wheel costs nothing: its timer then stands still.

    To be called from any greenlet or from the hub, of the thread that made it.
    """

    __slots__ = ("_done_slot", "_hub", "_slots", "_timer")

    def __init__(self) -> None:
        self._slots: dict[int, dict[Armed, None]] = {}
        self._hub: Any = get_hub()
        self._timer: Any = self._hub.loop.timer(TICK_S, TICK_S)
        self._done_slot = 0

    def __len__(self) -> int:
        return sum(len(slot) for slot in self._slots.values())

    def arm(self, owner: Armed, when_s: float) -> None:
        """Wake ``owner`` at monotonic ``when_s``, unless it will be woken earlier anyway."""
        if when_s >= owner.armed_s:
            return
        if owner.armed_slot >= 0:
            self.disarm(owner)
        if when_s == math.inf:
            return
        if not self._slots:
            self._done_slot = int(monotonic() / TICK_S) - 1
            self._timer.again(self._tick)
        slot = max(int(when_s / TICK_S) + 1, self._done_slot + 1)
        owners = self._slots.get(slot)
        if owners is None:
            owners = self._slots[slot] = {}
        owners[owner] = None
        owner.armed_s = when_s
        owner.armed_slot = slot

    def disarm(self, owner: Armed) -> None:
        """Forget ``owner``; nothing of it stays in the wheel."""
        slot = owner.armed_slot
        owner.armed_s = math.inf
        owner.armed_slot = -1
        owners = self._slots.get(slot)
        if owners is not None:
            owners.pop(owner, None)
            if not owners:
                del self._slots[slot]

    def _tick(self) -> None:
        now_s = monotonic()
        until = int(now_s / TICK_S)
        first, self._done_slot = self._done_slot + 1, until
        if until - first > len(self._slots):  # the loop had stalled, or the wheel is nearly empty
            due = sorted(slot for slot in self._slots if slot <= until)
        else:
            due = [slot for slot in range(first, until + 1) if slot in self._slots]
        for slot in due:
            for owner in self._slots.pop(slot, ()):
                if owner.armed_slot != slot:
                    continue  # disarmed by an earlier owner of this very slot
                owner.armed_s = math.inf
                owner.armed_slot = -1
                try:
                    next_s = owner.on_deadline(now_s)
                except Exception:  # noqa: BLE001 – a bug of one owner: told, and kept from the others of this slot
                    self._hub.handle_error(owner, *sys.exc_info())
                    continue
                if next_s < owner.armed_s:
                    self.arm(owner, next_s)
        if not self._slots:
            self._timer.stop()

    def close(self) -> None:
        self._timer.stop()
        self._timer.close()
        self._slots.clear()


class Alarm:
    """A single deadline of its own: calls ``callback()`` once in the hub, at ``when_s`` or up to two ticks later."""

    __slots__ = ("_callback", "armed_s", "armed_slot")

    def __init__(self, wheel: DeadlineWheel, when_s: float, callback: Any) -> None:
        self.armed_s = math.inf
        self.armed_slot = -1
        self._callback = callback
        wheel.arm(self, when_s)

    def on_deadline(self, now_s: float) -> float:
        self._callback()
        return math.inf
