"""Performs a lifecycle pattern: turns its actions into deeds, and what comes of them into outcomes.

Two ways of driving. ``run`` performs the whole pattern in the user's greenlet: the pattern says when to talk.
``establish`` serves users that are driven by their tasks: it performs the pattern until the connection stands, and
returns; when the connection goes (or the pattern wants to leave), a greenlet of its own goes on until it stands again.
So a user whose connection stands costs no greenlet beside its own.
"""

from __future__ import annotations

import math
import random
from time import monotonic
from typing import Protocol

import gevent
from gevent import get_hub
from gevent.hub import Waiter

from locust_ext.core.lifecycle.actions import (
    Action,
    Connect,
    Connected,
    Disconnect,
    Disconnected,
    GiveUp,
    LifecyclePattern,
    Lost,
    Outcome,
    Pause,
    Refused,
    Rested,
    Send,
    Sent,
)
from locust_ext.errors import ConnectFailed
from locust_ext.runtime.deadline import Alarm
from locust_ext.runtime.process import ProcessShared
from locust_ext.runtime.turns import A_TURN_OF_THE_LOOP_S, Turns

AFTER_RAISE_S = 1.0
"""Pause of a user whose own code (its generator, its `on_connected`) has raised: it may do so each time."""


class Driven(Protocol):
    """The user, as its driver sees it. Everything is called in the greenlet that drives."""

    def drive_connect(self, host: str | None) -> None:
        """Open the user's connection(s); one attempt. Raises `ConnectFailed`."""
        ...

    def drive_exchange(self, intended_s: float | None) -> bool:
        """Perform the next message; False: it failed. Raises no `OperationError`."""
        ...

    def drive_close(self, code: int) -> None: ...

    def drive_due_s(self, now_s: float) -> float:
        """Monotonic seconds at which the next message is due."""
        ...

    def drive_state(self, state: str) -> None:
        """The connection rests (``idle``), backs off (``waiting``), or is given up (``failed``)."""
        ...

    def drive_rest(self, rests: bool) -> None:
        """The user is about to rest (it may be stopped at any moment), or goes on. May raise to end the user."""
        ...

    @property
    def is_connected(self) -> bool: ...


