"""`Turns`: the users of a process who share one open-loop schedule: who waits longest has the next turn.

A message is due when the schedule says so. It is said by whoever is free; if nobody is, the next user who becomes free
says it late, with the time at which it was due. So the process keeps its rate as long as any of its users can talk, whoever
comes, leaves or is held up. Only what would become due while nobody is here is left out: nobody could say it.
"""

from __future__ import annotations

import math
import random
from collections import OrderedDict
from time import monotonic
from typing import Any, Protocol

from locust_ext.core.rate import Arrivals, Integral
from locust_ext.runtime.process import ProcessShared

GREEDY = 16
"""So many turns in a row without the loop's doing anything else."""
A_TURN_OF_THE_LOOP_S = 1e-6
"""To sleep for; 0 would let the loop go on with callbacks alone, 50 of them, before it looks at sockets and timers."""


class Takes(Protocol):
    """Who waits for a turn."""

    def your_turn(self, due_s: float) -> bool:
        """From the hub: say the message that was due then. False: it cannot any more."""
        ...


class Turns:
    """One of a process and run; made for each run, ended with `close`. Called by users' greenlets and by the hub."""

    def __init__(self, shared: ProcessShared, rng: random.Random, is_poisson: bool = False) -> None:
        self._shared = shared
        self.arrivals = Arrivals(rng, is_poisson)
        self._waiting: OrderedDict[Takes, None] = OrderedDict()
        self._present: set[Takes] = set()
        self._rate = 0.0
        """Messages a second that are wanted; the schedule's is 0 as long as nobody is here."""
        self._present_sum = Integral()
        self._left_out = Integral()
        self._had_users = False
        self._returned: list[float] = []
        """Due times of turns whose users could not take them."""
        self._timer: Any = None
        self._timer_s = math.inf
        self._in_a_row = 0
        self._is_closed = False
        self.taken = 0
        """Messages that a user has begun with."""
        self.unsent = 0
        """Messages that were due and that nobody had said when the run ended; see `stop`."""

    @property
    def present(self) -> int:
        """Users who are connected and talk by this schedule."""
        return len(self._present)

    @property
    def is_starving(self) -> bool:
        """Whether others should get the loop before the next turn is taken: messages are behind, and sent at once."""
        return self._in_a_row >= GREEDY

    def rested(self) -> None:
        """The loop has been given to others."""
        self._in_a_row = 0

    def user_seconds(self, now_s: float) -> float:
        """What `present` has added up to."""
        return self._present_sum.total(now_s)

    def left_out(self, now_s: float) -> int:
        """Messages that were left out so far, because those who had been here were all gone."""
        return int(self._left_out.total(now_s))

    def behind(self, now_s: float) -> float:
        """Seconds for which the oldest message that nobody has said has been due; 0: there is none."""
        late_s = self.arrivals.behind(now_s)
        return max(late_s, now_s - self._returned[-1]) if self._returned else late_s

    def change_rate(self, now_s: float, rate: float) -> None:
        """Messages a second of this process, from now on."""
        if rate == self._rate or self._is_closed:
            return
        self._rate = rate
        self._set_out(now_s)

    def _set_out(self, now_s: float) -> None:
        """The rate has changed, or somebody is here now, or nobody any more."""
        self.arrivals.change(now_s, self._rate if self._present else 0.0)
        is_left_out = self._had_users and not self._present
        self._left_out.change(now_s, (self._rate if is_left_out else 0.0) - self._left_out.level)
        self._arm()

    # ── users ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def ask(self, user: Takes) -> float | None:
        """The time at which the message was due that ``user`` may say now; None: `Takes.your_turn` comes later."""
        if user not in self._present:
            self._join(user)
        if not self._waiting:
            due_s = self._next(monotonic())
            if due_s is not None:
                self._in_a_row += 1
                return due_s
        self._waiting[user] = None
        self._arm()
        return None

    def withdraw(self, user: Takes) -> None:
        """``user`` waits no more for a turn, and is here all the same; idempotent."""
        self._waiting.pop(user, None)

    def give_back(self, due_s: float) -> None:
        """A turn that was given cannot be taken: the next user has it, as the message that was due then."""
        self._returned.append(due_s)
        self._returned.sort(reverse=True)
        self.taken -= 1
        self._arm()

    def leave(self, user: Takes) -> None:
        """``user`` is not connected any more, or talks no more; idempotent."""
        self._waiting.pop(user, None)
        if user in self._present:
            self._present.discard(user)
            self._present_sum.change(monotonic(), -1)
            if not self._present:
                self._set_out(monotonic())

    def _join(self, user: Takes) -> None:
        self._present.add(user)
        self._present_sum.change(monotonic(), 1)
        if len(self._present) == 1:
            self._had_users = True
            self._set_out(monotonic())

    # ── turns ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _next(self, now_s: float) -> float | None:
        if self._is_closed:
            return None
        if self._returned:
            self.taken += 1
            return self._returned.pop()
        if self.arrivals.due_s > now_s:
            return None
        self.taken += 1
        return self.arrivals.take()

    def _arm(self) -> None:
        """Have the hub look when the next message is due, if anybody waits for it."""
        if not self._waiting or self._is_closed:
            return
        due_s = self._returned[-1] if self._returned else self.arrivals.due_s
        if due_s == self._timer_s:
            return
        self._disarm()
        if due_s != math.inf:
            self._timer_s = due_s
            self._timer = self._shared.loop.timer(max(0.0, due_s - monotonic()))
            self._timer.start(self._look)

    def _disarm(self) -> None:
        timer, self._timer, self._timer_s = self._timer, None, math.inf
        if timer is not None:
            timer.stop()
            timer.close()

    def _look(self) -> None:
        """From the hub: give what is due to those who wait."""
        self._disarm()
        self._in_a_row = 0
        given = 0
        while self._waiting and given < GREEDY:
            due_s = self._next(monotonic())
            if due_s is None:
                break
            given += 1
            user, _ = self._waiting.popitem(last=False)
            if not user.your_turn(due_s):
                self._returned.append(due_s)
                self._returned.sort(reverse=True)
                self.taken -= 1
        self._arm()

    def stop(self, now_s: float) -> None:
        """The run is about to end: nothing becomes due any more, and what is due is not said any more. Idempotent."""
        if self._is_closed:
            return
        self.unsent = self.arrivals.backlog(now_s) + len(self._returned)
        self._rate = 0.0
        self._set_out(now_s)
        self.close()

    def close(self) -> None:
        """No more turns; who waits goes on waiting for its user's end. Idempotent."""
        self._is_closed = True
        self._disarm()
