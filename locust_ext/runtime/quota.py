"""`Quota` and `QuotaOfEach`: how many operations the users of a process may still begin (``--ext-requests``).

An operation is what a user begins by its generator or its tasks, and not the opening of a connection. It asks before it
begins; once there is nothing left its greenlet waits, and may be ended at any moment.
"""

from __future__ import annotations

from typing import Any, NoReturn, Protocol

import gevent
from gevent import GreenletExit
from gevent.event import Event

from locust_ext.errors import OperationError

REST_S = 0.1


class NothingLeft(OperationError):
    """An operation was not begun, because the run has had all that it was asked for; recorded nowhere."""

    def __init__(self) -> None:
        super().__init__("lost", "the run has had all its operations")


class Takes(Protocol):
    """The user, as its quota sees it."""

    is_leaving: bool
    operations_begun: int

    @property
    def greenlet(self) -> Any: ...

    def drive_rest(self, rests: bool) -> None: ...

    def end_of_quota(self) -> None:
        """There is nothing left for this user to do. Called once or more, in any greenlet; does not raise."""
        ...


class Quota:
    """Operations that the users of this process have in common; more of them may be granted at any time."""

    def __init__(self) -> None:
        self.granted = 0
        """How many this process may begin, all in all."""
        self.begun = 0
        self.wanting = 0
        """Greenlets that wait for more."""
        self.is_wanted = Event()
        """Is set when one begins to wait."""
        self._news = Event()
        self._is_over = False

    @property
    def left(self) -> int:
        return max(0, self.granted - self.begun)

    def take(self, user: Takes) -> None:
        """One operation begins. Blocks while there is none left; at the end of the run it ends the user's greenlet.

        Raises `NothingLeft` for users on their way out, and at the end of the run in greenlets that are not the user's.
        """
        while self.begun >= self.granted:
            self._wait(user)  # switches: meanwhile what was granted may be taken back
        self.begun += 1
        user.operations_begun += 1

    def _wait(self, user: Takes) -> None:
        if user.is_leaving:
            raise NothingLeft
        user.drive_rest(True)
        self.wanting += 1
        self.is_wanted.set()
        try:
            while self.begun >= self.granted:
                if self._is_over:
                    _leave(user)
                self._news.clear()
                self._news.wait()
        finally:
            self.wanting -= 1
        user.drive_rest(False)

    def grant(self, granted: int) -> None:
        """So many are allowed to this process from now on, those included that have begun."""
        self.granted = granted
        self._news.set()

    def give_back(self) -> None:
        """No more is allowed than has begun; holds at once, for every greenlet of this process."""
        self.granted = min(self.granted, self.begun)

    def finish(self) -> None:
        """The run ends: who waits for more ends with it. Idempotent."""
        self._is_over = True
        self._news.set()


class QuotaOfEach:
    """So many operations for each user, who then leaves the target and does nothing more."""

    def __init__(self, of_each: int) -> None:
        self.of_each = of_each
        self._over = Event()

    def take(self, user: Takes) -> None:
        """As `Quota.take`."""
        if user.operations_begun >= self.of_each:
            if user.is_leaving:
                raise NothingLeft
            user.end_of_quota()
            user.drive_rest(True)
            self._over.wait()
            _leave(user)
        user.operations_begun += 1

    def finish(self) -> None:
        """As `Quota.finish`."""
        self._over.set()


def _leave(user: Takes) -> NoReturn:
    if gevent.getcurrent() is user.greenlet:
        raise GreenletExit
    gevent.sleep(REST_S)  # it may try again and again, until it is ended
    raise NothingLeft


AnyQuota = Quota | QuotaOfEach