class Driver:
    """One user's; `lost` may be called from the hub or from any greenlet."""

    def __init__(
        self,
        pattern: LifecyclePattern,
        driven: Driven,
        rng: random.Random,
        shared: ProcessShared,
        turns: Turns | None = None,
    ) -> None:
        """``turns``: where its paced messages take their times from; None: `Driven.drive_due_s` says when."""
        self._actions = pattern.actions(rng, monotonic())
        self._driven = driven
        self._shared = shared
        self._waiter: Waiter[None] | None = None
        self._lost_class: str | None = None
        self._held: Action | None = None
        self._alarm: Alarm | None = None
        self._greenlet: gevent.Greenlet[..., None] | None = None
        self._has_begun = False
        self._performing: Action | None = None
        self._is_closed = False
        self._turns = turns
        self._turn_s: float | None = None

    # ── what the connection tells ──────────────────────────────────────────────────────────────────────────────────

    def lost(self, error_class: str) -> None:
        """The open connection went, not by our own doing."""
        self._lost_class = error_class
        if self._turns is not None:
            self._turns.leave(self)
        if self._waiter is not None:
            waiter, self._waiter = self._waiter, None
            self._shared.loop.run_callback(waiter.switch, None)
        elif self._held is not None:
            self._resume_soon()

    # ── driven by the pattern ──────────────────────────────────────────────────────────────────────────────────────

    def run(self) -> None:
        """Perform the pattern to its end; then rest until the user is stopped. Blocks the user's greenlet."""
        outcome: Outcome | None = None
        if self._performing is not None:
            # A locustfile's own code has raised out of a deed; Locust has said so and calls `run` again: go on from there.
            now_s = monotonic()
            outcome = Refused(now_s, "lost") if isinstance(self._performing, Connect) else Sent(now_s, good=False)
            if isinstance(rested := self._perform_pause(Pause(AFTER_RAISE_S)), Lost):
                outcome = rested
        while (action := self._next(outcome)) is not None:
            self._performing = action
            while type(action) is Send:  # nearly always: what `_next` and `_perform` do, without them
                outcome = self._perform_send(action)
                try:
                    action = self._performing = self._actions.send(outcome)
                except StopIteration:
                    action = None
            if action is None:
                break
            if isinstance(action, GiveUp):
                self._driven.drive_state("failed")
                break
            outcome = self._perform(action)
        self._driven.drive_rest(True)
        self._wait_until(math.inf, wakes_on_loss=False)

    def _next(self, outcome: Outcome | None) -> Action | None:
        try:
            if not self._has_begun:
                self._has_begun = True
                return next(self._actions)
            assert outcome is not None
            return self._actions.send(outcome)
        except StopIteration:
            return None

    def _perform(self, action: Action) -> Outcome:
        if isinstance(action, Send):
            return self._perform_send(action)
        if isinstance(action, Connect):
            return self._perform_connect(action)
        if isinstance(action, Pause):
            return self._perform_pause(action)
        assert isinstance(action, Disconnect)
        if self._turns is not None:
            self._turns.leave(self)
        self._driven.drive_close(action.code)
        self._lost_class = None
        self._driven.drive_state("idle")
        return Disconnected(monotonic())

    def _perform_connect(self, action: Connect) -> Outcome:
        self._lost_class = None
        try:
            self._driven.drive_connect(action.host)
        except ConnectFailed as error:
            return Refused(monotonic(), error.error_class, error.retry_after_s, error.rule)
        return Connected(monotonic())

    def _perform_send(self, action: Send) -> Outcome:
        driven = self._driven
        until_s = math.inf if action.until_s is None else action.until_s
        if self._turns is not None and action.paced:
            if driven.drive_due_s(0.0) != math.inf:
                return self._perform_turn(self._turns, until_s)
            self._turns.leave(self)  # it has nothing to say any more
        now_s = monotonic()
        due_s = driven.drive_due_s(now_s) if action.paced else now_s
        if due_s > now_s:
            driven.drive_rest(True)
            self._wait_until(min(due_s, until_s), wakes_on_loss=True)
        driven.drive_rest(False)
        if self._lost_class is not None:
            return self._take_loss()
        if due_s > until_s:
            return Rested(monotonic())
        good = driven.drive_exchange(due_s if action.paced else None)
        if self._lost_class is not None:
            return self._take_loss()
        return Sent(monotonic(), good)

    # ── paced with others ──────────────────────────────────────────────────────────────────────────────────────────

    def _perform_turn(self, turns: Turns, until_s: float) -> Outcome:
        """`_perform_send` of a user who shares its schedule with others; a turn that it cannot take goes to another."""
        driven = self._driven
        if self._lost_class is not None:
            driven.drive_rest(False)
            return self._take_loss()
        due_s = turns.ask(self)
        try:
            if due_s is None:
                driven.drive_rest(True)
                self._wait_for_turn(until_s)
                due_s, self._turn_s = self._turn_s, None
            elif turns.is_starving:
                gevent.sleep(A_TURN_OF_THE_LOOP_S)
                turns.rested()
            driven.drive_rest(False)
        except BaseException:
            turns.withdraw(self)
            given_s, self._turn_s = (self._turn_s if due_s is None else due_s), None
            if given_s is not None:
                turns.give_back(given_s)
            raise
        turns.withdraw(self)
        if self._lost_class is not None:
            if due_s is not None:
                turns.give_back(due_s)
            return self._take_loss()
        if due_s is None:
            return Rested(monotonic())
        good = driven.drive_exchange(due_s)
        if self._lost_class is not None:
            return self._take_loss()
        return Sent(monotonic(), good)

    def _wait_for_turn(self, until_s: float) -> None:
        """Block the calling greenlet until it has a turn, the connection is lost, or it is ``until_s``."""
        while self._turn_s is None and self._lost_class is None and (left_s := until_s - monotonic()) > 0:
            waiter = self._waiter = Waiter(get_hub())
            timer = None
            if left_s != math.inf:
                timer = self._shared.loop.timer(left_s)
                timer.start(waiter.switch, None)
            try:
                waiter.get()
            finally:
                self._waiter = None
                if timer is not None:
                    timer.stop()
                    timer.close()

    def your_turn(self, due_s: float) -> bool:
        waiter, self._waiter = self._waiter, None
        if waiter is None:  # it is being woken for another reason
            return False
        self._turn_s = due_s
        waiter.switch(None)
        return True

    def _take_loss(self) -> Lost:
        """The loss that the pattern has not been told of yet (or one of an unknown kind); it is told once."""
        error_class, self._lost_class = self._lost_class or "lost", None
        return Lost(monotonic(), error_class)

    def _perform_pause(self, action: Pause) -> Outcome:
        if self._lost_class is not None:
            return self._take_loss()
        if self._turns is not None:
            self._turns.leave(self)
        driven = self._driven
        was_connected = driven.is_connected
        if not was_connected:
            driven.drive_state("waiting" if action.backoff else "idle")
        driven.drive_rest(True)
        until_s = math.inf if action.for_s is None else monotonic() + action.for_s
        self._wait_until(until_s, wakes_on_loss=was_connected)
        driven.drive_rest(False)
        if was_connected and self._lost_class is not None:
            return self._take_loss()
        return Rested(monotonic())

    def _wait_until(self, until_s: float, wakes_on_loss: bool) -> None:
        """Block the calling greenlet; the hub wakes it in time, when the connection is lost, or when it is killed."""
        left_s = until_s - monotonic()
        # Again until it is time: the loop's clock stands still while it works, so that a timer may come early.
        while left_s > 0 and not (wakes_on_loss and self._lost_class is not None):
            waiter: Waiter[None] = Waiter(get_hub())
            if wakes_on_loss:
                self._waiter = waiter
            timer = None
            if left_s != math.inf:
                timer = self._shared.loop.timer(left_s)  # not the wheel: pacing wants better than 10 ms
                timer.start(waiter.switch, None)
            try:
                waiter.get()
            finally:
                self._waiter = None
                if timer is not None:
                    timer.stop()
                    timer.close()
            left_s = until_s - monotonic()

    # ── driven by tasks ────────────────────────────────────────────────────────────────────────────────────────────

    def establish(self, outcome: Outcome | None = None) -> None:
        """Perform the pattern until the connection stands (or is given up). Blocks the calling greenlet.

        Where the pattern would talk or rest on the open connection, it is held there, and the tasks do the talking.
        """
        while (action := self._next(outcome)) is not None:
            if isinstance(action, GiveUp):
                self._driven.drive_state("failed")
                return
            if isinstance(action, Send | Pause) and self._driven.is_connected and self._lost_class is None:
                self._hold(action)
                return
            if isinstance(action, Send):
                outcome = self._take_loss()
                continue
            outcome = self._perform(action)

    def _hold(self, action: Send | Pause) -> None:
        self._held = action
        if isinstance(action, Send):
            until_s = math.inf if action.until_s is None else action.until_s
        else:
            until_s = math.inf if action.for_s is None else monotonic() + action.for_s
        if until_s != math.inf:
            self._alarm = Alarm(self._shared.wheel, until_s, self._resume_soon)

    def _resume_soon(self) -> None:
        if self._held is None or self._is_closed:
            return
        self._held = None
        if self._alarm is not None:
            self._shared.wheel.disarm(self._alarm)
            self._alarm = None
        self._greenlet = gevent.spawn(self._resume)

    def _resume(self) -> None:
        self.establish(Rested(monotonic()) if self._lost_class is None else self._take_loss())

    def close(self) -> None:
        """End the driving; idempotent, does not block. The connection itself is the user's to close."""
        self._is_closed = True
        self._held = None
        if self._turns is not None:
            self._turns.leave(self)
        if self._alarm is not None:
            self._shared.wheel.disarm(self._alarm)
            self._alarm = None
        if self._greenlet is not None:
            self._greenlet.kill(block=False)
            self._greenlet = None
